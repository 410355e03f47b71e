"""/metrics in Prometheus' text format, on a listener of its own: what every bind counts, and mail.

Labels are names from the configuration and from SMPP, so there are only so many of each: no numbers, no
text, nothing that a person wrote. It has no password, which is why it listens on loopback unless told
otherwise.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from twisted.web.resource import Resource
from twisted.web.server import Site

from edge.metrics import RESPONSE_SECONDS, BindSnapshot

Snapshots = Callable[[], Sequence[BindSnapshot]]

BOUND = frozenset({"bound_tx", "bound_rx", "bound_trx"})
OF_BIND = ("upstream", "bind")
REQUEST_SECONDS = 10

_GAUGES: tuple[tuple[str, str, Callable[[BindSnapshot], float]], ...] = (
    ("bound", "1 while the bind is bound.", lambda bind: bind.state in BOUND),
    ("paused", "1 while the SMSC has asked for a pause.", lambda bind: bind.paused),
    ("window_size", "Requests that may be outstanding.", lambda bind: bind.window),
    ("window_in_use", "Requests that are outstanding.", lambda bind: bind.window_in_use),
)
_COUNTERS: tuple[tuple[str, str, Callable[[BindSnapshot], float]], ...] = (
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
        for name, said, value in _GAUGES:
            gauge = GaugeMetricFamily(f"trunkline_bind_{name}", said, labels=OF_BIND)
            for bind in binds:
                gauge.add_metric(_labels(bind), value(bind))
            yield gauge
        for name, said, value in _COUNTERS:
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


class MailCollector:
    """What became of the mails that came in."""

    def __init__(self, counts: Callable[[], Iterable[tuple[str, int]]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client`."""
        said = "Mails that came in, for each recipient, by what became of them."
        counter = CounterMetricFamily("trunkline_mail_in", said, labels=("outcome",))
        for outcome, count in self._counts():
            counter.add_metric([outcome], count)
        yield counter


class MetricsPage(Resource):
    """I answer every request, so that none gets a page of Twisted's."""

    isLeaf = True

    def __init__(self, collectors: Iterable[Any]) -> None:
        super().__init__()
        self._registry = CollectorRegistry()
        for collector in collectors:
            self._registry.register(collector)

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

    def __init__(self, reactor: Any, *collectors: Any) -> None:
        super().__init__(MetricsPage(collectors), timeout=REQUEST_SECONDS, reactor=reactor)

    def startFactory(self) -> None:
        """Twisted would begin its access log here."""

    def stopFactory(self) -> None:
        """And end it here."""

    def log(self, request: Any) -> None:
        """Nothing."""
