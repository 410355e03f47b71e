"""/account/keys: what programs of the account get in with. A token is shown when it is made, never again."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from edge.keys import EVERYTHING, PREVIOUS_MS, SCOPES, new_token, prefix_of, token_hash
from edge.web.api.members import parse_identifier
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Question, Setback, Wrong
from edge.web.pages.answers import Answer, gone, not_found
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import accesses, accounts
from storage.errors import NotFound
from storage.records import ApiKey, Role

PATH = "/account/keys"
DAY_MS = 86_400_000
MAX_NAME = 100
REVOKING = N_("Programs that use the key %(name)s are refused from now on.")
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
        return {"add": self._add, "rotate": self._rotate, "revoke": self._revoke}

    async def question(self, request: EdgeRequest, visitor: Visitor, do: str) -> Question | None:
        """See `ActionPage`."""
        identity = parse_identifier(Fields(request).line("key"))
        keys = await self.portal.services.store.read(accounts.list_keys, visitor.account_id)
        found = next((key for key in keys if key.id == identity and key.revoked_at is None), None)
        if do != "revoke":
            return None
        if found is None:
            raise gone()
        said = visitor.locale.gettext
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
            **{"made": None, "token": "", **more},
        )

    async def _add(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        fields, services = Fields(request), self.portal.services
        name, days, token = fields.line("name")[:MAX_NAME], fields.line("days"), new_token()
        scopes = [scope for scope in fields.lines("scope") if scope in SCOPES]
        if not name:
            raise Wrong("name", N_("Give it a name, by which you know the program."))
        if not scopes and not fields.line("everything"):
            raise Wrong("scope", N_("Say what it is good for."))
        now_ms = services.wall_ms()
        known_days = days in {value for value, _ in ENDS} and days
        expires_at = now_ms + int(days) * DAY_MS if known_days else None
        granted = EVERYTHING if fields.line("everything") else " ".join(sorted(set(scopes)))

        def change(conn: Connection) -> ApiKey:
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

        made = await self.change(request, visitor, "key.add", name, change, scopes=granted)
        return await self._with(request, visitor, made, token)

    async def _rotate(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        identity, token = _key(request), new_token()
        until_ms = self.portal.services.wall_ms() + PREVIOUS_MS

        def change(conn: Connection) -> ApiKey:
            mine = visitor.account_id
            return accounts.rotate_key(conn, mine, identity, prefix_of(token), token_hash(token), until_ms)

        made = await self.change(request, visitor, "key.rotate", lambda key: key.name, change)
        return await self._with(request, visitor, made, token)

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


def _key(request: EdgeRequest) -> int:
    identity = parse_identifier(Fields(request).line("key"))
    if identity is None:
        raise not_found()
    return identity
