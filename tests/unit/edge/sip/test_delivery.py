"""Messages to phones: whom they are from and to, in order, exactly once, whatever is lost on the way."""

from typing import Any

import pytest
from sqlalchemy import select
from twisted.internet.defer import fail

from edge import statuses
from edge.handlers.imdn import ATTEMPTS
from edge.handlers.sip import OFF_SECONDS
from edge.sip.bindings import Binding
from edge.sip.delivery import MOST_WAITING
from edge.sip.flows import UDP_MAX_OCTETS
from protocols.sip.answers import response_to
from protocols.sip.body import Content, read_body
from protocols.sip.imdn import Receipt, Wish
from protocols.sip.message import Request
from storage import contacts, deliveries, tables
from storage.deliveries import DueDelivery
from storage.errors import StoreUnavailable
from storage.records import DeliveryRecord, DeliveryState, Did
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import record
from tests.unit.edge.sip.net import DID, DOMAIN, PEER, Net, Phone, Stream


def test_what_a_phone_gets(net: Net, phone: Phone, did: Did) -> None:
    phone.register()
    delivery = net.arrives(did, "Grüße 👍🏽\0")
    [request] = phone.received
    assert request.uri == "sip:alice@192.0.2.7:5070"
    assert request.to.uri == phone.aor
    assert request.from_.uri == f"sip:{PEER}@{DOMAIN}"
    assert request.from_.tag
    assert request.headers.get("Content-Type") == "text/plain;charset=UTF-8"
    assert request.headers.get("X-SMS-To") == DID
    assert (request.headers.get("Date") or "").endswith("GMT")
    assert request.headers.get("Contact") is None
    assert request.body.decode().startswith("Grüße 👍🏽")
    assert net.state(delivery) == ("delivered", "delivered")


@pytest.mark.parametrize(
    ("name", "display"),
    [("Ann Ö", "Ann Ö"), ('A "B" \\', 'A "B" \\'), ("X\r\nVia: y", "X Via: y"), ("\n", "")],
)
def test_what_the_account_calls_the_other_side(
    net: Net, phone: Phone, did: Did, name: str, display: str
) -> None:
    with net.store.engine.transaction() as connection:
        contacts.put(connection, net.store.ids.next, did.account_id, PEER, name, 0)
    phone.register()
    net.arrives(did, "hi")
    [request] = phone.received
    assert (request.from_.display, request.from_.uri) == (display, f"sip:{PEER}@{DOMAIN}")


def test_names_and_short_codes(net: Net, phone: Phone, did: Did) -> None:
    phone.register()
    net.arrives(did, "hi", peer="ACME Bank")
    assert phone.received[0].from_.uri == f"sip:ACME%20Bank@{DOMAIN}"


def test_three_wait_for_a_phone_that_is_off_and_come_in_order(net: Net, phone: Phone, did: Did) -> None:
    waiting = [net.arrives(did, text) for text in ("one", "two", "three")]
    assert {net.state(delivery)[0] for delivery in waiting} == {"pending"}
    net.reactor.advance(50)
    phone.register()
    net.arrives(did, "four")
    net.reactor.pump([1.0] * 5)
    assert phone.texts == ["one", "two", "three", "four"]
    assert {net.state(delivery)[0] for delivery in waiting} == {"delivered"}
    phone.register()
    net.reactor.pump([1.0] * 5)
    assert len(phone.texts) == 4


def test_a_restart_forgets_none_and_repeats_none(net: Net, phone: Phone, did: Did) -> None:
    phone.register()
    net.arrives(did, "zero")
    phone.register("*", Expires="0")
    for text in ("one", "two"):
        net.arrives(did, text)
    net.boot()
    phone.register()
    net.reactor.pump([1.0] * 5)
    assert phone.texts == ["zero", "one", "two"]


def test_many_waiting_come_in_order(net: Net, phone: Phone, did: Did) -> None:
    texts = [str(number) for number in range(20)]  # each within the answer to the one before
    for text in texts:
        net.arrives(did, text)
    phone.register()
    net.reactor.pump([1.0] * 200)
    assert phone.texts == texts


