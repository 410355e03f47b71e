"""The queue of an upstream: withdrawn for others, and never fed from a look that is out of date."""

from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred

from edge import partqueue
from edge.partqueue import PartQueue
from storage.parts import QueuedPart
from storage.records import Did, PartFlag, PartState
from storage.store import Store
from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.test_upstreams import Rig


class SlowReads:
    """A store whose reads end when the test says so."""

    def __init__(self) -> None:
        self.reading: list[Deferred[Any]] = []

    def read(self, *arguments: object) -> Deferred[Any]:
        self.reading.append(Deferred())
        return self.reading[-1]


@pytest.fixture
def rig(inline_store: InlineStore, time: Time, did: Did) -> Rig:
    rig = Rig(inline_store, time, did)
    rig.bind.up = False
    return rig


def queue_of(store: SlowReads, fed: list[None]) -> PartQueue:
    return PartQueue("up", 10, cast(Store, store), lambda: 0, lambda: fed.append(None))


def test_a_queue_that_two_have_withdrawn_waits_for_both(rig: Rig) -> None:
    queue = rig.upstream.queue
    queue.withdraw()
    queue.withdraw()
    queue.resume()
    assert queue.withdrawn
    assert queue.look() is None
    queue.resume()
    assert not queue.withdrawn


def test_a_withdrawn_queue_hands_out_nothing_and_names_what_is_on_its_way(rig: Rig) -> None:
    on_its_way, waiting = rig.message(2), rig.message(1)
    queue = rig.upstream.queue
    queue.expect([item.part.id for item in (*on_its_way, *waiting)])
    queue.put([*on_its_way, *waiting])
    assert queue.take(1, 0) == [on_its_way[0]]
    assert queue.withdraw() == {on_its_way[0].part.id}
    assert (len(queue), queue.empty, queue.take(10, 0)) == (0, False, [])
    queue.done(on_its_way[0])
    queue.resume()
    # The table has them still, in order.
    assert [item.part.id for item in queue.take(10, 0)] == [on_its_way[0].part.id, waiting[0].part.id]


def test_a_look_that_began_before_a_withdrawal_brings_nothing(rig: Rig) -> None:
    store, fed = SlowReads(), list[None]()
    queue = queue_of(store, fed)
    queue.look()
    queue.withdraw()
    queue.resume()
    store.reading[0].callback(rig.message(1))
    assert (len(queue), fed, queue.hungry) == (0, [], True)
    queue.look()
    store.reading[-1].callback(rig.message(1))
    assert (len(queue), fed) == (1, [None])


def test_messages_that_are_held_and_never_sent_are_forgotten_in_the_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partqueue, "REMEMBERED", 3)
    queue = queue_of(SlowReads(), [])
    for _ in range(5):
        item, _ = rig.message(2)
        queue.enter(item)
        queue.leave_to_table([item._replace(part=item.part._replace(flags=PartFlag.HOLD))])
    assert len(queue._held) == 3


def test_a_look_that_fails_is_made_again(rig: Rig) -> None:
    store, fed = SlowReads(), list[None]()
    queue = queue_of(store, fed)
    queue.look()
    queue.look()
    assert len(store.reading) == 1
    store.reading[0].errback(OSError("no store"))
    assert queue.hungry
    queue.look()
    assert len(store.reading) == 2


def test_what_comes_back_goes_before_what_is_behind_it_even_into_a_full_memory(rig: Rig) -> None:
    store = SlowReads()
    queue = queue_of(store, [])
    one: list[QueuedPart] = rig.message(3)
    others = [rig.message(1)[0] for _ in range(12)]
    queue.expect([item.part.id for item in (*one, *others)])
    queue.put(one)
    assert queue.take(1, 0) == one[:1]
    queue.put(others)
    assert len(queue) == 10
    queue.back(one[:1])
    assert queue.take(1, 0) == one[:1]
    assert queue.take(2, 0) == others[:2]  # the message's other parts wait behind its first
    queue.done(one[0]._replace(part=one[0].part._replace(state=PartState.SENT)))
    assert queue.take(1, 0) == one[1:2]
