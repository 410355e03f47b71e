"""The log: three sources, one output, nothing that misleads the eye."""

import errno
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from twisted.application.service import Application
from twisted.logger import ILogObserver, LogLevel
from twisted.python.failure import Failure

from edge import log
from edge.config import LogConfig, parse
from edge.hops import hop
from edge.log_lines import json_line, text_line
from edge.log_masking import masked
from tests.logs import own_log

AT_MS = 1_900_000_000_123
HEAD = {"time": "2030-03-17T17:46:40.123Z", "level": "info", "logger": "a.b"}


class Lines(io.BytesIO):
    """Keeps what was written."""

    def lines(self) -> list[str]:
        return self.getvalue().decode().splitlines()

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines()]


@pytest.fixture
def stdout() -> Iterator[Lines]:
    """What standard output gets, with the clock standing still; the process's log is put back after."""
    with own_log(lambda: AT_MS):
        yield Lines()


def configured(stdout: Lines, **settings: str) -> log.Logger:
    log.configure(LogConfig(**settings), stdout)  # type: ignore[arg-type]
    logger: log.Logger = structlog.get_logger("a.b")
    return logger


def test_json_lines(stdout: Lines) -> None:
    logger = configured(stdout)
    logger.info("message_received", id=7, text=["é", None], upstream="carrier")
    assert stdout.events() == [
        {**HEAD, "event": "message_received", "id": 7, "text": ["é", None], "upstream": "carrier"}
    ]


def test_text_lines(stdout: Lines) -> None:
    logger = configured(stdout, format="text")
    logger.warning("bind_down", reason="it is gone", bind="carrier/trx", n=3, none="")
    assert stdout.lines() == [
        '2030-03-17T17:46:40.123Z warning a.b bind_down reason="it is gone" bind=carrier/trx n=3 none=""'
    ]


def test_levels(stdout: Lines) -> None:
    logger = configured(stdout, level="warning")
    for method in (logger.debug, logger.info, logger.warning, logger.error):
        method("event")
    assert [event["level"] for event in stdout.events()] == ["warning", "error"]
    log.configure(LogConfig(level="debug"), stdout)
    logger.debug("now")
    assert stdout.events()[-1]["event"] == "now"


def test_an_exception_is_one_line(stdout: Lines) -> None:
    logger = configured(stdout, format="text")
    try:
        raise ValueError("what\nhappened")
    except ValueError:
        logger.exception("failed", id=1)
    (line,) = stdout.lines()
    assert "Traceback" in line
    assert "ValueError: what\\nhappened" in line
    assert " error a.b failed " in line


def test_a_file_is_opened_afresh_so_that_it_may_be_rotated(stdout: Lines, tmp_path: Path) -> None:
    file = tmp_path / "trunkline.log"
    logger = configured(stdout, file=str(file))
    logger.info("one")
    file.rename(tmp_path / "trunkline.log.1")
    log.configure(LogConfig(file=str(file)), stdout)
    logger.info("two")
    assert json.loads(file.read_text())["event"] == "two"
    log.configure(LogConfig(), stdout)
    logger.info("three")
    assert [event["event"] for event in stdout.events()] == ["three"]


