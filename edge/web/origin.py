"""Where a request comes from: the page that made the browser send it, and the address behind a proxy."""

import ipaddress
from urllib.parse import urlsplit

from edge.web.request import EdgeRequest

OURS = frozenset({"same-origin", "none"})
IPV6_PREFIX = 64


def is_ours(request: EdgeRequest, public_url: str) -> bool:
    """May this request change anything? Browsers say which site's page made them send it."""
    site = request.getHeader("sec-fetch-site")
    if site is not None and site.lower() not in OURS:
        return False
    origin = request.getHeader("origin")
    if origin is None:
        return True
    known = {(request.getHeader("host") or "").lower(), _authority(public_url)}
    return _authority(origin) in known - {""}


def page_of(request: EdgeRequest, public_url: str) -> str | None:
    """The path and query of the page of ours that a request comes from, when the browser says it."""
    try:
        page = urlsplit(request.getHeader("referer") or "")
    except ValueError:
        return None
    known = {(request.getHeader("host") or "").lower(), _authority(public_url)}
    if not page.path or page.netloc.lower() not in known - {""}:
        return None
    return f"{page.path}?{page.query}" if page.query else page.path


def client_address(request: EdgeRequest, proxied: bool) -> str:
    """Who is at the other end.

    ``proxied``: a proxy on this machine stands before us, and the last address that it added is believed.
    """
    host = request.client_host
    forwarded = request.getHeader("x-forwarded-for") if proxied and _is_loopback(host) else None
    return forwarded.rpartition(",")[2].strip() if forwarded else host


def client_network(request: EdgeRequest, proxied: bool) -> str:
    """Who is at the other end, as one whom a limit can hold: an IPv4 address or an IPv6 /64."""
    return network_of(client_address(request, proxied))


def network_of(host: str) -> str:
    """The same for an address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)


def _authority(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
