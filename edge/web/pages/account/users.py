"""/account/users: who may log in for the account, and what each may do."""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from edge.web.api.members import parse_identifier
from edge.web.pages.account.preferences import PATH as OWN_PATH
from edge.web.pages.account.preferences import ROLES
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Question, Setback, Wrong
from edge.web.pages.answers import Answer, gone, not_found
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import accounts, users
from storage.errors import Conflict
from storage.records import Role, User

PATH = "/account/users"
PASSWORD_OCTETS = 12
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}", re.ASCII)
ONLY_OWNER = N_("An account needs an owner, and this is the only one.")
TAKEN = N_("This log-in is taken.")
OF_OPERATORS = N_("Only an operator may change or remove an operator's log-in.")
STEPPING_DOWN = N_(
    "You give up the role of an owner, and have this one then: %(role)s. Only an owner can undo it."
)
REMOVING = N_("%(login)s is logged out everywhere and cannot log in any more.")


class Users(ActionPage):
    """Owners' business. A password that is made here is shown once, to be handed on.

    An operator sees all accounts: whoever could log in as one would too, so his log-in is not for the owners
    of the account that he happens to be in.
    """

    sees = Role.OWNER
    changes = Role.OWNER

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {
            "add": self._add,
            "role": self._role,
            "step-down": self._step_down,
            "password": self._password,
            "remove": self._remove,
        }

    async def question(self, request: EdgeRequest, visitor: Visitor, do: str) -> Question | None:
        """See `ActionPage`."""
        found = await self.portal.services.store.read(users.get, visitor.account_id, _user(request))
        if do not in ("remove", "step-down"):
            return None
        if found is None:
            raise gone()
        said = visitor.locale.gettext
        if do == "step-down":
            role = said(ROLES[_role(Fields(request))])
            return Question(said(STEPPING_DOWN) % {"role": role}, said(N_("Change my role")))
        return Question(said(REMOVING) % {"login": found.login}, said(N_("Remove")))

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """All of them, and a form for one more."""
        found = await self.portal.services.store.read(accounts.list_users, visitor.account_id)
        return self.answer(
            "account/users.html",
            request,
            visitor,
            setback,
            users=found,
            roles=[(str(role), visitor.locale.gettext(label)) for role, label in ROLES.items()],
            **{"made": None, "password": "", **more},
        )

    async def _add(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        fields = Fields(request)
        login, role = fields.line("login").lower(), _role(fields)
        if not _LOGIN.fullmatch(login):
            raise Wrong("login", N_("A log-in has 1 to 100 of the characters a-z 0-9 . _ @ + -"))
        services = self.portal.services
        if await services.store.read(accounts.find_user, login) is not None:
            raise Wrong("login", TAKEN, 409)
        password = secrets.token_urlsafe(PASSWORD_OCTETS)
        hashed = await self.portal.passwords.hash(password)

        def change(conn: Connection) -> User:
            if accounts.find_user(conn, login) is not None:
                raise Wrong("login", TAKEN, 409)
            return accounts.add_user(
                conn,
                services.store.ids.next,
                visitor.account_id,
                login,
                hashed,
                services.wall_ms(),
                role=role,
            )

        made = await self.change(request, visitor, "user.add", login, change, role=str(role))
        return await self.shown(request, visitor, made=made, password=password)

    async def _role(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        identity, role = _user(request), _role(Fields(request))
        if identity == visitor.user.id and role is not visitor.user.role:
            return await self._ask(request, visitor, "step-down")
        return await self._with_role(request, visitor, identity, role)

    async def _step_down(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """One's own role, after the question: this page is no more for who has another one."""
        await self._with_role(request, visitor, visitor.user.id, _role(Fields(request)))
        return self.done(OWN_PATH, "stepped-down")

    async def _with_role(self, request: EdgeRequest, visitor: Visitor, identity: int, role: Role) -> Answer:
        def change(conn: Connection) -> User:
            _may_change(visitor, users.get(conn, visitor.account_id, identity))
            try:
                return users.set_role(conn, visitor.account_id, identity, role)
            except Conflict:
                raise Wrong("", ONLY_OWNER, 409) from None

        await self.change(request, visitor, "user.role", _login, change, role=str(role))
        return self.done(PATH)

    async def _password(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        identity, password = _user(request), secrets.token_urlsafe(PASSWORD_OCTETS)
        if identity == visitor.user.id:
            raise Wrong("", N_("Change your own password under Security."))
        _may_change(visitor, await self.portal.services.store.read(users.get, visitor.account_id, identity))
        hashed = await self.portal.passwords.hash(password)

        def change(conn: Connection) -> User:
            _may_change(visitor, users.get(conn, visitor.account_id, identity))
            return users.set_password(conn, visitor.account_id, identity, hashed)

        made = await self.change(request, visitor, "user.password", _login, change)
        return await self.shown(request, visitor, made=made, password=password)

    async def _remove(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        identity = _user(request)
        if identity == visitor.user.id:
            raise Wrong("", N_("You cannot remove yourself: ask another owner."))

        def change(conn: Connection) -> User:
            _may_change(visitor, users.get(conn, visitor.account_id, identity))
            try:
                return users.remove(conn, visitor.account_id, identity)
            except Conflict:
                raise Wrong("", ONLY_OWNER, 409) from None

        await self.change(request, visitor, "user.remove", _login, change)
        return self.done(PATH, "removed")


def _may_change(visitor: Visitor, held: User | None) -> None:
    if held is None:
        raise gone()
    if held.operator and not visitor.user.operator:
        raise Wrong("", OF_OPERATORS, 403)


def _login(user: User) -> str:
    return user.login


def _user(request: EdgeRequest) -> int:
    identity = parse_identifier(Fields(request).line("user"))
    if identity is None:
        raise not_found()
    return identity


def _role(fields: Fields) -> Role:
    written = fields.line("role")
    if written not in list(Role):
        raise Wrong("role", N_("Choose a role."))
    return Role(written)
