"""What every page does the same way: methods, log-in, form tokens, errors."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import ClassVar
from urllib.parse import quote

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from edge.errors import Unavailable
from edge.web import origin
from edge.web.pages import cookies
from edge.web.pages.answers import Answer, PageProblem, not_found, retry_after, see_other
from edge.web.pages.forms import Fields, take_parts
from edge.web.pages.locales import N_
from edge.web.pages.portal import Portal
from edge.web.pages.sending import Setback
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage.errors import StoreUnavailable
from storage.records import Role

log = structlog.get_logger(__name__)

Handler = Callable[[EdgeRequest], Awaitable[Answer]]
FORM_TOO_OLD = N_(
    "This form is too old, or it is not one of ours. Go back, reload the page, and send it again."
)
NOT_ALLOWED = N_("Your role does not allow this. Ask an owner of the account.")
STORE_AWAY = N_("The store cannot be asked just now. Please try again in a moment.")
STORE_RETRY_SECONDS = 5.0


class Page(Resource):
    """I answer the methods for which I have a handler (`get`, `post`); below me there is nothing."""

    isLeaf = False
    get: Handler | None = None
    post: Handler | None = None

    def __init__(self, portal: Portal) -> None:
        super().__init__()
        self.portal = portal

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """A slash at the end changes nothing."""
        return self if not path and not request.postpath else Missing(self.portal)

    def render(self, request: EdgeRequest) -> int:
        """Answer now or later; an answer to a client that has left is dropped."""
        answering = Deferred.fromCoroutine(self._answer(request))
        answering.addCallback(lambda answer: answer.send(request)).addErrback(request.processingFailed)
        answering.addErrback(lambda _: None)
        return NOT_DONE_YET

    async def _answer(self, request: EdgeRequest) -> Answer:
        try:
            return await self._handler(request)(request)
        except PageProblem as problem:
            found = problem
        except Unavailable as error:
            found = PageProblem(503, error.sentence, (retry_after(error.retry_after),))
        except StoreUnavailable:
            found = PageProblem(503, STORE_AWAY, (retry_after(STORE_RETRY_SECONDS),))
        return self.problem(request, found)

    def problem(
        self, request: EdgeRequest, found: PageProblem, visitor: Visitor | None = None, field: str = ""
    ) -> Answer:
        """What is wrong: as a page, or for a script as the sentence that it shows beside its form."""
        portal = self.portal
        if not is_for_a_part(request):
            return portal.problem(found, visitor, portal.locale(request))
        locale = visitor.locale if visitor is not None else portal.locale(request)
        setback = Setback(found.status, found.said(locale), field)
        body = portal.render("setback.html", visitor, locale, setback=setback)
        return Answer(body, found.status, found.headers)

    def _handler(self, request: EdgeRequest) -> Handler:
        handlers = {b"GET": self.get, b"HEAD": self.get, b"POST": self.post}
        handler = handlers.get(request.method)
        if handler is None:
            allowed = b", ".join(method for method, found in handlers.items() if found is not None)
            raise _no_such_method(request.method, allowed)
        if request.method == b"POST" and not origin.is_ours(request, self.portal.public_url):
            raise PageProblem(403, FORM_TOO_OLD)
        return handler

    def came_from(self, request: EdgeRequest) -> str:
        """The page that a form was on: as the browser says, else where the form was sent to."""
        own = "/" if self.get is None else request.uri.decode("latin-1")
        return origin.page_of(request, self.portal.public_url) or own


def _no_such_method(method: bytes, allowed: bytes) -> PageProblem:
    values = {"method": method.decode("latin-1")[:20]}
    return PageProblem(405, "This page does not answer %(method)s.", ((b"Allow", allowed),), values)


class Missing(Page):
    """What is at an address where nothing is."""

    isLeaf = True

    def _handler(self, request: EdgeRequest) -> Handler:
        raise not_found()


class MemberPage(Page):
    """A page for people who are logged in; others go to the log-in, and come back after it.

    Subclasses have `show` and `submit`. A POST must carry the log-in's own form token. ``sees`` is the least
    role that may look, ``changes`` the least that may send a form; a page ``for_operators`` is not there for
    others.
    """

    sees: ClassVar[Role] = Role.READ_ONLY
    changes: ClassVar[Role] = Role.AGENT
    for_operators: ClassVar[bool] = False

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """GET."""
        raise NotImplementedError

    async def submit(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """POST; most pages have no form."""
        raise _no_such_method(b"POST", b"GET, HEAD")

    async def get(self, request: EdgeRequest) -> Answer:
        """The page, for whoever may see it."""
        visitor = await self._visitor(request)
        if visitor is None:
            return see_other(f"/login?next={quote(request.uri.decode('latin-1'), safe='/')}")
        return await self._as(request, visitor, self._allowed(self.show, self.sees, request, visitor))

    async def post(self, request: EdgeRequest) -> Answer:
        """The form, from whoever may send it."""
        visitor = await self._visitor(request)
        if visitor is None:
            return see_other(f"/login?next={quote(self.came_from(request), safe='/')}")
        take_parts(request)
        if not Fields(request).holds("csrf", visitor.session.csrf_token):
            return self.problem(request, PageProblem(403, FORM_TOO_OLD), visitor, "csrf")
        return await self._as(request, visitor, self._allowed(self.submit, self.changes, request, visitor))

    async def _allowed(
        self,
        answering: Callable[[EdgeRequest, Visitor], Awaitable[Answer]],
        role: Role,
        request: EdgeRequest,
        visitor: Visitor,
    ) -> Answer:
        if self.for_operators and not visitor.user.operator:
            raise not_found()
        if not self.for_operators and not visitor.may(role):
            raise PageProblem(403, NOT_ALLOWED)
        return await answering(request, visitor)

    async def _visitor(self, request: EdgeRequest) -> Visitor | None:
        token = self.portal.cookies.read(request, cookies.LOG_IN)
        visitor = None if token is None else await self.portal.sessions.find(token)
        if visitor is not None:
            visitor = visitor.speaking(self.portal.locale(request, visitor.user))
        if visitor is not None and not is_refresh(request):
            renewing = self.portal.sessions.renew(visitor)
            if renewing is not None:
                renewing.addErrback(_not_renewed)
        return visitor

    async def _as(self, request: EdgeRequest, visitor: Visitor, answering: Awaitable[Answer]) -> Answer:
        """An error page of somebody who is logged in keeps its menu."""
        try:
            return await answering
        except PageProblem as problem:
            return self.problem(request, problem, visitor)


def is_refresh(request: EdgeRequest) -> bool:
    """The page's script asks again, for a changing part only: nobody has done anything."""
    return request.method == b"GET" and bool(part(request))


def is_for_a_part(request: EdgeRequest) -> bool:
    """Does a script ask, that puts the answer into a page? A form that cannot be read is none of its."""
    with suppress(PageProblem):
        return bool(part(request))
    return False


def part(request: EdgeRequest) -> str:
    """Which part of the page a script wants; "" is the whole."""
    return Fields(request).line("part")


def _not_renewed(failure: Failure) -> None:
    log.warning("session_not_renewed", error=failure.getErrorMessage())
