"""Every command at least once, by the socket that `trunkline ctl` uses, on a running server."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.console.commands import language
from edge.console.ctl import Client
from edge.console.dialogue import MOST_WAITING
from storage import accounts, inventory, numbers, receipts
from storage.engines import open_engine
from storage.records import ReceiptRecord
from tests.integration.console.conftest import DID, PHONE, Ways
from tests.server import until

pytestmark = pytest.mark.integration


@pytest.fixture
def client(ways: Ways) -> Iterator[Client]:
    made = ways.client()
    yield made
    made.close()


def say(client: Client, line: str) -> Any:
    """The document of an answer that went well."""
    answer = client.ask({"line": line})
    assert answer["ok"], answer["text"]
    assert answer["text"]
    return answer["document"]


def refused(client: Client, line: str) -> str:
    answer = client.ask({"line": line})
    assert not answer["ok"], answer["text"]
    return str(answer["text"])


SIMPLE = [
    ("status", "ready"),
    ("binds", "bind"),
    ("limits", "upstreams"),
    ("reactor", "timers"),
    ("version", "python"),
    ("audit limit=5", None),
    ("account ls", "account"),
    ("user ls test", None),
    ("did ls account=test", "number"),
    ("key ls test", "prefix"),
    ("optout ls test", None),
    ("queue ls", None),
    ("indoubt ls", None),
    ("receipts unmatched", None),
    ("quarantine ls", None),
    (f"quarantine release {DID}", "messages"),
    ("number ls", None),
    ("order ls", None),
    ("deadletter ls", None),
    ("delivery ls", None),
    ("callback ls", None),
    ("target ls", None),
    ("sip reg", None),
    ("sip status", "bindings"),
    ("sip ban ls", None),
    ("log tail lines=5", None),
    ("log level", "level"),
    ("help", "usage"),
    ("help queue", "usage"),
    (f"route test {DID} {PHONE}", "upstream"),
    ("purge", "gone"),
    ("kill-switch", "stopped"),
]


@pytest.mark.parametrize(("line", "member"), SIMPLE, ids=[line for line, _ in SIMPLE])
def test_what_is_asked_is_answered(client: Client, line: str, member: str | None) -> None:
    document = say(client, line)
    first = document[0] if isinstance(document, list) and document else document
    if member is not None:
        assert member in first


WRONG = [
    ("queue show", "MESSAGE is missing"),
    ("queue show abc", "message must be a whole number"),
    ("queue show 7", "There is no message 7"),
    ("queue hold 7", "Nothing of message 7 waits"),
    ("queue retry 7", "Nothing of message 7 waits"),
    ("queue cancel 7", "Nothing of message 7 waits"),
    ("queue move 7 nowhere", "There is no upstream 'nowhere'"),
    ("queue ls limit=5000", "limit may be at most 1000"),
    ("quarantine release +12025550177", "is no DID here"),
    ("queue ls limit=0", "limit must be at least 1"),
    ("queue ls limit=", "limit must be a whole number"),
    ("queue ls limit=5 limit=6", "limit= is there twice"),
    ("queue ls upstream=nowhere", "There is no upstream 'nowhere'; there are: carrier"),
    (f"queue show {'9' * 30}", "message may be at most"),
    ("indoubt ls upstream=nowhere", "There is no upstream 'nowhere'"),
    ("receipts unmatched upstream=nowhere", "There is no upstream 'nowhere'"),
    ("deadletter ls handler=weebhook", "There is no handler 'weebhook'; there are: callback"),
    ("deadletter replay all handler=weebhook", "There is no handler 'weebhook'"),
    ("delivery ls handler=weebhook", "There is no handler 'weebhook'"),
    ("target pause weebhook https://a.example/x", "There is no handler 'weebhook'"),
    ("callback resume https://a.example/x", "is not stopped"),
    ("sip reg username=nobody", "There is no username 'nobody'; there are none."),
    ("did ls account=nobody", "nobody"),
    ("bind trace carrier seconds=0", "seconds must be at least 1"),
    ("log tail lines=0", "lines must be at least 1"),
    ("number add +12025550198 sms=maybe", "sms must be yes or no, not 'maybe'"),
    ("number add +12025550198 sms=", "sms must be yes or no, not ''"),
    ("indoubt resolve 7 resend", "Part 7 is not in doubt"),
    ("indoubt resolve 7 maybe", "verdict must be resend or fail"),
    ("deadletter replay 7", "None of these has failed"),
    ("deadletter replay 7 handler=nix", "There is no handler 'nix'; there are: callback, "),
    ("delivery retry 7", "Delivery 7 is not owed"),
    ("delivery skip 7", "Delivery 7 is not owed"),
    ("callback replay 7", "None of these has failed"),
    ("target resume webhook https://a.example/x", "is not stopped"),
    ("bind stop nothing", "There is no bind or upstream 'nothing'"),
    ("bind trace carrier seconds=99999", "seconds may be at most"),
    ("sip kick nobody", "There is no SIP account 'nobody'"),
    ("sip unban 192.0.2.1", "192.0.2.1 is not banned"),
    ("send +12025559999 +12025550150 hello", "+12025559999 is not a DID"),
    (f"send {DID} nonsense hello", "is not a telephone number"),
    (f"explain {DID} {PHONE} ''", "has no text"),
    ("did add nobody +12025550177", "nobody"),
    ("did add test +1202", "+1202"),
    ("number add +1202", "+1202"),
    ("number withdraw +12025550199", "is not on offer"),
    ("order approve +12025550199", "Nobody waits for"),
    ("order refuse +12025550199", "Nobody waits for"),
    (f"did set {DID} colour=red", "expected KEY=VALUE"),
    ("key revoke test nothing", "nothing"),
    ("user add test 'no spaces'", "login"),
    ("optout ls nobody", "There is no account 'nobody'"),
    (f"optout remove test {PHONE}", "has not opted out"),
    ("backup here.db", "the whole path"),
    ("kill-switch maybe", "state must be on or off"),
    ("log level loud", "level must be debug or info"),
    ("callback pause notaurl", "begins with http"),
    ("callback pause http://[::1", "is no URL"),
    ("callback pause http://x:99999/", "is no URL"),
    (f"target pause webhook https://a.example/{'x' * 5_000}", "at most 4000 characters"),
    ("target pause imdn nonsense", "is nothing that imdn deliveries go to"),
    (f"did set {DID} 'callback_url=http://a.example/?b=c d'", "has no spaces"),
    ("make coffee", "'make' is no command"),
]


@pytest.mark.parametrize(("line", "sentence"), WRONG, ids=[line for line, _ in WRONG])
def test_what_is_wrong_is_explained(client: Client, line: str, sentence: str) -> None:
    assert sentence in refused(client, line)


def test_a_message_is_sent_and_followed(client: Client) -> None:
    sent = say(client, f"send {DID} {PHONE} 'where is it?'")
    until(
        lambda: say(client, f"queue show {sent['message']}")["status"] == "delivered",
        "the message is delivered",
    )
    shown = say(client, f"queue show {sent['message']}")
    assert [part["state"] for part in shown["parts"]] == ["delivered"]
    assert "where is it" not in json.dumps(shown)
    assert say(client, f"explain {DID} {PHONE} 'smile 😀'")["encoding"] == "UCS2"


def test_the_kill_switch_keeps_what_is_accepted(client: Client, ways: Ways) -> None:
    assert say(client, "kill-switch on")["stopped"] == ["carrier"]
    sent = [say(client, f"send {DID} {PHONE} 'number {n}'")["message"] for n in range(4)]
    (row,) = (row for row in say(client, "queue ls") if row["message"] == sent[0])
    assert (row["state"], row["upstream"]) == ("queued", "carrier")
    assert len(say(client, f"queue hold {sent[1]}")["parts"]) == 1
    assert len(say(client, f"queue cancel {sent[2]}")["parts"]) == 1
    assert len(say(client, f"queue retry {sent[3]}")["parts"]) == 1
    assert "waits for carrier already" in refused(client, f"queue move {sent[0]} carrier")
    shown = say(client, f"queue show {sent[1]}")
    assert shown["status"] == "queued", "and so its owner is told"
    (kept,) = (part["id"] for part in shown["parts"])
    assert say(client, "indoubt ls") == [], "what was never sent is in no doubt"
    assert "is not in doubt" in refused(client, f"indoubt resolve {kept} resend")
    assert say(client, "status")["parts"]["carrier kept"] == 1
    say(client, "kill-switch off")
    until(lambda: say(client, f"queue show {sent[0]}")["status"] == "delivered", "it goes on")
    until(lambda: say(client, f"queue show {sent[3]}")["status"] == "delivered", "this one too")
    assert say(client, f"queue show {sent[1]}")["parts"][0]["state"] == "held"
    assert say(client, f"queue show {sent[2]}")["parts"][0]["state"] == "failed"
    assert say(client, f"queue retry {sent[1]}")["parts"]
    until(lambda: say(client, f"queue show {sent[1]}")["status"] == "delivered", "the held one goes on")


def test_a_bind_is_stopped_started_and_traced(client: Client, ways: Ways) -> None:
    (name,) = (row["bind"] for row in say(client, "binds"))
    say(client, f"bind stop {name}")
    assert say(client, "binds")[0]["state"] == "stopped"
    say(client, "bind start carrier")
    until(lambda: say(client, "binds")[0]["state"] == "bound_trx", "it binds")
    say(client, f"bind trace {name} seconds=30")
    say(client, f"send {DID} {PHONE} 'not to be seen'")
    until(lambda: "bind_pdu" in ways.server.log.read_text(), "the trace in the log")
    assert "not to be seen" not in ways.server.log.read_text()
    say(client, "bind restart carrier")
    until(lambda: say(client, "binds")[0]["state"] == "bound_trx", "it binds again")


def test_people_are_added(client: Client) -> None:
    assert say(client, "account add newcomer")["added"]
    assert not say(client, "account add newcomer")["added"]
    assert say(client, "did add newcomer +12025550133")["number"] == "+12025550133"
    assert say(client, "did set +12025550133 sms=off")["sms"] is False
    assert len(say(client, "user add newcomer zoe")["password"]) >= 12
    token = say(client, "key add newcomer program")["token"]
    assert token.startswith("tk_")
    assert "There is a key program already" in refused(client, "key add newcomer program")
    say(client, "key revoke newcomer program")
    say(client, f"optout add newcomer {PHONE}")
    assert say(client, "optout ls newcomer")[0]["number"] == PHONE
    say(client, f"optout remove newcomer {PHONE}")


def test_an_order_is_decided_by_one_operator_only(client: Client, ways: Ways) -> None:
    other, number = ways.client(), "+12025550177"
    engine = open_engine(f"sqlite:///{ways.server.folder}/store.db")
    for _ in range(6):
        say(client, f"number add {number} sms=yes")
        with engine.transaction() as conn:
            account = accounts.find_account(conn, "test")
            assert account is not None
            inventory.ask(conn, account.id, number, "user:ann", 1)
        assert say(client, "order ls")[0]["number"] == number
        for one, verdict in ((client, b"approve"), (other, b"refuse")):
            one._socket.sendall(b'{"line": "order %b %b"}\n' % (verdict, number.encode()))
        said = [json.loads(one._file.readline()) for one in (client, other)]
        assert sorted(answer["ok"] for answer in said) == [False, True], said
        with engine.transaction() as conn:
            assert (numbers.find_did(conn, number) is not None) == said[0]["ok"]
            if said[0]["ok"]:
                inventory.release(conn, account.id, number, "US", "", 2)
    say(client, f"number withdraw {number}")
    engine.close()
    other.close()


def test_settings_are_taken_as_they_are_quoted_and_their_secrets_kept(client: Client, ways: Ways) -> None:
    say(client, "did add test +12025550155")
    url = "https://bob@shop.example/in"
    assert "no user name" in refused(
        client, f"did set +12025550155 callback_url={url.replace('@', ':hunter1@')}"
    )
    line = "did set +12025550155 'callback_url=https://shop.example/in?a={MESSAGE}' sms=on"
    assert say(client, f"{line} 'callback_secret=hunter number 22'")["sms"] is True
    found: list[Any] = []

    def noted() -> bool:
        found[:] = [entry["detail"].get("command", "") for entry in say(client, "audit limit=50")]
        return any("callback_secret" in command for command in found)

    until(noted, "it is in the audit")
    (shown,) = (command for command in found if "callback_secret" in command)
    assert "shop.example/in?a={MESSAGE}" in shown
    assert "sms=on" in shown
    for text in ("".join(found), ways.server.log.read_text()):
        assert "hunter" not in text
        assert "shop.example" in text
    engine = open_engine(f"sqlite:///{ways.server.folder}/store.db")
    with engine.transaction() as conn:
        did = numbers.find_did(conn, "+12025550155")
    engine.close()
    assert did is not None
    assert did.handlers["callback"].settings["secret"] == "hunter number 22"


def test_a_carrier_cannot_write_on_the_operators_screen(client: Client, ways: Ways) -> None:
    engine = open_engine(f"sqlite:///{ways.server.folder}/store.db")
    now_ms = round(time.time() * 1000)
    receipt = ReceiptRecord(7, "carrier", "\x1b[2J\u202e7", "DELIVRD", None, b"", now_ms)
    with engine.transaction() as conn:
        assert receipts.store_and_match(conn, receipt, [receipt.smsc_message_id], None, now_ms) is None
    engine.close()
    answer = client.ask({"line": "receipts unmatched"})
    assert "\\u001b[2J\\u202e7" in answer["text"]
    assert all(line.isprintable() for line in answer["text"].split("\n"))
    assert answer["document"][0]["smsc_id"] == "\x1b[2J\u202e7", "programs get what it is"
    assert "\\u001b[2J\\u202e7" in ctl(ways, "receipts", "unmatched", "--json").stdout


def test_help_of_some_commands_for_programs(client: Client) -> None:
    found = say(client, "help bind --json")
    assert [entry["usage"].split()[1] for entry in found if entry["usage"].startswith("bind ")] == [
        "start",
        "stop",
        "restart",
        "trace",
    ]
    assert len(found) == 4


def test_a_control_character_is_refused_and_no_mistake(client: Client, ways: Ways) -> None:
    assert "control character in it: U+0000" in refused(client, "account add nul\x00byte")
    assert "console_command_failed" not in ways.server.log.read_text()


def test_a_target_is_paused_and_resumed(client: Client) -> None:
    say(client, "target pause callback https://shop.example/sms why='their wish'")
    (row,) = say(client, "target ls")
    assert (row["state"], row["why"]) == ("stopped", "their wish")
    say(client, "target resume callback https://shop.example/sms")
    assert say(client, "target ls") == []
    say(client, "callback pause https://shop.example/sms")
    assert say(client, "target ls")[0]["target"] == row["target"]
    say(client, "callback resume https://shop.example/sms")
    assert say(client, "target ls") == []


def test_a_backup_is_a_store(client: Client, ways: Ways) -> None:
    target = ways.server.folder / "copy.db"
    say(client, f"backup {target}")
    assert target.stat().st_size > 0
    assert "copy.db" in refused(client, f"backup {target}"), "it is there already"


def test_a_reload_says_what_it_did(client: Client, ways: Ways) -> None:
    assert say(client, "reload")["changed"] == []
    good = ways.server.config.read_text()
    try:
        ways.server.config.write_text(good + "\n[nonsense]\n")
        assert "nonsense" in refused(client, "reload")
    finally:
        ways.server.config.write_text(good)
    assert say(client, "status")["ready"]


def test_every_command_is_in_this_file() -> None:
    text = Path(__file__).read_text() + Path(__file__).with_name("test_ways.py").read_text()
    missing = [command.name for command in language().commands if command.name not in text]
    assert missing == []


def test_all_is_audited_and_nothing_secret_is(client: Client, ways: Ways) -> None:
    say(client, f"send {DID} {PHONE} 'my pin is 4711'")
    refused(client, "make tea")

    def audited() -> list[Any]:
        found = say(client, "audit limit=50")
        noted = [entry["detail"] for entry in found if entry["action"] == "console"]
        sent = any(detail["command"].startswith("send ") for detail in noted)
        return found if sent and "misused" in {detail["outcome"] for detail in noted} else []

    entries = until(audited, "both are in the audit")
    said = [entry["detail"] for entry in entries if entry["action"] == "console"]
    assert any(detail["command"].startswith("send ") for detail in said)
    assert "4711" not in json.dumps(said)
    assert "4711" not in ways.server.log.read_text()
    ways_in = ("ctl pid ", "telnet 127.0.0.1:", "ssh 127.0.0.1:", "http")
    assert all(entry["from"].startswith(ways_in) for entry in entries)


def test_completion_knows_the_server(client: Client) -> None:
    assert client.ask({"complete": "bind re"})["words"] == ["restart"]
    assert client.ask({"complete": "bind stop "})["words"] == ["carrier", "carrier/transceiver"]
    assert DID in client.ask({"complete": "send "})["words"]


@pytest.mark.parametrize("request_line", [b"status\n", b"{}\n", b"[]\n", b'{"line"\n', b"\xff\xfe\n"])
def test_what_is_no_request_is_answered(ways: Ways, request_line: bytes) -> None:
    client = ways.client()
    client._socket.sendall(request_line)
    assert b'"ok":false' in client._file.readline()
    client.close()


def test_answers_come_in_the_order_of_the_questions(ways: Ways) -> None:
    """One that takes the store's time, and then one that does not."""
    client = ways.client()
    client._socket.sendall(b'{"line": "purge"}\n{"line": "version"}\n{"complete": "vers"}\nnonsense\n')
    answers = [json.loads(client._file.readline()) for _ in range(4)]
    assert "gone" in answers[0]["document"]
    assert "python" in answers[1]["document"]
    assert answers[2] == {"words": ["version"]}
    assert answers[3]["ok"] is False
    client.close()