def test_the_folder_of_a_log_below_ours_is_made(
    stdout: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of the store is: `var/` is not there before the first start."""
    monkeypatch.chdir(tmp_path)
    text = '[log]\nfile = "var/log/events.json"\n'
    config = parse(text.encode(), tmp_path / "t.toml", {})
    assert not (tmp_path / "var").exists(), "a look at the file makes nothing"
    configured(stdout, file=config.log.file).info("message_received", id=7)
    assert json.loads((tmp_path / "var/log/events.json").read_text())["id"] == 7
    log.configure(LogConfig(), stdout)


def test_a_log_that_cannot_be_written_costs_lines_only(stdout: Lines) -> None:
    logger = configured(stdout)
    stdout.close()
    logger.info("gone")
    logger.info("gone too")
    assert log.output.lost == 2


class Full(Lines):
    """A disk with so much room; when it is full it takes what fits of a line, then nothing."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: Any, /) -> int:
        taken = bytes(data)[: self.room]
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(taken)
        return super().write(taken)


def test_what_a_full_disk_left_of_a_line_does_not_spoil_the_next(stdout: Lines) -> None:
    disk = Full(150)
    logger = configured(disk)
    for number in range(3):
        logger.info("message_received", id=number)
    assert log.output.lost == 2
    disk.room = 1_000
    logger.info("message_received", id=7)
    logger.info("message_received", id=8)
    whole, torso, *after = disk.lines()
    assert json.loads(whole)["id"] == 0
    assert len(torso) < len(whole)
    assert [json.loads(line)["id"] for line in after] == [7, 8]


def test_nothing_is_written_before_it_is_said_where(stdout: Lines) -> None:
    log.output.event(log.ERROR, "a", "early", {})
    assert stdout.lines() == []


# -- the other sources --------------------------------------------------------------------------------------


def test_twisted_notices_are_for_debugging_and_errors_for_all(stdout: Lines) -> None:
    configured(stdout)
    observer = log.TwistedObserver()
    observer({"log_level": LogLevel.info, "log_namespace": "t.w", "log_format": "Starting {x}", "x": 1})
    observer({"log_level": LogLevel.debug, "log_format": "detail"})
    assert stdout.events() == []
    failure = Failure(ValueError("boom"))
    observer(
        {"log_level": LogLevel.critical, "log_namespace": "t.w", "log_format": "Oh", "log_failure": failure}
    )
    observer({"log_level": LogLevel.info, "log_namespace": "stdout", "log_io": "printed"})
    error, printed = stdout.events()
    assert (error["level"], error["logger"], error["message"]) == ("error", "t.w", "Oh")
    assert "ValueError: boom" in str(error["exception"])
    assert (printed["level"], printed["message"]) == ("info", "printed")


def test_the_standard_library(stdout: Lines) -> None:
    configured(stdout)
    library = logging.getLogger("some.library")
    library.info("chatter")
    library.warning("careful with %s", "that")
    try:
        raise ValueError("boom")
    except ValueError:
        library.exception("it broke")
    warning, error = stdout.events()
    assert (warning["level"], warning["logger"], warning["message"]) == (
        "warning",
        "some.library",
        "careful with that",
    )
    assert error["level"] == "error"
    assert "ValueError: boom" in str(error["exception"])
    log.configure(LogConfig(), stdout)
    library.warning("once")
    assert len(stdout.events()) == 3


def test_twistd_is_told_of_our_observer() -> None:
    application = Application("test")
    log.observe(application)
    log.observe(object())
    assert isinstance(application.getComponent(ILogObserver), log.TwistedObserver)


# -- lines --------------------------------------------------------------------------------------------------

MISLEADING = "\x00\x07\x1b\x7f\x85\x9b\u061c\u200b\u200e\u202e\u2028\u2066\ufeff\U000e0041\ud800"


@given(st.text(), st.text())
def test_a_json_line_says_what_was_said(key: str, value: str) -> None:
    line = json_line({"event": "e", f"k{key}": value})
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {"event": "e", f"k{key}": value}


@given(st.text())
def test_a_text_line_is_one_line(value: str) -> None:
    line = text_line({**HEAD, "event": "e", "value": value, "next": 1})
    assert len(line.splitlines()) == 1
    assert line.endswith(" next=1")
    assert line.encode()


def test_what_misleads_is_escaped_and_what_does_not_is_left() -> None:
    for render in (json_line, text_line):
        line = render({**HEAD, "event": "e", "value": MISLEADING + "é 👩‍👧"})
        assert not set(MISLEADING) & set(line)
        assert "\\u202e" in line
        assert "\\udb40\\udc41" in line
        assert "é 👩‍👧" in line


def test_values_that_json_does_not_know(stdout: Lines) -> None:
    line = json_line({"event": "e", "path": Path("/x"), "huge": 2**70, "lone": "\ud800", "octets": b"\x00"})
    assert json.loads(line) == {
        "event": "e",
        "path": "/x",
        "huge": 2**70,
        "lone": "\ud800",
        "octets": "b'\\x00'",
    }


# -- what is left out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("/conversations/+12025550100/%2B447911123456", "/conversations/***00/***56"),
        ("/v1/dids/2025550100", "/v1/dids/***00"),
        ("/v1/messages/246113834528512", "/v1/messages/246113834528512"),
        ("127.0.0.1:5060 at 2026-11-27", "127.0.0.1:5060 at 2026-11-27"),
        ("send +12025550100 447911123456 …", "send ***00 ***56 …"),
    ],
)
def test_telephone_numbers_are_masked(written: str, seen: str) -> None:
    assert masked(written) == seen


