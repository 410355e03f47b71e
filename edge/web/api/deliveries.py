"""/v1/deliveries: the dead letters, one message's matrix, and what may be done: retry, skip, replay."""

from collections.abc import Callable

from twisted.internet.defer import Deferred

from edge.matrix import Cell, matrix
from edge.web.api import views
from edge.web.api.messages import PAGE
from edge.web.api.paths import identifier
from edge.web.api.problems import Problem
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import (
    IDENTIFIER,
    Choice,
    Either,
    Many,
    Member,
    Null,
    Record,
    Text,
    Whole,
    given,
)
from edge.web.services import DeliveryActions, WebServices
from storage import dead_letters, messages
from storage.dead_letters import MAX_LIMIT
from storage.records import DeliveryRecord, DeliveryState, DeliveryView, MessageView

MAX_WHY = 200
MISSING = ("delivery_unknown", "There is no delivery with this id.")
_TEXT, _COUNT = Text(), Whole()

CELL = given(
    Member("delivery", views.MAYBE_ID, "Null for the portal: the stored message is its delivery."),
    Member("handler", _TEXT),
    Member("target", _TEXT),
    Member("event", views.MAYBE_TEXT),
    Member("state", Choice(tuple(DeliveryState))),
    Member("outcome", views.MAYBE_TEXT),
    Member("attempts", _COUNT),
    Member("next_try_at", views.MAYBE_TIME),
    Member("last_attempt", Null(views.ATTEMPT)),
    name="Cell",
)
DEAD_LETTER = given(
    Member("delivery", IDENTIFIER),
    Member("message", IDENTIFIER),
    Member("handler", _TEXT),
    Member("target", _TEXT),
    Member("event", views.MAYBE_TEXT),
    Member("outcome", views.MAYBE_TEXT),
    Member("attempts", _COUNT),
    Member("created_at", views.TIME),
    Member("failed_at", views.TIME),
    name="DeadLetter",
)
MATRIX = given(Member("message", IDENTIFIER), Member("deliveries", Many(CELL)), name="Matrix")
DEAD_LETTERS = given(Member("dead_letters", Many(DEAD_LETTER)), views.MORE, name="DeadLetters")
ONE = given(Member("message", IDENTIFIER), *views.DELIVERY.members, name="OneDelivery")
DONE = given(Member("delivery", IDENTIFIER), name="DeliveryDone")
REPLAYED = given(Member("replayed", _COUNT), views.MORE, name="Replayed")
RANGE = (
    Member("handler", Text(0, 100), "Of this handler only."),
    Member("from_id", Whole(0, code="id_invalid"), "From this id on."),
    Member("to_id", Whole(0, code="id_invalid"), "Up to this id."),
)
LISTED_BY = Record(
    (
        Member("message", IDENTIFIER, "The matrix of this message, instead of the dead letters."),
        *RANGE,
        Member("limit", Whole(1, MAX_LIMIT, "limit_invalid"), default=PAGE),
    )
)
SKIPPED_WITH = Record(
    (Member("why", Text(1, MAX_WHY, True, "why_invalid"), "Kept with the delivery.", default="skipped"),)
)


def listed(call: Call) -> Deferred[Reply]:
    """With ``message`` that message's matrix; else the dead letters, oldest first."""
    message_id, rows = call.given["message"], call.given["limit"]
    if message_id is not None:
        return call.read(messages.get, message_id).addCallback(_matrix)
    return dead(call, rows + 1).addCallback(_listed, rows)


def show(call: Call) -> Deferred[Reply]:
    """One delivery with all its attempts."""

    def shown(view: DeliveryView | None) -> Reply:
        if view is None:
            raise call.missing()
        return Reply(200, {"message": view.delivery.message_id, **views.delivery(view)})

    return call.read(dead_letters.view, identifier(call)).addCallback(shown)


def dead(call: Call, rows: int) -> Deferred[list[DeliveryRecord]]:
    """The account's dead letters that a request is about."""
    given = call.given
    return call.read(
        dead_letters.dead,
        handler=given["handler"],
        from_id=given["from_id"],
        to_id=given["to_id"],
        limit=rows,
    )


def retry(call: Call) -> Deferred[Reply]:
    """Try a pending delivery now."""
    actions = _actions(call)
    return _one(call, DeliveryState.PENDING, actions.retry_now)


