"""SIP phones: who is registered where, bans."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from edge.console.answers import done, fields, known, rows, time
from edge.console.language import Answer, Command, Given, Misused, Parameter
from edge.console.server import Server
from edge.sip.service import SipEdge


def status(server: Server, given: Given) -> Answer:
    """What the SIP side has counted."""
    return fields(_plain(_sip(server).snapshot()))


def reg(server: Server, given: Given) -> Answer:
    """Every contact that is registered."""
    sip, wanted = _sip(server), given.get("username")
    names = {account.id: account.username for account in sip.directory.accounts()}
    found = [
        {
            "username": names.get(binding.record.sip_account_id, "?"),
            "contact": binding.record.contact,
            "transport": binding.record.transport,
            "reachable": binding.flow is not None or binding.record.transport == "UDP",
            "expires": time(binding.record.expires_at),
        }
        for account_id in names
        for binding in sip.bindings.of(account_id)
    ]
    mine = [row for row in found if wanted in (None, row["username"])]
    if not mine:
        known(given, "username", names.values())
    return rows(mine, "No phone is registered.")


async def kick(server: Server, given: Given) -> Answer:
    """Forget where a phone is; it may register again."""
    sip, username = _sip(server), given["username"]
    account = sip.directory.find(username)
    if account is None:
        raise Misused(f"There is no SIP account {username!r}.")
    gone = await sip.kick(account.id)
    return done(f"{gone} contact{'' if gone == 1 else 's'} of {username} forgotten.", contacts=gone)


def ban_ls(server: Server, given: Given) -> Answer:
    """Addresses that are banned for wrong passwords."""
    sip = _sip(server)
    now = server.reactor.seconds()
    return rows(
        [
            {"address": host, "username": username or "(any)", "seconds_left": round(left)}
            for host, username, left in sip.guard.bans(now)
        ],
        "Nobody is banned.",
    )


def unban(server: Server, given: Given) -> Answer:
    """Let an address try again."""
    count = _sip(server).guard.forgive(given["address"])
    if not count:
        raise Misused(f"{given['address']} is not banned.")
    return done(f"{given['address']} may try again.", bans=count)


def _plain(value: Any) -> Any:
    """Dataclasses and what they hold, as JSON has it."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _sip(server: Server) -> SipEdge:
    if server.sip is None:
        raise Misused("There is no [sip] table in the configuration.")
    return server.sip


def _banned(server: Server) -> list[str]:
    if server.sip is None:
        return []
    return [host for host, _, _ in server.sip.guard.bans(server.reactor.seconds())]


USERNAME = Parameter("username", "of a SIP account")
ADDRESS = Parameter("address", "as `sip ban ls` shows it", values=_banned)

COMMANDS = (
    Command(("sip", "status"), "what the SIP side has counted", status),
    Command(
        ("sip", "reg"),
        "where phones are registered",
        reg,
        (Parameter("username", "of this account only", named=True),),
    ),
    Command(("sip", "kick"), "forget where a phone is", kick, (USERNAME,)),
    Command(("sip", "ban", "ls"), "addresses that are banned", ban_ls),
    Command(("sip", "unban"), "let an address try again", unban, (ADDRESS,)),
)
