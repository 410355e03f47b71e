"""What the code says to the log: every call with an event's name, found in the source."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("edge", "protocols", "storage")
METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
OURS = {"hop": "info", "not_stored": "error"}
"""Functions of ours that take a logger and an event."""
LINES = {"event": 2, "_line": 2}
"""Methods of `edge.log.Output`, and which of their arguments is the event."""


@dataclass(frozen=True)
class LogCall:
    """``event`` is None when it is not written out at the call."""

    module: str
    line: int
    level: str
    event: str | None
    fields: tuple[str, ...]


def log_calls() -> Iterator[LogCall]:
    """All of them, by file and line."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    yield from _read(module, node)


def _read(module: str, call: ast.Call) -> Iterator[LogCall]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    on = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    fields = tuple(keyword.arg for keyword in call.keywords if keyword.arg)
    if name in METHODS and on.rpartition(".")[2] in ("log", "_log"):
        yield LogCall(module, call.lineno, name, _text(call, 0), fields)
    elif name in OURS and len(call.args) > 1:
        yield LogCall(module, call.lineno, OURS[name], _text(call, 1), fields)
    elif name in LINES and module == "edge/log.py" and (event := _text(call, LINES[name])):
        yield LogCall(module, call.lineno, "warning", event, fields)


def _text(call: ast.Call, position: int) -> str | None:
    found = call.args[position] if len(call.args) > position else None
    return found.value if isinstance(found, ast.Constant) and isinstance(found.value, str) else None
