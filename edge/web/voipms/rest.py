"""`/api/v1/rest.php`: a call comes in by GET or by either kind of form, and is answered with HTTP 200.

What came of it is in `status`. Only when nothing can be done now (the store is away, the server stops) the
HTTP status is 503, so that clients which look at nothing else do not take a message for sent.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET

from edge.errors import Unavailable
from edge.web.access import Denied, Gate, Reason
from edge.web.dispatch import Dispatch
from edge.web.origin import client_address
from edge.web.pages.passwords import InThread
from edge.web.program import JSON, UNAVAILABLE, Program, respond
from edge.web.request import EdgeRequest
from edge.web.services import WebServices
from edge.web.voipms import answers, parameters
from edge.web.voipms.call import Call, Method
from edge.web.voipms.methods import METHODS
from edge.web.voipms.parameters import Parameters
from edge.web.voipms.rows import Rows
from edge.web.voipms.statuses import SENTENCES, Rejected
from storage.errors import StoreUnavailable
from storage.records import ApiAccess

log = structlog.get_logger(__name__)

PATH = b"/api/v1/rest.php"
MAX_BODY_OCTETS = 6 << 20
"""Three media of 1.2 MB in base64, and what is around them."""

OK = 200
METHOD_NOT_ALLOWED = 405
VERBS = (b"GET", b"HEAD", b"POST")

DENIALS = {
    Reason.MISSING: "missing_credentials",
    Reason.WRONG: "invalid_credentials",
    Reason.GUESSING: "invalid_credentials",
    Reason.DISABLED: "api_not_enabled",
    Reason.ADDRESS: "ip_not_enabled",
    Reason.TOO_OFTEN: "api_limit_exceeded",
}


class Rest(Program):
    """I find the method and who calls it."""

    max_body = MAX_BODY_OCTETS

    def __init__(
        self,
        services: WebServices,
        gate: Gate,
        dispatch: Dispatch,
        in_thread: InThread,
        methods: Mapping[str, Method] = METHODS,
    ) -> None:
        super().__init__(in_thread)
        self._services = services
        self._gate = gate
        self._dispatch = dispatch
        self._methods = methods
        self._proxied = bool(services.config.http.public_url)

    def render(self, request: EdgeRequest) -> int:
        """Every answer is JSON."""
        try:
            if request.method not in VERBS:
                raise Rejected("invalid_method", "Calls are made by GET or POST.")
            answering = self.read_then(request, parameters.read, lambda given: self._admit(request, given))
        except Rejected as rejected:
            _refuse(rejected, request)
        else:
            answering.addCallbacks(_send, _failed, callbackArgs=(request,), errbackArgs=(request,))
        return NOT_DONE_YET

    def refusal(self, status: int) -> tuple[int, bytes, bytes]:
        """See `Program`."""
        sentence = f"{SENTENCES['missing_params'][:-1]}, or too large (HTTP {status})."
        if status >= 500:
            return status, JSON, answers.refusal("method_maintenance", SENTENCES["method_maintenance"])
        return status, JSON, answers.refusal("missing_params", sentence)

    def _admit(self, request: EdgeRequest, given: Parameters) -> Deferred[bytes | Rows]:
        name = given.required("method", "missing_method")
        method = self._methods.get(name)
        if method is None:
            raise Rejected("invalid_method", f"There is no method {name[:60]!a}.")
        if method.changes and request.method == b"HEAD":
            raise Rejected("invalid_method", "HEAD changes nothing.")
        address = client_address(request, self._proxied)
        username, password = given.text("api_username"), given.text("api_password")

        def run(access: ApiAccess) -> Any:
            return method.run(Call(self._services, self._dispatch, access, given, address))

        return self._gate.admit(username, password, address, anywhere=method.anywhere).addCallback(run)


def _send(answer: bytes | Rows, request: EdgeRequest) -> None:
    if isinstance(answer, bytes) or request.method == b"HEAD":
        request.respond(OK, JSON, answer if isinstance(answer, bytes) else b"")
    elif not request.gone:
        answer.write(request)


def _refuse(rejected: Rejected, request: EdgeRequest) -> None:
    log.debug("voipms_rejected", status=rejected.status)
    request.respond(OK, JSON, answers.refusal(rejected.status, rejected.sentence))


def _failed(failure: Failure, request: EdgeRequest) -> None:
    error = failure.value
    match error:
        case Rejected():
            _refuse(error, request)
        case Denied():
            _refuse(Rejected(DENIALS[error.reason], error.sentence), request)
        case Unavailable():
            respond(request, UNAVAILABLE, JSON, answers.refusal("method_maintenance", error.sentence))
        case StoreUnavailable():
            sentence = SENTENCES["method_maintenance"]
            respond(request, UNAVAILABLE, JSON, answers.refusal("method_maintenance", sentence))
        case _:
            request.processingFailed(failure)
