"""The little of twisted.web that is used here, with types."""

from typing import IO, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import Site


class Request(Protocol):
    """A request as twisted.web hands it to a resource."""

    method: bytes
    uri: bytes
    args: dict[bytes, list[bytes]] | None
    content: IO[bytes] | None
    requestHeaders: Headers

    def getHeader(self, key: str) -> str | None: ...
    def getClientAddress(self) -> Any: ...
    def getHost(self) -> Any: ...
    def setHeader(self, name: str, value: str | bytes) -> None: ...
    def setResponseCode(self, code: int) -> None: ...
    def write(self, data: bytes) -> None: ...
    def finish(self) -> None: ...
    def loseConnection(self) -> None: ...
    def notifyFinish(self) -> "Deferred[None]": ...


class Node(Resource):
    """A resource with a typed beginning."""

    def __init__(self) -> None:
        super().__init__()


def site(root: Resource) -> Site:
    """The factory that serves ``root``."""
    return Site(root)
