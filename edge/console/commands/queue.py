"""What waits for carriers, and what a carrier may or may not have."""

from collections.abc import Sequence

from edge import hops
from edge.console.answers import choice, done, fields, known, limit, number, rows, time
from edge.console.language import Answer, Command, Given, Misused, Parameter
from edge.console.server import Server
from edge.matrix import matrix
from edge.policy import numbers
from edge.quarantine import NotOurs
from storage import messages, operators, quarantine, receipts, strays
from storage.parts import QueuedPart
from storage.records import MessageView


async def ls(server: Server, given: Given) -> Answer:
    """The parts that wait, the ones due first in front."""
    found = await server.store.read(operators.waiting_parts, given.get("upstream"), limit(given))
    if not found:
        known(given, "upstream", server.upstreams())
    return rows(
        [
            {
                "message": item.message.id,
                "part": f"{item.part.number}/{item.part.total}",
                "upstream": item.part.upstream,
                "state": str(item.part.state),
                "due": time(item.part.due_at),
                "attempts": item.part.attempts,
                "from": item.message.did,
                "to": item.message.peer,
            }
            for item in found
        ],
        "Nothing waits.",
    )


async def show(server: Server, given: Given) -> Answer:
    """One message: its parts, its deliveries and the last try of each; not its text."""
    identity = number(given, "message")
    view = await server.store.read(messages.find, identity)
    if view is None:
        raise Misused(f"There is no message {identity}.")
    return _shown(view)


def _shown(view: MessageView) -> Answer:
    record = view.message
    head = {
        "message": record.id,
        "direction": record.direction,
        "from": record.did if record.direction == "mt" else record.peer,
        "to": record.peer if record.direction == "mt" else record.did,
        "by": record.leg,
        "at": time(record.created_at),
        "status": str(messages.status_of(record, view.parts)),
        "encoding": record.encoding,
        "characters": len(record.text),
    }
    if hops.tracing is not None:
        head["trace"] = hops.tracing.trace_of(record.id)
    parts = [
        {
            "part": f"{part.number}/{part.total}",
            "id": part.id,
            "upstream": part.upstream,
            "state": str(part.state),
            "attempts": part.attempts,
            "smsc_id": part.smsc_message_id,
            "status": part.command_status,
            "receipt": part.receipt_state,
            "error": part.receipt_error,
            "sent": time(part.sent_at),
            "final": time(part.final_at),
        }
        for part in view.parts
    ]
    deliveries = [
        {
            "delivery": cell.delivery_id,
            "handler": cell.handler,
            "state": str(cell.state),
            "attempts": cell.attempts,
            "outcome": cell.outcome,
            "next": time(cell.next_try_at),
        }
        for cell in matrix(view)
    ]
    texts = [fields(head).text, *(rows(found).text for found in (parts, deliveries) if found)]
    return Answer("\n\n".join(texts), {**head, "parts": parts, "deliveries": deliveries})


async def hold(server: Server, given: Given) -> Answer:
    """Keep what waits of a message."""
    return _changed("held", await server.interventions.hold(number(given, "message")))


async def retry(server: Server, given: Given) -> Answer:
    """What waits or is held of a message is due now."""
    return _changed("due now", await server.interventions.retry(number(given, "message")))


async def cancel(server: Server, given: Given) -> Answer:
    """Give up what waits or is held of a message."""
    return _changed("given up", await server.interventions.cancel(number(given, "message")))


async def move(server: Server, given: Given) -> Answer:
    """Hand a message to another upstream of its route."""
    moved = await server.interventions.move(number(given, "message"), given["upstream"])
    what = f"handed to {given['upstream']}"
    if moved.kept:
        what += ", and still held: queue retry lets the message go"
    return _changed(what, moved.parts)


def _changed(what: str, parts: Sequence[int]) -> Answer:
    count = len(parts)
    return done(f"{count} part{'' if count == 1 else 's'} {what}.", parts=list(parts))


async def indoubt_ls(server: Server, given: Given) -> Answer:
    """The parts that an upstream may or may not have."""
    names = {given["upstream"]} if "upstream" in given else await server.store.read(strays.upstreams)
    found: list[QueuedPart] = []
    for name in sorted(names):
        found += await server.doubts.doubtful(name, limit(given))
    if not found:
        known(given, "upstream", server.upstreams())
    return rows(
        [
            {
                "part": item.part.id,
                "message": item.part.message_id,
                "number": f"{item.part.number}/{item.part.total}",
                "upstream": item.part.upstream,
                "state": str(item.part.state),
                "sent": time(item.part.sent_at),
                "to": item.peer,
            }
            for item in found
        ],
        "Nothing is in doubt.",
    )


