"""MESSAGE to phones: one message to every contact of an address-of-record (RFC 3428 §8, RFC 3261 §16.6).

Request-URI = the contact, To = the address-of-record, From = the other side's number at our own domain,
always: phones keep their conversations by those two. One request is pending to a contact at a time, the
others wait in its queue: each contact gets them in order, and a dead one holds up nobody else. The first 2xx
is the delivery; what the other contacts say does not matter then.

A request without an answer goes once more as it was, branch and CSeq too: a phone that has it already, and
whose answer was lost or late, knows it for a retransmission. So it does when the phone has moved meanwhile:
what is under way goes to the new place at once, and ends where there is none. An answer that comes after its
time counts. A contact that is new, or is there again, gets what is under way to the others.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum

import structlog
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from edge.recent import Recent
from edge.sip.agent import SERVER, NoAnswer, UserAgent
from edge.sip.bindings import Binding
from edge.sip.flows import VIA_OCTETS, Flows, TooLarge
from protocols.sip.errors import BadValue, EncodeError
from protocols.sip.headers import display_name, split_list
from protocols.sip.locating import Hop
from protocols.sip.message import Headers, Request, Response
from protocols.sip.transport import Flow
from protocols.sip.uri import escape_user, parse_uri
from storage.registrations import BindingRecord

log = structlog.get_logger(__name__)

AWAY = 480
GONE_AWAY = "the contact has gone"
_TEMPORARY = frozenset((401, 407, 408, 423, 430, 480, 481, 482, 486, 491))
"""482: the phone still has this request, by another branch, from before our restart (RFC 3261 §8.2.2.2)."""
GONE = frozenset((404, 410, 604))
"""A contact that is not there any more; of a trunk: a number that it does not serve."""


MOST_WAITING = 20
"""So many wait for one contact that is slow; for it, what comes then is lost, if another contact takes it."""

MOST_MOVES = 5
"""So often a phone may move in one attempt; the outbox begins the next."""

REMEMBERED = 10_000
_METHOD = re.compile(r";method=[^;]*", re.IGNORECASE)


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


class _Attempt:
    """One message on its way to all contacts of its address-of-record."""

    def __init__(self, outgoing: Outgoing, contacts: Sequence[Binding]) -> None:
        self.outgoing = outgoing
        self.done: Deferred[Verdict] = Deferred()
        self._owners = {binding.record.sip_account_id for binding in contacts}
        self._heard: dict[int, Verdict | None] = {binding.record.id: None for binding in contacts}

    def joins(self, binding: Binding) -> bool:
        """A contact is there (again); whether the message is to go to it.

        The name may be another customer's by now.
        """
        contact = binding.record.id
        verdict = self._heard.get(contact, _ABSENT)
        if self.done.called or binding.record.sip_account_id not in self._owners:
            return False
        if verdict is None or verdict.result is not Result.UNREACHABLE:
            return False
        self._heard[contact] = None
        return True

    def heard(self, contact: int, verdict: Verdict) -> None:
        """What one contact said."""
        self._heard[contact] = verdict
        if self.done.called:
            return
        verdicts = [said for said in self._heard.values() if said is not None]
        if verdict.result is Result.DELIVERED:
            self.done.callback(verdict)
        elif len(verdicts) == len(self._heard):
            self.done.callback(_best(verdicts))


_ABSENT = Verdict(Result.UNREACHABLE)


@dataclass(slots=True)
class _Waiting:
    """A message in the queue of one contact; ``moves`` counts how often it was sent after a phone that had
    moved."""

    attempt: _Attempt
    binding: Binding
    moves: int = 0


@dataclass(frozen=True, slots=True)
class _Copy:
    """What a request that got no answer was sent with."""

    cseq: int
    branch: str


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request that is under way: its branch, and the binding as it was then."""

    branch: str
    binding: Binding


