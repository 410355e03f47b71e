"""Everything that the server counts beside its binds, by the names that Prometheus has it under.

`FAMILIES` is all there is; `figures` fills it from what the parts have counted anyway, when it is asked.
Labels are names from the configuration, from the code and from SMPP: there are only so many of each, and
nothing that a person wrote or dialled is among them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from edge import __version__
from edge import log as logging
from edge.depths import Depths

if TYPE_CHECKING:
    from edge.service import TrunklineService

Labels = tuple[str, ...]
Values = Iterable[tuple[Labels, float]]
ONE: Labels = ()


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: ``kind`` is gauge or counter (whose samples end in _total)."""

    kind: str
    help: str
    labels: Labels = ()


def _gauge(said: str, *labels: str) -> Family:
    return Family("gauge", said, labels)


def _counter(said: str, *labels: str) -> Family:
    return Family("counter", said, labels)


FAMILIES: Mapping[str, Family] = {
    "trunkline_info": _gauge("1; the label says what runs.", "version"),
    "trunkline_ready": _gauge("1 while /readyz says so."),
    "trunkline_uptime_seconds": _gauge("Since the start, on the monotonic clock."),
    "trunkline_reactor_lag_seconds": _gauge("How late the reactor was, the last time it was measured."),
    "trunkline_reactor_lag_worst_seconds": _gauge("The worst of the last minute."),
    "trunkline_log_lines_lost": _counter("Lines of the log that could not be written."),
    "trunkline_log_lines_suppressed": _counter("Lines of events that had too many in a minute."),
    "trunkline_spans": _counter("Spans of [tracing]: made, exported, failed, dropped.", "result"),
    "trunkline_store_available": _gauge("1 while the store takes what it is given."),
    "trunkline_store_pending_units": _gauge("Units that wait for their commit."),
    "trunkline_store_batches": _counter("Transactions of the writer."),
    "trunkline_store_units": _counter("Units in them: one for each step of a message."),
    "trunkline_store_rows": _counter("Rows in them."),
    "trunkline_store_unit_failures": _counter("Units that were not committed."),
    "trunkline_store_commit_seconds": _counter("Time spent in COMMIT."),
    "trunkline_store_free_bytes": _gauge("Room on the disk of an SQLite store."),
    "trunkline_messages_received": _counter("Whole MO that were stored.", "upstream"),
    "trunkline_messages_accepted": _counter("MT that were stored, by where they came in.", "leg"),
    "trunkline_messages_refused": _counter("Drafts that were refused, or not stored.", "leg"),
    "trunkline_inbound": _counter(
        "PDUs of MO: parts, repeats, unknown_did, not_stored, overflow.", "upstream", "result"
    ),
    "trunkline_parts": _counter(
        "Parts of MT: sent, failed, throttled, moved, overdue, expired, lost, late, opted_out.",
        "upstream",
        "result",
    ),
    "trunkline_receipts": _counter("Receipts: matched, unmatched, not_stored.", "upstream", "result"),
    "trunkline_upstream_up": _gauge("1 while messages can be sent.", "upstream"),
    "trunkline_upstream_held": _gauge("1 while an operator has stopped all sending.", "upstream"),
    "trunkline_parts_waiting": _gauge(
        "Parts in the store that are not done; kept: by queue hold.", "upstream", "state"
    ),
    "trunkline_parts_oldest_seconds": _gauge("How long the oldest has been due.", "upstream", "state"),
    "trunkline_deliveries_waiting": _gauge("Deliveries that are owed, or dead letters.", "handler", "state"),
    "trunkline_deliveries_oldest_seconds": _gauge("How long the oldest is due.", "handler", "state"),
    "trunkline_depths_age_seconds": _gauge("How old the figures of what waits in the store are."),
    "trunkline_delivery_attempts": _counter("Attempts by what came of them.", "handler", "result"),
    "trunkline_delivery_faults": _counter("Attempts that the handler's own fault ended."),
    "trunkline_deliveries_running": _gauge("Attempts under way."),
    "trunkline_deliveries_in_memory": _gauge("Deliveries in memory that wait for their turn."),
    "trunkline_targets": _gauge(
        "Targets that something is known of: closed, open, recovering, paused.", "state"
    ),
    "trunkline_http_requests": _counter("Requests by route and status.", "method", "route", "status"),
    "trunkline_http_connections": _gauge("Connections of portal and API."),
    "trunkline_http_client_connections": _gauge("Connections to callbacks and webhooks."),
    "trunkline_sip_bindings": _gauge("Contacts of phones.", "transport"),
    "trunkline_sip_transactions": _gauge("SIP requests that are remembered."),
    "trunkline_sip_events": _counter("What the parts of the SIP side have counted.", "part", "event"),
    "trunkline_sip_trunk_up": _gauge("1 unless we should be registered at a trunk and are not.", "trunk"),
    "trunkline_sip_trunk_servers": _gauge("Servers of a trunk: known, failed.", "trunk", "state"),
    "trunkline_sip_trunk_messages": _counter("Messages of a trunk.", "trunk", "event"),
    "trunkline_mail_events": _counter("What became of mails that came in.", "event"),
}

# What is known to come begins at 0: of a counter that begins at 1 nobody sees that it rose.
LEGS = ("api", "console", "email", "forward", "portal", "sip", "voipms")
ATTEMPT_RESULTS = ("delivered", "retried", "failed")
SIP_PARTS = ("requests", "guard", "registrar", "intake", "delivery", "flows", "reports")


