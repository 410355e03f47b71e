"""The log: one line an event, JSON or text, from structlog, twisted.logger and logging alike.

A log that cannot be written (disk full, pipe closed) costs lines,
which are counted, and never the service.
"""

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

import structlog
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.components import Componentized
from zope.interface import implementer

from edge.config import LogConfig
from edge.log_lines import json_line, text_line
from edge.log_masking import masked_fields
from edge.log_rate import EventRate
from edge.wallclock import wall_ms

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40
LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR, "critical": ERROR}
KEPT_LINES = 1_000
_NAMES = {DEBUG: "debug", INFO: "info", WARNING: "warning", ERROR: "error"}


def open_file(name: str) -> BinaryIO:
    """The file of the log, for its end; a folder of it that is below ours is made. Raises OSError."""
    path = Path(name)
    if not path.is_absolute():
        path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab", buffering=0)


class Output:
    """I write lines. One of me serves the whole process; `configure` tells me how.

    ``messages``: whether each message gets a line at each hop. ``lost`` counts lines that could not be
    written, ``suppressed`` those of events that had too many.
    """

    def __init__(self, wall_ms: Callable[[], int], seconds: Callable[[], float] = time.monotonic) -> None:
        self.level = INFO
        self.messages = False
        self.lost = 0
        self.suppressed = 0
        self._masks = True
        self._rate = EventRate(seconds)
        self._wall_ms = wall_ms
        self._stream: BinaryIO | None = None
        self._file: BinaryIO | None = None
        self._render = json_line
        self._lock = threading.Lock()
        self._torn = False
        self._last: deque[str] = deque(maxlen=KEPT_LINES)
        self._second = -1
        self._second_text = ""

    def open(self, config: LogConfig, stdout: BinaryIO) -> None:
        """Begin to write as ``config`` says; a file is opened afresh, so a rotated one is let go."""
        fresh = open_file(config.file) if config.file else None
        with self._lock:
            stale, self._file = self._file, fresh
            self._stream = fresh or stdout
            self._torn = False
            self._render = json_line if config.format == "json" else text_line
            self.level = LEVELS[config.level]
            self.messages = config.messages
            self._masks = config.mask_numbers
            self._rate.most = config.lines_per_minute
        if stale is not None:
            stale.close()

    def event(self, level: int, logger: str, event: str, fields: Mapping[str, object]) -> None:
        """Write one event, unless its level is below the one wanted."""
        if level < self.level:
            return
        with self._lock:
            over, admitted = self._rate.over(), self._rate.admits(event)
            self.suppressed += not admitted
        for name, lines in over.items():
            self._line(WARNING, __name__, "log_suppressed", {"suppressed": name, "lines": lines})
        if admitted:
            self._line(level, logger, event, fields)

    def masked(self, fields: Mapping[str, object]) -> Mapping[str, object]:
        """As they may be seen: with numbers masked, unless the configuration says otherwise."""
        return masked_fields(fields) if self._masks else fields

    def _line(self, level: int, logger: str, event: str, fields: Mapping[str, object]) -> None:
        fields = self.masked(fields)
        line = {"time": self._now(), "level": _NAMES[level], "logger": logger, "event": event, **fields}
        self._write(self._render(line))

    def last(self, count: int) -> list[str]:
        """The newest of the last KEPT_LINES lines, the newest at the end."""
        return list(self._last)[-count:] if count > 0 else []

    def _write(self, line: str) -> None:
        self._last.append(line)
        data = line.encode() + b"\n"
        with self._lock:
            if self._stream is None:
                return
            if self._torn:  # what a full disk left of a line must not spoil the next one
                data = b"\n" + data
            try:
                count = self._written(self._stream, data)
                self._stream.flush()
            except (OSError, ValueError):
                self.lost += 1
                return
            self.lost += count < len(data)
            if count:
                self._torn = count < len(data)

    def _written(self, stream: Any, data: bytes) -> int:
        """How many octets went out: a file without a buffer may take fewer, and only this says so."""
        count = stream.write(data)
        return 0 if count is None else int(count)  # None: a pipe that takes nothing now

    def _now(self) -> str:
        second, millisecond = divmod(self._wall_ms(), 1000)
        if second != self._second:
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second
        return f"{self._second_text}.{millisecond:03d}Z"