def test_every_200_is_lost_for_20_seconds(net: Net, phone: Phone, did: Did) -> None:
    phone.register()
    silent_until = net.reactor.seconds() + 20
    phone.answer = lambda request: None if net.reactor.seconds() < silent_until else 200
    delivery = net.arrives(did, "once")
    net.reactor.pump([0.5] * 60)
    assert {request.via.branch for request in phone.received} == {phone.received[0].via.branch}
    assert net.state(delivery) == ("delivered", "delivered")
    heard = len(phone.received)
    net.reactor.pump([1.0] * 120)
    assert len(phone.received) == heard


def test_a_silent_phone_is_tried_again_and_nothing_overtakes(net: Net, phone: Phone, did: Did) -> None:
    phone.register(Expires="7200")
    phone.answer = lambda request: None
    first = net.arrives(did, "first")
    net.reactor.pump([1.0] * 33)
    assert net.state(first) == ("pending", "phone_silent")
    second = net.arrives(did, "second")
    assert net.state(second) == ("pending", None)
    phone.answer = lambda request: 200
    phone.received.clear()
    net.reactor.pump([1.0] * 30)
    assert phone.texts == ["first", "second"]
    calls = {request.headers.get("Call-ID") for request in phone.received}
    assert len(calls) == 2


def test_a_phone_that_comes_back_while_it_is_tried(net: Net, phone: Phone, did: Did) -> None:
    phone.register()
    phone.answer = lambda request: None
    net.arrives(did, "text")
    net.reactor.pump([1.0] * 31)
    phone.register()
    phone.answer = lambda request: 200
    phone.received.clear()
    net.reactor.pump([0.5] * 8)
    assert phone.texts[-1] == "text"


def test_three_contacts_of_which_one_lives(net: Net, phone: Phone, did: Did) -> None:
    others = [Phone(net, port=port) for port in (5081, 5082)]
    for other in others:
        other.answer = lambda request: None
        other.register()
    phone.register()
    delivery = net.arrives(did, "hi")
    assert net.state(delivery) == ("delivered", "delivered")
    assert [len(each.received) for each in (phone, *others)] == [1, 1, 1]
    net.reactor.pump([1.0] * 40)
    assert net.state(delivery) == ("delivered", "delivered")
    assert len(phone.received) == 1


def test_one_pending_to_each_contact_and_each_in_order(net: Net, phone: Phone, did: Did) -> None:
    """One contact sleeps for six seconds, one is dead, one lives: nobody waits for the others."""
    asleep, dead = Phone(net, port=5081), Phone(net, port=5082)
    for other in (asleep, dead):
        other.register()
        other.answer = lambda request: None
    phone.register()
    texts = [f"text {number}" for number in range(6)]
    due = [net.arrives(did, text) for text in texts]
    net.reactor.pump([0.1] * 10)
    assert {net.state(delivery) for delivery in due} == {("delivered", "delivered")}
    assert phone.texts == texts
    assert {tuple(other.texts) for other in (asleep, dead)} == {("text 0", "text 0")}  # it was repeated
    net.reactor.pump([0.5] * 10)
    asleep.answer = lambda request: 200
    net.reactor.pump([0.5] * 60)
    assert list(dict.fromkeys(asleep.texts)) == texts
    assert set(dead.texts) == {"text 0"}
    net.arrives(did, "text 6")
    assert [each.texts[-1] for each in (phone, asleep, dead)] == ["text 6"] * 3


def test_what_waits_for_a_slow_contact_is_bounded(net: Net, phone: Phone, did: Did) -> None:
    slow = Phone(net, port=5081)
    slow.register()
    phone.register()
    slow.answer = lambda request: None
    for number in range(MOST_WAITING + 5):
        net.arrives(did, f"text {number}")
    net.reactor.pump([0.1] * 4)
    slow.answer = lambda request: 200
    net.reactor.pump([0.5] * 8)
    assert len(phone.texts) == MOST_WAITING + 5
    assert list(dict.fromkeys(slow.texts)) == [f"text {number}" for number in range(MOST_WAITING + 1)]


