"""What the Message Center reads: a slice of messages, the conversations beside it, names and DIDs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from edge.web.pages.filters import Wanted, meant_by
from edge.web.pages.locales import Locale
from edge.web.pages.sending import copies
from storage import contacts, conversations, drafts, messages, numbers, search
from storage.conversations import ConversationView, Key
from storage.history import Filter
from storage.records import Did, MessageView

PAGE = 50
CONVERSATIONS = 50


@dataclass(frozen=True, slots=True)
class Slice:
    """A page of messages, newest first, and the cursors to the next ones (None: there are none).

    ``unread`` are the ids of those on it that nobody has read; ``names`` the contacts' names by number;
    ``copies`` the ids of the copies of those that were sent again.
    """

    views: tuple[MessageView, ...] = ()
    older: int | None = None
    newer: int | None = None
    unread: frozenset[int] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pane:
    """The left pane: ``conversations`` (pinned ones first), or with a search also messages (``hits``).

    ``older`` is the cursor to the conversations before these. ``drafts`` are the user's own.
    """

    conversations: tuple[ConversationView, ...]
    older: int | None
    unread: int
    drafts: Mapping[Key, str]
    hits: Slice | None
    dids: tuple[Did, ...]


def read_slice(
    conn: Connection, account_id: int, wanted: Filter, before: int | None = None, after: int | None = None
) -> Slice:
    """The newest page, or the one next to a cursor."""
    found = messages.filtered(conn, account_id, wanted, since_id=after, before_id=before, limit=PAGE + 1)
    more, page = len(found) > PAGE, found[:PAGE]
    if after is not None:
        page.reverse()
    ids = [view.message.id for view in page]
    if not ids:
        return Slice()
    older = ids[-1] if more or after is not None else None
    newer = ids[0] if before is not None or (after is not None and more) else None
    return _dressed(conn, account_id, page, older, newer)


def read_list(
    conn: Connection,
    account_id: int,
    wanted: Wanted,
    locale: Locale,
    before: int | None = None,
    after: int | None = None,
) -> Slice:
    """The classic list: by words when there are some (older pages only), else by the filter."""
    narrowed = wanted.filter(locale, meant_by(conn, account_id, wanted.peer))
    if not wanted.q:
        return read_slice(conn, account_id, narrowed, before, after)
    found = search.find(conn, account_id, wanted.q, narrowed, before_id=before, limit=PAGE + 1)
    page = found[:PAGE]
    older = page[-1].message.id if len(found) > PAGE else None
    return _dressed(conn, account_id, page, older, None)


def read_pane(
    conn: Connection, account_id: int, user_id: int, wanted: Wanted, locale: Locale, before: int | None = None
) -> Pane:
    """The conversations that are wanted, from the one with the newest message on, or from a cursor on."""
    narrowed = {
        "did": wanted.did or None,
        "unread": wanted.show == "unread",
        # A search looks everywhere.
        "archived": None if wanted.of_messages else wanted.show == "archived",
        "named": wanted.q or wanted.peer or None,
    }
    found: list[ConversationView] = []
    older = None
    if wanted.q or wanted.peer or not wanted.of_messages:
        if before is None:
            found = conversations.page(conn, account_id, **narrowed, pinned=True, limit=200)  # type: ignore[arg-type]
        rest = conversations.page(
            conn,
            account_id,
            **narrowed,  # type: ignore[arg-type]
            pinned=False,
            before_id=before,
            limit=CONVERSATIONS + 1,
        )
        older = rest[CONVERSATIONS - 1].last_message_id if len(rest) > CONVERSATIONS else None
        found += rest[:CONVERSATIONS]
    hits = None
    if wanted.of_messages and before is None:
        hits = read_list(conn, account_id, wanted, locale)
    begun = drafts.of(conn, account_id, user_id, [(view.did, view.peer) for view in found])
    unread = conversations.unread_conversations(conn, account_id)
    dids = tuple(numbers.list_dids(conn, account_id))
    return Pane(tuple(found), older, unread, begun, hits, dids)


def _dressed(
    conn: Connection, account_id: int, page: list[MessageView], older: int | None, newer: int | None
) -> Slice:
    names = contacts.names(conn, account_id, {view.message.peer for view in page})
    unread = frozenset(conversations.unread_of(conn, account_id, page))
    return Slice(tuple(page), older, newer, unread, names, copies(conn, account_id, page))