def test_too_many_questions_at_once_end_it(ways: Ways) -> None:
    """What waits has a bound; what does not fit is told, and the rest is not begun."""
    client = ways.client()
    asked = b'{"line": "purge"}\n' + b'{"line": "version"}\n' * (MOST_WAITING + 50)
    client._socket.sendall(asked)
    answers = [json.loads(line) for line in client._file]
    assert answers[-1]["text"] == "Too many lines at once."
    assert len(answers) < MOST_WAITING
    client.close()
    client = ways.client()
    assert client.ask({"line": "version"})["ok"], "others are heard"
    client.close()


def ctl(ways: Ways, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "trunkline"), "ctl", "-c", str(ways.server.config), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, input=stdin)


def test_trunkline_ctl(ways: Ways) -> None:
    ended = ctl(ways, "version", "--json")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["store"] == "sqlite"
    ended = ctl(ways, "queue", "show", "7")
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "error: There is no message 7.\n")
    ended = ctl(ways, stdin="version\nbinds\nquit\nstatus\n")
    assert ended.returncode == 0
    assert "python" in ended.stdout
    assert "bound_trx" in ended.stdout
    assert "store_waiting" not in ended.stdout, "after quit nothing is said"
    ended = ctl(ways, stdin="queue show 7\nversion\n")
    assert (ended.returncode, ended.stderr) == (1, "error: There is no message 7.\n")
    assert "python" in ended.stdout, "what comes behind it is carried out"
    assert (ways.socket.stat().st_mode & 0o777) == 0o600


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_ctl_explains_itself(ways: Ways, word: str) -> None:
    ended = ctl(ways, word)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Say a command of the console" in ended.stdout


