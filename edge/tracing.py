"""Spans for OpenTelemetry, sent to a collector over OTLP/HTTP: one for each hop of a message.

All spans of a message are one trace, whose id is made of the message's: whoever has the one finds the other,
and the servers of one store agree on it without a word. The span of the hop that stored the message is the
parent of the others.

Imported only when there is a [tracing] table: it needs `trunkline[otel]`.
"""

import logging as standard_logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

from edge import __version__
from edge import log as logging
from edge.config_tracing import TracingConfig

log = structlog.get_logger(__name__)

BATCH = 512
EVERY_MS = 2_000
EXPORT_SECONDS = 5.0  # one request to the collector with all its repeats
ROOTS = frozenset({"message_received", "message_accepted"})
"""The hops that store a message."""
KINDS = {
    "message_received": SpanKind.CONSUMER,
    "message_accepted": SpanKind.SERVER,
    "message_sent": SpanKind.CLIENT,
    "submit_refused": SpanKind.CLIENT,
    "message_reported": SpanKind.CONSUMER,
    "delivery_attempted": SpanKind.CLIENT,
}
LOST = frozenset({"UNDELIVERABLE", "REJECTED", "EXPIRED", "DELETED"})
"""States of a receipt by which nobody got the message."""


@dataclass(slots=True)
class Counters:
    """Spans since the start. ``made`` are those that the collector is to get; ``dropped`` found no room."""

    made: int = 0
    dropped: int = 0
    exported: int = 0
    failed: int = 0


class Tracing:
    """I make spans, from the reactor's thread, and hand them to a thread that sends them in batches.

    At most ``config.queue`` are kept: what a slow collector does not take in time is dropped and counted.
    """

    def __init__(
        self,
        config: TracingConfig,
        node: int,
        wall_ms: Callable[[], int],
        exporter: SpanExporter | None = None,
    ) -> None:
        self.counters = Counters()
        self._queue = config.queue
        self._wall_ms = wall_ms
        self._ids = _Ids()
        resource = {
            "service.name": config.service,
            "service.version": __version__,
            "service.instance.id": str(node),
        }
        self._provider = TracerProvider(
            sampler=TraceIdRatioBased(config.sample),
            resource=Resource.create(resource),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        told = _Told(exporter or _exporter(config), self.counters)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                told,
                max_queue_size=config.queue,
                schedule_delay_millis=EVERY_MS,
                max_export_batch_size=min(BATCH, config.queue),
            )
        )
        self._tracer = self._provider.get_tracer("trunkline", __version__)

    def span(self, event: str, began_ms: int | None, *, message: int | None, **fields: Any) -> None:
        """A hop of this message, which ends now; without a message there is nothing that it belongs to."""
        if message is None:
            return
        trace_id, root_id = _ids_of(message)
        now_ns = self._wall_ms() * 1_000_000
        span = self._tracer.start_span(
            event,
            self._ids.give(trace_id, root_id) if event in ROOTS else _under(trace_id, root_id),
            KINDS[event],
            start_time=now_ns if began_ms is None else min(began_ms * 1_000_000, now_ns),
        )
        if not span.is_recording():
            return
        if self._waiting >= self._queue:
            self.counters.dropped += 1
            return
        self.counters.made += 1
        span.set_attributes(_attributes(message, fields))
        if _failed(event, fields):
            span.set_status(StatusCode.ERROR)
        span.end(now_ns)

    @staticmethod
    def trace_of(message: int) -> str:
        """The id of a message's trace, as collectors show it."""
        return f"{_ids_of(message)[0]:032x}"

    @property
    def _waiting(self) -> int:
        """Spans that the collector has neither taken nor refused."""
        counters = self.counters
        return counters.made - counters.exported - counters.failed

    def close(self, reactor: IReactorFromThreads) -> Deferred[None]:
        """Send what waits. Takes as long as the collector does: whoever waits for it gives it a time."""
        done: Deferred[None] = Deferred()

        def close() -> None:
            self._provider.shutdown()
            reactor.callFromThread(done.callback, None)

        # Not the reactor's pool: its threads are waited for at the end, however long they take.
        threading.Thread(target=close, name="tracing-end", daemon=True).start()
        return done


def _ids_of(message: int) -> tuple[int, int]:
    """The trace's id (128 bits), and that of its first span (64): neither is ever 0, but by a miracle."""
    digest = blake2b(str(message).encode(), digest_size=24, person=b"trunkline").digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:])


class _Ids(IdGenerator):
    """The ids of the span that is begun next: given ones once, else its own."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self._given: tuple[int, int] | None = None

    def give(self, trace_id: int, span_id: int) -> Context:
        """The next span has these, and no parent."""
        self._given = trace_id, span_id
        return Context()

    def generate_trace_id(self) -> int:
        """See `IdGenerator`."""
        return self._random.generate_trace_id() if self._given is None else self._given[0]

    def generate_span_id(self) -> int:
        """See `IdGenerator`; the SDK asks for it once for each span."""
        given, self._given = self._given, None
        return self._random.generate_span_id() if given is None else given[1]


def _under(trace_id: int, root_id: int) -> Context:
    parent = SpanContext(trace_id, root_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _attributes(message: int, fields: dict[str, Any]) -> dict[str, Any]:
    """Those of OpenTelemetry's conventions for messaging, and ours, with the log's mask on numbers."""
    ours = logging.output.masked(fields)
    named = {f"trunkline.{key}": _value(value) for key, value in ours.items() if value is not None}
    return {"messaging.system": "sms", "messaging.message.id": str(message), **named}


def _value(value: object) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)


def _failed(event: str, fields: dict[str, Any]) -> bool:
    match event:
        case "submit_refused":
            return True
        case "delivery_attempted":
            return bool(fields["state"] != "delivered")
        case "message_reported":
            return fields["state"] in LOST
        case _:
            return False


def _exporter(config: TracingConfig) -> SpanExporter:
    # Its own words about a collector that is away would come with each batch: we say it once.
    standard_logging.getLogger("opentelemetry").setLevel(standard_logging.CRITICAL)
    secret = config.authorization
    headers = {} if secret is None else {"Authorization": secret.reveal()}
    return OTLPSpanExporter(endpoint=config.endpoint, headers=headers, timeout=EXPORT_SECONDS)


class _Told(SpanExporter):
    """An exporter that counts, and says once that it fails and once that it does no more."""

    def __init__(self, exporter: SpanExporter, counters: Counters) -> None:
        self._exporter = exporter
        self._counters = counters
        self._away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See `SpanExporter`."""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # the exporter's own fault: spans are lost, and nothing else
            result, why = SpanExportResult.FAILURE, repr(error)
        else:
            why = "the collector takes nothing"
        if result is SpanExportResult.SUCCESS:
            self._counters.exported += len(spans)
            if self._away:
                log.info("spans_taken_again")
        else:
            self._counters.failed += len(spans)
            if not self._away:
                log.warning("spans_not_taken", error=why)
        self._away = result is not SpanExportResult.SUCCESS
        return result

    def shutdown(self) -> None:
        """See `SpanExporter`."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See `SpanExporter`."""
        return self._exporter.force_flush(timeout_millis)
