"""MESSAGE to phones: one message to every contact of an address-of-record (RFC 3428 §8, RFC 3261 §16.6).

Request-URI = the contact, To = the address-of-record, From = the other side's number at our own domain,
always: phones keep their conversations by those two. One request is pending to a contact at a time. The first
2xx is the delivery; what the other contacts say does not matter then.
"""

from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from edge.sip.agent import SERVER, NoAnswer, UserAgent
from edge.sip.bindings import Binding
from edge.sip.flows import VIA_OCTETS, Flows, TooLarge
from protocols.sip.errors import BadValue
from protocols.sip.headers import display_name, split_list
from protocols.sip.locating import Hop
from protocols.sip.message import Headers, Request, Response
from protocols.sip.transport import Flow
from protocols.sip.uri import escape_user, parse_uri
from storage.registrations import BindingRecord

AWAY = 480
_TEMPORARY = frozenset((401, 407, 408, 423, 430, 480, 481, 486, 491))
GONE = frozenset((404, 410, 604))
"""A contact that is not there any more; of a trunk: a number that it does not serve."""


class Result(Enum):
    """How a contact took a message, best first."""

    DELIVERED = "delivered"
    UNREACHABLE = "unreachable"
    TOO_LARGE = "too_large"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for one address-of-record. ``identity`` stays the same over all attempts.

    ``source`` is the other side's number (or name), ``name`` what the account calls it.
    """

    identity: int
    attempt: int
    aor: str
    source: str
    content_type: str
    body: bytes
    created_at: int
    name: str = ""
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


class Delivery:
    """I send."""

    def __init__(self, domain: str, agent: UserAgent, flows: Flows) -> None:
        self.counters = Counters()
        self._domain = domain
        self._agent = agent
        self._flows = flows

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
        size = len(request.serialise()) + VIA_OCTETS
        self.counters.sent += 1
        return (
            self._flow(binding, size)
            .addCallback(lambda flow: self._agent.request(request, flow))
            .addCallbacks(judged, _no_answer)
        )

    def _request(self, outgoing: Outgoing, record: BindingRecord) -> Request:
        tag = f"{outgoing.identity:x}"
        source = f"<sip:{escape_user(outgoing.source)}@{self._domain}>"
        headers = Headers(
            (
                ("Max-Forwards", "70"),
                ("From", f"{display_name(outgoing.name)}{source};tag={tag}"),
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
        hop = _listening(record) if record.transport == "TCP" else None
        if hop is None:
            return fail(NoAnswer("the connection is closed"))
        return self._flows.stream(hop)

    def _datagrams(self, record: BindingRecord, size: int) -> "Deferred[Flow]":
        return self._flows.datagrams(record.host, record.port, size, _listening(record))

    def _count(self, verdict: Verdict) -> None:
        name = verdict.result.value
        setattr(self.counters, name, getattr(self.counters, name) + 1)


def _listening(record: BindingRecord) -> Hop | None:
    """Where the contact says that it listens for TCP; None when it is behind a NAT.

    Only ever the address that the phone registered from: a contact must not lead us anywhere else.
    """
    uri = parse_uri(record.contact)
    return Hop("TCP", record.host, uri.port or 5060) if uri.host.strip("[]") == record.host else None


def judged(response: Response) -> Verdict:
    """What a final answer to a MESSAGE means."""
    status, reason = response.status, response.reason[:200]
    if 200 <= status < 300:
        return Verdict(Result.DELIVERED, status, reason)
    if status in _TEMPORARY or status in GONE or 500 <= status < 600:
        return Verdict(Result.UNREACHABLE, status, reason)
    return Verdict(Result.REFUSED, status, reason)


def _no_answer(failure: Failure) -> Verdict:
    if failure.check(TooLarge) is not None:
        return Verdict(Result.TOO_LARGE, reason="longer than a datagram may be")
    failure.trap(NoAnswer)
    return Verdict(Result.UNREACHABLE, reason=failure.getErrorMessage()[:200])


def _best(verdicts: list[Verdict]) -> Verdict:
    order = list(Result)
    return min(verdicts, key=lambda verdict: order.index(verdict.result))
