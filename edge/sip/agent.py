"""The user agent: requests in, answers out, our own requests out, answers in (RFC 3261 §8, §17).

datagram, stream ─ guard ─ parse ─ check ─ known? ─► the answer once more └── new ────► method ─► answer, kept
for retransmissions

I am the `Receiver` of every transport. What is malformed is answered when it can be addressed, else dropped;
nothing that a peer sends raises.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge.recent import Recent
from edge.sip.guard import Guard
from edge.sip.ourselves import Ourselves
from protocols.sip.answers import reply_address, response_to, stamp
from protocols.sip.errors import BadValue, EncodeError, Malformed
from protocols.sip.headers import parse_tokens
from protocols.sip.message import Request, Response, parse
from protocols.sip.transaction import (
    Answered,
    ClientTransactions,
    Resend,
    ServerTransaction,
    ServerTransactions,
    Unanswered,
    server_key,
)
from protocols.sip.transport import Flow
from protocols.sip.uri import parse_uri
from protocols.sip.validity import METHODS, KeyFields, check_request, check_response

log = structlog.get_logger(__name__)

SERVER = "Trunkline"
ALLOW = ("Allow", "MESSAGE, REGISTER, OPTIONS, ACK, CANCEL")
MAX_GROWTH = 1.5
"""An answer to somebody who is not known is at most so many times his request: no amplifier for others."""

EXTENSIONS: frozenset[str] = frozenset(("path", "outbound", "gruu"))
"""Option tags that may be required of us: understood, or harmless to a registrar (RFC 3327, RFC 5626)."""

_OUTSIDE_DIALOG = {"BYE": 481, "CANCEL": 481, "NOTIFY": 481, "UPDATE": 481, "PRACK": 481, "SUBSCRIBE": 489}


@dataclass(slots=True)
class Counters:
    """What came since the start, for operators."""

    requests: int = 0
    retransmissions: int = 0
    malformed: int = 0
    dropped: int = 0
    overload: int = 0
    not_answered: int = 0


class Incoming(NamedTuple):
    """One new request with its key fields and where it came from."""

    request: Request
    keys: KeyFields
    flow: Flow


class Reply(NamedTuple):
    """What a method answers: status, reason (None: the usual one), more header fields; what to answer
    ``instead`` where this is larger than it may be (None: nothing); whether to be ``short``."""

    status: int
    reason: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    instead: "Reply | None" = None
    short: bool = False


Late = Callable[[Response], None]
"""Hears the final answer to a request of ours that comes after its time."""

LATE_REMEMBERED = 10_000
SILENT_TO_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request of ours that waits for its answer."""

    done: "Deferred[Response]"
    flow: Flow
    branch: str
    late: "Late | None"


Method = Callable[[Incoming], "Reply | Deferred[Reply]"]
"""What answers a request: at once where nothing has to be stored."""


class NoAnswer(Exception):
    """Our request got no final answer."""


