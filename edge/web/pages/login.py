"""/login and /logout."""

import re
import secrets
from urllib.parse import urlencode

import structlog

from edge.errors import Unavailable
from edge.web import origin
from edge.web.headers import Header
from edge.web.pages import cookies
from edge.web.pages.answers import Answer, see_other
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_, Locale
from edge.web.pages.navigation import HOME
from edge.web.pages.page import MemberPage, Page
from edge.web.pages.sessions import TOKEN_OCTETS, Visitor, client_of
from edge.web.request import EdgeRequest
from storage import accounts
from storage.records import Role, User

log = structlog.get_logger(__name__)

MAX_LOGIN = 100
WRONG = N_("This log-in and password do not belong together.")
TOO_OLD = N_("The form was too old. Please try again.")
# A path of ours: a second slash or a backslash would lead a browser to another host.
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*", re.ASCII)


class Login(Page):
    """The form, and what it leads to."""

    async def get(self, request: EdgeRequest) -> Answer:
        """The empty form."""
        return self._form(request, 200, "", "")

    async def post(self, request: EdgeRequest) -> Answer:
        """Right: a new log-in, and on to where the visitor wanted to go. Wrong: the form again."""
        fields = Fields(request)
        login = fields.line("login").lower()[:MAX_LOGIN]
        if not fields.holds("token", self.portal.cookies.read(request, cookies.FORM) or ""):
            return self._form(request, 403, login, self.portal.locale(request).gettext(TOO_OLD))
        address = origin.client_network(request, bool(self.portal.public_url))
        wait = max(self.portal.by_login.wait((address, login)), self.portal.by_address.wait(address))
        if wait > 0:
            return self._later(request, login, wait)
        user = await self._check(address, login, fields.text("password"))
        if user is None:
            log.warning("login_failed", login=login, client=address)
            return self._form(request, 403, login, self.portal.locale(request).gettext(WRONG))
        previous = self.portal.cookies.read(request, cookies.LOG_IN)
        goal = destination(fields.text("next"))
        client = client_of(request, bool(self.portal.public_url))
        token = await self.portal.sessions.begin(user, previous, client, pending=user.has_second_factor)
        if user.has_second_factor:
            goal = f"/login-code?{urlencode({'next': goal})}"
        else:
            log.info("logged_in", login=user.login, client=address)
        return see_other(goal, self.portal.cookies.log_in(token))

    async def _check(self, address: str, login: str, password: str) -> User | None:
        portal = self.portal
        portal.by_login.failed((address, login))
        portal.by_address.failed(address)
        try:
            user = await portal.services.store.read(accounts.find_user, login)
            right = await portal.passwords.check(None if user is None else user.password_hash, password)
        except Unavailable:
            portal.by_login.undo((address, login))
            portal.by_address.undo(address)
            raise
        if user is None or not right:
            return None
        portal.by_login.forget((address, login))
        portal.by_address.undo(address)
        return user

    def _later(self, request: EdgeRequest, login: str, wait: float) -> Answer:
        sentence, header = please_wait(self.portal.locale(request), wait)
        return self._form(request, 429, login, sentence, header)

    def _form(
        self, request: EdgeRequest, status: int, login: str, error: str, *headers: tuple[bytes, bytes]
    ) -> Answer:
        token = self.portal.cookies.read(request, cookies.FORM) or secrets.token_urlsafe(TOKEN_OCTETS)
        goal = destination(Fields(request).text("next"))
        locale = self.portal.locale(request)
        body = self.portal.render(
            "login.html", locale=locale, login=login, error=error, token=token, goal=goal
        )
        return Answer(body, status, (self.portal.cookies.form(token), *headers))


class Logout(MemberPage):
    """POST only: a link must not log anybody out."""

    get = None  # type: ignore[assignment]
    changes = Role.READ_ONLY

    async def submit(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """The log-in ends here and now."""
        await self.portal.sessions.end(visitor)
        return see_other("/login", self.portal.cookies.log_out())


def please_wait(locale: Locale, wait: float) -> tuple[str, Header]:
    """What somebody is told who guesses: in words, and as Retry-After."""
    seconds = max(1, round(wait + 0.5))
    sentence = locale.ngettext(
        "Too many tries. Please wait %(num)d second.", "Too many tries. Please wait %(num)d seconds.", seconds
    )
    return sentence % {"num": seconds}, (b"Retry-After", b"%d" % seconds)


def destination(wanted: str) -> str:
    """Where a log-in leads to: a path of ours, whatever was asked for."""
    return wanted if _PATH.fullmatch(wanted) else HOME