def test_what_waited_for_a_contact_that_went_is_not_sent_there(net: Net, phone: Phone, did: Did) -> None:
    slow = Phone(net, port=5081)
    slow.register()
    phone.register()
    slow.answer = lambda request: None
    for text in ("one", "two"):
        net.arrives(did, text)
    slow.register(f"{slow.contact};expires=0")
    slow.answer = lambda request: 200
    net.reactor.pump([0.5] * 80)
    assert set(slow.texts) == {"one"}
    assert phone.texts == ["one", "two"]


INSTANCE = '+sip.instance="<urn:uuid:1>";reg-id=1'


def moves(phone: Phone, port: int, how: str, answers: int | None = 200) -> Phone:
    """The same phone registers from another port, and says so in one of four ways."""
    there = Phone(phone.net, port=port)
    there.answer = lambda request: answers
    there.call_id, there.count = phone.call_id, phone.count
    contact: dict[str, str | list[str]] = {
        "same instance": f"{there.contact};{INSTANCE}",
        "old one goes": [there.contact, f"{phone.contact};expires=0"],
        "old one goes, by instance": [
            f"{there.contact};{INSTANCE}",
            f"{phone.contact};{INSTANCE};expires=0",
        ],
        "same contact": phone.contact,
    }
    assert there.register(contact[how], Expires="7200").status == 200
    return there


MOVES = ["same instance", "old one goes", "old one goes, by instance", "same contact"]


@pytest.mark.parametrize("how", MOVES)
def test_a_phone_that_moves_gets_what_is_under_way_at_once(
    net: Net, phone: Phone, did: Did, how: str
) -> None:
    """As the same request, so that it can tell a copy; nothing goes to the old place any more."""
    phone.register(f"{phone.contact};{INSTANCE}", Expires="7200")
    phone.answer = lambda request: None
    due = [net.arrives(did, text) for text in ("one", "two")]
    net.reactor.pump([0.1] * 3)
    there = moves(phone, 5099, how)
    net.reactor.pump([0.1] * 3)
    assert there.texts == ["one", "two"]
    assert [net.state(delivery) for delivery in due] == [("delivered", "delivered")] * 2
    old, new = phone.received[0], there.received[0]
    assert (old.via.branch, old.cseq, old.call_id) == (new.via.branch, new.cseq, new.call_id)
    heard = len(phone.received)
    net.reactor.pump([1.0] * 60)
    assert (len(phone.received), len(there.received)) == (heard, 2)
    assert len(list(net.sip.bindings)) == 1


@pytest.mark.parametrize("how", MOVES)
def test_an_answer_from_where_a_phone_was_counts(net: Net, phone: Phone, did: Did, how: str) -> None:
    """No copy is sent after a 2xx."""
    phone.register(f"{phone.contact};{INSTANCE}", Expires="7200")
    phone.answer = lambda request: None
    delivery = net.arrives(did, "once")
    there = moves(phone, 5099, how, answers=None)
    assert there.texts == ["once"]
    late_answer(phone, phone.received[0])
    net.reactor.pump([0.1] * 3)
    assert net.state(delivery) == ("delivered", "delivered")
    sent = len(net.sent)
    net.reactor.pump([1.0] * 60)
    assert len(net.sent) == sent


def test_a_phone_by_tcp_that_comes_back_on_another_connection(net: Net, phone: Phone, did: Did) -> None:
    """The old connection is open still, and dead."""
    by_tcp(net, phone)
    phone.answer = lambda request: None
    delivery = net.arrives(did, "hi")
    phone.answer = lambda request: 200
    by_tcp(net, phone)
    assert net.state(delivery) == ("delivered", "delivered")
    assert len({request.via.branch for request in phone.received}) == 1


