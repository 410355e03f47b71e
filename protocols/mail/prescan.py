"""The charset that a page names in itself, found before it is read as browsers do (WHATWG HTML §13.2.3.2)."""

import re

from protocols.mail import charsets

LOOKED_AT = 1_024
"""Octets from the page's beginning in which it is looked for."""

_S = rb"[\t\n\f\r ]"
_MARKUP = re.compile(rb"<(?:(?P<tag>/?[A-Za-z][^\t\n\f\r />]*+)|!(?=--)(?:.*?-->|.*)|[!/?][^>]*+)", re.DOTALL)
_ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*+(?P<name>[^\t\n\f\r />][^\t\n\f\r />=]*+)(?:%(S)b*+=%(S)b*+"
    rb"(?:\"(?P<double>[^\"]*+)\"|'(?P<single>[^']*+)'|(?P<bare>[^\t\n\f\r >\"'][^\t\n\f\r >]*+)?))?"
    % {b"S": _S}
)
_CONTENT = re.compile(
    rb"charset%(S)b*+=%(S)b*+[\"']?(?P<name>[^\"';\t\n\f\r ]++)" % {b"S": _S}, re.IGNORECASE
)
_XML = re.compile(rb"<\?xml%(S)b[^>]*?encoding%(S)b*+=%(S)b*+[\"'](?P<name>[^\"'>]*+)" % {b"S": _S})


def charset(page: bytes) -> str:
    """Its name by the first <meta> that has one in which that <meta> itself can be read, else by the page's
    declaration as XML; "" for none."""
    head = page[:LOOKED_AT]
    place = 0
    while (found := _MARKUP.search(head, place)) is not None:
        place = found.end()
        attributes: dict[bytes, bytes] = {}
        while found["tag"] and (attribute := _ATTRIBUTE.match(head, place)) is not None:
            value = attribute["double"] or attribute["single"] or attribute["bare"] or b""
            attributes.setdefault(attribute["name"].lower(), value)
            place = attribute.end()
        if (found["tag"] or b"").lower() == b"meta" and (name := _readable(_named(attributes))):
            return name
    declared = _XML.match(head)
    return "" if declared is None else _readable(declared["name"])


def _named(attributes: dict[bytes, bytes]) -> bytes:
    """By <meta charset=…>, or <meta http-equiv=content-type content="…; charset=…">."""
    if b"charset" in attributes:
        return attributes[b"charset"]
    if attributes.get(b"http-equiv", b"").strip().lower() != b"content-type":
        return b""
    content = _CONTENT.search(attributes.get(b"content", b""))
    return b"" if content is None else content["name"]


def _readable(name: bytes) -> str:
    found = name.decode("ascii", "replace").strip()
    return found if charsets.extends_ascii(found) else ""
