"""The ways in: netcat, telnet, OpenSSH, the Python prompt; and who is kept out."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest

from edge.console.commands import language
from tests.integration.console.conftest import DID, OPERATOR_KEY, OTHER, PASSWORD, PHONE, Ways
from tests.integration.console.test_commands import SIMPLE, WRONG
from tests.provision import KEY
from tests.server import until

pytestmark = pytest.mark.integration

PROMPT = "trunkline> "
PATIENCE = 60


def netcat(ways: Ways, said: str) -> str:
    """What a client hears that negotiates nothing and says all its lines at once."""
    command = ["nc", "-w", "30", "127.0.0.1", str(ways.telnet)]
    heard = subprocess.run(command, input=said.encode(), capture_output=True, timeout=PATIENCE, check=False)
    return heard.stdout.decode("utf-8", "replace")


def spawn(*command: str) -> "pexpect.spawn[str]":
    return pexpect.spawn(
        command[0], list(command[1:]), encoding="utf-8", timeout=PATIENCE, dimensions=(40, 120)
    )


def test_netcat_negotiates_nothing_and_works(ways: Ways) -> None:
    heard = netcat(ways, f"alice\n{PASSWORD}\nversion --json\nnonsense\nquit\n")
    assert '"store":"sqlite"' in heard
    assert "error: 'nonsense' is no command" in heard


def test_telnet_edits_completes_and_remembers(ways: Ways) -> None:
    talk = spawn("telnet", "127.0.0.1", str(ways.telnet))
    talk.expect("operator: ")
    talk.send("alise\x7f\x7fce\r")
    talk.expect("password: ")
    talk.send(f"{PASSWORD}\r")
    talk.expect(PROMPT)
    assert PASSWORD not in str(talk.before)
    talk.send("vers\t")
    talk.expect("version")
    talk.send("\r")
    talk.expect("python")
    talk.expect(PROMPT)
    talk.send("\x1b[A\r")
    talk.expect("python")
    talk.expect(PROMPT)
    talk.send("que\t")
    talk.expect("queue")
    talk.send("\t")
    talk.expect("cancel  hold  ls  move  retry  show")
    talk.send("\x03")
    talk.expect(PROMPT)
    talk.send("quit\r")
    talk.expect(pexpect.EOF)


# What the tables of `test_commands` do not have, and what each answer has in it.
MORE = [
    ("help drain", "end politely"),
    ("reload", "Read again"),
    ("binds", "carrier/transceiver"),
    ("bind start carrier", "Started: none."),
    ("bind restart carrier", "Started again: carrier/transceiver."),
    (f"send {DID} {PHONE} 'by another way'", "is queued"),
    (f"explain {DID} {PHONE} hello", "GSM7"),
    ("account add again", "Account again"),
    ("user add test walter", "password"),
    ("did add again +12025550134", "+12025550134"),
    (f"did set {OTHER} sms=on", "sms on"),
    ("optout add test +447911123456", "writes to"),
    ("optout remove test +447911123456", "again"),
    ("target pause callback https://paused.example/x", "paused.example"),
    ("target resume callback https://paused.example/x", "paused.example"),
    ("callback pause https://paused.example/x", "paused.example"),
    ("callback resume https://paused.example/x", "paused.example"),
]
ALL = [
    *((line, "") for line, _ in SIMPLE if "kill-switch" not in line),
    *WRONG,
    *MORE,
    ("kill-switch", "goes on"),
]


def test_all_is_every_command() -> None:
    named = [
        command.name
        for command in language().commands
        if not any(line == command.name or line.startswith(f"{command.name} ") for line, _ in ALL)
    ]
    assert named == ["drain", "key add"], "these are asked for by `ctl`"


def say_everything(talk: "pexpect.spawn[str]") -> None:
    """Each command once, over a terminal that is logged in; every answer is the one that it should be."""
    for line, sentence in ALL:
        talk.send(f"{line}\r")
        talk.expect(PROMPT)
        heard = str(talk.before)
        assert "server made a mistake" not in heard, line
        assert sentence in heard, (line, heard)


def test_every_command_by_telnet(ways: Ways) -> None:
    talk = spawn("telnet", "127.0.0.1", str(ways.telnet))
    talk.expect("operator: ")
    talk.send("alice\r")
    talk.expect("password: ")
    talk.send(f"{PASSWORD}\r")
    talk.expect(PROMPT)
    say_everything(talk)
    talk.send("quit\r")
    talk.expect(pexpect.EOF)


def test_every_command_by_openssh(ways: Ways) -> None:
    first, *rest = ssh(ways, ways.ssh, ways.key)
    talk = spawn(first, *rest)
    talk.expect(PROMPT)
    say_everything(talk)
    talk.send("quit\r")
    talk.expect(pexpect.EOF)


def test_the_same_over_http_for_operators_only(ways: Ways) -> None:
    server, where = ways.server, "/v1/operator/commands"
    status, answer = server.call("POST", where, {"line": "version"}, OPERATOR_KEY)
    assert (status, answer["document"]["store"]) == (200, "sqlite")
    status, answer = server.call("POST", where, {"line": "make tea"}, OPERATOR_KEY)
    assert (status, answer["code"], answer["field"]) == (422, "command_misused", "line")
    status, answer = server.call("POST", where, {"line": f"send {DID} nonsense x"}, OPERATOR_KEY)
    assert (status, answer["code"]) == (409, "command_refused")
    status, answer = server.call("GET", where, key=OPERATOR_KEY)
    assert len(answer["commands"]) == len(language().commands)
    for key in (KEY, "op_" + "6" * 40, None):
        status, answer = server.call("POST", where, {"line": "status"}, key)
        assert status == 401, key
    status, answer = server.call("GET", "/v1/dids", key=OPERATOR_KEY)
    assert status == 401, "it is good for nothing else"
    paths = server.call("GET", "/v1/openapi.json")[1]["paths"]
    assert paths[where]["post"]["security"] == [{"operator": []}]
    found: list[Any] = []

    def audited() -> bool:
        found[:] = server.call("POST", where, {"line": "audit limit=50"}, OPERATOR_KEY)[1]["document"]
        return any(entry["who"] == "operator:bob" for entry in found)

    until(audited, "who and from where is in the audit")
    (entry, *_) = [entry for entry in found if entry["who"] == "operator:bob"]
    assert entry["from"].startswith("http 127.0.0.1")


def test_wrong_passwords_end_it_and_make_wait(ways: Ways) -> None:
    for _ in range(4):
        heard = netcat(ways, "mallory\nguess\n" * 3)
        assert "trunkline>" not in heard
    assert "Too many wrong passwords." in heard
    log = ways.server.log.read_text()
    assert log.count('"console_login_refused"') >= 10
    assert "too many wrong passwords: wait" in log
    # The address must wait too, which here is that of the other tests: until it may.
    until(lambda: PROMPT in netcat(ways, f"alice\n{PASSWORD}\nquit\n"), "alice may log in again", 120)


def ssh(ways: Ways, port: int, key: Path, *command: str) -> list[str]:
    known = ways.server.folder / "known_hosts"
    options = ["-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=accept-new"]
    only = ["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-F", "none"]
    return [
        "ssh",
        "-tt" if not command else "-T",
        "-p",
        str(port),
        "-i",
        str(key),
        *options,
        *only,
        "ops@127.0.0.1",
        *command,
    ]


def test_ssh_carries_out_one_command(ways: Ways) -> None:
    command = ssh(ways, ways.ssh, ways.key, "version", "--json")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["store"] == "sqlite"
    command = ssh(ways, ways.ssh, ways.key, "queue", "show", "7")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stdout) == (1, "error: There is no message 7.\n")


def test_ssh_is_a_terminal(ways: Ways) -> None:
    first, *rest = ssh(ways, ways.ssh, ways.key)
    talk = spawn(first, *rest)
    talk.expect(PROMPT)
    talk.send("binds\r")
    talk.expect("bound_trx")
    talk.expect(PROMPT)
    talk.send("\x04")
    talk.expect(pexpect.EOF)
    assert '"operator":"alice@ops"' in ways.server.log.read_text()


@pytest.mark.parametrize("port", ["ssh", "manhole"])
def test_ssh_without_the_key_is_refused(ways: Ways, port: str) -> None:
    """Her key is in the file, but with an option that would not be kept: so it is not taken."""
    command = ssh(ways, getattr(ways, port), ways.stranger, "status")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 255
    assert "Permission denied (publickey)" in ended.stderr
    assert "unknown key" in ways.server.log.read_text()


def test_the_manhole_is_python_and_audited(ways: Ways) -> None:
    first, *rest = ssh(ways, ways.manhole, ways.key)
    talk = spawn(first, *rest)
    talk.expect(">>> ")
    talk.send("service.name * 2\r")
    talk.expect("trunklinetrunkline")
    talk.send("\x04")
    talk.expect(pexpect.EOF)
    assert '"manhole_line"' in ways.server.log.read_text()


def test_the_host_key_is_this_installations_own(ways: Ways) -> None:
    key = ways.server.folder / "keys" / "host_key"
    assert (key.stat().st_mode & 0o777) == 0o600


@pytest.mark.parametrize("way", ["telnet", "ssh", "manhole"])
@pytest.mark.parametrize("address", ["0.0.0.0:2323", "192.0.2.1:2323", "[::]:2323", "localhost:2323"])
def test_nothing_but_loopback(tmp_path: Path, way: str, address: str) -> None:
    config = tmp_path / "trunkline.toml"
    config.write_text(f'[console]\n{way} = "{address}"\n')
    command = [str(Path(sys.executable).parent / "trunkline"), "check-config", "-c", str(config)]
    ended: Any = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 2
    assert f"console.{way}" in ended.stderr
    assert "loopback" in ended.stderr


def test_drain_ends_the_server(ways: Ways) -> None:
    """The last of this file: it ends what the others use."""
    client = ways.client()
    assert client.ask({"line": "drain"})["ok"]
    client.close()
    assert ways.server._process is not None
    assert ways.server._process.wait(PATIENCE) == 0
