"""Why a part was not taken or not delivered, in the carrier's own terms; or by us not sent."""

from protocols.smpp.errors import CommandStatus
from storage.records import PartFlag, PartRecord, PartState

OPTED_OUT = "opted_out"
"""No carrier's word: the recipient wanted no more messages before this could be sent."""

FAILED = frozenset({PartState.FAILED, PartState.EXPIRED})


def error_of(record: PartRecord) -> str | None:
    """The command_status, what the receipt said, or OPTED_OUT; None when all is well."""
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
    return None
