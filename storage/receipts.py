"""Receipts: kept as they came, then matched to a part, at once or when the part's id is known.

Everything here works on many receipts at a time; one alone costs as many statements as fifty.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, Text, delete, select, update

from storage import receipt_parts
from storage.receipt_parts import Seen, ToldPart, Traits, Upstreams
from storage.records import ReceiptRecord
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
        smsc_message_id=given("named", Text()),
        receipt_state=given("said", Text()),
        receipt_error=given("error_", Text()),
        final_at=given("final", BigInteger()),
    ),
    "told_id",
    "state_",
    "named",
    "said",
    "error_",
    "final",
)


SAME, SURE, LIKELY = range(3)
"""How far a reading of an id is from what was sent: the same number; the number in another base, where its
letters leave no doubt of the base; in another base where both readings could be meant."""


class Report(NamedTuple):
    """A receipt and the ids under which the upstream may have taken its part, best first.

    ``record.part_state`` is the final state that the receipt tells, or None when it is not final. ``group``
    are the upstreams whose parts it may be about, if not only the one that it came from. ``whole``: when it
    is final it is about all parts of the message. The first ``sent`` of ``candidates`` are tried before the
    others. ``others`` are readings in another base, with their distance (`SURE`, `LIKELY`); those within
    ``reach`` are taken when no part that left before this receipt can still get one of ``candidates``.
    What was final before ``since_ms`` is another part with the same id. ``traits`` find a part in doubt.
    """

    record: ReceiptRecord
    candidates: Sequence[str]
    group: tuple[str, ...] = ()
    whole: bool = False
    sent: int = 1
    others: Sequence[tuple[str, int]] = ()
    reach: int = SURE
    since_ms: int = 0
    traits: Traits | None = None

    @property
    def upstreams(self) -> Upstreams:
        """Where its part may be."""
        return self.group or (self.record.upstream,)


class Matches(NamedTuple):
    """For each receipt the part's id, or None. ``settled`` are parts that were in doubt and are no more;
    ``converted`` says that one was found by a reading that is `SURE`."""

    part_ids: list[int | None]
    settled: list[int]
    converted: bool = False


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
    return store_and_match_all(connection, [report], now_ms).part_ids[0]


def _storable(report: Report) -> Report:
    """Carriers write anything in a receipt; what cannot be stored must not be sent to us for ever."""
    candidates = [storable(candidate) for candidate in report.candidates]
    return report._replace(record=clean_receipt(report.record), candidates=candidates)


def store_and_match_all(connection: Connection, reports: Sequence[Report], now_ms: int) -> Matches:
    """Store receipts, oldest first, and give their states to their parts.

    A repeat is not stored again: one of the same upstreams, id and news (`_Key`) that this part was told
    already, or that waits already. One without a part is kept, for `rematch` and `read_again`.
    """
    reports = [_storable(report) for report in reports]
    known = _known(connection, reports)
    seen: Seen = {}
    first = _Finder(connection, reports, seen, known)
    found: list[int | None] = []
    new: dict[int, Report] = {}
    matched: dict[int, ToldPart] = {}
    tellings: list[_Telling] = []
    for report in reports:
        record, earlier = report.record, known.setdefault(_key(report.upstreams, report.record), [])
        match = first.part(report)
        repeated = _repeated(earlier, match, report.since_ms)
        if repeated is not None:
            found.append(repeated)
            continue
        waits = next((one for one in earlier if one.part_id is None), None)
        keep = waits or record
        if waits is None:
            new[record.id] = report
        else:
            earlier.remove(waits)
        earlier.append(keep if match is None else keep._replace(part_id=match.id))
        if match is not None:
            matched[keep.id] = match
            tellings.append((match, record, report.whole))
        found.append(None if match is None else match.id)
    _insert(connection, new, matched, now_ms)
    _mark(connection, {key: match for key, match in matched.items() if key not in new}, now_ms)
    return Matches(found, _tell(connection, tellings, seen, now_ms), first.converted)


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
    condition = (
        receipt_candidate.c.smsc_message_id.in_(list(smsc_message_ids)),
        receipt_candidate.c.distance == SAME,
    )
    return _match_waiting(connection, tuple(upstreams), condition, now_ms, whole)


def read_again(
    connection: Connection,
    upstreams: Sequence[str],
    reach: int,
    now_ms: int,
    limit: int,
    whole: bool = False,
) -> list[int]:
    """Match what waits by its readings in another base, as far as ``reach``: those receipts before which no
    part left that has no answer yet. For each that found its part, the part's id."""
    oldest = receipt_parts.oldest_on_its_way(connection, tuple(upstreams))
    condition: list[ColumnElement[bool]] = [receipt_candidate.c.distance.between(SURE, reach)]
    if oldest is not None:
        condition.append(receipt.c.received_at < oldest)
    return _match_waiting(connection, tuple(upstreams), condition, now_ms, whole, limit)


