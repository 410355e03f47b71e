"""Prometheus' page, as Prometheus' own parser reads it."""

from collections.abc import Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from edge.cli.binds import read
from edge.metrics import RESPONSE_SECONDS, BindSnapshot
from edge.web.metrics import MetricsSite, metric_names

SNAPSHOT = BindSnapshot(
    name="carrier/transceiver/2",
    kind="transceiver",
    state="bound_trx",
    paused=True,
    window=50,
    window_in_use=7,
    reconnects=3,
    throttles=4,
    pdus_in=MappingProxyType({("submit_sm_resp", "ESME_ROK"): 8, ("submit_sm_resp", "ESME_RTHROTTLED"): 2}),
    pdus_out=MappingProxyType({("submit_sm", "ESME_ROK"): 10}),
    expired=5,
    late=6,
    lost=9,
    refused=11,
    unknown_responses=12,
    response_seconds=(1, 0, 2, *[0] * (len(RESPONSE_SECONDS) - 3), 4),
    response_seconds_sum=250.5,
)


def ask(
    *snapshots: BindSnapshot,
    request: bytes = b"GET /metrics HTTP/1.1",
    figures: Mapping[str, Sequence[tuple[tuple[str, ...], float]]] = MappingProxyType({}),
) -> tuple[bytes, str]:
    """Status line and headers, and the body."""
    site: Any = MetricsSite(lambda: snapshots, Clock(), lambda: figures)
    channel = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
    transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 1))
    channel.makeConnection(transport)
    channel.dataReceived(request + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = transport.value().partition(b"\r\n\r\n")
    return head, body.decode()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_count_is_there_under_its_right_name() -> None:
    head, text = ask(SNAPSHOT)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"text/plain; version=" in head
    found = samples(text)
    labels = {("upstream", "carrier"), ("bind", "carrier/transceiver/2")}

    def value(name: str, **more: str) -> float:
        return found[f"trunkline_bind_{name}", frozenset(labels | set(more.items()))]

    gauges = ("bound", "paused", "window_size", "window_in_use")
    assert [value(name) for name in gauges] == [1, 1, 50, 7]
    counters = (
        "reconnects",
        "throttles",
        "requests_overdue",
        "responses_late",
        "requests_lost",
        "pdus_refused",
        "responses_unknown",
    )
    assert [value(f"{name}_total") for name in counters] == [3, 4, 5, 6, 9, 11, 12]
    assert value("pdus_total", direction="in", command="submit_sm_resp", status="ESME_RTHROTTLED") == 2
    assert value("pdus_total", direction="out", command="submit_sm", status="ESME_ROK") == 10
    assert value("response_seconds_bucket", le="0.005") == 1
    assert value("response_seconds_bucket", le="0.025") == 3
    assert value("response_seconds_bucket", le="60.0") == 3
    assert value("response_seconds_bucket", le="+Inf") == 7
    assert (value("response_seconds_count"), value("response_seconds_sum")) == (7, 250.5)


def test_the_kinds_of_the_metrics_are_declared() -> None:
    kinds = {family.name: family.type for family in text_string_to_metric_families(ask(SNAPSHOT)[1])}
    assert set(kinds.values()) == {"gauge", "counter", "histogram"}
    assert kinds["trunkline_bind_response_seconds"] == "histogram"
    assert kinds["trunkline_bind_pdus"] == "counter"
    assert len([name for name in kinds if name.startswith("trunkline_bind_")]) == 13


def test_without_binds_there_is_a_page_too() -> None:
    head, text = ask()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert {name for name, _ in samples(text) if not name.startswith("process_")} == set()


def test_the_figures_of_the_server_are_there_under_their_names() -> None:
    _, text = ask(figures={"trunkline_parts": [(("carrier", "sent"), 7)], "trunkline_ready": [((), 1)]})
    found = samples(text)
    assert found["trunkline_parts_total", frozenset({("upstream", "carrier"), ("result", "sent")})] == 7
    assert found["trunkline_ready", frozenset()] == 1


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"GET / HTTP/1.1", 404), (b"GET /v1/messages HTTP/1.1", 404), (b"POST /metrics HTTP/1.1", 405)],
)
def test_there_is_nothing_else(request_line: bytes, status: int) -> None:
    assert ask(SNAPSHOT, request=request_line)[0].startswith(b"HTTP/1.1 %d " % status)


def test_each_sample_has_the_labels_that_are_documented() -> None:
    """docs/metrics.md and the check of the alert rules are made from `metric_names`."""
    _, text = ask(SNAPSHOT, figures={"trunkline_parts": [(("carrier", "sent"), 7)]})
    names = metric_names()
    seen = {}
    for name, labels in samples(text):
        if not name.startswith("process_"):
            seen[name] = {label for label, _ in labels}
            assert seen[name] == set(names[name].labels), name
    assert seen["trunkline_bind_pdus_total"] == {"upstream", "bind", "direction", "command", "status"}
    assert "le" in seen["trunkline_bind_response_seconds_bucket"]


def test_the_command_reads_it_by_bind() -> None:
    found = read(ask(SNAPSHOT)[1])
    of = found["carrier/transceiver/2"]
    assert (of["bound"], of["submit_sm"], of["submit_sm_resp"], of["throttles_total"]) == (1, 10, 10, 4)
    assert inf not in of.values()
