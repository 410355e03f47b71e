"""Writes docs/configuration.md, docs/commands.md, docs/events.md, the diagram in
docs/smpp.md and the console's commands.

It checks the links of every page as well.

`make docs`; a test sees to it that the pages are those of the code.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import click

from edge.cli import trunkline
from edge.config import (
    Config,
    MetricsConfig,
    RouteConfig,
    SimulatorConfig,
    SIPConfig,
    TracingConfig,
    TrunkConfig,
    UpstreamConfig,
)
from edge.config_mail import IMAPConfig, MailConfig
from edge.config_reader import expectation
from edge.console.commands import language
from edge.log_catalog import EVENTS
from edge.reload import LIVE
from edge.web.metrics import metric_names
from protocols.smpp import states

sys.path.insert(0, str(Path(__file__).resolve().parent))
from log_calls import LogCall, log_calls

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
NOTE = "<!-- Written by docs/generate.py: do not edit. -->\n"
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
_KEY = re.compile(r"#([a-z_]+) = (.+)")
_DIAGRAM = re.compile(r"```mermaid\nstateDiagram-v2\n.*?```", re.DOTALL)
_COMMANDS = re.compile(r"<!-- commands:.*?<!-- /commands -->", re.DOTALL)
_TABLE = re.compile(r"#?\[+([a-z.]+)\]+")


SPECIAL: dict[str, Any] = {
    "upstream": UpstreamConfig,
    "route": RouteConfig,
    "metrics": MetricsConfig,
    "tracing": TracingConfig,
    "simulator": SimulatorConfig,
    "sip": SIPConfig,
    "sip.trunk": TrunkConfig,
    "mail": MailConfig,
    "mail.imap": IMAPConfig,
}
"""The tables that are not simply a field of Config: lists, those that may be missing, tables in tables."""


def configuration_page() -> str:
    """Every key with its default, what it takes and what it does: conf/trunkline.toml as tables."""
    lines = [
        NOTE,
        "# Configuration\n",
        "One TOML file; `conf/trunkline.toml` holds every key at its default. `trunkline check-config -c",
        "FILE` says everything that is wrong with a file, one line each: file, key, value, and what was",
        "expected.",
        "",
        "A running server reads its file again at SIGHUP (`systemctl reload`, `trunkline ctl reload`): the",
        "whole file is checked first, and on an error everything stays as it is and the log says why. Then",
        "only what changed is touched: a changed upstream ends what is on the wire and binds anew, the",
        "others do not notice. Renewed certificate files are taken up as well. Keys marked *restart* keep",
        "their old value until one; the reload names those that wait.",
    ]
    table = ""
    for name, key, default, comment in read_conf((ROOT / "conf" / "trunkline.toml").read_text("utf-8")):
        if name != table:
            table = name
            lines += [
                "",
                f"## {_title(name)}",
                "",
                "| key | example or default | takes | | |",
                "|---|---|---|---|---|",
            ]
        takes = expected(name, key).replace("|", "\\|")
        lines.append(
            f"| `{key}` | `{default}` | {takes} | {comment} | {'' if is_live(name, key) else 'restart'} |"
        )
    return "\n".join(lines) + "\n"


def read_conf(text: str) -> Iterator[tuple[str, str, str, str]]:
    """(table, key, default, comment) of each key of the file."""
    table = ""
    comment: list[str] = []
    for line in text.splitlines():
        if found := _TABLE.fullmatch(line):
            table, comment = found[1], []
        elif found := _KEY.fullmatch(line):
            yield table, found[1], found[2], " ".join(comment)
            comment = []
        elif line.startswith("# "):
            comment.append(line[2:])
        elif not line:
            comment = []


def expected(table: str, key: str) -> str:
    """What a key takes, in the words of the error message."""
    kind = SPECIAL.get(table) or get_type_hints(Config)[table]
    return expectation(get_type_hints(kind, include_extras=True)[key])


def is_live(table: str, key: str) -> bool:
    """Does a reload apply it?"""
    name = {"upstream": "upstreams", "route": "routes"}.get(table, table)
    keys = LIVE.get(name, frozenset())
    return keys is None or key in keys


def commands_page() -> str:
    """The help of every command."""
    lines = [NOTE, "# Commands\n"]
    for path, command in sorted(_commands(trunkline, "trunkline")):
        settings = {**trunkline.context_settings, "terminal_width": 100, "max_content_width": 100}
        context = click.Context(command, info_name=path, **settings)
        lines += [f"## {path}\n", "```text", command.get_help(context), "```\n"]
    return "\n".join(lines)


def events_page() -> str:
    """Every event of the log, as the code says it and as the catalogue explains it."""
    calls: dict[str, list[LogCall]] = {}
    for call in log_calls():
        if call.event is not None:
            calls.setdefault(call.event, []).append(call)
    lines = [
        NOTE,
        "# Events of the log\n",
        "One line an event, JSON or text (`log.format`): `time` (UTC), `level`, `logger` (the module),",
        "`event`, and the fields below. The names do not change; fields may be added. With `log.messages`",
        "each message has a line at each hop, with its id. What people wrote is in no line; of telephone",
        "numbers the last two digits stay (`log.mask_numbers`). One event has at most `log.lines_per_minute`",
        "lines. While the whole store is away what cannot be stored is at level debug: `store_unavailable`",
        "says it once.",
        "",
        "| event | level | fields | |",
        "|---|---|---|---|",
    ]
    for event, said in EVENTS.items():
        found = calls.get(event, [])
        levels = ", ".join(dict.fromkeys(call.level.replace("exception", "error") for call in found))
        fields = ", ".join(dict.fromkeys(f"`{field}`" for call in found for field in call.fields))
        lines.append(f"| `{event}` | {levels} | {fields} | {said} |")
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Every metric, with its labels."""
    lines = [
        NOTE,
        "# Metrics\n",
        "At `/metrics` of `metrics.listen`, in Prometheus' text format, beside those of the process",
        "(`process_…`). Labels are names from the configuration and the code: there are only so many.",
        "",
        "| metric | labels | |",
        "|---|---|---|",
    ]
    for name, shown in metric_names().items():
        labels = ", ".join(f"`{label}`" for label in shown.labels)
        lines.append(f"| `{name}` | {labels} | {shown.help} |")
    return "\n".join(lines) + "\n"


