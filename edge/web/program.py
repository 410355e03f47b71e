"""What serves programs that log in with a name and a password: found by its whole path."""

from twisted.web.resource import Resource

from edge.web.headers import api_head, lines
from edge.web.request import MAX_BODY_OCTETS, EdgeRequest

RETRY_AFTER = lines(((b"Retry-After", b"5"),))
UNAVAILABLE = 503


class Program(Resource):
    """I am in `EdgeSite.exact`. ``max_body`` is how many octets a request may bring."""

    isLeaf = True
    max_body = MAX_BODY_OCTETS

    def refusal(self, status: int) -> tuple[int, bytes, bytes]:
        """Status, header lines and body for an error that was found before I was asked, or in me."""
        raise NotImplementedError


def respond(request: EdgeRequest, status: int, head: bytes, body: bytes) -> None:
    """Answer; with a word on when to come again if it is because nothing can be done now."""
    request.respond(status, head + RETRY_AFTER if status == UNAVAILABLE else head, body)


JSON = api_head(b"application/json")
PLAIN = api_head(b"text/plain; charset=utf-8")
