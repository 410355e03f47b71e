"""/livez: the process answers. /startupz: the start is over. /readyz: it can take traffic."""

from collections.abc import Callable

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from edge.web.api.problems import answer, method_not_allowed, refuse
from edge.web.request import EdgeRequest
from edge.web.services import WebServices


class Health(Resource):
    """For whoever keeps the process running: no key, no cookie."""

    isLeaf = True

    def render(self, request: EdgeRequest) -> int:
        """GET and HEAD."""
        if request.method not in (b"GET", b"HEAD"):
            refuse(request, method_not_allowed(request.method, b"GET, HEAD"))
        else:
            answer(request, *self.state())
        return NOT_DONE_YET

    def state(self) -> tuple[int, dict[str, object]]:
        """Status and document."""
        raise NotImplementedError


class Live(Health):
    """Whoever reads this answer knows that the reactor turns."""

    def state(self) -> tuple[int, dict[str, object]]:
        """200, always."""
        return 200, {"live": True}


class Ready(Health):
    """200 when traffic can be taken, else 503 and the reasons; with the states of store, disk and binds."""

    def __init__(self, services: WebServices) -> None:
        super().__init__()
        self._ready: Callable[[], tuple[bool, dict[str, object]]] = services.ready

    def state(self) -> tuple[int, dict[str, object]]:
        """As the server sees itself."""
        ready, states = self._ready()
        return 200 if ready else 503, {"ready": ready, **states}


class Started(Health):
    """200 once the start is over, for ever after; 503 until then; with the steps that were done."""

    def __init__(self, services: WebServices) -> None:
        super().__init__()
        self._started = services.started

    def state(self) -> tuple[int, dict[str, object]]:
        """How far it has come."""
        started, steps = self._started()
        return 200 if started else 503, {"started": started, **steps}
