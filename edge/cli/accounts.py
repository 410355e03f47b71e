"""trunkline account, user, key."""

import secrets
import sys
from pathlib import Path

import click

from edge.cli.common import Failed, config_option, desk, json_option, on_off, say
from edge.keys import PREVIOUS_MS, SCOPES
from edge.tabular import table, when
from storage.records import ApiKey, Role, User

ROLES = click.Choice([str(role) for role in Role])


@click.group()
def account() -> None:
    """Customers."""


@account.command("add")
@click.argument("name")
@config_option
@json_option
def account_add(name: str, config_file: Path, as_json: bool) -> None:
    """Add an account."""
    with desk(config_file) as work:
        added, new = work.add_account(name)
    sentence = f"Account {name} added." if new else f"Account {name} is there already."
    say(as_json, sentence, {"id": added.id, "name": added.name, "added": new})


@account.command("list")
@config_option
@json_option
def account_list(config_file: Path, as_json: bool) -> None:
    """Show all accounts."""
    with desk(config_file) as work:
        found = work.accounts()
    rows = [("ACCOUNT", "ADDED"), *((item.name, when(item.created_at) or "") for item in found)]
    documents = [{"id": item.id, "name": item.name, "created_at": when(item.created_at)} for item in found]
    say(as_json, table(rows), documents)


@click.group()
def user() -> None:
    """People who may log in to the portal."""


account_option = click.option("--account", "account_name", required=True, help="The account's name.")
stdin_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
generate_option = click.option("--generate", is_flag=True, help="Make a password and show it once.")


@user.command("add")
@account_option
@click.argument("login")
@click.option("--role", type=ROLES, default=str(Role.OWNER), show_default=True)
@click.option("--operator", is_flag=True, help="May see and do what concerns all accounts, too.")
@stdin_option
@generate_option
@config_option
@json_option
def user_add(
    account_name: str,
    login: str,
    role: str,
    operator: bool,
    password_stdin: bool,
    generate: bool,
    config_file: Path,
    as_json: bool,
) -> None:
    """Add a user. The password is asked for, read from standard input, or made and shown once."""
    with desk(config_file) as work:
        known = work.find_user(account_name, login)
        if known is not None:
            sentence = (
                f"User {known.login} is there already; change the password with: trunkline user password"
            )
            say(as_json, sentence, _user(known, False))
            return
        password, made = new_password(password_stdin, generate)
        added = work.set_user(account_name, login, password, Role(role))
        if operator:
            added = work.change_user(account_name, login, operator=True)
    _say_user(added, password if made else None, as_json, "added")


@user.command("password")
@account_option
@click.argument("login")
@stdin_option
@generate_option
@config_option
@json_option
def user_password(
    account_name: str, login: str, password_stdin: bool, generate: bool, config_file: Path, as_json: bool
) -> None:
    """Change a user's password and log him out everywhere."""
    with desk(config_file) as work:
        if work.find_user(account_name, login) is None:
            raise Failed(f"There is no user {login} in the account {account_name}.")
        password, made = new_password(password_stdin, generate)
        changed = work.set_user(account_name, login, password)
    _say_user(changed, password if made else None, as_json, "changed")


@user.command("set")
@account_option
@click.argument("login")
@click.option("--role", type=ROLES, help="What he may do in his account.")
@click.option("--operator/--no-operator", default=None, help="May he see and do what concerns all accounts?")
@click.option("--no-second-factor", is_flag=True, help="For who lost it: the password is enough again.")
@config_option
@json_option
def user_set(
    account_name: str,
    login: str,
    role: str | None,
    operator: bool | None,
    no_second_factor: bool,
    config_file: Path,
    as_json: bool,
) -> None:
    """Change what a user may do."""
    with desk(config_file) as work:
        changed = work.change_user(
            account_name,
            login,
            role=None if role is None else Role(role),
            operator=operator,
            no_second_factor=no_second_factor,
        )
    kind = f"{changed.role}, operator" if changed.operator else str(changed.role)
    say(as_json, f"User {changed.login}: {kind}.", _user(changed, True))


@user.command("remove")
@account_option
@click.argument("login")
@config_option
@json_option
def user_remove(account_name: str, login: str, config_file: Path, as_json: bool) -> None:
    """Remove a user; he is logged out at once."""
    with desk(config_file) as work:
        gone = work.remove_user(account_name, login)
    say(as_json, f"User {gone.login} removed.", _user(gone, True))


