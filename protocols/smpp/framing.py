"""Cutting a TCP stream into PDUs by command_length (SMPP 3.4 §3.2)."""

from collections.abc import Iterator
from struct import Struct

from protocols.smpp.errors import CommandStatus, UnrecoverableError

HEADER_LENGTH = 16
MAX_PDU = 70_000
"""The longest PDU that is read: a message_payload of 64 KiB and room for the other fields."""

_LENGTH = Struct(">I")
_SEQUENCE = Struct(">I")


class Framer:
    """I cut what arrives on one connection into whole PDUs, in linear time and bounded memory.

    A command_length below 16 or above `max_pdu` is refused as soon as it can be answered, before any octet of
    the body is kept: I hold at most one PDU that is not whole yet.
    """

    def __init__(self, max_pdu: int = MAX_PDU) -> None:
        self._max_pdu = max_pdu
        self._tail = bytearray()
        self._needed = 4

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The PDUs that `data` completes. Read it to its end, or drop me.

        UnrecoverableError, after the PDUs before it, when a command_length is out of bounds. Its sequence
        number is that of the header if the PDU is too long, 0 if it is too short to have a header.
        """
        if self._tail:
            self._tail += data
            if len(self._tail) < self._needed:
                return
            data = bytes(self._tail)
        position, end = 0, len(data)
        while True:
            start = position
            if end - start < 4:
                self._needed = 4
                break
            (length,) = _LENGTH.unpack_from(data, start)
            if not HEADER_LENGTH <= length <= self._max_pdu:
                if length < HEADER_LENGTH or end - start >= HEADER_LENGTH:
                    raise self._refuse(data, start, length)
                self._needed = HEADER_LENGTH
                break
            position = start + length
            if position > end:
                self._needed = length
                break
            yield data[start:position]
        self._tail = bytearray(data[start:])

    def _refuse(self, data: bytes, start: int, length: int) -> UnrecoverableError:
        sequence = _SEQUENCE.unpack_from(data, start + 12)[0] if length > self._max_pdu else 0
        reason = f"command_length {length} is not within {HEADER_LENGTH} to {self._max_pdu}"
        return UnrecoverableError(CommandStatus.ESME_RINVCMDLEN, reason, sequence_number=sequence)
