import pytest
from twisted.internet.error import CannotListenError

from edge.simulator import (
    Behaviour,
    MessageRefused,
    NotSendable,
    SimulatorStopped,
    SpoolFull,
)
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import DeliverSm
from protocols.sms import decode
from tests.deferreds import failure, pending, success
from tests.unit.edge.simulator.esme import DID, PHONE, Scene

TEXTS = [
    "Hello, world",
    "é€^{}[]~|\\",
    "👍🏽 and 👨‍👩‍👧‍👦",
    "+ & # % = <script>",
    "line one\nline two",
    "مرحبا بالعالم",
    "x" * 161,
    "é€👍🏽" * 100,
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_reaches_the_server_as_it_was_written(text: str) -> None:
    scene = Scene()
    link = scene.bind()
    done = scene.simulator.inject(PHONE, DID, text)
    pdus = link.only(DeliverSm)
    assert {(pdu.source_addr, pdu.destination_addr) for pdu in pdus} == {(PHONE[1:], DID[1:])}
    assert {(pdu.source_addr_ton, pdu.dest_addr_ton) for pdu in pdus} == {(1, 1)}
    parts = [decode(pdu.short_message, pdu.data_coding, udhi=bool(pdu.esm_class & 0x40)).text for pdu in pdus]
    assert "".join(parts) == text
    assert scene.bubbles() == [("out", text, "pending")]
    link.answer(*pdus[:-1])
    pending(done)
    link.answer(pdus[-1])
    success(done)
    assert scene.bubbles() == [("out", text, "delivered")]


def test_a_text_waits_for_the_bind() -> None:
    scene = Scene()
    done = scene.simulator.inject(PHONE, DID, "hello")
    assert scene.simulator.waiting == 1
    assert scene.connect().only(DeliverSm) == []
    link, pdus = scene.bind_again()
    assert [pdu.short_message for pdu in pdus] == [b"hello"]
    pending(done)
    link.answer(*pdus)
    success(done)


def test_a_temporary_status_means_the_same_again() -> None:
    scene = Scene(Behaviour(retry=1.0))
    link = scene.bind()
    done = scene.simulator.inject(PHONE, DID, "hello")
    (first,) = link.only(DeliverSm)
    link.answer(first, status=CommandStatus.ESME_RX_T_APPN)
    pending(done)
    scene.reactor.advance(1.0)
    (second,) = link.only(DeliverSm)
    assert second.numbered(0) == first.numbered(0)
    link.answer(second)
    success(done)


def test_what_was_not_answered_comes_again_after_the_next_bind() -> None:
    scene = Scene()
    link = scene.bind()
    done = [scene.simulator.inject(PHONE, DID, text) for text in ("one", "two", "three")]
    first = link.only(DeliverSm)
    link.answer(first[1])
    link.lose()
    again, pdus = scene.bind_again()
    assert [pdu.short_message for pdu in pdus] == [b"one", b"three"]
    again.answer(*pdus)
    for one in done:
        success(one)


def test_no_answer_in_time_means_the_same_again_and_a_late_one_counts() -> None:
    scene = Scene(Behaviour(response_timeout=5.0, retry=1.0, enquire_link=1000.0))
    link = scene.bind()
    done = scene.simulator.inject(PHONE, DID, "hello")
    (first,) = link.only(DeliverSm)
    scene.reactor.pump([5.0, 1.0])
    (second,) = link.only(DeliverSm)
    assert second.short_message == first.short_message
    link.answer(first)
    success(done)
    link.answer(second)
    assert scene.bubbles() == [("out", "hello", "delivered")]


def test_a_final_refusal_shows_and_fails() -> None:
    scene = Scene()
    link = scene.bind()
    done = scene.simulator.inject(PHONE, DID, "x" * 200)
    first, second = link.only(DeliverSm)
    link.answer(first, status=CommandStatus.ESME_RX_P_APPN)
    link.answer(second)
    assert failure(done, MessageRefused).command_status == CommandStatus.ESME_RX_P_APPN
    phone = scene.simulator.phone(PHONE)
    assert phone is not None
    assert (phone.messages[0].state, phone.messages[0].reason) == ("refused", "ESME_RX_P_APPN")


def test_the_window_is_kept() -> None:
    scene = Scene(Behaviour(window=2))
    link = scene.bind()
    for number in range(5):
        scene.simulator.inject(PHONE, DID, str(number))
    first = link.only(DeliverSm)
    assert [pdu.short_message for pdu in first] == [b"0", b"1"]
    answers = link.answer(*first)
    assert [pdu.short_message for pdu in answers if isinstance(pdu, DeliverSm)] == [b"2", b"3"]


def test_long_texts_that_follow_each_other_have_other_references() -> None:
    scene = Scene()
    link = scene.bind()
    for _ in range(2):
        scene.simulator.inject(PHONE, DID, "x" * 200)
    references = [pdu.short_message[3] for pdu in link.only(DeliverSm)]
    assert len(references) == 4
    assert references[0] == references[1] != references[2] == references[3]


def test_more_than_may_wait_is_refused_and_shows_nowhere() -> None:
    scene = Scene(Behaviour(pending=2))
    scene.simulator.inject(PHONE, DID, "one")
    failure(scene.simulator.inject(PHONE, DID, "x" * 200), SpoolFull)
    pending(scene.simulator.inject(PHONE, DID, "two"))
    failure(scene.simulator.inject(PHONE, DID, "three"), SpoolFull)
    assert [text for _, text, _ in scene.bubbles()] == ["one", "two"]


def test_thousands_of_pending_texts_of_one_phone_all_end() -> None:
    scene = Scene()
    done = [scene.simulator.inject(PHONE, DID, str(number)) for number in range(1200)]
    link, pdus = scene.bind_again()
    while pdus:
        pdus = [pdu for pdu in link.answer(*pdus) if isinstance(pdu, DeliverSm)]
    for one in done:
        success(one)
    assert len(scene.bubbles()) == 500


@pytest.mark.parametrize(
    ("phone", "did"),
    [("+12025550150", "what"), ("", DID), ("much too long a name", DID), ("+12", DID), (PHONE, "")],
)
def test_a_bad_number_is_a_clear_error(phone: str, did: str) -> None:
    scene = Scene()
    error = failure(scene.simulator.inject(phone, did, "hello"), NotSendable)
    assert len(str(error)) > 20
    assert scene.simulator.waiting == 0


def test_a_text_too_long_for_255_parts_is_a_clear_error() -> None:
    failure(Scene().simulator.inject(PHONE, DID, "x" * 153 * 256), NotSendable)


def test_a_short_code_and_a_name_may_send() -> None:
    scene = Scene()
    link = scene.bind()
    for sender in ("12345", "ACME"):
        scene.simulator.inject(sender, DID, "hello")
    short, name = link.only(DeliverSm)
    assert (short.source_addr, short.source_addr_ton) == ("12345", 3)
    assert (name.source_addr, name.source_addr_ton) == ("ACME", 5)


def test_stop_unbinds_and_tells_who_waits() -> None:
    scene = Scene()
    link = scene.bind()
    done = scene.simulator.inject(PHONE, DID, "hello")
    stopped = scene.simulator.stop()
    failure(done, SimulatorStopped)
    assert [type(pdu).__name__ for pdu in link.read()] == ["DeliverSm", "Unbind"]
    pending(stopped)
    link.lose()
    success(stopped)
    assert scene.simulator.binds() == []
    assert scene.reactor.getDelayedCalls() == []


def test_stop_does_not_wait_for_a_peer_that_does_not_answer() -> None:
    scene = Scene()
    link = scene.bind()
    stopped = scene.simulator.stop()
    scene.reactor.advance(1.9)
    assert not link.transport.disconnecting
    scene.reactor.advance(0.1)
    scene.reactor.advance(0)
    assert link.transport.disconnecting
    pending(stopped)
    link.lose()
    success(stopped)
    assert scene.reactor.getDelayedCalls() == []


def test_it_listens_where_it_was_told() -> None:
    scene = Scene(smpp_listen="127.0.0.1:2775")
    scene.simulator.open()
    ((port, _, _, interface),) = scene.reactor.tcpServers
    assert (port, interface) == (2775, "127.0.0.1")


def test_a_port_that_is_taken_fails_the_start() -> None:
    scene = Scene()

    def taken(*_: object, **__: object) -> None:
        raise CannotListenError("127.0.0.1", 2775, OSError("in use"))

    scene.reactor.listenTCP = taken
    failure(scene.simulator.start(), CannotListenError)
