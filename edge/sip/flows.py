"""Which way a request of ours goes: by a datagram if it fits, else by a stream, else by policy (RFC 3261
§18.1.1, RFC 3428 §8)."""

from dataclasses import dataclass

import structlog
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from edge.sip.agent import NoAnswer
from edge.sip.connections import TLSSide
from edge.sip.listeners import Listeners
from protocols.sip.locating import Hop
from protocols.sip.transport import Flow

log = structlog.get_logger(__name__)

UDP_MAX_OCTETS = 1_300
"""Beyond this a datagram may be cut on its way, so a stream is asked for."""

VIA_OCTETS = 200
"""What the agent may still add to a request."""


class TooLarge(Exception):
    """It does not fit a datagram, there is no stream, and the configuration wants nothing else tried."""


@dataclass(slots=True)
class Counters:
    """What was sent how since the start, for operators."""

    moved_to_tcp: int = 0
    large_by_udp: int = 0


class Flows:
    """I find flows. ``large_udp``: what does not fit a datagram goes by UDP all the same when TCP is not to
    be had."""

    def __init__(self, listeners: Listeners, large_udp: bool) -> None:
        self.counters = Counters()
        self._listeners = listeners
        self._large_udp = large_udp

    def datagrams(
        self, host: str, port: int, size: int, stream: Hop | None, local: str | None = None
    ) -> "Deferred[Flow]":
        """The flow for a request of ``size`` octets to an address by UDP; ``stream`` is where it may be
        taken by TCP instead, ``local`` our socket that the other side knows. Errback NoAnswer, TooLarge."""
        flow = self._listeners.datagrams_to(host, port, local)
        if flow is None:
            return fail(NoAnswer("no socket for this address"))
        if size <= UDP_MAX_OCTETS:
            return succeed(flow)
        if stream is None:
            return self._large(flow, size)
        return self.stream(stream).addCallbacks(self._moved, lambda _: self._large(flow, size))

    def stream(self, hop: Hop, tls: TLSSide | None = None) -> "Deferred[Flow]":
        """A connection. Errback NoAnswer."""
        return self._listeners.connect(hop, tls).addErrback(_unreachable)

    def to(self, hop: Hop, size: int, tls: TLSSide) -> "Deferred[Flow]":
        """The flow to a server, by its own transport. Errback NoAnswer, TooLarge."""
        if hop.kind == "UDP":
            return self.datagrams(hop.host, hop.port, size, Hop("TCP", hop.host, hop.port))
        return self.stream(hop, tls if hop.kind == "TLS" else None)

    def _moved(self, flow: Flow) -> Flow:
        self.counters.moved_to_tcp += 1
        return flow

    def _large(self, flow: Flow, size: int) -> "Deferred[Flow]":
        log.warning("sip_message_large", peer=flow.peer[0], octets=size, sent=self._large_udp)
        if not self._large_udp:
            return fail(TooLarge(size))
        self.counters.large_by_udp += 1
        return succeed(flow)


def _unreachable(failure: Failure) -> Flow:
    raise NoAnswer(failure.getErrorMessage())
