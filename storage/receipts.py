"""Receipts: kept as they came, then matched to a part, at once or when the part's id is known.

Everything here works on many receipts at a time; one alone costs as many statements as fifty.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, Text, bindparam, delete, select, update

from storage import progress, receipt_parts
from storage.messages import status_of_states
from storage.receipt_numbers import Agreement, Earliest
from storage.receipt_parts import ById, Seen, ToldPart, Traits, Upstreams
from storage.records import PartState, ReceiptRecord
from storage.statements import Row, execute, given, hot_insert, hot_update
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


Distant = Sequence[tuple[str, int]]
"""Ids, each with how far it is from what was sent."""

# Made once: to put a query together takes longer than to run it, and these run with each batch.
_WITH_ID = (
    select(receipt)
    .where(
        receipt.c.upstream.in_(bindparam("upstreams", expanding=True)),
        receipt.c.smsc_message_id.in_(bindparam("ids", expanding=True)),
    )
    .order_by(receipt.c.id)
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

    The numbers of the record decide between parts (`storage.receipt_numbers`): one with other numbers is
    taken only when there is none with these, by any reading, and none on its way that may be the one.
    """

    record: ReceiptRecord
    candidates: Sequence[str]
    group: tuple[str, ...] = ()
    whole: bool = False
    sent: int = 1
    others: Distant = ()
    reach: int = SURE
    since_ms: int = 0
    traits: Traits | None = None

    @property
    def upstreams(self) -> Upstreams:
        """Where its part may be."""
        return self.group or (self.record.upstream,)


class Matches(NamedTuple):
    """For each receipt the part's id, or None. ``settled`` are parts that were in doubt and are no more,
    ``guessed`` those of them that were found by the time alone; ``converted`` says that one was found by a
    reading that is `SURE`."""

    part_ids: list[int | None]
    settled: list[int]
    converted: bool = False
    guessed: frozenset[int] = frozenset()


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
    finder = _Finder(connection, reports, seen)
    found: list[int | None] = []
    new: dict[int, Report] = {}
    matched: dict[int, ToldPart] = {}
    tellings: list[_Telling] = []
    for report in reports:
        record, earlier = report.record, known.setdefault(_key(report.upstreams, report.record), [])
        match = finder.part(report, frozenset(one.part_id for one in earlier if one.part_id is not None))
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
    settled = _tell(connection, tellings, seen, now_ms)
    guessed = frozenset(part_id for part_id in settled if seen[part_id].guessed)
    return Matches(found, settled, finder.converted, guessed)


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
    waits = select(receipt_candidate.c.receipt_id).where(
        receipt_candidate.c.upstream.in_(upstreams),
        receipt_candidate.c.smsc_message_id.in_(list(smsc_message_ids)),
        receipt_candidate.c.distance == SAME,
    )
    return _match_waiting(connection, tuple(upstreams), receipt.c.id.in_(waits), SAME, now_ms, whole)


def inherit(connection: Connection, part_id: int, now_ms: int) -> list[int]:
    """A part was taken after the receipt for the whole of its message had come: it has that end too. The
    part, if it is so."""
    message_id = connection.scalar(select(part.c.message_id).where(part.c.id == part_id))
    seen: Seen = {}
    siblings = receipt_parts.siblings(connection, [message_id or 0], seen)[message_id or 0]
    ended = [one for one in siblings if not one.open and one.said is not None]
    heir = seen.get(part_id)
    if heir is None or not heir.open or not ended:
        return []
    last = max(ended, key=lambda one: one.final_at or 0)
    with progress.telling(connection, [heir.id], now_ms):
        execute(connection, _TOLD, [(heir.id, last.state, heir.named, last.said, last.error, now_ms)])
    return [heir.id]


def refute(
    connection: Connection,
    part_id: int,
    named: Callable[[str], tuple[Sequence[str], Distant]],
    now_ms: int,
) -> list[int] | None:
    """The upstream refused a part that a receipt was guessed to be about: it is in doubt again, and what it
    was told waits for another. ``named`` tells what a receipt's id may mean, as the ``candidates`` and
    ``others`` of a `Report`. The ids of those receipts; None if an answer says that the part was taken."""
    guessed = (
        update(part)
        .where(part.c.id == part_id, part.c.answered_at.is_(None), part.c.receipt_state.is_not(None))
        .values(
            state=PartState.IN_DOUBT.value,
            smsc_message_id=None,
            receipt_state=None,
            receipt_error=None,
            final_at=None,
        )
    )
    with progress.telling(connection, [part_id], now_ms):
        if connection.execute(guessed).rowcount == 0:
            return None
    told = [_record(row) for row in connection.execute(select(receipt).where(receipt.c.part_id == part_id))]
    connection.execute(
        update(receipt).where(receipt.c.part_id == part_id).values(part_id=None, matched_at=None)
    )
    rows = [row for record in told for row in _candidates(record, *named(record.smsc_message_id))]
    execute(connection, _INSERT_CANDIDATE, rows)
    return [record.id for record in told]


class ReadAgain(NamedTuple):
    """For each receipt that found its part, the part's id; and the ``from_id`` of the next page, if any."""

    part_ids: list[int]
    next_id: int | None


