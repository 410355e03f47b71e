"""Numbers: E.164 with a leading "+" inside, the upstream's own spelling on the wire.

A peer is not always a telephone number. Short codes (up to six digits) and alphanumeric senders
are kept exactly as written; only what can be read as a number is normalised.

Functions that sit on the message path are cached: a conversation asks for the same two numbers
again and again, and parsing one costs more than the rest of the message's routing.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import phonenumbers

from edge.errors import Refused

E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
DIGITS = re.compile(r"[0-9]+", re.ASCII)
SPELLING = re.compile(r"[0-9+().\-/\s\u2010\u2011]+")
SHORT_CODE_DIGITS = 6
CACHED = 65_536


class NumberFormat(Enum):
    """How an upstream writes numbers: "+12025550100", "12025550100" or "2025550100"."""

    PLUS = "plus"
    E164 = "e164"
    NATIONAL = "national"


class NumberKind(Enum):
    """What a carrier may want a type and plan of its own for."""

    INTERNATIONAL = "international"
    NATIONAL = "national"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"


class TypeOfNumber:
    """SMPP 3.4 §5.2.5."""

    UNKNOWN = 0
    INTERNATIONAL = 1
    NATIONAL = 2
    NETWORK_SPECIFIC = 3
    ALPHANUMERIC = 5


class NumberingPlan:
    """SMPP 3.4 §5.2.6."""

    UNKNOWN = 0
    ISDN = 1


@dataclass(frozen=True, slots=True)
class WireAddress:
    """An address as it stands in a PDU."""

    ton: int
    npi: int
    addr: str


def is_short_code(number: str) -> bool:
    """True for up to six digits without a "+"."""
    return len(number) <= SHORT_CODE_DIGITS and DIGITS.fullmatch(number) is not None


@lru_cache(CACHED)
def destination(written: str, region: str, field: str = "to") -> str:
    """The number that a person or program wrote, as E.164, or a short code as it is.

    ``region`` is the ISO 3166 country whose national spelling is understood ("US"), and whose emergency
    numbers are refused: whoever writes to one must know at once that nobody reads it.
    Raises Refused ("invalid_number").
    """
    text = written.strip()
    if E164.fullmatch(text):
        return text
    if is_short_code(text):
        if phonenumbers.is_emergency_number(text, region):
            why = f"{text} is an emergency number: call it. No text goes there."
            raise Refused("invalid_number", why, field)
        return text
    number = _parse(text, region) if SPELLING.fullmatch(text) else None
    if number is None:
        raise _no_number(written, region, field)
    return number


@lru_cache(CACHED)
def in_context(written: str, leading: str, region: str, field: str = "to") -> str:
    """A local number as E.164, by the digits that its global form begins with: "+44", "+1-202-555" (RFC 3966
    §5.1.5).

    Under the code of ``region``'s own country it is read as `destination` reads what is written there: it may
    be a short code, or an emergency number (the RFC's example is 911 in +1).
    Raises Refused ("invalid_number").
    """
    own = f"+{phonenumbers.country_code_for_region(region)}"
    if leading == own or (leading.startswith(own) and phonenumbers.is_emergency_number(written, region)):
        return destination(written, region, field)
    whole = f"{leading}{written}"
    number = _parse(whole, region) if SPELLING.fullmatch(whole) else None
    if number is None:
        raise _no_number(whole, region, field)
    return number


def is_possible(number: str) -> bool:
    """Has this E.164 number a country, and a length that it may have there?"""
    return _parse(number, "ZZ") is not None


@lru_cache(CACHED)
def from_wire(addr: str, ton: int, number_format: NumberFormat, region: str) -> str:
    """The number in a PDU that a carrier sent, as E.164; a short code or a name stays as it is.

    Never raises: a sender that cannot be read as a number is still a sender.
    """
    digits = addr[1:] if addr.startswith("+") else addr
    if ton == TypeOfNumber.ALPHANUMERIC or not DIGITS.fullmatch(digits):
        return addr
    if is_short_code(digits):  # whatever its type: no country has numbers that short
        return digits
    if addr.startswith("+") or ton == TypeOfNumber.INTERNATIONAL:
        return f"+{digits.removeprefix('00')}"
    if ton == TypeOfNumber.NETWORK_SPECIFIC:
        return addr
    if number_format is NumberFormat.NATIONAL or ton == TypeOfNumber.NATIONAL:
        return _parse(digits, region) or addr
    international = f"+{digits}"
    return international if E164.fullmatch(international) else addr


NOBODY = "unknown"
"""Who sent a message that names no sender."""


@lru_cache(CACHED)
def sender(addr: str) -> str:
    """The sender of a message as people can see, select and answer it: what cannot be printed is left out."""
    if addr and addr.isprintable():
        return addr
    return "".join(filter(str.isprintable, addr)).strip() or NOBODY


@lru_cache(CACHED)
def to_wire(number: str, number_format: NumberFormat, region: str) -> WireAddress:
    """The spelling, type of number and numbering plan for a PDU, by the usual rule of carriers:
    names 5/0, short codes 3/0, international 1/1, national 2/1."""
    if not E164.fullmatch(number):
        if DIGITS.fullmatch(number):
            return WireAddress(TypeOfNumber.NETWORK_SPECIFIC, NumberingPlan.UNKNOWN, number)
        return WireAddress(TypeOfNumber.ALPHANUMERIC, NumberingPlan.UNKNOWN, number)
    if number_format is NumberFormat.PLUS:
        return WireAddress(TypeOfNumber.INTERNATIONAL, NumberingPlan.ISDN, number)
    if number_format is NumberFormat.NATIONAL:
        national = _national(number, region)
        if national is not None:
            return WireAddress(TypeOfNumber.NATIONAL, NumberingPlan.ISDN, national)
    return WireAddress(TypeOfNumber.INTERNATIONAL, NumberingPlan.ISDN, number[1:])


_KINDS = {
    TypeOfNumber.INTERNATIONAL: NumberKind.INTERNATIONAL,
    TypeOfNumber.NATIONAL: NumberKind.NATIONAL,
    TypeOfNumber.NETWORK_SPECIFIC: NumberKind.SHORT_CODE,
    TypeOfNumber.ALPHANUMERIC: NumberKind.ALPHANUMERIC,
}


def kind(address: WireAddress) -> NumberKind:
    """What `to_wire` took a number for."""
    return _KINDS[address.ton]


def _no_number(written: str, region: str, field: str) -> Refused:
    return Refused(
        "invalid_number",
        f"{written[:40]!r} is not a telephone number: write it as +<country code><number>, "
        f"as a national number of {region}, or as a short code of up to {SHORT_CODE_DIGITS} digits.",
        field,
    )


def _parse(text: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    # A number that works only within its own area ("555 0123") is possible, but not for us.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _national(number: str, region: str) -> str | None:
    """The national significant number, or None when ``number`` is not of ``region``'s country."""
    parsed = phonenumbers.parse(number)
    if parsed.country_code != phonenumbers.country_code_for_region(region):
        return None
    return phonenumbers.national_significant_number(parsed)
