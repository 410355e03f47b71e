"""Servers for tests, forked from a process that has imported everything they import.

Imports are most of what a start costs, and hundreds of tests start a server. What is forked is `twistd` from
its command line on, as its users run it; tests about the start itself run the command.

    with a request a line:  {"argv": […], "cwd": "…", "log": "…", "environment": {…}}
    answers a line each:    {"started": pid}, and in their time {"ended": pid, "status": …}
"""

import atexit
import gc
import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import twisted.internet
from twisted.scripts.twistd import run

ROOT = Path(__file__).resolve().parent.parent


class Forked:
    """A server process, with what `subprocess.Popen` has of it."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self._nursery = nursery
        self.pid = pid

    @property
    def returncode(self) -> int | None:
        """The exit status as far as it is known; minus the signal that ended it."""
        return self._nursery.ended.get(self.pid)

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        self._nursery.listen(0)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """The exit status, once it has ended. Raises subprocess.TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(f"server {self.pid}", timeout)
            self._nursery.listen(left)
        return status

    def send_signal(self, number: int) -> None:
        """Nothing when it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Nursery:
    """The test's side of one such process; it ends with the test run."""

    def __init__(self) -> None:
        self.ended: dict[int, int] = {}
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self._rest = b""
        self._started: list[int] = []
        atexit.register(self.close)

    def start(self, argv: list[str], cwd: Path, log: Path) -> Forked:
        """Run `twistd` with these arguments."""
        request = {"argv": argv, "cwd": str(cwd), "log": str(log), "environment": dict(os.environ)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        while not self._started:
            self.listen(None)
        return Forked(self, self._started.pop())

    def listen(self, seconds: float | None) -> None:
        """Take what it says, if it says anything within this time."""
        with self._lock:
            if not self._selector.select(seconds):
                return
            assert self._process.stdout is not None
            octets = os.read(self._process.stdout.fileno(), 65_536)
            if not octets:
                raise RuntimeError("the nursery has ended")
            *lines, self._rest = (self._rest + octets).split(b"\n")
            for line in lines:
                self._take(json.loads(line))

    def _take(self, answer: dict[str, int]) -> None:
        if "started" in answer:
            self._started.append(answer["started"])
        else:
            self.ended[answer["ended"]] = answer["status"]

    def close(self) -> None:
        """End it; servers that still run are not touched."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


_ours: dict[int, Nursery] = {}


def nursery() -> Nursery:
    """That of this process."""
    if os.getpid() not in _ours:
        _ours[os.getpid()] = Nursery()
    return _ours[os.getpid()]


# -- the other side -----------------------------------------------------------------------------------------


def serve() -> list[str] | None:
    """Fork until nobody asks any more: then None. In a fork: the arguments to run with."""
    running: dict[int, int] = {}
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not sys.stdin:
                    _tell_end(selector, running.pop(key.fd), key.fd)
                    continue
                octets = os.read(key.fd, 1 << 20)
                if not octets:
                    return None
                *lines, rest = (rest + octets).split(b"\n")
                for request in map(json.loads, lines):
                    pid = os.fork()
                    if not pid:
                        for fd in running:
                            os.close(fd)
                        return _become(request)
                    fd = os.pidfd_open(pid)
                    running[fd] = pid
                    selector.register(fd, selectors.EVENT_READ)
                    _say({"started": pid})


def _tell_end(selector: selectors.BaseSelector, pid: int, fd: int) -> None:
    selector.unregister(fd)
    os.close(fd)
    _, status = os.waitpid(pid, 0)
    _say({"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def _say(answer: dict[str, int]) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


def _become(request: dict[str, Any]) -> list[str]:
    """A process of its own: folder, environment, standard input and outputs."""
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(old, new)
    os.close(log)
    os.close(nothing)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    argv: list[str] = request["argv"]
    return argv


def compile_pages() -> None:
    """Templates are compiled once in a process: here, for all forks."""
    from edge.web.pages.templating import templates

    for name in templates().list_templates():
        templates().get_template(name)


def main() -> None:
    """Import, serve, and be a server in each fork."""
    for name in ("edge.tap", "edge.service"):
        importlib.import_module(name)
    # Conch's terminals import the global reactor, which they hardly use: each server makes its own.
    reactor = sys.modules.pop("twisted.internet.reactor", None)
    if reactor is not None:
        del twisted.internet.reactor
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is for the test run
    compile_pages()
    gc.freeze()
    argv = serve()
    if argv is not None:
        sys.argv = argv
        run()


if __name__ == "__main__":
    main()
