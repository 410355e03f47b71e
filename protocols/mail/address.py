"""Mail addresses, read strictly: one spelling of each, so that no two readers see different people in it.

Only `local@domain` with a dot-atom on the left (RFC 5321 §4.1.2, RFC 6531 for letters beyond ASCII): no
quoted local parts, source routes, address literals or comments. Whoever has such an address has another one
too.
"""

import re
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import NamedTuple

MAX_LOCAL_OCTETS = 64  # RFC 5321 §4.5.3.1.1
MAX_OCTETS = 254
MAX_FROM = 2_000

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]"
_LOCAL = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_LABEL = re.compile(
    r"[A-Za-z0-9\u0080-\U0010ffff](?:[A-Za-z0-9\u0080-\U0010ffff-]*[A-Za-z0-9\u0080-\U0010ffff])?"
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# A From of one mailbox (RFC 5322 §3.4): what people are called, then the address in angle brackets. Some have
# no other name than that very address.
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_COMMENT = r'\([^"<>@,;:()\\]*\)'
_NAMED = re.compile(
    rf'(?:(?:{_QUOTED}|{_COMMENT}|[^"<>@,;:()\\])*|(?P<quote>\'?)(?P<shown>[^\s"\'<>,;:()\\]+)(?P=quote)\s*)'
    rf"<(?P<address>[^<>]*)>\s*(?:{_COMMENT}\s*)?"
)
_COMMENTED = re.compile(r"(?P<address>[^\s()<>]+)(?:\s+\([^()]*\))?\s*")


class Address(NamedTuple):
    """An address. ``domain`` is in lower case, in ASCII (IDNA) where it was not."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def key(self) -> str:
        """What is compared: in practice no mailbox tells capitals from small letters."""
        return f"{self.local.lower()}@{self.domain}"


class NotAnAddress(ValueError):
    """It cannot be read as one address; the text says why."""


def parse(written: str) -> Address:
    """An address as it stands alone. Raises NotAnAddress."""
    local, at, domain = written.rpartition("@")
    if not at or _LOCAL.fullmatch(local) is None or _CONTROLS.search(written):
        raise NotAnAddress("expected name@domain")
    if len(local.encode()) > MAX_LOCAL_OCTETS or len(written.encode()) > MAX_OCTETS:
        raise NotAnAddress(f"longer than {MAX_LOCAL_OCTETS} octets before the @, or {MAX_OCTETS} in all")
    return Address(local, parse_domain(domain))


def parse_domain(written: str) -> str:
    """A domain in ASCII and lower case. Raises NotAnAddress."""
    labels = written.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise NotAnAddress(f"{written!r} is no domain")
    try:
        domain = written if written.isascii() else written.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise NotAnAddress(f"{written!r} is no domain") from error
    if len(domain) > 253 or any(len(label) > 63 for label in domain.split(".")):
        raise NotAnAddress(f"{written!r} is too long")
    return domain.lower()


def sole_author(values: list[str]) -> Address:
    """The one address of the one From header among ``values``, as `Message.get_all` gives them.

    Raises NotAnAddress for none, for several, and for whatever two parsers might read differently.
    """
    if len(values) != 1 or len(values[0]) > MAX_FROM:
        raise NotAnAddress(f"expected one From header of at most {MAX_FROM} characters")
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", values[0]).strip()
    if _CONTROLS.search(unfolded.replace("\t", " ")):
        raise NotAnAddress("control characters in From")
    match = _NAMED.fullmatch(unfolded) or _COMMENTED.fullmatch(unfolded)
    if match is None:
        raise NotAnAddress("From is not one address")
    found, shown = match["address"].strip(), match.groupdict().get("shown")
    if shown is not None and shown.lower() != found.lower():
        raise NotAnAddress("From shows another address than it has")
    return parse(found)


def decoded(value: str) -> str:
    """A header's text with its encoded words (RFC 2047) read; as it is when they cannot be."""
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return value


def one_line(text: str) -> str:
    """Text that may stand in a header: whatever could end or hide a line is a blank."""
    return _CONTROLS.sub(" ", text).strip()
