"""Header fields as values: addresses, Via, CSeq, media types, lists (RFC 3261 §20, §25.1).

Each function reads one field value that `message` has unfolded, in time linear in its length, and raises
BadValue when it does not follow the grammar. Where RFC 4475 §3.1.1 asks for tolerance, there is some: white
space around separators, no white space before "<", leading zeros.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from protocols.sip.errors import BadValue
from protocols.sip.uri import CACHED, MAX_PORT, URI, parse_uri

TOKEN = r"[\w!%'*+.`~-]"
_QUOTED = r'"(?:[^"\\]++|\\.)*+"'
_VIA = re.compile(
    rf"[ \t]*+SIP[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+({TOKEN}++)[ \t]++"
    r"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._-]++)[ \t]*+(?::[ \t]*+([0-9]{1,5})[ \t]*+)?",
    re.ASCII | re.IGNORECASE,
)
_PARAM = re.compile(
    rf";[ \t]*+({TOKEN}++)[ \t]*+(?:=[ \t]*+({_QUOTED}|[^\s;,\"<>]*+)[ \t]*+)?+", re.ASCII | re.DOTALL
)
_NAME_ADDR = re.compile(
    rf'[ \t]*+(?:({_QUOTED})|({TOKEN}(?:{TOKEN}|[ \t])*+))?+[ \t]*+<([^\x00-\x20<>"\x7f]++)>[ \t]*+',
    re.ASCII | re.DOTALL,
)
_USUAL_ADDRESS = re.compile(rf'(?:"([^"\\]*+)" ?|({TOKEN}++) )?+<([^\x00-\x20<>"\x7f]++)>', re.ASCII)
_TAG = re.compile(rf"{TOKEN}++", re.ASCII)
_USUAL_SENT_BY = re.compile(
    r"SIP/2\.0/([A-Za-z]++) (\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._-]++)(?::([0-9]{1,5}))?+", re.ASCII
)
_USUAL_PARAMS = re.compile(r"[A-Za-z]++(?:=[\w.:-]++)?+(?:;[A-Za-z]++(?:=[\w.:-]++)?+)*+", re.ASCII)
_ADDR_SPEC = re.compile(r'[ \t]*+([^\x00-\x20;,?<>"\x7f]++)[ \t]*+', re.ASCII)
_CSEQ = re.compile(rf"([0-9]{{1,20}})[ \t]++({TOKEN}++)", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,20}", re.ASCII)
_MEDIA = re.compile(rf"[ \t]*+({TOKEN}++)[ \t]*+/[ \t]*+({TOKEN}++)[ \t]*+", re.ASCII)
_SPLIT = re.compile(rf'(?:{_QUOTED}|<[^>]*+>|[^",<])*+', re.DOTALL)
_PAIR = re.compile(r"\\(.)", re.DOTALL)

MAX_CSEQ = 2**32 - 1
USUAL_LENGTH = 256  # what is longer is nowhere kept

Params = Mapping[str, str | None]


class NameAddr(NamedTuple):
    """From, To, Contact, …: ``display`` unquoted, ``uri`` as written, ``params`` those of the header
    field."""

    display: str
    uri: str
    params: Params

    @property
    def tag(self) -> str | None:
        """The tag parameter."""
        return self.params.get("tag")

    def parsed(self) -> URI:
        """The URI in its parts. Raises BadValue."""
        return parse_uri(self.uri)


class Via(NamedTuple):
    """The topmost Via value. ``transport`` is in upper case; ``rest`` is what follows it in the same
    field."""

    transport: str
    host: str
    port: int | None
    params: Params
    rest: str

    @property
    def branch(self) -> str:
        """The branch parameter, empty when there is none."""
        return self.params.get("branch") or ""

    @property
    def sent_by(self) -> str:
        """host[:port] as the peer calls itself."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {self.sent_by}{format_params(self.params)}{self.rest}"


class CSeq(NamedTuple):
    """Sequence number and method."""

    number: int
    method: str


class MediaType(NamedTuple):
    """A Content-Type in lower case, such as ``text/plain``, with its parameters."""

    type: str
    params: Params


def parse_params(text: str, position: int, field: str) -> tuple[dict[str, str | None], int]:
    """``;name=value`` from ``position`` on, names in lower case, quotes taken off; and where they end."""
    found: dict[str, str | None] = {}
    match = _PARAM.match
    while (item := match(text, position)) is not None:
        name, value = item.groups()
        name = name.lower()
        if name in found:
            raise BadValue(field, f"the parameter {name} stands there twice")
        found[name] = value if value is None or value[:1] != '"' else unquote(value)
        position = item.end()
    return found, position


def format_params(params: Params) -> str:
    """Parameters as they follow a value; what is not a token is quoted."""
    return "".join(
        f";{name}" if value is None else f";{name}={value if _plain(value) else quote(value)}"
        for name, value in params.items()
    )


def _plain(value: str) -> bool:
    return _PLAIN.fullmatch(value) is not None


_PLAIN = re.compile(r"[\w!%'*+.`~:\[\]/@?&=$()#^{}|-]*+", re.ASCII)


def unquote(text: str) -> str:
    """A quoted string without its quotes and backslashes."""
    inner = text[1:-1]
    return inner if "\\" not in inner else _PAIR.sub(r"\1", inner)


