"""SIP phones: who is registered where, bans."""

from edge.console.answers import done, rows, time
from edge.console.language import Answer, Command, Given, Misused, Parameter
from edge.console.server import Server
from edge.sip.service import SipEdge


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
    return rows([row for row in found if wanted in (None, row["username"])], "No phone is registered.")


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
