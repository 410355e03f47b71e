"""Spans: one trace a message, what they say, what they do not, and a collector that takes nothing."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from io import BytesIO
from threading import Event
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from structlog.testing import capture_logs

from edge import config_tracing, hops, log
from edge.config import ConfigError, LogConfig, TracingConfig, parse
from edge.tracing import Tracing
from tests.logs import own_log

NOW = 1_900_000_000_000
DID, PEER = "+12025550100", "+12025550150"


class Rig:
    """A tracing whose spans stay in memory."""

    def __init__(self, exporter: SpanExporter | None = None, **config: Any) -> None:
        self.kept = InMemorySpanExporter()
        self.now_ms = NOW
        self.tracing = Tracing(TracingConfig(**config), 3, lambda: self.now_ms, exporter or self.kept)

    def spans(self) -> tuple[ReadableSpan, ...]:
        self.tracing._provider.force_flush()
        return self.kept.get_finished_spans()


@pytest.fixture(autouse=True)
def configured() -> Iterator[None]:
    with own_log(lambda: NOW):
        log.configure(LogConfig(), BytesIO())
        yield
    hops.tracing = None


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.tracing._provider.shutdown()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_all_hops_of_a_message_are_one_trace(rig: Rig) -> None:
    hops.tracing = rig.tracing
    logger = structlog.get_logger("edge.test")
    hops.hop(logger, "message_accepted", NOW - 5, message=7, leg="api", did=DID, peer=PEER, parts=1)
    rig.now_ms += 100
    hops.hop(logger, "message_sent", NOW + 40, message=7, part=70, smsc_message_id="a1f")
    hops.hop(logger, "message_reported", NOW + 99, message=7, part=70, state="DELIVERED", error=None)
    hops.hop(logger, "message_received", NOW, message=8, did=DID, peer=PEER, parts=1)
    first, sent, told, other = rig.spans()
    assert [span.name for span in (first, sent, told)] == [
        "message_accepted",
        "message_sent",
        "message_reported",
    ]
    root, context = first.context, other.context
    assert root is not None
    assert context is not None
    assert f"{root.trace_id:032x}" == rig.tracing.trace_of(7) != rig.tracing.trace_of(8)
    assert f"{context.trace_id:032x}" == rig.tracing.trace_of(8)
    assert first.parent is None
    for span in (sent, told):
        assert span.parent is not None
        assert (span.parent.trace_id, span.parent.span_id) == (root.trace_id, root.span_id)
    assert len({span.context.span_id for span in (first, sent, told, other) if span.context}) == 4
    assert (first.start_time, first.end_time) == ((NOW - 5) * 10**6, NOW * 10**6)
    assert (sent.start_time, sent.end_time) == ((NOW + 40) * 10**6, (NOW + 100) * 10**6)
    assert attributes(sent) == {
        "messaging.system": "sms",
        "messaging.message.id": "7",
        "trunkline.part": 70,
        "trunkline.smsc_message_id": "a1f",
    }
    assert dict(first.resource.attributes)["service.name"] == "trunkline"
    assert dict(first.resource.attributes)["service.instance.id"] == "3"


def test_two_servers_agree_on_the_trace(rig: Rig) -> None:
    """The one that stores a message and the one that sends it."""
    other = Rig()
    rig.tracing.span("message_received", NOW, message=9, did=DID, peer=PEER)
    other.tracing.span("delivery_attempted", NOW, message=9, state="delivered", handler="callback")
    (first,), (then,) = rig.spans(), other.spans()
    assert first.context is not None
    assert then.parent is not None
    assert (first.context.trace_id, first.context.span_id) == (then.parent.trace_id, then.parent.span_id)
    other.tracing._provider.shutdown()


def test_numbers_are_masked_as_the_log_masks_them(rig: Rig) -> None:
    rig.tracing.span("message_received", NOW, message=7, did=DID, peer=PEER)
    log.configure(LogConfig(mask_numbers=False), BytesIO())
    rig.tracing.span("message_received", NOW, message=8, did=DID, peer=PEER)
    masked, open_ = rig.spans()
    assert [attributes(masked)[f"trunkline.{key}"] for key in ("did", "peer")] == ["***00", "***50"]
    assert [attributes(open_)[f"trunkline.{key}"] for key in ("did", "peer")] == [DID, PEER]


@pytest.mark.parametrize(
    ("event", "fields", "failed"),
    [
        ("message_sent", {}, False),
        ("submit_refused", {"status": "ESME_RTHROTTLED"}, True),
        ("delivery_attempted", {"state": "delivered"}, False),
        ("delivery_attempted", {"state": "pending", "outcome": "timeout"}, True),
        ("delivery_attempted", {"state": "failed"}, True),
        ("message_reported", {"state": "DELIVERED"}, False),
        ("message_reported", {"state": "ENROUTE"}, False),
        ("message_reported", {"state": "UNDELIVERABLE"}, True),
    ],
)
def test_what_went_wrong_is_an_error(rig: Rig, event: str, fields: dict[str, Any], failed: bool) -> None:
    rig.tracing.span(event, NOW, message=7, **fields)
    (span,) = rig.spans()
    assert (span.status.status_code is StatusCode.ERROR) == failed


def test_what_belongs_to_no_message_has_no_span(rig: Rig) -> None:
    rig.tracing.span("message_reported", NOW, message=None, part=None, state="DELIVERED")
    assert rig.spans() == ()


def test_a_sample_has_all_hops_of_a_message_or_none() -> None:
    rig = Rig(sample=0.5)
    for message in range(1, 401):
        rig.tracing.span("message_accepted", NOW, message=message, leg="api")
        rig.tracing.span("message_sent", NOW, message=message, part=1)
    of: dict[int, list[ReadableSpan]] = {}
    for span in rig.spans():
        assert span.context is not None
        of.setdefault(span.context.trace_id, []).append(span)
    assert 100 < len(of) < 300
    assert all(len(spans) == 2 for spans in of.values())
    for first, second in of.values():
        assert first.context is not None
        assert second.parent is not None
        assert first.context.span_id == second.parent.span_id
    rig.tracing._provider.shutdown()


class Stuck(SpanExporter):
    """A collector that does not answer until it is let."""

    def __init__(self) -> None:
        self.asked, self.let = Event(), Event()
        self.result = SpanExportResult.SUCCESS

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        assert self.let.wait(60)
        if self.result is SpanExportResult.FAILURE:
            raise ConnectionError("refused")
        return self.result


def test_what_a_slow_collector_does_not_take_is_dropped_and_counted() -> None:
    stuck = Stuck()
    rig = Rig(stuck, queue=10)
    for message in range(1, 51):
        rig.tracing.span("message_sent", NOW, message=message, part=1)
    assert stuck.asked.wait(60)
    counters = rig.tracing.counters
    assert (counters.made, counters.dropped, counters.exported) == (10, 40, 0)
    stuck.let.set()
    rig.tracing._provider.force_flush()
    assert counters.exported == 10
    rig.tracing.span("message_sent", NOW, message=51, part=1)
    rig.tracing._provider.shutdown()
    assert (counters.made, counters.exported, counters.failed) == (11, 11, 0)


def test_a_collector_that_takes_nothing_is_told_once() -> None:
    stuck = Stuck()
    stuck.let.set()
    rig = Rig(stuck)
    with capture_logs() as lines:
        for result in (SpanExportResult.FAILURE, SpanExportResult.FAILURE, SpanExportResult.SUCCESS):
            stuck.result = result
            rig.tracing.span("message_sent", NOW, message=1, part=1)
            rig.tracing._provider.force_flush()
    assert [line["event"] for line in lines] == ["spans_not_taken", "spans_taken_again"]
    assert "refused" in lines[0]["error"]
    assert (rig.tracing.counters.failed, rig.tracing.counters.exported) == (2, 1)
    rig.tracing._provider.shutdown()


def test_nothing_of_it_is_imported_when_it_is_off() -> None:
    program = (
        "import edge.tap, edge.service, edge.cli, sys;"
        "print([name for name in sys.modules if name.partition('.')[0] in ('opentelemetry', 'requests')])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    text = b'[tracing]\nauthorization = "Bearer x"\nsample = 0.1\n'
    found = parse(text, tmp_path / "t.toml", {}).tracing
    assert found is not None
    assert found.authorization is not None
    assert (found.authorization.reveal(), found.sample) == ("Bearer x", 0.1)
    assert parse(b"", tmp_path / "t.toml", {}).tracing is None
    monkeypatch.setattr(config_tracing, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs trunkline\[otel\]"):
        parse(b'[tracing]\nendpoint = "http://127.0.0.1:4318/v1/traces"\n', tmp_path / "t.toml", {})
