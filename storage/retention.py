"""How long things are kept, for all accounts and for one; and the removal of what is older, step by step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from storage import audit, deletion, drafts, events, idempotency, mail, removal, sessions, usage
from storage.ids import lowest_at
from storage.records import PartState
from storage.tables import attempt, delivery, inbound_part, message, part, receipt, receipt_candidate
from storage.tables import retention as rules
from storage.tables_people import EVERY_ACCOUNT

DAY_MS = 86_400_000
STEP = 1_000
"""Rows (of messages, for what belongs to them) that one transaction is about."""

ABANDONED_MS = 30 * DAY_MS
"""A segment of a long message whose other parts never came, and whose message was never made, goes then."""

SEEN_MS = 7 * DAY_MS
"""How long a mail is known again, longer than any server tries to bring it."""

NOTICE_MS = 30 * DAY_MS
"""How long a notice that was sent, or could not be, is kept for whoever asks."""

FORGOTTEN_MS = 180 * DAY_MS
"""A text that somebody began to write, and that nobody has gone on with for so long, goes then."""


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

FOREVER = 1 << 60
"""A rule of one account or kind that goes before the common one or the default: it is kept for ever."""

_OF_THE_STORE = (Kept.RECEIPT, Kept.EVENT, Kept.AUDIT)


def set_rule(connection: Connection, account_id: int, kind: Kept, keep_ms: int | None) -> None:
    """Keep it so long, in this account or (0) in every one that has no rule of its own; None: no rule.
    `FOREVER` is a rule too.

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


class Done(NamedTuple):
    """What one transaction did: the rows that went, and where the next goes on (None: it was the last)."""

    rows: int
    after_id: int | None


Step = Callable[[Connection, int], Done]
"""One bounded transaction, from an id on (0 at first). It looks at no more rows than it may remove, so that
one that finds nothing is as short as any other."""


def steps(connection: Connection, now_ms: int) -> Iterator[tuple[str, Step]]:
    """What there is to remove now, each with a name; every step is to be repeated, from where it came to,
    until it has come to the end.

    The rules are read once, from ``connection``; the steps run in transactions of their own.
    """
    rules_of_all = {**DEFAULTS, **rules_of(connection, EVERY_ACCOUNT)}
    common = {kind: keep_ms for kind, keep_ms in rules_of_all.items() if keep_ms < FOREVER}
    own: dict[int, dict[Kept, int]] = {}
    for row in connection.execute(select(rules).where(rules.c.account_id != EVERY_ACCOUNT)):
        own.setdefault(row.account_id, {})[Kept(row.kind)] = row.keep_ms
    yield "sessions", lambda conn, _: Done(sessions.purge_expired(conn, now_ms), None)
    yield "idempotency keys", _again(lambda conn: idempotency.purge_expired(conn, now_ms, STEP))
    yield "deleted messages", _again(lambda conn: deletion.purge(conn, now_ms))
    yield "mail seen", _again(lambda conn: mail.purge_seen(conn, now_ms - SEEN_MS, STEP))
    yield (
        "mail notices",
        lambda conn, after_id: Done(*mail.purge_notices(conn, now_ms - NOTICE_MS, after_id, STEP)),
    )
    yield "drafts", _again(lambda conn: drafts.purge(conn, now_ms - FORGOTTEN_MS, STEP))
    yield "abandoned segments", _again(lambda conn: _abandoned(conn, now_ms - ABANDONED_MS))
    for kind, step in _STEPS.items():
        for scope, keep_ms in _scopes(kind, common, own):
            yield (
                f"{kind.value} messages" if kind in ("mo", "mt") else kind.value,
                _walk(step, scope, now_ms - keep_ms),
            )
    if Kept.RECEIPT in common:
        before = now_ms - common[Kept.RECEIPT]
        yield "receipts", lambda conn, after_id: _receipts(conn, before, after_id)
    if Kept.AUDIT in common:
        yield "audit entries", _again(lambda conn: audit.purge(conn, now_ms - common[Kept.AUDIT], STEP))
    if Kept.EVENT in common:
        yield "events", _again(lambda conn: events.purge(conn, now_ms - common[Kept.EVENT], STEP))


def _again(some: Callable[[Connection], int]) -> Step:
    """For what is found by an index on its age, or is never much: as long as there is any."""

    def step(connection: Connection, _: int) -> Done:
        rows = some(connection)
        return Done(rows, 0 if rows else None)

    return step


_Condition = ColumnElement[bool]


class _Scope(NamedTuple):
    """Whose messages a rule is for. ``walked``: what narrows the walk, because an index serves it."""

    walked: tuple[_Condition, ...]
    meant: tuple[_Condition, ...]


