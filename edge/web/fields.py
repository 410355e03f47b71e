"""application/x-www-form-urlencoded, in queries and bodies: octets in, octets out, a bounded number."""

from urllib.parse import unquote_to_bytes

MAX_FIELDS = 100


class TooManyFields(ValueError):
    """More than MAX_FIELDS; taking them apart would cost more than the request is worth."""


def parse_fields(octets: bytes) -> dict[bytes, list[bytes]]:
    """The values of every name, in order. Only "&" separates; "+" is a space; a name alone has the value b"".

    Raises TooManyFields.
    """
    found: dict[bytes, list[bytes]] = {}
    if not octets:
        return found
    if octets.count(b"&") >= MAX_FIELDS:
        raise TooManyFields(f"There are more than {MAX_FIELDS} fields.")
    for pair in octets.replace(b"+", b" ").split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            found.setdefault(unquote_to_bytes(name), []).append(unquote_to_bytes(value))
    return found
