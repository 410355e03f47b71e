"""The server as a process: what it refuses to start on, how it reloads, how it ends."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.bench.peer import MoPump, Peer
from tests.provision import KEY, provision
from tests.server import Server, free_port, until

pytestmark = pytest.mark.integration

DID = "+12025550100"
EX_CONFIG = 78  # which the systemd unit does not restart
BIN = Path(sys.executable).parent
PROBLEMS = [
    ("[server]\nnodes = 1\n", "server.nodes = 1: expected a known key; did you mean node?"),
    ('[http]\nlisten = "127.0.0.1:99999"\n', 'http.listen = "127.0.0.1:99999": expected an address and port'),
    ("[log]\nlevel = 3\n", 'log.level = 3: expected one of "debug"'),
    ("[server\n", "expected TOML"),
    ('[log]\nfile = "/nowhere/x.log"\n', 'log.file = "/nowhere/x.log": expected a file that can be written'),
    ('[store]\nurl = "postgresql://u:p@h:70000/d"\n', ": expected sqlite:///path"),
]


def run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def twistd(config: Path) -> list[str]:
    return ["twistd", "-n", "--pidfile=", "trunkline", "-c", str(config)]


@pytest.mark.parametrize(("content", "problem"), PROBLEMS)
def test_a_bad_configuration_is_one_line_and_its_status(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(content)
    commands = [["trunkline", "check-config", "-c", str(file)]]
    if problem == PROBLEMS[0][1]:  # a process costs seconds, and all of them read a file alike
        commands += [twistd(file), ["trunkline", "run", "-c", str(file)]]
    for command in commands:
        ended = run(command, tmp_path)
        assert ended.returncode == (2 if "check-config" in command else EX_CONFIG), command
        (line,) = (line for line in ended.stderr.splitlines() if line)
        assert str(file) in line
        assert problem in line
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"], "nothing was started"


def test_a_missing_configuration(tmp_path: Path) -> None:
    ended = run(twistd(tmp_path / "none.toml"), tmp_path)
    assert ended.returncode == EX_CONFIG
    assert "none.toml: cannot be read" in ended.stderr


HANGING_UP = """
import os, signal, sys

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever started the tests

class Hook:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGHUP)

