"""A foreign peer in a process of its own that reads commands and writes events, JSON objects one a line."""

import contextlib
import json
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Event = dict[str, Any]

PATIENCE_SECONDS = 20.0
ERROR_LINES = 50


class PeerEnded(Exception):
    """The process is gone; the message quotes the end of its standard error."""


class JsonLinesPeer:
    """I start a process, talk to it, and keep its events in order. Blocking; safe to use from any thread."""

    def __init__(self, command: Sequence[str], cwd: Path) -> None:
        self.events: list[Event] = []
        self._errors: deque[str] = deque(maxlen=ERROR_LINES)
        self._changed = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._readers = [
            threading.Thread(target=reader, daemon=True) for reader in (self._read_events, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    def send(self, cmd: str, **fields: Any) -> None:
        """Write one command."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"cmd": cmd, **fields}) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise PeerEnded(self._last_words()) from error

    def matching(self, event: str, **wanted: Any) -> list[Event]:
        """The events so far with this name and these fields."""
        with self._changed:
            return [found for found in self.events if _fits(found, event, wanted)]

    def wait_for(
        self, event: str, *, count: int = 1, seconds: float = PATIENCE_SECONDS, **wanted: Any
    ) -> list[Event]:
        """At least ``count`` events with this name and these fields, already here or to come."""

        def enough() -> list[Event]:
            found = self.matching(event, **wanted)
            return found if len(found) >= count else []

        answer: list[Event] = self.wait_until(enough, f"{count} × {event} {wanted}", seconds)
        return answer

    def wait_until(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
        """The first true answer of ``condition``, asked after each event; TimeoutError after ``seconds``."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                answer = condition()
                if answer:
                    return answer
                if self._ended:
                    raise PeerEnded(f"while waiting for {what}: {self._last_words()}")
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"{what}: not within {seconds:g} s; it said {self.events[-10:]}")

    def stop(self) -> int:
        """Close its input, which ends it; kill it if that does not help. Its exit status."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            status = self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait(10)
        for reader in self._readers:
            reader.join(10)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        return status

    def __enter__(self) -> "JsonLinesPeer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line)

    def _last_words(self) -> str:
        return f"the peer ended with {self._process.poll()}:\n{''.join(self._errors)}"


def _fits(found: Event, event: str, wanted: dict[str, Any]) -> bool:
    return found.get("event") == event and all(found.get(key) == value for key, value in wanted.items())
