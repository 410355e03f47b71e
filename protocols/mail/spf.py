"""SPF (RFC 7208): may this address send mail for that domain? DNS is asked through who calls.

`ptr`, which nobody should use, matches nothing, and `exp` is not looked at: no answer is "pass" by mistake.
"""

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Protocol

MAX_LOOKUPS = 10  # RFC 7208 §4.6.4
MAX_VOID = 2
MAX_MX = 10
MAX_TERM = 500
"""Characters of a term with macros, each of which may stand for many."""

_TERM = re.compile(
    r"(?P<sign>[+?~-]?)(?P<name>[a-z0-9]+)(?::(?P<domain>[^/]+))?(?P<bits>(?:/[0-9/]+)?)", re.IGNORECASE
)
_IP = re.compile(r"(?P<sign>[+?~-]?)(?P<name>ip[46]):(?P<network>[0-9a-f.:]+(?:/[0-9]{1,3})?)", re.IGNORECASE)
_MACRO = re.compile(
    r"%\{(?P<letter>[slodihv])(?P<digits>[0-9]*)(?P<reverse>r?)(?P<by>[.+,/_=-]*)\}", re.IGNORECASE
)
_VERDICTS = {"+": "pass", "": "pass", "-": "fail", "~": "softfail", "?": "neutral"}

Address = IPv4Address | IPv6Address


class Names(Protocol):
    """The DNS. None of these fails for a name that is not there."""

    def texts(self, name: str) -> Awaitable[list[bytes]]: ...
    def hosts(self, name: str) -> Awaitable[list[str]]: ...
    def mail_hosts(self, name: str) -> Awaitable[list[str]]: ...


class _PermError(Exception):
    """The record cannot be used."""


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
    terms = record.split()[1:]
    for term in terms:
        if "=" in term.partition(":")[0] and not term.lower().startswith(("ip4:", "ip6:")):
            continue
        verdict = await _term(state, term, domain)
        if verdict is not None:
            return verdict
    redirects = [term[len("redirect=") :] for term in terms if term.lower().startswith("redirect=")]
    if not redirects:
        return "neutral"
    state.count()
    found = await _host(state, _expanded(state, redirects[0], domain))
    return "permerror" if found == "none" else found


async def _record(state: _Check, domain: str) -> str | None:
    texts = [text.decode("ascii", "replace") for text in await state.names.texts(domain)]
    found = [text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]
    if len(found) > 1:
        raise _PermError("several records")
    return found[0] if found else None


async def _term(state: _Check, term: str, domain: str) -> str | None:
    """What a mechanism says; None when it does not match."""
    network = _IP.fullmatch(term)
    if network is not None:
        return _VERDICTS[network["sign"]] if _within(state.address, network["network"]) else None
    match = _TERM.fullmatch(term)
    if match is None:
        raise _PermError(term)
    name = match["name"].lower()
    if name == "all":
        return _VERDICTS[match["sign"]]
    target = domain if match["domain"] is None else _expanded(state, match["domain"], domain)
    matched = await _matches(state, name, target, match["bits"])
    return _VERDICTS[match["sign"]] if matched else None


async def _matches(state: _Check, name: str, target: str, bits: str) -> bool:
    match name:
        case "a":
            state.count()
            return _any_within(state, state.void(list(await state.names.hosts(target))), bits)
        case "mx":
            state.count()
            hosts = state.void(list(await state.names.mail_hosts(target)))
            for host in hosts[:MAX_MX]:
                if _any_within(state, await state.names.hosts(host), bits):
                    return True
            return False
        case "exists":
            state.count()
            found = state.void(list(await state.names.hosts(target)))
            return any(":" not in one for one in found)
        case "include":
            state.count()
            verdict = await _host(state, target)
            if verdict in ("none", "permerror"):
                raise _PermError(f"include:{target}")
            return verdict == "pass"
        case "ptr":
            state.count()
            return False
    raise _PermError(name)


def _any_within(state: _Check, hosts: list[str], bits: str) -> bool:
    four, _, six = bits.removeprefix("/").partition("//")
    if bits.startswith("//"):
        four, six = "", bits.removeprefix("//")
    length = four if state.address.version == 4 else six
    same = [host for host in hosts if _address(host).version == state.address.version]
    return any(_within(state.address, f"{host}/{length}" if length else host) for host in same)


def _within(address: Address, network: str) -> bool:
    try:
        found = ip_network(network, strict=False)
    except ValueError as error:
        raise _PermError(network) from error
    return found.version == address.version and address in found


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