output = Output(wall_ms)


def configure(config: LogConfig, stdout: BinaryIO | None = None) -> None:
    """Send everything that is logged in this process to one place. May be called again, after a change."""
    # Not sys.stdout: Twisted puts its own log there.
    output.open(config, stdout or cast(TextIO, sys.__stdout__).buffer)
    structlog.configure(
        processors=[structlog.processors.format_exc_info, hand_over],
        wrapper_class=Logger,
        logger_factory=Destination,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    if not any(isinstance(handler, StandardHandler) for handler in root.handlers):
        root.addHandler(StandardHandler())
    root.setLevel(DEBUG if output.level == DEBUG else WARNING)


def observe(parent: object) -> None:
    """Have `twistd` write its own and Twisted's log to our place: for the service when it gets its parent."""
    if isinstance(parent, Componentized):
        parent.setComponent(ILogObserver, TwistedObserver())


# -- structlog ----------------------------------------------------------------------------------------------


class Destination:
    """What structlog calls a logger: the name of the module that speaks."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def write(self, level: int, event: str, fields: dict[str, object]) -> None:
        """The end of the chain of processors."""
        output.event(level, self.name, event, fields)

    debug = info = warning = error = critical = write


class Logger(structlog.BoundLoggerBase):
    """The logger of a module. A level that is not wanted costs one comparison."""

    def debug(self, event: str, **fields: object) -> Any:
        """For those who look for a fault."""
        if output.level <= DEBUG:
            return self._proxy_to_logger("debug", event, **fields)
        return None

    def info(self, event: str, **fields: object) -> Any:
        """Life events."""
        if output.level <= INFO:
            return self._proxy_to_logger("info", event, **fields)
        return None

    def warning(self, event: str, **fields: object) -> Any:
        """Something is wrong, and is being coped with."""
        if output.level <= WARNING:
            return self._proxy_to_logger("warning", event, **fields)
        return None

    def error(self, event: str, **fields: object) -> Any:
        """Something is wrong, and somebody must look."""
        return self._proxy_to_logger("error", event, **fields)

    def exception(self, event: str, **fields: object) -> Any:
        """An error with the traceback of the exception being handled."""
        return self._proxy_to_logger("error", event, **{"exc_info": True, **fields})


def hand_over(_: object, method: str, event_dict: Any) -> Any:
    """The last processor: what `Destination.write` is called with."""
    event = event_dict.pop("event", "")
    return (LEVELS[method], event, event_dict), {}


# -- the other two ------------------------------------------------------------------------------------------


@implementer(ILogObserver)
class TwistedObserver:
    """I take what twisted.logger publishes. Twisted's own notices of success are for debugging only."""

    def __call__(self, event: LogEvent) -> None:
        """See `ILogObserver`."""
        level = {LogLevel.debug: DEBUG, LogLevel.info: INFO, LogLevel.warn: WARNING}.get(
            event.get("log_level", LogLevel.info), ERROR
        )
        if level == INFO and "log_io" not in event:
            level = DEBUG
        if level < output.level:
            return
        fields: dict[str, object] = {"message": event["log_io"] if "log_io" in event else formatEvent(event)}
        failure = event.get("log_failure")
        if failure is not None:
            fields["exception"] = failure.getTraceback()
        output.event(level, str(event.get("log_namespace", "twisted")), "twisted", fields)


class StandardHandler(logging.Handler):
    """For libraries that use the standard library's logging; their notices are for debugging only."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        fields: dict[str, object] = {"message": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = logging.Formatter().formatException(record.exc_info)
        level = DEBUG if record.levelno < WARNING else min(record.levelno // 10 * 10, ERROR)
        output.event(level, record.name, "logging", fields)
