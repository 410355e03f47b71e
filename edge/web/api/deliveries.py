"""/v1/deliveries: the dead letters, one message's matrix, and what may be done: retry, skip, replay."""

from collections.abc import Callable
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from edge.matrix import Cell, matrix
from edge.web.api import views
from edge.web.api.endpoint import Endpoint, Reply
from edge.web.api.members import identifier, limit, members, parse_identifier, text
from edge.web.api.problems import NotFound, Problem
from edge.web.request import EdgeRequest
from edge.web.services import DeliveryActions, WebServices
from storage import dead_letters, messages
from storage.dead_letters import MAX_LIMIT
from storage.records import ApiKey, DeliveryRecord, DeliveryState, MessageView

LISTED_BY = frozenset({"message", "handler", "from_id", "to_id", "limit"})
REPLAYED_BY = frozenset({"handler", "from_id", "to_id"})
PAGE = 50
MAX_WHY = 200


class Deliveries(Endpoint):
    """The deliveries of the key's account."""

    isLeaf = False
    methods: ClassVar[dict[bytes, str]] = {b"GET": "list"}

    def __init__(self, services: WebServices, actions: DeliveryActions) -> None:
        super().__init__(services)
        self._replay = Replay(services, actions)
        self._actions = {
            b"retry": Retry(services, actions),
            b"skip": Skip(services, actions),
            b"replay": ReplayOne(services, actions),
        }

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """/v1/deliveries/replay, and /v1/deliveries/ID/ACTION."""
        rest = request.postpath or []
        if path == b"replay" and not rest:
            return self._replay
        if len(rest) == 1 and rest[0] in self._actions:
            return _Action(self._actions[rest[0]])
        return self if not path and not rest else NotFound()

    def list(self, request: EdgeRequest, key: ApiKey) -> Deferred[Reply]:
        """With ``message`` that message's matrix; else the dead letters, oldest first."""
        found = members(request, LISTED_BY)
        message_id = identifier(found, "message")
        if message_id is not None:
            return self.services.store.read(messages.get, key.account_id, message_id).addCallback(_matrix)
        rows = limit(found, PAGE)
        return dead(self.services, found, key, rows).addCallback(_listed, rows)


class _Action(Resource):
    """The step of the path between a delivery's id and what is to be done about it."""

    def __init__(self, action: "OneDelivery") -> None:
        super().__init__()
        self._action = action

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """The action itself; the id stands before it."""
        return self._action


class OneDelivery(Endpoint):
    """I do one thing about one delivery that is in the state for it."""

    methods: ClassVar[dict[bytes, str]] = {b"POST": "act"}
    takes: ClassVar[frozenset[str]] = frozenset()
    wants: ClassVar[DeliveryState] = DeliveryState.PENDING

    def __init__(self, services: WebServices, actions: DeliveryActions) -> None:
        super().__init__(services)
        self.actions = actions

    def act(self, request: EdgeRequest, key: ApiKey) -> Deferred[Reply]:
        """202 once it is committed; 409 when the delivery is in another state."""
        found = members(request, self.takes)
        identity = parse_identifier((request.prepath or [b"", b""])[-2].decode("latin-1"))
        if identity is None:
            raise _unknown()
        do = self.doing(found)

        def act(record: DeliveryRecord | None) -> Deferred[Reply]:
            if record is None:
                raise _unknown()
            if record.state != self.wants:
                raise _conflict(record.state)
            return do(record.id).addCallback(lambda done: _done(record.id, bool(done)))

        return self.services.store.read(dead_letters.find, key.account_id, identity).addCallback(act)

    def doing(self, found: dict[str, object]) -> Callable[[int], Deferred[object]]:
        """What to do with the delivery's id."""
        raise NotImplementedError


class Retry(OneDelivery):
    """Try a pending delivery now."""

    def doing(self, found: dict[str, object]) -> Callable[[int], Deferred[object]]:
        """See `OneDelivery`."""
        return lambda identity: self.actions.retry_now(identity).addCallback(lambda done: done)


