"""A PostgreSQL cluster for one test run.

Whoever needs it first starts a keeper, a process of its own that runs the server as an unprivileged user
and takes it down, files and all, when it is told to or when the test run's process is gone, however it went.
With TRUNKLINE_TEST_POSTGRESQL set to a URL (of a role that may create databases) nothing is started.
"""

import contextlib
import fcntl
import glob
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from uuid import uuid4

import psycopg
from sqlalchemy import make_url

from tests import memory

CONFIGURED = "TRUNKLINE_TEST_POSTGRESQL"
_FOLDER = "TRUNKLINE_TEST_CLUSTER"
_started: "list[subprocess.Popen[bytes]]" = []  # keepers outlive the function that starts them
_START_SECONDS = 60.0
_SOCKET_PATH_LIMIT = 70
_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "max_wal_size": "2GB",
    "autovacuum_naptime": "10s",
}


class NoPostgreSQL(Exception):
    """There is no PostgreSQL here to run tests on; the text says what to do."""


def begin_run(*, in_memory: bool = False) -> None:
    """Name the place of this run's cluster; for the process that outlives all its workers. ``in_memory``: if
    there is room. Each test has a database of its own, and on a disk most of a run is their making."""
    parent = tempfile.gettempdir()
    if in_memory:
        parent = memory.folder() or parent
    if len(parent) > _SOCKET_PATH_LIMIT:
        parent = "/tmp"
    os.environ[_FOLDER] = f"{parent}/trunkline-test-{os.getpid()}-{uuid4().hex[:8]}"


def end_run() -> None:
    """Take the cluster down, if one was started; on a server that is not ours drop what the run made."""
    place = folder()
    if os.environ.get(CONFIGURED):
        _drop_databases_of_this_run()
    keeper = place / "keeper.pid"
    if keeper.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(keeper.read_text()), signal.SIGTERM)
        _wait_until(lambda: not place.exists(), 20.0)
        for process in _started:
            process.wait(5)
    _lock_file(place).unlink(missing_ok=True)


def folder() -> Path:
    """Where this run's cluster is, or would be."""
    if _FOLDER not in os.environ:
        begin_run()
    return Path(os.environ[_FOLDER])


def run_name() -> str:
    """Differs from that of every other test run, the same in all processes of this one."""
    return folder().name.rpartition("-")[2]


def url_of(database_name: str) -> str:
    """The URL of a database on the run's server, which is started if need be. Raises NoPostgreSQL."""
    configured = os.environ.get(CONFIGURED)
    if configured:
        return make_url(configured).set(database=database_name).render_as_string(hide_password=False)
    ready = folder() / "ready.json"
    if not ready.exists():
        with exclusively():
            if not ready.exists():
                _start(folder())
    return f"postgresql://trunkline@127.0.0.1:{json.loads(ready.read_text())['port']}/{database_name}"


@contextlib.contextmanager
def database(template: str | None = None) -> Iterator[str]:
    """The URL of a database of one's own, a copy of ``template`` if one is named; dropped afterwards."""
    name = f"trunkline_test_{uuid4().hex}"
    try:
        yield create_database(name, template)
    finally:
        with _administration() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def create_database(name: str, template: str | None = None) -> str:
    """Create a database; its URL."""
    suffix = f' TEMPLATE "{template}"' if template else ""
    with _administration() as connection:
        connection.execute(f'CREATE DATABASE "{name}"{suffix}'.encode())
    return url_of(name)


def database_exists(name: str) -> bool:
    """Is there a database of this name?"""
    query = "SELECT 1 FROM pg_database WHERE datname = %s"
    with _administration() as connection:
        return connection.execute(query, (name,)).fetchone() is not None


def rename_database(old: str, new: str) -> None:
    """Give a database that nobody uses another name."""
    with _administration() as connection:
        connection.execute(f'ALTER DATABASE "{old}" RENAME TO "{new}"'.encode())


