"""Our own registration with a trunk, as its client (RFC 3261 §10.2), kept fresh until the server stops."""

from collections.abc import Callable
from enum import Enum

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from edge.sip.agent import NoAnswer
from edge.sip.client import Client
from edge.sip.flows import TooLarge
from protocols.sip.errors import BadValue
from protocols.sip.headers import parse_address_list, parse_number
from protocols.sip.locating import Hop
from protocols.sip.message import Request, Response
from protocols.sip.transport import Flow

log = structlog.get_logger(__name__)

REFRESH = 0.8
"""The part of its time after which a registration is renewed."""

LEAST_REFRESH = 5.0
FIRST_WAIT, MOST_WAIT = 10.0, 600.0
GOODBYE_SECONDS = 2.0

Register = Callable[[int, Hop, int], Request]
"""Makes a REGISTER: which one, to which server, for how many seconds."""


class State(Enum):
    """Where a registration is."""

    OFF = "off"
    TRYING = "trying"
    REGISTERED = "registered"
    REFUSED = "refused"


class Registration:
    """I register, refresh, and say goodbye."""

    def __init__(
        self, name: str, client: Client, register: Register, seconds: int, clock: IReactorTime
    ) -> None:
        self.state = State.OFF
        self.last_status: int | None = None
        self._log = log.bind(trunk=name)
        self._client = client
        self._register = register
        self._seconds = seconds
        self._clock = clock
        self._count = 0
        self._wait = FIRST_WAIT
        self._flow: Flow | None = None
        self._timer: IDelayedCall | None = None
        self._asking = False

    def start(self) -> None:
        """Register now."""
        self.state = State.TRYING
        self._go()

    def stop(self) -> "Deferred[object]":
        """Take the registration away, if there is one; waits a little for the answer."""
        was, self.state = self.state, State.OFF
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if was is not State.REGISTERED:
            return succeed(None)
        gone: Deferred[object] = Deferred.fromCoroutine(self._ask(0))
        return gone.addTimeout(GOODBYE_SECONDS, self._clock).addErrback(
            lambda failure: self._log.warning("sip_trunk_goodbye_lost", error=failure.getErrorMessage())
        )

    def flow_gone(self, flow: Flow) -> None:
        """The connection that we registered on is closed: nobody could reach us any more."""
        if flow is self._flow and self.state is State.REGISTERED:
            self.state = State.TRYING
            self._flow = None
            self._again_in(1.0)

    async def _ask(self, seconds: int) -> tuple[Response, Flow]:
        def make(_: int, hop: Hop) -> Request:
            self._count += 1
            return self._register(self._count, hop, seconds)

        return await self._client.ask(make)

    def _go(self) -> None:
        if self._asking or self.state is State.OFF:
            return
        self._asking = True
        Deferred.fromCoroutine(self._ask(self._seconds)).addCallbacks(self._answered, self._silent)

    def _answered(self, result: tuple[Response, Flow]) -> None:
        response, flow = result
        self._asking = False
        if self.state is State.OFF:
            return
        self.last_status = response.status
        if response.status == 423 and (least := _least(response)) > self._seconds:
            self._seconds = least
            self._go()
        elif 200 <= response.status < 300:
            self._registered(response, flow)
        else:
            self._failed(State.REFUSED, f"{response.status} {response.reason}"[:200])

    def _silent(self, failure: Failure) -> None:
        self._asking = False
        if failure.check(NoAnswer, TooLarge) is None:
            self._log.error("sip_registration_broken", error=failure.getTraceback())
        if self.state is not State.OFF:
            self.last_status = None
            self._failed(State.TRYING, failure.getErrorMessage()[:200])

    def _registered(self, response: Response, flow: Flow) -> None:
        if self.state is not State.REGISTERED:
            self._log.info("sip_trunk_registered", server=f"{flow.kind} {flow.peer[0]}:{flow.peer[1]}")
        self.state, self._flow, self._wait = State.REGISTERED, flow, FIRST_WAIT
        self._again_in(max(_granted(response, self._seconds) * REFRESH, LEAST_REFRESH))

    def _failed(self, state: State, why: str) -> None:
        """Said each time: the waits between them grow, and an operator must see that it goes on."""
        self.state = state
        self._log.warning("sip_trunk_not_registered", why=why, again_in=self._wait)
        self._again_in(self._wait)
        self._wait = min(2 * self._wait, MOST_WAIT)

    def _again_in(self, seconds: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(seconds, self._go)


def _least(response: Response) -> int:
    try:
        return parse_number(response.headers.get("Min-Expires") or "", "Min-Expires")
    except BadValue:
        return 0


def _granted(response: Response, asked: int) -> int:
    """The seconds that we were given: the shortest of the contacts, of which one is ours, or the header's."""
    try:
        contacts = parse_address_list(response.headers.all("Contact"), "Contact")
        given = [contact.params.get("expires") or "" for contact in contacts]
        seconds = [parse_number(value, "expires") for value in given if value]
        header = response.headers.get("Expires")
        seconds += [parse_number(header, "Expires")] if header is not None and not seconds else []
    except BadValue:
        return asked
    return min((value for value in seconds if value > 0), default=asked)