def test_another_phone_gets_what_is_under_way_at_once(net: Net, phone: Phone, did: Did) -> None:
    phone.register(Expires="7200")
    phone.answer = lambda request: None
    due = [net.arrives(did, text) for text in ("one", "two")]
    net.reactor.pump([1.0] * 5)
    other = Phone(net, port=5081)
    other.register()
    net.reactor.pump([0.1] * 3)
    assert other.texts == ["one", "two"]
    assert [net.state(delivery) for delivery in due] == [("delivered", "delivered")] * 2
    phone.answer = lambda request: 200
    net.reactor.pump([1.0] * 10)
    assert list(dict.fromkeys(phone.texts)) == ["one", "two"]  # it was behind, and is no more


def test_a_phone_of_another_customer_gets_nothing_of_what_is_under_way(
    net: Net, phone: Phone, did: Did
) -> None:
    """The name has been given to somebody else meanwhile."""
    phone.register(Expires="7200")
    phone.answer = lambda request: None
    net.arrives(did, "secret")
    (binding,) = net.sip.bindings
    flow = binding.flow
    assert flow is not None
    for account, port in ((binding.record.sip_account_id + 1, 5081), (binding.record.sip_account_id, 5082)):
        other = Phone(net, port=port)
        record = binding.record._replace(
            id=port, sip_account_id=account, port=port, contact=other.contact.strip("<>")
        )
        theirs = Binding(record, flow.toward(other.address))
        net.sip.bindings.apply(account, (), [theirs])
        net.sip.delivery.joined(phone.aor, [theirs])
        net.reactor.pump([0.1] * 3)
        assert other.texts == ([] if port == 5081 else ["secret"])


def test_a_phone_that_said_no_gets_it_when_it_is_there_again(net: Net, phone: Phone, did: Did) -> None:
    """While another is still asked; one that refused it for good is left alone."""
    dead, choosy = Phone(net, port=5081), Phone(net, port=5082)
    for other, status in ((dead, None), (choosy, 415), (phone, 480)):
        other.register(Expires="7200")
        other.answer = lambda request, status=status: status  # type: ignore[misc]
    delivery = net.arrives(did, "hi")
    phone.answer = choosy.answer = lambda request: 200
    choosy.register()
    assert len(choosy.received) == 1
    phone.register()
    assert net.state(delivery) == ("delivered", "delivered")
    assert [len(each.received) for each in (phone, choosy)] == [2, 1]


def test_a_phone_that_goes_ends_its_request(net: Net, phone: Phone, did: Did) -> None:
    """It is off then; its answer counts all the same."""
    phone.register(Expires="7200")
    phone.answer = lambda request: None
    first, second = net.arrives(did, "first"), net.arrives(did, "second")
    phone.register("*", Expires="0")
    assert net.state(first) == ("pending", "phone_silent")
    heard = len(phone.received)
    net.reactor.pump([1.0] * 20)
    assert len(phone.received) == heard
    late_answer(phone, phone.received[0])
    net.reactor.pump([0.1] * 3)
    assert net.state(first) == ("delivered", "delivered")
    assert net.state(second) == ("pending", "phone_off")


def test_a_phone_that_is_kicked_ends_its_request(net: Net, phone: Phone, did: Did) -> None:
    phone.register(Expires="7200")
    phone.answer = lambda request: None
    delivery = net.arrives(did, "hi")
    account = net.sip.directory.find("alice")
    assert account is not None
    assert success(net.sip.kick(account.id)) == 1
    assert net.state(delivery) == ("pending", "phone_silent")


def test_a_phone_that_never_rests(net: Net, phone: Phone, did: Did) -> None:
    """It moves for ever and never answers: each attempt ends."""
    phone.register(f"{phone.contact};{INSTANCE}", Expires="7200")
    phone.answer = lambda request: None
    delivery = net.arrives(did, "hi")
    here = phone
    for port in range(6000, 6020):
        here = moves(here, port, "same instance", answers=None)
        net.reactor.pump([1.0] * 2)
    with net.store.engine.snapshot() as connection:
        row = connection.execute(select(tables.delivery).where(tables.delivery.c.id == delivery.id)).one()
    assert row.attempts > 1


