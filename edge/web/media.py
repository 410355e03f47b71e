"""`/media/TOKEN`: what was sent along with a message. The token is the right to have it; nobody can guess
one.

What browsers would run (pages, SVG) is handed out as octets to be saved, and nothing of it may do anything
here.
"""

import re
import secrets

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from edge.web.headers import lines
from edge.web.program import PLAIN, UNAVAILABLE, respond
from edge.web.request import EdgeRequest
from edge.web.services import WebServices
from storage import media
from storage.errors import StoreUnavailable

TOKEN_OCTETS = 18
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
HARMLESS = (
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/bmp",
    "audio/",
    "video/",
    "text/plain",
    "text/vcard",
    "text/x-vcard",
    "text/calendar",
    "application/pdf",
)
OCTETS = "application/octet-stream"


def new_token() -> str:
    """For one more thing to be served."""
    return secrets.token_urlsafe(TOKEN_OCTETS)


def url_of(services: WebServices, token: str) -> str:
    """Where the outside finds what has this token."""
    config = services.config.http
    base = config.public_url.rstrip("/") or f"http://{config.listen}"
    return f"{base}/media/{token}"


class Media(Resource):
    """Below me are the tokens."""

    def __init__(self, services: WebServices, missing: Resource) -> None:
        super().__init__()
        self._services = services
        self._missing = missing

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """One token."""
        token = path.decode("latin-1")
        if request.postpath or not _TOKEN.fullmatch(token):
            return self._missing
        return _One(self._services, token, self._missing)

    def render(self, request: EdgeRequest) -> int:
        """There is no list."""
        rendered: int = self._missing.render(request)
        return rendered


class _One(Resource):
    isLeaf = True

    def __init__(self, services: WebServices, token: str, missing: Resource) -> None:
        super().__init__()
        self._services = services
        self._token = token
        self._missing = missing

    def render_GET(self, request: EdgeRequest) -> int:
        """HEAD, too."""
        reading: Deferred[tuple[str, bytes] | None] = self._services.store.read(media.fetch, self._token)
        reading.addCallback(self._found, request).addErrback(_broken, request)
        return NOT_DONE_YET

    render_HEAD = render_GET

    def _found(self, found: tuple[str, bytes] | None, request: EdgeRequest) -> None:
        if found is None:
            self._missing.render(request)
            return
        kind, content = found
        request.respond(200, _head(kind), content)


def _head(kind: str) -> bytes:
    harmless = kind.startswith(HARMLESS)
    disposition = b"inline" if harmless else b"attachment"
    return lines(
        (
            (b"Content-Type", (kind if harmless else OCTETS).encode("ascii")),
            (b"Content-Disposition", disposition),
            (b"Content-Security-Policy", b"default-src 'none'; sandbox"),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Cache-Control", b"private, max-age=86400, immutable"),
        )
    )


def _broken(failure: Failure, request: EdgeRequest) -> None:
    if failure.check(StoreUnavailable):
        respond(request, UNAVAILABLE, PLAIN, b"The store cannot be asked now; try again.\n")
    else:
        request.processingFailed(failure)
