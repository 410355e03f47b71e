"""trunkline sip-account: phones are added, shown and removed, and their numbers ring."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge.cli import trunkline
from protocols.sip.digest import Algorithm
from storage import numbers, sip_accounts
from storage.engines import open_engine

Run = Callable[..., Result]
DID, SECOND = "+12025550100", "+12025550101"


@pytest.fixture
def run(sqlite_url: str, tmp_path: Path) -> Run:
    """Run a command on a store with an account and two DIDs."""
    file = tmp_path / "trunkline.toml"
    file.write_text(f'[store]\nurl = "{sqlite_url}"\n[sip]\ndomain = "sip.example.net"\n')

    def run(*words: str, exit_code: int = 0, stdin: str | None = None, config: Path = file) -> Result:
        result = CliRunner().invoke(
            trunkline, words, input=stdin, env={"TRUNKLINE_CONFIG": str(config)}, catch_exceptions=False
        )
        assert result.exit_code == exit_code, result.output
        return result

    run("account", "add", "acme")
    for number in (DID, SECOND):
        run("did", "add", "--account", "acme", number)
    return run


def add(run: Run, username: str = "alice", *more: str) -> Any:
    words = ("sip-account", "add", "--account", "acme", "--did", DID, *more, username)
    return json.loads(run(*words, "--password-stdin", "--json", stdin="secret\n").stdout)


def stored(url: str) -> Any:
    engine = open_engine(url)
    try:
        with engine.snapshot() as connection:
            dids = {
                did.number: did.handlers.get("sip")
                for did in numbers.list_dids(connection, _owner(connection))
            }
            return sip_accounts.list_sip_accounts(connection), dids
    finally:
        engine.close()


def _owner(connection: Any) -> int:
    from storage import accounts

    found = accounts.find_account(connection, "acme")
    assert found is not None
    return found.id


def test_a_phone_is_added_and_its_number_rings(run: Run, sqlite_url: str) -> None:
    assert add(run) == {
        "aor": "sip:alice@sip.example.net",
        "username": "alice",
        "digest": "md5",
        "dids": [DID],
        "region": "",
        "reports": False,
    }
    [account], dids = stored(sqlite_url)
    assert account.ha1_md5 == Algorithm.MD5.ha1("alice", "sip.example.net", "secret")
    assert account.ha1_sha256 == Algorithm.SHA256.ha1("alice", "sip.example.net", "secret")
    assert dids[DID].settings == {"aor": "sip:alice@sip.example.net"}
    assert dids[SECOND] is None


def test_a_second_phone_takes_only_what_is_free(run: Run, sqlite_url: str) -> None:
    add(run)
    added = add(run, "bob", "--did", "2025550101", "--did", SECOND, "--digest", "both")
    assert (added["dids"], added["digest"]) == ([DID, SECOND], "both")
    _, dids = stored(sqlite_url)
    assert dids[DID].settings["aor"] == "sip:alice@sip.example.net"
    assert dids[SECOND].settings["aor"] == "sip:bob@sip.example.net"


def test_another_password(run: Run, sqlite_url: str) -> None:
    add(run)
    made = run("sip-account", "add", "--account", "acme", "--did", DID, "alice", "--generate").stdout
    password = made.strip().rpartition(" ")[2]
    [account], _ = stored(sqlite_url)
    assert account.ha1_md5 == Algorithm.MD5.ha1("alice", "sip.example.net", password)


def test_they_are_shown(run: Run) -> None:
    add(run)
    for words in ((), ("--account", "acme")):
        assert "sip:alice@sip.example.net  md5     +12025550100" in run("sip-account", "list", *words).stdout
    assert [item["username"] for item in json.loads(run("sip-account", "list", "--json").stdout)] == ["alice"]


def test_one_is_removed(run: Run, sqlite_url: str) -> None:
    add(run)
    assert run("sip-account", "remove", "alice").stdout == "sip:alice@sip.example.net removed.\n"
    found, dids = stored(sqlite_url)
    assert found == []
    assert not dids[DID].enabled
    assert "There is no SIP account" in run("sip-account", "remove", "alice", exit_code=1).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--account", "acme", "--did", "+12025550199", "alice"), "is not a DID of this account"),
        (("--account", "nobody", "--did", DID, "alice"), "There is no account nobody"),
        (("--account", "acme", "--did", DID, "al ice"), "A SIP username"),
    ],
)
def test_what_cannot_be(run: Run, words: tuple[str, ...], said: str) -> None:
    assert said in run("sip-account", "add", *words, "--generate", exit_code=1).stderr
    assert (
        "There is no account nobody" in run("sip-account", "list", "--account", "nobody", exit_code=1).stderr
    )


def test_without_sip(run: Run, tmp_path: Path, sqlite_url: str) -> None:
    plain = tmp_path / "plain.toml"
    plain.write_text(f'[store]\nurl = "{sqlite_url}"\n')
    assert "has no [sip]" in run("sip-account", "remove", "alice", exit_code=1, config=plain).stderr


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('tls = ["127.0.0.1:5061"]', "sip.certificate"),
        ("max_expires_seconds = 61", "sip.default_expires_seconds"),
        ('trusted = ["nowhere"]', "sip.trusted"),
        ('domain = "UPPER"', "sip.domain"),
    ],
)
def test_a_configuration_that_cannot_be(run: Run, tmp_path: Path, line: str, key: str) -> None:
    bad = tmp_path / "bad.toml"
    domain = "" if line.startswith("domain") else 'domain = "h"\n'
    bad.write_text(f"[sip]\n{domain}{line}\n")
    assert key in run("check-config", exit_code=2, config=bad).stderr


def test_a_country_and_reports(run: Run, sqlite_url: str) -> None:
    document = add(run, "alice", "--region", "GB", "--reports")
    assert (document["region"], document["reports"]) == ("GB", True)
    [account], _ = stored(sqlite_url)
    assert (account.region, account.reports) == ("GB", True)
    words = ("sip-account", "add", "--account", "acme", "--did", DID, "--region", "XX", "alice")
    assert "XX" in run(*words, "--password-stdin", stdin="x\n", exit_code=2).output