def _match_waiting(
    connection: Connection,
    upstreams: Upstreams,
    condition: Iterable[ColumnElement[bool]],
    now_ms: int,
    whole: bool,
    limit: int | None = None,
) -> list[int]:
    query = (
        select(receipt, receipt_candidate.c.smsc_message_id.label("candidate"))
        .join(receipt_candidate, receipt_candidate.c.receipt_id == receipt.c.id)
        .where(receipt_candidate.c.upstream.in_(upstreams), receipt.c.part_id.is_(None), *condition)
        .order_by(receipt.c.id, receipt_candidate.c.distance)
        .limit(limit)
    )
    waiting = connection.execute(query).all()
    seen: Seen = {}
    by_id = receipt_parts.by_id(connection, [(upstreams, [row.candidate]) for row in waiting], seen)
    matched: dict[int, ToldPart] = {}
    tellings: list[_Telling] = []
    for row in waiting:
        record = _record(row)
        match = receipt_parts.best(by_id, upstreams, [row.candidate], frozenset())
        if match is not None and match.could_be(record) and record.id not in matched:
            matched[record.id] = match
            tellings.append((match, record, whole))
    _mark(connection, matched, now_ms)
    _tell(connection, tellings, seen, now_ms)
    return [match.id for match in matched.values()]


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


_Key = tuple[Upstreams, str, str, str | None, str | None]
_Known = dict[_Key, list[ReceiptRecord]]


def _key(upstreams: Upstreams, record: ReceiptRecord) -> _Key:
    return upstreams, record.smsc_message_id, record.state, record.error, record.part_state


def _record(row: Sequence[object]) -> ReceiptRecord:
    return ReceiptRecord._make(row[: len(ReceiptRecord._fields)])


def _known(connection: Connection, reports: Sequence[Report]) -> _Known:
    known: _Known = {}
    wanted = receipt_parts.by_upstreams((item.upstreams, [item.record.smsc_message_id]) for item in reports)
    for upstreams, ids in wanted.items():
        query = select(receipt).where(receipt.c.upstream.in_(upstreams), receipt.c.smsc_message_id.in_(ids))
        for row in connection.execute(query.order_by(receipt.c.id)):
            record = _record(row)
            known.setdefault(_key(upstreams, record), []).append(record)
    return known


def _repeated(earlier: Sequence[ReceiptRecord], match: ToldPart | None, since_ms: int) -> int | None:
    """The part that was told this already. Where none is found now, it is the one that was found lately."""
    for one in reversed(earlier):
        if one.part_id is not None and (
            one.part_id == match.id if match is not None else one.received_at >= since_ms
        ):
            return one.part_id
    return None


