"""What is owed to handlers: dead letters, targets that are stopped or failing, one delivery."""

from edge.console.answers import done, known, limit, number, rows, time
from edge.console.language import Answer, Command, Given, Misused, Parameter
from edge.console.server import Server
from edge.handlers.base import MAX_SETTING
from edge.http import urls
from edge.http.errors import URLRefused
from storage import endpoints, operators, paused
from storage.endpoints import Endpoint
from storage.records import DeliveryRecord

EVERYTHING = "all"
MOST_AT_ONCE = 1_000
OF_URLS = frozenset({"callback", "webhook", "status"})  # whose deliveries' targets are URLs and nothing else


async def deadletter_ls(server: Server, given: Given) -> Answer:
    """Deliveries that failed for good."""
    found = await server.store.read(operators.dead_letters, given.get("handler"), limit(given))
    if not found:
        known(given, "handler", server.outbox.handlers)
    return _deliveries(found, "There are no dead letters.")


async def deadletter_replay(server: Server, given: Given) -> Answer:
    """Owe them again."""
    if given["delivery"] != EVERYTHING:
        return await _replayed(server, given, [number(given, "delivery")])
    found = await server.store.read(operators.dead_letters, given.get("handler"), MOST_AT_ONCE)
    if not found:
        known(given, "handler", server.outbox.handlers)
    return await _replayed(server, given, [record.id for record in found])


async def callback_replay(server: Server, given: Given) -> Answer:
    """Owe failed URL callbacks again."""
    return await deadletter_replay(server, {**given, "handler": "callback"})


async def _replayed(server: Server, given: Given, ids: list[int]) -> Answer:
    replayed = await server.actions.replay(ids, given.get("handler"))
    if ids and not replayed:
        known(given, "handler", server.outbox.handlers)
        raise Misused("None of these has failed (any more).")
    more = " There are more: say it again." if len(ids) == MOST_AT_ONCE else ""
    return done(f"Owed again: {replayed}.{more}", replayed=replayed)


async def callback_ls(server: Server, given: Given) -> Answer:
    """URL callbacks that are owed, the ones due first in front."""
    found = await server.store.read(operators.pending, "callback", limit(given))
    return _deliveries(found, "No callback is owed.")


async def delivery_ls(server: Server, given: Given) -> Answer:
    """Deliveries that are owed."""
    found = await server.store.read(operators.pending, given.get("handler"), limit(given))
    if not found:
        known(given, "handler", server.outbox.handlers)
    return _deliveries(found, "Nothing is owed.")


async def delivery_retry(server: Server, given: Given) -> Answer:
    """Try one now."""
    identity = number(given, "delivery")
    if not await server.actions.retry_now(identity):
        raise Misused(f"Delivery {identity} is not owed: see `deadletter ls`.")
    return done(f"Delivery {identity} is due now.")


async def delivery_skip(server: Server, given: Given) -> Answer:
    """Try one no more."""
    identity = number(given, "delivery")
    if not await server.actions.skip(identity, given.get("why", "skipped by an operator")):
        raise Misused(f"Delivery {identity} is not owed (any more).")
    return done(f"Delivery {identity} is not tried any more; `deadletter replay {identity}` takes that back.")


async def target_ls(server: Server, given: Given) -> Answer:
    """Targets that an operator has stopped, and endpoints that fail."""
    stopped = await server.store.read(paused.paused)
    failing = await server.store.read(endpoints.failing)
    found = [{"target": key, "state": "stopped", "since": None, "why": why} for key, why in stopped.items()]
    found += [
        {
            "target": f"{record.handler} {record.url}",
            "state": "failing" if record.paused_at is None else "paused",
            "since": time(record.failing_since),
            "why": record.last_outcome,
        }
        for record in failing
    ]
    return rows(found, "No target is stopped, none fails.")


async def target_pause(server: Server, given: Given) -> Answer:
    """Attempt nothing there until it is resumed."""
    known(given, "handler", server.outbox.handlers)
    _check_target(server, given["handler"], given["url"])
    key = server.outbox.target_key(given["handler"], given["url"])
    now_ms, why = server.wall_ms(), given.get("why", "stopped by an operator")
    await server.store.writer.run("target paused", lambda conn: paused.pause(conn, key, why, now_ms))
    server.outbox.look()
    return done(f"Nothing is attempted at {key} until `target resume`; what is owed there waits.", target=key)