def late_answer(phone: Phone, request: Request, status: int = 200) -> None:
    octets = response_to(request, status, "phone", "Late").serialise()
    phone.net.socket.datagramReceived(octets, phone.address)


def test_an_answer_after_its_time_settles_the_text(net: Net, phone: Phone, did: Did) -> None:
    phone.register(Expires="7200")
    phone.answer = lambda request: None
    delivery = net.arrives(did, "once")
    net.reactor.pump([1.0] * 36)
    assert net.state(delivery) == ("pending", "phone_silent")
    late_answer(phone, phone.received[-1])
    net.reactor.pump([0.1] * 3)
    assert net.state(delivery) == ("delivered", "delivered")
    heard = len(phone.received)
    net.reactor.pump([1.0] * 120)
    assert len(phone.received) == heard


def test_an_answer_after_its_time_while_another_contact_is_asked(net: Net, phone: Phone, did: Did) -> None:
    other = Phone(net, port=5081)
    for each in (phone, other):
        each.register(Expires="7200")
        each.answer = lambda request: None
    first = net.arrives(did, "once")
    net.reactor.pump([1.0] * 49)  # the second attempt is under way
    late_answer(phone, phone.received[0])
    assert net.state(first) == ("delivered", "delivered")


def test_a_late_refusal_settles_nothing(net: Net, phone: Phone, did: Did) -> None:
    phone.register(Expires="7200")
    phone.answer = lambda request: None
    delivery = net.arrives(did, "once")
    net.reactor.pump([1.0] * 36)
    late_answer(phone, phone.received[-1], 480)
    assert net.state(delivery) == ("pending", "phone_silent")
    phone.answer = lambda request: 200
    net.reactor.pump([1.0] * 20)
    assert net.state(delivery) == ("delivered", "delivered")


def test_a_phone_can_tell_a_copy(net: Net, phone: Phone, did: Did) -> None:
    """What got no answer comes again as it was; what was answered comes as a request of its own."""
    phone.register(Expires="7200")
    phone.answer = lambda request: None
    net.arrives(did, "once")
    net.reactor.pump([1.0] * 33)
    phone.answer = lambda request: 480
    net.reactor.pump([1.0] * 16)
    first, again = phone.received[0], phone.received[-1]
    assert first.serialise() == again.serialise()
    net.reactor.pump([1.0] * 31)
    other = phone.received[-1]
    assert other.call_id == first.call_id
    assert (other.via.branch != first.via.branch, other.cseq.number > first.cseq.number) == (True, True)


def test_a_contact_with_more_than_a_start_line_may_have(net: Net, phone: Phone, did: Did) -> None:
    phone.register("<sip:a?b;method=c@192.0.2.7:5070;ob;method=INVITE;x=y?Subject=x&Route=%3Csip:evil%3E>")
    net.arrives(did, "hi")
    assert phone.received[0].uri == "sip:a?b;method=c@192.0.2.7:5070;ob;x=y"


@pytest.mark.parametrize(
    ("status", "state", "outcome"),
    [
        (482, "pending", "phone_silent"),
        (202, "delivered", "delivered"),
        (200, "delivered", "delivered"),
        (415, "failed", "refused"),
        (603, "failed", "refused"),
        (302, "failed", "refused"),
        (480, "pending", "phone_silent"),
        (500, "pending", "phone_silent"),
        (404, "pending", "phone_silent"),
    ],
)
def test_answers(net: Net, phone: Phone, did: Did, status: int, state: str, outcome: str) -> None:
    phone.register()
    phone.answer = lambda request: status
    assert net.state(net.arrives(did, "hi")) == (state, outcome)


def test_after_72_hours_it_is_in_the_portal_only(net: Net, phone: Phone, did: Did) -> None:
    delivery = net.arrives(did, "old")
    net.reactor.advance(72 * 3600 + 1)
    net.reactor.advance(1)
    assert net.state(delivery) == ("failed", "expired")
    phone.register()
    net.reactor.pump([1.0] * 5)
    assert phone.received == []


