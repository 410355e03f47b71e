"""The one resource of /v1: finds the route, lets the key in, reads the members, answers.

What a route's function raises or fails with becomes a problem document here and nowhere else. A client that
leaves changes nothing: the work goes on and the answer goes nowhere (`EdgeRequest.respond`).
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from edge.web.api.access import Access, origin_lines
from edge.web.api.members import members
from edge.web.api.problems import (
    answer,
    method_not_allowed,
    not_found,
    problem_of,
    refuse,
)
from edge.web.api.routes import Call, Reply, Route, Table, segments
from edge.web.headers import lines
from edge.web.request import EdgeRequest
from edge.web.services import WebServices
from storage.records import ApiKey

PREFLIGHT_HEADERS = b"Authorization, Content-Type, Idempotency-Key, Last-Event-ID"
PREFLIGHT_SECONDS = 600
NOBODY = ApiKey(0, 0, "", "", "", 0, scopes="")
"""Who asks where no key is asked for."""


class Router(Resource):
    """I answer everything under /v1."""

    isLeaf = True

    def __init__(self, services: WebServices, table: Table, access: Access) -> None:
        super().__init__()
        self.services = services
        self.table = table
        self.access = access
        self._origins = services.config.http.cors_origins

    def render(self, request: EdgeRequest) -> int:
        """Every answer, good or bad, is JSON; but for streams and the page of the documentation."""
        more = lines(origin_lines(self._origins, request)) if self._origins else b""
        try:
            methods = self.table.find(request.path)
            if methods is None:
                raise not_found()
            route = methods.get(request.method)
            if route is not None:
                self._answer(request, route, more)
            elif not self._preflight(request, methods, more):
                raise method_not_allowed(request.method, b", ".join(sorted(methods)))
        except Exception as error:
            _refuse(error, request, more)
        return NOT_DONE_YET

    def _answer(self, request: EdgeRequest, route: Route, more: bytes) -> None:
        access, key = self.access, NOBODY
        request.route = route.path
        if route.scope:
            key = access.key(request, route.scope)
            request.key_prefix = key.prefix
            over = access.charged(key, 1)
            if over is not None:
                refuse(request, over, more + access.lines(key))
                return

        def head() -> bytes:
            """What is left to the key when it is answered: the route may have charged it for more."""
            return more + access.lines(key) if route.scope else more

        try:
            found, written = members(request, route.takes.lists)
            path = _named(route, request.path) if "{" in route.path else {}
            given = route.takes.members_of(found, written)
            reply = route.do(Call(self.services, request, route, key, path, given, access.charge))
        except Exception as error:
            _refuse(error, request, head())
            return
        if isinstance(reply, Deferred):
            reply.addCallbacks(_reply, _failed, callbackArgs=(request, head), errbackArgs=(request, head))
        elif reply is not None:
            _reply(reply, request, head)

    def _preflight(self, request: EdgeRequest, methods: object, more: bytes) -> bool:
        """A browser asks whether a page of another origin may (Fetch, CORS-preflight)."""
        asks = request.method == b"OPTIONS" and request.requestHeaders.hasHeader(
            b"access-control-request-method"
        )
        if not asks or b"Access-Control-Allow-Origin" not in more:
            return False
        allowed = b", ".join(sorted(methods))  # type: ignore[call-overload]
        head = lines(
            (
                (b"Access-Control-Allow-Methods", allowed),
                (b"Access-Control-Allow-Headers", PREFLIGHT_HEADERS),
                (b"Access-Control-Max-Age", b"%d" % PREFLIGHT_SECONDS),
            )
        )
        request.respond(204, more + head, b"")
        return True


def _named(route: Route, path: bytes) -> dict[str, str]:
    """What stands in the places of the route's names."""
    names = route.path.strip("/").split("/")
    values = segments(path)
    return {name[1:-1]: value for name, value in zip(names, values, strict=True) if name.startswith("{")}


def _reply(reply: Reply | None, request: EdgeRequest, head: Callable[[], bytes]) -> None:
    if reply is None:
        return
    more = head()
    if reply.headers:
        more += lines(reply.headers)
    if reply.status == 204:
        request.respond(204, more, b"")
    else:
        answer(request, reply.status, reply.body, more)


def _refuse(error: Exception, request: EdgeRequest, more: bytes) -> None:
    """For errors that are raised; what is our own mistake is raised on."""
    problem = problem_of(error)
    if problem is None:
        raise error
    refuse(request, problem, more)


def _failed(failure: Failure, request: EdgeRequest, head: Callable[[], bytes]) -> None:
    error = failure.value
    problem = None if error is None else problem_of(error)
    if problem is None:
        request.processingFailed(failure)
    else:
        refuse(request, problem, head())
