"""Command statuses, and the errors of this package.

An error that a peer can cause says what to answer and whether the link survives: `RecoverableError` is
answered with its `command_status` and the session lives on, `UnrecoverableError` is answered with a
generic_nack and the link is closed. The remaining errors are ours: the caller asked for something that
SMPP does not allow.
"""

from enum import IntEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from protocols.smpp.pdu import Pdu


class CommandStatus(IntEnum):
    """command_status values of SMPP 3.4 §5.1.3, and those that SMPP 5.0 added."""

    ESME_ROK = 0x00
    ESME_RINVMSGLEN = 0x01
    ESME_RINVCMDLEN = 0x02
    ESME_RINVCMDID = 0x03
    ESME_RINVBNDSTS = 0x04
    ESME_RALYBND = 0x05
    ESME_RINVPRTFLG = 0x06
    ESME_RINVREGDLVFLG = 0x07
    ESME_RSYSERR = 0x08
    ESME_RINVSRCADR = 0x0A
    ESME_RINVDSTADR = 0x0B
    ESME_RINVMSGID = 0x0C
    ESME_RBINDFAIL = 0x0D
    ESME_RINVPASWD = 0x0E
    ESME_RINVSYSID = 0x0F
    ESME_RCANCELFAIL = 0x11
    ESME_RREPLACEFAIL = 0x13
    ESME_RMSGQFUL = 0x14
    ESME_RINVSERTYP = 0x15
    ESME_RINVNUMDESTS = 0x33
    ESME_RINVDLNAME = 0x34
    ESME_RINVDESTFLAG = 0x40
    ESME_RINVSUBREP = 0x42
    ESME_RINVESMCLASS = 0x43
    ESME_RCNTSUBDL = 0x44
    ESME_RSUBMITFAIL = 0x45
    ESME_RINVSRCTON = 0x48
    ESME_RINVSRCNPI = 0x49
    ESME_RINVDSTTON = 0x50
    ESME_RINVDSTNPI = 0x51
    ESME_RINVSYSTYP = 0x53
    ESME_RINVREPFLAG = 0x54
    ESME_RINVNUMMSGS = 0x55
    ESME_RTHROTTLED = 0x58
    ESME_RINVSCHED = 0x61
    ESME_RINVEXPIRY = 0x62
    ESME_RINVDFTMSGID = 0x63
    ESME_RX_T_APPN = 0x64
    ESME_RX_P_APPN = 0x65
    ESME_RX_R_APPN = 0x66
    ESME_RQUERYFAIL = 0x67
    ESME_RINVOPTPARSTREAM = 0xC0
    ESME_ROPTPARNOTALLWD = 0xC1
    ESME_RINVPARLEN = 0xC2
    ESME_RMISSINGOPTPARAM = 0xC3
    ESME_RINVOPTPARAMVAL = 0xC4
    ESME_RDELIVERYFAILURE = 0xFE
    ESME_RUNKNOWNERR = 0xFF
    ESME_RSERTYPUNAUTH = 0x100
    ESME_RPROHIBITED = 0x101
    ESME_RSERTYPUNAVAIL = 0x102
    ESME_RSERTYPDENIED = 0x103
    ESME_RINVDCS = 0x104
    ESME_RINVSRCADDRSUBUNIT = 0x105
    ESME_RINVDSTADDRSUBUNIT = 0x106
    ESME_RINVBCASTFREQINT = 0x107
    ESME_RINVBCASTALIAS_NAME = 0x108
    ESME_RINVBCASTAREAFMT = 0x109
    ESME_RINVNUMBCAST_AREAS = 0x10A
    ESME_RINVBCASTCNTTYPE = 0x10B
    ESME_RINVBCASTMSGCLASS = 0x10C
    ESME_RBCASTFAIL = 0x10D
    ESME_RBCASTQUERYFAIL = 0x10E
    ESME_RBCASTCANCELFAIL = 0x10F
    ESME_RINVBCAST_REP = 0x110
    ESME_RINVBCASTSRVGRP = 0x111
    ESME_RINVBCASTCHANIND = 0x112


def status_name(status: int) -> str:
    """The name of a command_status, or its hexadecimal value when the carrier made it up ("0x00000410")."""
    try:
        return CommandStatus(status).name
    except ValueError:
        return f"0x{status:08X}"


class SMPPError(Exception):
    """The base of every error raised by protocols.smpp."""

    def detached(self) -> Self:
        """This error without the frames that led to it: what is kept as a value must not keep those alive."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)


class RecoverableError(SMPPError):
    """One PDU is wrong, the framing is not: answer `command_status`, the session goes on.

    `command_id` and `sequence_number` are those of the bad PDU. `salvaged` is what could be read of a bad
    *response*, its header and the fields before the fault: it cannot be answered, but it still ends its
    request.
    """

    def __init__(
        self,
        command_status: int,
        reason: str,
        *,
        command_id: int,
        sequence_number: int,
        salvaged: "Pdu | None" = None,
    ) -> None:
        super().__init__(f"{status_name(command_status)}: {reason} (command 0x{command_id:08X})")
        self.command_status = command_status
        self.reason = reason
        self.command_id = command_id
        self.sequence_number = sequence_number
        self.salvaged = salvaged


class UnrecoverableError(SMPPError):
    """The stream cannot be followed any further: answer generic_nack with `command_status`, then close."""

    def __init__(self, command_status: int, reason: str, *, sequence_number: int = 0) -> None:
        super().__init__(f"{status_name(command_status)}: {reason}")
        self.command_status = command_status
        self.reason = reason
        self.sequence_number = sequence_number


class EncodeError(SMPPError, ValueError):
    """A PDU of ours does not fit the wire; `field` says where. Nothing has been sent."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class NotAllowed(SMPPError):
    """The session is in a state in which this PDU may not be sent (SMPP 3.4 §2.3)."""

    def __init__(self, what: str, state: object) -> None:
        super().__init__(f"{what} is not allowed in state {state}")
        self.state = state


class WindowFull(SMPPError):
    """As many requests are outstanding as the window allows; wait for a response."""
