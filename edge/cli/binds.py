"""trunkline binds: the links of the server that runs now."""

import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import click
from prometheus_client.parser import text_string_to_metric_families

from edge.cli.common import Failed, config_option, json_option, load, say
from edge.tabular import table

TIMEOUT_SECONDS = 5.0
PREFIX = "trunkline_bind_"


@click.command()
@config_option
@json_option
def binds(config_file: Path, as_json: bool) -> None:
    """Show the binds of the running server, as its metrics have them."""
    config = load(config_file)
    if config.metrics is None:
        raise Failed(f"{config_file} has no [metrics] table: the server tells nothing of its binds.")
    found = read(page(f"http://{config.metrics.listen}/metrics"))
    rows = [("bind", "bound", "paused", "window", "submitted", "delivered", "reconnects", "throttles")]
    rows += [
        (
            name,
            "yes" if of["bound"] else "no",
            "yes" if of["paused"] else "no",
            f"{of['window_in_use']:.0f}/{of['window_size']:.0f}",
            f"{of['submit_sm']:.0f}",
            f"{of['deliver_sm']:.0f}",
            f"{of['reconnects_total']:.0f}",
            f"{of['throttles_total']:.0f}",
        )
        for name, of in found.items()
    ]
    say(as_json, table(rows), [{"bind": name, **of} for name, of in found.items()])


def page(url: str) -> str:
    """The metrics of a server on this machine; no proxy is asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
            text: str = answer.read().decode()
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise Failed(f"{url} does not answer ({reason}): is the server running?") from error
    return text


def read(text: str) -> Mapping[str, Mapping[str, float]]:
    """By bind: its values by the names of the metrics, and how many PDUs of each command went or came."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if "le" in sample.labels or "bind" not in sample.labels:
                continue
            of = found.setdefault(sample.labels["bind"], defaultdict(float))
            of[sample.labels.get("command") or sample.name.removeprefix(PREFIX)] += sample.value
    return found
