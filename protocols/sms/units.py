"""What octets of an encoding are in characters: the lengths and the places where they may be cut."""

from typing import Protocol

from protocols.sms.alphabet import ESCAPE, Septets

_ESC = bytes((ESCAPE,))


class Units(Protocol):
    """An encoding as the cutter sees it. Offsets are into the octets of a whole text."""

    width: int

    def apart(self, octets: bytes) -> bool:
        """Whether a quick look shows that no character joins another."""

    def even(self, text: str, octets: bytes) -> bool:
        """Whether every character takes one unit, so that it may be cut anywhere."""

    def step(self, octets: bytes, end: int) -> int:
        """The last offset up to `end` that is not inside a character."""

    def characters(self, octets: bytes, start: int, end: int) -> int:
        """How many characters these octets are; both ends are between characters."""

    def encode(self, text: str) -> bytes:
        """The octets of a piece of the text, or of what is put before it."""


class SeptetUnits:
    """Septets, one an octet; an escape and its code are one character."""

    width = 1

    def __init__(self, septets: Septets, *, joins: bool = True) -> None:
        self._septets = septets
        self._joins = joins  # whether the alphabet has combining characters

    def apart(self, octets: bytes) -> bool:
        return not self._joins and (0x0D not in octets or b"\r\n" not in octets)

    def even(self, text: str, octets: bytes) -> bool:
        return ESCAPE not in octets

    def step(self, octets: bytes, end: int) -> int:
        return end - 1 if octets[end - 1] == ESCAPE else end

    def characters(self, octets: bytes, start: int, end: int) -> int:
        return end - start - octets.count(_ESC, start, end)

    def encode(self, text: str) -> bytes:
        return self._septets.encode(text)


class OctetUnits:
    """One octet a character."""

    width = 1

    def apart(self, octets: bytes) -> bool:
        return 0x0D not in octets or b"\r\n" not in octets

    def even(self, text: str, octets: bytes) -> bool:
        return True

    def step(self, octets: bytes, end: int) -> int:
        return end

    def characters(self, octets: bytes, start: int, end: int) -> int:
        return end - start

    def encode(self, text: str) -> bytes:
        return text.encode("latin-1")


class BinaryUnits(OctetUnits):
    """Octets that are no characters: nothing in them is to be kept together."""

    def apart(self, octets: bytes) -> bool:
        return True


BINARY_UNITS = BinaryUnits()


class Utf16Units:
    """UTF-16, big end first: a surrogate pair is one character."""

    width = 2

    def apart(self, octets: bytes) -> bool:
        return False

    def even(self, text: str, octets: bytes) -> bool:
        return len(octets) == 2 * len(text)

    def step(self, octets: bytes, end: int) -> int:
        return end - 2 if 0xD8 <= octets[end - 2] <= 0xDB else end

    def characters(self, octets: bytes, start: int, end: int) -> int:
        return len(octets[start:end].decode("utf-16-be"))

    def encode(self, text: str) -> bytes:
        return text.encode("utf-16-be")
