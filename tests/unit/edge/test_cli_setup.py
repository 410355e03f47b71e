"""trunkline db, account, user, key, did, check-config: what they do, said twice, and what they refuse."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge import __version__
from edge.cli import trunkline
from edge.passwords import verify
from storage import accounts, mail, numbers
from storage.engines import open_engine

Run = Callable[..., Result]
URL = "http://example.net/in?id={ID}&text={MESSAGE}"


@pytest.fixture
def config_file(sqlite_url: str, tmp_path: Path) -> Path:
    """A configuration for a store with a schema and nothing else."""
    file = tmp_path / "trunkline.toml"
    file.write_text(f'[store]\nurl = "{sqlite_url}"\n')
    return file


@pytest.fixture
def run(config_file: Path) -> Run:
    """Run a command; it must end well unless ``exit_code`` says otherwise."""

    def run(*words: str, exit_code: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(
            trunkline, words, input=stdin, env={"TRUNKLINE_CONFIG": str(config_file)}, catch_exceptions=False
        )
        assert result.exit_code == exit_code, result.output
        return result

    return run


def answer(result: Result) -> Any:
    return json.loads(result.stdout)


@pytest.fixture
def acme(run: Run) -> Run:
    """With the account acme."""
    run("account", "add", "acme")
    return run


# -- accounts and users -------------------------------------------------------------------------------------


def test_an_account_is_added_once(run: Run) -> None:
    assert run("account", "add", "acme").stdout == "Account acme added.\n"
    assert run("account", "add", "acme").stdout == "Account acme is there already.\n"
    first = answer(run("account", "add", "other", "--json"))
    assert first["added"]
    assert answer(run("account", "add", "other", "--json")) == {**first, "added": False}
    assert [item["name"] for item in answer(run("account", "list", "--json"))] == ["acme", "other"]
    assert run("account", "list").stdout.splitlines()[0].split() == ["ACCOUNT", "ADDED"]


def test_a_name_that_would_garble_a_terminal_is_refused(run: Run) -> None:
    assert "control characters" in run("account", "add", "a\x1b[2J", exit_code=1).stderr


def test_a_users_password_comes_from_standard_input_or_is_made(acme: Run, sqlite_url: str) -> None:
    acme("user", "add", "--account", "acme", "Ann", "--password-stdin", stdin="correct horse\n")
    made = answer(acme("user", "add", "--account", "acme", "bob", "--generate", "--json"))["password"]
    assert (
        made
        in acme("user", "password", "--account", "acme", "bob", "--password-stdin", stdin=made).stdout + made
    )
    engine = open_engine(sqlite_url)
    with engine.snapshot() as conn:
        ann, bob = accounts.find_user(conn, "ann"), accounts.find_user(conn, "bob")
    engine.close()
    assert ann is not None
    assert bob is not None
    assert verify(ann.password_hash, "correct horse")
    assert verify(bob.password_hash, made)
    assert [item["login"] for item in answer(acme("user", "list", "--account", "acme", "--json"))] == [
        "ann",
        "bob",
    ]


def test_a_user_that_is_there_keeps_the_password(acme: Run, sqlite_url: str) -> None:
    acme("user", "add", "--account", "acme", "ann", "--password-stdin", stdin="the first one")
    again = acme("user", "add", "--account", "acme", "ann", "--password-stdin", stdin="the second one")
    assert "there already" in again.stdout
    assert not answer(acme("user", "add", "--account", "acme", "ann", "--json"))["changed"]
    engine = open_engine(sqlite_url)
    with engine.snapshot() as conn:
        ann = accounts.find_user(conn, "ann")
    engine.close()
    assert ann is not None
    assert verify(ann.password_hash, "the first one")


def test_what_is_refused_of_users(acme: Run) -> None:
    acme("account", "add", "other")
    acme("user", "add", "--account", "acme", "ann", "--generate")
    other = acme("user", "add", "--account", "other", "ann", "--generate", exit_code=1)
    assert "belongs to another account" in other.stderr
    short = acme("user", "add", "--account", "acme", "bob", "--password-stdin", stdin="short\n", exit_code=1)
    assert short.stderr == "trunkline: A password has 8 to 1000 characters.\n"
    assert "A login has" in acme("user", "add", "--account", "acme", "a b", exit_code=1).stderr
    assert "no account nobody" in acme("user", "add", "--account", "nobody", "x", exit_code=1).stderr
    assert "no user bob" in acme("user", "password", "--account", "acme", "bob", exit_code=1).stderr
    both = ("--password-stdin", "--generate")
    assert "one of" in acme("user", "add", "--account", "acme", "bob", *both, exit_code=2).stderr


# -- keys ---------------------------------------------------------------------------------------------------


def test_a_key_shows_its_token_once_and_only_its_hash_is_kept(acme: Run, sqlite_url: str) -> None:
    made = answer(acme("key", "add", "--account", "acme", "crm", "--json"))
    token = made["token"]
    assert token.startswith(f"tk_{made['prefix']}_")
    assert len(token.split("_")[2]) == 40
    again = answer(acme("key", "add", "--account", "acme", "crm", "--json"))
    assert "token" not in again
    assert not again["added"]
    engine = open_engine(sqlite_url)
    with engine.snapshot() as conn:
        (key,) = numbers.load_catalog(conn).keys
    engine.close()
    assert key.key_hash == hashlib.sha256(token.encode()).hexdigest()
    assert token not in acme("key", "list", "--account", "acme").stdout


def test_a_key_with_scopes_an_end_and_a_limit_gets_a_new_token(acme: Run, sqlite_url: str) -> None:
    more = (
        "--scope",
        "messages:send",
        "--scope",
        "events:read",
        "--days",
        "30",
        "--requests-per-minute",
        "60",
    )
    made = answer(acme("key", "add", "--account", "acme", *more, "shop", "--json"))
    assert made["scopes"] == ["events:read", "messages:send"]
    assert (made["requests_per_minute"], made["last_used_at"]) == (60, None)
    assert made["expires_at"] > made["created_at"]
    fresh = answer(acme("key", "rotate", "--account", "acme", "--keep-hours", "2", "shop", "--json"))
    assert (fresh["id"], fresh["scopes"]) == (made["id"], made["scopes"])
    assert fresh["token"] != made["token"]
    engine = open_engine(sqlite_url)
    with engine.snapshot() as conn:
        (key,) = numbers.load_catalog(conn).keys
    engine.close()
    assert [key.key_hash, key.previous_hash] == [
        hashlib.sha256(item["token"].encode()).hexdigest() for item in (fresh, made)
    ]
    listed = acme("key", "list", "--account", "acme").stdout
    assert "events:read messages:send" in listed
    assert "no key erp" in acme("key", "rotate", "--account", "acme", "erp", exit_code=1).stderr
    assert "Invalid value" in acme("key", "add", "--account", "acme", "--scope", "x", "k", exit_code=2).stderr


def test_a_revoked_key_can_be_made_anew(acme: Run) -> None:
    first = acme("key", "add", "--account", "acme", "crm").stdout.split()[-1]
    assert answer(acme("key", "revoke", "--account", "acme", "crm", "--json"))["changed"]
    again = answer(acme("key", "revoke", "--account", "acme", "crm", "--json"))
    assert not again["changed"]
    assert again["revoked_at"] is not None
    assert answer(acme("key", "list", "--account", "acme", "--json"))[0]["revoked_at"] == again["revoked_at"]
    second = acme("key", "add", "--account", "acme", "crm").stdout.split()[-1]
    assert second.startswith("tk_")
    assert second != first
    assert "no key erp" in acme("key", "revoke", "--account", "acme", "erp", exit_code=1).stderr


# -- DIDs ---------------------------------------------------------------------------------------------------


def test_a_did_is_added_once_in_any_spelling(acme: Run) -> None:
    assert acme("did", "add", "--account", "acme", "(202) 555-0100").stdout == "DID +12025550100 added.\n"
    assert "there already" in acme("did", "add", "--account", "acme", "+12025550100").stdout
    acme("account", "add", "other")
    assert "another account" in acme("did", "add", "--account", "other", "2025550100", exit_code=1).stderr
    assert "short code" in acme("did", "add", "--account", "acme", "12345", exit_code=1).stderr
    for mistyped in ("+1202555", "+120255501000", "+9991234567"):
        assert mistyped in acme("did", "add", "--account", "acme", mistyped, exit_code=1).stderr
    assert "not a telephone number" in acme("did", "add", "--account", "acme", "hello", exit_code=1).stderr
    (row,) = answer(acme("did", "list", "--account", "acme", "--json"))
    assert (row["number"], row["account"], row["sms"]) == ("+12025550100", "acme", True)
    assert acme("did", "list").stdout.splitlines()[1].split() == [
        "+12025550100",
        "acme",
        "on",
        "-",
    ]


def test_reply_tokens_are_made_void(acme: Run, config_file: Path, sqlite_url: str) -> None:
    acme("did", "add", "--account", "acme", "2025550100")
    told = acme("did", "forget-replies", "2025550100", "2025550150")
    assert told.stdout == "Mails of +12025550100 with +12025550150 had no tokens.\n"
    engine = open_engine(sqlite_url)
    with engine.transaction() as conn:
        did = numbers.find_did(conn, "+12025550100")
        assert did is not None
        for number, peer in enumerate(("+12025550150", "ACME Ltd")):
            mail.conversation(conn, partial(int, 1_000 + number), did, peer, 1)
    engine.close()
    told = acme("did", "forget-replies", "2025550100", "202-555-0150")
    assert told.stdout == "Mails of +12025550100 with +12025550150 cannot be answered any more.\n"
    assert answer(acme("did", "forget-replies", "2025550100", "ACME Ltd", "--json"))["forgotten"]
    assert "no DID" in acme("did", "forget-replies", "2025550199", "2025550150", exit_code=1).stderr


def test_a_dids_settings(acme: Run) -> None:
    acme("did", "add", "--account", "acme", "2025550100")
    after = answer(acme("did", "set", "2025550100", f"callback_url={URL}", "callback_retry=on", "--json"))
    assert after["callback"] == {"enabled": True, "url": URL, "retry": True, "secret": False, "numbers": None}
    assert after["changed"]
    assert "unchanged" in acme("did", "set", "2025550100", f"callback_url={URL}", "callback_retry=on").stdout
    after = answer(acme("did", "set", "2025550100", "callback=off", "sms=off", "--json"))
    assert (after["callback"]["enabled"], after["callback"]["url"], after["sms"]) == (False, URL, False)
    assert answer(acme("did", "set", "2025550100", "callback=on", "--json"))["callback"]["enabled"]
    after = answer(acme("did", "set", "2025550100", "callback_url=", "--json"))
    assert after["callback"] == {
        "enabled": False,
        "url": None,
        "retry": True,
        "secret": False,
        "numbers": None,
    }
    assert answer(acme("did", "set", "2025550100", f"callback_url={URL}", "--json"))["callback"]["enabled"]
    acme("did", "set", "2025550100", "callback=off")
    after = answer(acme("did", "set", "2025550100", "callback_url=http://other/", "--json"))
    assert after["callback"] == {
        "enabled": False,
        "url": "http://other/",
        "retry": True,
        "secret": False,
        "numbers": None,
    }


@pytest.mark.parametrize(
    ("setting", "exit_code", "says"),
    [
        ("callback_url=ftp://x/", 1, "begins with http:// or https://"),
        ("callback_url=http://x/{NOPE}", 1, "{NOPE} is not a variable"),
        ("callback=on", 1, "no URL"),
        ("sms=yes", 2, "expected sms=on or sms=off"),
        ("sms", 2, "expected KEY=VALUE"),
        ("volume=11", 2, "expected KEY=VALUE with a key of sms, portal"),
    ],
)
def test_a_setting_that_is_refused_changes_nothing(
    acme: Run, setting: str, exit_code: int, says: str
) -> None:
    acme("did", "add", "--account", "acme", "2025550100")
    assert says in acme("did", "set", "2025550100", "callback_retry=on", setting, exit_code=exit_code).stderr
    (row,) = answer(acme("did", "list", "--json"))
    assert row["callback"] == {
        "enabled": False,
        "url": None,
        "retry": False,
        "secret": False,
        "numbers": None,
    }


def test_a_setting_given_twice_or_for_no_did(acme: Run) -> None:
    assert "twice" in acme("did", "set", "2025550100", "sms=on", "sms=off", exit_code=2).stderr
    assert "no DID +12025550100" in acme("did", "set", "2025550100", "sms=on", exit_code=1).stderr


def test_every_change_reaches_a_running_servers_catalog(acme: Run, sqlite_url: str) -> None:
    versions = []
    engine = open_engine(sqlite_url)
    for words in (
        ("did", "add", "--account", "acme", "2025550100"),
        ("did", "set", "2025550100", "sms=off"),
        ("key", "add", "--account", "acme", "k"),
        ("key", "revoke", "--account", "acme", "k"),
    ):
        acme(*words)
        with engine.snapshot() as conn:
            versions.append(numbers.catalog_version(conn))
    engine.close()
    assert versions == sorted(set(versions))


# -- the store and the configuration ------------------------------------------------------------------------


def test_db_upgrade_makes_a_store_and_says_what_it_did(run: Run, config_file: Path, tmp_path: Path) -> None:
    config_file.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/new/folder/trunkline.db"\n')
    assert "Run: trunkline db upgrade" in run("account", "add", "acme", exit_code=1).stderr
    first = answer(run("db", "upgrade", "--json"))
    assert first["before"] is None
    assert first["changed"]
    assert answer(run("db", "upgrade", "--json")) == {
        "before": first["after"],
        "after": first["after"],
        "changed": False,
    }
    assert "already" in run("db", "upgrade").stdout
    run("account", "add", "acme")


def test_a_store_that_cannot_be_opened(run: Run, config_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    config_file.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/file/trunkline.db"\n')
    assert "folder cannot be made" in run("db", "upgrade", exit_code=1).stderr


def test_check_config(run: Run, config_file: Path) -> None:
    assert (
        f"{config_file} is good: 0 upstreams, so nothing can be sent; add an [[upstream]] table (none).\n"
        == run("check-config").stdout
    )
    config_file.write_text("[http]\nlisten = 1\n[server]\nnode = 99\n")
    result = run("check-config", exit_code=2)
    assert [line.split(" = ")[0] for line in result.stderr.splitlines()] == [
        f"trunkline: {config_file}: server.node",
        f"trunkline: {config_file}: http.listen",
    ]
    assert result.stdout == ""
    assert "cannot be read" in run("check-config", "-c", "/no/such.toml", exit_code=2).stderr
    one = '[[upstream]]\nname = "c"\nport = 1\nsystem_id = "s"\npassword = "p"\n'
    config_file.write_text(one)
    assert answer(run("check-config", "--json")) == {"good": True, "upstreams": ["c"]}


def test_version_and_help(run: Run) -> None:
    assert __version__ in run("--version").stdout
    assert "did" in run("--help").stdout


@pytest.mark.parametrize("way", ["telnet", "ssh", "manhole"])
@pytest.mark.parametrize("address", ["0.0.0.0:2323", "192.0.2.1:2323", "[::]:2323", "localhost:2323"])
def test_the_console_listens_to_nothing_but_loopback(
    run: Run, tmp_path: Path, way: str, address: str
) -> None:
    config = tmp_path / "console.toml"
    config.write_text(f'[console]\n{way} = "{address}"\n')
    refused = run("check-config", "-c", str(config), exit_code=2)
    assert f"console.{way}" in refused.stderr
    assert "loopback" in refused.stderr


@pytest.mark.parametrize(
    "words", [("-c", "x.toml", "account", "add", "acme"), ("account", "--config=x.toml", "add", "acme")]
)
def test_where_the_configuration_is_named(run: Run, words: tuple[str, ...]) -> None:
    assert "goes after the command: trunkline account add NAME -c FILE" in run(*words, exit_code=2).output


def test_other_words_that_are_no_options(run: Run) -> None:
    for words in (("-x",), ("account", "-x"), ("demo", "-c", "x.toml")):
        said = run(*words, exit_code=2).output
        assert ("No such option" in said, "goes after" in said) == (True, False), words
