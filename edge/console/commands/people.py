"""Accounts, users, numbers, keys and opt-outs: the same desk that the command line works at."""

import secrets
import shlex
from collections.abc import Callable
from typing import TypeVar

import click
from twisted.internet.threads import deferToThreadPool

from edge.cli.desk import Desk, DeskError, open_desk
from edge.cli.dids import may_be_shown, parse_change
from edge.console.answers import done, limit, rows, time
from edge.console.language import HIDDEN, Answer, Command, Given, Misused, Parameter, without_url_secrets
from edge.console.server import Server
from edge.policy import numbers
from storage import accounts, opt_outs
from storage.errors import Conflict, NotFound
from storage.records import Account
from storage.tables_people import EVERY_DID

T = TypeVar("T")

SOURCE = "operator"


async def account_ls(server: Server, given: Given) -> Answer:
    """All accounts."""
    found = await server.store.read(accounts.list_accounts, given.get("after", ""), _some(given))
    return rows([{"account": item.name, "id": item.id, "added": time(item.created_at)} for item in found])


async def account_add(server: Server, given: Given) -> Answer:
    """Add an account."""
    added, new = await at_desk(server, lambda desk: desk.add_account(given["account"]))
    return done(f"Account {added.name} {_added(new)}.", id=added.id, added=new)


async def user_ls(server: Server, given: Given) -> Answer:
    """The people of an account."""
    found = await at_desk(server, lambda desk: desk.users(given["account"]))
    return rows([{"login": item.login, "added": time(item.created_at)} for item in found])


async def user_add(server: Server, given: Given) -> Answer:
    """Add somebody, or give him a new password, shown this once."""
    password = secrets.token_urlsafe(12)
    user = await at_desk(server, lambda desk: desk.set_user(given["account"], given["login"], password))
    return done(f"{user.login} may log in with the password {password}", login=user.login, password=password)


async def did_ls(server: Server, given: Given) -> Answer:
    """Numbers and what they do."""
    account, after, most = given.get("account"), given.get("after", ""), _some(given)
    found = await at_desk(server, lambda desk: desk.dids(account, after, most))
    return rows(
        [
            {
                "number": item.number,
                "account": owner,
                "sms": item.sms_enabled,
                "handlers": [name for name, setting in item.handlers.items() if setting.enabled],
            }
            for item, owner in found
        ]
    )


async def did_add(server: Server, given: Given) -> Answer:
    """Add a number."""
    added, new = await at_desk(server, lambda desk: desk.add_did(given["account"], given["number"]))
    return done(f"DID {added.number} {_added(new)}.", number=added.number, added=new)


async def did_set(server: Server, given: Given) -> Answer:
    """Change what a number does."""
    try:
        change = parse_change(tuple(shlex.split(given["settings"])))
    except click.UsageError as error:
        raise Misused(error.format_message()) from error
    _, after = await at_desk(server, lambda desk: desk.set_did(given["number"], change))
    enabled = [name for name, setting in after.handlers.items() if setting.enabled]
    sms = "on" if after.sms_enabled else "off"
    return done(
        f"DID {after.number}: sms {sms}, handlers {', '.join(enabled) or 'none'}.",
        number=after.number,
        sms=after.sms_enabled,
        handlers=enabled,
    )


async def key_ls(server: Server, given: Given) -> Answer:
    """The API keys of an account."""
    found = await at_desk(server, lambda desk: desk.keys(given["account"]))
    return rows(
        [
            {
                "key": item.name,
                "prefix": item.prefix,
                "added": time(item.created_at),
                "revoked": time(item.revoked_at),
            }
            for item in found
        ]
    )


async def key_add(server: Server, given: Given) -> Answer:
    """Make a key; its token is shown this once."""
    key, token = await at_desk(server, lambda desk: desk.add_key(given["account"], given["key"]))
    if token is None:
        raise Misused(f"There is a key {key.name} already.")
    return done(f"Key {key.name}, shown this once: {token}", key=key.name, token=token)


async def key_revoke(server: Server, given: Given) -> Answer:
    """End a key."""
    key, was_valid = await at_desk(server, lambda desk: desk.revoke_key(given["account"], given["key"]))
    return done(f"Key {key.name} {'is revoked' if was_valid else 'was revoked before'}.", key=key.name)


async def optout_ls(server: Server, given: Given) -> Answer:
    """Who wants no messages from an account."""
    account = await _account(server, given)
    found = await server.store.read(opt_outs.listed, account.id, limit=limit(given))
    return rows(
        [
            {"number": item.peer, "did": item.did or "(any)", "by": item.source, "since": time(item.at)}
            for item in found
        ]
    )


