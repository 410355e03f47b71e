"""Numbers that customers can order, and those that somebody waits for."""

from typing import NamedTuple

from edge.console.answers import choice, done, limit, rows, time
from edge.console.commands.people import at_desk
from edge.console.language import Answer, Command, Given, Misused, Parameter
from edge.console.server import Server
from edge.policy import numbers
from storage import accounts, inventory
from storage.errors import NotFound


async def ls(server: Server, given: Given) -> Answer:
    """What is on offer."""
    found = await server.store.read(inventory.offered, limit=limit(given))
    return rows(
        [
            {"number": item.number, "country": item.country, "region": item.region, "sms": item.sms}
            for item in found
        ],
        "No number is on offer.",
    )


async def add(server: Server, given: Given) -> Answer:
    """Offer one."""
    region, sms = given.get("region", ""), choice(given, "sms", YES_OR_NO, "yes") == "yes"
    added, new = await at_desk(server, lambda desk: desk.offer(given["number"], region, sms))
    return done(f"{added.number} {'is' if new else 'was'} on offer.", number=added.number, added=new)


async def withdraw(server: Server, given: Given) -> Answer:
    """Offer it no more."""
    number, was = await at_desk(server, lambda desk: desk.withdraw(given["number"]))
    if not was:
        raise Misused(f"{number} is not on offer.")
    return done(f"{number} is on offer no more.", number=number)


async def order_ls(server: Server, given: Given) -> Answer:
    """What somebody waits for, the oldest wish first."""
    found = await server.store.read(inventory.everything, asked=True, limit=limit(given))
    names = {item.id: item.name for item in await server.store.read(accounts.list_accounts)}
    return rows(
        [
            {
                "number": item.number,
                "account": names.get(item.account_id or 0, "?"),
                "by": item.asked_by,
                "since": time(item.asked_at),
                "sms": item.sms,
            }
            for item in found
        ],
        "Nobody waits for a number.",
    )


async def approve(server: Server, given: Given) -> Answer:
    """He gets it."""
    wish = await _wish(server, given)
    ids, now_ms = server.store.ids.next, server.wall_ms()
    try:
        await server.store.writer.run(
            "number assigned",
            lambda conn: inventory.assign(conn, ids, wish.account_id, wish.number, now_ms, wish.asked_at),
        )
    except NotFound as error:
        raise _decided(wish) from error
    await server.directory.refresh()
    return done(f"{wish.number} is a DID now.", number=wish.number)


async def refuse(server: Server, given: Given) -> Answer:
    """He does not; others may ask for it."""
    wish = await _wish(server, given)
    was_there = await server.store.writer.run(
        "number refused",
        lambda conn: inventory.cancel(conn, wish.account_id, wish.number, wish.asked_at),
    )
    if not was_there:
        raise _decided(wish)
    return done(f"{wish.number} is on offer again.", number=wish.number)


class _Wish(NamedTuple):
    """Who waits for a number, and since when."""

    number: str
    account_id: int
    asked_at: int | None


async def _wish(server: Server, given: Given) -> _Wish:
    number = numbers.destination(given["number"], server.config().numbers.region, "number")
    found = await server.store.read(inventory.find, number)
    if found is None or found.account_id is None:
        raise Misused(f"Nobody waits for {number}.")
    return _Wish(number, found.account_id, found.asked_at)


def _decided(wish: _Wish) -> Misused:
    """Somebody was faster: another operator, or who asked."""
    return Misused(f"Nobody waits for {wish.number} any more: it was decided or taken back just now.")


NUMBER = Parameter("number", "a telephone number")
LIMIT = Parameter("limit", "how many rows, 50 if not said", named=True)
REGION = Parameter("region", "such as 'New York'; what its digits tell", named=True)
YES_OR_NO = ("yes", "no")
SMS = Parameter("sms", "yes (if not said) or no", named=True, values=lambda server: YES_OR_NO)

COMMANDS = (
    Command(("number", "ls"), "what customers can order", ls, (LIMIT,)),
    Command(("number", "add"), "offer a number", add, (NUMBER, REGION, SMS)),
    Command(("number", "withdraw"), "offer it no more", withdraw, (NUMBER,)),
    Command(("order", "ls"), "numbers that somebody waits for", order_ls, (LIMIT,)),
    Command(("order", "approve"), "give it to who asked", approve, (NUMBER,)),
    Command(("order", "refuse"), "do not; it is on offer again", refuse, (NUMBER,)),
)
