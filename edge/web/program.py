"""What serves programs that log in with a name and a password: found by its whole path."""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from edge.web.headers import api_head, lines
from edge.web.pages.passwords import InThread
from edge.web.request import MAX_BODY_OCTETS, EdgeRequest

RETRY_AFTER = lines(((b"Retry-After", b"5"),))
UNAVAILABLE = 503
READ_AT_ONCE = 65_536
"""Octets of a body that are read where they come in, in a millisecond or two."""

T = TypeVar("T")
A = TypeVar("A")


class Program(Resource):
    """I am in `EdgeSite.exact`. ``max_body`` is how many octets a request may bring."""

    isLeaf = True
    max_body = MAX_BODY_OCTETS

    def __init__(self, in_thread: InThread) -> None:
        super().__init__()
        self._in_thread = in_thread

    def read_then(
        self, request: EdgeRequest, read: Callable[[EdgeRequest], T], go_on: Callable[[T], Deferred[A]]
    ) -> Deferred[A]:
        """Go on with what ``read`` makes of a request: of a large one in a thread, since nobody has logged in
        yet. Raises what they raise, or fails with it.
        """
        if len(request.body) <= READ_AT_ONCE:
            return go_on(read(request))
        return self._in_thread(lambda: read(request)).addCallback(go_on)

    def refusal(self, status: int) -> tuple[int, bytes, bytes]:
        """Status, header lines and body for an error that was found before I was asked, or in me."""
        raise NotImplementedError


def respond(request: EdgeRequest, status: int, head: bytes, body: bytes) -> None:
    """Answer; with a word on when to come again if it is because nothing can be done now."""
    request.respond(status, head + RETRY_AFTER if status == UNAVAILABLE else head, body)


JSON = api_head(b"application/json")
PLAIN = api_head(b"text/plain; charset=utf-8")
