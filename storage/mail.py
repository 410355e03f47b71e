"""What mail needs beside messages and deliveries: conversations that tokens name, mail seen, notices owed.

Which delivery a bounce is about says its address (a token made of the delivery's id), so nothing is kept
for that; the loop limits count what was seen.
"""

from collections.abc import Callable, Collection, Sequence

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    Text,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from storage import deliveries
from storage.ids import lowest_at
from storage.records import DeliveryState, Did, MailConversation, MailNotice, SeenMail
from storage.statements import Write, given, hot_insert, hot_insert_from, hot_update
from storage.tables import Id, mail_conversation, mail_notice, mail_seen, message
from storage.text import storable

SENT = "sent"
"""The outcome of a mail that became a message."""

SIGNATURE = "signature"
"""The outcome of what a mail is known by beside its own key."""

AUTHOR = "writes_for"
"""The outcome of what says that somebody writes new mail for an account; it is kept."""

BOUNCED = "bounced"

_INSERT_SEEN = hot_insert(mail_seen)
_KNOW_AUTHOR = hot_insert_from(
    insert(mail_seen).from_select(
        ["key", "conversation_id", "received_at", "outcome"],
        select(
            given("author_key", LargeBinary()),
            given("conversation", Id),
            given("at", BigInteger()),
            literal(AUTHOR, Text()),
        ).where(~exists().where(mail_seen.c.key == given("author_key", LargeBinary()))),
    ),
    "author_key",
    "conversation",
    "at",
)
_INSERT_NOTICE = hot_insert(mail_notice)
_UPDATE_NOTICE = hot_update(
    update(mail_notice)
    .where(mail_notice.c.id == given("notice_id", Id))
    .values(
        state=given("state_", Text()),
        attempts=given("attempts_", Integer()),
        due_at=given("due", BigInteger()),
        last_outcome=given("outcome", Text()),
    ),
    "notice_id",
    "state_",
    "attempts_",
    "due",
    "outcome",
)

_PUT_OFF = hot_update(
    update(mail_notice)
    .where(mail_notice.c.id == given("notice_id", Id))
    .values(due_at=given("due", BigInteger())),
    "notice_id",
    "due",
)


def conversation(
    connection: Connection, next_id: Callable[[], int], did: Did, peer: str, now_ms: int
) -> MailConversation:
    """The open conversation of a DID with a peer, made if there is none; of two that make it one wins."""
    found = open_conversation(connection, did, peer)
    if found is not None:
        return found
    revoke_conversation(connection, did.account_id, did.number, peer, now_ms)  # from before it was given up
    made = MailConversation(next_id(), did.account_id, did.id, did.number, peer, now_ms)
    savepoint = connection.begin_nested()
    try:
        connection.execute(
            insert(mail_conversation).values(
                id=made.id,
                account_id=made.account_id,
                did_id=made.did_id,
                did=made.did,
                peer=peer,
                created_at=now_ms,
                revoked_at=None,
            )
        )
    except IntegrityError:
        savepoint.rollback()
        found = open_conversation(connection, did, peer)
        if found is None:
            raise
        return found
    savepoint.commit()
    return made


def open_conversation(connection: Connection, did: Did, peer: str) -> MailConversation | None:
    """The open conversation of a DID with a peer. A number that was given up and came back is another DID."""
    query = select(mail_conversation).where(
        mail_conversation.c.account_id == did.account_id,
        mail_conversation.c.did_id == did.id,
        mail_conversation.c.did == did.number,
        mail_conversation.c.peer == peer,
        mail_conversation.c.revoked_at.is_(None),
    )
    row = connection.execute(query).first()
    return None if row is None else MailConversation(*row)


def find_conversation(connection: Connection, conversation_id: int) -> MailConversation | None:
    """The conversation with this id, revoked or not."""
    return find_conversations(connection, [conversation_id]).get(conversation_id)


def find_conversations(connection: Connection, ids: Collection[int]) -> dict[int, MailConversation]:
    """Those of these that there are, revoked or not, by their ids."""
    query = select(mail_conversation).where(mail_conversation.c.id.in_(ids))
    return {row.id: MailConversation(*row) for row in connection.execute(query)}


def revoke_conversation(connection: Connection, account_id: int, did: str, peer: str, now_ms: int) -> bool:
    """Make every token void that was given out for this DID and peer; was there one?"""
    revoked = connection.execute(
        update(mail_conversation)
        .where(
            mail_conversation.c.account_id == account_id,
            mail_conversation.c.did == did,
            mail_conversation.c.peer == peer,
            mail_conversation.c.revoked_at.is_(None),
        )
        .values(revoked_at=now_ms)
    )
    return revoked.rowcount > 0


def was_seen(connection: Connection, keys: Sequence[bytes]) -> bool:
    """Did a mail come before that is known by one of these?"""
    return connection.execute(select(mail_seen.c.key).where(mail_seen.c.key.in_(keys))).first() is not None


