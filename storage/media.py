"""What was sent along with messages: octets that we serve under a token, or URLs of somebody else's."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from storage.statements import Write, hot_insert
from storage.tables import media, message

_INSERT = hot_insert(media)


class MediaRecord(NamedTuple):
    """One thing, with either its ``content`` (served under ``token``) or its ``url``; ``position`` from 1."""

    id: int
    message_id: int
    account_id: int
    position: int
    token: str | None
    content_type: str
    content: bytes | None
    url: str | None


class MediaPlace(NamedTuple):
    """Where one thing is: ``token`` or ``url``."""

    message_id: int
    token: str | None
    url: str | None


def insert(records: Sequence[MediaRecord]) -> list[Write]:
    """The writes that store them, for the transaction of their message."""
    return [(_INSERT, record) for record in records]


def places(
    connection: Connection, account_id: int, message_ids: Sequence[int]
) -> dict[int, list[MediaPlace]]:
    """Where the media of these messages of the account are, by message and in order."""
    found: dict[int, list[MediaPlace]] = {}
    query = (
        select(media.c.message_id, media.c.token, media.c.url)
        .where(media.c.message_id.in_(message_ids), media.c.account_id == account_id)
        .order_by(media.c.message_id, media.c.position)
    )
    for row in connection.execute(query):
        found.setdefault(row.message_id, []).append(MediaPlace._make(row))
    return found


def fetch(connection: Connection, token: str) -> tuple[str, bytes] | None:
    """Type and octets of what has this token, of whichever account: the token is the right to have them. None
    when its message is deleted, too."""
    query = select(media.c.content_type, media.c.content).join(message, message.c.id == media.c.message_id)
    row = connection.execute(query.where(media.c.token == token, message.c.deletion_id.is_(None))).first()
    return None if row is None or row.content is None else (row.content_type, row.content)