sys.meta_path.insert(0, Hook())
from {place} import {main}
{main}()
"""
"""A SIGHUP when a module is about to be imported."""


@pytest.mark.parametrize(
    ("module", "command", "status"),
    [
        ("edge.cli", ["run", "-c"], EX_CONFIG),
        ("edge.tap", ["run", "-c"], EX_CONFIG),
        ("edge.cli", ["check-config", "-c"], -signal.SIGHUP),
    ],
)
def test_a_hang_up_while_modules_are_loaded(
    tmp_path: Path, module: str, command: list[str], status: int
) -> None:
    source = HANGING_UP.format(module=module, place="edge.entry", main="main")
    ended = subprocess.run(
        [sys.executable, "-c", source, *command, str(tmp_path / "none.toml")],
        capture_output=True,
        check=False,
    )
    assert ended.returncode == status, ended.stderr


def test_a_hang_up_while_twistd_loads_the_service(tmp_path: Path) -> None:
    source = HANGING_UP.format(module="edge.tap", place="twisted.scripts.twistd", main="run")
    ended = subprocess.run(
        [sys.executable, "-c", source, *twistd(tmp_path / "none.toml")[1:]], capture_output=True, check=False
    )
    assert ended.returncode == EX_CONFIG, ended.stderr


@pytest.mark.parametrize(
    ("query", "migrated", "reason"),
    [("", False, "Run: trunkline db upgrade"), ("?synchronous=normal", True, "is not durable")],
)
def test_a_store_that_cannot_be_used(tmp_path: Path, query: str, migrated: bool, reason: str) -> None:
    file = tmp_path / "trunkline.toml"
    file.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/t.db{query}"\n')
    if migrated:
        assert run(["trunkline", "db", "upgrade", "-c", str(file)], tmp_path).returncode == 0
    ended = run(twistd(file), tmp_path)
    assert ended.returncode == 1
    assert reason in ended.stderr


def test_a_taken_port_ends_the_start_with_an_error(sqlite_url: str, tmp_path: Path) -> None:
    provision(sqlite_url, [DID])
    with Server(tmp_path, sqlite_url, free_port()) as server:
        server.start(ready=False)
        until(lambda: listens(server), "it listens")
        second = run(twistd(server.config), tmp_path)
        assert second.returncode == 1
        assert str(server.http_port) in second.stdout + second.stderr
        assert server.call("GET", "/livez")[0] == 200


def listens(server: Server) -> bool:
    try:
        return bool(server.call("GET", "/livez")[0] == 200)
    except OSError:
        return False


@pytest.fixture
def smsc() -> Iterator[Peer]:
    with Peer(seconds=60) as peer:
        yield peer


def start(peer: Peer, server: Server, port: int) -> None:
    peer.listen(port, peer.smpp)
    server.start(ready=False)
    assert peer.run(lambda: peer.smsc is not None and server.is_ready()), server.log.read_text()


def test_sigterm_drains_and_ends_with_status_0(sqlite_url: str, tmp_path: Path, smsc: Peer) -> None:
    provision(sqlite_url, [DID])
    port = free_port()
    with Server(tmp_path, sqlite_url, port) as server:
        start(smsc, server, port)
        pump = MoPump(smsc, 50, DID[1:].encode())
        pump.pump(200)
        assert smsc.run(lambda: pump.answered == 200)
        ended: list[int] = []
        stopping = Thread(target=lambda: ended.append(server.stop()))
        stopping.start()
        assert smsc.run(lambda: not stopping.is_alive())
        assert ended == [0]
        lines = server.log.read_text().splitlines()
        events = [json.loads(line)["event"] for line in lines]
        assert [event for event in events if event.startswith("server_")] == [
            "server_ready",
            "server_draining",
            "server_stopped",
        ]
        assert "secret" not in server.log.read_text(), "the password of the bind"


def test_a_second_sigterm_ends_it_at_once(sqlite_url: str, tmp_path: Path) -> None:
    """The carrier owes an answer that does not come, so the first one would wait for it."""
    provision(sqlite_url, [DID])
    port = free_port()
    with (
        Peer(seconds=60) as smsc,
        Server(tmp_path, sqlite_url, port, tables={"server": {"drain_seconds": 50}}) as server,
    ):
        start(smsc, server, port)
        assert (
            server.call("POST", "/v1/messages", {"from": DID, "to": "+12025550150", "text": "x"}, KEY)[0]
            == 202
        )
        os.kill(server.pid, signal.SIGTERM)  # nobody drives the carrier from here on
        status, answer = until(lambda: draining(server), "it drains")
        assert (status, answer["draining"]) == (503, True)
        assert "the server is shutting down" in answer["reasons"]
        status, answer = server.call(
            "POST", "/v1/messages", {"from": DID, "to": "+12025550150", "text": "y"}, KEY
        )
        assert (status, answer["code"]) == (503, "unavailable")
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait() == 1


def draining(server: Server) -> tuple[int, Any] | None:
    status, answer = server.call("GET", "/readyz")
    return (status, answer) if answer["draining"] else None


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_the_supervisor_is_told(sqlite_url: str, tmp_path: Path, smsc: Peer, abstract: bool) -> None:
    provision(sqlite_url, [DID])
    port = free_port()
    name = f"@trunkline-{os.getpid()}" if abstract else str(tmp_path / "notify")
    heard: list[dict[str, str]] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0"))
        listening.setblocking(False)

        def hear(word: str) -> bool:
            with suppress(BlockingIOError):
                while True:
                    heard.append(
                        dict(line.split("=", 1) for line in listening.recv(4096).decode().split("\n"))
                    )
            return any(word in message for message in heard)

        prefix = ("env", f"NOTIFY_SOCKET={name}", "WATCHDOG_USEC=200000")
        with Server(tmp_path, sqlite_url, port, prefix) as server:
            start(smsc, server, port)
            until(lambda: hear("READY"), "READY")
            assert heard[0] == {"WATCHDOG": "1"}, "from the start on, however long that takes"
            heard.clear()
            server.hang_up()
            until(lambda: hear("READY"), "READY again")
            words = [word for message in heard for word in message if word in ("RELOADING", "READY")]
            assert words == ["RELOADING", "READY"]
            reloading = next(message for message in heard if "RELOADING" in message)
            assert reloading["MONOTONIC_USEC"].isdigit()
            heard.clear()
            good = server.config.read_text()
            for content, status in (("[", "Taking traffic; the new configuration was refused: "), (good, "")):
                server.config.write_text(content)
                server.hang_up()
                until(lambda: hear("READY"), "READY again")
                said = next(message["STATUS"] for message in heard if "READY" in message)
                assert said.startswith(status or "Taking traffic")
                assert ("expected TOML" in said) == bool(status)
                assert "\n" not in said
                heard.clear()
            until(lambda: hear("WATCHDOG"), "WATCHDOG")
            assert server.stop() == 0
            assert hear("STOPPING")


LAUNCH = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)  # dup2 of 3 to 3 changes nothing
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="http")
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_socket_that_the_supervisor_holds(sqlite_url: str, tmp_path: Path) -> None:
    """The configuration's port is another one, so it can only be the one that was handed over."""
    provision(sqlite_url, [DID])
    held = free_port()
    prefix = (sys.executable, "-c", LAUNCH, str(held))
    with Server(tmp_path, sqlite_url, free_port(), prefix) as server:
        configured, server.http_port = server.http_port, held
        server.start(ready=False)
        until(lambda: listens(server), "it answers on the socket that it was given")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", configured), timeout=5)


