"""The ways in: netcat, telnet, OpenSSH, the Python prompt; and who is kept out."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pexpect
import pytest

from edge.console.commands import language
from storage import messages
from storage.engines import open_engine
from tests.integration.console.conftest import (
    DID,
    FOREIGN_PASSWORD,
    FOREIGNER,
    OPERATOR_KEY,
    OTHER,
    PASSWORD,
    PHONE,
    Ways,
)
from tests.integration.console.test_commands import SIMPLE, WRONG
from tests.provision import KEY
from tests.server import until

pytestmark = pytest.mark.integration

PROMPT = "trunkline> "
GUESSER = "127.0.0.2"  # an address that no other test comes from
PATIENCE = 60


def netcat(ways: Ways, said: str, source: str = "127.0.0.1") -> str:
    """What a client hears that negotiates nothing and says all its lines at once."""
    return netcat_octets(ways, said.encode(), source).decode("utf-8", "replace")


def netcat_octets(ways: Ways, said: bytes, source: str = "127.0.0.1") -> bytes:
    command = ["nc", "-w", "30", "-s", source, "127.0.0.1", str(ways.telnet)]
    heard = subprocess.run(command, input=said, capture_output=True, timeout=PATIENCE, check=False)
    return heard.stdout


def spawn(*command: str) -> "pexpect.spawn[str]":
    return pexpect.spawn(
        command[0], list(command[1:]), encoding="utf-8", timeout=PATIENCE, dimensions=(40, 120)
    )


def test_netcat_negotiates_nothing_and_works(ways: Ways) -> None:
    heard = netcat(ways, f"alice\n{PASSWORD}\nversion --json\nnonsense\nquit\n")
    assert '"store":"sqlite"' in heard
    assert "error: 'nonsense' is no command" in heard


def test_a_newline_is_cr_lf(ways: Ways) -> None:
    """RFC 854; to a client that negotiates nothing, and to one that has agreed to the echo."""
    agreed = b"\xff\xfd\x01\xff\xfd\x03\xff\xfb\x1f"
    for said in (b"", agreed):
        heard = netcat_octets(ways, said + f"alice\r\n{PASSWORD}\r\nversion\r\nquit\r\n".encode())
        assert b"twisted" in heard
        assert heard.count(b"\n") == heard.count(b"\r\n")
        assert b"\r\r" not in heard


def test_what_is_not_utf8_is_refused_on_a_plain_line(ways: Ways) -> None:
    heard = netcat_octets(ways, f"alice\n{PASSWORD}\n".encode() + b"account add gr\xfc\xdfe\nquit\n")
    assert b"not UTF-8" in heard


SENTENCE = "cost 5€ über 漢字"


def text_of(ways: Ways, message: int) -> str:
    """As the store has it."""
    engine = open_engine(f"sqlite:///{ways.server.folder}/store.db")
    try:
        with engine.transaction() as conn:
            found = messages.find(conn, message)
    finally:
        engine.close()
    assert found is not None
    return found.message.text


def test_any_script_by_telnet(ways: Ways) -> None:
    """Log-in, password and text of other letters; the greeting is there before a key is pressed."""
    talk = spawn("telnet", "127.0.0.1", str(ways.telnet))
    talk.expect("lists the commands")
    talk.expect("operator: ")
    talk.send(f"{FOREIGNER}\r")
    talk.expect("password: ")
    talk.send(f"{FOREIGN_PASSWORD}x\x7f\r")
    talk.expect(PROMPT)
    talk.send(f"send {DID} {PHONE} {SENTENCE}€\x7f\r")
    talk.expect(r"Message (\d+) to")
    assert isinstance(talk.match, re.Match)
    assert text_of(ways, int(talk.match[1])) == SENTENCE
    talk.send("quit\r")
    talk.expect(pexpect.EOF)
    assert "unhandled keyID" not in ways.server.log.read_text()


class Tmux:
    """A real terminal, read as it shows itself."""

    def __init__(self, folder: Path, *command: str) -> None:
        self._socket = folder / "tmux.sock"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "30", shlex.join(command))

    def _tmux(self, *arguments: str) -> str:
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        command = ["tmux", "-u", "-S", str(self._socket), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=True, env=environment
        ).stdout

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def shown(self) -> str:
        return self._tmux("capture-pane", "-p")

    def close(self) -> None:
        self._tmux("kill-server")


def test_telnet_in_a_terminal_shows_what_to_do(ways: Ways, tmp_path: Path) -> None:
    screen = Tmux(tmp_path, "telnet", "127.0.0.1", str(ways.telnet))
    try:
        until(lambda: screen.shown().rstrip().endswith("operator:"), "a prompt before a key is pressed")
        assert "lists the commands" in screen.shown()
        screen.type(f"{FOREIGNER}ü")
        screen.press("BSpace", "Enter")
        until(lambda: screen.shown().rstrip().endswith("password:"), "the name is taken")
        screen.type(FOREIGN_PASSWORD)
        screen.press("Enter")
        until(lambda: screen.shown().rstrip().endswith(PROMPT.strip()), "logged in")
        assert f"operator: {FOREIGNER}\n" in screen.shown()
        assert FOREIGN_PASSWORD not in screen.shown()
    finally:
        screen.close()


def test_any_script_by_openssh_in_a_terminal(ways: Ways, tmp_path: Path) -> None:
    screen = Tmux(tmp_path, *ssh(ways, ways.ssh, ways.key))
    try:
        until(lambda: screen.shown().rstrip().endswith(PROMPT.strip()), "a prompt before a key is pressed")
        assert "lists the commands" in screen.shown()
        assert ">>>" not in screen.shown()
        screen.type(f"send {DID} {PHONE} {SENTENCE}€字")
        screen.press("BSpace", "BSpace")
        until(
            lambda: screen.shown().rstrip().endswith(f"{PROMPT}send {DID} {PHONE} {SENTENCE}"),
            "what was typed is seen",
        )
        screen.press("Enter")
        found = until(lambda: re.search(r"Message (\d+) to", screen.shown()), "it is queued")
        assert text_of(ways, int(found[1])) == SENTENCE
    finally:
        screen.close()


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
        heard = netcat(ways, "mallory\nguess\n" * 3, GUESSER)
        assert "trunkline>" not in heard
    assert "Too many wrong passwords." in heard
    log = ways.server.log.read_text()
    assert log.count('"console_login_refused"') >= 10
    assert "too many wrong passwords: wait" in log
    assert PROMPT not in netcat(ways, f"alice\n{PASSWORD}\n" * 3, GUESSER)
    assert PROMPT in netcat(ways, f"alice\n{PASSWORD}\nquit\n")


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


def test_ssh_without_a_terminal_carries_out_lines(ways: Ways) -> None:
    command = ssh(ways, ways.ssh, ways.key)
    command[command.index("-tt")] = "-T"
    for said, status in (("version --json\nbinds", 0), ("nonsense\nversion --json\nquit\nstatus\n", 1)):
        ended = subprocess.run(
            command, input=said, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert ended.returncode == status, ended.stderr
        assert '"store":"sqlite"' in ended.stdout
        assert PROMPT not in ended.stdout
        assert ("bound_trx" in ended.stdout) == (status == 0)
        assert "store_waiting" not in ended.stdout, "after quit nothing is said"
    command[command.index(str(ways.ssh))] = str(ways.manhole)
    ended = subprocess.run(
        command, input="1\n", capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "error: there is only a terminal here\n")
    for port in (ways.ssh, ways.manhole):
        command = ssh(ways, port, ways.key, "purge")
        subprocess.run(command, input=b"x\n" * 1_000, capture_output=True, timeout=PATIENCE, check=False)
    assert "AssertionError" not in ways.server.log.read_text(), "a command reads nothing, and minds nothing"


def test_a_goodbye_is_no_error(ways: Ways) -> None:
    for _ in range(2):
        subprocess.run(ssh(ways, ways.ssh, ways.key, "version"), timeout=PATIENCE, check=True)
    assert "disconnected by user" not in ways.server.log.read_text()


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
    refused = [line for line in ways.server.log.read_text().splitlines() if "unknown key" in line]
    assert json.loads(refused[-1])["where"].startswith(f"{port} 127.0.0.1:")


def test_the_manhole_is_python_and_audited(ways: Ways) -> None:
    first, *rest = ssh(ways, ways.manhole, ways.key)
    talk = spawn(first, *rest)
    talk.expect(">>> ")
    talk.send("service.name * 2\r")
    talk.expect("trunklinetrunkline")
    talk.send("'ü€x\x7f\x7f漢'\r")
    talk.expect_exact("漢'\r\n'ü漢'\r\n")
    talk.send("\x04")
    talk.expect(pexpect.EOF)
    assert '"manhole_line"' in ways.server.log.read_text()
    client = ways.client()

    def lines() -> list[Any]:
        found = client.ask({"line": "audit limit=50"})["document"]
        return [entry["detail"]["line"] for entry in found if entry["action"] == "manhole"]

    until(lambda: lines() == ["'ü漢'", "service.name * 2"], "the lines are in the audit")
    client.close()


def test_the_host_key_is_this_installations_own(ways: Ways) -> None:
    key = ways.server.folder / "keys" / "host_key"
    assert (key.stat().st_mode & 0o777) == 0o600


def test_drain_ends_the_server(ways: Ways) -> None:
    """The last of this file: it ends what the others use."""
    client = ways.client()
    assert client.ask({"line": "drain"})["ok"]
    client.close()
    assert ways.server._process is not None
    assert ways.server._process.wait(PATIENCE) == 0
