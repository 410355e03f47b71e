"""The reply token: by it an answer finds its conversation, and nobody finds another's.

Forty characters of base32 (RFC 4648 §6), in any case: one octet names the key, seven the conversation, and
seventeen are the front of an HMAC-SHA256 over both and over all that the conversation stands for (account,
DID, peer). So a token fits the local part of an address (RFC 5321 §4.5.3.1.1) and cannot be guessed; it says
nothing to whoever reads it, and a number that comes back as another conversation has other tokens.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

CHARACTERS = 40
MAX_CONVERSATION = (1 << 56) - 1
MIN_KEY_OCTETS = 32

_HEAD_OCTETS = 8
_HEAD_CHARACTERS = 13  # that have the head's octets in them
_MAC_OCTETS = 17
_PURPOSE = b"trunkline reply token 1\0"
# In the subject "[#US<token>]" the letters in front are of the token's own alphabet.
_TOKEN = re.compile(
    rf"(?:(?<=#US)|(?<=#us)|(?<![A-Za-z2-7]))[A-Za-z2-7]{{{CHARACTERS}}}(?![A-Za-z2-7])", re.ASCII
)
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


class Token(NamedTuple):
    """A token taken apart; only `KeyRing.verifies` says whether it is one of ours."""

    key_id: int
    conversation: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys by id (0 to 255, each of 32 octets at least), the oldest last, and which one makes new tokens.

    A key that is taken off the ring revokes every token that it made. Raises ValueError for a ring that
    cannot be used.
    """

    keys: Mapping[int, bytes] = field(repr=False)
    current: int

    def __post_init__(self) -> None:
        if self.current not in self.keys:
            raise ValueError(f"the ring has no key {self.current}")
        for key_id, key in self.keys.items():
            if not 0 <= key_id <= 0xFF or len(key) < MIN_KEY_OCTETS:
                raise ValueError(f"key {key_id} needs an id of 0 to 255 and {MIN_KEY_OCTETS} octets")

    def make(self, conversation: int, binding: bytes) -> str:
        """The token of a conversation; ``binding`` is all that it stands for, and the same in `verifies`."""
        return self._made(self.current, conversation, binding)

    def lasting(self, conversation: int, binding: bytes) -> str:
        """The token that stays the same when a new key comes before the others, for what must."""
        return self._made([*self.keys][-1], conversation, binding)

    def _made(self, key_id: int, conversation: int, binding: bytes) -> str:
        if not 0 <= conversation <= MAX_CONVERSATION:
            raise ValueError("a conversation's id has 56 bits")
        head = bytes((key_id,)) + conversation.to_bytes(_HEAD_OCTETS - 1)
        return base64.b32encode(head + _mac(self.keys[key_id], head, binding)).decode().lower()

    def verifies(self, token: Token, binding: bytes) -> bool:
        """Did we make it, for this? Takes the same time whatever is wrong with it."""
        key = self.keys.get(token.key_id)
        head = bytes((token.key_id,)) + token.conversation.to_bytes(_HEAD_OCTETS - 1)
        expected = _mac(key or bytes(MIN_KEY_OCTETS), head, binding)
        return hmac.compare_digest(expected, token.mac) and key is not None


def parse(text: str) -> Token | None:
    """A token from its characters; None when they are none."""
    if len(text) != CHARACTERS or _TOKEN.fullmatch(text) is None:
        return None
    try:
        octets = base64.b32decode(text.upper())
    except binascii.Error:
        return None
    return Token(octets[0], int.from_bytes(octets[1:_HEAD_OCTETS]), octets[_HEAD_OCTETS:])


def find(places: Iterable[str]) -> Iterator[Token]:
    """What looks like a token in texts, in their order, each once: addresses, References, a Subject.

    Read on past one that turns out not to be ours: a mail client may have altered one of the places.
    """
    seen = set()
    for place in places:
        for match in _TOKEN.finditer(place):
            token = parse(match[0])
            if token is not None and token not in seen:
                seen.add(token)
                yield token


def within(text: str, key_ids: Collection[int]) -> Iterator[tuple[int, int, Token]]:
    """Where in a text there may be a token of one of these keys, from where to where, and which: for who must
    let none out.

    Whatever stands around it ("sms%2B…", "us…") or between its characters, as long as that is no letter and
    no digit: a mail client's line end, its "=", its "> ".
    """
    places = [place for place, character in enumerate(text) if character.isalnum()]
    if len(places) < CHARACTERS or not key_ids:
        return
    for match in _window(frozenset(key_ids)).finditer("".join([text[place] for place in places])):
        token = parse(match[1])
        if token is not None:
            yield places[match.start()], places[match.start() + CHARACTERS - 1] + 1, token


@lru_cache(maxsize=8)
def _window(key_ids: frozenset[int]) -> re.Pattern[str]:
    """Any forty characters that begin as the tokens of these keys do: the key's octet is in the first two."""
    fronts = (
        f"{_ALPHABET[key_id >> 3]}[{_ALPHABET[(key_id & 7) * 4 : (key_id & 7) * 4 + 4]}]"
        for key_id in sorted(key_ids)
    )
    rest = f"[a-z2-7]{{{CHARACTERS - 2}}}"
    return re.compile(f"(?=((?:{'|'.join(fronts)}){rest}))", re.ASCII | re.IGNORECASE)


def conversation_of(text: str) -> int | None:
    """The conversation that a token names, even one that was mistyped or cut behind its head; None when
    this is none."""
    head = text[:_HEAD_CHARACTERS].upper()
    if len(head) < _HEAD_CHARACTERS:
        return None
    try:
        octets = base64.b32decode(head.ljust(16, "A"))
    except ValueError:
        return None
    return int.from_bytes(octets[1:_HEAD_OCTETS])


def _mac(key: bytes, head: bytes, binding: bytes) -> bytes:
    return hmac.new(key, _PURPOSE + head + binding, hashlib.sha256).digest()[:_MAC_OCTETS]
