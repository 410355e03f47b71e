"""trunkline api-access: a password of its own, who may come from where, and how much."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge.cli import trunkline
from edge.passwords import verify
from storage import accesses
from storage.engines import open_engine
from storage.records import ApiAccess

Run = Callable[..., Result]


@pytest.fixture
def run(sqlite_url: str, tmp_path: Path) -> Run:
    """Run a command on a store with two accounts."""
    file = tmp_path / "trunkline.toml"
    file.write_text(f'[store]\nurl = "{sqlite_url}"\n')

    def run(*words: str, exit_code: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(
            trunkline, words, input=stdin, env={"TRUNKLINE_CONFIG": str(file)}, catch_exceptions=False
        )
        assert result.exit_code == exit_code, result.output
        return result

    for name in ("acme", "globex"):
        run("account", "add", name)
    return run


def password(
    run: Run, account: str = "acme", *more: str, exit_code: int = 0, typed: str = "long enough"
) -> Result:
    words = ("api-access", "password", "--account", account, "--password-stdin", *more)
    return run(*words, stdin=f"{typed}\n", exit_code=exit_code)


def change(run: Run, *settings: str, exit_code: int = 0) -> Result:
    return run("api-access", "set", "--account", "acme", *settings, exit_code=exit_code)


def stored(url: str, username: str) -> ApiAccess | None:
    engine = open_engine(url)
    try:
        with engine.snapshot() as connection:
            return accesses.named(connection, username)
    finally:
        engine.close()


def test_a_password_is_set_and_changed(run: Run, sqlite_url: str) -> None:
    said = password(run, "acme", "--username", "Me@Example.com").stdout
    assert "log in as me@example.com" in said
    assert "No address may call yet" in said
    assert "long enough" not in said
    first = stored(sqlite_url, "me@example.com")
    assert first is not None
    assert verify(first.password_hash, "long enough")
    assert (first.enabled, first.strict, first.allowed) == (True, True, "")
    change(run, "allow=0.0.0.0", "strict=off")
    assert "No address" not in password(run, typed="another one").stdout
    second = stored(sqlite_url, "me@example.com")
    assert second is not None
    assert verify(second.password_hash, "another one")
    assert (second.allowed, second.strict, second.created_at) == ("0.0.0.0", False, first.created_at)


def test_a_password_that_is_made_is_shown_once(run: Run, sqlite_url: str) -> None:
    words = ("api-access", "password", "--account", "acme", "--generate", "--json")
    document: dict[str, Any] = json.loads(run(*words).stdout)
    found = stored(sqlite_url, "acme")
    assert found is not None
    assert verify(found.password_hash, document["password"])
    assert document["username"] == "acme"
    assert "password" not in json.loads(run("api-access", "list", "--json").stdout)[0]


def test_everything_that_can_be_set(run: Run, sqlite_url: str) -> None:
    password(run)
    document = json.loads(
        run(
            "api-access",
            "set",
            "--account",
            "acme",
            "enabled=off",
            "username=New@Example.com",
            "allow=192.0.2.1, 198.51.100.0/24 home.example.net",
            "strict=off",
            "timezone=Europe/London",
            "per_minute=60",
            "per_day=100",
            "--json",
        ).stdout
    )
    assert document == {
        "account": "acme",
        "username": "new@example.com",
        "enabled": False,
        "allowed": ["192.0.2.1", "198.51.100.0/24", "home.example.net"],
        "strict": False,
        "timezone": "Europe/London",
        "per_minute": 60,
        "per_day": 100,
    }
    assert stored(sqlite_url, "acme") is None
    assert json.loads(run("api-access", "list", "--json").stdout) == [document]
    shown = run("api-access", "list").stdout
    assert "Europe/London" in shown
    change(run, "allow=", "per_day=0")
    found = stored(sqlite_url, "new@example.com")
    assert found is not None
    assert (found.allowed, found.per_day, found.per_minute) == ("", 0, 60)


@pytest.mark.parametrize(
    "setting",
    [
        "enabled=maybe",
        "allow=192.0.2.256",
        "timezone=Mars/Base",
        "per_day=-1",
        "per_minute=x",
        "color=red",
        "strict",
    ],
)
def test_what_cannot_be_set(run: Run, setting: str) -> None:
    password(run)
    assert "Error" in change(run, setting, exit_code=2).stderr


def test_mistakes(run: Run) -> None:
    assert "no API access yet" in change(run, "strict=on", exit_code=1).stderr
    assert "no account nobody" in password(run, "nobody", exit_code=1).stderr
    assert "8 to 1000 characters" in password(run, typed="short", exit_code=1).stderr
    assert "A user name has" in password(run, "acme", "--username", "a b", exit_code=1).stderr
    password(run, "globex", "--username", "taken")
    assert "belongs to another account" in password(run, "acme", "--username", "Taken", exit_code=1).stderr
    password(run)
    assert "belongs to another account" in change(run, "username=taken", exit_code=1).stderr
