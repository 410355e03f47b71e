"""Long messages while they come in: parts in any order, repeated, mixed up, or never; a model without I/O.

Parts belong together by who sent them to whom, the reference, the kind of reference and the total. A part
that is equal to one that waits is a repetition. A different one in its place means that the sender has used
the reference again, and starts a new message; the parts after it are taken to be of that one as long as it
lacks them, and then of the one before. How long a message may wait is for the caller to say.

A part that is equal to one of a message that has become whole may be either: the sender's second try, or of
the next message under the same reference (a template's last part, a fixed reference). It waits for the others
like any part. If they come, it was a message; if all that came by the end were copies, it was a repetition.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from protocols.sms import decoding
from protocols.sms.data_coding import Alphabet, Encoding
from protocols.sms.decoding import Body
from protocols.sms.header import (
    CONCATENATION_8,
    CONCATENATION_16,
    LOCKING_SHIFT,
    SINGLE_SHIFT,
    Concatenation,
    Element,
    UserDataHeader,
)

MISSING = "[…]"
"""What stands in a text for a part that did not come."""

REMEMBER_SECONDS = 300.0
MAX_SETS = 16
MAX_WHOLE = 20_000
MAX_PARTS = 100_000
"""How many parts of all keys wait at most: a peer that only begins messages must not fill memory."""

_FULL_OCTETS = 139  # of user data; a sender that cuts UCS-2 at any octet fills its parts, one too many aside
_REPLACEMENT_OCTETS = b"\xff\xfd"
_TEXT_ELEMENTS = (CONCATENATION_8, CONCATENATION_16, LOCKING_SHIFT, SINGLE_SHIFT)


class Key(NamedTuple):
    """What the parts of one message have in common; `group` names the upstreams that are one source."""

    group: str
    source: str
    destination: str
    kind: str
    reference: int
    total: int


class Part(NamedTuple):
    """One part as it came; `number` is from 1."""

    number: int
    user_data: bytes
    data_coding: int = 0
    udhi: bool = True


class Joined(NamedTuple):
    """The text of several parts.

    `encodings` are those of the parts, each once, in order. `elements` are those of the headers
    that are not about the text, as ports are. `missing` are the numbers for which `MISSING` stands.
    """

    text: str
    encodings: tuple[Encoding, ...]
    elements: tuple[Element, ...]
    missing: tuple[int, ...]
    undecodable: bool


class Message(NamedTuple):
    """The parts of a message by number; `first_at` is when the first came, in the caller's seconds.

    A `repetition` is not whole, and all its parts are copies of those of a message that was.
    """

    key: Key
    parts: tuple[Part, ...]
    first_at: float
    repetition: bool = False

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers that did not come; none when the message is whole."""
        there = {part.number for part in self.parts}
        return tuple(number for number in range(1, self.key.total + 1) if number not in there)


class Added(NamedTuple):
    """What a part did: it repeated another, or made `message` whole, or (neither) it waits for others."""

    repeated: bool = False
    message: Message | None = None


class _Waiting:
    __slots__ = ("copies", "first_at", "parts")

    def __init__(self, first_at: float, *, copies: bool = True) -> None:
        self.first_at = first_at
        self.parts: dict[int, Part] = {}
        self.copies = copies  # of the parts of a message that was whole, all of them so far


