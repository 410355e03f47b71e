"""/login-code: the second factor, for who has given his password and nothing more yet.

Until then his log-in is pending: its cookie opens this page alone, for five minutes. The log-in that follows
has another token.
"""

import structlog
from sqlalchemy import Connection

from edge import totp
from edge.errors import Unavailable
from edge.sealing import Seal, Unopened, is_sealed
from edge.web import origin
from edge.web.pages import cookies
from edge.web.pages.answers import Answer, see_other
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.login import destination, please_wait
from edge.web.pages.page import FORM_TOO_OLD, Page
from edge.web.pages.sessions import Visitor, client_of
from edge.web.request import EdgeRequest
from storage import second_factors
from storage.errors import StoreUnavailable
from storage.records import User

log = structlog.get_logger(__name__)

WRONG = N_("This is not the code, or it was used before.")


def secret_of(seal: Seal, user: User) -> str | None:
    """The secret of his one-time passwords. None when he has none, or when it was sealed with a key that is
    not here: spare codes let him in all the same. Raises Unavailable."""
    if user.totp_secret is None:
        return None
    try:
        return seal.open(user.totp_secret, totp.place(user.id))
    except Unopened:
        log.error("second_factor_not_opened", login=user.login)
        return None


class LoginCode(Page):
    """I ask for a code of the app, or for a spare one."""

    async def get(self, request: EdgeRequest) -> Answer:
        """The form; without a pending log-in back to the beginning."""
        visitor = await self._pending(request)
        return see_other("/login") if visitor is None else self._form(request, visitor, 200, "")

    async def post(self, request: EdgeRequest) -> Answer:
        """Right: logged in, with a fresh token."""
        visitor = await self._pending(request)
        if visitor is None:
            return see_other("/login")
        fields = Fields(request)
        if not fields.holds("csrf", visitor.session.csrf_token):
            return self._form(request, visitor, 403, visitor.locale.gettext(FORM_TOO_OLD))
        user, guesses = visitor.user, self.portal.by_code
        wait = guesses.wait(user.id)
        if wait > 0:
            sentence, header = please_wait(visitor.locale, wait)
            return self._form(request, visitor, 429, sentence, header)
        guesses.failed(user.id)
        try:
            right = await self._is_right(visitor, fields.line("code"))
        except (Unavailable, StoreUnavailable):
            guesses.undo(user.id)  # nobody looked at it
            raise
        if not right:
            log.warning("login_code_wrong", login=user.login, client=self._client(request))
            return self._form(request, visitor, 403, visitor.locale.gettext(WRONG))
        guesses.forget(user.id)
        previous = self.portal.cookies.read(request, cookies.LOG_IN)
        client = client_of(request, bool(self.portal.public_url))
        token = await self.portal.sessions.begin(user, previous, client)
        log.info("logged_in", login=user.login, client=self._client(request), second_factor=True)
        return see_other(destination(fields.text("next")), self.portal.cookies.log_in(token))

    async def _is_right(self, visitor: Visitor, code: str) -> bool:
        services, user = self.portal.services, visitor.user
        now_ms, digits = services.wall_ms(), code.replace(" ", "")
        kept, secret = user.totp_secret, secret_of(self.portal.seal, user)
        step = None if secret is None else totp.step_of(secret, digits, now_ms)
        run = services.store.writer.run
        if kept is not None and secret is not None and step is not None:
            sealed = kept if is_sealed(kept) else self.portal.seal.close(secret, totp.place(user.id))

            def use(conn: Connection) -> bool:
                if sealed != kept:  # from before there was a seal
                    second_factors.keep_instead(conn, user.account_id, user.id, kept, sealed)
                return second_factors.use_step(conn, user.account_id, user.id, step)

            taken: bool = await run("code used", use)
            return taken
        spare = totp.code_hash(code)
        used: bool = await run(
            "spare code used",
            lambda conn: second_factors.use_code(conn, user.account_id, user.id, spare, now_ms),
        )
        return used

    async def _pending(self, request: EdgeRequest) -> Visitor | None:
        token = self.portal.cookies.read(request, cookies.LOG_IN)
        found = None if token is None else await self.portal.sessions.find(token, pending=True)
        return None if found is None else found.speaking(self.portal.locale(request, found.user))

    def _client(self, request: EdgeRequest) -> str:
        return origin.client_network(request, bool(self.portal.public_url))

    def _form(
        self, request: EdgeRequest, visitor: Visitor, status: int, error: str, *headers: tuple[bytes, bytes]
    ) -> Answer:
        goal = destination(Fields(request).text("next"))
        body = self.portal.render(
            "code.html",
            locale=visitor.locale,
            error=error,
            token=visitor.session.csrf_token,
            goal=goal,
        )
        return Answer(body, status, headers)
