"""MESSAGE to phones: one message to every contact of an address-of-record (RFC 3428 §8, RFC 3261 §16.6).

Request-URI = the contact, To = the address-of-record, From = the other side's number at our own domain,
always: phones keep their conversations by those two. One request is pending to a contact at a time. The first
2xx is the delivery; what the other contacts say does not matter then.
"""

from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum

import structlog
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from edge.sip.agent import SERVER, NoAnswer, UserAgent
from edge.sip.bindings import Binding
from edge.sip.listeners import Listeners
from protocols.sip.errors import BadValue
from protocols.sip.headers import split_list
from protocols.sip.message import Headers, Request, Response
from protocols.sip.transport import Flow
from protocols.sip.uri import escape_user, parse_uri
from storage.registrations import BindingRecord

log = structlog.get_logger(__name__)

UDP_MAX_OCTETS = 1_300
"""Beyond this a datagram may be cut on its way, so a stream is asked for (RFC 3428 §8)."""

AWAY = 480
_TEMPORARY = frozenset((401, 407, 408, 423, 430, 480, 481, 486, 491))
_GONE = frozenset((404, 410, 604))


class Result(Enum):
    """How a contact took a message, best first."""

    DELIVERED = "delivered"
    UNREACHABLE = "unreachable"
    TOO_LARGE = "too_large"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for one address-of-record. ``identity`` stays the same over all attempts.

    ``source`` is the other side's number (or name).
    """

    identity: int
    attempt: int
    aor: str
    source: str
    content_type: str
    body: bytes
    created_at: int
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an attempt; ``status`` and ``reason`` of the answer that decided it."""

    result: Result
    status: int | None = None
    reason: str = ""

    @property
    def away(self) -> tuple[int, str]:
        """Status and excerpt of an attempt at a phone that cannot be reached.

        480 where there was no answer or a server's error, for no circuit may open: a REGISTER says when to
        try again.
        """
        if self.status is None:
            return AWAY, self.reason
        if self.status >= 500:
            return AWAY, f"{self.status} {self.reason}"
        return self.status, self.reason


@dataclass(slots=True)
class Counters:
    """What was sent since the start, for operators."""

    sent: int = 0
    delivered: int = 0
    unreachable: int = 0
    refused: int = 0
    too_large: int = 0
    moved_to_tcp: int = 0


class Delivery:
    """I send. ``large_udp``: what does not fit a datagram goes by UDP all the same when TCP is not to be
    had."""

    def __init__(self, domain: str, agent: UserAgent, listeners: Listeners, large_udp: bool) -> None:
        self.counters = Counters()
        self._domain = domain
        self._agent = agent
        self._listeners = listeners
        self._large_udp = large_udp

    def deliver(self, outgoing: Outgoing, bindings: list[Binding]) -> "Deferred[Verdict]":
        """Send to every contact at once; fires when one has taken it, else when all have answered."""
        done: Deferred[Verdict] = Deferred()
        verdicts: list[Verdict] = []

        def heard(verdict: Verdict) -> None:
            verdicts.append(verdict)
            self._count(verdict)
            if done.called:
                return
            if verdict.result is Result.DELIVERED:
                done.callback(verdict)
            elif len(verdicts) == len(bindings):
                done.callback(_best(verdicts))

        for binding in bindings:
            self._send(outgoing, binding).addCallback(heard)
        return done

    def _send(self, outgoing: Outgoing, binding: Binding) -> "Deferred[Verdict]":
        try:
            request = self._request(outgoing, binding.record)
        except BadValue as error:
            return succeed(Verdict(Result.REFUSED, reason=str(error)))
        size = len(request.serialise()) + 200
        self.counters.sent += 1
        return (
            self._flow(binding, size)
            .addCallback(lambda flow: self._agent.request(request, flow))
            .addCallbacks(_judge, _no_answer)
        )

    def _request(self, outgoing: Outgoing, record: BindingRecord) -> Request:
        tag = f"{outgoing.identity:x}"
        headers = Headers(
            (
                ("Max-Forwards", "70"),
                ("From", f"<sip:{escape_user(outgoing.source)}@{self._domain}>;tag={tag}"),
                ("To", f"<{outgoing.aor}>"),
                ("Call-ID", f"{outgoing.identity:x}.{record.id:x}@{self._domain}"),
                ("CSeq", f"{outgoing.attempt} MESSAGE"),
                ("Date", formatdate(outgoing.created_at / 1000, usegmt=True)),
                ("User-Agent", SERVER),
                *outgoing.extra,
                ("Content-Type", outgoing.content_type),
            )
        )
        if record.path is not None:
            for value in split_list(record.path, "Path"):
                headers.add("Route", value)
        return Request("MESSAGE", record.contact, headers, outgoing.body)

    # -- which way --------------------------------------------------------------------------------

    def _flow(self, binding: Binding, size: int) -> "Deferred[Flow]":
        record, flow = binding.record, binding.flow
        if flow is not None and flow.open and flow.reliable:
            return succeed(flow)
        if record.transport == "UDP":
            return self._datagrams(record, size)
        if record.transport == "TCP":
            return self._connect(record)
        return fail(NoAnswer("the connection is closed"))

    def _datagrams(self, record: BindingRecord, size: int) -> "Deferred[Flow]":
        flow = self._listeners.datagrams_to(record.host, record.port)
        if flow is None:
            return fail(NoAnswer("no socket for this address"))
        if size <= UDP_MAX_OCTETS:
            return succeed(flow)
        return self._connect(record).addErrback(lambda _: self._too_large(record, flow, size))

    def _too_large(self, record: BindingRecord, flow: Flow, size: int) -> Flow:
        log.warning("sip_message_large", contact=record.contact, octets=size, sent=self._large_udp)
        if not self._large_udp:
            raise _TooLarge(size)
        return flow

    def _connect(self, record: BindingRecord) -> "Deferred[Flow]":
        """A connection to where the contact says that it listens, when it is not behind a NAT.

        Only ever to the address that the phone registered from: a contact must not lead us anywhere else.
        """
        uri = parse_uri(record.contact)
        if uri.host.strip("[]") != record.host:
            return fail(NoAnswer("the contact is behind a NAT"))
        connecting = self._listeners.connect(record.host, uri.port or 5060)
        return connecting.addCallbacks(self._moved, _unreachable)

    def _moved(self, flow: Flow) -> Flow:
        self.counters.moved_to_tcp += 1
        return flow

    def _count(self, verdict: Verdict) -> None:
        name = verdict.result.value
        setattr(self.counters, name, getattr(self.counters, name) + 1)


class _TooLarge(Exception):
    pass


def _unreachable(failure: Failure) -> Flow:
    raise NoAnswer(failure.getErrorMessage())


def _judge(response: Response) -> Verdict:
    status, reason = response.status, response.reason[:200]
    if 200 <= status < 300:
        return Verdict(Result.DELIVERED, status, reason)
    if status in _TEMPORARY or status in _GONE or 500 <= status < 600:
        return Verdict(Result.UNREACHABLE, status, reason)
    return Verdict(Result.REFUSED, status, reason)


def _no_answer(failure: Failure) -> Verdict:
    if failure.check(_TooLarge) is not None:
        return Verdict(Result.TOO_LARGE, reason="longer than a datagram may be")
    failure.trap(NoAnswer)
    return Verdict(Result.UNREACHABLE, reason=failure.getErrorMessage()[:200])


def _best(verdicts: list[Verdict]) -> Verdict:
    order = list(Result)
    return min(verdicts, key=lambda verdict: order.index(verdict.result))