def _scopes(
    kind: Kept, common: Mapping[Kept, int], own: Mapping[int, Mapping[Kept, int]]
) -> Iterator[tuple[_Scope, int]]:
    """Those accounts that have a rule of their own, then all others."""
    owner = message.c.account_id
    special = {account_id: mine[kind] for account_id, mine in own.items() if kind in mine}
    for account_id, keep_ms in special.items():
        if keep_ms < FOREVER:
            yield _Scope((owner == account_id,), ()), keep_ms
    if kind in common:
        others = (or_(owner.is_(None), owner.not_in(list(special))),) if special else ()
        yield _Scope((), others), common[kind]


_OfMessages = Callable[[Connection, Sequence[int], tuple[_Condition, ...]], int]
"""Remove something of those of these messages for which the conditions hold; how many rows."""


def _walk(remove: _OfMessages, scope: _Scope, before_ms: int) -> Step:
    """By the ids of the old messages, `STEP` at a time, whatever there is to do about them."""

    def step(connection: Connection, after_id: int) -> Done:
        old = (message.c.id > after_id, message.c.id < lowest_at(before_ms + 60_000), *scope.walked)
        ids = list(connection.scalars(select(message.c.id).where(*old).order_by(message.c.id).limit(STEP)))
        if not ids:
            return Done(0, None)
        meant = (message.c.created_at < before_ms, *scope.meant)
        return Done(remove(connection, ids, meant), ids[-1] if len(ids) == STEP else None)

    return step


def _chosen(ids: Sequence[int], conditions: Sequence[_Condition]) -> Any:
    return select(message.c.id).where(message.c.id.in_(ids), *conditions)


def _messages(direction: str) -> _OfMessages:
    def step(connection: Connection, ids: Sequence[int], meant: tuple[_Condition, ...]) -> int:
        chosen = _chosen(ids, (message.c.direction == direction, *meant, *removal.settled()))
        return removal.remove(connection, list(connection.scalars(chosen)), usage.DAY_MS)

    return step


def _attempts(connection: Connection, ids: Sequence[int], meant: tuple[_Condition, ...]) -> int:
    """The log of tries of deliveries that are over."""
    over = (delivery.c.message_id.in_(_chosen(ids, meant)), delivery.c.state != "pending")
    duties = list(connection.scalars(select(delivery.c.id).where(*over)))
    return connection.execute(delete(attempt).where(attempt.c.delivery_id.in_(duties))).rowcount


def _raw(connection: Connection, ids: Sequence[int], meant: tuple[_Condition, ...]) -> int:
    """Octets of messages about which nothing is under way; the text stays."""
    old = list(connection.scalars(_chosen(ids, (*meant, *removal.settled()))))
    of_old = {table: table.c.message_id.in_(old) for table in (part, inbound_part)}
    received = (message.c.id.in_(old), message.c.raw.is_not(None))
    sent = (of_old[part], part.c.user_data != b"")
    return sum(
        connection.execute(change).rowcount
        for change in (
            update(message).where(*received).values(raw=None, fingerprint=None),
            update(part).where(*sent).values(user_data=b"", tlvs=None),
            delete(inbound_part).where(of_old[inbound_part]),
        )
    )


def _receipts(connection: Connection, before_ms: int, after_id: int) -> Done:
    walked = (receipt.c.id > after_id, receipt.c.id < lowest_at(before_ms + 60_000))
    ids = list(connection.scalars(select(receipt.c.id).where(*walked).order_by(receipt.c.id).limit(STEP)))
    still_open = select(part.c.id).where(
        part.c.id == receipt.c.part_id, part.c.state.not_in(sorted(PartState.FINAL))
    )
    old = (receipt.c.id.in_(ids), receipt.c.received_at < before_ms, ~still_open.exists())
    gone = list(connection.scalars(select(receipt.c.id).where(*old)))
    connection.execute(delete(receipt_candidate).where(receipt_candidate.c.receipt_id.in_(gone)))
    connection.execute(delete(receipt).where(receipt.c.id.in_(gone)))
    return Done(len(gone), ids[-1] if len(ids) == STEP else None)


def _abandoned(connection: Connection, before_ms: int) -> int:
    old = (inbound_part.c.message_id.is_(None), inbound_part.c.received_at < before_ms)
    ids = list(
        connection.scalars(select(inbound_part.c.id).where(*old).order_by(inbound_part.c.id).limit(STEP))
    )
    return connection.execute(delete(inbound_part).where(inbound_part.c.id.in_(ids))).rowcount


_STEPS: Mapping[Kept, _OfMessages] = {
    Kept.MO: _messages("mo"),
    Kept.MT: _messages("mt"),
    Kept.ATTEMPT: _attempts,
    Kept.RAW: _raw,
}