def figures(server: "TrunklineService") -> dict[str, list[tuple[Labels, float]]]:
    """Every family's samples as of now; those of parts that are not configured have none."""
    found: dict[str, list[tuple[Labels, float]]] = {name: [] for name in FAMILIES}
    for part in (_server, _store, _traffic, _waiting, _deliveries, _web, _sip, _mail):
        for name, values in part(server):
            found[name].extend(values)
    return found


def _one(value: float) -> Values:
    return ((ONE, value),)


def _server(server: "TrunklineService") -> Iterator[tuple[str, Values]]:
    if server.tracing is not None:
        yield "trunkline_spans", [((name,), n) for name, n in asdict(server.tracing.counters).items()]
    yield "trunkline_info", (((__version__,), 1),)
    yield "trunkline_ready", _one(server.health.readiness()[0])
    yield "trunkline_uptime_seconds", _one(server.health.startup.uptime)
    yield "trunkline_reactor_lag_seconds", _one(server.lag.last)
    yield "trunkline_reactor_lag_worst_seconds", _one(server.lag.worst)
    yield "trunkline_log_lines_lost", _one(logging.output.lost)
    yield "trunkline_log_lines_suppressed", _one(logging.output.suppressed)


def _store(server: "TrunklineService") -> Iterator[tuple[str, Values]]:
    writer = server.store.writer
    yield "trunkline_store_available", _one(writer.available)
    yield "trunkline_store_pending_units", _one(writer.pending)
    yield "trunkline_store_batches", _one(writer.batches)
    yield "trunkline_store_units", _one(writer.units)
    yield "trunkline_store_rows", _one(writer.rows)
    yield "trunkline_store_unit_failures", _one(writer.failures)
    yield "trunkline_store_commit_seconds", _one(writer.commit_seconds)
    if server.health.disk.free is not None:
        yield "trunkline_store_free_bytes", _one(server.health.disk.free)


def _traffic(server: "TrunklineService") -> Iterator[tuple[str, Values]]:
    for name, line in server.lines.items():
        inbound = asdict(line.incoming.inbound.counters)
        yield "trunkline_messages_received", (((name,), inbound.pop("messages")),)
        yield "trunkline_inbound", _by_field(name, inbound)
        yield "trunkline_parts", _by_field(name, asdict(line.upstream.counters))
        yield "trunkline_receipts", _by_field(name, asdict(line.incoming.receipts.counters))
        yield "trunkline_upstream_up", (((name,), line.upstream.up),)
        yield "trunkline_upstream_held", (((name,), line.upstream.held),)
    outbound = server.outbound
    yield "trunkline_messages_accepted", _by_leg(outbound.accepted)
    yield "trunkline_messages_refused", _by_leg(outbound.refused)


def _by_leg(counted: Mapping[str, int]) -> Values:
    return [((leg,), count) for leg, count in {**dict.fromkeys(LEGS, 0), **counted}.items()]


def _by_field(name: str, counters: Mapping[str, int]) -> Values:
    return [((name, field), count) for field, count in counters.items()]


def _waiting(server: "TrunklineService") -> Iterator[tuple[str, Values]]:
    depths: Depths = server.depths
    for family, counts in (("parts", depths.parts), ("deliveries", depths.deliveries)):
        yield f"trunkline_{family}_waiting", [((c.kind, c.state), c.rows) for c in counts]
        yield (
            f"trunkline_{family}_oldest_seconds",
            [((c.kind, c.state), depths.age(c.oldest_at)) for c in counts],
        )
    if depths.seconds_old is not None:
        yield "trunkline_depths_age_seconds", _one(depths.seconds_old)


def _deliveries(server: "TrunklineService") -> Iterator[tuple[str, Values]]:
    outbox = server.outbox
    known = dict.fromkeys(product(outbox.handlers, ATTEMPT_RESULTS), 0)
    yield "trunkline_delivery_attempts", list({**known, **outbox.ended}.items())
    yield "trunkline_delivery_faults", _one(outbox.counters.broken)
    yield "trunkline_deliveries_running", _one(outbox.running)
    yield "trunkline_deliveries_in_memory", _one(outbox.waiting)
    yield "trunkline_targets", [((state,), count) for state, count in outbox.target_states().items()]


def _web(server: "TrunklineService") -> Iterator[tuple[str, Values]]:
    yield "trunkline_http_requests", list(server.web.requests.items())
    if server.web.site is not None:
        yield "trunkline_http_connections", _one(server.web.site.connections)
    yield "trunkline_http_client_connections", _one(server.http.pool.connections)


def _sip(server: "TrunklineService") -> Iterator[tuple[str, Values]]:
    if server.sip is None:
        return
    snapshot = server.sip.snapshot()
    yield "trunkline_sip_bindings", [((kind,), count) for kind, count in snapshot.bindings.items()]
    yield "trunkline_sip_transactions", _one(snapshot.transactions)
    for part in SIP_PARTS:
        counters: Any = getattr(snapshot, part)
        yield "trunkline_sip_events", _by_field(part, asdict(counters))
    for trunk in snapshot.trunks:
        yield "trunkline_sip_trunk_up", (((trunk.name,), trunk.registration in ("off", "registered")),)
        servers = {"known": trunk.servers, "failed": trunk.failed_servers}
        yield "trunkline_sip_trunk_servers", _by_field(trunk.name, servers)
        yield "trunkline_sip_trunk_messages", _by_field(trunk.name, asdict(trunk.messages))


def _mail(server: "TrunklineService") -> Iterator[tuple[str, Values]]:
    if server.mail is not None:
        counted = asdict(server.mail.intake.counters)
        yield "trunkline_mail_events", [((event,), count) for event, count in counted.items()]
