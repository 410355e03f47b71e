"""Long messages from their parts."""

import pytest

from protocols.sms import Alphabet, Concatenation, Encoding, Key, Part, Reassembly, joined, key_of
from protocols.sms.header import Element
from protocols.sms.reassembly import MAX_SETS, MISSING, Added

KEY = Key("carrier", "+1", "+2", "udh8", 7, 3)
OF_TWO = KEY._replace(total=2)
ONE, TWO, THREE = (
    Part(number, text, udhi=False) for number, text in ((1, b"one "), (2, b"two "), (3, b"three"))
)


@pytest.mark.parametrize("order", [(ONE, TWO, THREE), (THREE, TWO, ONE), (TWO, THREE, ONE)])
def test_any_order(order: tuple[Part, ...]) -> None:
    model = Reassembly()
    assert model.add(KEY, order[0], 0.0) == Added()
    assert model.add(KEY, order[1], 1.0) == Added()
    message = model.add(KEY, order[2], 2.0).message
    assert message is not None
    assert (message.parts, message.missing, message.first_at) == ((ONE, TWO, THREE), (), 0.0)
    assert joined(message.parts, 3).text == "one two three"
    assert len(model) == 0
    assert model.overdue(1e9, 0.0) == []


def test_an_equal_part_is_a_repetition() -> None:
    model = Reassembly()
    model.add(KEY, ONE, 0.0)
    assert model.add(KEY, ONE, 1.0) == Added(repeated=True)
    assert len(model) == 1


def test_a_different_part_in_a_taken_place_is_another_message() -> None:
    model = Reassembly()
    other = ONE._replace(user_data=b"ONE ")
    model.add(KEY, ONE, 0.0)
    assert model.add(KEY, other, 1.0) == Added()
    model.add(KEY, TWO, 2.0)
    message = model.add(KEY, THREE, 3.0).message
    assert message is not None
    assert message.parts == (other, TWO, THREE)  # never half of one message with half of the other
    assert [late.parts for late in model.overdue(10.0, 5.0)] == [(ONE,)]


def test_parts_that_the_newer_message_has_are_of_the_older() -> None:
    model = Reassembly()
    newer = [part._replace(user_data=part.user_data.upper()) for part in (ONE, TWO, THREE)]
    for part in (ONE, TWO, newer[0], newer[1]):
        assert model.add(KEY, part, 0.0) == Added()
    first, second = model.add(KEY, newer[2], 0.0).message, model.add(KEY, THREE, 0.0).message
    assert first is not None
    assert second is not None
    assert (first.parts, second.parts) == (tuple(newer), (ONE, TWO, THREE))


@pytest.mark.parametrize(
    "other",
    [
        KEY._replace(group="x"),
        KEY._replace(source="+3"),
        KEY._replace(destination="+3"),
        KEY._replace(kind="udh16"),
        KEY._replace(reference=8),
        KEY._replace(total=4),
    ],
)
def test_what_makes_a_message_another(other: Key) -> None:
    model = Reassembly()
    model.add(KEY, ONE, 0.0)
    model.add(KEY, TWO, 0.0)
    assert model.add(other, THREE, 0.0) == Added()
    assert len(model) == 3


def test_what_came_is_given_when_it_waited_too_long() -> None:
    model = Reassembly()
    model.add(KEY, THREE, 5.0)
    model.add(KEY._replace(reference=8), ONE, 3.0)
    model.add(KEY, ONE, 20.0)
    assert model.overdue(12.9, 10.0) == []
    assert [message.first_at for message in model.overdue(15.0, 10.0)] == [3.0, 5.0]
    model.add(KEY, THREE, 5.0)
    model.add(KEY, ONE, 6.0)
    (late,) = model.overdue(15.0, 10.0)
    assert late.missing == (2,)
    result = joined(late.parts, late.key.total)
    assert (result.text, result.missing) == (f"one {MISSING}three", (2,))


def test_a_part_beyond_the_total_is_refused() -> None:
    for number in (0, 4):
        with pytest.raises(ValueError, match="no part"):
            Reassembly().add(KEY, ONE._replace(number=number), 0.0)


def test_the_key_of_a_concatenation() -> None:
    assert key_of("carrier", "+1", "+2", Concatenation(7, 3, 1, "udh8")) == KEY