class Skip(OneDelivery):
    """Try a pending delivery no more; ``why`` is kept with it."""

    takes = frozenset({"why"})

    def doing(self, found: dict[str, object]) -> Callable[[int], Deferred[object]]:
        """See `OneDelivery`."""
        why = text(found, "why") if found.get("why") is not None else "skipped"
        if not 1 <= len(why) <= MAX_WHY or not why.isprintable():
            raise Problem(422, "why_invalid", f"'why' has 1 to {MAX_WHY} printable characters.", "why")
        return lambda identity: self.actions.skip(identity, why).addCallback(lambda done: done)


class ReplayOne(OneDelivery):
    """Try a dead letter again, under the same id."""

    wants = DeliveryState.FAILED

    def doing(self, found: dict[str, object]) -> Callable[[int], Deferred[object]]:
        """See `OneDelivery`."""
        return lambda identity: self.actions.replay([identity]).addCallback(lambda done: done)


class Replay(Endpoint):
    """Try dead letters again: a range of ids, one handler's, or all of them."""

    methods: ClassVar[dict[bytes, str]] = {b"POST": "replay"}

    def __init__(self, services: WebServices, actions: DeliveryActions) -> None:
        super().__init__(services)
        self._actions = actions

    def replay(self, request: EdgeRequest, key: ApiKey) -> Deferred[Reply]:
        """202 with how many; ``more`` is true when there were too many for one request."""
        found = members(request, REPLAYED_BY)

        def replay(records: list[DeliveryRecord]) -> Deferred[Reply]:
            more = len(records) == MAX_LIMIT
            done = self._actions.replay([record.id for record in records])
            return done.addCallback(lambda count: (202, {"replayed": count, "more": more}))

        return dead(self.services, found, key, MAX_LIMIT).addCallback(replay)


def dead(
    services: WebServices, found: dict[str, object], key: ApiKey, rows: int
) -> Deferred[list[DeliveryRecord]]:
    """The account's dead letters that a request is about."""
    return services.store.read(
        dead_letters.dead,
        key.account_id,
        handler=text(found, "handler") if found.get("handler") is not None else None,
        from_id=_id(found, "from_id"),
        to_id=_id(found, "to_id"),
        limit=rows,
    )


def document(cell: Cell) -> dict[str, object]:
    """One cell of the matrix."""
    return {
        "delivery": cell.delivery_id,
        "handler": cell.handler,
        "target": cell.target,
        "event": cell.event,
        "state": cell.state,
        "outcome": cell.outcome,
        "attempts": cell.attempts,
        "next_try_at": views.iso(cell.next_try_at),
        "last_attempt": None if cell.last is None else views.attempt(cell.last),
    }


def _matrix(view: MessageView | None) -> Reply:
    if view is None:
        raise Problem(404, "message_unknown", "There is no message with this id.")
    return 200, {"message": view.message.id, "deliveries": [document(cell) for cell in matrix(view)]}


def _listed(records: list[DeliveryRecord], rows: int) -> Reply:
    found = [
        {
            "delivery": record.id,
            "message": record.message_id,
            "handler": record.handler,
            "target": record.target,
            "event": record.event,
            "outcome": record.last_outcome,
            "attempts": record.attempts,
            "created_at": views.iso(record.created_at),
            "failed_at": views.iso(record.updated_at),
        }
        for record in records
    ]
    return 200, {"dead_letters": found, "more": len(found) == rows}


def _id(found: dict[str, object], name: str) -> int | None:
    """An id from the query (digits) or from a JSON body (a number)."""
    value = found.get(name)
    return identifier({name: str(value) if isinstance(value, int) else value}, name)


def _done(identity: int, done: bool) -> Reply:
    if not done:
        raise Problem(409, "state_changed", "The delivery has just changed its state; look at it again.")
    return 202, {"delivery": identity}


def _conflict(state: DeliveryState) -> Problem:
    return Problem(409, "state_wrong", f"The delivery is {state}: this cannot be done with it.")


def _unknown() -> Problem:
    return Problem(404, "delivery_unknown", "There is no delivery with this id.")
