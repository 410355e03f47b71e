"""One bind: the life of one TCP session with an SMSC, from connecting to the next reconnect.

A bind knows nothing of messages. It keeps a session bound, says what room its window, its rate and its
SMSC's mood leave, and tells its owner what comes in and what was lost. Each change of its state is one line
in the log. A pause belongs to the bind, not to the session: it lasts over a reconnect.
"""

from enum import Enum
from random import Random
from typing import Any, Protocol

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from edge.config import UpstreamConfig
from edge.metrics import BindMetrics, BindSnapshot, by_status
from edge.rate import TokenBucket
from protocols.smpp import events
from protocols.smpp.errors import status_name
from protocols.smpp.pdu import BindReceiver, BindTransceiver, BindTransmitter, Pdu, Request, Response
from protocols.smpp.session import Role, Session, SessionSettings, SessionState
from protocols.smpp.states import BOUND
from protocols.smpp.transport import SMPPProtocol

log = structlog.get_logger(__name__)

SMPP_3_4 = 0x34
LEAST_OVERDUE = 50
"""So many overdue requests a link may have in any case; with a larger window, as many as that."""

QUIET_SECONDS = 0.05
CAN_TRANSMIT = frozenset({SessionState.BOUND_TX, SessionState.BOUND_TRX})


class BindKind(Enum):
    """What a bind is for; the value is the PDU that asks for it."""

    TRANSCEIVER = BindTransceiver
    TRANSMITTER = BindTransmitter
    RECEIVER = BindReceiver


KINDS = {
    "transceiver": (BindKind.TRANSCEIVER,),
    "transmitter_receiver": (BindKind.TRANSMITTER, BindKind.RECEIVER),
}


def bind_names(config: UpstreamConfig) -> list[tuple[str, BindKind]]:
    """The binds of an upstream: "carrier/transceiver", and with a number where there are several."""
    numbers = [""] if config.binds == 1 else [f"/{number}" for number in range(1, config.binds + 1)]
    return [
        (f"{config.name}/{kind.name.lower()}{number}", kind)
        for number in numbers
        for kind in KINDS[config.bind]
    ]


class BindOwner(Protocol):
    """Who is told. Called in the order in which things happen on the link."""

    def bind_up(self, bind: "Bind") -> None: ...

    def bind_down(self, bind: "Bind") -> None:
        """After every outstanding request was reported lost."""
        ...

    def bind_event(self, bind: "Bind", event: events.Event) -> None:
        """Requests, responses, expiries, losses."""
        ...

    def bind_resumed(self, bind: "Bind") -> None:
        """A pause is over."""
        ...