def test_what_a_sender_cut_in_two_is_healed() -> None:
    escape = joined([Part(1, b"a\x1b", udhi=False), Part(2, b"eb", udhi=False)], 2)
    assert escape.text == "a€b"
    pair = joined([Part(1, b"\x00a\xd8\x3d", 8, False), Part(2, b"\xde\x00", 8, False)], 2)
    assert (pair.text, pair.undecodable) == ("a😀", False)
    octets = ("я" * 132 + "😀").encode("utf-16-be")
    heads = [bytes((6, 8, 4, 0, 7, 3, number)) for number in (1, 2, 3)]
    cut = [octets[:133], octets[133:266], octets[266:]]
    parts = [Part(number, heads[number - 1] + piece, 8) for number, piece in enumerate(cut, 1)]
    unit = joined(parts, 3)
    assert (unit.text, unit.undecodable) == ("я" * 132 + "😀", False)


def test_halves_of_different_characters_are_not_put_together() -> None:
    lost = joined([Part(1, b"\xd8\x3d", 8, False), Part(3, b"\xde\x00", 8, False)], 3)
    assert (lost.text, lost.undecodable, lost.missing) == (f"\ufffd{MISSING}\ufffd", True, (2,))


def test_one_octet_too_many_does_not_shift_the_rest() -> None:
    stray = b"\x04\x4f\x04"
    result = joined([Part(1, stray, 8, False), Part(2, b"\x04\x4f", 8, False)], 2)
    assert (result.text, result.undecodable) == ("я\ufffdя", True)
    both = joined([Part(1, stray, 8, False), Part(2, stray, 8, False)], 2)
    assert (both.text, both.undecodable) == ("я\ufffdя\ufffd", True)
    healed = joined([Part(1, b"\x00a\xd8\x3d", 8, False), Part(2, b"\xde\x00\x00b\x00", 8, False)], 2)
    assert (healed.text, healed.undecodable) == ("a😀b\ufffd", True)


def test_mixed_encodings() -> None:
    parts = [Part(2, b"\x04\x4f", 8, False), Part(1, b"\x05", 0, False), Part(3, b"\x05\x1be", 0, False)]
    result = joined(parts, 3)
    assert result.text == "éяé€"
    assert result.encodings == (Encoding.GSM7, Encoding.UCS2)


def test_national_tables_are_each_parts_own() -> None:
    turkish = bytes.fromhex("08000307020124" + "0101") + b"\x1bs"
    plain = bytes.fromhex("050003070202") + b"\x1bs"
    assert joined([Part(1, turkish), Part(2, plain)], 2).text == "şs"


def test_other_elements_are_kept() -> None:
    first = bytes.fromhex("0b0504158115820003070201") + b"a"
    second = bytes.fromhex("0b0504158115820003070202") + b"b"
    result = joined([Part(2, second), Part(1, first)], 2)
    assert (result.text, result.elements) == ("ab", (Element(5, b"\x15\x81\x15\x82"),))


def test_a_part_that_comes_again_after_all_is_done_is_a_repetition_when_nothing_follows() -> None:
    model = Reassembly(remember=60)
    model.add(OF_TWO, Part(1, b"one"), 0)
    assert model.add(OF_TWO, Part(2, b"two"), 1).message is not None
    assert model.waits(OF_TWO, Part(1, b"one"))
    assert model.add(OF_TWO, Part(2, b"two"), 2) == Added()
    assert model.add(OF_TWO, Part(2, b"two"), 3).repeated
    assert model.add(OF_TWO._replace(reference=8), Part(2, b"two"), 2) == Added()
    copies, other = model.overdue(100, 60)
    assert (copies.repetition, copies.parts) == (True, (Part(2, b"two"),))
    assert not other.repetition
    model.put_back(copies)
    assert [message.repetition for message in model.overdue(100, 60)] == [True]
    assert model.add(OF_TWO, Part(2, b"two"), 62) == Added()
    assert [message.repetition for message in model.overdue(200, 60)] == [False], "too long after"


