"""Failover in the small: what may move, and what is left alone."""

from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred

from edge.config import RouteConfig, Secret, UpstreamConfig
from edge.dialect import Dialect
from edge.mover import Mover
from edge.outbound import Planner
from edge.references import References
from storage import messages
from storage.records import Did
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import Numbers, Time
from tests.unit.edge.test_upstreams import Rig

OTHER = UpstreamConfig(name="other", port=1, system_id="x", password=Secret("x"))


class Other:
    """Another upstream."""

    name = "other"
    config = OTHER
    usable = up = True
    looks = 0

    def look(self) -> None:
        self.looks += 1


class Pair(Rig):
    """An upstream that has been down for long, and another one."""

    def __init__(self, store: InlineStore, time: Time, did: Did) -> None:
        super().__init__(store, time, did)
        self.bind.up = False
        self.other = Other()
        dialects = {"up": self.upstream.dialect, "other": Dialect(OTHER, "US")}
        route = RouteConfig(name="r", upstreams=("up",), failover=("other",))
        planner = Planner(dialects, "US", Numbers(store).did, References(lambda: 1), (route,))
        self.upstreams = {"up": self.upstream, "other": cast(Any, self.other)}
        self.mover = Mover(cast(Store, store), lambda: self.upstreams, lambda: planner)

    def go_down(self) -> None:
        assert self.upstream.usable  # for so short a time
        self.time.pump([1.0] * 31)
        assert not self.upstream.usable

    def where(self) -> list[str]:
        """The upstreams of all parts in the store, oldest message first."""
        views = success(self.store.read(messages.search, self.did.account_id, since_id=0))
        return [part.upstream for view in views for part in view.parts]


@pytest.fixture
def pair(inline_store: InlineStore, time: Time, did: Did) -> Pair:
    return Pair(inline_store, time, did)


def test_what_waits_moves_when_the_upstream_is_down_for_long_and_not_before(pair: Pair) -> None:
    pair.submit(2)
    success(pair.mover.look())
    assert pair.where() == ["up", "up"]
    pair.go_down()
    success(pair.mover.look())
    assert pair.where() == ["other"]  # the text of the test's messages needs but one part
    assert pair.other.looks == 1
    pair.link_back()
    pair.time.pump([1.0] * 3)
    assert pair.sent == []


@pytest.mark.parametrize(("usable", "moved"), [(True, "other"), (False, "up")])
def test_what_is_refused_goes_to_one_between_two_reconnects_rather_than_fail(
    pair: Pair, usable: bool, moved: str
) -> None:
    (item,) = pair.message()
    pair.other.up, pair.other.usable = False, usable
    success(pair.mover.refused(pair.upstream, item))
    assert pair.where() == [moved]


def test_what_memory_is_dealing_with_stays(pair: Pair) -> None:
    """Such as a part whose `queued` is committed, but whose upstream has not been told yet."""
    (busy,) = pair.message()
    pair.upstream.expect([busy.part.id])
    pair.submit()
    pair.go_down()
    success(pair.mover.look())
    assert pair.where() == ["up", "other"]
    pair.upstream.committed([busy], None)
    pair.link_back()
    assert pair.sent == [busy.part.id]


def test_without_an_upstream_that_is_up_everything_stays_where_it_was(pair: Pair) -> None:
    ids = pair.submit(2)
    pair.other.up = False
    pair.go_down()
    success(pair.mover.look())
    assert pair.where() == ["up", "up"]
    pair.link_back()
    assert pair.sent == ids[:1]


def test_a_store_that_fails_leaves_the_queue_in_use(pair: Pair) -> None:
    (part_id,) = pair.submit()
    pair.go_down()
    pair.store.writer.failing = True
    success(pair.mover.look())
    pair.store.writer.failing = False
    assert pair.where() == ["up"]
    pair.link_back()
    pair.time.advance(1.0)
    assert pair.sent == [part_id]


def test_what_waits_for_an_upstream_that_was_taken_out_goes_to_the_others(pair: Pair) -> None:
    pair.submit()
    pair.time.pump([0.0])
    del pair.upstreams["up"]
    success(pair.mover.look())
    assert pair.where() == ["up"], "that is for who knows that nobody has it"
    success(Deferred.fromCoroutine(pair.mover.bequeath("up")))
    assert pair.where() == ["other"]
    assert pair.other.looks == 1