class Reassembly:
    """I hold the messages that are not whole.

    ``remember`` is for how long, in the caller's seconds, a message that became whole is known (the last
    MAX_WHOLE of them): an SMSC that missed an answer sends a part again after the message is out. Of one key
    at most MAX_SETS messages wait, of all together ``most`` parts; one more makes the oldest overdue.
    """

    def __init__(self, remember: float = REMEMBER_SECONDS, most: int = MAX_PARTS) -> None:
        self._remember = remember
        self._most = most
        self._parts = 0
        self._waiting: dict[Key, list[_Waiting]] = {}
        self._whole: OrderedDict[Key, Message] = OrderedDict()
        self._whole_at: dict[Key, float] = {}
        self._crowded_out: list[Message] = []

    def __len__(self) -> int:
        """How many parts are held."""
        return self._parts

    def add(self, key: Key, part: Part, now: float) -> Added:
        """Take a part. A number that is not from 1 to the total is a ValueError: `decode` gives none such."""
        if not 1 <= part.number <= key.total:
            raise ValueError(f"there is no part {part.number} of {key.total}")
        if self._is_waiting(key, part):
            return Added(repeated=True)
        self._forget_old(now)
        place = self._place(key, part, now)
        place.parts[part.number] = part
        place.copies = place.copies and self._was_in_whole(key, part)
        self._parts += 1
        if len(place.parts) < key.total:
            if self._parts > self._most:
                oldest = next(iter(self._waiting))
                self._crowded_out.append(self._take(oldest, self._waiting[oldest][0]))
            return Added()
        message = self._take(key, place)._replace(repetition=False)
        self.know(message, now)
        return Added(message=message)

    def know(self, message: Message, now: float) -> None:
        """This message is whole, as of now or since an earlier run: its parts may come again."""
        key = message.key
        self._whole[key], self._whole_at[key] = message, now
        self._whole.move_to_end(key)
        if len(self._whole) > MAX_WHOLE:
            self._forget(next(iter(self._whole)))

    def waits(self, key: Key, part: Part) -> bool:
        """Is an equal part here, or was it in a message that became whole a while ago?"""
        return self._is_waiting(key, part) or self._was_in_whole(key, part)

    def _is_waiting(self, key: Key, part: Part) -> bool:
        return any(one.parts.get(part.number) == part for one in self._waiting.get(key, ()))

    def _was_in_whole(self, key: Key, part: Part) -> bool:
        whole = self._whole.get(key)
        return whole is not None and part in whole.parts

    def _forget_old(self, now: float) -> None:
        while self._whole and now - self._whole_at[next(iter(self._whole))] > self._remember:
            self._forget(next(iter(self._whole)))

    def _forget(self, key: Key) -> None:
        self._whole.pop(key, None)
        self._whole_at.pop(key, None)

    def _place(self, key: Key, part: Part, now: float) -> _Waiting:
        waiting = self._waiting.setdefault(key, [])
        place = next((one for one in reversed(waiting) if part.number not in one.parts), None)
        if place is None:
            if len(waiting) >= MAX_SETS:
                self._crowded_out.append(self._take(key, waiting[0]))
                waiting = self._waiting.setdefault(key, [])
            place = _Waiting(now)
            waiting.append(place)
        return place

    def discard(self, key: Key, part: Part) -> None:
        """Take a part back that was added: its keeper could not keep it."""
        for one in self._waiting.get(key, []):
            if one.parts.get(part.number) == part:
                del one.parts[part.number]
                self._parts -= 1
                if not one.parts:
                    self._drop(key, one)
                return

    def put_back(self, message: Message) -> None:
        """Let a message wait again that was handed out and could not be taken."""
        self._forget(message.key)
        waiting = _Waiting(message.first_at, copies=message.repetition)
        waiting.parts.update((part.number, part) for part in message.parts)
        self._parts += len(waiting.parts)
        self._waiting.setdefault(message.key, []).append(waiting)

    def overdue(self, now: float, timeout: float) -> list[Message]:
        """Take out the messages whose first part came `timeout` seconds ago or more, the oldest first."""
        crowded_out, self._crowded_out = self._crowded_out, []
        late = [
            (key, one)
            for key, waiting in self._waiting.items()
            for one in waiting
            if now - one.first_at >= timeout
        ]
        found = [*crowded_out, *(self._take(key, one) for key, one in late)]
        return sorted(found, key=lambda message: message.first_at)

    def _take(self, key: Key, one: _Waiting) -> Message:
        self._drop(key, one)
        self._parts -= len(one.parts)
        parts = tuple(one.parts[number] for number in sorted(one.parts))
        return Message(key, parts, one.first_at, one.copies)

    def _drop(self, key: Key, one: _Waiting) -> None:
        waiting = self._waiting[key]
        waiting.remove(one)
        if not waiting:
            del self._waiting[key]


