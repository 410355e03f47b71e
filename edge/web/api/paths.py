"""What an address names: ids and numbers. What cannot be one is not there."""

from edge.errors import Refused
from edge.policy.numbers import destination
from edge.web.api.members import parse_identifier
from edge.web.api.routes import Call
from edge.web.api.shapes import MAX_NUMBER


def identifier(call: Call, name: str = "id") -> int:
    """The id in the path. Raises Problem."""
    found = parse_identifier(call.path[name])
    if found is None:
        raise call.missing()
    return found


def spelled(call: Call, name: str) -> str | None:
    """The number among the members, in E.164 if it is one, however it was written; None without one."""
    written = call.given[name]
    return None if written is None else in_e164(call, written)


def in_e164(call: Call, written: str) -> str:
    """Names of senders are no numbers, and are looked for as they are."""
    try:
        return destination(written, call.services.config.numbers.region)
    except Refused:
        return str(written)


def number_in(call: Call, name: str) -> str:
    """The number in the path, as `spelled` has it; a "+" may stand as such. Raises Problem."""
    written = call.path[name]
    if not written.isprintable() or len(written) > MAX_NUMBER:
        raise call.missing()
    return in_e164(call, written)