def test_ctl_explains_what_it_cannot_say(ways: Ways) -> None:
    ended = ctl(ways, "send", DID, PHONE, "x" * 70_000)
    assert (ended.returncode, ended.stderr) == (1, "error: A line has at most 8192 characters.\n")
    command = [str(Path(sys.executable).parent / "trunkline"), "ctl", "-c", str(ways.server.config)]
    other = subprocess.run(
        [*map(str.encode, command), b"account", b"add", b"gr\xfc\xdfe"],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (other.returncode, other.stdout) == (1, b"")
    assert b"not UTF-8" in other.stderr
    other = subprocess.run(
        command, input=b"account add gr\xfc\xdfe\nversion\n", capture_output=True, timeout=120, check=False
    )
    assert b"not UTF-8" in other.stderr
    assert b"twisted" in other.stdout, "the next line is carried out"
    assert other.returncode == 1, "a line of the file was refused"


def test_a_request_without_end_is_answered(ways: Ways) -> None:
    client = ways.client()
    client._socket.sendall(b"x" * 70_000)
    assert "at most 8192" in json.loads(client._file.readline())["text"]
    assert client._file.read() == b""
    client.close()


def test_ctl_says_when_the_server_goes(tmp_path: Path) -> None:
    """A server that dies before it answers: once for a command, once at the prompt."""
    config = tmp_path / "trunkline.toml"
    config.write_text(f'[console]\nsocket = "{tmp_path}/dying.sock"\n')
    command = [str(Path(sys.executable).parent / "trunkline"), "ctl", "-c", str(config)]
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "dying.sock"))
        listening.listen()
        for words, said in ((["status"], b""), ([], b"status\nbinds\n")):
            asking = subprocess.Popen(
                [*command, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            assert asking.stdin is not None
            asking.stdin.write(said)
            asking.stdin.flush()
            accepted, _ = listening.accept()
            accepted.recv(1_000)
            accepted.close()
            _, told = asking.communicate(timeout=120)
            assert asking.returncode == 1
            assert told == b"trunkline: The server has not answered: the server has closed the connection.\n"


def test_without_a_server_ctl_says_so(ways: Ways, tmp_path: Path) -> None:
    config = tmp_path / "trunkline.toml"
    config.write_text(f'[console]\nsocket = "{tmp_path}/none.sock"\n')
    command = [str(Path(sys.executable).parent / "trunkline"), "ctl", "-c", str(config), "status"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "No server answers at" in ended.stderr
