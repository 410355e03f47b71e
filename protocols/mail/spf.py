"""SPF (RFC 7208): may this address send mail for that domain? DNS is asked through who calls.

`ptr`, which nobody should use, matches nothing, and `exp` is not looked at: no answer is "pass" by mistake.
"""

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol

MAX_LOOKUPS = 10  # RFC 7208 §4.6.4
MAX_VOID = 2
MAX_MX = 10
MAX_TERM = 500
"""Characters of a term with macros, each of which may stand for many."""

_MECHANISM = re.compile(
    r"(?P<sign>[+?~-]?)(?P<name>[a-z0-9]+)(?::(?P<domain>[^/]+))?"
    r"(?:/(?P<four>[0-9]{1,2}))?(?://(?P<six>[0-9]{1,3}))?",
    re.IGNORECASE,
)
_IP = re.compile(r"(?P<sign>[+?~-]?)(?P<name>ip[46]):(?P<network>[0-9a-f.:]+(?:/[0-9]{1,3})?)", re.IGNORECASE)
_MODIFIER = re.compile(r"(?P<name>[a-z][a-z0-9._-]*)=(?P<value>.*)", re.IGNORECASE)
_MACRO = re.compile(
    r"%\{(?P<letter>[slodihv])(?P<digits>[0-9]*)(?P<reverse>r?)(?P<by>[.+,/_=-]*)\}", re.IGNORECASE
)
_VERDICTS = {"+": "pass", "": "pass", "-": "fail", "~": "softfail", "?": "neutral"}

# What a mechanism names behind its colon.
_NEEDS_DOMAIN = frozenset({"include", "exists"})
_MAY_HAVE_DOMAIN = _NEEDS_DOMAIN | {"a", "mx", "ptr"}
_MAY_HAVE_LENGTHS = frozenset({"a", "mx"})

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Names(Protocol):
    """The DNS. None of these fails for a name that is not there."""

    def texts(self, name: str) -> Awaitable[list[bytes]]: ...
    def hosts(self, name: str) -> Awaitable[list[str]]: ...
    def mail_hosts(self, name: str) -> Awaitable[list[str]]: ...


class _PermError(Exception):
    """The record cannot be used."""


@dataclass(frozen=True, slots=True)
class _Mechanism:
    """``target`` is the domain that is meant; the lengths are of the networks around what that names."""

    verdict: str
    name: str
    target: str
    four: int = 32
    six: int = 128
    network: Network | None = None


@dataclass(slots=True)
class _Check:
    address: Address
    sender: str
    hello: str
    names: Names
    lookups: int = 0
    voids: int = 0

    def count(self) -> None:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            raise _PermError("too many lookups")

    def void(self, found: list[str]) -> list[str]:
        self.voids += not found
        if self.voids > MAX_VOID:
            raise _PermError("too many names without records")
        return found


async def check(address: str, sender: str, hello: str, names: Names) -> str:
    """ "pass", "fail", "softfail", "neutral", "none" or "permerror" for the envelope sender."""
    state = _Check(_address(address), sender, hello, names)
    try:
        return await _host(state, sender.rpartition("@")[2].lower())
    except _PermError:
        return "permerror"


def _address(written: str) -> Address:
    found = ip_address(written)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


async def _host(state: _Check, domain: str) -> str:
    record = await _record(state, domain)
    if record is None:
        return "none"
    mechanisms, redirect = _parsed(state, record.split()[1:], domain)
    for mechanism in mechanisms:
        if await _matches(state, mechanism):
            return mechanism.verdict
    if redirect is None or any(mechanism.name == "all" for mechanism in mechanisms):
        return "neutral"
    state.count()
    found = await _host(state, redirect)
    return "permerror" if found == "none" else found


async def _record(state: _Check, domain: str) -> str | None:
    texts = [text.decode("ascii", "replace") for text in await state.names.texts(domain)]
    found = [text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]
    if len(found) > 1:
        raise _PermError("several records")
    return found[0] if found else None