def test_startupz_has_the_steps(sqlite_url: str, tmp_path: Path, smsc: Peer) -> None:
    provision(sqlite_url, [DID])
    port = free_port()
    with Server(tmp_path, sqlite_url, port) as server:
        start(smsc, server, port)
        status, answer = server.call("GET", "/startupz")
        assert (status, answer["started"], answer["doing"]) == (200, True, None)
        assert [step["step"] for step in answer["steps"]] == ["store", "directory", "upstreams"]


def test_sighup_binds_a_changed_upstream_anew_and_keeps_the_old_on_an_error(
    sqlite_url: str, tmp_path: Path, smsc: Peer
) -> None:
    provision(sqlite_url, [DID])
    port, other = free_port(), free_port()
    with Server(tmp_path, sqlite_url, port) as server:
        start(smsc, server, port)
        good = server.config.read_text()
        server.config.write_text(good.replace(f"port = {port}", 'port = "many"'))
        server.hang_up()
        until(lambda: "config_not_reloaded" in server.log.read_text(), "the refusal in the log")
        assert server.is_ready()
        smsc.smsc = None
        smsc.listen(other, smsc.smpp)
        server.config.write_text(good.replace(f"port = {port}", f"port = {other}"))
        server.hang_up()
        server.hang_up()
        assert smsc.run(lambda: smsc.smsc is not None and server.is_ready()), server.log.read_text()
        until(lambda: server.log.read_text().count("config_reloaded") >= 1, "the reload")
        assert server.log.read_text().count('"upstreams_changed":["carrier"]') == 1
        assert "reload_failed" not in server.log.read_text()


def test_a_log_that_was_rotated_is_written_anew_at_sighup(
    sqlite_url: str, tmp_path: Path, smsc: Peer
) -> None:
    provision(sqlite_url, [DID])
    port = free_port()
    with Server(tmp_path, sqlite_url, port) as server:
        log = tmp_path / "events.log"
        config = server.config.read_text().replace("[log]\n", f'[log]\nfile = "{log}"\n')
        server.config.write_text(config)
        start(smsc, server, port)
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        log.rename(tmp_path / "events.log.1")
        server.config.write_text(config.replace('level = "info"', 'level = "debug"'))
        server.hang_up()
        until(lambda: log.exists() and "config_reloaded" in log.read_text(), "the new file")
        server.call("GET", "/nowhere")
        until(lambda: '"http_request"' in log.read_text(), "it is written")
        level = run(["trunkline", "ctl", "-c", str(server.config), "log", "level", "--json"], tmp_path)
        assert json.loads(level.stdout)["level"] == "debug", "the new level is in force"


def test_one_server_a_store_and_one_a_node_and_upstream(
    engine_name: str, store_url: str, tmp_path: Path, smsc: Peer
) -> None:
    provision(store_url, [DID])
    port = free_port()
    with Server(tmp_path, store_url, port) as server:
        start(smsc, server, port)
        second = server.config.read_text().replace(str(server.http_port), str(free_port()))
        cases = [("", "store" if engine_name == "sqlite" else "node 0")]
        if engine_name == "postgresql":
            cases.append(("[server]\nnode = 1\n", "upstream carrier"))
        for server_table, held in cases:
            file = tmp_path / "second.toml"
            file.write_text(server_table + second)
            ended = run(twistd(file), tmp_path)
            assert ended.returncode == 1, ended.stdout
            assert f"Another server on this store holds the {held}" in ended.stdout
        assert server.is_ready()


