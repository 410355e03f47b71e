"""trunkline api-access: programs that log in with a name and a password. A running server sees a change
within a second."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from sqlalchemy import Connection

from edge.cli.accounts import account_option, generate_option, new_password, stdin_option
from edge.cli.common import Failed, config_option, desk, json_option, on_off, say
from edge.cli.desk import Desk
from edge.handlers.base import SWITCHES
from edge.passwords import MAX_CHARACTERS, MIN_CHARACTERS, hash_password
from edge.policy import allow_list
from edge.policy.allow_list import ANYWHERE, NotAnAddress
from edge.tabular import table
from storage import accesses, accounts
from storage.errors import NotFound
from storage.records import Account, ApiAccess

MAX_LIMIT = 1_000_000_000
_USERNAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}", re.ASCII)


@click.group("api-access")
def api_access() -> None:
    """Programs that log in with a name and a password, as with VoIP.ms."""


@api_access.command("password")
@account_option
@click.option("--username", help="What programs log in with, such as an e-mail address. [the account's name]")
@stdin_option
@generate_option
@config_option
@json_option
def password(
    account_name: str,
    username: str | None,
    password_stdin: bool,
    generate: bool,
    config_file: Path,
    as_json: bool,
) -> None:
    """Set the API password, which is not the one of any log-in.

    The first time it makes the access; then allow= says where programs may call from. The password is asked
    for, read from standard input, or made and shown once.
    """
    with desk(config_file) as work:
        _find(work, account_name)
        chosen, made = new_password(password_stdin, generate)
        if not MIN_CHARACTERS <= len(chosen) <= MAX_CHARACTERS:
            raise Failed(f"A password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters.")
        hashed = hash_password(chosen)
        changed = _put(work, account_name, username, hashed)
    sentence = f"Programs of {account_name} log in as {changed.username}."
    if not changed.allowed:
        sentence += (
            f" No address may call yet: trunkline api-access set --account {account_name} allow={ANYWHERE}"
            " lets all in."
        )
    if made:
        sentence += f"\nThe API password, shown only now:\n{chosen}"
    document = _document(changed, account_name)
    say(as_json, sentence, {**document, "password": chosen} if made else document)


@api_access.command("set")
@account_option
@click.argument("settings", nargs=-1, required=True, metavar="KEY=VALUE...")
@config_option
@json_option
def change(account_name: str, settings: tuple[str, ...], config_file: Path, as_json: bool) -> None:
    """Change how programs get in.

    \b
    enabled=on|off      whether they get in at all
    username=NAME       what they log in with
    allow=ADDRESSES     where from: addresses, networks, wildcards, host names; 0.0.0.0 is everywhere
    strict=on|off       refuse an SMS of more than 160 octets, as VoIP.ms does
    timezone=ZONE       the zone of the times that they read
    per_minute=N        calls a minute; 0: no limit
    per_day=N           messages a day; 0: no limit
    """
    values = [_read(setting) for setting in settings]
    with desk(config_file) as work, work.transaction() as connection:
        owner = _owner(connection, account_name)
        before = accesses.access_of(connection, owner.id)
        if before is None:
            raise NotFound(
                f"{account_name} has no API access yet. Make it with: trunkline api-access password"
                f" --account {account_name}"
            )
        after = accesses.put_access(connection, replace(before, **dict(values)))  # type: ignore[arg-type]
    say(as_json, _sentence(after), _document(after, account_name))


@api_access.command("list")
@config_option
@json_option
def show(config_file: Path, as_json: bool) -> None:
    """Show which accounts' programs get in, and how; never the passwords."""
    with desk(config_file) as work, work.engine.snapshot() as connection:
        owners = accounts.list_accounts(connection)
        found = [
            (access, owner.name)
            for owner in owners
            if (access := accesses.access_of(connection, owner.id)) is not None
        ]
    rows = [("ACCOUNT", "USERNAME", "ENABLED", "ALLOWED", "STRICT", "TIMEZONE", "PER MINUTE", "PER DAY")]
    rows += [
        (
            name,
            item.username,
            on_off(item.enabled),
            item.allowed or "-",
            on_off(item.strict),
            item.timezone,
            str(item.per_minute or "-"),
            str(item.per_day or "-"),
        )
        for item, name in found
    ]
    say(as_json, table(rows), [_document(item, name) for item, name in found])


def _find(work: Desk, account_name: str) -> Account:
    with work.engine.snapshot() as connection:
        return _owner(connection, account_name)


def _owner(connection: Connection, account_name: str) -> Account:
    found = accounts.find_account(connection, account_name)
    if found is None:
        raise NotFound(f"There is no account {account_name}. Add it with: trunkline account add")
    return found


def _put(work: Desk, account_name: str, username: str | None, hashed: str) -> ApiAccess:
    with work.transaction() as connection:
        owner = _owner(connection, account_name)
        before = accesses.access_of(connection, owner.id)
        if before is None:
            wanted = ApiAccess(
                owner.id, _username(username or account_name), hashed, created_at=work.clock_ms()
            )
        else:
            named = before.username if username is None else _username(username)
            wanted = replace(before, username=named, password_hash=hashed)
        return accesses.put_access(connection, wanted)


def _username(written: str) -> str:
    if not _USERNAME.fullmatch(written.lower()):
        raise Failed("A user name has 1 to 100 of the characters a-z 0-9 . _ @ + -; give --username.")
    return written.lower()


def _allowed(written: str) -> str:
    try:
        return allow_list.normal(written)
    except NotAnAddress as error:
        raise click.UsageError(f"allow: {error} is no address, network, wildcard or host name.") from error


def _zone(written: str) -> str:
    try:
        ZoneInfo(written)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.UsageError(f"timezone: {written!r} is no time zone such as America/New_York.") from None
    return written


def _switch(written: str) -> bool:
    if written not in SWITCHES:
        raise click.UsageError(f"{written!r}: expected on or off.")
    return SWITCHES[written]


def _limit(written: str) -> int:
    if not (written.isascii() and written.isdigit() and len(written) < 11 and int(written) <= MAX_LIMIT):
        raise click.UsageError(f"{written!r}: expected a number, 0 for no limit.")
    return int(written)


KEYS: dict[str, tuple[str, Callable[[str], object]]] = {
    "enabled": ("enabled", _switch),
    "username": ("username", _username),
    "allow": ("allowed", _allowed),
    "strict": ("strict", _switch),
    "timezone": ("timezone", _zone),
    "per_minute": ("per_minute", _limit),
    "per_day": ("per_day", _limit),
}


def _read(setting: str) -> tuple[str, object]:
    key, equals, written = setting.partition("=")
    if not equals or key not in KEYS:
        raise click.UsageError(f"{setting!r}: expected KEY=VALUE with a key of {', '.join(KEYS)}.")
    name, read = KEYS[key]
    return name, read(written)


def _sentence(access: ApiAccess) -> str:
    state = "on" if access.enabled else "off"
    return f"API access of {access.username} is {state}, from {access.allowed or 'nowhere'}."


def _document(access: ApiAccess, account_name: str) -> dict[str, object]:
    return {
        "account": account_name,
        "username": access.username,
        "enabled": access.enabled,
        "allowed": access.allowed.split(),
        "strict": access.strict,
        "timezone": access.timezone,
        "per_minute": access.per_minute,
        "per_day": access.per_day,
    }
