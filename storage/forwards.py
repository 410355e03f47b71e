"""Forwarded messages: which message a delivery made, how far it has come, and who talks through a DID.

`sent` rows are written in the transaction of the message that goes out, so a delivery that is worked twice
finds the first message; the key makes a second one impossible. `talk` rows give every sender a short tag.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from storage.statements import Write, hot_insert
from storage.tables import forward_sent, forward_talk, message

_INSERT = hot_insert(forward_sent)


class SentRecord(NamedTuple):
    """The message that a delivery made. ``hops`` counts the forwards that its text has gone through."""

    delivery_id: int
    message_id: int
    hops: int


class Talk(NamedTuple):
    """A sender who wrote to a DID, last at ``last_at``; ``tag`` stands for him while he is heard of."""

    peer: str
    tag: int
    last_at: int


def insert_sent(record: SentRecord) -> list[Write]:
    """The write that ties a delivery to the message it made."""
    return [(_INSERT, record)]


def sent_by(connection: Connection, delivery_id: int) -> SentRecord | None:
    """What a delivery has made already."""
    query = select(forward_sent).where(forward_sent.c.delivery_id == delivery_id)
    row = connection.execute(query).first()
    return None if row is None else SentRecord._make(row)


def hops_of(connection: Connection, did: str, peer: str, text: str, since_ms: int) -> int:
    """How many forwards a text that ``peer`` got from ``did`` has behind it; 0 when it was no forward."""
    query = (
        select(func.max(forward_sent.c.hops))
        .join(message, message.c.id == forward_sent.c.message_id)
        .where(
            message.c.did == did,
            message.c.peer == peer,
            message.c.created_at >= since_ms,
            message.c.text == text,
        )
    )
    return connection.scalar(query) or 0


def heard_of(connection: Connection, did_id: int, since_ms: int) -> list[Talk]:
    """Who wrote to a DID since then, the last one first."""
    query = (
        select(forward_talk.c.peer, forward_talk.c.tag, forward_talk.c.last_at)
        .where(forward_talk.c.did_id == did_id, forward_talk.c.last_at >= since_ms)
        .order_by(forward_talk.c.last_at.desc(), forward_talk.c.tag.desc())
    )
    return [Talk._make(row) for row in connection.execute(query)]


def hear(
    connection: Connection, did_id: int, peer: str, at_ms: int, since_ms: int, forget_ms: int
) -> list[Talk]:
    """``peer`` wrote at ``at_ms``: everybody who is heard of since ``since_ms``, he among them.

    A tag is kept while its owner is heard of; then it is free for the next one. Who had one is remembered
    until nobody has heard of him since ``forget_ms``.
    """
    connection.execute(
        delete(forward_talk).where(forward_talk.c.did_id == did_id, forward_talk.c.last_at < forget_ms)
    )
    known = {talk.peer: talk for talk in heard_of(connection, did_id, since_ms)}
    mine = forward_talk.c.did_id == did_id, forward_talk.c.peer == peer
    if peer in known:
        latest = max(at_ms, known[peer].last_at)
        connection.execute(update(forward_talk).where(*mine).values(last_at=latest))
    else:
        connection.execute(delete(forward_talk).where(*mine))
        tag = _free(talk.tag for talk in known.values())
        values = {"did_id": did_id, "peer": peer, "tag": tag, "last_at": at_ms}
        connection.execute(insert(forward_talk).values(values))
    return heard_of(connection, did_id, since_ms)


def _free(taken: Iterable[int]) -> int:
    used = set(taken)
    return next(tag for tag in range(1, len(used) + 2) if tag not in used)
