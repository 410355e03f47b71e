"""What a page answers, before it is octets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge.web.headers import GUARDS, NO_STORE, PAGE_HEAD, PHRASES, Header, lines
from edge.web.pages.locales import Locale
from edge.web.request import EdgeRequest

DATA_HEAD = lines((*GUARDS, NO_STORE, (b"Content-Type", b"application/json")))


@dataclass(frozen=True, slots=True)
class Answer:
    """A page (or a redirection) with the headers that not every page has."""

    body: str = ""
    status: int = 200
    headers: tuple[Header, ...] = ()

    def send(self, request: EdgeRequest) -> None:
        """Nothing happens when the client has left."""
        head = PAGE_HEAD + lines(self.headers) if self.headers else PAGE_HEAD
        request.respond(self.status, head, self.body.encode())


@dataclass(frozen=True, slots=True)
class Data(Answer):
    """JSON, for a script."""

    def send(self, request: EdgeRequest) -> None:
        """Nothing happens when the client has left."""
        request.respond(self.status, DATA_HEAD + lines(self.headers), self.body.encode())


@dataclass(frozen=True, slots=True)
class Takeover(Answer):
    """An answer that goes on by itself: ``begin`` takes the request over, its client there or not."""

    begin: Callable[[EdgeRequest], None] = lambda request: None

    def send(self, request: EdgeRequest) -> None:
        """From here on it is begin's."""
        self.begin(request)


@dataclass(frozen=True, slots=True)
class File(Answer):
    """What is no page, whole, with a head of its own."""

    head: bytes = b""

    def send(self, request: EdgeRequest) -> None:
        """Nothing happens when the client has left."""
        request.respond(self.status, self.head, self.body.encode())


@dataclass(frozen=True, slots=True)
class PageProblem(Exception):
    """What is shown instead of the page: a status and a sentence for people.

    The sentence is looked up in the reader's language; ``values`` are what its ``%(name)s`` stand for.
    """

    status: int
    sentence: str
    headers: tuple[Header, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)

    def said(self, locale: Locale) -> str:
        """The sentence, in the reader's language."""
        sentence = locale.gettext(self.sentence)
        # Without values a "%" in it, as an error may have, is one.
        return sentence % self.values if self.values else sentence

    @property
    def title(self) -> str:
        """The status in words."""
        return PHRASES[self.status]


def retry_after(seconds: float) -> Header:
    """When to come again: in whole seconds, at least one."""
    return b"Retry-After", b"%d" % max(1, round(seconds))


def see_other(location: str, *headers: Header) -> Answer:
    """Go there with GET. ``location`` is a path of ours, percent-encoded."""
    return Answer("", 303, ((b"Location", location.encode("ascii")), *headers))


def not_found() -> PageProblem:
    """404."""
    return PageProblem(404, "There is nothing at this address.")


def gone() -> PageProblem:
    """404 for a form: of what it wants something done about, or removed."""
    return PageProblem(404, "This is not there, or not any more: nothing was changed.")
