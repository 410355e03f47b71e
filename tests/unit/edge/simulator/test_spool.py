import pytest
from twisted.internet.task import Clock

from edge.simulator.spool import Deliverable, Spool, SpoolFull
from protocols.smpp.errors import CommandStatus, WindowFull
from protocols.smpp.pdu import DeliverSm

RETRY = 5.0


class Wire:
    """A link with room for ``free`` requests that remembers what was sent."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.sent: list[Deliverable] = []

    def request(self, pdu: DeliverSm, context: object) -> None:
        if not self.free:
            raise WindowFull("no room")
        assert isinstance(context, Deliverable)
        self.free -= 1
        self.sent.append(context)

    def texts(self) -> list[bytes]:
        return [item.pdu.short_message for item in self.sent]


class Scene:
    def __init__(self, *free: int, limit: int = 10) -> None:
        self.clock = Clock()
        self.links = [Wire(room) for room in free]
        self.spool = Spool(lambda: self.links, self.clock, limit, RETRY)
        self.ended: list[tuple[bytes, int]] = []

    def item(self, text: bytes) -> Deliverable:
        return Deliverable(DeliverSm(short_message=text), lambda status: self.ended.append((text, status)))

    def put(self, *texts: bytes) -> None:
        self.spool.put([self.item(text) for text in texts])


def test_items_leave_in_order_as_far_as_there_is_room() -> None:
    scene = Scene(2)
    scene.put(b"a", b"b", b"c")
    assert scene.links[0].texts() == [b"a", b"b"]
    scene.links[0].free = 1
    scene.spool.answered(scene.links[0].sent[0], CommandStatus.ESME_ROK)
    scene.spool.pump()
    assert scene.links[0].texts() == [b"a", b"b", b"c"]
    assert scene.ended == [(b"a", 0)]
    assert len(scene.spool) == 2


def test_the_link_with_most_room_is_taken() -> None:
    scene = Scene(1, 3)
    scene.put(b"a", b"b", b"c")
    assert scene.links[0].texts() == [b"c"]
    assert scene.links[1].texts() == [b"a", b"b"]


def test_a_temporary_status_means_the_same_again_after_a_rest() -> None:
    scene = Scene(5)
    scene.put(b"a")
    (item,) = scene.links[0].sent
    scene.spool.answered(item, CommandStatus.ESME_RX_T_APPN)
    scene.clock.advance(RETRY - 0.1)
    assert len(scene.links[0].sent) == 1
    scene.clock.advance(0.1)
    assert scene.links[0].sent == [item, item]
    assert scene.ended == []


def test_any_other_status_is_the_end() -> None:
    scene = Scene(5)
    scene.put(b"a")
    scene.spool.answered(scene.links[0].sent[0], CommandStatus.ESME_RINVDSTADR)
    scene.clock.advance(RETRY * 2)
    assert scene.ended == [(b"a", CommandStatus.ESME_RINVDSTADR)]
    assert len(scene.links[0].sent) == 1
    assert len(scene.spool) == 0


def test_what_was_lost_with_a_link_goes_first_on_the_next() -> None:
    scene = Scene(2)
    scene.put(b"a", b"b", b"c")
    first = scene.links.pop()
    for item in first.sent:
        scene.spool.lost(item)
    scene.links.append(Wire(5))
    scene.spool.pump()
    assert scene.links[0].texts() == [b"a", b"b", b"c"]


def test_a_late_answer_ends_what_was_to_be_sent_again() -> None:
    scene = Scene(5)
    scene.put(b"a")
    (item,) = scene.links[0].sent
    scene.spool.unanswered(item)
    scene.spool.answered(item, CommandStatus.ESME_ROK)
    scene.clock.advance(RETRY)
    assert len(scene.links[0].sent) == 1
    assert scene.ended == [(b"a", 0)]


def test_a_late_temporary_answer_does_not_send_twice() -> None:
    scene = Scene(5)
    scene.put(b"a")
    (item,) = scene.links[0].sent
    scene.spool.unanswered(item)
    scene.spool.answered(item, CommandStatus.ESME_RTHROTTLED)
    scene.clock.advance(RETRY * 3)
    assert len(scene.links[0].sent) == 2


def test_an_answer_to_a_second_try_changes_nothing_any_more() -> None:
    scene = Scene(5)
    scene.put(b"a")
    (item,) = scene.links[0].sent
    scene.spool.unanswered(item)
    scene.clock.advance(RETRY)
    scene.spool.answered(item, CommandStatus.ESME_ROK)
    scene.spool.answered(item, CommandStatus.ESME_ROK)
    assert scene.ended == [(b"a", 0)]
    assert len(scene.spool) == 0


def test_more_than_the_limit_is_refused_whole() -> None:
    scene = Scene(limit=3)
    scene.put(b"a", b"b")
    with pytest.raises(SpoolFull, match="3 messages"):
        scene.put(b"c", b"d")
    assert len(scene.spool) == 2
    scene.put(b"c")
