"""trunkline db backup, restore, check and purge: what they say, their exit codes, what they refuse."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from edge.cli import trunkline
from storage import accounts, messages, retention
from storage.engines import Engine, open_engine
from storage.ids import EPOCH_MS
from storage.records import PartState
from storage.retention import DAY_MS, Kept
from storage.tables import conversation, part
from tests import postgresql
from tests.samples import NOW, ids, mt, part_of
from tests.storing import done, indexed, read, stored, written

Run = Callable[..., Result]
SOUND = "Every invariant of the store holds.\n"


def configured(folder: Path, url: str) -> Run:
    """The commands, for the store of this URL; they must end well unless ``exit_code`` says otherwise."""
    file = folder / "trunkline.toml"
    file.write_text(f'[store]\nurl = "{url}"\n')

    def run(*words: str, exit_code: int = 0) -> Result:
        environment = {"TRUNKLINE_CONFIG": str(file)}
        result = CliRunner().invoke(trunkline, ("db", *words), env=environment, catch_exceptions=False)
        assert result.exit_code == exit_code, result.output
        return result

    return run


@pytest.fixture
def run(store_url: str, tmp_path: Path) -> Run:
    """For the test's store."""
    return configured(tmp_path, store_url)


@pytest.fixture
def another(engine_name: str, tmp_path: Path) -> Iterator[Run]:
    """For where there is no store yet."""
    folder = tmp_path / "another"
    folder.mkdir()
    if engine_name == "sqlite":
        yield configured(folder, f"sqlite:///{folder / 'store.db'}")
        return
    with postgresql.database() as url:
        yield configured(folder, url)


def test_a_backup_and_the_store_made_of_it(run: Run, another: Run, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    account = done(engine, accounts.add_account, ids.next, "acme", NOW)
    said = json.loads(run("backup", str(file), "--json").stdout)
    assert said == {"file": str(file), "bytes": file.stat().st_size}
    assert another("restore", str(file)).stdout.startswith("The store is back, at ")
    assert another("check").stdout == SOUND
    again = open_engine((tmp_path / "another" / "trunkline.toml").read_text().split('"')[1])
    assert read(again, accounts.find_account, "acme") == account
    again.close()


def test_what_backup_and_restore_refuse_in_one_sentence(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    run("backup", str(file))
    before = file.read_bytes()
    assert "is there already" in run("backup", str(file), exit_code=1).stderr
    assert file.read_bytes() == before
    nowhere = run("backup", str(tmp_path / "no" / "folder"), exit_code=1).stderr
    assert "cannot be written" in nowhere
    assert "already" in run("restore", str(file), exit_code=1).stderr
    missing = run("restore", str(tmp_path / "missing"), exit_code=1).stderr
    assert "There is no backup" in missing
    for said in (nowhere, missing):
        assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_what_is_no_backup_makes_no_store(another: Run, tmp_path: Path, engine_name: str) -> None:
    file = tmp_path / "letter"
    file.write_bytes(b"Dear Sir or Madam, " * 1_000)
    assert "no backup of" in another("restore", str(file), exit_code=1).stderr
    if engine_name == "sqlite":
        made = {path.name for path in (tmp_path / "another").iterdir() if path.suffix != ".lock"}
        assert made == {"trunkline.toml"}


def test_check_names_the_rows_that_break_an_invariant(run: Run, engine: Engine) -> None:
    account = done(engine, accounts.add_account, ids.next, "acme", NOW)
    whole = mt(account_id=account.id, did_id=None, parts_total=1)
    written(engine, messages.insert(whole, [item := part_of(whole)]))
    with engine.transaction() as connection:
        connection.execute(update(part).values(state="lost"))
        connection.execute(update(conversation).values(last_message_id=1))
    lines = run("check", exit_code=1).stdout.splitlines()
    assert f"part state known: the state is none of {', '.join(PartState)}: {item.id}" in lines
    assert any(line.startswith("conversation newest: ") for line in lines)
    problems = json.loads(run("check", "--json", exit_code=1).stdout)["problems"]
    assert ["part state known", 1, [str(item.id)]] in [
        [problem["name"], problem["rows"], problem["named"]] for problem in problems
    ]


def test_check_counts_what_it_does_not_name(run: Run, engine: Engine) -> None:
    stored(engine, *(mt(account_id=None) for _ in range(25)))
    (line,) = [line for line in run("check", exit_code=1).stdout.splitlines() if "owner whole" in line]
    assert line.endswith(" and 5 more")
    assert line.count(",") == 19 + 1  # between those that are named, and in the sentence


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_check_says_that_a_file_is_damaged(run: Run, engine: Engine, store_url: str) -> None:
    stored(engine, *(mt(text="x" * 300) for _ in range(200)))
    engine.close()
    file = Path(store_url.removeprefix("sqlite:///"))
    pages = bytearray(file.read_bytes())
    half = len(pages) // 2 // 4_096 * 4_096
    pages[half : half + 16_384] = bytes(16_384)
    file.write_bytes(pages)
    said = run("check", exit_code=1)
    assert "damaged" in said.stdout or "malformed" in said.stderr
    assert "Traceback" not in said.output
    file.write_bytes(pages[:3_000])
    assert "malformed" in run("check", exit_code=1).stderr


def test_purge_removes_what_no_rule_keeps_and_says_what(run: Run, engine: Engine) -> None:
    assert run("purge").stdout == "There was nothing to remove.\n"
    old = EPOCH_MS + DAY_MS
    stored(engine, *(mt(created_at=old, id=number + 1) for number in range(1_005)), mt())
    done(engine, retention.set_rule, 0, Kept.MT, 30 * DAY_MS)
    indexed(engine)
    removed = json.loads(run("purge", "--json").stdout)["removed"]
    assert removed["mt messages"] == 1_005  # more than one transaction's worth
    assert len(read(engine, messages.search, 1, limit=1_000)) == 1
    assert run("purge").stdout == "There was nothing to remove.\n"
