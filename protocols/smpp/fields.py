"""The kinds of field in PDU bodies (SMPP 3.4 §3.1): how each is written, read and found wrong."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from struct import Struct
from typing import cast

from protocols.smpp.errors import CommandStatus as Status
from protocols.smpp.errors import EncodeError
from protocols.smpp.shapes import DistributionList, SmeAddress, UnsuccessSme

_INTEGER4 = Struct(">I")
_DATE = r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"  # YYMMDD
_CLOCK = r"(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9][0-9]"  # hhmmsst, t in tenths of a second
_ZONE = r"(?:[0-3][0-9]|4[0-8])[+-]"  # nn, quarters of an hour from UTC, and their sign
_TIME = re.compile(rf"{_DATE}{_CLOCK}{_ZONE}|[0-9]{{15}}R")  # absolute, or R: so long from now
_SHORT_MONTHS = {"02": 29, "04": 30, "06": 30, "09": 30, "11": 30}

MAX_SHORT_MESSAGE = 254
MAX_DESTINATIONS = 254


class BodyError(Exception):
    """A field of a received body is wrong; `status` is the answer. The codec makes it a RecoverableError."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Field(ABC):
    """One field of a body. `status` answers a PDU in which it is wrong."""

    name: str
    status: int = Status.ESME_RINVCMDLEN

    @abstractmethod
    def pack(self, value: object) -> bytes:
        """The octets of `value`; EncodeError when it does not fit."""

    @abstractmethod
    def unpack(self, data: bytes, position: int) -> tuple[object, int]:
        """The value at `position` and the position after it; BodyError when it is not there whole."""

    def fail(self, problem: str) -> BodyError:
        """The error for this field in a received body."""
        return BodyError(self.status, f"{self.name}: {problem}")


@dataclass(frozen=True, slots=True)
class Octet(Field):
    """An integer of one octet."""

    def pack(self, value: object) -> bytes:
        if not isinstance(value, int) or not 0 <= value <= 0xFF:
            raise EncodeError(self.name, "must be an integer from 0 to 255")
        return bytes((value,))

    def unpack(self, data: bytes, position: int) -> tuple[int, int]:
        if position >= len(data):
            raise self.fail("the body ends before it")
        return data[position], position + 1


@dataclass(frozen=True, slots=True)
class CString(Field):
    """A C-octet string; `size` counts its octets with the NUL."""

    size: int = 65

    def pack(self, value: object) -> bytes:
        if not isinstance(value, str):
            raise EncodeError(self.name, "must be a string")
        try:
            octets = value.encode("latin-1")
        except UnicodeEncodeError as error:
            raise EncodeError(self.name, "holds a character beyond Latin-1") from error
        if b"\0" in octets:
            raise EncodeError(self.name, "holds a NUL")
        if len(octets) >= self.size:
            raise EncodeError(self.name, f"has {len(octets)} octets, more than {self.size - 1}")
        return octets + b"\0"

    def unpack(self, data: bytes, position: int) -> tuple[str, int]:
        end = data.find(0, position)
        if end < 0:
            raise self.fail("no NUL before the end of the body")
        if end - position >= self.size:
            raise self.fail(f"has {end - position} octets, more than {self.size - 1}")
        return data[position:end].decode("latin-1"), end + 1

    def salvage(self, data: bytes, position: int) -> str:
        """What can be read of a string that `unpack` refused: up to a NUL or the end."""
        return data[position:].split(b"\0", 1)[0].decode("latin-1")


@dataclass(frozen=True, slots=True)
class Time(CString):
    """A C-octet string that is empty or a time of 16 characters (§7.1.1)."""

    size: int = 17

    def pack(self, value: object) -> bytes:
        octets = CString.pack(self, value)
        if not is_time(octets[:-1].decode("latin-1")):
            raise EncodeError(self.name, "is not a time of the form YYMMDDhhmmsstnnp")
        return octets

    def unpack(self, data: bytes, position: int) -> tuple[str, int]:
        value, position = CString.unpack(self, data, position)
        if not is_time(value):
            raise self.fail("is not a time of the form YYMMDDhhmmsstnnp")
        return value, position


def is_time(value: str) -> bool:
    """Whether an SMPP time is well formed: empty, a date that there can be, or a relative one (§7.1.1)."""
    if not value:
        return True
    return _TIME.fullmatch(value) is not None and (value[-1] == "R" or _in_calendar(value))


def _in_calendar(value: str) -> bool:
    """Whether the month of an absolute time has its day; YY is of this century, where every fourth leaps."""
    month, day = value[2:4], int(value[4:6])
    if month == "02" and int(value[:2]) % 4:
        return day <= 28
    return day <= _SHORT_MONTHS.get(month, 31)


