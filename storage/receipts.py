"""Receipts: kept as they came, then matched to a part, at once or when the part's id is known.

Everything here works on many receipts at a time; one alone costs as many statements as fifty.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Text, delete, select, update

from storage.records import PartState, ReceiptRecord
from storage.statements import execute, given, hot_insert, hot_update
from storage.tables import Id, part, receipt, receipt_candidate
from storage.text import clean_receipt, storable

_INSERT_RECEIPT = hot_insert(receipt)
_INSERT_CANDIDATE = hot_insert(receipt_candidate)
_MATCHED = hot_update(
    update(receipt)
    .where(receipt.c.id == given("receipt_id", Id))
    .values(part_id=given("of_part", Id), matched_at=given("now", BigInteger())),
    "receipt_id",
    "of_part",
    "now",
)
_TOLD = hot_update(
    update(part)
    .where(part.c.id == given("told_id", Id))
    .values(
        state=given("state_", Text()),
        receipt_state=given("said", Text()),
        receipt_error=given("error_", Text()),
        final_at=given("final", BigInteger()),
    ),
    "told_id",
    "state_",
    "said",
    "error_",
    "final",
)


class Report(NamedTuple):
    """A receipt and the ids under which the upstream may have taken its part, best first.

    ``record.part_state`` is the final state that the receipt tells, or None when it is not final. ``group``
    are the upstreams whose parts it may be about, if not only the one that it came from. ``whole``: when it
    is final it is about all parts of the message.
    """

    record: ReceiptRecord
    candidates: Sequence[str]
    group: tuple[str, ...] = ()
    whole: bool = False

    @property
    def upstreams(self) -> tuple[str, ...]:
        """Where its part may be."""
        return self.group or (self.record.upstream,)


class _Part:
    """A part as the receipts so far have left it."""

    __slots__ = ("error", "final_at", "id", "message_id", "said", "state", "touched")

    def __init__(self, row: Any) -> None:
        self.id: int = row.id
        self.message_id: int = row.message_id
        self.state: str = row.state
        self.said: str | None = row.receipt_state
        self.error: str | None = row.receipt_error
        self.final_at: int | None = row.final_at
        self.touched = False

    @property
    def open(self) -> bool:
        return self.state not in PartState.FINAL

    def tell(self, record: ReceiptRecord, now_ms: int) -> None:
        """Non-final news never touches a final part; of final ones only "delivered" outranks another."""
        state = record.part_state
        outranks = state == PartState.DELIVERED and self.state != PartState.DELIVERED
        if not self.open and not outranks:
            return
        self.touched = True
        self.said, self.error = record.state, record.error
        if state is not None:
            self.state, self.final_at = str(state), now_ms


def store_and_match(
    connection: Connection,
    record: ReceiptRecord,
    candidates: Sequence[str],
    part_state: str | None,
    now_ms: int,
) -> int | None:
    """Store a receipt and give its state to its part; the part's id, or None while it has none.

    See `store_and_match_all`; ``part_state`` replaces the record's.
    """
    report = Report(record._replace(part_state=None if part_state is None else str(part_state)), candidates)
    return store_and_match_all(connection, [report], now_ms)[0]


def _storable(report: Report) -> Report:
    """Carriers write anything in a receipt; what cannot be stored must not be sent to us for ever."""
    candidates = [storable(candidate) for candidate in report.candidates]
    return report._replace(record=clean_receipt(report.record), candidates=candidates)


def store_and_match_all(connection: Connection, reports: Sequence[Report], now_ms: int) -> list[int | None]:
    """Store receipts, oldest first, and give their states to their parts; for each the part's id or None.

    One that is already stored (same upstreams, id, state and error) is not stored again. One without a part
    is kept, and `rematch` finds it.
    """
    reports = [_storable(report) for report in reports]
    known = _known(connection, reports)
    parts = _find(connection, [(report.upstreams, report.candidates) for report in reports])
    found: list[int | None] = []
    new: dict[int, Report] = {}
    matched: dict[int, int] = {}
    tellings: list[_Telling] = []
    for report, match in zip(reports, parts, strict=True):
        record, key = report.record, _key(report.upstreams, report.record)
        earlier = known.setdefault(key, record)
        if earlier.part_id is not None:
            found.append(earlier.part_id)
            continue
        if earlier is record:
            new[record.id] = report
        if match is not None:
            tellings.append((match, record, report.whole))
            matched[earlier.id] = match.id
            known[key] = earlier._replace(part_id=match.id)
        found.append(None if match is None else match.id)
    _insert(connection, new, matched, now_ms)
    _mark(connection, {key: value for key, value in matched.items() if key not in new}, now_ms)
    _tell(connection, tellings, now_ms)
    return found


def rematch(
    connection: Connection,
    upstreams: Sequence[str],
    smsc_message_ids: Iterable[str],
    now_ms: int,
    whole: bool = False,
) -> list[int]:
    """Match what came before its part's id was known; for each receipt that found its part, the part's id.

    ``upstreams`` are those of a group, ``whole`` as in `Report`.
    """
    waiting = connection.execute(
        select(receipt, receipt_candidate.c.smsc_message_id.label("candidate"))
        .join(receipt_candidate, receipt_candidate.c.receipt_id == receipt.c.id)
        .where(
            receipt_candidate.c.upstream.in_(upstreams),
            receipt_candidate.c.smsc_message_id.in_(list(smsc_message_ids)),
            receipt.c.part_id.is_(None),
        )
        .order_by(receipt.c.id)
    ).all()
    parts = _find(connection, [(tuple(upstreams), [row.candidate]) for row in waiting])
    matched: dict[int, int] = {}
    tellings: list[_Telling] = []
    for row, match in zip(waiting, parts, strict=True):
        record = _record(row)
        if match is not None and record.id not in matched:
            matched[record.id] = match.id
            tellings.append((match, record, whole))
    _mark(connection, matched, now_ms)
    _tell(connection, tellings, now_ms)
    return list(matched.values())


def purge_unmatched(connection: Connection, upstream: str, before_ms: int, limit: int) -> int:
    """Forget the oldest receipts of an upstream that came before this time and found no part; how many."""
    query = (
        select(receipt.c.id)
        .where(receipt.c.upstream == upstream, receipt.c.part_id.is_(None), receipt.c.received_at < before_ms)
        .order_by(receipt.c.id)
        .limit(limit)
    )
    ids = list(connection.scalars(query))
    if ids:
        connection.execute(delete(receipt_candidate).where(receipt_candidate.c.receipt_id.in_(ids)))
        connection.execute(delete(receipt).where(receipt.c.id.in_(ids)))
    return len(ids)


def unmatched(connection: Connection, upstream: str, limit: int) -> list[ReceiptRecord]:
    """Receipts without a part, oldest first."""
    query = select(receipt).where(receipt.c.upstream == upstream, receipt.c.part_id.is_(None))
    return [_record(row) for row in connection.execute(query.order_by(receipt.c.id).limit(limit))]


_Upstreams = tuple[str, ...]
_Key = tuple[_Upstreams, str, str, str | None]


def _key(upstreams: _Upstreams, record: ReceiptRecord) -> _Key:
    return upstreams, record.smsc_message_id, record.state, record.error


def _record(row: Sequence[object]) -> ReceiptRecord:
    return ReceiptRecord._make(row[: len(ReceiptRecord._fields)])


def _by_upstreams(wanted: Iterable[tuple[_Upstreams, Iterable[str]]]) -> dict[_Upstreams, set[str]]:
    ids: dict[_Upstreams, set[str]] = {}
    for upstreams, some in wanted:
        ids.setdefault(upstreams, set()).update(some)
    return ids


def _known(connection: Connection, reports: Sequence[Report]) -> dict[_Key, ReceiptRecord]:
    known = {}
    for upstreams, ids in _by_upstreams(
        (item.upstreams, [item.record.smsc_message_id]) for item in reports
    ).items():
        query = select(receipt).where(receipt.c.upstream.in_(upstreams), receipt.c.smsc_message_id.in_(ids))
        for row in connection.execute(query.order_by(receipt.c.id)):
            record = _record(row)
            known[_key(upstreams, record)] = record
    return known


def _find(connection: Connection, wanted: Sequence[tuple[_Upstreams, Sequence[str]]]) -> list[_Part | None]:
    """The part for each; the id as it was sent is tried first, the other spellings only where it fails."""
    seen: dict[int, _Part] = {}
    by_id = _parts(connection, _by_upstreams((upstreams, ids[:1]) for upstreams, ids in wanted), seen)
    found = [_best(by_id, upstreams, ids[:1]) for upstreams, ids in wanted]
    others = [
        (upstreams, ids[1:])
        for (upstreams, ids), match in zip(wanted, found, strict=True)
        if match is None and ids[1:]
    ]
    if not others:
        return found
    by_id = _parts(connection, _by_upstreams(others), seen)
    return [match or _best(by_id, *item) for match, item in zip(found, wanted, strict=True)]


_ById = dict[tuple[_Upstreams, str], list[_Part]]
_TOLD_COLUMNS = (
    part.c.id,
    part.c.message_id,
    part.c.smsc_message_id,
    part.c.state,
    part.c.receipt_state,
    part.c.receipt_error,
    part.c.final_at,
)


def _parts(connection: Connection, wanted: dict[_Upstreams, set[str]], seen: dict[int, _Part]) -> _ById:
    by_id: _ById = {}
    for upstreams, ids in wanted.items():
        query = select(*_TOLD_COLUMNS).where(part.c.upstream.in_(upstreams), part.c.smsc_message_id.in_(ids))
        for row in connection.execute(query.order_by(part.c.id).with_for_update()):
            match = seen.setdefault(row.id, _Part(row))
            by_id.setdefault((upstreams, row.smsc_message_id), []).append(match)
    return by_id


def _best(by_id: _ById, upstreams: _Upstreams, candidates: Sequence[str]) -> _Part | None:
    """Upstreams use their ids again: an open part before a final one, then the newest."""
    for candidate in candidates:
        parts = by_id.get((upstreams, candidate))
        if parts:
            return max(parts, key=lambda match: (match.open, match.id))
    return None


def _insert(connection: Connection, new: dict[int, Report], matched: dict[int, int], now_ms: int) -> None:
    rows, candidates = [], []
    for identity, report in new.items():
        record, ids = report.record, report.candidates
        if identity in matched:
            rows.append(record._replace(part_id=matched[identity], matched_at=now_ms))
        else:
            rows.append(record)
            candidates += [(record.upstream, candidate, identity) for candidate in dict.fromkeys(ids)]
    execute(connection, _INSERT_RECEIPT, rows)
    execute(connection, _INSERT_CANDIDATE, candidates)


def _mark(connection: Connection, matched: dict[int, int], now_ms: int) -> None:
    if matched:
        execute(connection, _MATCHED, [(identity, part_id, now_ms) for identity, part_id in matched.items()])
        connection.execute(delete(receipt_candidate).where(receipt_candidate.c.receipt_id.in_(matched)))


_Telling = tuple[_Part, ReceiptRecord, bool]


def _tell(connection: Connection, tellings: Sequence[_Telling], now_ms: int) -> None:
    """Give the receipts' states to their parts, and to the other parts of their messages where they are
    about the whole."""
    parts = {match.id: match for match, _, _ in tellings}
    siblings = _siblings(connection, tellings, parts)
    for match, record, whole in tellings:
        match.tell(record, now_ms)
        if whole and record.part_state is not None:
            for other in siblings[match.message_id]:
                other.tell(record, now_ms)
    touched = [match for match in parts.values() if match.touched]
    rows = [(match.id, match.state, match.said, match.error, match.final_at) for match in touched]
    execute(connection, _TOLD, rows)


def _siblings(
    connection: Connection, tellings: Sequence[_Telling], parts: dict[int, _Part]
) -> dict[int, list[_Part]]:
    """By message, the other parts that have left; they go into ``parts`` too."""
    found: dict[int, list[_Part]] = {
        match.message_id: [] for match, record, whole in tellings if whole and record.part_state is not None
    }
    if found:
        query = select(*_TOLD_COLUMNS).where(
            part.c.message_id.in_(found), part.c.state != PartState.QUEUED.value
        )
        for row in connection.execute(query.order_by(part.c.id).with_for_update()):
            found[row.message_id].append(parts.setdefault(row.id, _Part(row)))
    return found
