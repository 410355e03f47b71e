"""How long things are kept, for all accounts and for one; and the removal of what is older, step by step."""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, literal, or_, select, update

from storage import audit, deletion, events, idempotency, removal, sessions
from storage.ids import lowest_at
from storage.records import PartState
from storage.tables import attempt, delivery, inbound_part, message, part, receipt, receipt_candidate
from storage.tables import retention as rules
from storage.tables_people import EVERY_ACCOUNT

DAY_MS = 86_400_000
STEP = 1_000
"""Rows removed in one transaction."""

ABANDONED_MS = 30 * DAY_MS
"""A segment of a long message whose other parts never came, and whose message was never made, goes then."""


class Kept(StrEnum):
    """What a rule is for. ``raw`` is octets as received and the wire form of what was sent; ``receipt``,
    ``event`` and ``audit`` are rules of the whole store.
    """

    MO = "mo"
    MT = "mt"
    RECEIPT = "receipt"
    ATTEMPT = "attempt"
    EVENT = "event"
    RAW = "raw"
    AUDIT = "audit"


DEFAULTS: Mapping[Kept, int] = {Kept.EVENT: 7 * DAY_MS}
"""Where no rule says otherwise: everything but events is kept for ever."""

_OF_THE_STORE = (Kept.RECEIPT, Kept.EVENT, Kept.AUDIT)


def set_rule(connection: Connection, account_id: int, kind: Kept, keep_ms: int | None) -> None:
    """Keep it so long, in this account or (0) in every one that has no rule of its own; None: no rule.

    Raises ValueError for a rule of one account about what belongs to none, and for less than a day.
    """
    if account_id != EVERY_ACCOUNT and kind in _OF_THE_STORE:
        raise ValueError(f"{kind.value} is kept by one rule for the whole store")
    if keep_ms is not None and keep_ms < DAY_MS:
        raise ValueError("nothing can be kept for less than a day")
    same = (rules.c.account_id == account_id, rules.c.kind == kind.value)
    connection.execute(delete(rules).where(*same))
    if keep_ms is not None:
        connection.execute(insert(rules).values(account_id=account_id, kind=kind.value, keep_ms=keep_ms))


def rules_of(connection: Connection, account_id: int) -> dict[Kept, int]:
    """The rules of an account alone (0: of every account), in milliseconds."""
    query = select(rules.c.kind, rules.c.keep_ms).where(rules.c.account_id == account_id)
    return {Kept(row.kind): row.keep_ms for row in connection.execute(query)}


Step = Callable[[Connection], int]
"""One bounded transaction: how many rows went; 0 says that there is nothing more to do."""


def steps(connection: Connection, now_ms: int) -> Iterator[tuple[str, Step]]:
    """What there is to remove now, each with a name; every step is to be repeated until it gives 0.

    The rules are read once, from ``connection``; the steps run in transactions of their own.
    """
    common = {**DEFAULTS, **rules_of(connection, EVERY_ACCOUNT)}
    own: dict[int, dict[Kept, int]] = {}
    for row in connection.execute(select(rules).where(rules.c.account_id != EVERY_ACCOUNT)):
        own.setdefault(row.account_id, {})[Kept(row.kind)] = row.keep_ms
    yield "sessions", lambda conn: sessions.purge_expired(conn, now_ms)
    yield "idempotency keys", lambda conn: idempotency.purge_expired(conn, now_ms, STEP)
    yield "deleted messages", lambda conn: deletion.purge(conn, now_ms, STEP)
    yield "abandoned segments", lambda conn: _abandoned(conn, now_ms - ABANDONED_MS)
    for kind, step in _STEPS.items():
        for condition, keep_ms in _scopes(kind, common, own):
            yield (
                f"{kind.value} messages" if kind in ("mo", "mt") else kind.value,
                _bound(step, condition, now_ms - keep_ms),
            )
    if Kept.RECEIPT in common:
        before = now_ms - common[Kept.RECEIPT]
        yield "receipts", lambda conn: _receipts(conn, before)
    if Kept.AUDIT in common:
        yield "audit entries", lambda conn: audit.purge(conn, now_ms - common[Kept.AUDIT], STEP)
    yield "events", lambda conn: events.purge(conn, now_ms - common[Kept.EVENT], STEP)


_Condition = ColumnElement[bool]


