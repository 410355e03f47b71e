"""Non-INVITE transactions, client and server, without a socket and without a clock (RFC 3261 §17.1.2,
§17.2.2).

What moves a transaction is in `TRANSITIONS`, one table for each side; what is not in the table is ignored.
``now`` is monotonic seconds. No 100 is ever sent and no 408 (RFC 4320); a client transaction that gets no
answer says so.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum
from heapq import heappop, heappush
from typing import NamedTuple

from protocols.sip.message import Request, Response
from protocols.sip.validity import KeyFields

T1, T2, T4 = 0.5, 4.0, 5.0
TIMER_F = TIMER_J = 64 * T1
COOKIE = "z9hg4bk"
"""What a branch begins with that is unique (RFC 3261 §8.1.1.7), in lower case."""

Key = tuple[str, ...]


class State(Enum):
    """Where a transaction is."""

    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    TERMINATED = "terminated"


class Input(Enum):
    """What can move a transaction; the value is how the diagram names it."""

    PROVISIONAL = "1xx"
    FINAL = "2xx-6xx"
    TIMEOUT = "timer F"
    OVER = "timer K or J"
    LOST = "transport error"


_S, _I = State, Input

CLIENT: dict[tuple[State, Input], State] = {
    (_S.TRYING, _I.PROVISIONAL): _S.PROCEEDING,
    (_S.TRYING, _I.FINAL): _S.COMPLETED,
    (_S.TRYING, _I.TIMEOUT): _S.TERMINATED,
    (_S.TRYING, _I.LOST): _S.TERMINATED,
    (_S.PROCEEDING, _I.PROVISIONAL): _S.PROCEEDING,
    (_S.PROCEEDING, _I.FINAL): _S.COMPLETED,
    (_S.PROCEEDING, _I.TIMEOUT): _S.TERMINATED,
    (_S.PROCEEDING, _I.LOST): _S.TERMINATED,
    (_S.COMPLETED, _I.OVER): _S.TERMINATED,
}
"""The client's side: 1xx, 2xx-6xx are received."""

SERVER: dict[tuple[State, Input], State] = {
    (_S.TRYING, _I.FINAL): _S.COMPLETED,
    (_S.COMPLETED, _I.OVER): _S.TERMINATED,
}
"""The server's side: 2xx-6xx are sent."""


def diagram(table: dict[tuple[State, Input], State]) -> str:
    """A transition table as a Mermaid state diagram, the form in which the documentation shows it."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.TRYING.name}"]
    lines += [f"    {old.name} --> {new.name}: {step.value}" for (old, step), new in table.items()]
    return "\n".join([*lines, f"    {State.TERMINATED.name} --> [*]", ""])


def server_key(request: Request, keys: KeyFields) -> Key:
    """What a request and its retransmissions have in common: RFC 3261 §17.2.3, by branch, or else as RFC
    2543.

    Call-ID and CSeq belong to it by branch too: the same octets have the same, and a peer that makes no new
    branch for its next request loses nothing.
    """
    branch = keys.via.branch.lower()
    if branch.startswith(COOKIE) and len(branch) > len(COOKIE):
        return branch, keys.via.sent_by, request.method, keys.call_id, str(keys.cseq.number)
    fields = (request.uri, keys.from_.tag or "", keys.to.tag or "", keys.call_id, str(keys.cseq.number))
    via = keys.via._replace(rest="", params={"branch": branch})
    return ("", request.method, *fields, str(via))


class ServerTransaction:
    """One request of a peer and our answer to it. ``reliable``: its transport retransmits by itself.
    ``size`` is the request's, in octets."""

    __slots__ = ("answer", "key", "reliable", "size", "state")

    def __init__(self, key: Key, reliable: bool, size: int) -> None:
        self.key = key
        self.reliable = reliable
        self.size = size
        self.state = State.TRYING
        self.answer: bytes | None = None


class ServerTransactions:
    """I remember requests until nobody can retransmit them any more. ``limit`` is how many."""

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._open: dict[Key, ServerTransaction] = {}
        self._ends: deque[tuple[float, ServerTransaction]] = deque()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def full(self) -> bool:
        """No more can be remembered: refuse new requests with 503."""
        return len(self._open) >= self._limit

    def find(self, key: Key) -> ServerTransaction | None:
        """The transaction that a request belongs to; None for a new one.

        A retransmission is answered with ``answer``; while that is None, by nothing.
        """
        return self._open.get(key)

    def begin(self, key: Key, reliable: bool, size: int = 0) -> ServerTransaction:
        """A new request came."""
        made = self._open[key] = ServerTransaction(key, reliable, size)
        return made

    def respond(self, transaction: ServerTransaction, answer: bytes, now: float) -> bool:
        """The final answer, to be sent now. False when there was one already."""
        state = SERVER.get((transaction.state, Input.FINAL))
        if state is None:
            return False
        transaction.state, transaction.answer = state, answer
        if transaction.reliable:
            self._end(transaction)
        else:
            self._ends.append((now + TIMER_J, transaction))
        return True

    def handle_timer(self, now: float) -> None:
        """Forget what is over (timer J)."""
        while self._ends and self._ends[0][0] <= now:
            self._end(self._ends.popleft()[1])

    def _end(self, transaction: ServerTransaction) -> None:
        transaction.state = SERVER[transaction.state, Input.OVER]
        self._open.pop(transaction.key, None)