@user.command("list")
@account_option
@config_option
@json_option
def user_list(account_name: str, config_file: Path, as_json: bool) -> None:
    """Show the users of an account."""
    with desk(config_file) as work:
        found = work.users(account_name)
    rows = [("LOGIN", "ROLE", "OPERATOR", "SECOND FACTOR", "ADDED")]
    for item in found:
        operator, second = on_off(item.operator), on_off(item.has_second_factor)
        rows.append((item.login, str(item.role), operator, second, when(item.created_at) or ""))
    documents = [
        {
            "id": item.id,
            "login": item.login,
            "role": item.role,
            "operator": item.operator,
            "second_factor": item.has_second_factor,
            "created_at": when(item.created_at),
        }
        for item in found
    ]
    say(as_json, table(rows), documents)


@click.group()
def key() -> None:
    """Bearer keys for the API."""


@key.command("add")
@account_option
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(list(SCOPES)),
    help="What it is good for; all.",
)
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Until when; without an end.")
@click.option(
    "--requests-per-minute", type=click.IntRange(0), help="Its own limit, 0 for none; that of the server."
)
@click.argument("name")
@config_option
@json_option
def key_add(
    account_name: str,
    scopes: tuple[str, ...],
    days: float | None,
    requests_per_minute: int | None,
    name: str,
    config_file: Path,
    as_json: bool,
) -> None:
    """Make a key. Its token is shown now and never again."""
    with desk(config_file) as work:
        made, token = work.add_key(account_name, name, scopes, days, requests_per_minute)
    document = {**_key(made), "added": token is not None}
    if token is None:
        sentence = (
            f"Key {name} is there already; its token cannot be shown again. Revoke it to make a new one."
        )
        say(as_json, sentence, document)
        return
    say(as_json, f"Key {name} added. Its token, shown only now:\n{token}", {**document, "token": token})


@key.command("rotate")
@account_option
@click.option(
    "--keep-hours",
    type=click.FloatRange(0),
    default=PREVIOUS_MS / 3_600_000,
    show_default=True,
    help="How long the token before is still good.",
)
@click.argument("name")
@config_option
@json_option
def key_rotate(account_name: str, keep_hours: float, name: str, config_file: Path, as_json: bool) -> None:
    """Give a key a new token. It is shown now and never again."""
    with desk(config_file) as work:
        rotated, token = work.rotate_key(account_name, name, keep_hours)
    sentence = (
        f"Key {name} has a new token, shown only now; the one before is good until "
        f"{when(rotated.previous_until)}:\n{token}"
    )
    say(as_json, sentence, {**_key(rotated), "token": token})


@key.command("list")
@account_option
@config_option
@json_option
def key_list(account_name: str, config_file: Path, as_json: bool) -> None:
    """Show the keys of an account; never their tokens."""
    with desk(config_file) as work:
        found = work.keys(account_name)
    rows = [("KEY", "TOKEN", "SCOPES", "ADDED", "USED", "ENDS", "REVOKED")]
    for item in found:
        times = (item.created_at, item.last_used_at, item.expires_at, item.revoked_at)
        added, used, ends, revoked = (when(at) or "-" for at in times)
        rows.append((item.name, f"tk_{item.prefix}_…", item.scopes, added, used, ends, revoked))
    say(as_json, table(rows), [_key(item) for item in found])


@key.command("revoke")
@account_option
@click.argument("name")
@config_option
@json_option
def key_revoke(account_name: str, name: str, config_file: Path, as_json: bool) -> None:
    """End a key; a running server refuses it within a second."""
    with desk(config_file) as work:
        revoked, changed = work.revoke_key(account_name, name)
    sentence = f"Key {name} revoked." if changed else f"Key {name} was revoked at {when(revoked.revoked_at)}."
    say(as_json, sentence, {**_key(revoked), "changed": changed})


def new_password(from_stdin: bool, generate: bool) -> tuple[str, bool]:
    """The password, and whether it was made here. Nobody at a terminal and nothing said: it is made."""
    if from_stdin and generate:
        raise click.UsageError("Give one of --password-stdin and --generate.")
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n"), False
    if generate or not sys.stdin.isatty():
        return secrets.token_urlsafe(12), True
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed, False


def _say_user(who: User, made: str | None, as_json: bool, what: str) -> None:
    document = _user(who, True)
    if made is None:
        say(as_json, f"User {who.login} {what}.", document)
    else:
        say(
            as_json,
            f"User {who.login} {what}. The password, shown only now:\n{made}",
            {**document, "password": made},
        )


def _user(who: User, changed: bool) -> dict[str, object]:
    return {
        "id": who.id,
        "login": who.login,
        "role": who.role,
        "operator": who.operator,
        "changed": changed,
    }


def _key(item: ApiKey) -> dict[str, object]:
    return {
        "id": item.id,
        "name": item.name,
        "prefix": item.prefix,
        "scopes": item.scopes.split(),
        "requests_per_minute": item.requests_per_minute,
        "created_at": when(item.created_at),
        "last_used_at": when(item.last_used_at),
        "expires_at": when(item.expires_at),
        "previous_until": when(item.previous_until),
        "revoked_at": when(item.revoked_at),
    }
