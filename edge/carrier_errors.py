"""Why a part was not taken or not delivered, in the carrier's own terms; or by us not sent."""

from collections.abc import Sequence

from protocols.smpp.errors import CommandStatus
from storage.records import PartFlag, PartRecord, PartState

OPTED_OUT = "opted_out"
"""No carrier's word: the recipient wanted no more messages before this could be sent."""

GIVEN_UP = "given_up"
"""No carrier's word either: an operator gave the message up, or the part went down with another of it."""

FAILED = frozenset({PartState.FAILED, PartState.EXPIRED})


def error_of(record: PartRecord) -> str | None:
    """The command_status, what the receipt said, OPTED_OUT or GIVEN_UP; None when all is well."""
    if record.flags & PartFlag.OPTED_OUT and record.state == PartState.FAILED:
        return OPTED_OUT
    if record.command_status:
        try:
            name = CommandStatus(record.command_status).name
        except ValueError:
            name = "command_status"
        return f"{name} (0x{record.command_status:08X})"
    if record.state in FAILED and record.receipt_state:
        return " ".join(filter(None, (record.receipt_state, record.receipt_error)))
    return GIVEN_UP if record.state == PartState.FAILED else None


def deciding(parts: Sequence[PartRecord]) -> PartRecord | None:
    """The part that says why its message failed: the first one with an error, rather one of which somebody
    said more than that it was given up; None when there is none.
    """
    wrong = [part for part in parts if error_of(part) is not None]
    return next((part for part in wrong if error_of(part) != GIVEN_UP), wrong[0] if wrong else None)


def first_error(parts: Sequence[PartRecord]) -> str | None:
    """What that part says."""
    part = deciding(parts)
    return None if part is None else error_of(part)