def read_again(
    connection: Connection,
    upstreams: Sequence[str],
    reach: int,
    now_ms: int,
    limit: int,
    whole: bool = False,
    from_id: int = 0,
) -> ReadAgain:
    """Match what waits because a better part could have been on its way: by its readings in another base, as
    far as ``reach``, or with a part that has other numbers. At most ``limit`` receipts are tried, the oldest
    first, from that id on."""
    ids = sorted(
        identity
        for upstream in upstreams
        for identity in connection.scalars(
            select(receipt.c.id)
            .where(receipt.c.upstream == upstream, receipt.c.part_id.is_(None), receipt.c.id >= from_id)
            .order_by(receipt.c.id)
            .limit(limit)
        )
    )[:limit]
    if not ids:
        return ReadAgain([], None)
    matched = _match_waiting(connection, tuple(upstreams), receipt.c.id.in_(ids), reach, now_ms, whole)
    return ReadAgain(matched, ids[-1] + 1 if len(ids) == limit else None)


def _match_waiting(
    connection: Connection,
    upstreams: Upstreams,
    condition: ColumnElement[bool],
    reach: int,
    now_ms: int,
    whole: bool,
) -> list[int]:
    waiting = _waiting(connection, upstreams, condition, reach)
    seen: Seen = {}
    finder = _Finder(connection, waiting, seen)
    matched: dict[int, ToldPart] = {}
    tellings: list[_Telling] = []
    for report in waiting:
        match = finder.part(report, frozenset())
        if match is not None and match.could_be(report.record):
            matched[report.record.id] = match
            tellings.append((match, report.record, whole))
    _mark(connection, matched, now_ms)
    _tell(connection, tellings, seen, now_ms)
    return [match.id for match in matched.values()]


def _waiting(
    connection: Connection,
    upstreams: Upstreams,
    condition: ColumnElement[bool],
    reach: int,
) -> list[Report]:
    """What waits, as it was reported, but for what could settle a doubt: that was tried when it came."""
    query = (
        select(receipt, receipt_candidate.c.smsc_message_id.label("candidate"), receipt_candidate.c.distance)
        .join(receipt_candidate, receipt_candidate.c.receipt_id == receipt.c.id)
        .where(receipt_candidate.c.upstream.in_(upstreams), receipt.c.part_id.is_(None), condition)
        .order_by(receipt.c.id, receipt_candidate.c.distance)
    )
    reports = []
    for record, rows in groupby(connection.execute(query).all(), _record):
        names = sorted(
            ((row.candidate, row.distance) for row in rows),
            key=lambda name: (name[1], name[0] != record.smsc_message_id),
        )
        same = [name for name, distance in names if distance == SAME]
        others = [(name, distance) for name, distance in names if distance != SAME]
        reports.append(Report(record, same, upstreams, sent=len(same), others=others, reach=reach))
    return reports


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