def test_an_account_that_is_gone(net: Net, did: Did) -> None:
    assert net.state(net.arrives(did, "hi", f"sip:nobody@{DOMAIN}")) == ("failed", "no_such_account")


def test_a_store_that_fails_at_the_register_wakes_later(net: Net, phone: Phone, did: Did) -> None:
    delivery = net.arrives(did, "hi")
    run = net.store.writer.run

    def refuse_to_wake(description: str, fn: Any) -> Any:
        gone = StoreUnavailable("gone for a moment")
        return fail(gone) if description.startswith("wake") else run(description, fn)

    net.store.writer.run = refuse_to_wake  # type: ignore[method-assign,assignment]
    phone.register(Expires="7200")
    net.store.writer.run = run  # type: ignore[method-assign]
    assert net.state(delivery)[0] == "pending"
    net.reactor.advance(OFF_SECONDS)
    net.reactor.pump([1.0] * 2)
    assert net.state(delivery)[0] == "delivered"


def by_tcp(net: Net, phone: Phone) -> Stream:
    """Register over a connection."""
    stream = Stream(net, phone)

    def put(data: bytes, peer: tuple[str, int]) -> Any:
        before = len(net.sent)
        net.sip.agent.received(data, stream)
        return list(net.answers(before, peer))

    net.put = put  # type: ignore[method-assign]
    assert phone.register().status == 200
    return stream


def test_by_the_connection_that_it_registered_on(net: Net, phone: Phone, did: Did) -> None:
    by_tcp(net, phone)
    delivery = net.arrives(did, "long " * 400)
    assert net.state(delivery)[0] == "delivered"
    assert phone.received[0].via.transport == "TCP"


def test_a_fault_holds_up_nothing(net: Net, phone: Phone, did: Did) -> None:
    stream = by_tcp(net, phone)

    def fails(data: bytes) -> None:
        raise OSError("no room")

    send, stream.send = stream.send, fails  # type: ignore[method-assign]
    first = net.arrives(did, "one")
    assert net.state(first) == ("pending", "phone_silent")
    stream.send = send  # type: ignore[method-assign]
    net.reactor.pump([1.0] * 16)
    net.arrives(did, "two")
    assert phone.texts == ["one", "two"]


def test_a_lost_connection_ends_the_attempt_at_once(net: Net, phone: Phone, did: Did) -> None:
    stream = by_tcp(net, phone)
    phone.answer = lambda request: None
    delivery = net.arrives(did, "hi")
    stream.open = False
    net.sip.agent.flow_lost(stream, "gone")
    assert net.state(delivery) == ("pending", "phone_silent")
    assert net.reactor.tcpClients == []
    net.reactor.advance(16)
    assert [client[:2] for client in net.reactor.tcpClients] == [("192.0.2.7", 5070)]


@pytest.mark.parametrize(("how", "state"), [("send", "delivered"), ("refuse", "failed")])
def test_too_long_for_a_datagram(inline_store: InlineStore, did: Did, how: str, state: str) -> None:
    net = Net(inline_store, large_udp=how)
    net.account(did)
    phone = Phone(net)
    phone.register("<sip:alice@10.0.0.9>")  # behind a NAT: no way by TCP
    delivery = net.arrives(did, "x" * UDP_MAX_OCTETS)
    assert net.state(delivery)[0] == state
    assert len(phone.received) == (how == "send")


def test_too_long_for_a_datagram_tries_tcp(net: Net, phone: Phone, did: Did) -> None:
    phone.register()
    net.arrives(did, "x" * UDP_MAX_OCTETS)
    assert phone.received == []
    assert [client[:2] for client in net.reactor.tcpClients] == [("192.0.2.7", 5070)]


