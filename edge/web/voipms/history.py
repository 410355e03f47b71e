"""getSMS, getMMS, getMediaMMS, deleteSMS, deleteMMS, and what resellers would ask."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.web import spelling
from edge.web.api.members import parse_identifier
from edge.web.media import url_of
from edge.web.services import WebServices
from edge.web.voipms import answers, times
from edge.web.voipms.call import Call
from edge.web.voipms.rows import Page, Rows
from edge.web.voipms.sending import without_links
from edge.web.voipms.statuses import SENTENCES, Rejected
from edge.web.voipms.times import Face
from storage import deletion, texts
from storage.history import Filter
from storage.ids import IdSource
from storage.media import MediaPlace
from storage.records import Direction, MessageStatus
from storage.texts import Kind, TextView

ROWS = 50
MAX_ROWS = 1_000_000
PAGE = 1_000
COLUMNS = 3
TYPES: dict[str, Direction] = {"1": "mo", "0": "mt"}
UNKNOWN = "Information not available"
CARRIER_STATUSES = {
    MessageStatus.RECEIVED: UNKNOWN,
    MessageStatus.QUEUED: "Queued",
    MessageStatus.SENDING: "Sending",
    MessageStatus.SENT: "Sent",
    MessageStatus.IN_DOUBT: "In doubt",
    MessageStatus.DELIVERED: "Delivered",
    MessageStatus.FAILED: "Failed",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """What a call wants to see. ``contact``: only those that are shown with this number; None for all."""

    account_id: int
    wanted: Filter
    kind: Kind | None
    message_id: int | None
    contact: str | None
    limit: int
    face: Face
    with_media: bool


def get_sms(call: Call) -> Deferred[bytes | Rows]:
    """`sms`: rows, newest first."""
    return _list(call, "sms", "sms")


def get_mms(call: Call) -> Deferred[bytes | Rows]:
    """`sms`, too, with the places of the media."""
    return _list(call, "mms", "mms")


def get_media(call: Call) -> Deferred[bytes]:
    """`media`: an object with the keys 1, 2, 3, or a list with media_as_array=1."""
    identity = parse_identifier(call.parameters.required("id", "missing_id"))
    if identity is None:
        raise Rejected("invalid_id")
    as_list = call.parameters.flag("media_as_array", "missing_params") or False
    face = times.face(call.zone, "")

    def found(views: list[TextView]) -> bytes:
        if not views:
            raise Rejected("invalid_id")
        (view,) = views
        links = _links(call.services, view.media)
        if not links:
            raise Rejected("no_sms", "This message has no media.")
        media = links if as_list else {str(number): link for number, link in enumerate(links, 1)}
        return answers.success(id=str(view.row.id), date=face.show(view.row.created_at), media=media)

    return call.services.store.read(texts.page, call.account_id, Filter(), message_id=identity).addCallback(
        found
    )


def delete_sms(call: Call) -> Deferred[bytes]:
    """It goes from sight everywhere."""
    return _delete(call, "missing_sms", "invalid_sms")


def delete_mms(call: Call) -> Deferred[bytes]:
    """As deleteSMS."""
    return _delete(call, "missing_id", "invalid_id")


def get_for_reseller(call: Call) -> Deferred[bytes]:
    """There are no resellers here, so no client's id is right."""
    call.parameters.required("client", "missing_client")
    raise Rejected("invalid_client")


# -- lists --------------------------------------------------------------------------------------------------


def _list(call: Call, kind: Kind, id_name: str) -> Deferred[bytes | Rows]:
    listing = _listing(call, kind, id_name)
    return Deferred.fromCoroutine(_begun(call.services, listing))


async def _begun(services: WebServices, listing: Listing) -> bytes | Rows:
    """The answer, or (when there are more rows than a page has) how it is written."""

    shown = 0

    def following(page: Page) -> Deferred[Page]:
        nonlocal shown
        reading = services.store.read(render, services, listing, page.before, listing.limit - shown)
        return reading.addCallback(counted)

    def counted(page: Page) -> Page:
        nonlocal shown
        shown += page.count
        return page if shown < listing.limit else replace(page, before=None)

    page = await following(Page(b"", 0, None))
    while not page.count and page.before is not None:  # none of these is meant
        page = await following(page)
    if not page.count:
        raise Rejected("no_sms")
    if page.before is None:
        return b'{"status":"success","sms":[%b]}' % page.octets
    return Rows(page, following, services.reactor)


