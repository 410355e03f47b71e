"""/v1/endpoints: where webhooks and status callbacks fail, which are paused, and how they go on."""

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.handlers.endpoints import known_as
from edge.web.api import views
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import URL, Many, Member, Record, Text, given
from storage import endpoints
from storage.endpoints import Endpoint, EndpointRecord
from storage.errors import NotFound

UNKNOWN = ("endpoint_unknown", "There is no failing endpoint with this handler and URL.")
_TEXT = Text()

ENDPOINT = given(
    Member("handler", _TEXT),
    Member("url", _TEXT, "Without its query."),
    Member("failing_since", views.TIME),
    Member("last_failed_at", views.TIME, "May be an hour behind."),
    Member("last_outcome", _TEXT),
    Member("paused_at", views.MAYBE_TIME, "From then on it is asked no more."),
    name="Endpoint",
)
ENDPOINTS = given(Member("endpoints", Many(ENDPOINT)), name="Endpoints")
RESUME = Record(
    (
        Member("handler", Text(1, 100), required=True),
        Member("url", URL(), "What stands behind a ? does not matter.", True),
    ),
    "EndpointResume",
)
RESUMED = given(Member("handler", _TEXT), Member("url", _TEXT), name="EndpointResumed")


def document(record: EndpointRecord) -> dict[str, object]:
    """One that fails."""
    return {
        "handler": record.handler,
        "url": record.url,
        "failing_since": views.iso(record.failing_since),
        "last_failed_at": views.iso(record.last_failed_at),
        "last_outcome": record.last_outcome,
        "paused_at": views.iso(record.paused_at),
    }


def listed(call: Call) -> Deferred[Reply]:
    """The longest failing first; one that answers well is not among them."""
    return call.read(endpoints.failing).addCallback(
        lambda records: Reply(200, {"endpoints": [document(record) for record in records]})
    )


def resume(call: Call) -> Deferred[Reply]:
    """Ask one again, from now on; what failed meanwhile can be replayed."""
    handler = call.given["handler"]
    which = Endpoint(call.account_id, handler, known_as(handler, call.given["url"]))

    def resume(conn: Connection) -> Reply:
        if not endpoints.forget(conn, which):
            raise NotFound(UNKNOWN[1])
        return Reply(200, {"handler": which.handler, "url": which.url})

    return call.write("endpoint.resume", which.url, resume)


def routes() -> list[Route]:
    """In the order of the documentation."""
    return [
        Route(
            method="GET",
            path="/v1/endpoints",
            name="listEndpoints",
            tag="Webhooks",
            scope="dids:read",
            summary="List where webhooks and status callbacks fail",
            do=listed,
            gives={200: ENDPOINTS},
        ),
        Route(
            method="POST",
            path="/v1/endpoints/resume",
            name="resumeEndpoint",
            tag="Webhooks",
            scope="dids:write",
            summary="Ask an endpoint again that failed, or was paused for it",
            do=resume,
            takes=RESUME,
            gives={200: RESUMED},
            missing=UNKNOWN,
        ),
    ]