@dataclass(frozen=True, slots=True)
class ShortMessage(Field):
    """sm_length and short_message."""

    def pack(self, value: object) -> bytes:
        if not isinstance(value, bytes):
            raise EncodeError(self.name, "must be bytes")
        if len(value) > MAX_SHORT_MESSAGE:
            raise EncodeError(self.name, f"has {len(value)} octets, more than {MAX_SHORT_MESSAGE}")
        return bytes((len(value),)) + value

    def unpack(self, data: bytes, position: int) -> tuple[bytes, int]:
        if position >= len(data):
            raise self.fail("the body ends before sm_length")
        begin, length = position + 1, data[position]
        if length > MAX_SHORT_MESSAGE or begin + length > len(data):
            raise self.fail(f"sm_length is {length}, the body has {len(data) - begin} octets left")
        return data[begin : begin + length], begin + length


TON, NPI = Octet("dest_addr_ton"), Octet("dest_addr_npi")
DESTINATION = CString("destination_addr", Status.ESME_RINVDSTADR, 21)
_FLAG = Octet("dest_flag", Status.ESME_RINVDESTFLAG)
_NUMBER_OF_DESTS = Octet("number_of_dests", Status.ESME_RINVNUMDESTS)
_NO_UNSUCCESS = Octet("no_unsuccess", Status.ESME_RINVNUMDESTS)
_DL_NAME = CString("dl_name", Status.ESME_RINVDLNAME, 21)


@dataclass(frozen=True, slots=True)
class Destinations(Field):
    """number_of_dests and dest_address of a submit_multi: at most 254."""

    def pack(self, value: object) -> bytes:
        destinations = cast("tuple[SmeAddress | DistributionList, ...]", value)
        if len(destinations) > MAX_DESTINATIONS:
            raise EncodeError(self.name, f"has more than {MAX_DESTINATIONS} destinations")
        return bytes((len(destinations),)) + b"".join(map(_pack_destination, destinations))

    def unpack(self, data: bytes, position: int) -> tuple[tuple[SmeAddress | DistributionList, ...], int]:
        count, position = _NUMBER_OF_DESTS.unpack(data, position)
        if count > MAX_DESTINATIONS:
            raise self.fail(f"number_of_dests is {count}")
        found = []
        for _ in range(count):
            destination, position = _unpack_destination(data, position)
            found.append(destination)
        return tuple(found), position


def _pack_destination(destination: SmeAddress | DistributionList) -> bytes:
    if isinstance(destination, DistributionList):
        return b"\2" + _DL_NAME.pack(destination.dl_name)
    return b"\1" + _pack_address(destination)


def _pack_failure(failure: UnsuccessSme) -> bytes:
    if not 0 <= failure.error_status_code <= 0xFFFFFFFF:
        raise EncodeError("error_status_code", "must be an integer of 32 bits")
    return _pack_address(failure) + _INTEGER4.pack(failure.error_status_code)


def _pack_address(address: SmeAddress | UnsuccessSme) -> bytes:
    ton, npi = TON.pack(address.dest_addr_ton), NPI.pack(address.dest_addr_npi)
    return ton + npi + DESTINATION.pack(address.destination_addr)


def _unpack_destination(data: bytes, position: int) -> tuple[SmeAddress | DistributionList, int]:
    kind, position = _FLAG.unpack(data, position)
    if kind == 1:
        return _unpack_address(data, position)
    if kind == 2:
        name, position = _DL_NAME.unpack(data, position)
        return DistributionList(name), position
    raise _FLAG.fail(f"is {kind}")


def _unpack_address(data: bytes, position: int) -> tuple[SmeAddress, int]:
    ton, position = TON.unpack(data, position)
    npi, position = NPI.unpack(data, position)
    address, position = DESTINATION.unpack(data, position)
    return SmeAddress(ton, npi, address), position


@dataclass(frozen=True, slots=True)
class Failures(Field):
    """no_unsuccess and unsuccess_sme of a submit_multi_resp."""

    def pack(self, value: object) -> bytes:
        failures = cast("tuple[UnsuccessSme, ...]", value)
        if len(failures) > 255:
            raise EncodeError(self.name, "has more than 255 destinations")
        return bytes((len(failures),)) + b"".join(map(_pack_failure, failures))

    def unpack(self, data: bytes, position: int) -> tuple[tuple[UnsuccessSme, ...], int]:
        count, position = _NO_UNSUCCESS.unpack(data, position)
        found = []
        for _ in range(count):
            address, position = _unpack_address(data, position)
            if position + 4 > len(data):
                raise self.fail("the body ends before error_status_code")
            found.append(UnsuccessSme(*address, *_INTEGER4.unpack_from(data, position)))
            position += 4
        return tuple(found), position