def dead_links() -> list[str]:
    """Links between our own pages that lead nowhere."""
    pages = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))]
    return [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in _LINK.findall(page.read_text("utf-8"))
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
    ]


def smpp_page() -> str:
    """docs/smpp.md as it is, its state diagram made anew from the transition table."""
    diagram = f"```mermaid\n{states.diagram()}```"
    return _DIAGRAM.sub(lambda _: diagram, (DOCS / "smpp.md").read_text("utf-8"))


def console_page() -> str:
    """docs/console.md as it is, its table of commands made anew."""
    rows = [f"| `{command.usage}` | {command.help} |" for command in language().commands]
    begin, end = "<!-- commands: written by docs/generate.py -->", "<!-- /commands -->"
    table = "\n".join([begin, "| | |", "|---|---|", *rows, end])
    page = (DOCS / "console.md").read_text("utf-8")
    return _COMMANDS.sub(lambda _: table, page)


PAGES = {
    "events.md": events_page,
    "metrics.md": metrics_page,
    "configuration.md": configuration_page,
    "commands.md": commands_page,
    "smpp.md": smpp_page,
    "console.md": console_page,
}


def main() -> None:
    """Write the pages; exit code 1 when a link is dead."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), "utf-8")
    for link in (dead := dead_links()):
        print(f"dead link in {link}", file=sys.stderr)
    raise SystemExit(bool(dead))


def _title(table: str) -> str:
    return f"[[{table}]]" if table in ("upstream", "route", "sip.trunk") else f"[{table}]"


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _commands(child, f"{path} {name}")
    else:
        yield path, command


if __name__ == "__main__":
    main()
