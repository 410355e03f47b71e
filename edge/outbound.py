"""Anyone → carrier: a draft becomes a stored message with its parts, then the upstream takes them.

The leg's acknowledgement is the Deferred of `Outbound.submit`: it fires after the transaction that
holds message and parts was committed, never before.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from edge import routing, statuses
from edge.binds import Bind
from edge.config import RouteConfig
from edge.dialect import Dialect
from edge.errors import Refused, Unavailable
from edge.hops import hop
from edge.outage import not_stored
from edge.policy import numbers
from edge.references import References
from protocols.smpp.tlv import pack_tlvs
from protocols.sms import Segmented, SegmentOptions, TooLong, segment
from storage import forwards, messages
from storage.errors import Conflict
from storage.forwards import SentRecord
from storage.parts import QueuedPart
from storage.records import Did, MessageRecord, PartFlag, PartRecord, PartState
from storage.statements import Write, Writes
from storage.store import Store

log = structlog.get_logger(__name__)

MAX_CHARACTERS = 40_000


@dataclass(frozen=True, slots=True)
class Origin:
    """The delivery that sends a message on, which may do so once; ``hops`` counts the forwards so far."""

    delivery_id: int
    hops: int


@dataclass(frozen=True, slots=True)
class Draft:
    """What a leg wants sent. ``source`` is a DID of the account in any spelling, ``leg`` is where it came in.

    ``status_callback`` is an http(s) URL that is told each state, or None. ``validity_seconds``: after
    that time it need not be sent any more; None leaves it to the route. ``flags`` are the message's.
    """

    account_id: int
    source: str
    destination: str
    text: str
    leg: str
    status_callback: str | None = None
    validity_seconds: float | None = None
    origin: Origin | None = None
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that is stored and will be sent."""

    message_id: int
    parts: int
    encoding: str
    created_at: int
    did: str
    peer: str


Outcome = Accepted | Refused | None
"""What became of a draft among many: None when it was good and the others were not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A draft after policy, routing and segmentation: what would be stored. Nothing is stored yet.

    ``hold``: a part in doubt waits until somebody decides. ``validity_seconds``: 0 for no end.
    """

    did: Did
    peer: str
    upstream: str
    segmented: Segmented
    hold: bool = False
    validity_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class NewPlan:
    """As `Plan`, for a message that is stored already and goes to another upstream."""

    upstream: str
    segmented: Segmented
    hold: bool


class Carrier(Protocol):
    """What the outbound pipeline needs of an upstream (see `edge.upstreams.Upstream`)."""

    def reserve(self) -> Bind | None: ...
    def expect(self, part_ids: Sequence[int]) -> None: ...
    def committed(self, queued: Sequence[QueuedPart], reservation: Bind | None) -> None: ...
    def abandoned(self, part_ids: Sequence[int], reservation: Bind | None) -> None: ...