def skip(call: Call) -> Deferred[Reply]:
    """Try a pending delivery no more."""
    actions, why = _actions(call), call.given["why"]
    return _one(call, DeliveryState.PENDING, lambda identity: actions.skip(identity, why))


def replay_one(call: Call) -> Deferred[Reply]:
    """Try a dead letter again, under the same id."""
    actions = _actions(call)
    return _one(call, DeliveryState.FAILED, lambda identity: actions.replay([identity]).addCallback(bool))


def replay(call: Call) -> Deferred[Reply]:
    """Try dead letters again: a range of ids, one handler's, or all of them."""
    actions = _actions(call)

    def again(records: list[DeliveryRecord]) -> Deferred[Reply]:
        more = len(records) > MAX_LIMIT
        done = actions.replay([record.id for record in records[:MAX_LIMIT]])
        return done.addCallback(lambda count: Reply(202, {"replayed": count, "more": more}))

    return dead(call, MAX_LIMIT + 1).addCallback(again)


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


def routes() -> list[Route]:
    """In the order of the documentation."""
    told = {409: ("state_wrong", "state_changed")}
    return [
        Route(
            method="GET",
            path="/v1/deliveries",
            name="listDeliveries",
            tag="Deliveries",
            scope="deliveries:read",
            summary="The dead letters, or what became of one message",
            do=listed,
            takes=LISTED_BY,
            gives={200: Either((DEAD_LETTERS, MATRIX))},
            refuses={404: ("message_unknown",)},
            needs=_has_outbox,
        ),
        Route(
            method="GET",
            path="/v1/deliveries/{id}",
            name="getDelivery",
            tag="Deliveries",
            scope="deliveries:read",
            summary="One delivery with its attempts",
            do=show,
            gives={200: ONE},
            missing=MISSING,
            path_shapes={"id": IDENTIFIER},
            needs=_has_outbox,
        ),
        *(
            Route(
                method="POST",
                path=f"/v1/deliveries/{{id}}/{word}",
                name=f"{word}Delivery",
                tag="Deliveries",
                scope="deliveries:write",
                summary=summary,
                do=do,
                takes=takes,
                gives={202: DONE},
                refuses=told,
                missing=MISSING,
                path_shapes={"id": IDENTIFIER},
                needs=_has_outbox,
            )
            for word, summary, do, takes in (
                ("retry", "Try a pending delivery now", retry, Record(())),
                ("skip", "Try a pending delivery no more", skip, SKIPPED_WITH),
                ("replay", "Try a dead letter again, under the same id", replay_one, Record(())),
            )
        ),
        Route(
            method="POST",
            path="/v1/deliveries/replay",
            name="replayDeliveries",
            tag="Deliveries",
            scope="deliveries:write",
            summary="Try dead letters again: of one handler, of a range of ids, or all",
            about=f"Takes up to {MAX_LIMIT:,} of them; more says that there are others.",
            do=replay,
            takes=Record(RANGE),
            gives={202: REPLAYED},
            needs=_has_outbox,
        ),
    ]


def _has_outbox(services: WebServices) -> bool:
    return services.deliveries is not None


def _actions(call: Call) -> DeliveryActions:
    assert call.services.deliveries is not None, "or these routes are not there"
    return call.services.deliveries


def _one(call: Call, wants: DeliveryState, do: Callable[[int], Deferred[bool]]) -> Deferred[Reply]:
    """202 once it is committed; 409 when the delivery is in another state."""
    identity = identifier(call)

    def act(record: DeliveryRecord | None) -> Deferred[Reply]:
        if record is None:
            raise call.missing()
        if record.state != wants:
            raise Problem(409, "state_wrong", f"The delivery is {record.state}: this cannot be done with it.")
        return do(identity).addCallback(done)

    def done(changed: bool) -> Reply:
        if not changed:
            detail = "The delivery has just changed its state; look at it again."
            raise Problem(409, "state_changed", detail)
        return Reply(202, {"delivery": identity})

    return call.read(dead_letters.find, identity).addCallback(act)


def _matrix(view: MessageView | None) -> Reply:
    if view is None:
        raise Problem(404, "message_unknown", "There is no message with this id.")
    return Reply(200, {"message": view.message.id, "deliveries": [document(cell) for cell in matrix(view)]})


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
        for record in records[:rows]
    ]
    return Reply(200, {"dead_letters": found, "more": len(records) > rows})
