"""What waits in the store, as the metrics have it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from edge.depths import LOOK_SECONDS, Depths
from storage import messages, migrate
from storage.engines import open_engine
from storage.ids import IdSource
from storage.records import DeliveryState, PartFlag, PartState
from storage.testing import InlineStore
from tests import samples
from tests.deferreds import success


@pytest.fixture
def store(tmp_path: Path) -> Iterator[InlineStore]:
    engine = open_engine(f"sqlite:///{tmp_path / 's.db'}")
    migrate.upgrade(engine)
    made = InlineStore(engine, IdSource(0, lambda: samples.NOW))
    yield made
    made.close()


def test_a_count_is_there_before_there_is_anything_to_count(store: InlineStore) -> None:
    """An alert on more dead letters than before needs a before."""
    clock = Clock()
    depths = Depths(store, lambda: ["a"], lambda: ["portal", "callback"], clock, lambda: samples.NOW)  # type: ignore[arg-type]
    depths.start()
    counted = {(count.kind, count.state): count.rows for count in depths.deliveries}
    assert counted == {(kind, state): 0 for kind in ("portal", "callback") for state in ("pending", "failed")}
    assert {(count.kind, count.state): count.rows for count in depths.parts} == {
        ("a", state): 0 for state in ("queued", "sending", "in_doubt", "held", "kept")
    }
    about = samples.mo()
    failed = samples.delivery_of(about, handler="callback", state=DeliveryState.FAILED)
    store.writer.write(messages.insert(about, (), [failed]))
    clock.advance(LOOK_SECONDS)
    assert {(count.kind, count.state): count.rows for count in depths.deliveries} == {
        **counted,
        ("callback", "failed"): 1,
    }
    depths.stop()


def test_what_an_operator_holds_waits_for_no_decision(store: InlineStore) -> None:
    """The alert on parts in doubt is about "held"."""
    about = samples.mt()
    kept = samples.part_of(about, state=PartState.HELD, flags=PartFlag.KEPT)
    parts = [kept, samples.part_of(about, state=PartState.HELD, number=2)]
    store.writer.write(messages.insert(about, parts))
    depths = Depths(store, list, list, Clock(), lambda: samples.NOW)  # type: ignore[arg-type]
    success(depths.look())
    assert sorted((count.kind, count.state, count.rows) for count in depths.parts) == [
        ("carrier", "held", 1),
        ("carrier", "kept", 1),
    ]