def insert_seen(record: SeenMail) -> list[Write]:
    """The write that makes a mail one that was seen; with what it became in the same transaction."""
    return [(_INSERT_SEEN, record)]


def know_author(key: bytes, conversation_id: int, at_ms: int) -> list[Write]:
    """The write that keeps that an author writes for an account; ``key`` stands for both."""
    return [(_KNOW_AUTHOR, (key, conversation_id, at_ms))]


def known_authors(connection: Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Those of these by which an author is kept."""
    query = select(mail_seen.c.key).where(mail_seen.c.key.in_(keys), mail_seen.c.outcome == AUTHOR)
    return set(connection.scalars(query))


def count_sent(connection: Connection, conversation_id: int, since_ms: int) -> int:
    """Mails of one conversation that became messages since then."""
    query = select(func.count()).where(*_sent(conversation_id, since_ms))
    return connection.scalar(query) or 0


def count_told(connection: Connection, conversation_id: int, since_ms: int) -> int:
    """Mails of one conversation since then whose author was told that nothing was sent."""
    query = select(func.count()).where(
        mail_seen.c.conversation_id == conversation_id,
        mail_seen.c.received_at >= since_ms,
        mail_seen.c.outcome.not_in((SENT, SIGNATURE, AUTHOR)),
    )
    return connection.scalar(query) or 0


def texts_sent(connection: Connection, conversation_id: int, since_ms: int, limit: int) -> list[str]:
    """What the last of these say, of at most ``limit``; those that were deleted say nothing."""
    query = select(message.c.text).join(mail_seen, mail_seen.c.message_id == message.c.id)
    newest = query.where(*_sent(conversation_id, since_ms)).order_by(mail_seen.c.received_at.desc())
    return list(connection.scalars(newest.limit(limit)))


def _sent(conversation_id: int, since_ms: int) -> tuple[ColumnElement[bool], ...]:
    return (
        mail_seen.c.conversation_id == conversation_id,
        mail_seen.c.received_at >= since_ms,
        mail_seen.c.outcome == SENT,
    )


def purge_seen(connection: Connection, before_ms: int, limit: int) -> int:
    """Forget at most ``limit`` of the oldest mail that came before then; how much that was."""
    old = select(mail_seen.c.key).where(mail_seen.c.received_at < before_ms, mail_seen.c.outcome != AUTHOR)
    keys = list(connection.scalars(old.order_by(mail_seen.c.received_at).limit(limit)))
    return connection.execute(delete(mail_seen).where(mail_seen.c.key.in_(keys))).rowcount


def purge_notices(
    connection: Connection, before_ms: int, after_id: int, limit: int
) -> tuple[int, int | None]:
    """Of the next ``limit`` notices from before then, with ids above that, forget what was sent or failed.

    How many went, and the id after which it goes on; None: these were the last.
    """
    walked = (mail_notice.c.id > after_id, mail_notice.c.id < lowest_at(before_ms + 120_000))
    old = select(mail_notice.c.id).where(*walked).order_by(mail_notice.c.id).limit(limit)
    ids = list(connection.scalars(old))
    gone = delete(mail_notice).where(
        mail_notice.c.id.in_(ids),
        mail_notice.c.created_at < before_ms,
        mail_notice.c.state != DeliveryState.PENDING.value,
    )
    return connection.execute(gone).rowcount, ids[-1] if len(ids) == limit else None


def insert_notice(record: MailNotice) -> list[Write]:
    """The write that owes somebody a notice."""
    clean = record._replace(sentence=storable(record.sentence), excerpt=storable(record.excerpt))
    return [(_INSERT_NOTICE, clean)]


def claim_notices(connection: Connection, now_ms: int, until_ms: int, limit: int) -> list[MailNotice]:
    """Notices to be sent now, the longest due first; nobody else gets them before ``until_ms``."""
    query = (
        select(mail_notice)
        .where(mail_notice.c.state == literal_column("'pending'"), mail_notice.c.due_at <= now_ms)
        .order_by(mail_notice.c.due_at, mail_notice.c.attempts, mail_notice.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = [MailNotice._make(row) for row in connection.execute(query)]
    ids = [record.id for record in found]
    connection.execute(update(mail_notice).where(mail_notice.c.id.in_(ids)).values(due_at=until_ms))
    return [record._replace(state=DeliveryState(record.state)) for record in found]


def put_off(ids: Sequence[int], due_at: int) -> list[Write]:
    """Nobody works these now after all."""
    return [(_PUT_OFF, (notice_id, due_at)) for notice_id in ids]


def record_notice(
    notice_id: int, attempts: int, state: DeliveryState, due_at: int, outcome: str
) -> list[Write]:
    """What became of an attempt to send it, the ``attempts``-th."""
    return [(_UPDATE_NOTICE, (notice_id, state, attempts, due_at, outcome))]


def record_bounce(connection: Connection, delivery_id: int, excerpt: str, now_ms: int) -> bool:
    """A mail that was handed over came back: its delivery has failed. False when that was known."""
    return deliveries.end(connection, delivery_id, BOUNCED, excerpt, now_ms)