class Planner:
    """I decide what a draft becomes; pure but for the reference counter. The dry run uses me too.

    Without ``routes`` the first upstream carries everything. ``usable``: whether an upstream takes new
    messages. ``draw`` gives a number from 0 up to, but not including, 1, for load-sharing.
    ``opted_out``: does the peer want nothing from that DID of that account?
    """

    def __init__(
        self,
        dialects: Mapping[str, Dialect],
        region: str,
        did: Callable[[str], Did | None],
        references: References,
        routes: Sequence[RouteConfig] = (),
        usable: Callable[[str], bool] = lambda name: True,
        draw: Callable[[], float] = lambda: 0.0,
        opted_out: Callable[[int, str, str], bool] = lambda account_id, did, peer: False,
    ) -> None:
        self._dialects = dialects
        self._region = region
        self._did = did
        self._references = references
        self._usable = usable
        self._draw = draw
        self._opted_out = opted_out
        self.routes = routing.routes_of(routes, tuple(dialects))

    def plan(self, draft: Draft) -> Plan:
        """Raises Refused with the reason."""
        did = self._own_did(draft)
        peer = numbers.destination(draft.destination, self._region)
        if self._opted_out(did.account_id, did.number, peer):
            raise Refused("opted_out", f"{peer} wants no messages from {did.number}.", "to", 403)
        route = routing.route_for(self.routes, peer, did.number, did.account_id)
        upstream = routing.choose(route, self._usable, self._draw)
        validity = draft.validity_seconds
        if validity is None:
            validity = route.validity_seconds or self._dialects[upstream].config.validity_seconds
        segmented = self._segment(draft.text, did.number, peer, upstream)
        return Plan(did, peer, upstream, segmented, self._holds(route, upstream), validity)

    def plan_elsewhere(
        self, message: MessageRecord, up: Callable[[str], bool], refused_by: Sequence[str] = ()
    ) -> NewPlan | None:
        """What a stored message becomes on another upstream of its route that is ``up``; None without one."""
        assert message.upstream is not None
        try:
            route = self._route_of(message)
            upstream = routing.another(route, message.upstream, up, self._draw, refused_by)
            return None if upstream is None else self._plan_on(message, route, upstream)
        except Refused:
            return None

    def plan_on(self, message: MessageRecord, upstream: str) -> NewPlan:
        """What a stored message becomes on this very upstream, up or not. Raises Refused with the reason."""
        route = self._route_of(message)
        carriers = (*route.upstreams, *route.failover)
        if upstream not in carriers:
            known = f"{route.name}: {', '.join(carriers)}"
            sentence = f"Message {message.id} cannot move: {upstream} is not on its route ({known})."
            raise Refused("not_on_route", sentence, "to")
        return self._plan_on(message, route, upstream)

    def _route_of(self, message: MessageRecord) -> RouteConfig:
        return routing.route_for(self.routes, message.peer, message.did, message.account_id)

    def _plan_on(self, message: MessageRecord, route: RouteConfig, upstream: str) -> NewPlan:
        segmented = self._segment(message.text, message.did, message.peer, upstream)
        return NewPlan(upstream, segmented, self._holds(route, upstream))

    def _holds(self, route: RouteConfig, upstream: str) -> bool:
        return (route.in_doubt or self._dialects[upstream].config.in_doubt) == "hold"

    def segmentation(self, peer: str, did: str, account_id: int) -> SegmentOptions:
        """How a text would be cut; the usual way when no upstream would carry it."""
        try:
            route = routing.route_for(self.routes, peer, did, account_id)
        except Refused:
            return SegmentOptions()
        return self._dialects[routing.choose(route, self._usable, self._draw)].segmentation

    def _own_did(self, draft: Draft) -> Did:
        number = numbers.destination(draft.source, self._region, "from")
        did = self._did(number)
        if did is None or did.account_id != draft.account_id:
            raise Refused("unknown_did", f"{number} is not a DID of this account.", "from", 404)
        if not did.sms_enabled:
            raise Refused("sms_disabled", f"SMS is switched off for {number}.", "from", 403)
        return did

    def _segment(self, text: str, did: str, peer: str, upstream: str) -> Segmented:
        if not text:
            raise Refused("text_empty", "The message has no text.", "text")
        if len(text) > MAX_CHARACTERS:
            raise Refused(
                "text_too_long",
                f"The text has {len(text)} characters; the limit is {MAX_CHARACTERS}.",
                "text",
            )
        try:
            return segment(text, self._references.next(did, peer), self._dialects[upstream].segmentation)
        except TooLong as error:
            raise Refused("text_too_long", str(error), "text") from error
        except UnicodeError as error:
            raise Refused("text_not_unicode", f"The text cannot be sent as it is: {error}", "text") from error


def records(
    plan: Plan, draft: Draft, ids: Callable[[], int], now_ms: int, state: PartState
) -> tuple[MessageRecord, list[PartRecord]]:
    """The rows of a planned draft. The first part stands in ``state`` (queued, or sending when room is held);
    the others are queued behind it."""
    message = MessageRecord(
        id=ids(),
        account_id=plan.did.account_id,
        did_id=plan.did.id,
        direction="mt",
        leg=draft.leg,
        did=plan.did.number,
        peer=plan.peer,
        text=draft.text,
        upstream=plan.upstream,
        created_at=now_ms,
        parts_total=len(plan.segmented.segments),
        encoding=plan.segmented.encoding.name,
        flags=draft.flags,
        status_callback=draft.status_callback,
    )
    expires_at = now_ms + round(plan.validity_seconds * 1000) if plan.validity_seconds else None
    parts = part_records(message.id, plan, ids, now_ms, expires_at)
    if state is PartState.SENDING:
        parts[0] = parts[0]._replace(state=state, attempts=1, sent_at=now_ms)
    return message, parts