class _Finder:
    """I find the parts of reports: by their ids as sent, then otherwise spelled, then read in another base,
    then by what else they tell. Each step is asked of the store only where the one before fails, and, but
    for the last, once for all."""

    def __init__(
        self, connection: Connection, reports: Sequence[Report], seen: Seen, known: Mapping[_Key, object]
    ) -> None:
        self._connection = connection
        self._seen = seen
        self._known = known
        self._calm: dict[Upstreams, int | None] = {}
        self.converted = False
        self._by_id = receipt_parts.by_id(
            connection, [(report.upstreams, report.candidates[: report.sent]) for report in reports], seen
        )
        spelled = [report for report in reports if not self._has(report, report.candidates[: report.sent])]
        self._add([(report.upstreams, report.candidates[report.sent :]) for report in spelled])
        read = [report for report in spelled if not self._has(report, report.candidates)]
        self._add([(report.upstreams, [name for name, _ in report.others]) for report in read])

    def _add(self, wanted: Sequence[tuple[Upstreams, Sequence[str]]]) -> None:
        if any(ids for _, ids in wanted):
            self._by_id.update(receipt_parts.by_id(self._connection, wanted, self._seen))

    def _has(self, report: Report, ids: Iterable[str]) -> bool:
        return any((report.upstreams, name) in self._by_id for name in ids)

    def part(self, report: Report) -> ToldPart | None:
        """The part of one report, if it can be told now."""
        upstreams, since_ms = report.upstreams, report.since_ms
        told = self._told(report)
        match = receipt_parts.best(self._by_id, upstreams, report.candidates, told)
        if match is not None:
            return None if match.over_before(since_ms) else match
        near = [name for name, distance in report.others if distance <= report.reach]
        match = receipt_parts.best(self._by_id, upstreams, near, told)
        if match is not None:
            if match.over_before(since_ms) or not self._nothing_can_come(report):
                return None
            self.converted |= (match.named or "", SURE) in report.others
            return match
        if report.traits is None or self._has(report, [name for name, _ in report.others]):
            return None
        match = receipt_parts.in_doubt(self._connection, upstreams, report.traits, self._seen)
        if match is not None and match.named is None and report.record.smsc_message_id:
            match.named = report.record.smsc_message_id
        return match

    def _told(self, report: Report) -> frozenset[int]:
        earlier: Iterable[ReceiptRecord] = self._known.get(_key(report.upstreams, report.record), ())  # type: ignore[assignment]
        return frozenset(one.part_id for one in earlier if one.part_id is not None)

    def _nothing_can_come(self, report: Report) -> bool:
        """No part that left before this receipt can still be answered with the very id that it names."""
        upstreams = report.upstreams
        if upstreams not in self._calm:
            self._calm[upstreams] = receipt_parts.oldest_on_its_way(self._connection, upstreams)
        oldest = self._calm[upstreams]
        return oldest is None or oldest > report.record.received_at


def _insert(
    connection: Connection, new: dict[int, Report], matched: Mapping[int, ToldPart], now_ms: int
) -> None:
    rows, candidates = [], []
    for identity, report in new.items():
        record = report.record
        if identity in matched:
            rows.append(record._replace(part_id=matched[identity].id, matched_at=now_ms))
        else:
            rows.append(record)
            distances = dict(reversed([*((name, SAME) for name in report.candidates), *report.others]))
            candidates += [(record.upstream, name, identity, far) for name, far in distances.items()]
    execute(connection, _INSERT_RECEIPT, rows)
    execute(connection, _INSERT_CANDIDATE, candidates)


def _mark(connection: Connection, matched: Mapping[int, ToldPart], now_ms: int) -> None:
    if matched:
        execute(connection, _MATCHED, [(identity, match.id, now_ms) for identity, match in matched.items()])
        connection.execute(delete(receipt_candidate).where(receipt_candidate.c.receipt_id.in_(matched)))


_Telling = tuple[ToldPart, ReceiptRecord, bool]


def _tell(connection: Connection, tellings: Sequence[_Telling], seen: Seen, now_ms: int) -> list[int]:
    """Give the receipts' states to their parts, and to the other parts of their messages where they are
    about the whole; the ids of those that were in doubt."""
    of_whole = [
        match.message_id for match, record, whole in tellings if whole and record.part_state is not None
    ]
    siblings = receipt_parts.siblings(connection, of_whole, seen)
    for match, record, whole in tellings:
        match.tell(record, now_ms)
        if whole and record.part_state is not None:
            for other in siblings[match.message_id]:
                other.tell(record, now_ms)
    touched = [match for match in seen.values() if match.touched]
    rows = [
        (match.id, match.state, match.named, match.said, match.error, match.final_at) for match in touched
    ]
    execute(connection, _TOLD, rows)
    return [match.id for match in touched if match.settled]
