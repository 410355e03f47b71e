"""/v1/endpoints: where webhooks and status callbacks fail, which are paused, and how they go on."""

from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from edge.handlers.endpoints import known_as
from edge.web.api import views
from edge.web.api.endpoint import Endpoint, Reply
from edge.web.api.members import members, text
from edge.web.api.problems import NotFound, Problem
from edge.web.request import EdgeRequest
from edge.web.services import WebServices
from storage import endpoints
from storage.endpoints import EndpointRecord
from storage.records import ApiKey

RESUMED_BY = frozenset({"handler", "url"})


class FailingEndpoints(Endpoint):
    """Those of the key's account; one that answers well is not among them."""

    isLeaf = False
    methods: ClassVar[dict[bytes, str]] = {b"GET": "list"}

    def __init__(self, services: WebServices) -> None:
        super().__init__(services)
        self._resume = Resume(services)

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """/v1/endpoints/resume."""
        if request.postpath:
            return NotFound()
        return {b"resume": self._resume, b"": self}.get(path) or NotFound()

    def list(self, request: EdgeRequest, key: ApiKey) -> Deferred[Reply]:
        """The longest failing first."""
        members(request, frozenset())
        return self.services.store.read(endpoints.failing, key.account_id).addCallback(_listed)


class Resume(Endpoint):
    """Let an endpoint be asked again, from now on."""

    methods: ClassVar[dict[bytes, str]] = {b"POST": "resume"}

    def resume(self, request: EdgeRequest, key: ApiKey) -> Deferred[Reply]:
        """200 once it is committed; 404 for one that does not fail."""
        found = members(request, RESUMED_BY)
        handler = text(found, "handler")
        which = endpoints.Endpoint(key.account_id, handler, known_as(handler, text(found, "url")))
        done = self.services.store.writer.run("resume endpoint", lambda conn: endpoints.forget(conn, which))

        def resumed(failed: bool) -> Reply:
            if not failed:
                raise Problem(
                    404, "endpoint_unknown", "There is no failing endpoint with this handler and URL."
                )
            return 200, {"handler": which.handler, "url": which.url}

        return done.addCallback(resumed)


def _listed(records: list[EndpointRecord]) -> Reply:
    found = [
        {
            "handler": record.handler,
            "url": record.url,
            "failing_since": views.iso(record.failing_since),
            "last_failed_at": views.iso(record.last_failed_at),
            "last_outcome": record.last_outcome,
            "paused_at": views.iso(record.paused_at),
        }
        for record in records
    ]
    return 200, {"endpoints": found}
