"""Which URLs outgoing HTTP may ask. Text in, origin out; nothing is looked up here.

Only http and https, no user name, an allowed port, and a host in its one plain spelling: a name of letters,
digits, hyphens and underscores, an IPv4 address of four decimal numbers, or an IPv6 address in brackets.
What libraries read as an address in other spellings (127.1, 0x7f.1, 2130706433, 0177.0.0.1) is refused,
since two programs that read it differently are how such a guard is passed. Other scripts are brought to
ASCII first (IDNA), so full-width digits and dots are judged by what they become.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from edge.http.errors import URLRefused

SCHEMES = {"http": 80, "https": 443}

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://([^/?#]*))?(.*)", re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")
_TARGET = re.compile(r"[\x21-\x7e]*", re.ASCII)
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]*))?", re.ASCII)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NUMERIC = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request goes. ``host`` is ASCII in lower case, an IPv6 address without its brackets."""

    scheme: str
    host: str
    port: int
    is_address: bool

    @property
    def authority(self) -> str:
        """For the Host header and for people: the port only when it is not the scheme's own."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == SCHEMES[self.scheme] else f"{shown}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ranges of ports, both ends included."""

    ranges: tuple[tuple[int, int], ...] = ((80, 80), (443, 443), (1024, 65535))

    def __contains__(self, port: int) -> bool:
        return any(low <= port <= high for low, high in self.ranges)


USUAL_PORTS = Ports()


def read_range(written: str) -> tuple[int, int] | None:
    """ "443" or "8000-8999" as a range; None for anything else."""
    found = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", written, re.ASCII)
    if found is None:
        return None
    low, high = int(found[1]), int(found[2] or found[1])
    return (low, high) if 1 <= low <= high <= 65535 else None


def split(url: str, ports: Ports | None = None) -> tuple[Origin, str]:
    """Origin and target (path and query, beginning with "/"); the fragment is dropped.

    Raises URLRefused with a sentence. Without ``ports`` every port is allowed.
    """
    if _UNPRINTABLE.search(url):
        raise URLRefused("a URL has no spaces or control characters (write %20 for a space)")
    found = _URL.fullmatch(url)
    if found is None or found[1].lower() not in SCHEMES:
        raise URLRefused("a URL begins with http:// or https://")
    scheme, authority, rest = found[1].lower(), found[2], found[3]
    if not authority:
        raise URLRefused("a URL needs a host after http:// or https://")
    origin = _origin(scheme, authority, ports)
    target = rest.partition("#")[0]
    return origin, target if target.startswith("/") else f"/{target}"


def is_target(target: str) -> bool:
    """True for what may stand in a request line."""
    return _TARGET.fullmatch(target) is not None


def _origin(scheme: str, authority: str, ports: Ports | None) -> Origin:
    if "@" in authority:
        raise URLRefused("a URL has no user name or password before its host: none would be sent")
    if "\\" in authority or "%" in authority:
        raise URLRefused("a host has no backslash and no percent sign")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None or not parts[1]:
        raise URLRefused(f"{authority} is not a host, or not a host and a port")
    port = _port(parts[2], SCHEMES[scheme], ports)
    if parts[1].startswith("["):
        return Origin(scheme, _ipv6(parts[1][1:-1]), port, is_address=True)
    host = _ascii(parts[1])
    return Origin(scheme, host, port, is_address=_is_ipv4(host))


def _port(written: str | None, default: int, ports: Ports | None) -> int:
    if written is None or written == "":
        port = default
    else:
        port = int(written) if len(written) <= 5 else 0
    if not 1 <= port <= 65535:
        raise URLRefused("a URL's port (if any) is a number from 1 to 65535")
    if ports is not None and port not in ports:
        raise URLRefused(f"the port {port} is not one that may be called")
    return port


def _ipv6(written: str) -> str:
    try:
        address = IPv6Address(written)
    except AddressValueError as error:
        raise URLRefused(f"[{written}] is not an IPv6 address") from error
    if address.scope_id is not None:
        raise URLRefused("an IPv6 address in a URL has no zone")
    return str(address)


def _ascii(host: str) -> str:
    """Lower case, IDNA, no dot at the end."""
    try:
        plain = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise URLRefused(f"{host} is not a host name") from error
    plain = plain.lower().removesuffix(".")
    if _NAME.fullmatch(plain) is None:
        raise URLRefused(f"{host} is not a host name")
    return plain


def _is_ipv4(host: str) -> bool:
    """True for an address; URLRefused for what others could read as one."""
    if _NUMERIC.fullmatch(host.rpartition(".")[2]) is None:
        return False
    try:
        plain = str(IPv4Address(host)) == host
    except AddressValueError:
        plain = False
    if not plain:
        raise URLRefused(f"{host}: write an IPv4 address as four decimal numbers, such as 198.51.100.7")
    return True
