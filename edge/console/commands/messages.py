"""Sending, and dry runs of it."""

from edge.console.answers import done, fields
from edge.console.language import Answer, Command, Given, Misused, Parameter
from edge.console.server import Server
from edge.outbound import Draft
from edge.policy import numbers
from protocols.sms import count

LEG = "console"


async def send(server: Server, given: Given) -> Answer:
    """Send a message from a DID."""
    accepted = await server.outbound.submit(_draft(server, given))
    parts = "1 part" if accepted.parts == 1 else f"{accepted.parts} parts"
    return done(
        f"Message {accepted.message_id} to {accepted.peer} in {parts} ({accepted.encoding}) is queued.",
        message=accepted.message_id,
        parts=accepted.parts,
        encoding=accepted.encoding,
    )


def explain(server: Server, given: Given) -> Answer:
    """What would become of a message, without sending it."""
    draft = _draft(server, given)
    plan = server.outbound.planner.plan(draft)
    options = server.outbound.planner.segmentation(plan.peer, plan.did.number, draft.account_id)
    counted = count(draft.text, options)
    return fields(
        {
            "from": plan.did.number,
            "to": plan.peer,
            "upstream": plan.upstream,
            "encoding": plan.segmented.encoding.name,
            "parts": len(plan.segmented.segments),
            "units": counted.units,
            "units_left": counted.units_left,
            "offending": [f"U+{ord(character):04X}" for character in counted.offending or ""],
            "in_doubt": "hold" if plan.hold else "resend",
            "validity_seconds": plan.validity_seconds or None,
        }
    )


def route_test(server: Server, given: Given) -> Answer:
    """Which upstream a message would take."""
    plan = server.outbound.planner.plan(_draft(server, {"text": "test", **given}))
    upstream = server.upstreams()[plan.upstream]
    return fields(
        {
            "from": plan.did.number,
            "to": plan.peer,
            "upstream": plan.upstream,
            "up": upstream.up,
            "parts_waiting": upstream.waiting,
        }
    )


def _draft(server: Server, given: Given) -> Draft:
    region = server.config().numbers.region
    number = numbers.destination(given["from"], region, "from")
    did = server.directory.did(number)
    if did is None:
        server.must_run()  # before that the numbers are not known
        raise Misused(f"{number} is not a DID of this server.")
    return Draft(did.account_id, number, given["to"], given["text"], LEG)


def _dids(server: Server) -> list[str]:
    return server.directory.known_numbers()


FROM = Parameter("from", "the DID that it comes from", values=_dids)
TO = Parameter("to", "the number that it goes to")
TEXT = Parameter("text", "what it says", rest=True, secret=True)

COMMANDS = (
    Command(("send",), "send a message", send, (FROM, TO, TEXT)),
    Command(("explain",), "encoding, parts and route of a message; a dry run", explain, (FROM, TO, TEXT)),
    Command(("route", "test"), "which upstream a message would take", route_test, (FROM, TO)),
)