@dataclass(slots=True)
class ClientTransaction:
    """One request of ours. ``flow`` is the connection that it went by, None for a datagram; ``context`` is
    the caller's."""

    key: Key
    data: bytes
    flow: object
    context: object
    interval: float
    gives_up: float
    due: float = 0.0
    state: State = State.TRYING


class Resend(NamedTuple):
    """Send ``data`` once more, where it was sent before."""

    data: bytes
    context: object


class Answered(NamedTuple):
    """The final answer, once."""

    response: Response
    context: object


class Unanswered(NamedTuple):
    """There was no final answer in time, or the transport failed."""

    reason: str
    context: object


class ClientTransactions:
    """I send our requests until they are answered. The branch is unique for each; the caller makes it."""

    def __init__(self) -> None:
        self._open: dict[Key, ClientTransaction] = {}
        self._on: dict[object, dict[Key, ClientTransaction]] = {}
        self._timers: list[tuple[float, int, ClientTransaction]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, request: Request, flow: object, now: float, context: object) -> bytes:
        """A new request, with its octets, which are to be sent now. ``flow`` is None for a datagram: only
        that is sent again. Raises EncodeError."""
        data = request.serialise()
        key = (request.via.branch.lower(), request.method)
        made = ClientTransaction(key, data, flow, context, T1, now + TIMER_F)
        self._open[key] = made
        if flow is not None:
            self._on.setdefault(flow, {})[key] = made
        self._set(now + T1 if flow is None else made.gives_up, made)
        return data

    def receive(self, response: Response, keys: KeyFields, now: float) -> Answered | None:
        """What a response means; None when it is provisional, repeated or nobody's."""
        found = self._open.get((keys.via.branch.lower(), keys.cseq.method))
        if found is None:
            return None
        state = CLIENT.get((found.state, Input.FINAL if response.final else Input.PROVISIONAL))
        if state is None:
            return None
        found.state = state
        if state is not State.COMPLETED:
            return None
        self._complete(found, now)
        return Answered(response, found.context)

    def lost(self, flow: object, reason: str) -> list[Unanswered]:
        """A connection failed: what becomes of the requests that went by it."""
        found = list(self._on.get(flow, {}).values())
        return [event for each in found if (event := self._lose(each, reason)) is not None]

    def give_up(self, branch: str, method: str, reason: str) -> Unanswered | None:
        """A request goes nowhere any more; None when it has its final answer, or has ended."""
        found = self._open.get((branch.lower(), method))
        return None if found is None else self._lose(found, reason)

    def _lose(self, transaction: ClientTransaction, reason: str) -> Unanswered | None:
        if (transaction.state, Input.LOST) not in CLIENT:
            return None
        self._end(transaction, Input.LOST)
        return Unanswered(reason, transaction.context)

    def timer(self) -> float | None:
        """When `handle_timer` is next wanted."""
        return self._timers[0][0] if self._timers else None

    def handle_timer(self, now: float) -> list[Resend | Unanswered]:
        """Timers E, F and K."""
        events: list[Resend | Unanswered] = []
        while self._timers and self._timers[0][0] <= now:
            at, _, transaction = heappop(self._timers)
            if transaction.state is not State.TERMINATED and at == transaction.due:
                event = self._due(transaction, now)
                if event is not None:
                    events.append(event)
        return events

    def _due(self, transaction: ClientTransaction, now: float) -> Resend | Unanswered | None:
        if transaction.state is State.COMPLETED:
            self._end(transaction, Input.OVER)
            return None
        if now >= transaction.gives_up:
            self._end(transaction, Input.TIMEOUT)
            return Unanswered("timeout", transaction.context)
        proceeding = transaction.state is State.PROCEEDING
        transaction.interval = T2 if proceeding else min(2 * transaction.interval, T2)
        self._set(min(now + transaction.interval, transaction.gives_up), transaction)
        return Resend(transaction.data, transaction.context)

    def _complete(self, transaction: ClientTransaction, now: float) -> None:
        if transaction.flow is None:
            self._set(now + T4, transaction)
        else:
            self._end(transaction, Input.OVER)

    def _end(self, transaction: ClientTransaction, step: Input) -> None:
        transaction.state = CLIENT[transaction.state, step]
        del self._open[transaction.key]
        if transaction.flow is not None:
            on_it = self._on[transaction.flow]
            del on_it[transaction.key]
            if not on_it:
                del self._on[transaction.flow]

    def _set(self, at: float, transaction: ClientTransaction) -> None:
        self._count += 1
        transaction.due = at
        heappush(self._timers, (at, self._count, transaction))
