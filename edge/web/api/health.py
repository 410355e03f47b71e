"""/livez: the process answers. /readyz: it can take traffic."""

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from edge.web.api.problems import answer
from edge.web.services import WebServices


class Live(Resource):
    """Whoever reads this answer knows that the reactor turns."""

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        """200, always."""
        answer(request, 200, {"live": True})
        return NOT_DONE_YET


class Ready(Resource):
    """200 when the store is open and every upstream has a bind, else 503."""

    isLeaf = True

    def __init__(self, services: WebServices) -> None:
        super().__init__()
        self._services = services

    def render_GET(self, request: Request) -> int:
        """With the state of each bind."""
        ready, states = self._services.ready()
        answer(request, 200 if ready else 503, {"ready": ready, **states})
        return NOT_DONE_YET