async def optout_add(server: Server, given: Given) -> Answer:
    """Somebody wants no more messages from an account."""
    account, peer = await _account(server, given), _peer(server, given)
    ids, now_ms = server.store.ids.next, server.wall_ms()
    await server.store.writer.run(
        "opt-out", lambda conn: opt_outs.add(conn, ids, account.id, peer, SOURCE, now_ms)
    )
    server.opt_outs.added(account.id, EVERY_DID, peer)
    return done(f"{account.name} writes to {peer} no more.", number=peer)


async def optout_remove(server: Server, given: Given) -> Answer:
    """He wants them again."""
    account, peer = await _account(server, given), _peer(server, given)
    gone = await server.store.writer.run(
        "opt-out ended", lambda conn: opt_outs.remove(conn, account.id, peer)
    )
    await server.opt_outs.refresh()
    if not gone:
        raise Misused(f"{peer} has not opted out of {account.name}.")
    return done(f"{account.name} may write to {peer} again.", number=peer)


def _some(given: Given) -> int | None:
    """How many rows are wanted; all, if that is not said."""
    return limit(given) if "limit" in given else None


def _peer(server: Server, given: Given) -> str:
    return numbers.destination(given["number"], server.config().numbers.region, "number")


async def _account(server: Server, given: Given) -> Account:
    found = await server.store.read(accounts.find_account, given["account"])
    if found is None:
        raise Misused(f"There is no account {given['account']!r}.")
    return found


async def at_desk(server: Server, work: Callable[[Desk], T]) -> T:
    """In a thread, with a connection of its own: hashing a password must not hold up the messages."""

    def run() -> T:
        with open_desk(server.config()) as desk:
            return work(desk)

    try:
        found: T = await deferToThreadPool(server.reactor, server.reactor.getThreadPool(), run)
    except (DeskError, Conflict, NotFound) as error:
        raise Misused(str(error)) from error
    return found


def _masked(settings: str) -> str:
    """The settings of a DID: of those that it has, without the secrets, in URLs neither; of anything else
    nothing."""

    def shown(word: str) -> str:
        key, equals, _ = word.partition("=")
        if may_be_shown(key):
            return without_url_secrets(word)
        return f"{key}={HIDDEN}" if equals else HIDDEN

    return shlex.join(map(shown, shlex.split(settings)))


def _added(new: bool) -> str:
    return "added" if new else "is there already"


ACCOUNT = Parameter("account", "the account's name")
OF_ACCOUNT = Parameter("account", "of this one only", named=True)
LOGIN = Parameter("login", "the name to log in with")
NUMBER = Parameter("number", "a telephone number")
SETTINGS = Parameter(
    "settings", "KEY=VALUE …, as in `trunkline did set`", rest=True, quoted=True, mask=_masked
)
KEY = Parameter("key", "the key's name")
LIMIT = Parameter("limit", "how many rows, 50 if not said", named=True)
SOME = Parameter("limit", "how many rows, all if not said", named=True)
AFTER = Parameter("after", "only those after this one", named=True)

COMMANDS = (
    Command(("account", "ls"), "customers", account_ls, (SOME, AFTER)),
    Command(("account", "add"), "add one", account_add, (ACCOUNT,)),
    Command(("user", "ls"), "the people of an account", user_ls, (ACCOUNT,)),
    Command(("user", "add"), "add one, or give a new password", user_add, (ACCOUNT, LOGIN)),
    Command(("did", "ls"), "numbers and what they do", did_ls, (OF_ACCOUNT, SOME, AFTER)),
    Command(("did", "add"), "add a number", did_add, (ACCOUNT, NUMBER)),
    Command(("did", "set"), "change what a number does", did_set, (NUMBER, SETTINGS)),
    Command(("key", "ls"), "API keys of an account", key_ls, (ACCOUNT,)),
    Command(("key", "add"), "make one", key_add, (ACCOUNT, KEY)),
    Command(("key", "revoke"), "end one", key_revoke, (ACCOUNT, KEY)),
    Command(("optout", "ls"), "who wants no messages of an account", optout_ls, (ACCOUNT, LIMIT)),
    Command(("optout", "add"), "somebody wants no more", optout_add, (ACCOUNT, NUMBER)),
    Command(("optout", "remove"), "somebody wants them again", optout_remove, (ACCOUNT, NUMBER)),
)
