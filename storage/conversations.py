"""Conversations: one row for each (account, DID, peer), raised with each message (`storage.messages.insert`).

The row holds ids, no counts: the newest message, the newest one from the peer, and up to where somebody read
or archived. Ids only grow, so the row is right whatever came first, and a new message brings an archived
conversation back without a word. A last id of 0 says that every message is deleted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select, text, tuple_, update

from storage import events, messages
from storage.errors import NotFound
from storage.pages import bounded
from storage.records import MessageView
from storage.tables import contact, contact_number, conversation, message
from storage.words import fold

MAX_UNREAD = 100
"""No more unread messages are counted: "99+" is all that people are shown."""

MAX_LIMIT = 200
Key = tuple[str, str]
"""A conversation of an account: DID and peer."""


@dataclass(frozen=True, slots=True)
class ConversationView:
    """A conversation with its newest message; ``unread`` is held at `MAX_UNREAD`.

    ``last_message_id`` is the cursor for the conversations before it.
    """

    did: str
    peer: str
    last_message_id: int
    last: MessageView | None
    unread: int
    archived: bool
    pinned: bool
    muted: bool
    contact_id: int | None
    contact_name: str | None


def page(
    connection: Connection,
    account_id: int,
    *,
    did: str | None = None,
    unread: bool = False,
    archived: bool | None = False,
    pinned: bool | None = None,
    named: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[ConversationView]:
    """Conversations of this account, the one with the newest message first.

    ``unread``: only those with something unread; ``archived``, ``pinned``: only those that are or are not,
    None for both; ``named``: what the contact's name or the peer's number holds. ``limit`` is held between
    1 and 200 and one (`storage.pages`).
    """
    query = _with_contacts(account_id).where(conversation.c.last_message_id > 0)
    if did is not None:
        query = query.where(conversation.c.did == did)
    if unread:
        query = query.where(conversation.c.last_inbound_id > conversation.c.read_id)
    if archived is not None:
        is_archived = conversation.c.archived_id >= conversation.c.last_message_id
        query = query.where(is_archived if archived else ~is_archived)
    if pinned is not None:
        query = query.where(conversation.c.pinned == pinned)
    if named:
        query = query.where(_named(named))
    if before_id is not None:
        query = query.where(conversation.c.last_message_id < before_id)
    query = query.order_by(conversation.c.last_message_id.desc()).limit(bounded(limit, MAX_LIMIT))
    return _views(connection, account_id, connection.execute(query).all())


def get(connection: Connection, account_id: int, did: str, peer: str) -> ConversationView | None:
    """One conversation of this account."""
    query = _with_contacts(account_id).where(conversation.c.did == did, conversation.c.peer == peer)
    found = _views(connection, account_id, connection.execute(query).all())
    return found[0] if found else None


def last_did(connection: Connection, account_id: int, peer: str) -> str | None:
    """Over which DID this account last had a word with a peer; None when it never had."""
    query = select(conversation.c.did).where(
        conversation.c.account_id == account_id,
        conversation.c.peer == peer,
        conversation.c.last_message_id > 0,
    )
    found: str | None = connection.scalar(query.order_by(conversation.c.last_message_id.desc()).limit(1))
    return found


def peers_holding(connection: Connection, account_id: int, digits: str, limit: int = 10) -> dict[str, str]:
    """The peers whose numbers hold these digits, the one of the newest message first, each with the DID over
    which the last word was had.
    """
    newest = func.max(conversation.c.last_message_id).label("newest")
    peers = (
        select(conversation.c.peer, newest)
        .where(
            conversation.c.account_id == account_id,
            conversation.c.peer.contains(digits, autoescape=True),
            conversation.c.last_message_id > 0,
        )
        .group_by(conversation.c.peer)
        .order_by(newest.desc())
        .limit(bounded(limit, MAX_LIMIT))
        .subquery("peers")
    )
    last = (
        (conversation.c.account_id == account_id)
        & (conversation.c.peer == peers.c.peer)
        & (conversation.c.last_message_id == peers.c.newest)
    )
    query = select(conversation.c.peer, conversation.c.did).join(peers, last).order_by(peers.c.newest.desc())
    return {row.peer: row.did for row in connection.execute(query)}


def unread_conversations(connection: Connection, account_id: int) -> int:
    """How many conversations have something unread, for the badge."""
    query = select(func.count()).where(
        conversation.c.account_id == account_id,
        conversation.c.last_inbound_id > conversation.c.read_id,
        conversation.c.archived_id < conversation.c.last_message_id,
    )
    return connection.scalar(query.select_from(conversation)) or 0


def mark_read(
    connection: Connection, account_id: int, did: str, peer: str, up_to_id: int, now_ms: int
) -> None:
    """Everything up to this message was read; what is read stays so. Raises NotFound."""
    row = _held(connection, account_id, did, peer)
    if up_to_id <= row.read_id:
        return
    _change(connection, row, read_id=min(up_to_id, max(row.last_message_id, row.read_id)))
    kind = events.Kind.CONVERSATION_READ
    events.write(connection, [(account_id, kind, row.last_message_id, now_ms)])


def mark_unread(
    connection: Connection, account_id: int, did: str, peer: str, now_ms: int, from_id: int | None = None
) -> None:
    """What came from ``from_id`` on counts as unread again, or else the peer's newest. Raises NotFound."""
    row = _held(connection, account_id, did, peer)
    first = row.last_inbound_id if from_id is None else from_id
    _tell(connection, row, now_ms, read_id=max(min(row.read_id, first - 1), 0))