def test_from_the_socket_that_its_register_came_to(inline_store: InlineStore, did: Did) -> None:
    """A NAT lets in what comes from there only; a restart does not change that."""
    other = ("192.0.2.2", 5060)
    net = Net(inline_store, udp=("192.0.2.1:5060", "192.0.2.2:5060"))
    net.account(did)
    phone = Phone(net)
    net.socket = net.sockets[other]
    phone.register()
    net.arrives(did, "hi")
    assert net.sent_from[-1] == other
    net.boot()
    net.socket = net.sockets[other]
    net.arrives(did, "ho")
    assert net.sent_from[-1] == other
    assert phone.texts == ["hi", "ho"]


def test_a_closed_connection_is_forgotten_and_the_others_are_not(net: Net, phone: Phone, did: Did) -> None:
    streams = [by_tcp(net, Phone(net, port=port)) for port in (5081, 5082)]
    streams[0].open = False
    net.sip.agent.flow_lost(streams[0], "gone")
    assert [binding.flow for binding in net.sip.bindings] == [None, streams[1]]
    phone.address = streams[1].peer
    phone.register("*", Expires="0")
    assert list(net.sip.bindings) == []
    net.sip.agent.flow_lost(streams[1], "gone")


def test_a_path_is_a_route(net: Net, phone: Phone, did: Did) -> None:
    phone.register(Path="<sip:p1;lr>, <sip:p2;lr>")
    net.arrives(did, "hi")
    assert phone.received[0].headers.all("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]


# -- what a phone says of the texts that it got ------------------------------------------------------------


def says(phone: Phone, message_id: str, kind: str, status: str) -> int:
    body = (
        f'<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>{message_id}</message-id>'
        f"<{kind}-notification><status><{status}/></status></{kind}-notification></imdn>"
    )
    return phone.message(text=body, Content_Type="message/imdn+xml").status


def test_a_phone_is_asked_for_reports_and_they_are_kept(net: Net, phone: Phone, did: Did) -> None:
    net.account(did, reports=True)
    phone.register()
    delivery = net.arrives(did, "Grüße")
    [request] = phone.received
    read = read_body(request.headers.get("Content-Type"), None, request.body)
    assert read == Content("Grüße", f"{delivery.id:x}", frozenset(Wish) - {Wish.PROCESSING})
    assert says(phone, f"{delivery.id:x}", "delivery", "delivered") == 200
    assert net.state(delivery) == ("delivered", "received")
    assert says(phone, f"{delivery.id:x}", "display", "displayed") == 200
    assert says(phone, f"{delivery.id:x}", "delivery", "delivered") == 200
    assert net.state(delivery) == ("delivered", "displayed")
    assert net.sip.reports.counters.matched == 2


def test_a_report_that_names_our_call_id(net: Net, phone: Phone, did: Did) -> None:
    phone.register()
    delivery = net.arrives(did, "hi")
    assert says(phone, phone.received[0].call_id, "delivery", "error") == 200
    assert net.state(delivery) == ("delivered", "reported_failed")


def test_reports_that_fit_nothing_or_another_phones_text(net: Net, phone: Phone, did: Did) -> None:
    net.account(did, "bob")
    bob = Phone(net, "bob", port=5090)
    phone.register()
    delivery = net.arrives(did, "hi")
    for message_id in ("unknown", "7", f"{delivery.id + 1:x}", "f" * 15, ""):
        assert says(phone, message_id, "display", "displayed") in (200, 400)
    assert says(bob, f"{delivery.id:x}", "display", "displayed") == 200
    assert says(phone, f"{delivery.id:x}", "processing", "processed") == 200
    assert net.state(delivery) == ("delivered", "delivered")


def test_a_report_is_answered_after_the_commit(net: Net, phone: Phone, did: Did) -> None:
    phone.register()
    delivery = net.arrives(did, "hi")
    net.store.writer.failing = True
    assert says(phone, f"{delivery.id:x}", "display", "displayed") == 503
    net.store.writer.failing = False
    assert says(phone, f"{delivery.id:x}", "display", "displayed") == 200
    assert net.state(delivery) == ("delivered", "displayed")


# -- what became of a phone's own message -------------------------------------------------------------------


def report(net: Net, did: Did, event: str, wants: str = "negative-delivery") -> DeliveryRecord:
    """A status event for a message that alice sent with a wish for receipts."""
    now_ms = net.reactor.wall_ms()
    message = record(net.store, did, now_ms, "mt", leg="sip")
    target = f'imdn:{{"user":"alice","id":"m<1>","wants":["positive-delivery","{wants}"]}}'
    delivery = DeliveryRecord(
        id=net.store.ids.next(),
        message_id=message.id,
        account_id=did.account_id,
        did_id=did.id,
        handler="imdn",
        target=target,
        state=DeliveryState.PENDING,
        attempts=0,
        due_at=now_ms,
        created_at=now_ms,
        updated_at=now_ms,
        event=event,
    )
    net.commit(DueDelivery(delivery, message))
    return delivery


@pytest.mark.parametrize(("event", "status"), [("delivered", "delivered"), ("failed", "failed")])
def test_reports_come_as_imdn(net: Net, phone: Phone, did: Did, event: str, status: str) -> None:
    phone.register()
    assert net.state(report(net, did, event))[0] == "delivered"
    [request] = phone.received
    assert request.from_.uri == f"sip:{PEER}@{DOMAIN}"
    read = read_body(request.headers.get("Content-Type"), None, request.body)
    assert read == Receipt("m<1>", "delivery", status)


def test_reports_that_nobody_wants(net: Net, phone: Phone, did: Did) -> None:
    phone.register()
    assert net.state(report(net, did, "failed", "display")) == ("delivered", "not_wanted")
    assert phone.received == []


@pytest.mark.parametrize("event", ["queued", "sent"])
def test_what_goes_well_is_no_failure(net: Net, phone: Phone, did: Did, event: str) -> None:
    phone.register()
    assert net.state(report(net, did, event)) == ("delivered", "not_wanted")
    assert phone.received == []


def test_no_report_is_stored_of_what_a_phone_is_not_told(net: Net, did: Did) -> None:
    asked = 'imdn:{"user":"alice","id":"m1","wants":["negative-delivery"]}'
    message = record(net.store, did, net.reactor.wall_ms(), "mt", leg="sip", status_callback=asked)
    assert statuses.queued(message, net.store.ids.next, lambda due: due) == []


def test_reports_to_phones_that_do_not_take_them(net: Net, phone: Phone, did: Did) -> None:
    assert net.state(report(net, did, "delivered")) == ("pending", "phone_off")
    phone.register()
    for status, expected in ((415, ("failed", "refused")), (480, ("pending", "phone_silent"))):
        phone.answer = lambda request, status=status: status  # type: ignore[misc]
        assert net.state(report(net, did, "delivered")) == expected
    assert ATTEMPTS > 100


def test_no_conversation_of_a_user_overtakes_another(net: Net, phone: Phone, did: Did) -> None:
    for text, peer in (("one", PEER), ("two", PEER), ("three", "+12025550177")):
        net.arrives(did, text, peer=peer)
    phone.register()
    net.reactor.pump([1.0] * 3)
    assert phone.texts == ["one", "two", "three"]


@pytest.mark.parametrize("status", [None, 503])
def test_a_register_wakes_what_is_left(net: Net, phone: Phone, did: Did, status: int | None) -> None:
    phone.register(Expires="7200")
    phone.answer = lambda request: status
    delivery = net.arrives(did, "hi")
    net.reactor.pump([1.0] * 3_000)
    assert net.state(delivery) == ("pending", "phone_silent")
    phone.answer = lambda request: 200
    phone.register()
    net.reactor.pump([1.0] * 3)
    assert net.state(delivery) == ("delivered", "delivered")


def test_a_skipped_text_does_not_hold_back_the_next(net: Net, phone: Phone, did: Did) -> None:
    first = net.arrives(did, "first")
    net.arrives(did, "second")
    now_ms = net.reactor.wall_ms()
    success(net.store.writer.run("skip", lambda conn: deliveries.skip(conn, first.id, None, "why", now_ms)))
    phone.register()
    net.reactor.pump([1.0] * 3)
    assert phone.texts == ["second"]
