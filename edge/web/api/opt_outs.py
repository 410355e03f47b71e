"""/v1/opt-outs: who wants no more messages from the account."""

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.policy.numbers import destination
from edge.web.api import views
from edge.web.api.messages import nothing_more
from edge.web.api.paths import identifier
from edge.web.api.problems import Problem
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import IDENTIFIER, Many, Member, Null, Number, Record, Text, Whole, given
from edge.web.services import WebServices
from storage import opt_outs
from storage.errors import NotFound
from storage.opt_outs import MAX_LIMIT, OptOut
from storage.tables_people import EVERY_DID

PAGE = 100
MISSING = ("opt_out_unknown", "There is no opt-out with this id.")
_TEXT = Text()

OPT_OUT = given(
    Member("id", IDENTIFIER),
    Member("peer", _TEXT),
    Member("did", Null(_TEXT), "null: from every DID of the account."),
    Member("source", _TEXT, "The word that was sent, or who entered it."),
    Member("created_at", views.TIME),
    name="OptOut",
)
OPT_OUTS = given(Member("opt_outs", Many(OPT_OUT)), views.MORE, name="OptOuts")
NEW = Record(
    (
        Member("peer", Number(), "Who wants no more messages.", True),
        Member("did", Number(), "From this DID; from all of them when it is not given."),
    ),
    "NewOptOut",
)
LISTED_BY = Record(
    (
        Member("peer", Number(), "Those of one peer."),
        Member("before_id", IDENTIFIER, "Those before this one."),
        Member("limit", Whole(1, MAX_LIMIT, "limit_invalid"), default=PAGE),
    )
)


def document(item: OptOut) -> dict[str, object]:
    """One of them."""
    return {
        "id": item.id,
        "peer": item.peer,
        "did": item.did or None,
        "source": item.source,
        "created_at": views.iso(item.at),
    }


def listed(call: Call) -> Deferred[Reply]:
    """Newest first."""
    peer, before_id, rows = call.given["peer"], call.given["before_id"], call.given["limit"]

    def found(items: list[OptOut]) -> Reply:
        more = peer is None and len(items) > rows
        shown = items[:rows] if more else items
        return Reply(200, {"opt_outs": [document(item) for item in shown], "more": more})

    if peer is not None:
        number = destination(peer, call.services.config.numbers.region, "peer")
        return call.read(opt_outs.of_peer, number).addCallback(found)
    return call.read(opt_outs.listed, before_id=before_id, limit=rows + 1).addCallback(found)


def add(call: Call) -> Deferred[Reply]:
    """201; one that is there stays as it is."""
    services, account_id = call.services, call.account_id
    region, now_ms = services.config.numbers.region, services.wall_ms()
    peer, did = destination(call.given["peer"], region, "peer"), EVERY_DID
    if call.given["did"] is not None:
        did = destination(call.given["did"], region, "did")
        known = services.directory.did(did)
        if known is None or known.account_id != account_id:
            raise Problem(404, "unknown_did", f"{did} is not a DID of this account.", "did")
    source = f"api {call.key.name}"

    def make(conn: Connection) -> OptOut:
        return opt_outs.add(conn, services.store.ids.next, account_id, peer, source, now_ms, did=did)

    return (
        call.write("opt_out.add", peer, make, did=did)
        .addCallback(_counted, services)
        .addCallback(lambda item: Reply(201, document(item), ((b"Location", b"/v1/opt-outs/%d" % item.id),)))
    )


def remove(call: Call) -> Deferred[Reply]:
    """The peer wants messages again."""
    identity, account_id = identifier(call), call.account_id

    def remove(conn: Connection) -> None:
        if not opt_outs.remove_one(conn, account_id, identity):
            raise NotFound(MISSING[1])

    def ended(reply: Reply) -> Deferred[Reply] | Reply:
        known = call.services.opt_outs
        return reply if known is None else known.refresh().addBoth(lambda _: reply)

    return call.write("opt_out.remove", identity, remove).addCallback(nothing_more).addCallback(ended)


def _counted(item: OptOut, services: WebServices) -> OptOut:
    """From now on, not from the next look at the store."""
    if services.opt_outs is not None:
        services.opt_outs.added(item.account_id, item.did, item.peer)
    return item


def routes() -> list[Route]:
    """In the order of the documentation."""
    return [
        Route(
            method="GET",
            path="/v1/opt-outs",
            name="listOptOuts",
            tag="Opt-outs",
            scope="contacts:read",
            summary="List who wants no more messages, the newest first",
            do=listed,
            takes=LISTED_BY,
            gives={200: OPT_OUTS},
            refuses={422: ("invalid_number",)},
        ),
        Route(
            method="POST",
            path="/v1/opt-outs",
            name="addOptOut",
            tag="Opt-outs",
            scope="contacts:write",
            summary="Note that somebody wants no more messages",
            do=add,
            takes=NEW,
            gives={201: OPT_OUT},
            refuses={404: ("unknown_did",), 422: ("invalid_number",)},
        ),
        Route(
            method="DELETE",
            path="/v1/opt-outs/{id}",
            name="removeOptOut",
            tag="Opt-outs",
            scope="contacts:write",
            summary="Note that he wants them again",
            do=remove,
            gives={204: None},
            missing=MISSING,
            path_shapes={"id": IDENTIFIER},
        ),
    ]