def unread_of(connection: Connection, account_id: int, found: Iterable[MessageView]) -> set[int]:
    """The ids of those of these messages that came in and that nobody has read."""
    inbound = [view.message for view in found if view.message.direction == "mo"]
    wanted = sorted({(record.did, record.peer) for record in inbound})
    place = tuple_(conversation.c.did, conversation.c.peer)
    read: dict[Key, int] = {}
    for start in range(0, len(wanted), 500):
        query = select(conversation.c.did, conversation.c.peer, conversation.c.read_id).where(
            conversation.c.account_id == account_id, place.in_(wanted[start : start + 500])
        )
        read.update({(row.did, row.peer): row.read_id for row in connection.execute(query)})
    return {record.id for record in inbound if record.id > read.get((record.did, record.peer), record.id)}


def set_state(
    connection: Connection,
    account_id: int,
    did: str,
    peer: str,
    now_ms: int,
    *,
    archived: bool | None = None,
    pinned: bool | None = None,
    muted: bool | None = None,
) -> None:
    """Archive, pin or mute, or undo it; None leaves as it is. Raises NotFound."""
    row = _held(connection, account_id, did, peer)
    values: dict[str, object] = {}
    if archived is not None:
        values["archived_id"] = row.last_message_id if archived else 0
    if pinned is not None:
        values["pinned"] = pinned
    if muted is not None:
        values["muted"] = muted
    if values:
        _tell(connection, row, now_ms, **values)


def recount(connection: Connection, account_id: int, keys: Iterable[Key]) -> None:
    """Set the newest ids of these conversations anew, after messages of them went or came back.

    The rows are locked first: a message that another process adds meanwhile raises them afterwards.
    """
    wanted = sorted(set(keys))
    place = tuple_(conversation.c.did, conversation.c.peer)
    mine = conversation.c.account_id == account_id
    for start in range(0, len(wanted), 500):
        some = mine & place.in_(wanted[start : start + 500])
        held = select(conversation.c.did, conversation.c.peer).where(some)
        connection.execute(held.order_by(conversation.c.did, conversation.c.peer).with_for_update()).all()
        connection.execute(
            update(conversation)
            .where(some)
            .values(last_message_id=_newest(), last_inbound_id=_newest(message.c.direction == "mo"))
        )


