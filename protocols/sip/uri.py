"""SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966).

A URI is read once into its parts; escapes stay as written until `unescape` is asked, once, for one part:
never recursively, and never cut at %00.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from protocols.sip.errors import BadValue

_SIP = re.compile(
    r"(sips?):(?:([^@\x00-\x20<>\"\x7f]++)@)?(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._-]++)(?::([0-9]{1,5}))?"
    r"(;[^?\x00-\x20<>\"@\x7f]*+)?(\?[^\x00-\x20<>\"@\x7f]*+)?",
    re.IGNORECASE | re.ASCII,
)
_TEL = re.compile(r"(tel):(\+?[0-9A-Fa-f*#().-]++)(;[^\x00-\x20<>\"\x7f]*+)?", re.IGNORECASE | re.ASCII)
_OTHER = re.compile(r"([a-z][a-z0-9+.-]*+):([^\x00-\x20<>\"\x7f]++)", re.IGNORECASE | re.ASCII)
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(rb"[A-Za-z0-9_.!~*'()-]")
_OUTSIDE = re.compile(rb"[^!-~]")
_VISUAL = str.maketrans("", "", "-.()")

MAX_PORT = 65535
CACHED = 2_048


class URI(NamedTuple):
    """A URI in its parts.

    ``user`` is the user part as written, still escaped; for tel it is the number, for an unknown scheme all
    that follows the colon. ``host`` is in lower case, IPv6 in brackets. ``params`` has names in lower case,
    values as written, None where there is no "=". ``headers`` is what follows "?", as written.
    """

    scheme: str
    user: str = ""
    password: str = ""
    host: str = ""
    port: int | None = None
    params: Mapping[str, str | None] = {}
    headers: str = ""

    @property
    def is_sip(self) -> bool:
        """sip or sips."""
        return self.scheme in ("sip", "sips")

    @property
    def number(self) -> str:
        """The user part unescaped, without its own parameters; the visual separators of a tel URI are
        gone."""
        if self.scheme == "tel":
            return self.user.translate(_VISUAL)
        return unescape(self.user.partition(";")[0])

    @property
    def context(self) -> str | None:
        """Where a local number holds, ``phone-context``: the leading digits of its global form, "+44", or a
        domain whose dialling plan it is of (RFC 3966 §5.1.5); None when nothing is said.

        Of a SIP URI it stands with the number in the user part (RFC 3261 §19.1.6).
        """
        if self.scheme == "tel":
            found = self.params.get("phone-context")
        else:
            found = self.user.lower().partition(";phone-context=")[2].partition(";")[0]
        return unescape(found).lower() if found else None

    @property
    def aor(self) -> str:
        """The address-of-record: scheme sip, user unescaped, host; what bindings are kept under (§10.3)."""
        return f"sip:{unescape(self.user)}@{self.host}" if self.user else f"sip:{self.host}"


def unescape(text: str) -> str:
    """%HH as the octet that it stands for, once; what is not UTF-8 then comes as surrogate escapes."""
    if "%" not in text:
        return text
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", _octet, text.encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "surrogateescape")


def _octet(found: re.Match[bytes]) -> bytes:
    return bytes((int(found[1], 16),))


@lru_cache(CACHED)
def comparable(text: str) -> str:
    """A key of a SIP URI: URIs with the same key are equal (RFC 3261 §19.1.4). Raises BadValue.

    It tells more apart than the RFC, whose rule makes no key: a parameter that only one of two has. That is
    how phones tell their lines (``;line=``, ``;ob``).
    """
    uri = parse_uri(text)
    if not uri.is_sip:
        return text
    password = f":{_escaped_alike(uri.password)}" if uri.password else ""
    user = f"{_escaped_alike(uri.user)}{password}@" if uri.user or password else ""
    params = sorted(
        name if value is None else f"{name}={_escaped_alike(value).lower()}"
        for name, value in uri.params.items()
    )
    port = "" if uri.port is None else f":{uri.port}"
    headers = f"?{uri.headers}" if uri.headers else ""
    return f"{';'.join([f'{uri.scheme}:{user}{uri.host}{port}', *params])}{headers}"


def _escaped_alike(text: str) -> str:
    """With every character as %HH that may not stand as itself, and the unreserved ones as themselves."""
    octets = text.encode("utf-8", "surrogateescape")
    plain = _ESCAPED.sub(lambda found: _unreserved(int(found[1], 16)), octets)
    return _OUTSIDE.sub(lambda found: b"%%%02X" % found[0][0], plain).decode("ascii")


def _unreserved(octet: int) -> bytes:
    plain = bytes((octet,))
    return plain if _UNRESERVED.fullmatch(plain) else b"%%%02X" % octet


def escape_user(text: str) -> str:
    """A user part as it may stand in a URI (§25.1: unreserved and user-unreserved stay, the rest is %HH)."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()&=+$,"
    octets = text.encode("utf-8", "surrogateescape")
    return "".join(chr(octet) if octet in plain else f"%{octet:02X}" for octet in octets)


@lru_cache(CACHED)
def parse_uri(text: str) -> URI:
    """The URI in its parts. Raises BadValue. Cached: a conversation has the same few again and again."""
    found = _SIP.fullmatch(text)
    if found is not None:
        return _sip(*found.groups())
    found = _TEL.fullmatch(text)
    if found is not None:
        return URI("tel", found[2], params=_params(found[3]))
    found = _OTHER.fullmatch(text)
    if found is None or found[1].lower() in ("sip", "sips", "tel"):
        raise BadValue("URI", f"{text[:60]!r} is not a URI")
    return URI(found[1].lower(), found[2])


def _sip(
    scheme: str, userinfo: str | None, host: str, port: str | None, params: str | None, headers: str | None
) -> URI:
    user, _, password = (userinfo or "").partition(":")
    number = None if port is None else int(port)
    if number is not None and not 0 < number <= MAX_PORT:
        raise BadValue("URI", f"port {number} is out of range")
    return URI(scheme.lower(), user, password, host.lower(), number, _params(params), (headers or "")[1:])


def _params(text: str | None) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    if not text:
        return found
    for part in text[1:].split(";"):
        name, equals, value = part.partition("=")
        if not name:
            raise BadValue("URI", "an empty parameter")
        found.setdefault(unescape(name).lower(), value if equals else None)
    return found