class Delivery:
    """I send. ``current`` tells what has become of a binding, ``token`` makes branches; ``settled`` is told
    when a message that is to be tried again was taken after all (see `late`)."""

    def __init__(
        self,
        domain: str,
        agent: UserAgent,
        flows: Flows,
        current: Callable[[Binding], Binding | None],
        token: Callable[[], str],
    ) -> None:
        self.counters = Counters()
        self.settled: Callable[[Outgoing], None] | None = None
        self._domain = domain
        self._agent = agent
        self._flows = flows
        self._current = current
        self._token = token
        self._queues: dict[int, deque[_Waiting]] = {}  # by contact; the first is under way
        self._sent: dict[int, _Sent] = {}  # by contact
        self._attempts: dict[int, _Attempt] = {}
        self._by_aor: dict[str, dict[int, _Attempt]] = {}
        self._unanswered: Recent[tuple[int, int], _Copy] = Recent(REMEMBERED)
        self._late: Recent[int, Verdict] = Recent(REMEMBERED)

    def deliver(self, outgoing: Outgoing, bindings: list[Binding]) -> "Deferred[Verdict]":
        """Send to every contact, to each behind what waits for it; fires when one has taken it, else when all
        have answered."""
        attempt = _Attempt(outgoing, bindings)
        self._attempts[outgoing.identity] = attempt
        self._by_aor.setdefault(outgoing.aor, {})[outgoing.identity] = attempt
        attempt.done.addCallback(self._over, attempt)
        for binding in bindings:
            self._put(_Waiting(attempt, binding))
        return attempt.done

    def joined(self, aor: str, bindings: Iterable[Binding]) -> None:
        """Phones of an address-of-record are there (again): what is under way to the others is for them
        too."""
        joining = list(bindings)
        for attempt in list(self._by_aor.get(aor, {}).values()):
            for binding in joining:
                if attempt.joins(binding):
                    self._put(_Waiting(attempt, binding))

    def moved(self, contacts: Iterable[int]) -> None:
        """Bindings (ids) have been written or have gone: a request to where none of them is ends."""
        for contact in contacts:
            if contact in self._sent and not self._is_there(contact):
                self._agent.give_up(self._sent[contact].branch, "MESSAGE", GONE_AWAY)

    def _is_there(self, contact: int) -> bool:
        """Whether the contact is still where the request that is under way was sent to."""
        binding = self._current(self._queues[contact][0].binding)
        return binding is not None and _is_at(binding, self._sent[contact].binding)

    def late(self, identity: int) -> Verdict | None:
        """That a contact took a message after its time was up; told once."""
        found = self._late.get(identity)
        self._late.drop(identity)
        return found

    def _over(self, verdict: Verdict, attempt: _Attempt) -> Verdict:
        identity, aor = attempt.outgoing.identity, attempt.outgoing.aor
        if self._attempts.get(identity) is attempt:
            del self._attempts[identity], self._by_aor[aor][identity]
            if not self._by_aor[aor]:
                del self._by_aor[aor]
        return verdict

    # -- one contact ------------------------------------------------------------------------------

    def _put(self, waiting: _Waiting) -> None:
        contact = waiting.binding.record.id
        queue = self._queues.setdefault(contact, deque())
        for other in queue:
            if other.attempt.outgoing.identity == waiting.attempt.outgoing.identity:
                other.attempt = waiting.attempt  # its last attempt was given up while it waited here
                return
        if len(queue) > MOST_WAITING:
            self._judge(waiting, Verdict(Result.UNREACHABLE, reason="too many wait for this contact"))
            return
        queue.append(waiting)
        if len(queue) == 1:
            self._go(contact)

    def _go(self, contact: int) -> None:
        waiting = self._queues[contact][0]
        self._send(waiting.attempt.outgoing, waiting.binding).addCallback(self._heard, contact)

    def _heard(self, verdict: Verdict, contact: int) -> None:
        """What the first of a queue led to; all others share it when there is nobody at the contact."""
        queue = self._queues[contact]
        sent = self._sent.pop(contact, None)
        dead = verdict.result is Result.UNREACHABLE and verdict.status is None
        if dead and sent is not None and self._has_moved(queue[0], sent):
            queue[0].moves += 1
            self._go(contact)
            return
        judged_now = [queue.popleft() for _ in range(len(queue) if dead else 1)]
        if not queue:
            del self._queues[contact]
        for waiting in judged_now:
            self._judge(waiting, verdict)
        if queue:
            self._go(contact)

    def _has_moved(self, waiting: _Waiting, sent: _Sent) -> bool:
        binding = self._current(waiting.binding)
        if binding is None or waiting.moves >= MOST_MOVES:
            return False
        return not _is_at(binding, sent.binding)

    def _judge(self, waiting: _Waiting, verdict: Verdict) -> None:
        self._count(verdict)
        waiting.attempt.heard(waiting.binding.record.id, verdict)

    def _send(self, outgoing: Outgoing, waited: Binding) -> "Deferred[Verdict]":
        binding = self._current(waited)
        if binding is None:
            return succeed(Verdict(Result.UNREACHABLE, reason=GONE_AWAY))
        key = outgoing.identity, binding.record.id
        copy = self._unanswered.get(key) or _Copy(outgoing.attempt, f"z9hG4bK{self._token()}")
        try:
            request = self._request(outgoing, binding.record, copy.cseq)
            size = len(request.serialise()) + VIA_OCTETS
        except (BadValue, EncodeError) as error:
            return succeed(Verdict(Result.REFUSED, reason=str(error)))
        self.counters.sent += 1
        contact = binding.record.id
        self._sent[contact] = _Sent(copy.branch, binding)

        def send(flow: Flow) -> "Deferred[Response]":
            if not self._is_there(contact):  # it took its time to connect
                raise NoAnswer(GONE_AWAY)
            return self._agent.request(
                request, flow, copy.branch, lambda response: self._answered_late(response, outgoing, key)
            )

        return (
            self._flow(binding, size)
            .addCallback(send)
            .addCallbacks(judged, _no_answer)
            .addErrback(_broken)
            .addCallback(self._keep, key, copy)
        )

    def _keep(self, verdict: Verdict, key: tuple[int, int], copy: _Copy) -> Verdict:
        if verdict.status is None and verdict.result is Result.UNREACHABLE:
            self._unanswered.put(key, copy)
        else:
            self._unanswered.drop(key)
        return verdict

    def _answered_late(self, response: Response, outgoing: Outgoing, key: tuple[int, int]) -> None:
        self._unanswered.drop(key)
        verdict = judged(response)
        if verdict.result is not Result.DELIVERED:
            return
        self._count(verdict)
        attempt = self._attempts.get(outgoing.identity)
        if attempt is not None:  # other contacts have not answered yet, or the next attempt has begun
            attempt.heard(key[1], verdict)
            return
        self._late.put(outgoing.identity, verdict)
        if self.settled is not None:
            self.settled(outgoing)

    def _request(self, outgoing: Outgoing, record: BindingRecord, cseq: int) -> Request:
        tag = f"{outgoing.identity:x}"
        source = f"<sip:{escape_user(outgoing.source)}@{self._domain}>"
        headers = Headers(
            (
                ("Max-Forwards", "70"),
                ("From", f"{display_name(outgoing.name)}{source};tag={tag}"),
                ("To", f"<{outgoing.aor}>"),
                ("Call-ID", f"{outgoing.identity:x}.{record.id:x}@{self._domain}"),
                ("CSeq", f"{cseq} MESSAGE"),
                ("Date", formatdate(outgoing.created_at / 1000, usegmt=True)),
                ("User-Agent", SERVER),
                *outgoing.extra,
                ("Content-Type", outgoing.content_type),
            )
        )
        if record.path is not None:
            for value in split_list(record.path, "Path"):
                headers.add("Route", value)
        return Request("MESSAGE", request_uri(record.contact), headers, outgoing.body)

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
        return self._flows.datagrams(record.host, record.port, size, _listening(record), record.local)

    def _count(self, verdict: Verdict) -> None:
        name = verdict.result.value
        setattr(self.counters, name, getattr(self.counters, name) + 1)


