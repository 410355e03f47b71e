"""/v1/explain: what a message would become, without sending it; /v1/usage: how many there were."""

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.errors import Refused
from edge.outbound import Draft
from edge.policy.numbers import destination
from edge.web.api import views
from edge.web.api.messages import LEG, TEXT
from edge.web.api.paths import spelled
from edge.web.api.problems import Problem
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import (
    Many,
    Member,
    Moment,
    Null,
    Number,
    Record,
    Switch,
    Text,
    Whole,
    given,
)
from protocols.sms import TooLong, count
from storage import opt_outs, usage
from storage.opt_outs import OptOut

DAY_MS = 86_400_000
MOST_DAYS = 366
USUAL_DAYS = 30
_TEXT, _COUNT = Text(), Whole()

ASKED = Record(
    (
        Member("from", Number(), "A DID of the account.", True),
        Member("to", Number(), required=True),
        Member("text", TEXT, required=True),
    ),
    "Explained",
)
REFUSAL = Record(
    (
        Member("code", _TEXT, required=True),
        Member("detail", _TEXT, required=True),
        Member("field", Null(_TEXT), required=True),
    ),
    "Refusal",
)
EXPLANATION = given(
    Member("allowed", Switch(), "Would it be taken?"),
    Member("refused", Null(REFUSAL), "Why not."),
    Member("opted_out", Switch(), "Has the peer said that he wants no messages?"),
    Member("from", Null(_TEXT), "As it is understood."),
    Member("to", Null(_TEXT), "As it is understood."),
    Member("upstream", Null(_TEXT), "Who would carry it as things are now."),
    Member("encoding", Null(_TEXT)),
    Member("characters", _COUNT),
    Member("units", Null(_COUNT), "Septets, octets or UTF-16 units: what parts are counted in."),
    Member("parts", Null(_COUNT)),
    Member("units_left", Null(_COUNT), "What the last part has room for."),
    Member("offending", Many(_TEXT), "The characters that are not in the cheaper alphabet."),
    name="Explanation",
)
PERIOD = Record(
    (
        Member("since", Moment(), f"From the beginning of this day (UTC); {USUAL_DAYS} days ago."),
        Member("until", Moment(), "Up to the end of the day before this time; now, today included."),
        Member("did", Number()),
    )
)
DAY = given(
    Member("day", Text(format="date")),
    Member("did", _TEXT),
    Member("received", _COUNT),
    Member("received_parts", _COUNT),
    Member("sent", _COUNT),
    Member("sent_parts", _COUNT),
    name="UsageDay",
)
USAGE = given(Member("days", Many(DAY), "Only those with messages, the oldest first."), name="Usage")


def explain(call: Call) -> Deferred[Reply]:
    """Encoding, parts, route and policy; nothing is stored."""
    given, region = call.given, call.services.config.numbers.region
    planner = call.services.outbound.planner
    source, destined = _understood(given["from"], region), _understood(given["to"], region)
    refused, upstream = None, None
    try:
        upstream = planner.plan(
            Draft(call.account_id, given["from"], given["to"], given["text"], LEG)
        ).upstream
    except Refused as error:
        refused = {"code": error.code, "detail": error.sentence, "field": error.field}
    counted = _counted(call, source or "", destined or "")

    def answer(wish: OptOut | None) -> Reply:
        body = {
            "allowed": refused is None,
            "refused": refused,
            "opted_out": wish is not None,
            "from": source,
            "to": destined,
            "upstream": upstream,
            "characters": len(given["text"]),
            **counted,
        }
        return Reply(200, body)

    return call.read(opt_outs.find, source or "", destined or "").addCallback(answer)


def _counted(call: Call, source: str, destined: str) -> dict[str, object]:
    text = call.given["text"]
    try:
        found = count(text, call.services.outbound.planner.segmentation(destined, source, call.account_id))
    except (TooLong, UnicodeError):
        nothing = dict.fromkeys(("encoding", "units", "parts", "units_left"))
        return {**nothing, "offending": []}
    return {
        "encoding": found.encoding.name,
        "units": found.units,
        "parts": found.parts,
        "units_left": found.units_left,
        "offending": list(found.offending or ""),
    }


def _understood(written: str, region: str) -> str | None:
    try:
        return destination(written, region)
    except Refused:
        return None


def used(call: Call) -> Deferred[Reply]:
    """Messages and parts by day and DID."""
    given, now_ms = call.given, call.services.wall_ms()
    until = _day(given["until"]) if given["until"] is not None else _day(now_ms) + DAY_MS
    since = _day(given["since"]) if given["since"] is not None else until - USUAL_DAYS * DAY_MS
    if not since < until <= since + MOST_DAYS * DAY_MS:
        detail = f"The period has 1 to {MOST_DAYS} days: 'since' comes before 'until'."
        raise Problem(422, "period_invalid", detail, "since")

    def read(conn: Connection, account_id: int) -> Reply:
        days = usage.daily(conn, account_id, since, until, did=spelled(call, "did"))
        return Reply(200, {"days": [_document(day) for day in days]})

    return call.read(read)


def _day(at_ms: int) -> int:
    return at_ms - at_ms % DAY_MS


def _document(day: usage.Day) -> dict[str, object]:
    return {**day._asdict(), "day": (views.iso(day.day) or "")[:10]}


def routes() -> list[Route]:
    """In the order of the documentation."""
    return [
        Route(
            method="POST",
            path="/v1/explain",
            name="explain",
            tag="Explain and usage",
            scope="messages:read",
            summary="See what a message would become, without sending it",
            about="Encoding, parts, route and policy. What would be refused is answered 200 too, with why.",
            do=explain,
            takes=ASKED,
            gives={200: EXPLANATION},
        ),
        Route(
            method="GET",
            path="/v1/usage",
            name="usage",
            tag="Explain and usage",
            scope="messages:read",
            summary="Messages and parts by day and DID",
            do=used,
            takes=PERIOD,
            gives={200: USAGE},
            refuses={422: ("period_invalid",)},
        ),
    ]
