"""Why a carrier did not take or not deliver a part, in its own terms."""

from protocols.smpp.errors import CommandStatus
from storage.records import PartRecord, PartState

FAILED = frozenset({PartState.FAILED, PartState.EXPIRED})


def error_of(record: PartRecord) -> str | None:
    """The command_status or what the receipt said; None when all is well."""
    if record.command_status:
        try:
            name = CommandStatus(record.command_status).name
        except ValueError:
            name = "command_status"
        return f"{name} (0x{record.command_status:08X})"
    if record.state in FAILED and record.receipt_state:
        return " ".join(filter(None, (record.receipt_state, record.receipt_error)))
    return None
