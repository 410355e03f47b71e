from collections.abc import Sequence

from edge.simulator.phones import Direction, MessageState, PartKey, Phones

PHONE = "+12025550150"
GUEST = "+12025550199"
DID = "+12025550100"


def ucs2(parts: Sequence[bytes]) -> str:
    return b"".join(parts).decode("utf-16-be", "replace")


def book(**limits: int) -> Phones:
    return Phones([PHONE], lambda: 1_700_000_000_000, **limits)


def only(phones: Phones, number: str = PHONE) -> list[tuple[str, str]]:
    phone = phones.find(number)
    assert phone is not None
    return [(message.text, str(message.state)) for message in phone.messages]


def test_configured_phones_are_there_before_anything_happened() -> None:
    phones = book()
    assert [phone.number for phone in phones.all()] == [PHONE]
    assert phones.find(PHONE) is not None
    assert phones.find(GUEST) is None


def test_a_number_that_is_texted_appears() -> None:
    phones = book()
    phones.receive(GUEST, DID, "hello")
    assert [phone.number for phone in phones.all()] == [PHONE, GUEST]
    message = phones.all()[1].messages[0]
    assert (message.direction, message.peer, message.text) == (Direction.IN, DID, "hello")
    assert (message.state, message.at_ms) == (MessageState.ARRIVED, 1_700_000_000_000)


def test_a_sent_message_is_delivered_when_all_parts_are_answered() -> None:
    phones = book()
    sent = phones.send(PHONE, DID, "long", 2)
    assert only(phones) == [("long", "pending")]
    phones.part_answered(PHONE, sent.id)
    assert only(phones) == [("long", "pending")]
    phones.part_answered(PHONE, sent.id)
    assert only(phones) == [("long", "delivered")]


def test_a_refused_message_stays_refused() -> None:
    phones = book()
    sent = phones.send(PHONE, DID, "long", 2)
    phones.refused(PHONE, sent.id, "ESME_RX_P_APPN")
    phones.part_answered(PHONE, sent.id)
    phone = phones.find(PHONE)
    assert phone is not None
    assert phone.messages[0].state is MessageState.REFUSED
    assert phone.messages[0].reason == "ESME_RX_P_APPN"


def test_a_delivered_message_is_not_refused_afterwards() -> None:
    phones = book()
    sent = phones.send(PHONE, DID, "short", 1)
    phones.part_answered(PHONE, sent.id)
    phones.refused(PHONE, sent.id, "too late")
    assert only(phones) == [("short", "delivered")]


def test_parts_in_any_order_make_one_message_and_a_gap_shows() -> None:
    phones = book()
    key = PartKey(DID, "udh8", 7, 3)
    phones.receive_part(PHONE, key, 3, "ghi".encode("utf-16-be"), ucs2)
    phones.receive_part(PHONE, key, 1, "abc".encode("utf-16-be"), ucs2)
    assert only(phones) == [("abc … ghi", "arriving")]
    whole = phones.receive_part(PHONE, key, 2, "def".encode("utf-16-be"), ucs2)
    assert only(phones) == [("abcdefghi", "arrived")]
    assert (whole.parts_done, whole.parts_total) == (3, 3)


def test_a_character_cut_between_two_parts_is_whole_again() -> None:
    phones = book()
    key = PartKey(DID, "udh8", 7, 2)
    octets = "😀".encode("utf-16-be")
    phones.receive_part(PHONE, key, 1, octets[:2], ucs2)
    phones.receive_part(PHONE, key, 2, octets[2:], ucs2)
    assert only(phones) == [("😀", "arrived")]


def test_a_repeated_part_changes_nothing() -> None:
    phones = book()
    key = PartKey(DID, "udh8", 7, 2)
    for _ in range(2):
        phones.receive_part(PHONE, key, 1, b"\0a", ucs2)
    assert only(phones) == [("a", "arriving")]


def test_a_reference_used_again_begins_a_new_message() -> None:
    phones = book()
    key = PartKey(DID, "udh8", 7, 2)
    phones.receive_part(PHONE, key, 1, b"\0a", ucs2)
    phones.receive_part(PHONE, key, 1, b"\0x", ucs2)
    phones.receive_part(PHONE, key, 2, b"\0y", ucs2)
    assert only(phones) == [("a", "arriving"), ("xy", "arrived")]


def test_two_senders_with_one_reference_are_kept_apart() -> None:
    phones = book()
    for peer in (DID, GUEST):
        phones.receive_part(PHONE, PartKey(peer, "udh8", 7, 2), 1, b"\0a", ucs2)
    assert only(phones) == [("a", "arriving"), ("a", "arriving")]


def test_a_phone_keeps_its_last_messages() -> None:
    phones = book(kept_messages=3)
    for number in range(5):
        phones.receive(PHONE, DID, str(number))
    assert only(phones) == [("2", "arrived"), ("3", "arrived"), ("4", "arrived")]


def test_parts_of_a_forgotten_message_begin_a_new_one() -> None:
    phones = book(kept_messages=1)
    key = PartKey(DID, "udh8", 7, 2)
    phones.receive_part(PHONE, key, 1, b"\0a", ucs2)
    phones.receive(PHONE, DID, "other")
    phones.receive_part(PHONE, key, 2, b"\0b", ucs2)
    assert only(phones) == [("b", "arriving")]


def test_of_the_guests_those_used_last_are_kept() -> None:
    phones = book(kept_guests=2)
    for number in ("+1", "+2", "+1", "+3"):
        phones.receive(number, DID, "hello")
    assert [phone.number for phone in phones.all()] == [PHONE, "+1", "+3"]


def test_each_change_is_told_and_counted() -> None:
    phones = book()
    told: list[int] = []
    stop = phones.listen(lambda: told.append(phones.version))
    before = phones.version
    phones.receive(PHONE, DID, "hello")
    assert told == [before + 1]
    stop()
    phones.receive(PHONE, DID, "hello")
    assert told == [before + 1]
    assert phones.version == before + 2