class UserAgent:
    """I own the transactions of one server. ``methods`` are REGISTER and MESSAGE.

    ``overloaded`` is asked whether a request is too much now; it is told whether the request answers a
    challenge, on which half of its work has been spent already.
    """

    def __init__(
        self,
        guard: Guard,
        clock: IReactorTime,
        token: Callable[[], str],
        overloaded: Callable[[bool], bool],
        ourselves: Ourselves,
    ) -> None:
        self.counters = Counters()
        self.methods: Mapping[str, Method] = {}
        self.flow_gone: Callable[[Flow], None] | None = None
        self._guard = guard
        self._clock = clock
        self._token = token
        self._overloaded = overloaded
        self._ourselves = ourselves
        self._server = ServerTransactions()
        self._client = ClientTransactions()
        self._silent_to: Recent[str, None] = Recent(SILENT_TO_REMEMBERED)
        self._late: Recent[str, Late] = Recent(LATE_REMEMBERED)
        self._timer: IDelayedCall | None = None
        self._tidy = LoopingCall(self._tidy_up)
        self._tidy.clock = clock

    @property
    def transactions(self) -> int:
        """Requests of peers that are remembered."""
        return len(self._server)

    def start(self) -> None:
        """Begin to forget what is over."""
        self._tidy.start(1.0, now=False)

    def stop(self) -> None:
        """No more timers; requests that wait for an answer are given up."""
        if self._tidy.running:
            self._tidy.stop()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    # -- what the transports call -----------------------------------------------------------------

    def received(self, data: bytes, flow: Flow) -> None:
        """See `protocols.sip.transport.Receiver`."""
        try:
            message = parse(data)
            if isinstance(message, Response):
                self._response(message)
            else:
                self._request(message, flow, len(data))
        except Malformed as error:
            self.malformed(error, flow, len(data))
        except Exception:
            log.exception("sip_message_failed", peer=flow.peer[0])

    def malformed(self, error: Malformed, flow: Flow, size: int = 0) -> None:
        """See `protocols.sip.transport.Receiver`."""
        self.counters.malformed += 1
        request = error.request
        if request is None or request.method == "ACK" or not self._admitted(request, flow):
            self.counters.dropped += 1
            return
        stamp(request, *flow.peer)
        answer = self._made(Reply(error.status, error.reason), request)
        if self._fits(answer, size, flow):
            self._reply_flow(request, flow).send(answer)
        else:
            self._withheld(answer, flow, size)

    def flow_lost(self, flow: Flow, reason: str) -> None:
        """See `protocols.sip.transport.Receiver`."""
        if self.flow_gone is not None:
            self.flow_gone(flow)
        for event in self._client.lost(flow, reason):
            self._on_event(event)

    # -- requests of peers ------------------------------------------------------------------------

    def _admitted(self, request: Request, flow: Flow) -> bool:
        agent = request.headers.get("User-Agent")
        return self._guard.admits(flow.peer[0], agent, self._clock.seconds())

    def _request(self, request: Request, flow: Flow, size: int) -> None:
        keys = check_request(request)
        key = server_key(request, keys)
        known = self._server.find(key)
        if known is not None:
            self.counters.retransmissions += 1
            if known.answer and (size >= known.size or self._fits(known.answer, size, flow)):
                self._reply_flow(request, flow).send(known.answer)
            return
        if request.method == "ACK":  # for a 405 that we gave an INVITE
            return
        if not self._admitted(request, flow):
            self.counters.dropped += 1
            return
        self.counters.requests += 1
        stamp(request, *flow.peer)
        transaction = self._server.begin(key, flow.reliable, size)
        reply = self._refused(request)
        if reply is not None:
            self._answer(reply, transaction, request, flow, size, stranger=True)
            return
        try:
            said = self.methods[request.method](Incoming(request, keys, flow))
        except Exception:
            said = self._broken(Failure())
        if isinstance(said, Reply):
            self._answer(said, transaction, request, flow, size)
        else:
            said.addErrback(self._broken).addCallback(self._answer, transaction, request, flow, size)

    def _refused(self, request: Request) -> Reply | None:
        """Everything that is answered without asking a method (RFC 3261 §8.2)."""
        method = request.method
        if method not in METHODS:
            return Reply(501, None, (ALLOW,))
        if method in _OUTSIDE_DIALOG:
            return Reply(_OUTSIDE_DIALOG[method], None, (ALLOW,))
        if method != "OPTIONS" and method not in self.methods:
            return Reply(405, None, (ALLOW,))
        if parse_uri(request.uri).scheme not in ("sip", "sips", "tel"):
            return Reply(416)
        try:
            unknown = [tag for tag in _required(request) if tag.lower() not in EXTENSIONS]
        except BadValue as error:
            return Reply(400, f"Bad {error.field}")
        if unknown:
            return Reply(420, None, (("Unsupported", ", ".join(unknown)),))
        if method == "OPTIONS":
            fields = (ALLOW, ("Accept", "text/plain, message/cpim"), ("Supported", "path"))
            return Reply(200, None, fields, Reply(200))
        if self._server.full or self._overloaded(_is_begun(request)):
            self.counters.overload += 1
            return Reply(503, "Overloaded; try again", (("Retry-After", "5"),))
        return None

    def _broken(self, failure: Failure) -> Reply:
        log.error("sip_request_failed", error=failure.getTraceback())
        return Reply(500, None, (("Retry-After", "5"),))

    def _answer(
        self,
        reply: Reply,
        transaction: ServerTransaction,
        request: Request,
        flow: Flow,
        size: int,
        stranger: bool = False,
    ) -> None:
        """Send an answer and keep it. A method's 2xx goes to somebody who is known; all else to a
        ``stranger``."""
        answer = self._made(reply, request)
        while (stranger or reply.status >= 300) and not self._fits(answer, size, flow):
            if reply.instead is None:
                answer = self._withheld(answer, flow, size)
                break
            reply = reply.instead
            answer = self._made(reply, request)
        if answer:
            self._reply_flow(request, flow).send(answer)
        self._server.respond(transaction, answer, self._clock.seconds())

    def _made(self, reply: Reply, request: Request) -> bytes:
        answer = response_to(request, reply.status, self._token(), reply.reason, reply.fields)
        return answer.serialise(reply.short)

    def _fits(self, answer: bytes, size: int, flow: Flow) -> bool:
        """Whether an answer is no amplifier: to a request of ``size`` octets of somebody who is not known."""
        return len(answer) <= MAX_GROWTH * size or flow.reliable or self._guard.trusts(flow.peer[0])

    def _withheld(self, answer: bytes, flow: Flow, size: int) -> bytes:
        """No answer, which is said once for each address."""
        self.counters.not_answered += 1
        host = flow.peer[0]
        if host not in self._silent_to:
            self._silent_to.put(host, None)
            log.warning("sip_answer_withheld", peer=host, octets=len(answer), request_octets=size)
        return b""

    def _reply_flow(self, request: Request, flow: Flow) -> Flow:
        return flow.toward(reply_address(request, flow.peer))

    # -- our own requests -------------------------------------------------------------------------

    def request(
        self, request: Request, flow: Flow, branch: str = "", late: Late | None = None
    ) -> "Deferred[Response]":
        """Send a request, its Via still missing; the final answer. Errback NoAnswer, EncodeError.

        ``branch`` is that of a request without an answer that goes once more, else a new one; ``late`` hears
        an answer that comes after NoAnswer.
        """
        branch = branch or f"z9hG4bK{self._token()}"
        via = f"SIP/2.0/{flow.kind} {self._ourselves.at(*flow.local)};branch={branch};rport"
        request.headers.put_first("Via", via)
        self._late.drop(branch)
        done: Deferred[Response] = Deferred()
        try:
            connection = flow if flow.reliable else None
            sent = _Sent(done, flow, branch, late)
            data = self._client.begin(request, connection, self._clock.seconds(), sent)
        except EncodeError:
            done.errback()
            return done
        flow.send(data)
        self._set_timer()
        return done

    def give_up(self, branch: str, method: str, reason: str) -> None:
        """Send a request no more: NoAnswer, unless it has ended. An answer that still comes is late."""
        event = self._client.give_up(branch, method, reason)
        if event is not None:
            self._on_event(event)

    def _response(self, response: Response) -> None:
        keys = check_response(response)
        event = self._client.receive(response, keys, self._clock.seconds())
        if event is not None:
            self._on_event(event)
        elif response.final and (late := self._late.get(keys.via.branch)) is not None:
            self._late.drop(keys.via.branch)
            late(response)
        self._set_timer()

    def _on_event(self, event: Answered | Unanswered | Resend) -> None:
        sent = event.context
        assert isinstance(sent, _Sent), "they are begun here"
        match event:
            case Answered():
                sent.done.callback(event.response)
            case Unanswered():
                if sent.late is not None:
                    self._late.put(sent.branch, sent.late)
                sent.done.errback(NoAnswer(event.reason))
            case Resend() if sent.flow.open:
                sent.flow.send(event.data)

    def _on_timer(self) -> None:
        for event in self._client.handle_timer(self._clock.seconds()):
            self._on_event(event)
        self._set_timer()

    def _set_timer(self) -> None:
        due = self._client.timer()
        if due is None:
            return
        delay = max(0.0, due - self._clock.seconds())
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= self._clock.seconds() + delay:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(delay, self._on_timer)

    def _tidy_up(self) -> None:
        self._server.handle_timer(self._clock.seconds())


def _is_begun(request: Request) -> bool:
    headers = request.headers
    return headers.get("Authorization") is not None or headers.get("Proxy-Authorization") is not None


def _required(request: Request) -> list[str]:
    headers = request.headers
    found = [(headers.all(name), name) for name in ("Require", "Proxy-Require") if headers.get(name)]
    return [tag for values, name in found for tag in parse_tokens(values, name)]