def _check_target(server: Server, handler: str, target: str) -> None:
    """Raises Misused for what no delivery can go to, so that nobody believes it stopped."""
    if len(target) > MAX_SETTING:
        raise Misused(f"url has at most {MAX_SETTING} characters.")
    try:
        if handler in OF_URLS:
            urls.split(target)
        server.outbox.handlers[handler].target_key(target)
    except URLRefused as error:
        raise Misused(f"{target!r} is no URL that a {handler} goes to: {error.detail}.") from error
    except (ValueError, LookupError, TypeError) as error:
        raise Misused(f"{target!r} is nothing that {handler} deliveries go to.") from error


async def callback_pause(server: Server, given: Given) -> Answer:
    """No URL callback goes there until it is resumed."""
    return await target_pause(server, {**given, "handler": "callback"})


async def callback_resume(server: Server, given: Given) -> Answer:
    """They go on."""
    return await target_resume(server, {**given, "handler": "callback"})


async def target_resume(server: Server, given: Given) -> Answer:
    """Let it go on, whoever stopped it: an operator, or days of failure."""
    handler, url = given["handler"], given["url"]
    key = server.outbox.target_key(handler, url)
    was_stopped = await server.store.writer.run("target resumed", lambda conn: paused.resume(conn, key))
    failing = await server.store.read(endpoints.failing)
    mine = [record.endpoint for record in failing if (record.handler, record.url) == (handler, url)]
    for which in mine:
        await _forget(server, which)
    server.outbox.look()
    if not was_stopped and not mine:
        raise Misused(f"{key} is not stopped; `target ls` shows what is.")
    return done(f"{key} goes on.", target=key)


async def _forget(server: Server, which: Endpoint) -> None:
    await server.store.writer.run("endpoint resumed", lambda conn: endpoints.forget(conn, which))


def _deliveries(found: list[DeliveryRecord], nothing: str) -> Answer:
    return rows(
        [
            {
                "delivery": record.id,
                "message": record.message_id,
                "handler": record.handler,
                "target": record.target,
                "state": str(record.state),
                "attempts": record.attempts,
                "outcome": record.last_outcome,
                "next": time(record.due_at) if str(record.state) == "pending" else None,
            }
            for record in found
        ],
        nothing,
    )


def _handlers(server: Server) -> list[str]:
    return list(server.outbox.handlers)


LIMIT = Parameter("limit", "how many rows, 50 if not said", named=True)
HANDLER = Parameter("handler", "of this one only, such as webhook", named=True, values=_handlers)
DELIVERY = Parameter("delivery", "the delivery's id")
DEAD = Parameter("delivery", "the delivery's id, or all", values=lambda server: (EVERYTHING,))
WHY = Parameter("why", "the reason, kept with it", named=True)
OF = Parameter("handler", "callback, webhook, …", values=_handlers)
URL = Parameter("url", "where to, as `target ls` or `deadletter ls` shows it")

COMMANDS = (
    Command(("deadletter", "ls"), "deliveries that failed for good", deadletter_ls, (HANDLER, LIMIT)),
    Command(("deadletter", "replay"), "owe them again", deadletter_replay, (DEAD, HANDLER)),
    Command(("delivery", "ls"), "deliveries that are owed", delivery_ls, (HANDLER, LIMIT)),
    Command(("delivery", "retry"), "try one now", delivery_retry, (DELIVERY,)),
    Command(("delivery", "skip"), "try one no more", delivery_skip, (DELIVERY, WHY)),
    Command(("callback", "ls"), "URL callbacks that are owed", callback_ls, (LIMIT,)),
    Command(("callback", "replay"), "owe failed URL callbacks again", callback_replay, (DEAD,)),
    Command(("callback", "pause"), "send none to a URL until it is resumed", callback_pause, (URL, WHY)),
    Command(("callback", "resume"), "let them go on", callback_resume, (URL,)),
    Command(("target", "ls"), "targets that are stopped or failing", target_ls),
    Command(("target", "pause"), "attempt nothing there until it is resumed", target_pause, (OF, URL, WHY)),
    Command(("target", "resume"), "let it go on", target_resume, (OF, URL)),
)