class Cluster:
    """A cluster of a test's own, to be stopped as it likes. Gone, files and all, at the end of ``with``."""

    def __init__(self) -> None:
        self._binaries = _binaries()
        self._port = _free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="trunkline-fault-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://trunkline@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> "Cluster":
        self._folder.chmod(0o755)
        _make_cluster(self._data, self._binaries)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_immediately()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def start(self) -> None:
        """Start it, with crash recovery if need be, and wait until it answers."""
        with open(self._folder / "server.log", "ab") as log:
            self._process = _serve(self._data, self._binaries, self._port, log)
        _await_server(self._process, self._port)

    def stop_immediately(self) -> None:
        """As ``pg_ctl stop -m immediate``: no checkpoint, the next start recovers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """All its processes stand still: nothing is refused, nothing is answered."""
        assert self._process is not None
        family = [self._process.pid, *_children(self._process.pid)]
        for process in family:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(family):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)


def _children(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@contextlib.contextmanager
def exclusively() -> Iterator[None]:
    """One process of the run at a time."""
    with open(_lock_file(folder()), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _administration() -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url_of("postgres"), autocommit=True)


def _drop_databases_of_this_run() -> None:
    with _administration() as connection:
        mine = f"trunkline%{run_name()}%"
        for (name,) in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (mine,)):
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _lock_file(folder: Path) -> Path:
    return folder.with_suffix(".lock")


def _start(place: Path) -> None:
    binaries = _binaries()
    place.mkdir(mode=0o755)
    run = place.name.split("-")[2]
    with open(place / "keeper.log", "wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, __file__, str(place), binaries, run],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _started.append(keeper)
    ready = place / "ready.json"
    _wait_until(lambda: ready.exists() or keeper.poll() is not None, _START_SECONDS)
    if not ready.exists():
        report = (place / "keeper.log").read_text() if place.exists() else ""
        raise NoPostgreSQL(f"The PostgreSQL cluster for the tests did not start.\n{report}")


def _binaries() -> str:
    found = shutil.which("pg_ctl")
    candidates = sorted(glob.glob("/usr/lib/postgresql/*/bin/pg_ctl"), key=_version, reverse=True)
    candidates += [os.path.realpath(found)] if found else []
    if not candidates:
        raise NoPostgreSQL(
            f"No PostgreSQL server is installed (package postgresql), and {CONFIGURED} is not set."
        )
    return os.path.dirname(candidates[0])


def _version(path: str) -> float:
    try:
        return float(path.split("/")[4])
    except ValueError:
        return 0.0


def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.02)


# The keeper's side


def keep(place: Path, binaries: str, run: int) -> None:
    """Run a cluster in ``place`` until SIGTERM comes or process ``run`` is gone; leave nothing behind."""
    (place / "keeper.pid").write_text(str(os.getpid()))
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    server_process = None
    try:
        port = _free_port()
        server_process = _run_server(place / "data", binaries, port)
        _await_server(server_process, port)
        (place / "ready.tmp").write_text(json.dumps({"port": port}))
        (place / "ready.tmp").rename(place / "ready.json")
        while not stop and _alive(run) and server_process.poll() is None:
            time.sleep(0.1)
    finally:
        if server_process is not None:
            server_process.send_signal(signal.SIGQUIT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server_process.wait(10)
        if server_process is not None and server_process.returncode in (0, 2):
            shutil.rmtree(place, ignore_errors=True)
            _lock_file(place).unlink(missing_ok=True)


def _run_server(data: Path, binaries: str, port: int) -> "subprocess.Popen[bytes]":
    _make_cluster(data, binaries)
    return _serve(data, binaries, port)


def _who() -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    owner = _unprivileged()
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _make_cluster(data: Path, binaries: str) -> None:
    data.mkdir(mode=0o700)
    who = _who()
    if who:
        os.chown(data, int(str(who["user"])), int(str(who["group"])))
    initdb = ["-D", str(data), "-U", "trunkline", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run([f"{binaries}/initdb", *initdb], check=True, cwd=data, stdout=subprocess.DEVNULL, **who)  # type: ignore[call-overload]


def _serve(data: Path, binaries: str, port: int, log: IO[bytes] | None = None) -> "subprocess.Popen[bytes]":
    settings = _SETTINGS | {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(data),
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = [f"{binaries}/postgres", "-D", str(data), *options]
    return subprocess.Popen(command, cwd=data, stdout=log, stderr=log, **_who())  # type: ignore[call-overload,no-any-return]


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise NoPostgreSQL("PostgreSQL does not run as root, and there is no user postgres or nobody.")


def _await_server(process: "subprocess.Popen[bytes]", port: int) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(f"postgresql://trunkline@127.0.0.1:{port}/postgres").close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > give_up:
                raise
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    keep(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