def part_records(
    message_id: int,
    plan: Plan | NewPlan,
    ids: Callable[[], int],
    due_at: int,
    expires_at: int | None,
    refused_by: str | None = None,
) -> list[PartRecord]:
    """The queued parts of a planned message, in order."""
    flags = int(PartFlag.HOLD) if plan.hold else 0
    return [
        PartRecord(
            id=ids(),
            message_id=message_id,
            upstream=plan.upstream,
            number=item.number,
            total=item.total,
            esm_class=item.esm_class,
            data_coding=item.data_coding,
            user_data=item.user_data,
            tlvs=pack_tlvs(item.tlvs) if item.tlvs else None,
            state=PartState.QUEUED,
            flags=flags,
            due_at=due_at,
            expires_at=expires_at,
            refused_by=refused_by,
        )
        for item in plan.segmented.segments
    ]


class Outbound:
    """I am the one way out of the server: every leg submits its drafts to me."""

    def __init__(
        self,
        planner: Planner,
        store: Store,
        carriers: Mapping[str, Carrier],
        wall_ms: Callable[[], int],
        stamp: statuses.Stamp,
    ) -> None:
        self._planner = planner
        self._store = store
        self._carriers = carriers
        self._wall_ms = wall_ms
        self._stamp = stamp
        self.draining = False
        self.accepted: Counter[str] = Counter()
        """Messages by leg since the start."""
        self.refused: Counter[str] = Counter()
        """Drafts that were at fault or could not be stored, by leg."""

    def submit(self, draft: Draft, also: Callable[[int], Writes] | None = None) -> Deferred[Accepted]:
        """Store the message and hand its parts to the upstream.

        ``also`` gives what a leg stores in the same transaction, from the message's id. Fires after the
        commit; errback Refused (the draft is at fault), Unavailable (nothing was stored), or Conflict when
        what ``also`` gives is there already.
        """
        if self.draining:
            return fail(Unavailable("The server is shutting down; send again in a moment."))
        plan = self._planned(draft)
        if isinstance(plan, Refused):
            return fail(plan)
        return self._commit(plan, draft, also)

    def submit_many(
        self,
        drafts: Sequence[Draft],
        also: Callable[[Sequence[Outcome]], Writes] | None = None,
        whole: bool = False,
    ) -> Deferred[list[Outcome]]:
        """Store the messages of many drafts in one transaction, and hand their parts to the upstreams.

        Each draft has its outcome in its place; one that is refused does not stop the others, unless
        ``whole`` says so: then nothing is stored, and theirs is None. ``also`` gives what the leg
        stores in the same transaction. Fires after the commit; errback Unavailable (nothing was stored), or
        Conflict when what ``also`` gives is there already.
        """
        if self.draining:
            return fail(Unavailable("The server is shutting down; send again in a moment."))
        plans = [self._planned(draft) for draft in drafts]
        refused = [plan for plan in plans if isinstance(plan, Refused)]
        if len(refused) == len(plans) or (whole and refused):
            return succeed([plan if isinstance(plan, Refused) else None for plan in plans])
        return self._commit_many(plans, drafts, also)

    def _planned(self, draft: Draft) -> Plan | Refused:
        try:
            return self._planner.plan(draft)
        except Refused as refused:
            self.refused[draft.leg] += 1
            return refused

    def _commit_many(
        self,
        plans: Sequence[Plan | Refused],
        drafts: Sequence[Draft],
        also: Callable[[Sequence[Outcome]], Writes] | None,
    ) -> Deferred[list[Outcome]]:
        ids, now_ms = self._store.ids.next, self._wall_ms()
        writes: list[Write] = []
        outcomes: list[Outcome] = []
        queued: dict[str, list[QueuedPart]] = {}
        for plan, draft in zip(plans, drafts, strict=True):
            if isinstance(plan, Refused):
                outcomes.append(plan)
                continue
            message, parts = records(plan, draft, ids, now_ms, PartState.QUEUED)
            writes += messages.insert(message, parts, statuses.queued(message, ids, self._stamp))
            told = message.status_callback is not None
            waiting = queued.setdefault(plan.upstream, [])
            waiting += [
                QueuedPart(part, plan.did.account_id, message.did, message.peer, told) for part in parts
            ]
            outcomes.append(_accepted(message))
        if also is not None:
            writes.extend(also(outcomes))
        carriers = {name: self._carriers[name] for name in queued}
        for name, carrier in carriers.items():
            carrier.expect([item.part.id for item in queued[name]])

        def committed(_: object) -> list[Outcome]:
            self.accepted.update(
                draft.leg
                for draft, outcome in zip(drafts, outcomes, strict=True)
                if isinstance(outcome, Accepted)
            )
            _told_all(drafts, plans, outcomes)
            for name, carrier in carriers.items():
                carrier.committed(queued[name], None)
            return outcomes

        def not_committed(failure: Failure) -> list[Outcome]:
            for name, carrier in carriers.items():
                carrier.abandoned([item.part.id for item in queued[name]], None)
            self._contradicted(also, failure)
            self.refused.update(draft.leg for draft in drafts)
            not_stored(log, "messages_not_stored", failure, messages=len(drafts))
            raise Unavailable(
                "The messages could not be stored; nothing was sent. Try again."
            ) from failure.value

        return self._store.writer.write(writes).addCallbacks(committed, not_committed)

    def _contradicted(self, also: object, failure: Failure) -> None:
        error = failure.value
        if also is not None and error is not None and self._store.engine.contradicted(error):
            raise Conflict("What the leg keeps with the messages is there already.") from error

    @property
    def planner(self) -> Planner:
        """Who plans the drafts of now."""
        return self._planner

    def replace(self, planner: Planner, carriers: Mapping[str, Carrier]) -> None:
        """The configuration changed: drafts are planned and carried by these from now on."""
        self._planner = planner
        self._carriers = carriers

    def _commit(self, plan: Plan, draft: Draft, also: Callable[[int], Writes] | None) -> Deferred[Accepted]:
        carrier = self._carriers[plan.upstream]
        reservation = carrier.reserve()
        state = PartState.QUEUED if reservation is None else PartState.SENDING
        message, parts = records(plan, draft, self._store.ids.next, self._wall_ms(), state)
        part_ids = [part.id for part in parts]
        carrier.expect(part_ids)

        def committed(_: object) -> Accepted:
            self.accepted[draft.leg] += 1
            _told(_accepted(message), draft, plan)
            told = message.status_callback is not None
            carrier.committed(
                [QueuedPart(part, plan.did.account_id, message.did, message.peer, told) for part in parts],
                reservation,
            )
            return _accepted(message)

        def not_committed(failure: Failure) -> Accepted:
            carrier.abandoned(part_ids, reservation)
            self._contradicted(also, failure)
            self.refused[draft.leg] += 1
            not_stored(log, "message_not_stored", failure, leg=draft.leg)
            raise Unavailable(
                "The message could not be stored; nothing was sent. Try again."
            ) from failure.value

        writes = messages.insert(message, parts, statuses.queued(message, self._store.ids.next, self._stamp))
        if draft.origin is not None:
            writes += forwards.insert_sent(
                SentRecord(draft.origin.delivery_id, message.id, draft.origin.hops)
            )
        if also is not None:
            writes.extend(also(message.id))
        return self._store.writer.write(writes).addCallbacks(committed, not_committed)


def _told_all(drafts: Sequence[Draft], plans: Sequence[Plan | Refused], outcomes: Sequence[Outcome]) -> None:
    for draft, plan, outcome in zip(drafts, plans, outcomes, strict=True):
        if isinstance(outcome, Accepted) and isinstance(plan, Plan):
            _told(outcome, draft, plan)


def _told(accepted: Accepted, draft: Draft, plan: Plan) -> None:
    hop(
        log,
        "message_accepted",
        accepted.created_at,
        message=accepted.message_id,
        leg=draft.leg,
        did=accepted.did,
        peer=accepted.peer,
        parts=accepted.parts,
        upstream=plan.upstream,
    )


def _accepted(message: MessageRecord) -> Accepted:
    return Accepted(
        message.id,
        message.parts_total,
        message.encoding or "",
        message.created_at,
        message.did,
        message.peer,
    )
