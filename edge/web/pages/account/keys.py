"""/account/keys: what programs of the account get in with. A token is shown when it is made, never again."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from edge.keys import EVERYTHING, PREVIOUS_MS, SCOPES, prefix_of, token_hash, token_of
from edge.web.api.members import parse_identifier
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Question, Setback, Wrong
from edge.web.pages.answers import Answer, gone, not_found
from edge.web.pages.cookies import LOG_IN
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.sending import new_key
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import accesses, accounts, idempotency
from storage.errors import NotFound
from storage.idempotency import Scope
from storage.records import ApiKey, Role
from storage.statements import execute_all

PATH = "/account/keys"
DAY_MS = 86_400_000
MAX_NAME = 100
MAX_FORM = 100
FORM_MS = 15 * DAY_MS  # longer than any log-in
REVOKING = N_("Programs that use the key %(name)s are refused from now on.")
REPLACING = N_(
    "The token of %(name)s that was made last is refused from now on. "
    "The one before it stays good until %(time)s."
)
STILL_GOOD = N_(
    "This key has got a new token already, and the one before it is good until %(time)s: "
    "another one was not made."
)
SENT_BEFORE = N_("This form was sent before. What it made has been replaced or revoked since.")
ENDS = (
    ("", N_("never")),
    ("30", N_("in 30 days")),
    ("90", N_("in 90 days")),
    ("365", N_("in a year")),
)
WORDS = {
    "messages:send": N_("send messages"),
    "messages:read": N_("read messages and conversations, explain, usage"),
    "messages:write": N_("mark as read, archive, delete"),
    "events:read": N_("follow the stream of events"),
    "deliveries:read": N_("see what became of deliveries"),
    "deliveries:write": N_("retry, skip and replay them"),
    "contacts:read": N_("read contacts, groups and opt-outs"),
    "contacts:write": N_("change contacts, groups and opt-outs"),
    "dids:read": N_("see the numbers, their handlers and webhooks"),
    "dids:write": N_("change and test the handlers of numbers"),
    "sip:read": N_("see the SIP accounts and where their phones are"),
    "sip:write": N_("add, change and remove SIP accounts"),
    "keys:read": N_("see the keys, never their tokens"),
    "keys:write": N_("make, rotate and revoke keys"),
}
"""The words of `edge.keys.SCOPES`, for people of every language."""


class Keys(ActionPage):
    """Owners' business."""

    sees = Role.OWNER
    changes = Role.OWNER

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"add": self._add, "rotate": self._rotate, "replace": self._replace, "revoke": self._revoke}

    async def question(self, request: EdgeRequest, visitor: Visitor, do: str) -> Question | None:
        """See `ActionPage`."""
        identity = parse_identifier(Fields(request).line("key"))
        keys = await self.portal.services.store.read(accounts.list_keys, visitor.account_id)
        found = next((key for key in keys if key.id == identity and key.revoked_at is None), None)
        if do not in ("replace", "revoke"):
            return None
        if found is None or (do == "replace" and found.previous_until is None):
            raise gone()
        said = visitor.locale.gettext
        if do == "replace":
            until = visitor.locale.stamp(found.previous_until or 0)
            return Question(said(REPLACING) % {"name": found.name, "time": until}, said(N_("New token")))
        return Question(said(REVOKING) % {"name": found.name}, said(N_("Revoke")))

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """The valid ones, and a form for one more."""
        store, said = self.portal.services.store, visitor.locale.gettext
        found = await store.read(accounts.list_keys, visitor.account_id)
        return self.answer(
            "account/keys.html",
            request,
            visitor,
            setback,
            keys=[key for key in found if key.revoked_at is None],
            access=await store.read(accesses.access_of, visitor.account_id),
            scopes=[(scope, said(WORDS[scope])) for scope in SCOPES],
            chosen=Fields(request).lines("scope"),
            ends=[(days, said(label)) for days, label in ENDS],
            form=new_key(),
            **{"made": None, "token": "", **more},
        )

    async def _add(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        fields, services = Fields(request), self.portal.services
        name, days = fields.line("name")[:MAX_NAME], fields.line("days")
        scopes = [scope for scope in fields.lines("scope") if scope in SCOPES]
        if not name:
            raise Wrong("name", N_("Give it a name, by which you know the program."))
        if not scopes and not fields.line("everything"):
            raise Wrong("scope", N_("Say what it is good for."))
        now_ms = services.wall_ms()
        known_days = days in {value for value, _ in ENDS} and days
        expires_at = now_ms + int(days) * DAY_MS if known_days else None
        granted = EVERYTHING if fields.line("everything") else " ".join(sorted(set(scopes)))
        form = self._form(request, visitor, f"{granted} {days} {name}")
        token = form.token

        def change(conn: Connection) -> ApiKey:
            form.count(conn, visitor.account_id, now_ms)
            made = accounts.add_key(
                conn,
                services.store.ids.next,
                visitor.account_id,
                name,
                prefix_of(token),
                token_hash(token),
                now_ms,
                scopes=granted,
                expires_at=expires_at,
            )
            if made.key_hash != token_hash(token):
                raise Wrong("name", N_("There is a key of this name already."), 409)
            return made

        try:
            made = await self.change(request, visitor, "key.add", name, change, scopes=granted)
        except Again:
            made = await self._made_before(visitor, token)
        return await self._with(request, visitor, made, token)

    async def _rotate(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        return await self._new_token(request, visitor)

    async def _replace(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """After the question: the token of before goes on, the one made last does not."""
        return await self._new_token(request, visitor, replacing=True)

    async def _new_token(self, request: EdgeRequest, visitor: Visitor, replacing: bool = False) -> Answer:
        identity, now_ms, mine = _key(request), self.portal.services.wall_ms(), visitor.account_id
        form = self._form(request, visitor, str(identity))
        token = form.token

        def change(conn: Connection) -> ApiKey:
            form.count(conn, visitor.account_id, now_ms)
            held, marks = accounts.get_key(conn, mine, identity), (prefix_of(token), token_hash(token))
            if held is None or (held.previous_until or 0) <= now_ms:
                return accounts.rotate_key(conn, mine, identity, *marks, now_ms + PREVIOUS_MS)
            if not replacing:
                raise Wrong("", STILL_GOOD, 409, time=visitor.locale.stamp(held.previous_until or 0))
            return accounts.replace_token(conn, mine, identity, *marks)

        try:
            made = await self.change(request, visitor, "key.rotate", lambda key: key.name, change)
        except Again:
            made = await self._made_before(visitor, token)
        return await self._with(request, visitor, made, token)

    def _form(self, request: EdgeRequest, visitor: Visitor, purpose: str) -> "_Form":
        """``purpose``: the key that it is about. What another log-in sends is another form.

        The log-in's own token is what a key's token follows from: the store has neither.
        """
        written = Fields(request).line("form")[:MAX_FORM] or new_key()
        key = f"{written} {purpose}"
        secret = self.portal.cookies.read(request, LOG_IN)
        assert secret is not None
        return _Form(Scope(visitor.user.id, "POST", PATH, key), token_of(secret, key))

    async def _made_before(self, visitor: Visitor, token: str) -> ApiKey:
        """The key with the token that this form has made already, should it still be its token."""
        digest = token_hash(token)
        for key in await self.portal.services.store.read(accounts.list_keys, visitor.account_id):
            if key.key_hash == digest and key.revoked_at is None:
                return key
        raise Wrong("", SENT_BEFORE, 409)

    async def _revoke(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        identity, now_ms = _key(request), self.portal.services.wall_ms()

        def change(conn: Connection) -> str:
            held = accounts.get_key(conn, visitor.account_id, identity)
            if held is None or held.revoked_at is not None:
                raise NotFound("There is no such key.")
            accounts.revoke_key(conn, visitor.account_id, held.name, now_ms)
            return held.name

        await self.change(request, visitor, "key.revoke", lambda name: name, change)
        await self.refreshed()
        return self.done(PATH, "removed")

    async def _with(self, request: EdgeRequest, visitor: Visitor, made: ApiKey, token: str) -> Answer:
        await self.refreshed()
        return await self.shown(request, visitor, made=made, token=token)


class Again(Exception):
    """A form has come before."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A form that makes a token: it counts once, and its token follows from it, so that who sends it twice
    (two clicks, a reload) sees what it made, and nothing else is made.
    """

    scope: Scope
    token: str

    def count(self, conn: Connection, account_id: int, now_ms: int) -> None:
        """Raises Again when it has counted."""
        if idempotency.find(conn, account_id, self.scope, now_ms) is not None:
            raise Again
        idempotency.make_room(conn, account_id, self.scope, now_ms)
        digest = hashlib.sha256(self.token.encode()).digest()
        counted = idempotency.Answer(digest, 200, "", now_ms, now_ms + FORM_MS)
        execute_all(conn, idempotency.keep(account_id, self.scope, counted))


def _key(request: EdgeRequest) -> int:
    identity = parse_identifier(Fields(request).line("key"))
    if identity is None:
        raise not_found()
    return identity
