"""A route of the API as data: where it is, who may ask, what it takes and gives, and what answers.

The table of all routes is all that the router and the OpenAPI document know of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar
from urllib.parse import unquote_to_bytes

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edge.web.api.problems import Problem
from edge.web.api.shapes import NOTHING, Record, Shape
from edge.web.changes import noted
from edge.web.headers import Header
from edge.web.origin import client_address
from edge.web.request import EdgeRequest
from edge.web.services import WebServices
from storage.errors import Conflict, NotFound
from storage.records import ApiKey

T = TypeVar("T")

NOWHERE = ("not_found", "There is nothing at this address.")


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer: ``body`` is a JSON document, or already the octets of one."""

    status: int
    body: object
    headers: tuple[Header, ...] = ()


@dataclass(slots=True)
class Call:
    """One request to a route: ``path`` holds what the address names, ``given`` the members."""

    services: WebServices
    request: EdgeRequest
    route: "Route"
    key: ApiKey
    path: Mapping[str, str]
    given: dict[str, Any]
    _charge: Callable[[ApiKey, int], None]

    @property
    def account_id(self) -> int:
        """Whose data may be shown and changed."""
        return self.key.account_id

    def charge(self, cost: int) -> None:
        """Count so many more requests than the one that it is against the key's limit. Raises Problem."""
        self._charge(self.key, cost)

    def missing(self) -> Problem:
        """What the address names is not there, or is another account's: nobody is told which."""
        return Problem(404, *self.route.missing)

    def read(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> Deferred[T]:
        """What a function of the store reads for this account."""
        return self.services.store.read(fn, self.account_id, *args, **kwargs)

    def change(self, description: str, fn: Callable[[Connection], T]) -> Deferred[T]:
        """Change something. What the store does not find is what the path names; a contradiction is 409."""
        return self.services.store.writer.run(description, fn).addErrback(self._not_changed)

    @property
    def address(self) -> str:
        """Whose program it is, behind a proxy too."""
        return client_address(self.request, bool(self.services.config.http.public_url))

    def write(
        self, action: str, subject: object, fn: Callable[[Connection], T], **detail: object
    ) -> Deferred[T]:
        """As `change`, with who did it noted in the same transaction."""
        change = noted(
            fn,
            self.services.store.ids.next,
            self.account_id,
            f"key:{self.key.name}",
            action,
            subject,
            self.services.wall_ms(),
            detail,
            self.address or None,
        )
        return self.change(action, change)

    def _not_changed(self, failure: Failure) -> NoReturn:
        if failure.check(NotFound):
            raise self.missing()
        if failure.check(Conflict):
            raise Problem(409, "conflict", str(failure.value))
        failure.raiseException()
        raise AssertionError("it raised")


Answering = Callable[[Call], Deferred[Reply] | Deferred[Reply | None] | Reply | None]
"""What answers a route; None when it has taken the request over (a stream)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """``name`` is the operation's, ``scope`` what a key must be good for ("" for no key at all).

    ``refuses`` has the codes of its own problems by status; those that every route may answer are known.
    ``missing`` is the problem (code, sentence) when what the path names is not there. ``stream`` answers with
    events, not with a document; one with ``files`` (their media types) with a file. An ``operator``'s route
    lets operators in by itself, with keys of their own.
    """

    method: str
    path: str
    name: str
    tag: str
    scope: str
    summary: str
    do: Answering
    about: str = ""
    takes: Record = NOTHING
    gives: Mapping[int, Shape | None] = field(default_factory=dict)
    refuses: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    missing: tuple[str, str] = NOWHERE
    path_shapes: Mapping[str, Shape] = field(default_factory=dict)
    idempotent: bool = False
    stream: bool = False
    files: tuple[str, ...] = ()
    operator: bool = False
    needs: Callable[[WebServices], bool] = lambda services: True


class Table:
    """I find the routes of a path. A segment ``{name}`` of a route stands for any one segment."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._exact: dict[bytes, dict[bytes, Route]] = {}
        self._tree: dict[str, Any] = {}
        for route in self.routes:
            here = self._tree
            for segment in route.path.strip("/").split("/"):
                here = here.setdefault("{}" if segment.startswith("{") else segment, {})
            methods = here.setdefault("", {})
            methods[route.method.encode()] = route
            if route.method == "GET":
                methods[b"HEAD"] = route
            if "{" not in route.path:
                self._exact[route.path.encode()] = methods

    def find(self, path: bytes) -> Mapping[bytes, Route] | None:
        """The routes of a path by method; None when there are none."""
        found = self._exact.get(path)
        if found is not None:
            return found
        here: Any = self._tree
        for name in segments(path):
            here = (here.get(name) or here.get("{}")) if name else None
            if here is None:
                return None
        methods: Mapping[bytes, Route] | None = here.get("")
        return methods


def segments(path: bytes) -> list[str]:
    """The segments of a path under /, decoded; a slash at the end changes nothing. [""] for no UTF-8."""
    try:
        return [unquote_to_bytes(segment).decode() for segment in path.removesuffix(b"/").split(b"/")[1:]]
    except UnicodeDecodeError:
        return [""]
