"""trunkline retention, erase and export: what they do, ask, refuse and hand out."""

import csv
import io
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.cli import trunkline
from storage import accounts, audit, erasure, messages, retention
from storage.engines import Engine
from storage.records import Account, DeliveryState, PartState
from storage.retention import DAY_MS, Kept
from tests.samples import NOW, PEER, delivery_of, ids, mo, mt, part_of
from tests.storing import done, read, stored, written

Run = Callable[..., Result]
BOB = "+12025550177"


@pytest.fixture
def run(store_url: str, tmp_path: Path) -> Run:
    """The commands, on the test's store."""
    file = tmp_path / "trunkline.toml"
    file.write_text(f'[store]\nurl = "{store_url}"\n')

    def run(*words: str, exit_code: int = 0, typed: str | None = None) -> Result:
        environment = {"TRUNKLINE_CONFIG": str(file)}
        result = CliRunner().invoke(trunkline, words, env=environment, input=typed, catch_exceptions=False)
        assert result.exit_code == exit_code, result.output
        return result

    return run


@pytest.fixture
def acme(engine: Engine) -> Account:
    return done(engine, accounts.add_account, ids.next, "acme", NOW)


def texts(engine: Engine, account: Account) -> list[str]:
    return [view.message.text for view in read(engine, messages.search, account.id)]


def test_rules_are_set_and_listed(run: Run, engine: Engine, acme: Account) -> None:
    assert run("retention", "ls").stdout == "every account: event 7 days\nEverything else is kept for ever.\n"
    run("retention", "set", "mo", "30")
    said = run("retention", "set", "raw", "5", "--account", "acme").stdout
    assert said == "acme: raw is kept for 5 days.\n"
    assert read(engine, retention.rules_of, acme.id) == {Kept.RAW: 5 * DAY_MS}
    rules = json.loads(run("retention", "ls", "--json").stdout)["rules"]
    assert {"account": None, "kind": "mo", "days": 30.0} in rules
    assert {"account": "acme", "kind": "raw", "days": 5.0} in rules
    said = run("retention", "set", "raw", "forever", "--account", "acme").stdout
    assert said == "acme: raw is kept for ever.\n"
    assert "acme: raw for ever\n" in run("retention", "ls").stdout
    assert read(engine, retention.rules_of, acme.id) == {Kept.RAW: retention.FOREVER}
    run("retention", "set", "raw", "default", "--account", "acme")
    assert read(engine, retention.rules_of, acme.id) == {}
    assert [entry.action for entry in read(engine, audit.everything)] == ["retention.set"] * 4


def test_rules_that_cannot_be(run: Run, acme: Account) -> None:
    assert (
        "one rule for the whole store"
        in run("retention", "set", "event", "9", "--account", acme.name, exit_code=1).stderr
    )
    assert "less than a day" in run("retention", "set", "mo", "0", exit_code=1).stderr
    run("retention", "set", "mo", "soon", exit_code=2)
    run("retention", "set", "letters", "3", exit_code=2)


def test_a_person_is_erased_when_the_number_is_typed(run: Run, engine: Engine, acme: Account) -> None:
    stored(engine, *(mo(account_id=acme.id, peer=peer, text=peer) for peer in (PEER, PEER, BOB)))
    assert "Nothing was erased" in run("erase", "acme", PEER, typed="yes\n", exit_code=1).stderr
    assert sorted(texts(engine, acme)) == [BOB, PEER, PEER]
    said = run("erase", "acme", PEER, typed=f"{PEER}\n").stdout
    assert said == f"{PEER} is erased from acme: 2 messages.\n"
    assert sorted(texts(engine, acme)) == ["", "", BOB]
    assert json.loads(run("erase", "acme", BOB, "--yes", "--json").stdout) == {"messages": 1}
    assert texts(engine, acme) == [""] * 3
    assert {entry.subject for entry in read(engine, audit.listed, acme.id)} == {erasure.PSEUDONYM}


def test_nobody_is_erased_while_something_of_his_is_under_way(
    run: Run, engine: Engine, acme: Account
) -> None:
    sent, got = mt(account_id=acme.id), mo(account_id=acme.id)
    written(engine, messages.insert(sent, [part_of(sent, state=PartState.QUEUED)]))
    written(engine, messages.insert(got, [], [delivery_of(got, state=DeliveryState.PENDING)]))
    assert "2 messages of" in run("erase", "acme", PEER, "--yes", exit_code=1).stderr
    assert texts(engine, acme) == ["hello", "hello"]


def test_an_export_is_written_out_or_to_a_private_file(
    run: Run, engine: Engine, acme: Account, tmp_path: Path
) -> None:
    stored(engine, *(mo(account_id=acme.id, peer=peer, text=f"to {peer} é") for peer in (PEER, BOB)))
    stored(engine, mo(account_id=acme.id + 1, text="theirs"))
    lines = run("export", "acme").stdout.splitlines()
    assert [json.loads(line)["text"] for line in lines] == [f"to {PEER} é", f"to {BOB} é"]
    file = tmp_path / "export.csv"
    run("export", "acme", "--peer", BOB, "--did", mo().did, "--format", "csv", "-o", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (row,) = csv.DictReader(io.StringIO(file.read_text(), newline=""))
    assert (row["peer"], row["text"]) == (BOB, f"to {BOB} é")
    assert "there already" in run("export", "acme", "-o", str(file), exit_code=1).stderr
    assert "There is no account" in run("export", "nobody", exit_code=1).stderr
