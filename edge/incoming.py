"""What one upstream brings, sorted: receipts, messages, and requests that make no sense here."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
from twisted.internet.defer import Deferred, succeed

from edge.binds import Bind
from edge.inbound import Inbound
from edge.mover import Mover
from edge.receipts import Receipts
from edge.recorder import Along
from edge.upstreams import Upstream
from protocols.smpp import receipt
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import DataSm, DeliverSm, Request
from storage.parts import QueuedPart

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Incoming:
    """I am the `Observer` of one upstream."""

    inbound: Inbound
    receipts: Receipts
    mover: Mover
    receipt_pattern: re.Pattern[str] | None
    unpack: Callable[[bytes], bytes] | None  # what makes septets of the octets of a carrier that packs them
    wall_ms: Callable[[], int]
    _open: int = 0
    _closed: bool = False
    _waiting: list[Deferred[None]] = field(default_factory=list)

    def close(self) -> Deferred[None]:
        """Take nothing more: the SMSC is told to come again. Fires when all that was taken is answered.

        What is unanswered when the link ends comes again as well, and would be flagged as a repeat.
        """
        self._closed = True
        if not self._open:
            return succeed(None)
        done: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(done)
        return done

    def _answered(self) -> None:
        self._open -= 1
        if not self._open:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)

    def received(self, upstream: Upstream, bind: Bind, pdu: Request) -> None:
        """See `edge.upstreams.Observer`."""
        link = bind.link
        if not isinstance(pdu, DeliverSm | DataSm):
            log.warning("request_unexpected", upstream=upstream.name, command=type(pdu).__name__)
            bind.respond(link, pdu.refuse(CommandStatus.ESME_RINVCMDID))
            return
        response, sequence_number = pdu.response_class, pdu.sequence_number
        if self._closed:
            status = CommandStatus.ESME_RX_T_APPN
            bind.respond(link, response(sequence_number=sequence_number, command_status=status))
            return
        self._open += 1

        def answer(status: int) -> None:
            bind.respond(link, response(sequence_number=sequence_number, command_status=status))
            self._answered()

        report = receipt.parse(pdu, self.receipt_pattern, self.unpack)
        if report is None:
            self.inbound.receive(pdu, answer, bind.name)
        else:
            self.receipts.receive(pdu, report, answer)

    def link_up(self, upstream: Upstream) -> None:
        """See `edge.upstreams.Observer`."""
        self.inbound.repeats.bind_up(self.wall_ms())

    def link_lost(self, upstream: Upstream, bind: Bind) -> None:
        """See `edge.upstreams.Observer`."""
        if bind.orderly:
            self.inbound.repeats.link_ended(bind.name)
        else:
            self.inbound.repeats.link_lost(bind.name, self.wall_ms())

    def accepted(self, upstream: Upstream, item: QueuedPart, smsc_message_id: str) -> None:
        """See `edge.upstreams.Observer`."""
        self.receipts.accepted(smsc_message_id)

    def taking(self, upstream: Upstream, item: QueuedPart) -> Along | None:
        """See `edge.upstreams.Observer`."""
        return self.receipts.taking(item)

    def failing(self, upstream: Upstream, part_ids: Sequence[int], told: bool) -> Along | None:
        """See `edge.upstreams.Observer`."""
        return self.receipts.failing(part_ids) if told else None

    def elsewhere(self, upstream: Upstream, item: QueuedPart) -> Deferred[Sequence[int]]:
        """See `edge.upstreams.Observer`."""
        return self.mover.refused(upstream, item)

    def refute(self, upstream: Upstream, part_id: int) -> Deferred[bool]:
        """See `edge.upstreams.Observer`."""
        return self.receipts.refute(part_id)
