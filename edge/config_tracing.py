"""The table of OpenTelemetry's spans."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated
from urllib.parse import urlsplit

from edge.config_reader import Check, Secret, at_least, between, matching

EXPORTER = "opentelemetry.exporter.otlp.proto.http"


def _is_collector(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and find_spec(EXPORTER) is not None
    except (ValueError, ModuleNotFoundError):
        return False


Collector = Annotated[
    str,
    Check('a URL such as "http://127.0.0.1:4318/v1/traces" (which needs trunkline[otel])', _is_collector),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingConfig:
    """Spans for OpenTelemetry, over OTLP/HTTP. ``authorization`` is the header of that name; ``sample`` the
    share of messages that have them, all of their hops or none; ``queue`` how many wait for a slow
    collector."""

    endpoint: Collector = "http://127.0.0.1:4318/v1/traces"
    authorization: Secret | None = None
    sample: Annotated[float, between(0, 1)] = 1.0
    queue: Annotated[int, at_least(1)] = 2_048
    service: Annotated[str, matching(r"[!-~]{1,100}", "a name without spaces")] = "trunkline"
