"""/v1/messages: send one or many, list, look at one, delete, send again, mark as read or unread."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import orjson
from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.errors import Refused
from edge.handlers.base import Rules, SettingError
from edge.outbound import MAX_CHARACTERS, Accepted, Draft, Outcome
from edge.web.api import views
from edge.web.api.idempotency import Idempotency, Keep
from edge.web.api.paths import identifier, spelled
from edge.web.api.problems import Problem, document, problem_of
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import (
    IDENTIFIER,
    URL,
    Choice,
    Either,
    Many,
    Member,
    Moment,
    Number,
    Record,
    Switch,
    Text,
    Whole,
    given,
)
from storage import conversations, deletion, messages
from storage.errors import NotFound
from storage.records import MessageRecord, MessageStatus, MessageView
from storage.statements import Writes

LEG = "api"
MAX_BATCH = 1_000
PAGE = 50
MISSING = ("message_unknown", "There is no message with this id.")
PLANNED_WRONG = ("invalid_number", "text_empty", "text_too_long", "text_not_unicode", "no_route")
SEND_REFUSES = {403: ("sms_disabled", "opted_out"), 404: ("unknown_did",), 422: PLANNED_WRONG}

_TEXT = Text()
TEXT = Text(0, MAX_CHARACTERS, code="text_too_long", nul=True)
DRAFT = Record(
    (
        Member("from", Number(), "A DID of the account.", True),
        Member("to", Number(), "Who gets it.", True),
        Member(
            "text", Text(0, MAX_CHARACTERS, code="text_too_long", nul=True), "Long texts go in parts.", True
        ),
        Member("status_callback", URL(), "Is told each state of the message."),
    ),
    "Draft",
)
BATCH = Record(
    (
        Member("messages", Many(DRAFT, 1, MAX_BATCH, "batch_size_invalid"), "In the order to send.", True),
        Member("all_or_nothing", Switch(), "Send none if one is refused.", default=False),
    ),
    "Batch",
)
ACCEPTED = given(
    Member("id", IDENTIFIER),
    Member("status", Choice(("queued",))),
    Member("from", _TEXT),
    Member("to", _TEXT),
    Member("parts", Whole(1)),
    Member("encoding", _TEXT),
    Member("created_at", views.TIME),
    name="Accepted",
)
REFUSED = Record(
    (
        Member("status", Choice(("refused",)), required=True),
        Member("code", _TEXT, required=True),
        Member("detail", _TEXT, required=True),
        Member("field", _TEXT),
    ),
    "Refused",
)
BATCH_ACCEPTED = given(
    Member("accepted", Whole(0, MAX_BATCH)),
    Member("refused", Whole(0, MAX_BATCH)),
    Member("messages", Many(Either((ACCEPTED, REFUSED))), "What became of each, in the order they came."),
    name="BatchAccepted",
)
RETRIED = given(*ACCEPTED.members, Member("retry_of", IDENTIFIER), name="Retried")
LISTED_BY = Record(
    (
        Member("direction", Choice(("mo", "mt"), "direction_invalid"), "mo: received; mt: sent."),
        Member("did", Number()),
        Member("peer", Number()),
        Member("since", Moment(), "From this time on."),
        Member("until", Moment(), "Before this time."),
        Member("since_id", Whole(0, code="id_invalid"), "Those after this one, oldest first."),
        Member("before_id", Whole(0, code="id_invalid"), "Those before this one, newest first."),
        Member("limit", Whole(1, messages.MAX_LIMIT, "limit_invalid"), default=PAGE),
    )
)

Found = tuple[MessageView, bool]
"""A message, and whether it is unread."""


class Messages:
    """What the routes of messages do. Sends are done once for each Idempotency-Key."""

    def __init__(self, idempotency: Idempotency, rules: Rules) -> None:
        self._idempotency = idempotency
        self._rules = rules

    # -- sending ----------------------------------------------------------------------------------

    def send(self, call: Call) -> Deferred[Reply]:
        """202 once the message is committed."""
        draft = draft_of(call, call.given, self._rules)
        return self._idempotency.once(call, lambda keep: _send(call, draft, keep, _accepted))

    def send_many(self, call: Call) -> Deferred[Reply]:
        """202 once they are all committed, in one transaction."""
        items: list[dict[str, Any]] = call.given["messages"]
        whole: bool = call.given["all_or_nothing"]

        def send(keep: Keep | None) -> Deferred[Reply]:
            def also(outcomes: Sequence[Outcome]) -> Writes:
                made[:] = [_batch(judged.filled(outcomes))]
                return () if keep is None else keep(made[0])

            call.charge(len(items) - 1)
            made: list[Reply] = []
            judged = _Judged([_judged(call, item, self._rules) for item in items])
            if whole and len(judged.drafts) < len(items):
                return _none_sent(judged.filled([None] * len(judged.drafts)))
            sending = call.services.outbound.submit_many(judged.drafts, also, whole)
            return sending.addCallback(
                lambda outcomes: made[0] if made else _none_sent(judged.filled(outcomes))
            )

        return self._idempotency.once(call, send)

    def retry(self, call: Call) -> Deferred[Reply]:
        """A message that failed is sent again: as a new one, so that the history of the old one stays."""
        identity = identifier(call)

        def send(keep: Keep | None) -> Deferred[Reply]:
            return call.read(messages.get, identity).addCallback(again, keep)

        def again(view: MessageView | None, keep: Keep | None) -> Deferred[Reply]:
            if view is None:
                raise call.missing()
            record, status = view.message, messages.status_of(view.message, view.parts)
            if status is not MessageStatus.FAILED:
                detail = f"The message is {status}: only one that failed is sent again."
                raise Problem(409, "state_wrong", detail)
            callback = record.status_callback
            draft = Draft(call.account_id, record.did, record.peer, record.text, LEG, callback)

            def reply(accepted: Accepted) -> Reply:
                return Reply(202, {**accepted_document(accepted), "retry_of": identity})

            return _send(call, draft, keep, reply)

        return self._idempotency.once(call, send)

    def routes(self) -> list[Route]:
        """In the order of the documentation."""
        return [
            Route(
                method="POST",
                path="/v1/messages",
                name="sendMessage",
                tag="Messages",
                scope="messages:send",
                summary="Send a message",
                about="The answer comes when the message is committed to disk: from then on it is not lost.",
                do=self.send,
                takes=DRAFT,
                gives={202: ACCEPTED},
                refuses=SEND_REFUSES,
                idempotent=True,
            ),
            Route(
                method="POST",
                path="/v1/messages/batch",
                name="sendBatch",
                tag="Messages",
                scope="messages:send",
                summary="Send up to 1,000 messages in one transaction",
                about="Each has its answer in its place. One that is refused does not stop the others, "
                "unless all_or_nothing says so. 422 (batch_refused) says that nothing was sent, and why.",
                do=self.send_many,
                takes=BATCH,
                gives={202: BATCH_ACCEPTED},
                refuses={422: ("batch_refused",)},
                idempotent=True,
            ),
            Route(
                method="GET",
                path="/v1/messages",
                name="listMessages",
                tag="Messages",
                scope="messages:read",
                summary="List messages",
                about="Newest first; with since_id oldest first. Walk on with before_id (or since_id) set to "
                "the last id of the page.",
                do=listed,
                takes=LISTED_BY,
                gives={200: given(Member("messages", Many(views.MESSAGE)), views.MORE, name="Messages")},
            ),
            _one("GET", "getMessage", "messages:read", "One message", show, {200: views.MESSAGE}),
            _one("DELETE", "deleteMessage", "messages:write", "Delete a message", delete, {204: None}),
            Route(
                method="POST",
                path="/v1/messages/{id}/retry",
                name="retryMessage",
                tag="Messages",
                scope="messages:send",
                summary="Send a message that failed again",
                about="It goes as a new message with an id of its own.",
                do=self.retry,
                gives={202: RETRIED},
                refuses={**SEND_REFUSES, 409: ("state_wrong",)},
                missing=MISSING,
                path_shapes={"id": IDENTIFIER},
                idempotent=True,
            ),
            *_marks(),
        ]


def draft_of(call: Call, given: dict[str, Any], rules: Rules) -> Draft:
    """The members of DRAFT as the pipeline takes them; its URL is judged as those of DIDs are."""
    told = given["status_callback"]
    if told is not None:
        try:
            rules.check_url(told, "status_callback")
        except SettingError as error:
            sentence = f"'status_callback': {error.sentence}"
            raise Problem(422, "url_refused", sentence, "status_callback") from error
    return Draft(call.account_id, given["from"], given["to"], given["text"], LEG, given["status_callback"])


class _Judged:
    """The messages of a batch: drafts, and in the places of those that cannot be such what is wrong."""

    def __init__(self, found: Sequence[Draft | Problem]) -> None:
        self._found = found
        self.drafts = [one for one in found if isinstance(one, Draft)]

    def filled(self, outcomes: Sequence[Outcome]) -> "list[Outcome | Problem]":
        """All of them, given what became of the drafts."""
        of_drafts = iter(outcomes)
        return [next(of_drafts) if isinstance(one, Draft) else one for one in self._found]


def _judged(call: Call, item: dict[str, Any], rules: Rules) -> Draft | Problem:
    try:
        return draft_of(call, item, rules)
    except Problem as problem:
        return problem


def accepted_document(accepted: Accepted) -> dict[str, object]:
    """What is said of a message that will be sent."""
    return {
        "id": accepted.message_id,
        "status": "queued",
        "from": accepted.did,
        "to": accepted.peer,
        "parts": accepted.parts,
        "encoding": accepted.encoding,
        "created_at": views.iso(accepted.created_at),
    }


# -- sending ------------------------------------------------------------------------------------------------


def _send(call: Call, draft: Draft, keep: Keep | None, reply: Any) -> Deferred[Reply]:
    """One message; with a `Keep` its answer is stored beside it."""
    outbound = call.services.outbound
    if keep is None:
        return outbound.submit(draft).addCallback(reply)

    def sent(outcomes: Sequence[Outcome]) -> Reply:
        if isinstance(outcomes[0], Refused):
            raise outcomes[0]
        found: Reply = reply(outcomes[0])
        return found

    return outbound.submit_many([draft], lambda outcomes: keep(reply(outcomes[0]))).addCallback(sent)


def _accepted(accepted: Accepted) -> Reply:
    return Reply(202, accepted_document(accepted))


def _batch(outcomes: Sequence[Outcome | Problem]) -> Reply:
    """The answer of a batch, as octets: it is kept and sent as the same."""
    documents = [_outcome(outcome) for outcome in outcomes]
    refused = sum(isinstance(outcome, Refused | Problem) for outcome in outcomes)
    body = {"accepted": len(outcomes) - refused, "refused": refused, "messages": documents}
    return Reply(202, orjson.dumps(body))


def _outcome(outcome: Outcome | Problem) -> dict[str, object]:
    if isinstance(outcome, Accepted):
        return accepted_document(outcome)
    if outcome is None:
        detail = "It could be sent, and was not: another message of the batch is refused."
        return {"status": "refused", "code": "batch_refused", "detail": detail}
    problem = outcome if isinstance(outcome, Problem) else problem_of(outcome)
    assert problem is not None
    said = {name: value for name, value in document(problem).items() if name in ("code", "detail", "field")}
    return {"status": "refused", **said}


def _none_sent(outcomes: Sequence[Outcome | Problem]) -> NoReturn:
    refused = sum(isinstance(outcome, Refused | Problem) for outcome in outcomes)
    detail = f"Nothing was sent: {refused} of {len(outcomes)} messages cannot be."
    raise Problem(422, "batch_refused", detail, more={"messages": [_outcome(item) for item in outcomes]})


# -- reading and changing -----------------------------------------------------------------------------------


def listed(call: Call) -> Deferred[Reply]:
    """Newest first; with since_id the ones after it, oldest first."""
    given, rows = call.given, call.given["limit"]
    reading = call.read(
        _search,
        direction=given["direction"],
        did=spelled(call, "did"),
        peer=spelled(call, "peer"),
        since_ms=given["since"],
        until_ms=given["until"],
        since_id=given["since_id"],
        before_id=given["before_id"],
        limit=rows + 1,
    )

    def shown(found: list[Found]) -> Reply:
        documents = [views.message(view, unread) for view, unread in found[:rows]]
        return Reply(200, {"messages": documents, "more": len(found) > rows})

    return reading.addCallback(shown)


def show(call: Call) -> Deferred[Reply]:
    """With its parts, deliveries and attempts."""

    return call.read(_get, identifier(call)).addCallback(_shown, call)


def delete(call: Call) -> Deferred[Reply]:
    """Out of sight at once, from the store after half a minute."""
    identity, services = identifier(call), call.services
    now_ms = services.wall_ms()

    def change(conn: Connection) -> int:
        made = deletion.begin(
            conn, services.store.ids, call.account_id, f"key:{call.key.name}", f"message {identity}", now_ms
        )
        gone = deletion.delete_selected(conn, call.account_id, [identity], made, now_ms)
        if not gone:
            raise NotFound(MISSING[1])
        return gone

    return call.change("delete message", change).addCallback(nothing_more)


def mark_read(call: Call) -> Deferred[Reply]:
    """Of its conversation everything up to it."""

    def mark(conn: Connection, record: MessageRecord, now_ms: int) -> None:
        conversations.mark_read(conn, call.account_id, record.did, record.peer, record.id, now_ms)

    return _mark(call, mark)


def mark_unread(call: Call) -> Deferred[Reply]:
    """Of its conversation everything from it on."""

    def mark(conn: Connection, record: MessageRecord, now_ms: int) -> None:
        place = (call.account_id, record.did, record.peer)
        conversations.mark_unread(conn, *place, now_ms=now_ms, from_id=record.id)

    return _mark(call, mark)


def _mark(call: Call, mark: Callable[[Connection, MessageRecord, int], None]) -> Deferred[Reply]:
    """200 with the message as it is then."""
    identity, now_ms = identifier(call), call.services.wall_ms()

    def change(conn: Connection) -> Found | None:
        view = messages.get(conn, call.account_id, identity)
        if view is None:
            return None
        if view.message.direction != "mo":
            raise Problem(409, "state_wrong", "Only a message that came in can be read or unread.")
        mark(conn, view.message, now_ms)
        return _get(conn, call.account_id, identity)

    return call.change("mark message", change).addCallback(_shown, call)


def _search(conn: Connection, account_id: int, **wanted: Any) -> list[Found]:
    found = messages.search(conn, account_id, **wanted)
    unread = conversations.unread_of(conn, account_id, found)
    return [(view, view.message.id in unread) for view in found]


def _get(conn: Connection, account_id: int, identity: int) -> Found | None:
    view = messages.get(conn, account_id, identity)
    return None if view is None else (view, bool(conversations.unread_of(conn, account_id, [view])))


def _shown(found: Found | None, call: Call) -> Reply:
    if found is None:
        raise call.missing()
    return Reply(200, views.message(*found))


def nothing_more(_: object) -> Reply:
    """It is done; there is nothing to say about it."""
    return Reply(204, b"")


def _marks() -> list[Route]:
    return [
        Route(
            method="POST",
            path=f"/v1/messages/{{id}}/{word}",
            name=f"{word}Message",
            tag="Messages",
            scope="messages:write",
            summary=f"Mark a message, and those {others} it in its conversation, as {word}",
            about="Only one that came in. The answer is the message as it is then.",
            do=do,
            gives={200: views.MESSAGE},
            refuses={409: ("state_wrong",)},
            missing=MISSING,
            path_shapes={"id": IDENTIFIER},
        )
        for word, others, do in (("read", "before", mark_read), ("unread", "after", mark_unread))
    ]


def _one(method: str, name: str, scope: str, summary: str, do: Any, gives: dict[int, Any]) -> Route:
    return Route(
        method=method,
        path="/v1/messages/{id}",
        name=name,
        tag="Messages",
        scope=scope,
        summary=summary,
        do=do,
        gives=gives,
        missing=MISSING,
        path_shapes={"id": IDENTIFIER},
    )
