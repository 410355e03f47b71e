"""trunkline send and explain."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from edge.cli import trunkline
from storage import messages, opt_outs, parts
from storage.engines import Engine, open_engine
from storage.ids import time_of
from storage.records import PartState
from storage.tables import part
from tests.provision import provision
from tests.samples import NOW, ids

Run = Callable[..., Result]
DID = "+12025550100"
SEND = ("send", "--from", "202-555-0100", "--to", "(202) 555-0150")


@pytest.fixture
def config_file(sqlite_url: str, tmp_path: Path) -> Path:
    """One upstream, one account with a DID."""
    provision(sqlite_url, [DID])
    file = tmp_path / "trunkline.toml"
    file.write_text(
        f'[store]\nurl = "{sqlite_url}"\n'
        '[[upstream]]\nname = "carrier"\nport = 2775\nsystem_id = "me"\npassword = "x"\n'
    )
    return file


@pytest.fixture
def run(config_file: Path) -> Run:
    """Run a command; it must end well unless ``exit_code`` says otherwise."""

    def run(*words: str, exit_code: int = 0) -> Result:
        result = CliRunner().invoke(
            trunkline, words, env={"TRUNKLINE_CONFIG": str(config_file)}, catch_exceptions=False
        )
        assert result.exit_code == exit_code, result.output
        return result

    return run


@pytest.fixture
def engine(sqlite_url: str) -> Any:
    """The store, to look into."""
    opened = open_engine(sqlite_url)
    yield opened
    opened.close()


def queued(engine: Engine) -> list[parts.QueuedPart]:
    with engine.snapshot() as conn:
        return parts.queued(conn, "carrier", 2**52, 100)


def test_a_message_is_stored_with_its_parts_queued(run: Run, engine: Engine) -> None:
    answer = json.loads(run(*SEND, "Grüße", "--json").stdout)
    assert (answer["from"], answer["to"], answer["status"]) == (DID, "+12025550150", "queued")
    assert (answer["parts"], answer["encoding"], answer["upstream"]) == (1, "GSM7", "carrier")
    (waiting,) = queued(engine)
    assert (waiting.did, waiting.peer, waiting.part.message_id) == (DID, "+12025550150", answer["id"])
    assert waiting.part.state is PartState.QUEUED


def test_a_long_message_waits_in_order_and_ids_grow(run: Run, engine: Engine) -> None:
    first = json.loads(run(*SEND, "€" * 200, "--json").stdout)
    second = json.loads(run(*SEND, "x", "--json").stdout)
    assert [item.part.number for item in queued(engine)] == [1, 2, 3, 1]
    assert first["parts"] == 3
    assert first["id"] < second["id"] < 2**53
    assert time_of(first["id"]) <= time_of(second["id"])


def test_waiting_ends_with_the_final_state(run: Run, engine: Engine) -> None:
    run(*SEND, "one", "--wait", "--timeout", "0", exit_code=1)
    with engine.transaction() as conn:
        conn.execute(update(part).values(state="delivered"))
    with engine.snapshot() as conn:
        (view,) = messages.search(conn, _account(engine))
    assert str(messages.status_of(view.message, view.parts)) == "delivered"


def _account(engine: Engine) -> int:
    with engine.snapshot() as conn:
        from storage import accounts

        return accounts.list_accounts(conn)[0].id


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--from", "2025550199", "--to", "2025550150", "x"), "not a DID"),
        (("--from", DID, "--to", "nobody", "x"), "not a telephone number"),
        (("--from", DID, "--to", "2025550150", ""), "no text"),
        (("--from", DID, "--to", "2025550150", "x" * 40_001), "the limit is 40000"),
    ],
)
def test_what_cannot_be_sent_is_told_and_not_stored(
    run: Run, engine: Engine, words: tuple[str, ...], says: str
) -> None:
    assert says in run("send", *words, exit_code=1).stderr
    assert queued(engine) == []


def test_without_an_upstream_nothing_can_be_sent(run: Run, config_file: Path) -> None:
    config_file.write_text(config_file.read_text().partition("[[upstream]]")[0])
    assert "No upstream" in run(*SEND, "x", exit_code=1).stderr


# -- explain ------------------------------------------------------------------------------------------------


def test_explain_counts_and_names_what_makes_a_text_dear(run: Run) -> None:
    answer = json.loads(run("explain", "--to", "2025550150", "--from", DID, "naïve… “x”", "--json").stdout)
    assert (answer["encoding"], answer["parts"], answer["upstream"]) == ("UCS2", 1, "carrier")
    assert (answer["from"], answer["to"]) == (DID, "+12025550150")
    assert answer["offending"] == [
        '"ï" U+00EF LATIN SMALL LETTER I WITH DIAERESIS',
        '"…" U+2026 HORIZONTAL ELLIPSIS',
        '"“" U+201C LEFT DOUBLE QUOTATION MARK',
        '"”" U+201D RIGHT DOUBLE QUOTATION MARK',
    ]
    plain = json.loads(run("explain", "€" * 100, "--json").stdout)
    assert (plain["encoding"], plain["units"], plain["parts"], plain["offending"]) == ("GSM7", 200, 2, [])


def test_explain_never_writes_what_a_terminal_would_obey(run: Run) -> None:
    shown = run("explain", "\x1b]0;title\x07").stdout
    assert "\x1b" not in shown
    assert "U+0007" in shown


def test_explain_needs_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(trunkline, ["explain", "hello"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "GSM7" in result.stdout
    assert "upstream" not in result.stdout


def test_who_opted_out_gets_nothing_from_operators_either(run: Run, engine: Engine) -> None:
    with engine.transaction() as conn:
        opt_outs.add(conn, ids.next, 0, "+12025550150", "operator", NOW)
    assert "wants no messages" in run(*SEND, "hello", exit_code=1).output
    with engine.transaction() as conn:
        opt_outs.remove(conn, 0, "+12025550150")
    run(*SEND, "hello")