def _newest(*conditions: Any) -> Any:
    newest = select(func.max(message.c.id)).where(
        message.c.account_id == conversation.c.account_id,
        message.c.did == conversation.c.did,
        message.c.peer == conversation.c.peer,
        message.c.deletion_id.is_(None),
        *conditions,
    )
    return func.coalesce(newest.scalar_subquery(), 0)


_by_more = contact.alias("by_more")
"""The contact whose further number it is; see `storage.tables_people`."""


def _named(written: str) -> Any:
    folded = fold(written)
    number = "".join(letter for letter in written if letter.isdigit())
    conditions = [who.c.folded.contains(folded, autoescape=True) for who in (contact, _by_more)]
    if number:
        conditions.append(conversation.c.peer.contains(number, autoescape=True))
    return or_(*conditions)


def _with_contacts(account_id: int) -> Select[Any]:
    known, also = (
        (table.c.account_id == conversation.c.account_id) & (table.c.number == conversation.c.peer)
        for table in (contact, contact_number)
    )
    of_more = _by_more.c.id == contact_number.c.contact_id
    return (
        select(
            conversation,
            func.coalesce(contact.c.id, _by_more.c.id).label("contact_id"),
            func.coalesce(contact.c.name, _by_more.c.name).label("contact_name"),
        )
        .select_from(
            conversation.outerjoin(contact, known)
            .outerjoin(contact_number, also)
            .outerjoin(_by_more, of_more)
        )
        .where(conversation.c.account_id == account_id)
    )


def _held(connection: Connection, account_id: int, did: str, peer: str) -> Any:
    query = select(conversation).where(
        conversation.c.account_id == account_id, conversation.c.did == did, conversation.c.peer == peer
    )
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        raise NotFound(f"There is no conversation of {did} with {peer}.")
    return row


def _tell(connection: Connection, row: Any, now_ms: int, **values: object) -> None:
    _change(connection, row, **values)
    kind = events.Kind.CONVERSATION_CHANGED
    events.write(connection, [(row.account_id, kind, row.last_message_id, now_ms)])


def _change(connection: Connection, row: Any, **values: object) -> None:
    this = (
        conversation.c.account_id == row.account_id,
        conversation.c.did == row.did,
        conversation.c.peer == row.peer,
    )
    connection.execute(update(conversation).where(*this).values(values))


def _views(connection: Connection, account_id: int, rows: Sequence[Any]) -> list[ConversationView]:
    ids = [row.last_message_id for row in rows if row.last_message_id]
    mine = (message.c.id.in_(ids), message.c.account_id == account_id)
    last = {
        view.message.id: view
        for view in (messages.views(connection, select(message).where(*mine)) if ids else ())
    }
    unread = _unread(connection, account_id, [row for row in rows if row.last_inbound_id > row.read_id])
    return [
        ConversationView(
            row.did,
            row.peer,
            row.last_message_id,
            last.get(row.last_message_id),
            unread.get((row.did, row.peer), 0),
            row.archived_id >= row.last_message_id > 0,
            row.pinned,
            row.muted,
            row.contact_id,
            row.contact_name,
        )
        for row in rows
    ]


_UNREAD = text(
    "SELECT count(*) FROM (SELECT 1 FROM message WHERE account_id = :account_id AND did = :did "
    f"AND peer = :peer AND id > :read_id AND direction = 'mo' AND deletion_id IS NULL LIMIT {MAX_UNREAD}) "
    "AS unread"
)


def _unread(connection: Connection, account_id: int, rows: Sequence[Any]) -> dict[Key, int]:
    found = {}
    for row in rows:
        place = {"account_id": account_id, "did": row.did, "peer": row.peer, "read_id": row.read_id}
        found[row.did, row.peer] = connection.scalar(_UNREAD, place) or 0
    return found
