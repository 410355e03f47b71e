"""Who may use the simulator's page: a browser or program on this machine, and no other site's page."""

import ipaddress
from urllib.parse import urlsplit

from edge.simulator.web import Request

SAME_SITE = frozenset({"same-origin", "none"})
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": with it browsers send `Origin: null` even to the page's own form.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def local(request: Request) -> bool:
    """Is this request from this machine, to this machine, by a name that means this machine?

    The name guards against pages that let their own name point at 127.0.0.1, and the forwarding headers
    against a proxy on this machine that speaks for others.
    """
    if any(request.requestHeaders.hasHeader(name) for name in FORWARDED):
        return False
    addresses = (request.getClientAddress(), request.getHost())
    return all(_loopback(getattr(address, "host", "")) for address in addresses) and _own_name(request)


def same_origin(request: Request) -> bool:
    """May this request change anything? Browsers say where it comes from; programs that say nothing may."""
    site = request.getHeader("sec-fetch-site")
    if site is not None and site.lower() not in SAME_SITE:
        return False
    origin = request.getHeader("origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc.lower() == (request.getHeader("host") or "").lower()


def _own_name(request: Request) -> bool:
    name = urlsplit(f"//{request.getHeader('host') or ''}").hostname or ""
    return name == "localhost" or name.endswith(".localhost") or _loopback(name)


def _loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
