"""A message that an operator hands to another upstream: what is held stays held, each refusal says why."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from sqlalchemy import update
from twisted.internet.defer import Deferred

from edge.errors import Refused
from edge.gone import Gone
from edge.interventions import Interventions, Moved
from storage import messages, operators
from storage.operators import Held
from storage.records import Did, PartFlag, PartRecord, PartState
from storage.store import Store
from storage.tables import message, part
from storage.testing import InlineStore
from tests.deferreds import failure, success
from tests.unit.edge.conftest import Time
from tests.unit.edge.test_mover import Pair


class Desk(Pair):
    """The operators of a server with `up`, `other` and, on no route, `third`."""

    def __init__(self, store: InlineStore, time: Time, did: Did) -> None:
        super().__init__(store, time, did)
        self.upstreams["third"] = cast(Any, self.other)
        self.operators = Interventions(
            cast(Store, store),
            cast(Any, None),
            self.mover,
            cast(Gone, None),
            lambda: self.upstreams,
            time.wall_ms,
        )

    def move(self, message_id: int, to: str = "other") -> Deferred[Moved]:
        return Deferred.fromCoroutine(self.operators.move(message_id, to))

    def parts(self, message_id: int) -> tuple[PartRecord, ...]:
        view = success(self.store.read(messages.find, message_id))
        assert view is not None
        return tuple(view.parts)

    def change(self, part_id: int, **values: Any) -> None:
        with self.store.engine.transaction() as conn:
            conn.execute(update(part).where(part.c.id == part_id).values(**values))


@pytest.fixture
def desk(inline_store: InlineStore, time: Time, did: Did) -> Desk:
    return Desk(inline_store, time, did)


def test_a_held_message_moves_and_stays_held_until_it_is_retried(desk: Desk) -> None:
    held = [item.part for item in desk.message(2)]
    identity = held[0].message_id
    success(desk.operators.hold(identity))
    assert success(desk.move(identity)) == Moved([item.id for item in held], kept=True)
    (there,) = desk.parts(identity)  # the text of the test's messages needs but one part
    assert (there.upstream, there.state, there.flags) == ("other", PartState.HELD, PartFlag.KEPT)
    assert success(desk.store.read(operators.part_counts))[0][:3] == ("other", "kept", 1)
    with desk.store.engine.transaction() as conn:
        assert operators.retry(conn, Held(identity, "other", ()), desk.time.wall_ms()) == [there.id]
    (free,) = desk.parts(identity)
    assert (free.upstream, free.state, free.flags) == ("other", PartState.QUEUED, 0)


def test_one_that_waits_moves_and_waits(desk: Desk) -> None:
    (item,) = desk.message()
    assert success(desk.move(item.part.message_id)) == Moved([item.part.id], kept=False)
    (there,) = desk.parts(item.part.message_id)
    assert (there.upstream, there.state) == ("other", PartState.QUEUED)


STAYS: list[tuple[dict[str, Any], str, str]] = [
    ({"state": PartState.SENT.value}, "has_left", "part 1/2 has left (sent)"),
    ({"state": PartState.DELIVERED.value}, "has_left", "part 1/2 has left (delivered)"),
    ({"state": PartState.FAILED.value}, "has_ended", "part 1/2 has failed"),
    ({"state": PartState.EXPIRED.value}, "has_ended", "part 1/2 has expired"),
    ({"state": PartState.SENDING.value}, "on_its_way", "part 1/2 is on its way to up"),
    ({"state": PartState.IN_DOUBT.value}, "may_have_left", "part 1/2 may have left (in doubt)"),
    ({"state": PartState.HELD.value}, "may_have_left", "part 1/2 may have left (in doubt)"),
    ({"flags": int(PartFlag.POSSIBLE_DUPLICATE)}, "may_have_left", "up may have part 1/2 already"),
]


@pytest.mark.parametrize(("values", "code", "why"), STAYS)
def test_of_one_that_stays_the_part_is_named_and_what_is_with_it(
    desk: Desk, values: dict[str, Any], code: str, why: str
) -> None:
    first, _ = desk.message(2)
    desk.change(first.part.id, **values)
    before = desk.parts(first.part.message_id)
    refused = failure(desk.move(first.part.message_id), Refused)
    assert (refused.code, refused.sentence) == (
        code,
        f"Message {first.part.message_id} cannot move: {why}.",
    )
    assert desk.parts(first.part.message_id) == before


def test_a_part_that_memory_is_dealing_with_is_on_its_way(desk: Desk) -> None:
    (busy,) = desk.message()
    desk.upstream.expect([busy.part.id])
    assert failure(desk.move(busy.part.message_id), Refused).code == "on_its_way"


@pytest.mark.parametrize("kept", [False, True])
def test_an_upstream_that_is_on_no_route_of_it_is_said_to_be(desk: Desk, kept: bool) -> None:
    (item,) = desk.message()
    if kept:
        success(desk.operators.hold(item.part.message_id))
    refused = failure(desk.move(item.part.message_id, "third"), Refused)
    assert refused.code == "not_on_route"
    assert "third is not on its route (r: up, other)" in refused.sentence


def test_a_text_that_the_other_cannot_carry_is_no_matter_of_the_route(desk: Desk) -> None:
    (item,) = desk.message()
    with desk.store.engine.transaction() as conn:
        conn.execute(update(message).where(message.c.id == item.part.message_id).values(text="x" * 60_000))
    refused = failure(desk.move(item.part.message_id), Refused)
    assert refused.code == "text_too_long"


def test_what_goes_on_while_it_is_looked_at_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = desk.message()
    planner = desk.mover._planner
    told: list[Callable[[], None]] = [lambda: desk.change(item.part.id, state=PartState.SENDING.value)]

    def late() -> Any:
        while told:
            told.pop()()
        return planner()

    monkeypatch.setattr(desk.mover, "_planner", late)
    assert failure(desk.move(item.part.message_id), Refused).code == "on_its_way"