def test_numbers_are_masked_everywhere_in_a_line_unless_told_otherwise(stdout: Lines) -> None:
    fields = {
        "did": "+12025550100",
        "to": ["+447911123456"],
        "more": {"peer": "+12025550150"},
        "id": 12025550100,
    }
    configured(stdout).info("e", **fields)
    assert stdout.events()[-1] == {
        **HEAD,
        "event": "e",
        "did": "***00",
        "to": ["***56"],
        "more": {"peer": "***50"},
        "id": 12025550100,
    }
    log.configure(LogConfig(mask_numbers=False), stdout)
    log.output.event(log.INFO, "a.b", "e", fields)
    assert stdout.events()[-1] == {**HEAD, "event": "e", **fields}


def test_an_event_that_repeats_is_counted_and_not_written() -> None:
    now = [100.0]
    stream = Lines()
    output = log.Output(lambda: AT_MS, lambda: now[0])
    output.open(LogConfig(lines_per_minute=3), stream)
    for _ in range(10):
        output.event(log.INFO, "a.b", "noisy", {})
        output.event(log.INFO, "a.b", "http_request", {})
    output.event(log.INFO, "a.b", "quiet", {})
    names = [event["event"] for event in stream.events()]
    assert (names.count("noisy"), names.count("http_request"), names.count("quiet")) == (3, 10, 1)
    assert output.suppressed == 7
    now[0] += 60
    output.event(log.INFO, "a.b", "quiet", {})
    told, quiet = stream.events()[-2:]
    assert (told["event"], told["suppressed"], told["lines"]) == ("log_suppressed", "noisy", 7)
    assert quiet["event"] == "quiet"
    output.event(log.INFO, "a.b", "noisy", {})
    assert stream.events()[-1]["event"] == "noisy"


@pytest.mark.parametrize("later", [1, 8, 100, 0])
def test_what_was_left_out_is_counted_right_over_a_reload(later: int) -> None:
    """Under the rule of then, not under that of the end of the minute."""
    now = [100.0]
    stream = Lines()
    output = log.Output(lambda: AT_MS, lambda: now[0])
    output.open(LogConfig(lines_per_minute=3), stream)
    for _ in range(5):
        output.event(log.INFO, "a.b", "noisy", {})
    output.open(LogConfig(lines_per_minute=later), stream)
    for _ in range(10):
        output.event(log.INFO, "a.b", "noisy", {})
    written = [event["event"] for event in stream.events()].count("noisy")
    now[0] += 60
    output.event(log.INFO, "a.b", "quiet", {})
    (told,) = (event for event in stream.events() if event["event"] == "log_suppressed")
    assert told["lines"] == 15 - written == output.suppressed
    assert written == 3 + {1: 0, 8: 5, 100: 10, 0: 10}[later]


def test_hops_are_written_when_they_are_wanted(stdout: Lines) -> None:
    logger = configured(stdout)
    hop(logger, "message_sent", 1, message=7)
    assert stdout.events() == []
    log.configure(LogConfig(messages=True), stdout)
    hop(logger, "message_sent", 1, message=7)
    assert stdout.events() == [{**HEAD, "event": "message_sent", "message": 7}]
