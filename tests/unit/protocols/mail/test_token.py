"""The reply token: found where mail clients leave it, and nobody else's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.mail.token import CHARACTERS, MAX_CONVERSATION, KeyRing, find, parse

RING = KeyRing({1: b"1" * 32, 2: b"2" * 32}, 2)
BINDING = b"7\0+12025550100\0+12025550150"


@given(st.integers(0, MAX_CONVERSATION), st.binary(max_size=60))
def test_a_token_is_read_back_in_any_case_and_verifies(conversation: int, binding: bytes) -> None:
    text = RING.make(conversation, binding)
    assert len(text) == CHARACTERS
    for written in (text, text.upper(), text.title()):
        token = parse(written)
        assert token is not None
        assert (token.key_id, token.conversation) == (2, conversation)
        assert RING.verifies(token, binding)


def test_each_altered_character_is_noticed() -> None:
    text = RING.make(123456789, BINDING)
    for place, character in enumerate(text):
        other = "b" if character != "b" else "c"
        token = parse(text[:place] + other + text[place + 1 :])
        assert token is not None
        assert not RING.verifies(token, BINDING)


def test_a_token_of_another_conversation_account_or_key_does_not_verify() -> None:
    token = parse(RING.make(5, BINDING))
    assert token is not None
    assert not RING.verifies(token, BINDING + b"1")
    assert not RING.verifies(token._replace(conversation=6), BINDING)
    assert not KeyRing({1: b"1" * 32}, 1).verifies(token, BINDING), "the key was taken off the ring"
    assert not KeyRing({2: b"x" * 32}, 2).verifies(token, BINDING)


def test_a_key_that_only_verifies_still_does() -> None:
    old = KeyRing({1: b"1" * 32}, 1).make(5, BINDING)
    token = parse(old)
    assert token is not None
    assert RING.verifies(token, BINDING)


def test_one_that_lasts_is_of_the_oldest_key() -> None:
    alone = KeyRing({1: b"1" * 32}, 1)
    newer = KeyRing({2: b"2" * 32, 1: b"1" * 32}, 2)
    assert alone.make(5, BINDING) == alone.lasting(5, BINDING) == newer.lasting(5, BINDING)
    assert newer.make(5, BINDING) != newer.lasting(5, BINDING)
    token = parse(newer.lasting(5, BINDING))
    assert token is not None
    assert newer.verifies(token, BINDING)


def test_tokens_are_found_in_the_order_of_the_places_each_once() -> None:
    one, other = RING.make(1, BINDING), RING.make(2, BINDING)
    places = [
        f"sms+{one}@sms.example.net",
        f"<20261124.{other.upper()}@sms.example.net> <x@example.org>",
        f"Re: [#US{one}] Message sent to 2025550100",
    ]
    assert [token.conversation for token in find(places)] == [1, 2]
    for place, conversation in zip(places, (1, 2, 1), strict=True):
        for written in (place, place.upper(), place.lower()):
            assert [token.conversation for token in find([written])] == [conversation]


@pytest.mark.parametrize("text", ["", "x" * 39, "a" * 41, "1" * 40, "ä" * 40, "a" * 39 + "="])
def test_what_is_no_token(text: str) -> None:
    assert parse(text) is None
    assert list(find([text, f"sms+{text}@example.net"])) == []


@pytest.mark.parametrize(
    ("keys", "current"), [({}, 1), ({1: b"short"}, 1), ({300: b"x" * 32}, 300), ({1: b"x" * 32}, 2)]
)
def test_rings_that_cannot_be_used(keys: dict[int, bytes], current: int) -> None:
    with pytest.raises(ValueError, match="key"):
        KeyRing(keys, current)


def test_a_ring_does_not_show_its_keys() -> None:
    assert "111" not in repr(RING)


@pytest.mark.parametrize("conversation", [-1, MAX_CONVERSATION + 1])
def test_conversations_that_do_not_fit(conversation: int) -> None:
    with pytest.raises(ValueError, match="56 bits"):
        RING.make(conversation, BINDING)
