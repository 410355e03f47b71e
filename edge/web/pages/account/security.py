"""/account/security: the visitor's password, his second factor, and where he is logged in."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from edge import totp
from edge.errors import Unavailable
from edge.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from edge.web.pages import browsers, second
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Setback, Wrong
from edge.web.pages.answers import Answer, see_other
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.login import please_wait
from edge.web.pages.qr import qr
from edge.web.pages.sessions import Visitor, client_of
from edge.web.request import EdgeRequest
from storage import second_factors, sessions, users
from storage.errors import NotFound
from storage.records import Role

PATH = "/account/security"
ISSUER = "Trunkline"


class Security(ActionPage):
    """Everybody has one, whatever his role."""

    changes = Role.READ_ONLY

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {
            "password": self._password,
            "begin": self._begin,
            "prove": self._prove,
            "end": self._end,
            "codes": self._codes,
            "revoke": self._revoke,
            "revoke-others": self._revoke_others,
        }

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """Everything of him; a secret that he has not proved yet too, so that he can."""
        store, user = self.portal.services.store, visitor.user
        found = await store.read(sessions.of_user, user.account_id, user.id, self.portal.services.wall_ms())
        left = await store.read(second_factors.codes_left, user.account_id, user.id)
        secret = None if user.has_second_factor else second.secret_of(self.portal.seal, user)
        drawing = None
        if secret is not None:
            address = totp.address(secret, ISSUER, user.login)
            drawing = await self.portal.in_thread(lambda: qr(address))
        return self.answer(
            "account/security.html",
            request,
            visitor,
            setback,
            sessions=[(item, browsers.shown(item.user_agent)) for item in found],
            left=left,
            secret=secret,
            drawing=drawing,
            **{"codes": None, "proved": False, **more},
        )

    # -- the password -----------------------------------------------------------------------------

    async def _password(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        fields, user = Fields(request), visitor.user
        wanted = fields.text("password")
        if not MIN_CHARACTERS <= len(wanted) <= MAX_CHARACTERS:
            raise Wrong("password", N_("A password has at least %(least)s characters."), least=MIN_CHARACTERS)
        if wanted != fields.text("again"):
            raise Wrong("again", N_("The two are not the same."))
        await self._must_know(visitor, fields.text("current"), "current")
        hashed = await self.portal.passwords.hash(wanted)
        token, fresh = self.portal.sessions.make(user, client_of(request, bool(self.portal.public_url)))

        def change(conn: Connection) -> None:
            users.set_password(conn, user.account_id, user.id, hashed)  # logs him out everywhere
            sessions.add_session(conn, fresh)

        await self.change(request, visitor, "user.password", user.login, change)
        return see_other(f"{PATH}?said=saved", self.portal.cookies.log_in(token))

    async def _must_know(self, visitor: Visitor, password: str, field: str) -> None:
        """Who found a browser open must not take it over."""
        guesses, key = self.portal.by_login, ("known", visitor.user.id)
        wait = guesses.wait(key)
        if wait > 0:
            raise Wrong(field, please_wait(visitor.locale, wait)[0].replace("%", "%%"), 429)
        guesses.failed(key)
        try:
            right = await self.portal.passwords.check(visitor.user.password_hash, password)
        except Unavailable:
            guesses.undo(key)  # nobody looked at it
            raise
        if not right:
            raise Wrong(field, N_("This is not your password."), 403)
        guesses.forget(key)

    # -- the second factor ------------------------------------------------------------------------

    async def _begin(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        user = visitor.user
        if user.has_second_factor:
            return see_other(PATH)
        secret = self.portal.seal.close(totp.new_secret(), totp.place(user.id))

        def change(conn: Connection) -> None:
            second_factors.begin(conn, user.account_id, user.id, secret)

        await self.change(request, visitor, "user.second_factor.begin", user.login, change)
        return see_other(f"{PATH}#second")

    async def _prove(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        user, now_ms, kept = visitor.user, self.portal.services.wall_ms(), visitor.user.totp_secret
        secret = second.secret_of(self.portal.seal, user)
        if kept is None or secret is None or user.has_second_factor:
            return see_other(PATH)
        step = totp.step_of(secret, Fields(request).line("code").replace(" ", ""), now_ms)
        if step is None:
            raise Wrong("code", N_("This is not the code that the app should show now."))
        codes = totp.new_codes()

        def change(conn: Connection) -> None:
            second_factors.prove(conn, user.account_id, user.id, kept, step, map(totp.code_hash, codes))
            # Who had the password alone may be logged in somewhere.
            sessions.end_others(conn, user.account_id, user.id, visitor.session.id)

        await self.change(request, visitor, "user.second_factor.prove", user.login, change)
        now = replace(visitor, user=replace(user, totp_step=step))
        return await self.shown(request, now, codes=codes, proved=True)

    async def _end(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        user = visitor.user
        if user.has_second_factor:  # one that was only begun protects nothing yet
            await self._must_know(visitor, Fields(request).text("known"), "known")

        def change(conn: Connection) -> None:
            second_factors.end(conn, user.account_id, user.id)

        await self.change(request, visitor, "user.second_factor.end", user.login, change)
        return self.done(PATH)

    async def _codes(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        user, codes = visitor.user, totp.new_codes()
        if not user.has_second_factor:
            return see_other(PATH)
        await self._must_know(visitor, Fields(request).text("known"), "known")

        def change(conn: Connection) -> None:
            second_factors.put_codes(conn, user.account_id, user.id, map(totp.code_hash, codes))

        await self.change(request, visitor, "user.second_factor.codes", user.login, change)
        return await self.shown(request, visitor, codes=codes)

    # -- log-ins ----------------------------------------------------------------------------------

    async def _revoke(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        user, wanted = visitor.user, Fields(request).line("session")

        def change(conn: Connection) -> bool:
            if not sessions.end_one(conn, user.account_id, user.id, wanted):
                raise NotFound("There is no such log-in.")
            return True

        await self.change(request, visitor, "session.end", user.login, change)
        return self.done(PATH, "ended")

    async def _revoke_others(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        user, kept = visitor.user, visitor.session.id

        def change(conn: Connection) -> int:
            return sessions.end_others(conn, user.account_id, user.id, kept)

        await self.change(request, visitor, "session.end_others", user.login, change)
        return self.done(PATH, "ended")
