"""What every resource of the API does the same way: the key, the method, errors, a client that went away."""

import base64
import binascii
from collections.abc import Callable
from typing import ClassVar

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from edge.web.api.problems import Problem, answer, problem_of, refuse
from edge.web.services import WebServices
from storage.records import ApiKey

log = structlog.get_logger(__name__)

Reply = tuple[int, object]
WWW_AUTHENTICATE = ((b"WWW-Authenticate", b'Bearer realm="trunkline"'),)


class Endpoint(Resource):
    """I find the account of a request and give its answer; subclasses fill ``methods``."""

    isLeaf = True
    methods: ClassVar[dict[bytes, str]] = {}

    def __init__(self, services: WebServices) -> None:
        super().__init__()
        self.services = services
        allowed = {**self.methods, b"HEAD": self.methods[b"GET"]} if b"GET" in self.methods else self.methods
        self._handlers: dict[bytes, Callable[[Request, ApiKey], Deferred[Reply]]] = {
            method: getattr(self, name) for method, name in allowed.items()
        }

    def render(self, request: Request) -> int:
        """Every answer, good or bad, is JSON."""
        try:
            handler = self._handlers.get(request.method)
            if handler is None:
                allowed = b", ".join(sorted(self._handlers))
                detail = f"{request.method.decode('latin-1')[:20]} is not possible here."
                raise Problem(405, "method_not_allowed", detail, headers=((b"Allow", allowed),))
            replied = handler(request, self._key(request))
        except Problem as problem:
            refuse(request, problem)
            return NOT_DONE_YET
        gone: list[bool] = []
        if not replied.called:
            request.notifyFinish().addErrback(lambda _: gone.append(True))
        replied.addCallbacks(
            self._reply, self._failed, callbackArgs=(request, gone), errbackArgs=(request, gone)
        )
        return NOT_DONE_YET

    def _reply(self, reply: Reply, request: Request, gone: list[bool]) -> None:
        if not gone:
            answer(request, *reply)

    def _failed(self, failure: Failure, request: Request, gone: list[bool]) -> None:
        error = failure.value
        problem = None if error is None else problem_of(error)
        if problem is None:
            log.error(
                "http_handler_broken", path=request.path.decode("latin-1"), error=failure.getTraceback()
            )
            problem = Problem(500, "internal_error", "The server made a mistake; it has been logged.")
        if not gone:
            refuse(request, problem)

    def _key(self, request: Request) -> ApiKey:
        token = _token(request.getHeader(b"authorization"))
        key = None if token is None else self.services.directory.key(token)
        if key is None:
            detail = "Give a valid key: Authorization: Bearer <key> (or Basic, with the key as user name)."
            code = "key_missing" if token is None else "key_invalid"
            raise Problem(401, code, detail, "Authorization", WWW_AUTHENTICATE)
        return key


def _token(header: bytes | str | None) -> str | None:
    """The key in an Authorization header: the bearer token, or the user name of Basic."""
    if not header:
        return None
    text = header.decode("latin-1") if isinstance(header, bytes) else header
    scheme, _, credentials = text.partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.strip()
        case "basic":
            try:
                return base64.b64decode(credentials, validate=True).decode("utf-8").partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return None