def told(connection: Connection, upstream: str, limit: int) -> list[tuple[str, str]]:
    """Of the newest receipts of an upstream, at most ``limit``, those that found a part with another id than
    theirs: both ids, that of the receipt first."""
    newest = (
        select(receipt.c.smsc_message_id.label("told"), receipt.c.part_id)
        .where(receipt.c.upstream == upstream)
        .order_by(receipt.c.id.desc())
        .limit(limit)
        .subquery()
    )
    query = (
        select(newest.c.told, part.c.smsc_message_id)
        .join(part, part.c.id == newest.c.part_id)
        .where(part.c.smsc_message_id != newest.c.told)
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


_Key = tuple[Upstreams, str, str, str | None, str | None, str, str]
_Known = dict[_Key, list[ReceiptRecord]]


def _key(upstreams: Upstreams, record: ReceiptRecord) -> _Key:
    told = (record.smsc_message_id, record.state, record.error, record.part_state)
    return upstreams, *told, record.did, record.peer


def _record(row: Sequence[object]) -> ReceiptRecord:
    return ReceiptRecord._make(row[: len(ReceiptRecord._fields)])


def _known(connection: Connection, reports: Sequence[Report]) -> _Known:
    known: _Known = {}
    wanted = receipt_parts.by_upstreams((item.upstreams, [item.record.smsc_message_id]) for item in reports)
    for upstreams, ids in wanted.items():
        for row in connection.execute(_WITH_ID, {"upstreams": upstreams, "ids": list(ids)}):
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
    then by what else they tell; and all that first among the parts that have the receipt's numbers, then
    among those with its phone, then among all. The store is asked once for all, and for a step only where
    the ones before found no part with these numbers."""

    def __init__(self, connection: Connection, reports: Sequence[Report], seen: Seen) -> None:
        self._connection = connection
        self._seen = seen
        self._calm: dict[Upstreams, int | None] = {}
        self._awaited: dict[Upstreams, Earliest] = {}
        self._by_id: ById = {}
        self.converted = False
        self._add([(report.upstreams, report.candidates[: report.sent]) for report in reports])
        spelled = [
            report
            for report in reports
            if self._closest(report, report.candidates[: report.sent]) is not Agreement.BOTH
        ]
        self._add([(report.upstreams, report.candidates[report.sent :]) for report in spelled])
        read = [
            report for report in spelled if self._closest(report, report.candidates) is not Agreement.BOTH
        ]
        self._add([(report.upstreams, [name for name, _ in report.others]) for report in read])

    def _add(self, wanted: Sequence[tuple[Upstreams, Sequence[str]]]) -> None:
        if any(ids for _, ids in wanted):
            self._by_id.update(receipt_parts.by_id(self._connection, wanted, self._seen))

    def _closest(self, report: Report, ids: Iterable[str]) -> Agreement | None:
        """How near the numbers of any part of these ids come; None: there is no part."""
        upstreams, record = report.upstreams, report.record
        parts = (part for name in ids for part in self._by_id.get((upstreams, name), ()))
        return max((part.agreement(record) for part in parts), default=None)

    def part(self, report: Report, told: frozenset[int]) -> ToldPart | None:
        """The part of one report, if it can be told now; ``told`` are those that were told the same."""
        for level in sorted(Agreement, reverse=True):
            if level < Agreement.BOTH and self._one_is_nearer(report, level):
                return None
            match, read = self._at(report, level, told)
            if match is not None:
                if match.over_before(report.since_ms) or (read and not self._nothing_can_come(report)):
                    return None
                self.converted |= level > Agreement.NONE and (match.named or "", SURE) in report.others
                return match
            if level is Agreement.BOTH and (match := self._in_doubt(report)) is not None:
                return match
        return None

    def _at(self, report: Report, level: Agreement, told: frozenset[int]) -> tuple[ToldPart | None, bool]:
        """The part whose numbers agree so far, and whether its id was read in another base. Where the parts
        with the id itself are of other phones, both bases may be meant."""
        find = (report.record, level, told)
        match = receipt_parts.best(self._by_id, report.upstreams, report.candidates, *find)
        if match is not None:
            return match, False
        foreign = self._closest(report, report.candidates) is Agreement.NONE
        reach = LIKELY if foreign and level > Agreement.NONE else report.reach
        near = [name for name, distance in report.others if distance <= reach]
        return receipt_parts.best(self._by_id, report.upstreams, near, *find), True

    def _in_doubt(self, report: Report) -> ToldPart | None:
        if report.traits is None or self._closest(report, [name for name, _ in report.others]):
            return None
        record = report.record
        waits = (record.did, record.peer) in self._on_their_way(report.upstreams)
        if not waits and report.traits.reference is None:
            return None
        match = receipt_parts.in_doubt(self._connection, report.upstreams, record, report.traits, self._seen)
        if match is not None and match.named is None and record.smsc_message_id:
            match.named = record.smsc_message_id
        if match is not None:
            match.guessed = report.traits.reference is None
        return match

    def _one_is_nearer(self, report: Report, level: Agreement) -> bool:
        """A part that left before this receipt, and has no id yet, has its numbers better than this."""
        record = report.record
        left_at = self._on_their_way(report.upstreams).nearer(record.did, record.peer, level)
        return left_at is not None and left_at <= record.received_at

    def _on_their_way(self, upstreams: Upstreams) -> Earliest:
        if upstreams not in self._awaited:
            self._awaited[upstreams] = receipt_parts.awaited(self._connection, upstreams)
        return self._awaited[upstreams]

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
        if (match := matched.get(identity)) is not None:
            kept = record._replace(raw=b"", peer="") if match.erased else record
            rows.append(kept._replace(part_id=match.id, matched_at=now_ms))
        else:
            rows.append(record)
            candidates += _candidates(record, report.candidates, report.others)
    execute(connection, _INSERT_RECEIPT, rows)
    execute(connection, _INSERT_CANDIDATE, candidates)


def _candidates(record: ReceiptRecord, same: Sequence[str], others: Distant) -> list[Row]:
    """The rows of `receipt_candidate`: each id once, as near as it comes."""
    distances = dict(reversed([*((name, SAME) for name in same), *others]))
    return [(record.upstream, name, record.id, far) for name, far in distances.items()]


def _mark(connection: Connection, matched: Mapping[int, ToldPart], now_ms: int) -> None:
    if matched:
        execute(connection, _MATCHED, [(identity, match.id, now_ms) for identity, match in matched.items()])
        connection.execute(delete(receipt_candidate).where(receipt_candidate.c.receipt_id.in_(matched)))
        erased = [identity for identity, match in matched.items() if match.erased]
        if erased:  # a receipt quotes the first characters of the message, and says whom it was to
            blank = update(receipt).where(receipt.c.id.in_(erased)).values(raw=b"", peer="")
            connection.execute(blank)


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
    with progress.telling(connection, [match.id for match in touched if match.total > 1], now_ms):
        execute(connection, _TOLD, rows)
    progress.tell(connection, (_news(match) for match in touched if match.total == 1), now_ms)
    return [match.id for match in touched if match.settled]


def _news(only: ToldPart) -> progress.News:
    """What is told of a message that has no other part."""
    was, state = PartState(only.was), PartState(only.state)
    return only.account_id, only.message_id, status_of_states("mt", {was}), status_of_states("mt", {state})
