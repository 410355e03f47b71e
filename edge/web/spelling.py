"""Numbers at the edge of APIs for programs: ten digits in North America, digits only in any case.

Inside there is E.164, with short codes and names as they are. What is written out is understood when it
comes back: `read(shown(number)) == number` for every number that can be written to.
"""

from functools import lru_cache

from edge.errors import Refused
from edge.policy import numbers

REGION = "US"
"""The numbering plan of the VoIP.ms API is the North American one, wherever the server stands."""

ABROAD = "011"
NANP_DIGITS = 10
E164_DIGITS = 15
_KEYPAD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")


@lru_cache(65_536)
def shown(number: str) -> str:
    """A number in digits.

    A foreign number that would look like one of North America, or like a short code, has the prefix for
    abroad before it. A name becomes the digits of a telephone's keys after a 0, which is no number that
    could be called.
    """
    if not number.startswith("+"):
        return number if numbers.DIGITS.fullmatch(number) else _of_name(number)
    digits = number[1:]
    if digits.startswith("1") and len(digits) == 1 + NANP_DIGITS:
        return digits[1:]
    return f"{ABROAD}{digits}" if len(digits) <= NANP_DIGITS or digits.startswith("1") else digits


@lru_cache(65_536)
def read(written: str) -> str | None:
    """The number that a program wrote, as it is inside; None for what is none."""
    text = written.strip()
    digits = "".join(letter for letter in text if letter not in " ()-./\t")
    if numbers.DIGITS.fullmatch(digits):
        if digits.startswith(ABROAD):
            text = f"+{digits.removeprefix(ABROAD)}"
        elif NANP_DIGITS < len(digits) <= E164_DIGITS and digits[0] not in "01":
            text = f"+{digits}"
        elif digits.startswith("0"):
            return None
    try:
        return numbers.destination(text, REGION)
    except Refused:
        return None


@lru_cache(65_536)
def international(written: str, region: str) -> str | None:
    """The number that a program wrote which leaves the "+" out, or writes 00 for it; None for what is none.

    What can be a number of ``region``'s country is one.
    """
    text = written.strip()
    if text.startswith("00"):
        text = f"+{text.removeprefix('00')}"
    for candidate in (text, f"+{text}"):
        try:
            return numbers.destination(candidate, region)
        except Refused:
            continue
    return None


def is_name(written: str) -> bool:
    """Was this made of a name by `shown`? Several names may have become the same digits."""
    return written.startswith("0") and not written.startswith(ABROAD)


def _of_name(name: str) -> str:
    keys = name.upper().translate(_KEYPAD)
    return "0" + "".join(letter if "0" <= letter <= "9" else "0" for letter in keys)[: E164_DIGITS - 1]
