"""Erase a person: everything that an account has about a number, but that there was something."""

from collections.abc import Callable, Iterable

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from storage import audit, contacts, opt_outs, removal
from storage.tables import audit as changes
from storage.tables import (
    conversation,
    delivery,
    did,
    draft,
    endpoint,
    forward_sent,
    forward_talk,
    idempotency,
    inbound_part,
    mail_conversation,
    mail_notice,
    message,
    receipt,
    receipt_candidate,
)

PSEUDONYM = "erased"
"""What stands in the place of the number."""

STEP = 500

_A_NUMBER = 7
"""With so many digits it is looked for within texts (URLs, kept answers); a short code is in anything."""


def erase_step(connection: Connection, account_id: int, peer: str) -> int:
    """One step: at most 500 messages lose their content and the number; how many, 0 when all have.

    A message that is on its way loses its content too, so it must not be sent any more: see `under_way`.
    """
    return removal.erase(connection, account_id, peer, PSEUDONYM, STEP)


def under_way(connection: Connection, account_id: int, peer: str) -> int:
    """Messages of the peer, and what was forwarded from them, about which something is under way: a part to
    be sent, a delivery that is owed, a segment of a long message whose other segments may come."""
    origin = message.alias("origin")
    forwarded = (
        select(forward_sent.c.message_id)
        .join(delivery, delivery.c.id == forward_sent.c.delivery_id)
        .join(origin, origin.c.id == delivery.c.message_id)
        .where(origin.c.account_id == account_id, origin.c.peer == peer)
    )
    mine = and_(message.c.account_id == account_id, message.c.peer == peer)
    theirs = or_(mine, message.c.id.in_(forwarded))
    all_, over = (
        connection.scalar(select(func.count()).select_from(message).where(theirs, *settled)) or 0
        for settled in ([], removal.settled())
    )
    segments = select(func.count()).select_from(inbound_part).where(*_segments(connection, account_id, peer))
    return all_ - over + (connection.scalar(segments) or 0)


def erase_rest(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    peer: str,
    actor: str,
    messages: int,
    now_ms: int,
    *,
    keep_opt_out: bool = True,
) -> None:
    """After the last step: whatever else has the number or a text of the person. The contact, conversations,
    drafts, segments and receipts that belong to no message, kept answers; the number in the audit.

    Notes in the audit how many messages there were, without the number. An opt-out is kept, so that nobody
    writes to the person again, unless ``keep_opt_out`` is false.
    """
    known = contacts.of_number(connection, account_id, peer)
    if known is not None:
        contacts.remove(connection, account_id, [known.id])
    mine = (conversation.c.account_id == account_id, conversation.c.peer == peer)
    connection.execute(delete(conversation).where(*mine))
    dids = select(did.c.id).where(did.c.account_id == account_id)
    talk = (forward_talk.c.did_id.in_(dids), forward_talk.c.peer == peer)
    connection.execute(delete(forward_talk).where(*talk))
    for table in (mail_conversation, mail_notice, draft):
        connection.execute(delete(table).where(table.c.account_id == account_id, table.c.peer == peer))
    _stray(connection, account_id, peer)
    _mentioned(connection, account_id, peer.lstrip("+"))
    if not keep_opt_out:
        for wish in opt_outs.of_peer(connection, account_id, peer):
            opt_outs.remove(connection, account_id, peer, did=wish.did)
    detail = {"messages": messages}
    audit.note(connection, next_id, account_id, actor, "person.erase", PSEUDONYM, now_ms, detail=detail)


def _stray(connection: Connection, account_id: int, peer: str) -> None:
    """What came from him, or about what he got, and found no message."""
    connection.execute(delete(inbound_part).where(*_segments(connection, account_id, peer)))
    either, to_us = _spellings([peer]), _spellings(_dids(connection, account_id))
    unmatched = (receipt.c.part_id.is_(None), receipt.c.peer.in_(either), receipt.c.did.in_(to_us))
    ids = list(connection.scalars(select(receipt.c.id).where(*unmatched)))
    connection.execute(delete(receipt_candidate).where(receipt_candidate.c.receipt_id.in_(ids)))
    connection.execute(delete(receipt).where(receipt.c.id.in_(ids)))


def _segments(connection: Connection, account_id: int, peer: str) -> tuple[ColumnElement[bool], ...]:
    """Conditions of the segments of his long messages to us that wait for others."""
    return (
        inbound_part.c.message_id.is_(None),
        inbound_part.c.source.in_(_spellings([peer])),
        inbound_part.c.destination.in_(_spellings(_dids(connection, account_id))),
    )


def _dids(connection: Connection, account_id: int) -> list[str]:
    return list(connection.scalars(select(did.c.number).where(did.c.account_id == account_id)))


def _spellings(numbers: Iterable[str]) -> list[str]:
    return [spelled for number in numbers for spelled in (number, number.lstrip("+"))]


def _mentioned(connection: Connection, account_id: int, digits: str) -> None:
    """Where his number stands within something else."""
    if len(digits) < _A_NUMBER:
        return
    for table, columns in (
        (idempotency, (idempotency.c.response, idempotency.c.path)),
        (endpoint, (endpoint.c.url,)),
    ):
        named = or_(*(column.contains(digits, autoescape=True) for column in columns))
        connection.execute(delete(table).where(table.c.account_id == account_id, named))
    for column in (changes.c.subject, changes.c.detail):
        mine = (changes.c.account_id == account_id, column.contains(digits, autoescape=True))
        named_no_more = func.replace(func.replace(column, f"+{digits}", PSEUDONYM), digits, PSEUDONYM)
        connection.execute(update(changes).where(*mine).values({column.name: named_no_more}))