def test_the_next_message_under_a_reference_may_share_parts_with_the_last() -> None:
    model = Reassembly()
    code, stop = Part(1, b"Your code is 111."), Part(2, b" Reply STOP to end.")
    model.add(OF_TWO, code, 0)
    assert model.add(OF_TWO, stop, 1).message is not None
    another = code._replace(user_data=b"Your code is 222.")
    for order in ((another, stop), (stop, another), (code, stop), (stop, code)):
        assert model.add(OF_TWO, order[0], 2) == Added()
        message = model.add(OF_TWO, order[1], 3).message
        assert message is not None
        assert (set(message.parts), message.repetition) == (set(order), False)
    assert len(model) == 0


def test_copies_and_one_new_part_are_an_incomplete_message() -> None:
    model = Reassembly()
    for part in (ONE, TWO, THREE):
        model.add(KEY, part, 0)
    model.add(KEY, ONE, 1)
    model.add(KEY, Part(2, b"new", udhi=False), 1)
    (late,) = model.overdue(100, 60)
    assert (late.repetition, late.missing) == (False, (3,))


def test_a_message_that_could_not_be_taken_is_not_remembered() -> None:
    model = Reassembly()
    model.add(OF_TWO, Part(1, b"one"), 0)
    whole = model.add(OF_TWO, Part(2, b"two"), 0).message
    assert whole is not None
    model.put_back(whole)
    model.discard(OF_TWO, Part(2, b"two"))
    assert not model.waits(OF_TWO, Part(2, b"two"))
    assert model.add(OF_TWO, Part(2, b"two"), 1).message is not None


def test_one_key_can_not_hold_any_number_of_messages() -> None:
    model = Reassembly()
    for number in range(MAX_SETS + 3):
        model.add(OF_TWO, Part(1, b"%d" % number), number)
    assert len(model) == MAX_SETS
    out = model.overdue(MAX_SETS + 3, 1_000)
    assert [message.parts[0].user_data for message in out] == [b"0", b"1", b"2"]
    assert model.overdue(MAX_SETS + 3, 1_000) == []


def test_many_keys_can_not_hold_any_number_of_parts() -> None:
    model = Reassembly(most=10)
    for reference in range(12):
        model.add(OF_TWO._replace(reference=reference), Part(1, b"%d" % reference), reference)
    assert len(model) == 10
    first = model.overdue(12, 1_000)
    assert [message.parts[0].user_data for message in first] == [b"0", b"1"]
    model.put_back(first[0])
    assert model.add(first[0].key, Part(2, b"end"), 12).message is not None
    assert len(model) == 10


def test_a_part_that_makes_a_message_whole_crowds_out_none() -> None:
    model = Reassembly(most=1)
    model.add(OF_TWO, Part(1, b"one"), 0)
    assert model.add(OF_TWO, Part(2, b"two"), 0).message is not None
    assert (len(model), model.overdue(1, 1_000)) == (0, [])


def test_elements_of_any_part_are_kept() -> None:
    first = bytes.fromhex("050003070201") + b"a"
    second = bytes.fromhex("0b0504158115820003070202") + b"b"
    assert joined([Part(1, first), Part(2, second)], 2).elements == (Element(5, b"\x15\x81\x15\x82"),)


def test_packed_parts() -> None:
    header = bytes.fromhex("050003070201")
    result = joined([Part(1, header + bytes.fromhex("c2"))], 1, Alphabet.GSM7_PACKED)
    assert result.text == "a"


def test_nothing_came() -> None:
    assert joined([], 2) == (MISSING * 2, (), (), (1, 2), False)


def test_a_part_that_was_not_kept_is_as_if_it_had_not_come() -> None:
    model = Reassembly()
    other = ONE._replace(user_data=b"ONE ")
    model.add(KEY, ONE, 0.0)
    model.add(KEY, TWO, 0.0)
    model.discard(KEY, other)
    model.discard(KEY, ONE)
    assert len(model) == 1
    assert not model.add(KEY, ONE, 1.0).repeated
    model.discard(KEY, ONE)
    model.discard(KEY, TWO)
    model.discard(KEY, TWO)
    assert (len(model), model.overdue(1e9, 0.0)) == (0, [])


def test_a_message_that_could_not_be_taken_waits_again_with_its_time() -> None:
    model = Reassembly()
    model.add(KEY, ONE, 5.0)
    (late,) = model.overdue(100.0, 10.0)
    model.put_back(late)
    assert model.overdue(14.0, 10.0) == []
    assert model.add(KEY, ONE, 20.0).repeated
    assert model.overdue(15.0, 10.0) == [late]
