"""Where phones are (RFC 3261 §10), and which of their requests have been taken."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from storage.records import DeliveryState
from storage.statements import Write, hot_insert
from storage.tables import delivery, sip_account, sip_binding, sip_transaction

_INSERT_TRANSACTION = hot_insert(sip_transaction)


class BindingRecord(NamedTuple):
    """One contact of an address-of-record. ``host``, ``port``: where its REGISTER came from, by
    ``transport``; ``local`` names our socket that it came to, None where an older release wrote it.

    ``instance`` and ``reg_id`` are those of RFC 5626: a new binding with the same two replaces this one.
    """

    id: int
    sip_account_id: int
    contact: str
    instance: str | None
    reg_id: str | None
    call_id: str
    cseq: int
    transport: str
    host: str
    port: int
    path: str | None
    user_agent: str | None
    registered_at: int
    expires_at: int
    local: str | None = None


def change(
    connection: Connection,
    gone: Sequence[int],
    kept: Sequence[BindingRecord],
    key: Callable[[str], str] = str,
) -> None:
    """Take the bindings with the ids ``gone`` away, then write ``kept``, each new or in place of the same id.

    Whatever else the SIP account has under a contact with the same ``key`` gives way, be it expired or
    written by another server: the caller may not know of it.
    """
    ids = {*gone, *(record.id for record in kept), *_alike(connection, kept, key)}
    if ids:
        connection.execute(delete(sip_binding).where(sip_binding.c.id.in_(ids)))
    if kept:
        connection.execute(insert(sip_binding), [record._asdict() for record in kept])


def _alike(connection: Connection, kept: Sequence[BindingRecord], key: Callable[[str], str]) -> list[int]:
    contacts = {(record.sip_account_id, key(record.contact)) for record in kept}
    if not contacts:
        return []
    query = select(sip_binding.c.id, sip_binding.c.sip_account_id, sip_binding.c.contact)
    held = connection.execute(query.where(sip_binding.c.sip_account_id.in_({who for who, _ in contacts})))
    return [row.id for row in held if (row.sip_account_id, key(row.contact)) in contacts]


def bindings(connection: Connection, now_ms: int) -> list[BindingRecord]:
    """Every binding that has not expired."""
    query = select(sip_binding).where(sip_binding.c.expires_at > now_ms).order_by(sip_binding.c.id)
    return [BindingRecord(*row) for row in connection.execute(query)]


def of_account(connection: Connection, sip_account_id: int, now_ms: int) -> list[BindingRecord]:
    """Where the phones of one SIP account are."""
    query = select(sip_binding).where(
        sip_binding.c.sip_account_id == sip_account_id, sip_binding.c.expires_at > now_ms
    )
    return [BindingRecord(*row) for row in connection.execute(query.order_by(sip_binding.c.id))]


def of_owner(connection: Connection, account_id: int, now_ms: int) -> dict[int, list[BindingRecord]]:
    """Where the phones of a customer are, by SIP account."""
    query = select(sip_binding).join(sip_account, sip_account.c.id == sip_binding.c.sip_account_id)
    query = query.where(sip_account.c.account_id == account_id, sip_binding.c.expires_at > now_ms)
    found: dict[int, list[BindingRecord]] = {}
    for row in connection.execute(query.order_by(sip_binding.c.id)):
        found.setdefault(row.sip_account_id, []).append(BindingRecord(*row))
    return found


def purge_bindings(connection: Connection, now_ms: int) -> int:
    """Forget what has expired; how many there were."""
    return connection.execute(delete(sip_binding).where(sip_binding.c.expires_at <= now_ms)).rowcount


def taken(key: str, message_id: int, now_ms: int) -> Write:
    """The write that remembers a request, for the transaction that stores its message."""
    return _INSERT_TRANSACTION, (key, message_id, now_ms)


def recently_taken(connection: Connection, since_ms: int) -> dict[str, int]:
    """Message ids of the requests taken since then, by key."""
    query = select(sip_transaction.c.key, sip_transaction.c.message_id)
    rows = connection.execute(query.where(sip_transaction.c.created_at >= since_ms))
    return {row.key: row.message_id for row in rows}


def purge_taken(connection: Connection, before_ms: int) -> int:
    """Forget requests older than that; how many there were."""
    return connection.execute(
        delete(sip_transaction).where(sip_transaction.c.created_at < before_ms)
    ).rowcount


def waiting_deliveries(connection: Connection, handler: str) -> list[tuple[str, int]]:
    """(target, delivery id) of what a handler still owes, in order of ids."""
    query = (
        select(delivery.c.target, delivery.c.id)
        .where(delivery.c.state == str(DeliveryState.PENDING), delivery.c.handler == handler)
        .order_by(delivery.c.id)
    )
    return [(row.target, row.id) for row in connection.execute(query)]


def make_due(connection: Connection, delivery_ids: Sequence[int], now_ms: int) -> int:
    """Let pending deliveries be tried now; how many there were. What a server has in hand it keeps."""
    waiting = [delivery.c.id.in_(delivery_ids), delivery.c.state == str(DeliveryState.PENDING)]
    found = connection.execute(update(delivery).where(*waiting).values(due_at=now_ms)).rowcount
    connection.execute(
        update(delivery).where(*waiting, delivery.c.owner.is_(None)).values(lease_until=now_ms)
    )
    return found
