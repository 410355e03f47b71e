"""Many messages taken from sight at once, or a conversation, and brought back within 30 seconds."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, ensureDeferred

from edge.web.api import views
from edge.web.api.paths import identifier, in_e164, number_in
from edge.web.api.problems import Problem
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import IDENTIFIER, Choice, Many, Member, Moment, Number, Record, Switch, Whole, given
from storage import conversations, deletion, export
from storage.history import Filter
from storage.ids import time_of

MISSING = ("deletion_unknown", "There is nothing that this deletion could bring back.")
NO_CONVERSATION = ("conversation_unknown", "There is no conversation of this DID with this peer.")
MATCHING = Record(
    (
        Member("direction", Choice(("mo", "mt"), "direction_invalid"), "mo: received; mt: sent."),
        Member("did", Number()),
        Member("peer", Number()),
        Member("since", Moment(), "From this time on."),
        Member("until", Moment(), "Before this time."),
        Member("all", Switch(), "Every message of the account; must be true when nothing else is named."),
    ),
    "Matching",
)
WANTED = Record(
    (
        Member("ids", Many(IDENTIFIER, 1, deletion.STEP, "batch_size_invalid"), "These messages."),
        Member("matching", MATCHING, "All that there are of this kind."),
        Member("confirm", Switch(), "Must be true for `matching`.", default=False),
    ),
    "Deleting",
)
DELETED = given(
    Member("id", IDENTIFIER, "Of the deletion."),
    Member("messages", Whole(), "How many it took."),
    Member("undo_until", views.TIME),
    name="Deleted",
)
RESTORED = given(Member("id", IDENTIFIER), Member("messages", Whole()), name="Restored")

Step = Callable[[Connection, int], int]
"""Takes some messages with a deletion of this id; how many, 0 when there are no more."""


def delete(call: Call) -> Deferred[Reply]:
    """Those that are named, or all that match."""
    wanted, matching = call.given["ids"], call.given["matching"]
    if (wanted is None) == (matching is None):
        raise Problem(422, "value_invalid", "Give either 'ids' or 'matching'.", "ids")
    account_id, now_ms = call.account_id, call.services.wall_ms()
    if matching is None:

        def named(conn: Connection, deletion_id: int) -> int:
            return deletion.delete_selected(conn, account_id, wanted, deletion_id, now_ms)

        return ensureDeferred(_delete(call, f"{len(wanted)} messages", named))
    named_none = all(value is None for name, value in matching.items() if name != "all")
    if bool(matching["all"]) != named_none:
        detail = "Name what is to go; or all of it, and nothing else: {'all': true}."
        raise Problem(422, "matching_empty", detail, "matching")
    if not call.given["confirm"]:
        raise Problem(422, "confirm_missing", "'confirm' must be true to delete all that match.", "confirm")
    return ensureDeferred(_delete_matching(call, _filter(call, matching), "messages that match"))


def delete_conversation(call: Call) -> Deferred[Reply]:
    """All of its messages that there are now."""
    did, peer = number_in(call, "did"), number_in(call, "peer")
    return ensureDeferred(_delete_conversation(call, did, peer))


def undo(call: Call) -> Deferred[Reply]:
    """Within 30 seconds."""
    return ensureDeferred(_undo(call, identifier(call)))


async def _delete_conversation(call: Call, did: str, peer: str) -> Reply:
    if await call.read(conversations.get, did, peer) is None:
        raise call.missing()
    return await _delete_matching(call, Filter(did=did, peer=peer), "conversation")


async def _delete_matching(call: Call, wanted: Filter, subject: str) -> Reply:
    # What comes while the steps run is not meant.
    bounded = replace(wanted, up_to_id=await call.read(export.newest_id))
    account_id, now_ms = call.account_id, call.services.wall_ms()

    def some(conn: Connection, deletion_id: int) -> int:
        return deletion.delete_matching(conn, account_id, bounded, deletion_id, now_ms, deletion.STEP)

    return await _delete(call, subject, some)


async def _delete(call: Call, subject: str, step: Step) -> Reply:
    """The deletion is noted with its first step; a restart between two steps leaves the rest where it is."""
    account_id, now_ms, ids = call.account_id, call.services.wall_ms(), call.services.store.ids

    def first(conn: Connection) -> tuple[int, int]:
        made = deletion.begin(conn, ids, account_id, f"key:{call.key.name}", subject, now_ms)
        return made, step(conn, made)

    made, count = await call.change("delete messages", first)
    more = count
    while more == deletion.STEP:
        more = await call.change("delete messages", lambda conn: step(conn, made))
        count += more
    until = views.iso(time_of(made) + deletion.UNDO_MS)
    return Reply(200, {"id": made, "messages": count, "undo_until": until})


async def _undo(call: Call, deletion_id: int) -> Reply:
    account_id, now_ms = call.account_id, call.services.wall_ms()

    def some(conn: Connection) -> int:
        return deletion.undo(conn, account_id, deletion_id, now_ms, deletion.STEP)

    count = more = await call.change("undo deletion", some)
    if not count:
        raise call.missing()
    while more == deletion.STEP:
        more = await call.change("undo deletion", some)
        count += more
    return Reply(200, {"id": deletion_id, "messages": count})


def _filter(call: Call, matching: dict[str, Any]) -> Filter:
    did, peer = (matching[name] and in_e164(call, matching[name]) for name in ("did", "peer"))
    return Filter(
        direction=matching["direction"],
        did=did,
        peer=peer,
        since_ms=matching["since"],
        until_ms=matching["until"],
    )


def routes() -> list[Route]:
    """In the order of the documentation."""
    about = "They are out of sight at once, can be brought back for 30 seconds, and are then gone for good."
    common: dict[str, Any] = {"tag": "Messages", "scope": "messages:write"}
    return [
        Route(
            method="POST",
            path="/v1/messages/delete",
            name="deleteMessages",
            summary="Delete many messages, or all that match",
            about=f"{about} Ids that are not the account's are passed over.",
            do=delete,
            takes=WANTED,
            gives={200: DELETED},
            refuses={422: ("confirm_missing",)},
            **common,
        ),
        Route(
            method="DELETE",
            path="/v1/conversations/{did}/{peer}",
            name="deleteConversation",
            summary="Delete a conversation: all messages that it has now",
            about=about,
            do=delete_conversation,
            gives={200: DELETED},
            missing=NO_CONVERSATION,
            path_shapes={"did": Number(), "peer": Number()},
            **common,
        ),
        Route(
            method="POST",
            path="/v1/deletions/{id}/undo",
            name="undoDeletion",
            summary="Bring back what a deletion took, within 30 seconds",
            do=undo,
            gives={200: RESTORED},
            missing=MISSING,
            path_shapes={"id": IDENTIFIER},
            **common,
        ),
    ]