def quote(text: str) -> str:
    """The text as a quoted string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def display_name(name: str) -> str:
    """A name as it stands before <URI>: quoted, with a space behind it; nothing for none. What cannot be
    printed, line ends first of all, is a space."""
    plain = " ".join("".join(char if char.isprintable() else " " for char in name).split())
    return f"{quote(plain)} " if plain else ""


def parse_via(value: str) -> Via:
    """The first value of a Via field. Raises BadValue."""
    head, _, text = value.partition(";")
    if len(head) < USUAL_LENGTH and _USUAL_PARAMS.fullmatch(text) is not None:
        usual = _usual_sent_by(head)
        if usual is not None:
            return Via(*usual, _usual_params(text), "")
    found = _VIA.match(value)
    if found is None or "\0" in value:
        raise BadValue("Via", f"{value[:60]!r} is not a Via")
    transport, host, port = found.groups()
    params, end = parse_params(value, found.end(), "Via")
    rest = value[end:]
    if rest and (rest[0] != "," or not rest[1:].strip(" \t,;")):
        raise BadValue("Via", f"unexpected {rest[:20]!r}")
    return Via(transport.upper(), host.lower(), _port(port), params, rest)


@lru_cache(CACHED)
def _usual_sent_by(head: str) -> tuple[str, str, int | None] | None:
    """Transport, host and port of a Via without odd spaces. Cached: those of a peer are always the same."""
    found = _USUAL_SENT_BY.fullmatch(head)
    if found is None:
        return None
    transport, host, port = found.groups()
    return transport.upper(), host.lower(), _port(port)


def _port(text: str | None) -> int | None:
    number = None if text is None else int(text)
    if number is not None and not 0 < number <= MAX_PORT:
        raise BadValue("Via", f"port {number} is out of range")
    return number


def _usual_params(text: str) -> dict[str, str | None]:
    """Parameters of a Via that have no quotes and no spaces."""
    items = [item.partition("=") for item in text.split(";")]
    found = {name.lower(): value if equals else None for name, equals, value in items}
    if len(found) != len(items):
        raise BadValue("Via", "a parameter stands there twice")
    return found


def parse_name_addr(value: str, field: str) -> NameAddr:
    """One address, whole. Raises BadValue."""
    head, tagged, tag = value.partition(";tag=")
    if len(head) < USUAL_LENGTH and (not tagged or _TAG.fullmatch(tag) is not None):
        usual = _usual_address(head)
        if usual is not None:
            return NameAddr(*usual, {"tag": tag} if tagged else {})
    found = _NAME_ADDR.match(value)
    if found is not None:
        quoted, plain, uri = found.groups()
        display = unquote(quoted) if quoted else (plain or "").rstrip(" \t")
    else:
        found = _ADDR_SPEC.match(value)
        if found is None or "<" in value or ":" not in found[1]:
            raise BadValue(field, f"{value[:60]!r} is not an address")
        display, uri = "", found[1]
    params, end = parse_params(value, found.end(), field)
    if end != len(value):
        raise BadValue(field, f"unexpected {value[end : end + 20]!r}")
    return NameAddr(display, uri, params)


@lru_cache(CACHED)
def _usual_address(head: str) -> tuple[str, str] | None:
    """Display name and URI of an address without odd spaces. Cached, as URIs are."""
    found = _USUAL_ADDRESS.fullmatch(head)
    if found is None:
        return None
    quoted, plain, uri = found.groups()
    return quoted or plain or "", uri


def parse_cseq(value: str) -> CSeq:
    """Raises BadValue, for a number beyond 32 bits too."""
    found = _CSEQ.fullmatch(value)
    if found is not None:
        digits, method = found.groups()
        number = int(digits)
        if number <= MAX_CSEQ:
            return CSeq(number, method)
    raise BadValue("CSeq", f"{value[:60]!r} is not a number below 2**32 and a method")


def parse_number(value: str, field: str) -> int:
    """A whole number of at most 20 digits, not negative. Raises BadValue."""
    if _NUMBER.fullmatch(value) is None:
        raise BadValue(field, f"{value[:30]!r} is not a number")
    return int(value)


def parse_media_type(value: str) -> MediaType:
    """A Content-Type. Raises BadValue."""
    found = _MEDIA.match(value)
    if found is None:
        raise BadValue("Content-Type", f"{value[:60]!r} is not a media type")
    params, end = parse_params(value, found.end(), "Content-Type")
    if end != len(value):
        raise BadValue("Content-Type", f"unexpected {value[end : end + 20]!r}")
    return MediaType(f"{found[1]}/{found[2]}".lower(), params)


def split_list(value: str, field: str) -> list[str]:
    """A comma-separated field as its values; commas in quotes and <> do not count. Raises BadValue."""
    if "," not in value:
        return [value] if value else []
    items, position = [], 0
    while True:
        found = _SPLIT.match(value, position)
        item = "" if found is None else found[0]
        position += len(item)
        if not item.strip(" \t"):
            raise BadValue(field, "an empty value between commas")
        items.append(item.strip(" \t"))
        if position == len(value):
            return items
        if value[position] != ",":
            raise BadValue(field, f"unexpected {value[position : position + 20]!r}")
        position += 1


def parse_address_list(values: list[str], field: str) -> list[NameAddr]:
    """All addresses of a field that may repeat, such as Contact. Raises BadValue."""
    return [parse_name_addr(item, field) for value in values for item in split_list(value, field)]


def parse_tokens(values: list[str], field: str) -> list[str]:
    """All words of a field such as Require, as written. Raises BadValue."""
    return [item for value in values for item in split_list(value, field)]
