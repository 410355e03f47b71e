"""The user data header in front of a text (TS 23.040 §9.2.3.24)."""

from typing import NamedTuple

CONCATENATION_8 = 0x00
CONCATENATION_16 = 0x08
SINGLE_SHIFT = 0x24
LOCKING_SHIFT = 0x25

UDHI = 0x40
"""The bit of esm_class that says that the user data starts with a header (SMPP 3.4 §5.2.12)."""


class Concatenation(NamedTuple):
    """Which part of which message this is (§9.2.3.24.1, §9.2.3.24.8; `sar`: SMPP 3.4 §5.3.2.22-24).

    `number` is from 1 to `total`; `kind` is "udh8", "udh16" or "sar": equal references of two kinds are two
    messages.
    """

    reference: int
    total: int
    number: int
    kind: str


class Element(NamedTuple):
    """An information element: its identifier and its octets."""

    identifier: int
    data: bytes


class UserDataHeader(NamedTuple):
    """The elements in the order of the wire, whatever they are; `octets` is the header with its length.

    `damaged`: the last element does not end where the header does; it is not among the elements.
    """

    octets: bytes
    elements: tuple[Element, ...]
    damaged: bool = False

    @property
    def concatenation(self) -> Concatenation | None:
        """The last valid one; None when there is none, or the message is one part.

        A number that is zero or beyond the total makes an element void (§9.2.3.24.1).
        """
        for identifier, data in reversed(self.elements):
            found = None
            if identifier == CONCATENATION_8 and len(data) == 3:
                found = Concatenation(data[0], data[1], data[2], "udh8")
            elif identifier == CONCATENATION_16 and len(data) == 4:
                found = Concatenation(data[0] << 8 | data[1], data[2], data[3], "udh16")
            if found is not None and 1 <= found.number <= found.total:
                return found if found.total > 1 else None
        return None

    @property
    def single_shift(self) -> int:
        """The language of the single shift table (§9.2.3.24.15); 0 is the default extension table."""
        return self._language(SINGLE_SHIFT)

    @property
    def locking_shift(self) -> int:
        """The language of the locking shift table (§9.2.3.24.16); 0 is the default alphabet."""
        return self._language(LOCKING_SHIFT)

    def _language(self, wanted: int) -> int:
        for identifier, data in reversed(self.elements):
            if identifier == wanted and len(data) == 1:
                return data[0]
        return 0


def parse(user_data: bytes) -> UserDataHeader | None:
    """The header at the start of user data; None when its length is more than there is.

    TS 23.040 §9.2.3.24 has a header ignored whose last element is cut or has too much behind it. Its octets
    are no text in any case; the elements that are whole are kept, so that parts still find each other.
    """
    if not user_data or user_data[0] >= len(user_data):
        return None
    end = 1 + user_data[0]
    elements: list[Element] = []
    position = 1
    while position < end:
        if position + 2 > end or position + 2 + user_data[position + 1] > end:
            return UserDataHeader(user_data[:end], tuple(elements), damaged=True)
        start = position + 2
        position = start + user_data[position + 1]
        elements.append(Element(user_data[start - 2], user_data[start:position]))
    return UserDataHeader(user_data[:end], tuple(elements))
