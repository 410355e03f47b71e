"""/metrics in Prometheus' text format, on a listener of its own: what every bind counts, and everything else.

Labels are names from the configuration and from SMPP, so there are only so many of each: no numbers, no
text, nothing that a person wrote. It has no password, which is why it listens on loopback unless told
otherwise.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from twisted.web.resource import Resource
from twisted.web.server import Site

from edge.figures import FAMILIES, Labels
from edge.metrics import RESPONSE_SECONDS, BindSnapshot

Snapshots = Callable[[], Sequence[BindSnapshot]]
Figures = Callable[[], Mapping[str, Sequence[tuple[Labels, float]]]]
"""The samples of each of `FAMILIES`."""

BOUND = frozenset({"bound_tx", "bound_rx", "bound_trx"})
OF_BIND = ("upstream", "bind")
REQUEST_SECONDS = 10

GAUGES: tuple[tuple[str, str, Callable[[BindSnapshot], float]], ...] = (
    ("bound", "1 while the bind is bound.", lambda bind: bind.state in BOUND),
    ("paused", "1 while the SMSC has asked for a pause.", lambda bind: bind.paused),
    ("window_size", "Requests that may be outstanding.", lambda bind: bind.window),
    ("window_in_use", "Requests that are outstanding.", lambda bind: bind.window_in_use),
)
COUNTERS: tuple[tuple[str, str, Callable[[BindSnapshot], float]], ...] = (
    ("reconnects", "Times that the link was to be made anew.", lambda bind: bind.reconnects),
    ("throttles", "Requests that the SMSC would not take now.", lambda bind: bind.throttles),
    ("requests_overdue", "Requests without an answer in time.", lambda bind: bind.expired),
    ("requests_lost", "Requests whose link ended before their answer.", lambda bind: bind.lost),
    ("responses_late", "Answers to overdue requests.", lambda bind: bind.late),
    ("responses_unknown", "Answers to nothing that was asked.", lambda bind: bind.unknown_responses),
    ("pdus_refused", "PDUs of the SMSC that were wrong or out of place.", lambda bind: bind.refused),
)


class BindCollector:
    """I am asked at each look, so nothing is counted twice on the message path."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client`."""
        binds = self._snapshots()
        for name, said, value in GAUGES:
            gauge = GaugeMetricFamily(f"trunkline_bind_{name}", said, labels=OF_BIND)
            for bind in binds:
                gauge.add_metric(_labels(bind), value(bind))
            yield gauge
        for name, said, value in COUNTERS:
            counter = CounterMetricFamily(f"trunkline_bind_{name}", said, labels=OF_BIND)
            for bind in binds:
                counter.add_metric(_labels(bind), value(bind))
            yield counter
        yield _pdus(binds)
        yield _responses(binds)


def _labels(bind: BindSnapshot) -> list[str]:
    return [bind.name.partition("/")[0], bind.name]


def _pdus(binds: Iterable[BindSnapshot]) -> Metric:
    labels = (*OF_BIND, "direction", "command", "status")
    counter = CounterMetricFamily("trunkline_bind_pdus", "PDUs by command and status.", labels=labels)
    for bind in binds:
        for direction, pdus in (("in", bind.pdus_in), ("out", bind.pdus_out)):
            for (command, status), count in pdus.items():
                counter.add_metric([*_labels(bind), direction, command, status], count)
    return counter


def _responses(binds: Iterable[BindSnapshot]) -> Metric:
    said = "Seconds from a request of ours to its answer."
    histogram = HistogramMetricFamily("trunkline_bind_response_seconds", said, labels=OF_BIND)
    bounds = [*map(str, RESPONSE_SECONDS), "+Inf"]
    for bind in binds:
        buckets = list(zip(bounds, accumulate(bind.response_seconds), strict=True))
        histogram.add_metric(_labels(bind), buckets, sum_value=bind.response_seconds_sum)
    return histogram


class FigureCollector:
    """I am asked at each look too."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client`."""
        found = self._figures()
        for name, family in FAMILIES.items():
            kind = GaugeMetricFamily if family.kind == "gauge" else CounterMetricFamily
            metric = kind(name, family.help, labels=family.labels)
            for labels, value in found.get(name, ()):
                metric.add_metric(labels, value)
            yield metric


@dataclass(frozen=True, slots=True)
class Shown:
    """What is said of a sample's name: its help and its labels."""

    help: str
    labels: Labels


ENDINGS: Mapping[str, Mapping[str, Labels]] = {
    "gauge": {"": ()},
    "counter": {"_total": ()},
    "histogram": {"_bucket": ("le",), "_sum": (), "_count": ()},
}
"""What Prometheus adds to a name, and to the labels there, by the kind of the metric."""


def metric_names() -> dict[str, Shown]:
    """Every sample's name that a server of ours may show; those of the process apart."""
    collectors = BindCollector(lambda: ()), FigureCollector(dict)
    names = {}
    for metric in (metric for collector in collectors for metric in collector.collect()):
        labels: Labels = tuple(getattr(metric, "_labelnames"))  # noqa: B009  (it has no other)
        for ending, more in ENDINGS[metric.type].items():
            names[metric.name + ending] = Shown(metric.documentation, (*labels, *more))
    return names


class MetricsPage(Resource):
    """I answer every request, so that none gets a page of Twisted's."""

    isLeaf = True

    def __init__(self, snapshots: Snapshots, figures: Figures) -> None:
        super().__init__()
        self._registry = CollectorRegistry()
        self._registry.register(BindCollector(snapshots))
        self._registry.register(FigureCollector(figures))
        ProcessCollector(registry=self._registry)

    def render(self, request: Any) -> bytes:
        """The page as of now, to GET and HEAD."""
        if request.path != b"/metrics":
            return _refused(request, 404, b"There is /metrics and nothing else.\n")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return _refused(request, 405, b"Only GET and HEAD.\n")
        request.setHeader(b"content-type", CONTENT_TYPE_LATEST.encode())
        request.setHeader(b"cache-control", b"no-store")
        return generate_latest(self._registry)


def _refused(request: Any, status: int, sentence: bytes) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return sentence


class MetricsSite(Site):
    """/metrics and nothing else, without an access log: it would be most of the log."""

    def __init__(self, snapshots: Snapshots, reactor: Any, figures: Figures = dict) -> None:
        super().__init__(MetricsPage(snapshots, figures), timeout=REQUEST_SECONDS, reactor=reactor)

    def startFactory(self) -> None:
        """Twisted would begin its access log here."""

    def stopFactory(self) -> None:
        """And end it here."""

    def log(self, request: Any) -> None:
        """Nothing."""