def test_timers_do_not_follow_the_wall_clock(sqlite_url: str, tmp_path: Path) -> None:
    """One step of the clock would fire or freeze every timer."""
    file = tmp_path / "trunkline.toml"
    file.write_text(f'[store]\nurl = "{sqlite_url}"\n')
    code = (
        "import time, sys; from edge import tap; tap.makeService({'config': sys.argv[1]});"
        "from twisted.internet import reactor; print(reactor.seconds is time.monotonic)"
    )
    assert run(["python", "-c", code, str(file)], tmp_path).stdout == "True\n"


def test_a_message_from_the_command_line_goes_out_through_the_running_server(
    sqlite_url: str, tmp_path: Path, smsc: Peer
) -> None:
    provision(sqlite_url, [DID])
    port = free_port()
    texts: list[bytes] = []
    smsc.on_submit = texts.append
    with Server(tmp_path, sqlite_url, port) as server:
        start(smsc, server, port)
        sent = run(
            [
                "trunkline",
                "send",
                "-c",
                str(server.config),
                "--from",
                DID,
                "--to",
                "+447700900123",
                "From the shell",
            ],
            tmp_path,
        )
        assert sent.returncode == 0, sent.stderr
        assert smsc.run(lambda: bool(texts))
        assert b"From the shell" in texts[0]
        identity = re.search(r"Message (\d+) ", sent.stdout)
        assert identity is not None
        shown: dict[str, Any] = server.call("GET", f"/v1/messages/{identity[1]}", key=KEY)[1]
        assert (shown["leg"], shown["text"]) == ("cli", "From the shell")


@pytest.mark.parametrize("command", [["twistd", "-n", "--pidfile=", "trunkline"], ["trunkline", "run"]])
def test_a_taken_port_and_a_missing_store_are_one_line(
    tmp_path: Path, sqlite_url: str, command: list[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        file = tmp_path / "trunkline.toml"
        listen = f'[http]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n'
        file.write_text(f'[store]\nurl = "{sqlite_url}"\n{listen}')
        ended = run([*command, "-c", str(file)], tmp_path)
        (line,) = (line for line in ended.stderr.splitlines() if line)
        assert ended.returncode == 1
        assert line.startswith("trunkline: Couldn't listen on 127.0.0.1")
    file.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/none.db"\n')
    ended = run([*command, "-c", str(file)], tmp_path)
    assert ended.returncode == 1
    assert f"There is no store at {tmp_path}/none.db yet. Run: trunkline db upgrade" in ended.stderr
    assert not (tmp_path / "none.db").exists()


def test_the_binds_of_the_running_server_are_seen_in_its_metrics_and_by_the_command(
    sqlite_url: str, tmp_path: Path, smsc: Peer
) -> None:
    provision(sqlite_url, [DID])
    port, listen = free_port(), f"127.0.0.1:{free_port()}"
    with Server(tmp_path, sqlite_url, port, tables={"metrics": {"listen": listen}}) as server:
        command = ["trunkline", "binds", "-c", str(server.config)]
        ended = run(command, tmp_path)
        assert ended.returncode == 1
        assert "does not answer" in ended.stderr
        start(smsc, server, port)
        ended = run(command, tmp_path)
        assert ended.returncode == 0, ended.stderr
        head, row = ended.stdout.splitlines()
        assert head.split()[:4] == ["bind", "bound", "paused", "window"]
        assert row.split()[:4] == ["carrier/transceiver", "yes", "no", "0/50"]
        ended = run([*command, "--json"], tmp_path)
        assert json.loads(ended.stdout)[0]["bind_transceiver"] == 1


def test_without_metrics_the_command_says_so(tmp_path: Path) -> None:
    file = tmp_path / "trunkline.toml"
    file.write_text("")
    ended = run(["trunkline", "binds", "-c", str(file)], tmp_path)
    assert ended.returncode == 1
    assert "has no [metrics] table" in ended.stderr
