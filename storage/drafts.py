"""What users have begun to write: one text for each user and conversation, gone when it is sent; and one of
each user for a conversation that is not there yet.
"""

from collections.abc import Collection, Iterable

from sqlalchemy import ColumnElement, Connection, delete, insert, select, tuple_

from storage.conversations import Key
from storage.tables import draft, user
from storage.text import storable

FIRST = "new "
"""Before the DID of a text to somebody with whom no conversation is there: it is not that one's draft."""

First = tuple[str, str, str]
"""A first message to somebody: DID, peer (whom the user has named so far, a number or the beginning of a
name), and text."""


def put(
    connection: Connection, account_id: int, user_id: int, did: str, peer: str, text: str, now_ms: int
) -> None:
    """Keep this text as the draft of a user of this account; an empty one forgets it."""
    mine = select(user.c.id).where(user.c.id == user_id, user.c.account_id == account_id)
    if connection.scalar(mine) is None:
        return
    same = (draft.c.user_id == user_id, draft.c.did == did, draft.c.peer == peer)
    connection.execute(delete(draft).where(*same))
    if text.strip():
        row = (user_id, did, peer, account_id, storable(text), now_ms)
        connection.execute(insert(draft).values(dict(zip(draft.c.keys(), row, strict=True))))


def forget(
    connection: Connection, account_id: int, user_id: int, did: str, peer: str, texts: Collection[str]
) -> None:
    """Forget the draft that has become a message: if it is one of these texts. Another one goes on."""
    connection.execute(
        delete(draft).where(
            draft.c.account_id == account_id,
            draft.c.user_id == user_id,
            draft.c.did == did,
            draft.c.peer == peer,
            draft.c.text.in_([storable(text) for text in texts]),
        )
    )


def purge(connection: Connection, before_ms: int, limit: int) -> int:
    """Forget what nobody has gone on with since then, at most so many; how many there were."""
    old = (
        select(draft.c.user_id, draft.c.did, draft.c.peer).where(draft.c.updated_at < before_ms).limit(limit)
    )
    keys = [tuple(row) for row in connection.execute(old)]
    if keys:
        connection.execute(delete(draft).where(tuple_(draft.c.user_id, draft.c.did, draft.c.peer).in_(keys)))
    return len(keys)


def put_first(
    connection: Connection,
    account_id: int,
    user_id: int,
    now_ms: int,
    written: First,
    known: Collection[First] = (),
) -> bool:
    """Keep this as the user's first message to somebody, in place of the one before; an empty one forgets
    it.

    ``known`` is what whoever wrote it may have had kept before: when another one is kept, of another window
    or device, that one stays, and the answer is False.
    """
    kept = first(connection, account_id, user_id)
    if kept[2] and kept not in [(did, peer, storable(text)) for did, peer, text in (written, *known)]:
        return False
    did, peer, text = written
    connection.execute(delete(draft).where(*_first(account_id, user_id)))
    put(connection, account_id, user_id, f"{FIRST}{did}", peer, text, now_ms)
    return True


def forget_first(connection: Connection, account_id: int, user_id: int, written: First) -> None:
    """Forget the user's first message to somebody, if it is this one."""
    did, peer, text = written
    forget(connection, account_id, user_id, f"{FIRST}{did}", peer, [text])


def first(connection: Connection, account_id: int, user_id: int) -> First:
    """The one that is kept; all of it is "" when there is none."""
    query = select(draft.c.did, draft.c.peer, draft.c.text).where(*_first(account_id, user_id))
    row = connection.execute(query).first()
    return ("", "", "") if row is None else (row.did.removeprefix(FIRST), row.peer, row.text)


def _first(account_id: int, user_id: int) -> tuple[ColumnElement[bool], ...]:
    return draft.c.account_id == account_id, draft.c.user_id == user_id, draft.c.did.startswith(FIRST)


def get(connection: Connection, account_id: int, user_id: int, did: str, peer: str) -> str:
    """The draft of this user of the account; "" when there is none."""
    return of(connection, account_id, user_id, [(did, peer)]).get((did, peer), "")


def of(connection: Connection, account_id: int, user_id: int, keys: Iterable[Key]) -> dict[Key, str]:
    """The drafts of this user of the account in these conversations."""
    query = select(draft.c.did, draft.c.peer, draft.c.text).where(
        draft.c.account_id == account_id,
        draft.c.user_id == user_id,
        tuple_(draft.c.did, draft.c.peer).in_(list(keys)),
    )
    return {(row.did, row.peer): row.text for row in connection.execute(query)}