def _bound(step: Callable[[Connection, _Condition, int], int], condition: _Condition, before_ms: int) -> Step:
    return lambda connection: step(connection, condition, before_ms)


def _scopes(
    kind: Kept, common: Mapping[Kept, int], own: Mapping[int, Mapping[Kept, int]]
) -> Iterator[tuple[_Condition, int]]:
    """Whose messages each rule is for: those accounts that have one, then all others."""
    owner = message.c.account_id
    special = {account_id: mine[kind] for account_id, mine in own.items() if kind in mine}
    for account_id, keep_ms in special.items():
        yield owner == account_id, keep_ms
    if kind in common:
        others = or_(owner.is_(None), owner.not_in(list(special))) if special else literal(True)
        yield others, common[kind]


def _older(before_ms: int) -> list[_Condition]:
    return [message.c.id < lowest_at(before_ms + 60_000), message.c.created_at < before_ms]


def _messages(direction: str) -> Callable[[Connection, _Condition, int], int]:
    def step(connection: Connection, condition: _Condition, before_ms: int) -> int:
        query = (
            select(message.c.id)
            .where(message.c.direction == direction, condition, *_older(before_ms), *removal.settled())
            .order_by(message.c.id)
            .limit(STEP)
        )
        return removal.remove(connection, list(connection.scalars(query)))

    return step


def _attempts(connection: Connection, condition: _Condition, before_ms: int) -> int:
    """The log of tries of deliveries that are over."""
    query = (
        select(attempt.c.delivery_id)
        .join(delivery, delivery.c.id == attempt.c.delivery_id)
        .join(message, message.c.id == delivery.c.message_id)
        .where(condition, *_older(before_ms), delivery.c.state != "pending")
        .distinct()
        .limit(STEP)
    )
    duties = list(connection.scalars(query))
    return connection.execute(delete(attempt).where(attempt.c.delivery_id.in_(duties))).rowcount


def _raw(connection: Connection, condition: _Condition, before_ms: int) -> int:
    """Octets of messages about which nothing is under way; the text stays."""
    old = (condition, *_older(before_ms), *removal.settled())
    received = select(message.c.id).where(message.c.raw.is_not(None), *old).limit(STEP)
    ids = list(connection.scalars(received))
    connection.execute(update(message).where(message.c.id.in_(ids)).values(raw=None, fingerprint=None))
    sent = _of_old(part.c.id, part.c.message_id, old).where(part.c.user_data != b"").limit(STEP)
    parts = list(connection.scalars(sent))
    connection.execute(update(part).where(part.c.id.in_(parts)).values(user_data=b"", tlvs=None))
    segments = list(
        connection.scalars(_of_old(inbound_part.c.id, inbound_part.c.message_id, old).limit(STEP))
    )
    connection.execute(delete(inbound_part).where(inbound_part.c.id.in_(segments)))
    return len(ids) + len(parts) + len(segments)


def _of_old(column: Any, of_message: Any, old: tuple[_Condition, ...]) -> Any:
    return select(column).join(message, message.c.id == of_message).where(*old)


def _receipts(connection: Connection, before_ms: int) -> int:
    old = select(receipt.c.id).where(
        receipt.c.id < lowest_at(before_ms + 60_000), receipt.c.received_at < before_ms
    )
    over = select(part.c.id).where(
        part.c.id == receipt.c.part_id, part.c.state.not_in(sorted(PartState.FINAL))
    )
    ids = list(connection.scalars(old.where(~over.exists()).order_by(receipt.c.id).limit(STEP)))
    connection.execute(delete(receipt_candidate).where(receipt_candidate.c.receipt_id.in_(ids)))
    return connection.execute(delete(receipt).where(receipt.c.id.in_(ids))).rowcount


def _abandoned(connection: Connection, before_ms: int) -> int:
    old = (inbound_part.c.message_id.is_(None), inbound_part.c.received_at < before_ms)
    ids = list(
        connection.scalars(select(inbound_part.c.id).where(*old).order_by(inbound_part.c.id).limit(STEP))
    )
    return connection.execute(delete(inbound_part).where(inbound_part.c.id.in_(ids))).rowcount


_STEPS: Mapping[Kept, Callable[[Connection, _Condition, int], int]] = {
    Kept.MO: _messages("mo"),
    Kept.MT: _messages("mt"),
    Kept.ATTEMPT: _attempts,
    Kept.RAW: _raw,
}
