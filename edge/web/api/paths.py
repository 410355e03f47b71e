"""What an address names: ids and numbers. What cannot be one is not there."""

from edge.web.api.members import parse_identifier
from edge.web.api.routes import Call
from edge.web.api.shapes import MAX_NUMBER


def identifier(call: Call, name: str = "id") -> int:
    """The id in the path. Raises Problem."""
    found = parse_identifier(call.path[name])
    if found is None:
        raise call.missing()
    return found


def number_in(call: Call, name: str) -> str:
    """The number in the path, as it is written; a "+" may stand as such. Raises Problem."""
    written = call.path[name]
    if not written.isprintable() or len(written) > MAX_NUMBER:
        raise call.missing()
    return written
