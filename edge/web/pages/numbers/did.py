"""/numbers/NUMBER: what a DID does with a message. Each handler judges its own settings."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from edge import outgoing, releasing
from edge.handlers import changing, registry
from edge.handlers.base import DIDHandler, SettingError
from edge.handlers.endpoints import known_as
from edge.policy import geography
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Setback, Wrong
from edge.web.pages.answers import Answer, PageProblem, not_found
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.numbers.listed import PATH as LIST
from edge.web.pages.numbers.listed import path_of
from edge.web.pages.numbers.words import ABOUT, VARIABLES, field_of, refused
from edge.web.pages.portal import Portal
from edge.web.pages.sessions import Visitor
from edge.web.pages.terms import handler_word
from edge.web.request import EdgeRequest
from storage import endpoints, numbers, sip_accounts
from storage.endpoints import Endpoint
from storage.errors import NotFound
from storage.records import Did, HandlerSetting, Role

FOR_OPERATORS = frozenset({"trunk"})
"""Handlers that lead to what the operator pays for."""


class Settings(ActionPage):
    """Everybody may look, owners change."""

    changes = Role.OWNER

    def __init__(self, portal: Portal, number: str) -> None:
        super().__init__(portal)
        self._number = number

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {
            "sms": self._sms,
            "handler": self._set,
            "test": self._test,
            "secret-new": self._secret,
            "secret-retire": self._secret,
            "resume": self._resume,
            "release": self._release,
        }

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """The DID, then each handler with its form."""
        services, store = self.portal.services, self.portal.services.store
        did = await store.read(_own, visitor.account_id, self._number)
        if did is None:
            raise not_found()
        failing = await store.read(endpoints.failing, visitor.account_id)
        phones = await store.read(sip_accounts.list_sip_accounts, visitor.account_id)
        aors = tuple(phone.aor for phone in phones)
        return self.answer(
            "numbers/did.html",
            request,
            visitor,
            setback,
            did=did,
            path=path_of(did.number),
            until=did.porting_until(services.wall_ms()),
            cards=[
                self._card(kind, did, visitor, aors, {record.endpoint: record for record in failing})
                for kind in self._kinds(visitor)
            ],
            variables=VARIABLES,
            **{"secrets": {}, "trial": None, "tried": "", "unsaved": False, **more},
        )

    def _kinds(self, visitor: Visitor) -> list[type[DIDHandler]]:
        return [
            kind for kind in registry.installed() if visitor.user.operator or kind.name not in FOR_OPERATORS
        ]

    def _card(
        self,
        kind: type[DIDHandler],
        did: Did,
        visitor: Visitor,
        aors: tuple[str, ...],
        failing: Mapping[Endpoint, endpoints.EndpointRecord],
    ) -> dict[str, Any]:
        known, locale = registry.installed(), visitor.locale
        setting = did.handlers.get(kind.name, HandlerSetting(kind.name, kind.always_on, {}))
        shown = known.shown(kind, setting.settings)
        targets = [target for target in known.targets_of(kind, setting.settings, "") if target is not None]
        records = [
            failing.get(Endpoint(did.account_id, kind.name, known_as(kind.name, target)))
            for target in targets
            if target.startswith(("http://", "https://"))
        ]
        return {
            "name": kind.name,
            "title": handler_word(kind.name, locale),
            "about": locale.gettext(ABOUT[kind.name]) if kind.name in ABOUT else "",
            "always_on": kind.always_on,
            "enabled": setting.enabled,
            "fields": [
                field_of(kind, key, shown.get(key.name), locale, aors)
                for key in kind.keys
                if key.kind != "secret"
            ],
            "secret": any(key.kind == "secret" for key in kind.keys),
            "secrets": len(known.secrets(kind, setting.settings)),
            "can_try": self.portal.services.trials.can(kind.name),
            "failing": next(filter(None, records), None),
        }

    # -- changing ---------------------------------------------------------------------------------

    async def _sms(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        enabled, next_id = Fields(request).line("sms") == "on", self.portal.services.store.ids.next

        def change(conn: Connection) -> None:
            did = _held(conn, visitor.account_id, self._number)
            if enabled and not did.sms_capable:
                raise Wrong("", N_("This number is for calls only: it cannot do SMS."), 409)
            numbers.set_did(conn, next_id, self._number, sms_enabled=enabled)

        await self.change(request, visitor, "did.change", self._number, change, sms=enabled)
        await self.refreshed()
        return self.done(path_of(self._number))

    async def _set(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        fields, kind = Fields(request), self._kind(request, visitor)
        if kind.always_on:
            raise not_found()
        enabled, settings = fields.line(kind.name) == "on", _written(fields, kind)
        if enabled and kind.main and not settings.get(kind.main):
            raise Wrong(f"{kind.name}_{kind.main}", N_("Fill this in to switch it on."))
        await self._settle(request, visitor, kind, settings, enabled)
        return self.done(path_of(self._number))

    async def _secret(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        kind, what = self._kind(request, visitor), Fields(request).line("do").removeprefix("secret-")
        if not any(key.kind == "secret" for key in kind.keys):
            raise not_found()
        before, after = await self._settle(request, visitor, kind, {"secret": what}, None)
        made = changing.new_secrets(before, after)
        return await self.shown(request, visitor, secrets=made)

    async def _settle(
        self,
        request: EdgeRequest,
        visitor: Visitor,
        kind: type[DIDHandler],
        settings: Mapping[str, object],
        enabled: bool | None,
    ) -> tuple[Did, Did]:
        services = self.portal.services
        rules, next_id = outgoing.rules(services.config), services.store.ids.next

        def change(conn: Connection) -> tuple[Did, Did]:
            before = _held(conn, visitor.account_id, self._number)
            try:
                after = changing.change(conn, next_id, before, kind.name, settings, enabled, rules)
            except SettingError as error:
                raise refused(error) from None
            return before, after

        changed = await self.change(
            request, visitor, "did.change", self._number, change, handlers=[kind.name]
        )
        await self.refreshed()
        return changed

    async def _resume(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """Ask an endpoint again that failed for days: what switching it on does."""
        kind = self._kind(request, visitor)
        await self._settle(request, visitor, kind, {}, True)
        return self.done(path_of(self._number))

    def _kind(self, request: EdgeRequest, visitor: Visitor) -> type[DIDHandler]:
        name = Fields(request).line("handler")
        found = next((kind for kind in self._kinds(visitor) if kind.name == name), None)
        if found is None:
            raise not_found()
        return found

    # -- trying, giving up ------------------------------------------------------------------------

    async def _test(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """With what stands in the form, which stays there: saving it is another thing."""
        fields, kind, services = Fields(request), self._kind(request, visitor), self.portal.services
        did = await services.store.read(_own, visitor.account_id, self._number)
        if did is None:
            raise not_found()
        settings = _written(fields, kind)
        if kind.main and not settings.get(kind.main):
            raise Wrong(f"{kind.name}_{kind.main}", N_("Fill this in to try it."))
        try:
            setting = registry.installed().settle(
                did, kind.name, settings, True, outgoing.rules(services.config)
            )
        except SettingError as error:
            raise refused(error) from None
        trying = services.trials.begin(replace(did, handlers={**did.handlers, kind.name: setting}), kind.name)
        if trying is None:
            raise PageProblem(409, N_("This is not set up, or can only be tried with a real message."))
        saved = did.handlers.get(kind.name)
        unsaved = saved is None or saved.settings != setting.settings
        return await self.shown(request, visitor, trial=await trying, tried=kind.name, unsaved=unsaved)

    async def _release(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        services, number = self.portal.services, self._number
        if Fields(request).line("number") != number:
            raise Wrong("number", N_("Write the number here, to say that you mean it."))
        region = await self.portal.in_thread(lambda: geography.region_of(number))

        def change(conn: Connection) -> None:
            next_id, now_ms = services.store.ids.next, services.wall_ms()
            releasing.release(conn, next_id, visitor.account_id, number, region, now_ms)

        await self.change(request, visitor, "number.release", number, change)
        await self.refreshed()
        return self.done(LIST, "given-up")


def _written(fields: Fields, kind: type[DIDHandler]) -> dict[str, object]:
    """The settings of a handler as they stand in its form."""
    settings: dict[str, object] = {}
    for key in kind.keys:
        written = fields.line(f"{kind.name}_{key.name}")
        if key.kind == "switch":
            settings[key.name] = written == "on"
        elif key.kind == "text":
            settings[key.name] = written
    return settings


def _own(conn: Connection, account_id: int, number: str) -> Did | None:
    did = numbers.find_did(conn, number)
    return did if did is not None and did.account_id == account_id else None


def _held(conn: Connection, account_id: int, number: str) -> Did:
    did = _own(conn, account_id, number)
    if did is None:
        raise NotFound("There is no such DID in this account.")
    return did