def _parsed(state: _Check, terms: list[str], domain: str) -> tuple[list[_Mechanism], str | None]:
    """The mechanisms of a record, and where it redirects. A slip anywhere spoils it all (RFC 7208 §4.6)."""
    mechanisms = []
    modifiers: dict[str, str] = {}
    for term in terms:
        modifier = _MODIFIER.fullmatch(term)
        if modifier is None:
            mechanisms.append(_mechanism(state, term, domain))
        elif (name := modifier["name"].lower()) in modifiers and name in ("redirect", "exp"):
            raise _PermError(f"{name} twice")
        else:
            modifiers[name] = modifier["value"]
    redirect = modifiers.get("redirect")
    return mechanisms, None if redirect is None else _expanded(state, redirect, domain)


def _mechanism(state: _Check, term: str, domain: str) -> _Mechanism:
    ip = _IP.fullmatch(term)
    if ip is not None:
        network = _network(ip["network"])
        if f"ip{network.version}" != ip["name"].lower():
            raise _PermError(term)
        return _Mechanism(_VERDICTS[ip["sign"]], "ip", domain, network=network)
    match = _MECHANISM.fullmatch(term)
    if match is None:
        raise _PermError(term)
    name, four, six = match["name"].lower(), int(match["four"] or 32), int(match["six"] or 128)
    if name not in _MAY_HAVE_DOMAIN | {"all"} or four > 32 or six > 128:
        raise _PermError(term)
    if (match["four"] or match["six"]) and name not in _MAY_HAVE_LENGTHS:
        raise _PermError(term)
    if name in _NEEDS_DOMAIN if match["domain"] is None else name not in _MAY_HAVE_DOMAIN:
        raise _PermError(term)
    target = domain if match["domain"] is None else _expanded(state, match["domain"], domain)
    return _Mechanism(_VERDICTS[match["sign"]], name, target, four, six)


def _network(written: str) -> Network:
    try:
        return ip_network(written, strict=False)
    except ValueError as error:
        raise _PermError(written) from error


async def _matches(state: _Check, mechanism: _Mechanism) -> bool:
    if mechanism.name == "all":
        return True
    if mechanism.network is not None:
        return mechanism.network.version == state.address.version and state.address in mechanism.network
    state.count()
    match mechanism.name:
        case "a":
            return _near(state, state.void(list(await state.names.hosts(mechanism.target))), mechanism)
        case "mx":
            return await _near_an_exchange(state, mechanism)
        case "exists":
            found = state.void(list(await state.names.hosts(mechanism.target)))
            return any(":" not in one for one in found)
        case "include":
            verdict = await _host(state, mechanism.target)
            if verdict in ("none", "permerror"):
                raise _PermError(f"include:{mechanism.target}")
            return verdict == "pass"
    return False  # ptr


async def _near_an_exchange(state: _Check, mechanism: _Mechanism) -> bool:
    exchanges = state.void(list(await state.names.mail_hosts(mechanism.target)))
    if len(exchanges) > MAX_MX:
        raise _PermError(f"mx:{mechanism.target}")
    for exchange in exchanges:
        if _near(state, await state.names.hosts(exchange), mechanism):
            return True
    return False


def _near(state: _Check, hosts: list[str], mechanism: _Mechanism) -> bool:
    """Is the address in one of the networks around these?"""
    length = mechanism.four if state.address.version == 4 else mechanism.six
    same = [host for host in hosts if _address(host).version == state.address.version]
    return any(state.address in _network(f"{host}/{length}") for host in same)


def _expanded(state: _Check, text: str, domain: str) -> str:
    """A domain with its macros (RFC 7208 §7)."""
    if len(text) > MAX_TERM:
        raise _PermError("a term too long")

    def value(match: re.Match[str]) -> str:
        local, _, sender_domain = state.sender.rpartition("@")
        dotted = str(state.address)
        if state.address.version == 6:
            dotted = ".".join(state.address.exploded.replace(":", ""))
        version = "in-addr" if state.address.version == 4 else "ip6"
        values = {
            "s": state.sender, "l": local, "o": sender_domain, "d": domain, "i": dotted, "h": state.hello,
            "v": version,
        }  # fmt: skip
        pieces = re.split(f"[{re.escape(match['by'] or '.')}]", values[match["letter"].lower()])
        if match["reverse"]:
            pieces.reverse()
        if match["digits"]:
            pieces = pieces[-int(match["digits"]) :] if int(match["digits"]) else pieces
        return ".".join(pieces)

    expanded = _MACRO.sub(value, text).replace("%%", "%").replace("%_", " ").replace("%-", "%20")
    if "%" in expanded or " " in expanded or not expanded.isascii():
        raise _PermError(text)
    return expanded.lower()