def _listing(call: Call, kind: Kind, id_name: str) -> Listing:
    given = call.parameters
    identity = _identity(given.text(id_name))
    direction = TYPES.get(given.text("type"))
    if given.text("type") and direction is None:
        raise Rejected("invalid_type")
    did = call.own_did(spelling.read(given.text("did"))).number if given.text("did") else None
    contact, peer = _contact(given.text("contact"))
    everything = given.flag("all_messages", "missing_params") or False
    since, until = given.text("from"), given.text("to")
    window = None
    if identity is None or since or until:
        window = times.window(call.zone, since, until, call.now_ms)
    return Listing(
        call.account_id,
        Filter(
            direction,
            did,
            peer,
            since_ms=None if window is None else window.since_ms,
            until_ms=None if window is None else window.until_ms,
        ),
        None if everything else kind,
        identity,
        contact,
        _limit(given.text("limit")),
        times.face(call.zone, given.text("timezone")),
        everything or kind == "mms",
    )


def _identity(written: str) -> int | None:
    """The id that is asked for; 0 asks for none. Raises Rejected."""
    identity = parse_identifier(written or "0")
    if identity is None:
        raise Rejected("invalid_sms")
    return identity or None


def _contact(written: str) -> tuple[str | None, str | None]:
    """The contact as it is shown, if only that tells who is meant, or the peer. Raises Rejected."""
    if not written:
        return None, None
    if spelling.is_name(written) and written.isdigit():
        return written, None
    peer = spelling.read(written)
    if peer is None:
        raise Rejected("invalid_contact")
    return None, peer


def _limit(written: str) -> int:
    """What is no number of rows asks for the usual number."""
    wanted = int(written) if written.isascii() and written.isdigit() and len(written) < 10 else 0
    return min(wanted or ROWS, MAX_ROWS)


def render(
    connection: Connection, services: WebServices, listing: Listing, before: int | None, most: int
) -> Page:
    """A page of the answer, made where the rows are read: at most so many, from before that message on."""
    limit = PAGE if listing.contact is not None else min(PAGE, most)
    views = texts.page(
        connection,
        listing.account_id,
        listing.wanted,
        kind=listing.kind,
        message_id=listing.message_id,
        before_id=before,
        limit=limit,
    )
    meant = [view for view in views if _is_meant(view, listing)][:most]
    rows = [answers.encode(_row(services, view, listing)) for view in meant]
    return Page(b",".join(rows), len(rows), views[-1].row.id if len(views) == limit else None)


def _is_meant(view: TextView, listing: Listing) -> bool:
    return listing.contact is None or spelling.shown(view.row.peer) == listing.contact


def _row(services: WebServices, view: TextView, listing: Listing) -> dict[str, object]:
    row = view.row
    links = _links(services, view.media)
    shown: dict[str, object] = {
        "id": str(row.id),
        "date": listing.face.show(row.created_at),
        "type": "1" if row.direction == "mo" else "0",
        "did": spelling.shown(row.did),
        "contact": spelling.shown(row.peer),
        "message": without_links(row.text, links) if links else row.text,
        "carrier_status": CARRIER_STATUSES[view.status],
    }
    if listing.with_media:
        columns = [*links, *[""] * COLUMNS][:COLUMNS]
        shown |= {f"col_media{number}": link for number, link in enumerate(columns, 1)}
        shown["media"] = links
    return shown


def _links(services: WebServices, places: tuple[MediaPlace, ...]) -> list[str]:
    return [place.url or url_of(services, place.token or "") for place in places]


# -- deleting -----------------------------------------------------------------------------------------------


def _delete(call: Call, missing: str, invalid: str) -> Deferred[bytes]:
    if not call.parameters.text("id"):
        raise Rejected(missing, SENTENCES["missing_id"])
    identity = parse_identifier(call.parameters.text("id"))
    if identity is None:
        raise Rejected(invalid)
    store = call.services.store

    def gone(count: int) -> bytes:
        if not count:
            raise Rejected(invalid)
        return answers.success()

    return store.writer.run(
        "delete message", lambda connection: _take_away(connection, store.ids, call, identity)
    ).addCallback(gone)


def _take_away(connection: Connection, ids: IdSource, call: Call, identity: int) -> int:
    if not texts.page(connection, call.account_id, Filter(), message_id=identity):
        return 0
    actor = f"api:{call.access.username}"
    deleted = deletion.begin(connection, ids, call.account_id, actor, f"message {identity}", call.now_ms)
    return deletion.delete_selected(connection, call.account_id, [identity], deleted, call.now_ms)
