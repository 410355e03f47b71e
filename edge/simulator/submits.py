"""What the server sends: answered, shown on a phone, and receipted."""

from collections.abc import Callable
from functools import partial

import structlog
from twisted.internet.interfaces import IReactorTime

from edge.config import SimulatorConfig
from edge.policy import numbers
from edge.policy.numbers import NumberFormat
from edge.simulator.arrival import show
from edge.simulator.behaviour import Behaviour
from edge.simulator.delay import DelayLine, Every
from edge.simulator.link import Link
from edge.simulator.phones import Phones
from edge.simulator.receipts import delivered
from edge.simulator.spool import Deliverable, Spool, SpoolFull
from protocols.smpp.errors import CommandStatus, status_name
from protocols.smpp.pdu import (
    DataSm,
    DataSmResp,
    GenericNack,
    Request,
    Response,
    SubmitSm,
    SubmitSmResp,
)

log = structlog.get_logger(__name__)

# SMPP 3.4 §5.2.17, bits 1-0: 01 whatever the outcome, 10 only on failure, which does not happen here;
# SMPP 5.0 adds 11, only on success.
RECEIPT_BITS = 0x03
RECEIPT_WANTED = frozenset({0x01, 0x03})


class Submits:
    """I answer submit_sm and data_sm as the configuration says: late, throttled, or not at all."""

    def __init__(
        self,
        config: SimulatorConfig,
        behaviour: Behaviour,
        phones: Phones,
        spool: Spool,
        clock: IReactorTime,
        wall_ms: Callable[[], int],
        region: str,
    ) -> None:
        self._behaviour = behaviour
        self._phones = phones
        self._spool = spool
        self._wall_ms = wall_ms
        self._region = region
        self._throttle = Every(config.throttle_every)
        self._drop = Every(config.drop_every)
        self._answers = DelayLine(clock, config.answer_delay_seconds)
        self._receipts = DelayLine(clock, config.receipt_delay_seconds)
        self._next_id = behaviour.first_id

    def received(self, link: Link, request: Request) -> None:
        """One request of the server."""
        if not isinstance(request, SubmitSm | DataSm):
            link.respond(
                GenericNack(
                    command_status=CommandStatus.ESME_RINVCMDID, sequence_number=request.sequence_number
                )
            )
            return
        if self._drop.hit():
            log.info("simulator_dropped", sequence=request.sequence_number)
            return
        status = self._status(request)
        if status != CommandStatus.ESME_ROK:
            log.info("simulator_refused", status=status_name(status), sequence=request.sequence_number)
            self._answer(link, request.refuse(status))
        else:
            self._accept(link, request)

    def clear(self) -> None:
        """Forget what was to be answered or receipted later."""
        self._answers.clear()
        self._receipts.clear()

    def _status(self, request: SubmitSm | DataSm) -> int:
        if self._throttle.hit():
            return CommandStatus.ESME_RTHROTTLED
        if not request.destination_addr:
            return CommandStatus.ESME_RINVDSTADR
        if _wants_receipt(request) and len(self._spool) + len(self._receipts) >= self._spool.limit:
            return CommandStatus.ESME_RMSGQFUL
        return CommandStatus.ESME_ROK

    def _accept(self, link: Link, request: SubmitSm | DataSm) -> None:
        number = self._next_id
        self._next_id += 1
        phone = self._number(request.destination_addr, request.dest_addr_ton)
        did = self._number(request.source_addr, request.source_addr_ton)
        show(self._phones, phone, did, request)
        message_id = self._behaviour.ids.response_id(number)
        response_class = DataSmResp if isinstance(request, DataSm) else SubmitSmResp
        self._answer(link, response_class(sequence_number=request.sequence_number, message_id=message_id))
        if _wants_receipt(request):
            self._receipts.put(partial(self._receipt, request, number, self._wall_ms()))

    def _answer(self, link: Link, response: Response) -> None:
        self._answers.put(partial(link.respond, response))

    def _receipt(self, request: SubmitSm | DataSm, number: int, submitted_ms: int) -> None:
        pdu = delivered(request, number, self._behaviour.ids, submitted_ms, self._wall_ms())
        try:
            self._spool.put([Deliverable(pdu, partial(_receipt_ended, number))])
        except SpoolFull as error:
            log.warning("simulator_receipt_lost", reason=str(error))

    def _number(self, addr: str, ton: int) -> str:
        return numbers.from_wire(addr, ton, NumberFormat.E164, self._region)


def _wants_receipt(request: SubmitSm | DataSm) -> bool:
    return request.registered_delivery & RECEIPT_BITS in RECEIPT_WANTED


def _receipt_ended(number: int, command_status: int) -> None:
    if command_status != CommandStatus.ESME_ROK:
        log.warning("simulator_receipt_refused", id=number, status=status_name(command_status))
