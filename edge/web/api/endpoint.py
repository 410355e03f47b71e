"""What every resource of the API does the same way: the key, the method, errors, a client that went away."""

import base64
import binascii
from collections.abc import Callable
from typing import ClassVar

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from edge.web.api.problems import Problem, answer, method_not_allowed, problem_of, refuse
from edge.web.request import EdgeRequest
from edge.web.services import WebServices
from storage.records import ApiKey

log = structlog.get_logger(__name__)

Reply = tuple[int, object]
WWW_AUTHENTICATE = ((b"WWW-Authenticate", b'Bearer realm="trunkline"'),)


class Endpoint(Resource):
    """I find the account of a request and give its answer; subclasses fill ``methods``.

    A handler returns a Deferred of status and document, or raises Problem. If the client leaves before the
    Deferred fires, the work goes on and the answer goes nowhere (`EdgeRequest.respond`).
    """

    isLeaf = True
    methods: ClassVar[dict[bytes, str]] = {}

    def __init__(self, services: WebServices) -> None:
        super().__init__()
        self.services = services
        allowed = {**self.methods, b"HEAD": self.methods[b"GET"]} if b"GET" in self.methods else self.methods
        self._handlers: dict[bytes, Callable[[EdgeRequest, ApiKey], Deferred[Reply]]] = {
            method: getattr(self, name) for method, name in allowed.items()
        }
        self._allow = b", ".join(sorted(self._handlers))

    def render(self, request: EdgeRequest) -> int:
        """Every answer, good or bad, is JSON."""
        try:
            handler = self._handlers.get(request.method)
            if handler is None:
                raise method_not_allowed(request.method, self._allow)
            replied = handler(request, self._key(request))
        except Problem as problem:
            refuse(request, problem)
        else:
            replied.addCallbacks(_reply, _failed, callbackArgs=(request,), errbackArgs=(request,))
        return NOT_DONE_YET

    def _key(self, request: EdgeRequest) -> ApiKey:
        header = request.requestHeaders.getRawHeaders(b"authorization")
        if not header:
            raise _unauthorized("key_missing", "Send a key: Authorization: Bearer <key>.")
        key = self.services.directory.key(_token(header[-1]))
        if key is None:
            raise _unauthorized("key_invalid", "This key is not known, or it was revoked.")
        return key


def _reply(reply: Reply, request: EdgeRequest) -> None:
    answer(request, *reply)


def _failed(failure: Failure, request: EdgeRequest) -> None:
    error = failure.value
    problem = None if error is None else problem_of(error)
    if problem is None:
        request.processingFailed(failure)
    else:
        refuse(request, problem)


def _unauthorized(code: str, detail: str) -> Problem:
    return Problem(401, code, detail, "Authorization", WWW_AUTHENTICATE)


def _token(header: bytes) -> str:
    """The key in an Authorization header: the bearer token, or the user name of Basic."""
    scheme, _, credentials = header.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return credentials.strip().decode("latin-1")
        case b"basic":
            try:
                return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[0]
            except (binascii.Error, ValueError):
                detail = "The Basic credentials are not base64 of UTF-8 text."
                raise _unauthorized("credentials_malformed", detail) from None
    detail = "Use the scheme Bearer with the key (or Basic, with the key as the user name)."
    raise _unauthorized("scheme_unknown", detail)