async def indoubt_resolve(server: Server, given: Given) -> Answer:
    """Decide a part in doubt."""
    identity = number(given, "part")
    if choice(given, "verdict", VERDICTS) == "resend":
        decided = await server.doubts.resend([identity])
    else:
        decided = await server.doubts.give_up([identity])
    if not decided:
        raise Misused(f"Part {identity} is not in doubt (any more). For what is kept: queue retry or cancel.")
    return done(f"Part {identity}: {given['verdict']}.", parts=decided)


async def receipts_unmatched(server: Server, given: Given) -> Answer:
    """Receipts that found no part yet, oldest first."""
    names = [given["upstream"]] if "upstream" in given else list(server.upstreams())
    found = []
    for name in names:
        found += await server.store.read(receipts.unmatched, name, limit(given))
    if not found:
        known(given, "upstream", server.upstreams())
    return rows(
        [
            {
                "receipt": record.id,
                "upstream": record.upstream,
                "smsc_id": record.smsc_message_id,
                "state": record.state,
                "error": record.error,
                "at": time(record.received_at),
            }
            for record in found
        ],
        "Every receipt found its part.",
    )


async def quarantine_ls(server: Server, given: Given) -> Answer:
    """What came for numbers that are nobody's, newest first; not the texts."""
    found = await server.store.read(quarantine.newest, limit(given))
    return rows(
        [
            {
                "message": record.id,
                "upstream": record.upstream,
                "from": record.peer,
                "to": record.did,
                "at": time(record.created_at),
            }
            for record in found
        ],
        "Nothing came for unknown numbers.",
    )


async def quarantine_release(server: Server, given: Given) -> Answer:
    """Hand what came for a number, before it was anybody's, to its owner and the handlers that are on now."""
    try:
        count = await server.quarantine.release(_phone(server, given))
    except NotOurs as error:
        raise Misused(f"{error} is no DID here, or its SMS are switched off: see `did add`.") from None
    return done(f"{count} message{'' if count == 1 else 's'} handed on.", messages=count)


def _phone(server: Server, given: Given) -> str:
    return numbers.destination(given["number"], server.config().numbers.region, "number")


def _upstreams(server: Server) -> list[str]:
    return list(server.upstreams())


VERDICTS = ("resend", "fail")
UPSTREAM = Parameter("upstream", "of this one only", named=True, values=_upstreams)
TO = Parameter("upstream", "where it shall go", values=_upstreams)
NUMBER = Parameter("number", "a telephone number")
LIMIT = Parameter("limit", "how many rows, 50 if not said", named=True)
MESSAGE = Parameter("message", "the message's id")
PART = Parameter("part", "the part's id, as `indoubt ls` shows it")
VERDICT = Parameter("verdict", "resend (flagged) or fail", values=lambda server: VERDICTS)

COMMANDS = (
    Command(("queue", "ls"), "the parts that wait for carriers", ls, (UPSTREAM, LIMIT)),
    Command(("queue", "show"), "where one message is: parts, deliveries", show, (MESSAGE,)),
    Command(("queue", "hold"), "keep what waits of a message", hold, (MESSAGE,)),
    Command(("queue", "retry"), "make what waits or is held of a message due now", retry, (MESSAGE,)),
    Command(("queue", "cancel"), "give up what waits or is held of a message", cancel, (MESSAGE,)),
    Command(("queue", "move"), "hand a message to another upstream of its route", move, (MESSAGE, TO)),
    Command(("indoubt", "ls"), "parts that a carrier may or may not have", indoubt_ls, (UPSTREAM, LIMIT)),
    Command(("indoubt", "resolve"), "decide one of them", indoubt_resolve, (PART, VERDICT)),
    Command(("receipts", "unmatched"), "receipts without a part", receipts_unmatched, (UPSTREAM, LIMIT)),
    Command(("quarantine", "ls"), "what came for numbers that are nobody's", quarantine_ls, (LIMIT,)),
    Command(
        ("quarantine", "release"), "hand what came for a number to its owner", quarantine_release, (NUMBER,)
    ),
)
