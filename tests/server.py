"""The server as its users run it: a process of its own, from a configuration file, on loopback ports.

Nothing here sleeps for luck: the process is asked whether it is ready, and is given time to be so.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.nursery import Forked, nursery

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0


def free_port() -> int:
    """A port that was free a moment ago, for TCP and for UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return int(tcp.getsockname()[1])


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The first true answer of ``condition``, asked again and again."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.02)


def _lines(keys: Mapping[str, object]) -> str:
    return "".join(f"{_key(key)} = {json.dumps(value)}\n" for key, value in keys.items())


def _key(key: str) -> str:
    return key if key.isascii() else json.dumps(key)


class Server:
    """One server process; `start`, `kill` and `start` again keep its folder and its store."""

    def __init__(
        self,
        folder: Path,
        store_url: str,
        smsc_port: int,
        prefix: tuple[str, ...] = (),  # such as taskset: what starts the command
        tables: Mapping[str, Mapping[str, object]] | None = None,
        **upstream: Any,
    ) -> None:
        self.folder = folder
        self.http_port = free_port()
        self.config = folder / "trunkline.toml"
        self.log = folder / "server.log"
        self._prefix = prefix
        self._process: subprocess.Popen[bytes] | Forked | None = None
        settings = {
            "name": "carrier",
            "host": "127.0.0.1",
            "port": smsc_port,
            "system_id": "trunk",
            "password": "secret",
            "reconnect_min_seconds": 0.2,
            "reconnect_max_seconds": 1.0,
            **upstream,
        }
        sections: dict[str, dict[str, object]] = {
            "store": {"url": store_url},
            "http": {"listen": f"127.0.0.1:{self.http_port}"},
            "outgoing": {"allow_networks": ["127.0.0.0/8"]},
            "log": {"format": "json", "level": "info"},
        }
        for name, keys in (tables or {}).items():
            sections.setdefault(name, {}).update(keys)
        text = "".join(f"[{name}]\n{_lines(keys)}" for name, keys in sections.items())
        self.config.write_text(f"{text}[[upstream]]\n{_lines(settings)}")

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def start(self, ready: bool = True) -> None:
        """Start it; with ``ready`` wait until it is bound."""
        twistd = str(Path(sys.executable).parent / "twistd")
        command = [twistd, "-n", "--pidfile=", "trunkline", "-c", str(self.config)]
        if self._prefix:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [*self._prefix, *command],
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        else:
            self.log.touch()
            self._process = nursery().start(command, self.folder, self.log)
        if ready:
            until(self.is_ready, f"the server is ready (log: {self.log})")

    def is_ready(self) -> bool:
        """Does /readyz say so?"""
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(
                f"the server ended with {self._process.returncode}:\n{self.log.read_text()[-4000:]}"
            )
        try:
            return bool(self.call("GET", "/readyz")[0] == 200)
        except OSError:
            return False

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(30)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        if self._process is None:
            return 0
        if (status := self._process.poll()) is not None:
            return status
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    @property
    def ended(self) -> int | None:
        """The exit status, None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def wait(self) -> int:
        """The exit status, once it ends."""
        assert self._process is not None
        return self._process.wait(60)

    def hang_up(self) -> None:
        """SIGHUP."""
        os.kill(self.pid, signal.SIGHUP)

    def call(self, method: str, path: str, body: object = None, key: str | None = None) -> tuple[int, Any]:
        """One HTTP request: (status, parsed JSON or text)."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if key is not None:
            request.add_header("Authorization", f"Bearer {key}")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                status, content = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        try:
            return status, json.loads(content)
        except ValueError:
            return status, content.decode("utf-8", "replace")
