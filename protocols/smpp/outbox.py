"""The sending side of a session: sequence numbers, octets to be written, the answer to a bad PDU."""

from collections.abc import Container
from typing import TypeVar

from protocols.smpp.codec import pack
from protocols.smpp.commands import RESPONSE
from protocols.smpp.errors import RecoverableError
from protocols.smpp.pdu import PDU_CLASSES, GenericNack, Pdu, Request, Response
from protocols.smpp.settings import Counters, count_error

MAX_SEQUENCE = 0x7FFFFFFF

_REQUESTS: dict[int, type[Request]] = {
    pdu_class.command_id: pdu_class for pdu_class in PDU_CLASSES if issubclass(pdu_class, Request)
}

P = TypeVar("P", bound=Pdu)


class Outbox:
    """I number the PDUs that a session sends and keep their octets until they are collected.

    Numbers run from 1 to 0x7FFFFFFF and round again (§5.1.4), past those in `in_use`.
    """

    def __init__(self, counters: Counters, in_use: Container[int]) -> None:
        self._counters = counters
        self._in_use = in_use
        self._sequence = 0
        self._octets: list[bytes] = []

    def send(self, pdu: Pdu) -> None:
        """Queue a PDU that has its sequence number. EncodeError: it has not been queued."""
        self._octets.append(pack(pdu))
        self._counters.sent[pdu.command_id] += 1
        if pdu.command_status:
            count_error(self._counters.errors_sent, pdu.command_id, pdu.command_status)

    def send_numbered(self, pdu: P) -> P:
        """Give `pdu` the next sequence number and queue it. EncodeError: it has not been queued."""
        sequence = self._sequence % MAX_SEQUENCE + 1
        while sequence in self._in_use:
            sequence = sequence % MAX_SEQUENCE + 1
        numbered = pdu.numbered(sequence)
        self.send(numbered)
        self._sequence = sequence
        return numbered

    def take(self) -> bytes:
        """Everything queued since the last time, in one piece."""
        data = b"".join(self._octets)
        self._octets.clear()
        return data


def answer_to(error: RecoverableError) -> Response | None:
    """What a bad PDU is answered with: its own response if it has one, else generic_nack, with the status.

    A bad response gets none: its sequence number is one of ours, and the peer would take our answer for
    that to its own request of this number.
    """
    if error.command_id & RESPONSE:
        return None
    request = _REQUESTS.get(error.command_id)
    response_class = GenericNack if request is None else request.response_class
    return response_class.without_body(error.sequence_number, error.command_status)