def key_of(group: str, source: str, destination: str, concatenation: Concatenation) -> Key:
    """The key of a part that came with this concatenation."""
    return Key(group, source, destination, concatenation.kind, concatenation.reference, concatenation.total)


def joined(parts: Sequence[Part], total: int, default_alphabet: Alphabet = Alphabet.GSM7) -> Joined:
    """The text of the parts of one message, whichever came, in any order; never raises.

    Neighbours in one encoding are put together before they are decoded, so that what their sender cut in two
    (an escape and its code, a surrogate pair) is whole again. What is still half then is U+FFFD.
    """
    bodies = {
        part.number: decoding.unwrap(
            part.user_data, part.data_coding, udhi=part.udhi, default_alphabet=default_alphabet
        )
        for part in parts
    }
    text, broken = [], any(_is_damaged(part, bodies[part.number]) for part in parts)
    for readable, run in groupby(range(1, total + 1), lambda number: _way(bodies.get(number))):
        numbers = list(run)
        if readable is None:
            text += [MISSING] * len(numbers)
            continue
        piece, bad = _read([bodies[number] for number in numbers])
        text.append(piece)
        broken = broken or bad
    there = [bodies[number] for number in sorted(bodies)]
    return Joined(
        "".join(text),
        tuple(dict.fromkeys(body.coding.encoding for body in there)),
        _others(there),
        tuple(number for number in range(1, total + 1) if number not in bodies),
        broken,
    )


def _is_damaged(part: Part, body: Body) -> bool:
    return part.udhi and (body.udh is None or body.udh.damaged)


def _way(body: Body | None) -> tuple[Encoding, int, int] | None:
    """What two parts must share for their octets to be one text."""
    if body is None:
        return None
    udh = body.udh
    return body.coding.encoding, udh.locking_shift if udh else 0, udh.single_shift if udh else 0


def _read(bodies: list[Body]) -> tuple[str, bool]:
    if bodies[0].coding.encoding is not Encoding.UCS2:
        return decoding.text_of(bodies[0]._replace(octets=b"".join([body.octets for body in bodies])))
    octets, odd = _even(bodies)
    text, broken = decoding.text_of(bodies[0]._replace(octets=octets))
    return text, broken or odd


def _even(bodies: list[Body]) -> tuple[bytes, bool]:
    """The octets of UCS-2 parts, and whether one had an octet too many.

    The last octet of a full part of odd length is the first half of a character that its sender cut in two.
    In any other part it is a stray one, which must not shift the characters after it: U+FFFD.
    """
    pieces, odd, carried = [], False, b""
    for body in bodies:
        octets = carried + body.octets
        carried = b""
        if len(octets) & 1:
            octets, last = octets[:-1], octets[-1:]
            if _is_full(body) and body is not bodies[-1]:
                carried = last
            else:
                octets, odd = octets + _REPLACEMENT_OCTETS, True
        pieces.append(octets)
    return b"".join(pieces), odd


def _is_full(body: Body) -> bool:
    return (0 if body.udh is None else len(body.udh.octets)) + len(body.octets) >= _FULL_OCTETS


def other_elements(udh: UserDataHeader) -> tuple[Element, ...]:
    """The elements of a header that are not about its text."""
    return tuple(e for e in udh.elements if e.identifier not in _TEXT_ELEMENTS)


def _others(bodies: list[Body]) -> tuple[Element, ...]:
    """Those of all parts, each once: not every sender repeats them."""
    found = [e for body in bodies if body.udh is not None for e in other_elements(body.udh)]
    return tuple(dict.fromkeys(found))