def request_uri(contact: str) -> str:
    """A contact as it may stand in a start line: without header fields and method (RFC 3261 §19.1.1, Table
    1). Raises BadValue."""
    headers = parse_uri(contact).headers
    plain = contact.removesuffix(f"?{headers}")
    user, at, rest = plain.rpartition("@")
    return f"{user}{at}{_METHOD.sub('', rest)}"


def _connection(binding: Binding) -> Flow | None:
    flow = binding.flow
    return flow if flow is not None and flow.reliable else None


def _is_at(binding: Binding, sent: Binding) -> bool:
    """Whether a phone is still where a request went. One whose connection has closed is nowhere else."""
    now, then = binding.record, sent.record
    here = (now.transport, now.host, now.port, now.local) == (
        then.transport,
        then.host,
        then.port,
        then.local,
    )
    return here and _connection(binding) in (None, _connection(sent))


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


def _broken(failure: Failure) -> Verdict:
    """A fault of ours: what waits behind it must not wait for ever."""
    log.error("sip_message_not_sent", error=failure.getTraceback())
    return Verdict(Result.UNREACHABLE, reason="internal error")


def _best(verdicts: list[Verdict]) -> Verdict:
    order = list(Result)
    return min(verdicts, key=lambda verdict: order.index(verdict.result))
