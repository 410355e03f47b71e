"""Idempotency-Key: a request that is sent again gets the answer that it got, and sends nothing again.

The answer is stored in the transaction of its messages (`storage.idempotency`), so a crash leaves both or
neither. Of equal requests at the same time one is done and the others wait for its answer; those that came to
another server are stopped by the store's unique key. What was refused is not kept: it may be mended and sent
again under the same key.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from edge.errors import Unavailable
from edge.web.api.problems import Problem
from edge.web.api.routes import Call, Reply, segments
from edge.web.headers import Header
from storage import idempotency
from storage.errors import Conflict
from storage.idempotency import Answer, Scope
from storage.statements import Writes
from storage.store import Store

HEADER = b"idempotency-key"
KEPT_MS = 24 * 3_600_000
REMEMBERED = 10_000
REMEMBERED_OCTETS = 4_096
LOOKED_UP = 100  # at once
REPLAYED: tuple[Header, ...] = ((b"Idempotent-Replayed", b"true"),)
_KEY = re.compile(rb"[\x21-\x7e]{1,255}")

Keep = Callable[[Reply], Writes]
"""The writes that keep a reply: part of the transaction that makes it true."""

Send = Callable[[Keep | None], Deferred[Reply]]
"""Does the request; with a `Keep` it stores that too."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may come again: whose it is, where its key holds, a digest of what it asks, and for how
    long the answer is kept.
    """

    account_id: int
    scope: Scope
    digest: bytes
    kept_ms: int = KEPT_MS


@dataclass(slots=True)
class _Flight:
    """A request under way, and those that are equal to it."""

    digest: bytes
    waiting: list[Deferred[Reply]] = field(default_factory=list)


class _Kept:
    """I look answers up in the store: what is asked for while I look is looked up together, after that."""

    def __init__(self, store: Store, wall_ms: Callable[[], int]) -> None:
        self._store = store
        self._wall_ms = wall_ms
        self._asked: list[tuple[int, Scope]] = []
        self._waiting: list[Deferred[Answer | None]] = []
        self._looking = False

    def find(self, account_id: int, scope: Scope) -> Deferred[Answer | None]:
        """What is kept under this key."""
        answer: Deferred[Answer | None] = Deferred()
        self._asked.append((account_id, scope))
        self._waiting.append(answer)
        if not self._looking:
            self._look()
        return answer

    def _look(self) -> None:
        asked, self._asked = self._asked[:LOOKED_UP], self._asked[LOOKED_UP:]
        waiting, self._waiting = self._waiting[:LOOKED_UP], self._waiting[LOOKED_UP:]
        self._looking = bool(asked)
        if asked:
            looking = self._store.read(idempotency.find_many, asked, self._wall_ms())
            looking.addBoth(self._looked, waiting)

    def _looked(self, found: list[Answer | None] | Failure, waiting: list[Deferred[Answer | None]]) -> None:
        self._look()
        for number, answer in enumerate(waiting):
            answer.callback(found if isinstance(found, Failure) else found[number])


class Idempotency:
    """I see to it that a request is done once."""

    def __init__(self, store: Store, wall_ms: Callable[[], int]) -> None:
        self._store = store
        self._wall_ms = wall_ms
        self._kept = _Kept(store, wall_ms)
        self._flying: dict[Scope, _Flight] = {}
        self._recent: OrderedDict[Scope, Answer] = OrderedDict()

    def once(self, call: Call, send: Send) -> Deferred[Reply]:
        """Do what ``send`` does, once for each Idempotency-Key; without one, do it.

        Raises Problem for a key that is none; errback Problem when the key was used for another request.
        """
        written = call.request.requestHeaders.getRawHeaders(HEADER)
        if written is None:
            return send(None)
        return self.once_for(Asked(call.account_id, _scope(call, written), _digest(call.given)), send)

    def once_for(self, asked: Asked, send: Send) -> Deferred[Reply]:
        """The same for whoever makes his keys otherwise."""
        flight = self._flying.get(asked.scope)
        if flight is not None:
            return self._wait(flight, asked.digest)
        self._flying[asked.scope] = _Flight(asked.digest)
        return self._begin(asked, send).addBoth(self._landed, asked.scope)

    def _wait(self, flight: _Flight, digest: bytes) -> Deferred[Reply]:
        if flight.digest != digest:
            raise _reused()
        waiting: Deferred[Reply] = Deferred()
        flight.waiting.append(waiting)
        return waiting

    def _landed(self, result: Reply | Failure, scope: Scope) -> Reply | Failure:
        for waiting in self._flying.pop(scope).waiting:
            if isinstance(result, Reply):
                waiting.callback(Reply(result.status, result.body, REPLAYED))
            else:
                waiting.errback(result)
        return result

    def _begin(self, asked: Asked, send: Send) -> Deferred[Reply]:
        known = self._recent.get(asked.scope)
        found: Deferred[Answer | None] = (
            succeed(known)
            if known is not None and known.expires_at > self._wall_ms()
            else self._kept.find(asked.account_id, asked.scope)
        )

        def looked(answer: Answer | None) -> Reply | Deferred[Reply]:
            if answer is not None:
                return _replayed(answer, asked.digest)
            return self._send(asked, send)

        return found.addCallback(looked)

    def _send(self, asked: Asked, send: Send) -> Deferred[Reply]:
        kept: list[Answer] = []

        def keep(reply: Reply) -> Writes:
            now_ms = self._wall_ms()
            octets = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
            kept[:] = [Answer(asked.digest, reply.status, octets.decode(), now_ms, now_ms + asked.kept_ms)]
            return idempotency.keep(asked.account_id, asked.scope, kept[0])

        def sent(reply: Reply) -> Reply:
            if kept:
                self._remember(asked.scope, kept[0])
            return reply

        def taken(failure: Failure) -> Deferred[Reply]:
            failure.trap(Conflict)
            return self._taken(asked).addCallback(
                lambda answer: _replayed(answer, asked.digest) if answer is not None else again()
            )

        def again() -> Deferred[Reply]:
            return send(keep).addCallbacks(sent, _in_use)

        return send(keep).addCallbacks(sent, taken)

    def _taken(self, asked: Asked) -> Deferred[Answer | None]:
        """What is kept under this key: another server's answer, or none, if it has expired meanwhile."""
        now_ms = self._wall_ms()
        making_room = self._store.writer.run(
            "expired idempotency key",
            lambda conn: idempotency.make_room(conn, asked.account_id, asked.scope, now_ms),
        )
        return making_room.addCallback(
            lambda _: self._store.read(idempotency.find, asked.account_id, asked.scope, now_ms)
        )

    def _remember(self, scope: Scope, answer: Answer) -> None:
        if len(answer.response) > REMEMBERED_OCTETS:
            return  # a batch's: the store has it
        self._recent[scope] = answer
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)


def _replayed(answer: Answer, digest: bytes) -> Reply:
    if answer.request_hash != digest:
        raise _reused()
    return Reply(answer.status, answer.response.encode(), REPLAYED)


def _scope(call: Call, written: Sequence[bytes]) -> Scope:
    value = written[0].strip()
    if len(written) > 1 or not _KEY.fullmatch(value):
        detail = "An Idempotency-Key has 1 to 255 printable ASCII characters without blanks."
        raise Problem(422, "idempotency_key_invalid", detail, "Idempotency-Key")
    path = "/" + "/".join(segments(call.request.path))  # however it is spelled
    return Scope(call.key.id, call.route.method, path, value.decode("ascii"))


def _digest(given: Mapping[str, object]) -> bytes:
    """Of what was asked, however it was written."""
    return hashlib.sha256(orjson.dumps(given, option=orjson.OPT_SORT_KEYS)).digest()


def _in_use(failure: Failure) -> Reply:
    failure.trap(Conflict)
    raise Unavailable("This Idempotency-Key is in use at this moment; send again.", 1.0)


def _reused() -> Problem:
    detail = "This Idempotency-Key was used for another request; take a new one for each request."
    return Problem(422, "idempotency_key_reused", detail, "Idempotency-Key")