class Backoff:
    """Exponential with jitter: between half of and the whole of minimum × 2ⁿ, up to the maximum (seconds)."""

    def __init__(self, minimum: float, maximum: float, random: Random) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._random = random
        self._failures = 0

    def next(self) -> float:
        """The wait before the next try, in seconds."""
        delay = min(self._maximum, self._minimum * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return delay * self._random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """The last try went well."""
        self._failures = 0


class Bind:
    """I keep one session of an upstream bound from `start` until `stop`."""

    def __init__(
        self,
        name: str,
        kind: BindKind,
        config: UpstreamConfig,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        random: Random,
        owner: BindOwner,
    ) -> None:
        self.name = name
        self.kind = kind
        self.reserved = 0  # window slots promised to parts whose `sending` is being committed
        self.overdue = 0  # requests of this link that the SMSC may have, and has not answered in time
        self.metrics = BindMetrics()
        self._config = config
        self._endpoint = endpoint
        self._clock = clock
        self._owner = owner
        self._backoff = Backoff(config.reconnect_min_seconds, config.reconnect_max_seconds, random)
        self._throttle = Backoff(config.throttle_min_seconds, config.throttle_max_seconds, random)
        self._pause: IDelayedCall | None = None
        self._bucket = (
            TokenBucket(config.bind_rate, config.bind_burst, clock.seconds()) if config.bind_rate else None
        )
        self._protocol: SMPPProtocol | None = None
        self._session: Session | None = None
        self._connecting: Deferred[Any] | None = None
        self._again: IDelayedCall | None = None
        self._bound_at: float | None = None
        self.orderly = True
        """Whether the last link is over, and the SMSC has every answer that was given on it."""
        self._stopping = False
        self._quiet = False
        self._traced_until = 0.0
        self._stopped: list[Deferred[None]] = []
        self._log = log.bind(bind=name)

    @property
    def state(self) -> SessionState:
        """The session's state; CLOSED while there is none."""
        return SessionState.CLOSED if self._session is None else self._session.state

    @property
    def bound(self) -> bool:
        """Bound, for whichever direction."""
        return self.state in BOUND

    @property
    def transmits(self) -> bool:
        """Bound so that messages can be sent."""
        return self._session is not None and self._session.state in CAN_TRANSMIT

    @property
    def stalled(self) -> bool:
        """So many requests are unanswered beyond their time that nothing more is sent on this link."""
        return self.overdue >= max(self._config.window, LEAST_OVERDUE)

    @property
    def free(self) -> int:
        """How many more requests may be sent now, less what is promised."""
        session = self._session
        if session is None or session.state not in CAN_TRANSMIT or self._pause or self._quiet or self.stalled:
            return 0
        free = session.window.free - self.reserved
        if self._bucket is not None:
            free = min(free, self._bucket.available(self._clock.seconds()))
        return free

    @property
    def rate_wait(self) -> float | None:
        """Seconds until my rate lets a request go; None when something else is in the way."""
        session = self._session
        if not self.transmits or session is None or self._pause or self._quiet or self.stalled:
            return None
        if session.window.free <= self.reserved:
            return None
        return 0.0 if self._bucket is None else self._bucket.wait(self._clock.seconds())

    def reserve(self, count: int) -> None:
        """Promise so many places, which `free` had; the promise ends by lowering `reserved`."""
        self.reserved += count
        if self._bucket is not None:
            self._bucket.take(count, self._clock.seconds())

    @property
    def paused(self) -> bool:
        """The SMSC said "not so fast"."""
        return self._pause is not None

    def throttled(self, status: int) -> None:
        """The SMSC would not take a request now: send nothing for a while, longer each time in a row."""
        self.metrics.throttles += 1
        if self._pause is None and not self._stopping:
            seconds = self._throttle.next()
            self._log.warning("bind_paused", status=status_name(status), seconds=round(seconds, 2))
            self._pause = self._clock.callLater(seconds, self._resume)

    def rebind(self, status: int) -> None:
        """The SMSC takes us for not bound: end this session in order, and begin another after a while.

        What else it was sent may still be answered before its end.
        """
        if self._protocol is not None and self.bound:
            self._log.warning("bind_forgotten", status=status_name(status))
            self._protocol.unbind()

    def renew(self) -> None:
        """The SMSC does not answer any more: end this session in order, and begin another after a while."""
        if self._protocol is not None and self.bound:
            self._log.warning("bind_renewed", overdue=self.overdue)
            self._protocol.unbind()

    def accepted(self) -> None:
        """The SMSC took a request. What it took of those that were on their way when it asked for a pause
        says nothing of what comes after."""
        if self._pause is None:
            self._throttle.reset()

    def _resume(self) -> None:
        self._pause = None
        self._log.info("bind_resumed")
        self._owner.bind_resumed(self)

    @property
    def outstanding(self) -> int:
        """Requests without an answer."""
        return 0 if self._session is None else self._session.window.in_use

    def snapshot(self) -> BindSnapshot:
        """Everything that I count, as of now."""
        session, metrics = self._session, self.metrics
        counters = metrics.totals(None if session is None else session.counters)
        return BindSnapshot(
            name=self.name,
            kind=self.kind.name.lower(),
            state=self.state.name.lower(),
            paused=self.paused,
            window=self._config.window,
            window_in_use=self.outstanding,
            reconnects=metrics.reconnects,
            throttles=metrics.throttles,
            pdus_in=by_status(counters.received, counters.errors_received),
            pdus_out=by_status(counters.sent, counters.errors_sent),
            expired=counters.expired,
            late=counters.late,
            lost=counters.lost,
            refused=counters.refused,
            unknown_responses=counters.unknown_responses,
            response_seconds=tuple(metrics.histogram),
            response_seconds_sum=metrics.seconds,
        )

    @property
    def stopped(self) -> bool:
        """Down until it is started."""
        return self._stopping

    def trace(self, seconds: float) -> None:
        """Log each PDU for so long: what it is, not what it says."""
        self._traced_until = self._clock.seconds() + seconds

    def _trace(self, direction: str, pdu: Pdu) -> None:
        if self._clock.seconds() >= self._traced_until:
            self._traced_until = 0.0
            return
        self._log.info(
            "bind_pdu",
            direction=direction,
            command=pdu.command_id.name.lower(),
            status=status_name(getattr(pdu, "command_status", 0)),
            sequence=pdu.sequence_number,
        )

    def quiesce(self, seconds: float) -> Deferred[None]:
        """Send nothing new until `start`; fires when nothing waits for an answer, or after so many seconds.

        What is lost with the link would be in doubt.
        """
        self._quiet = True
        done: Deferred[None] = Deferred()
        self._when_quiet(done, self._clock.seconds() + seconds)
        return done

    def _when_quiet(self, done: Deferred[None], until: float) -> None:
        if not (self.outstanding or self.reserved) or self._clock.seconds() >= until:
            done.callback(None)
        else:
            self._clock.callLater(QUIET_SECONDS, self._when_quiet, done, until)

    def start(self) -> None:
        """Connect, and again after each loss. A link that is still ending is waited for."""
        self._stopping = self._quiet = False
        if self._protocol is None and self._connecting is None and self._again is None:
            self._connect()

    def stop(self) -> Deferred[None]:
        """Unbind politely if bound, then stay down. Fires when the link is gone."""
        self._stopping = True
        for timer in (self._again, self._pause):
            if timer is not None:
                timer.cancel()
        self._again = self._pause = None
        if self._connecting is not None:
            self._connecting.cancel()
        if self._protocol is None:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stopped.append(stopped)
        if len(self._stopped) == 1:
            self._protocol.unbind()
        return stopped

    def request(self, pdu: Request, context: object) -> None:
        """Send a request; its end comes to the owner as an event with this context.

        Raises when the link is not bound for it or the window is full; nothing was sent then.
        """
        if self._protocol is None:
            raise ConnectionError("the link is down")
        self._protocol.request(pdu, context)
        if self._traced_until:
            self._trace("out", pdu)

    def respond(self, protocol: object, response: Response) -> None:
        """Answer a request that came on ``protocol`` (see `link`), if that very link is still there."""
        if self._protocol is not None and self._protocol is protocol:
            self._protocol.respond(response)
            if self._traced_until:
                self._trace("out", response)

    @property
    def link(self) -> object:
        """The present TCP link: an answer must go back on the link that its request came on."""
        return self._protocol

    # -- connecting -------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._again = None
        self._log.info("bind_connecting", kind=self.kind.name.lower())
        factory = Factory.forProtocol(self._build)
        self._connecting = self._endpoint.connect(factory)
        self._connecting.addErrback(self._not_connected)

    def _build(self) -> SMPPProtocol:
        config = self._config
        settings = SessionSettings(
            window=config.window,
            response_timeout=config.response_timeout_seconds,
            enquire_link=config.enquire_link_seconds,
            enquire_misses=config.enquire_link_misses,
            inactivity=config.inactivity_seconds or None,
            bind_timeout=config.bind_timeout_seconds,
        )
        self._session = Session(Role.ESME, settings, self._clock.seconds())
        return SMPPProtocol(self._session, self, self._clock)

    def _not_connected(self, failure: Failure) -> None:
        self._connecting = None
        self._session = None
        if not self._stopping:
            self._retry(failure.getErrorMessage())

    def _retry(self, reason: str) -> None:
        delay = self._backoff.next()
        self.metrics.reconnects += 1
        self._log.warning("bind_retry", reason=reason, seconds=round(delay, 2))
        self._again = self._clock.callLater(delay, self._connect)

    # -- what the protocol tells ------------------------------------------------------------------

    def connection_made(self, protocol: SMPPProtocol) -> None:
        """TCP is there: ask to be bound."""
        self._connecting = None
        self._protocol = protocol
        config = self._config
        protocol.request(
            self.kind.value(
                system_id=config.system_id,
                password=config.password.reveal(),
                system_type=config.system_type,
                interface_version=SMPP_3_4,
            ),
            None,
        )

    def event(self, event: events.Event) -> None:
        """Sort the session's own events from those that concern messages."""
        if self._traced_until:
            pdu = getattr(event, "response", None) or getattr(event, "pdu", None)
            if pdu is not None:
                self._trace("in", pdu)
        if isinstance(event, events.ResponseReceived):
            self.metrics.answered(event.elapsed)
            self._owner.bind_event(self, event)
        elif isinstance(event, events.Bound):
            self._bound(event)
        elif isinstance(event, events.BindRefused):
            self._refused(event)
        elif isinstance(event, events.Closed):
            self._closed(event)
        elif isinstance(event, events.Refused):
            self._log.warning("pdu_refused", error=str(event.error))
        elif isinstance(event, events.UnknownResponse):
            command = type(event.pdu).__name__
            self._log.warning("response_unknown", command=command, sequence=event.pdu.sequence_number)
        else:
            self._owner.bind_event(self, event)

    def _bound(self, event: events.Bound) -> None:
        self._bound_at = self._clock.seconds()
        self.orderly = False  # until it has ended so
        self._log.info("bind_up", kind=self.kind.name.lower(), smsc=getattr(event.pdu, "system_id", ""))
        self._owner.bind_up(self)

    def _refused(self, event: events.BindRefused) -> None:
        # ESME_RALYBND too: the SMSC has not noticed yet that our last link is gone, so trying again is right.
        status = status_name(event.command_status)
        reason = f"bind refused: {status}"
        self._log.warning("bind_refused", status=status)
        if self._protocol is not None:
            self._protocol.disconnect(reason)

    def _closed(self, event: events.Closed) -> None:
        was_bound = self._bound_at
        if self._session is not None:
            self.metrics.ended(self._session.counters)
        self._protocol = self._session = self._bound_at = None
        if was_bound is not None:
            self._log.warning("bind_down", reason=event.reason)
            if self._clock.seconds() - was_bound >= self._config.reconnect_max_seconds:
                self._backoff.reset()
            self.orderly = event.orderly
            self._owner.bind_down(self)
        self._finish_stop()
        if not self._stopping:
            self._retry(event.reason)

    def _finish_stop(self) -> None:
        stopped, self._stopped = self._stopped, []
        for each in stopped:
            each.callback(None)
