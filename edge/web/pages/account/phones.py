"""/account/phones: SIP accounts, where they are registered, and how a phone is told to register here."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast, get_args

from sqlalchemy import Connection

from edge.config import SIPConfig
from edge.passwords import MIN_CHARACTERS
from edge.sip import accounts as phones
from edge.sip import provisioning
from edge.web.api.members import parse_identifier
from edge.web.headers import GUARDS, NO_STORE, lines
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Question, Setback, Wrong
from edge.web.pages.answers import Answer, File, not_found
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.page import Page
from edge.web.pages.portal import Portal
from edge.web.pages.qr import qr
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import numbers, registrations, sip_accounts
from storage.errors import NotFound
from storage.records import Role
from storage.sip_accounts import Digest, SipAccount

PATH = "/account/phones"
PASSWORD_OCTETS = 12
REMOVING = N_("%(phone)s cannot register any more, and nothing rings there.")
DIGESTS = (("md5", "MD5"), ("sha-256", "SHA-256"), ("both", "MD5 + SHA-256"))


class PhonePage(ActionPage):
    """Owners' business, where the server has a SIP side."""

    sees = Role.OWNER
    changes = Role.OWNER

    @property
    def sip(self) -> SIPConfig:
        """Raises not found without [sip]."""
        found = self.portal.services.config.sip
        if found is None:
            raise not_found()
        return found

    def wanted_dids(self, request: EdgeRequest) -> tuple[str, ...]:
        """The numbers that are ticked; the store judges whether they are the account's."""
        return tuple(dict.fromkeys(Fields(request).lines("did")))


class Phones(PhonePage):
    """All of them, and one more."""

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"add": self._add}

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """By username; without a SIP side that is said."""
        store, services = self.portal.services.store, self.portal.services
        found = await store.read(sip_accounts.list_sip_accounts, visitor.account_id)
        bindings = await store.read(registrations.of_owner, visitor.account_id, services.wall_ms())
        return self.answer(
            "account/phones.html",
            request,
            visitor,
            setback,
            has_sip=services.config.sip is not None,
            phones=[(phone, len(bindings.get(phone.id, ()))) for phone in found],
            dids=await store.read(numbers.list_dids, visitor.account_id),
            chosen=Fields(request).lines("did"),
            digests=DIGESTS,
        )

    async def _add(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        services, domain = self.portal.services, self.sip.domain
        username, dids = Fields(request).line("username"), self.wanted_dids(request)
        if phones.USERNAME.fullmatch(username) is None:
            raise Wrong("username", N_("A name has 1 to 64 of the characters A-Z a-z 0-9 _ . + -"))
        if not dids:
            raise Wrong("did", N_("Choose the numbers that it may send as."))
        password = secrets.token_urlsafe(PASSWORD_OCTETS)
        wanted = phones.wanted(username, domain, password, _digest(request), dids)
        wanted = replace(wanted, account_id=visitor.account_id, created_at=services.wall_ms())

        def change(conn: Connection) -> SipAccount:
            if sip_accounts.find_sip_account(conn, username, domain) is not None:
                raise Wrong("username", N_("This name is taken."), 409)
            return phones.add(conn, services.store.ids.next, wanted)

        made = await self.change(request, visitor, "sip_account.add", wanted.aor, change)
        await self.refreshed()
        return await Phone(self.portal, str(made.id)).shown(request, visitor, password=password)


class Phone(PhonePage):
    """One of them."""

    def __init__(self, portal: Portal, phone: str) -> None:
        super().__init__(portal)
        self._identity = parse_identifier(phone) or 0

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"save": self._save, "password": self._password, "qr": self._qr, "remove": self._remove}

    async def question(self, request: EdgeRequest, visitor: Visitor, do: str) -> Question | None:
        """See `ActionPage`."""
        if do != "remove":
            return None
        phone = await self.portal.services.store.read(sip_accounts.get, visitor.account_id, self._identity)
        said = visitor.locale.gettext
        return Question(said(REMOVING) % {"phone": phone.aor}, said(N_("Remove this phone")))

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """Its settings for people; a new password, or a QR code for Linphone, when that was asked for."""
        store, services = self.portal.services.store, self.portal.services
        phone = await store.read(sip_accounts.get, visitor.account_id, self._identity)
        bindings = await store.read(registrations.of_account, phone.id, services.wall_ms())
        return self.answer(
            "account/phone.html",
            request,
            visitor,
            setback,
            phone=phone,
            ways=provisioning.ways(self.sip),
            bindings=bindings,
            dids=await store.read(numbers.list_dids, visitor.account_id),
            digests=DIGESTS,
            path=f"{PATH}/{phone.id}",
            **{"password": "", "drawing": None, "address": "", **more},
        )

    async def _save(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        dids, digest, next_id = (
            self.wanted_dids(request),
            _digest(request),
            self.portal.services.store.ids.next,
        )
        if not dids:
            raise Wrong("did", N_("Choose the numbers that it may send as."))

        def change(conn: Connection) -> SipAccount:
            held = sip_accounts.get(conn, visitor.account_id, self._identity)
            phones.silence(conn, next_id, held, set(held.dids) - set(dids))
            return phones.add(conn, next_id, replace(held, dids=dids, digest=digest))

        await self.change(request, visitor, "sip_account.change", _aor, change)
        await self.refreshed()
        return self.done(f"{PATH}/{self._identity}")

    async def _password(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        password, next_id = secrets.token_urlsafe(PASSWORD_OCTETS), self.portal.services.store.ids.next
        assert len(password) >= MIN_CHARACTERS

        def change(conn: Connection) -> SipAccount:
            held = sip_accounts.get(conn, visitor.account_id, self._identity)
            fresh = phones.wanted(held.username, held.domain, password, held.digest, held.dids)
            return phones.add(
                conn, next_id, replace(held, ha1_md5=fresh.ha1_md5, ha1_sha256=fresh.ha1_sha256)
            )

        await self.change(request, visitor, "sip_account.password", _aor, change)
        await self.refreshed()
        return await self.shown(request, visitor, password=password)

    async def _qr(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        phone = await self.portal.services.store.read(sip_accounts.get, visitor.account_id, self._identity)
        token = self.portal.phone_tokens.issue(visitor.account_id, phone.id)
        base = self.portal.public_url.rstrip("/") or f"http://{request.getHeader('host') or ''}"
        address = f"{base}/phone/{token}"
        drawing = await self.portal.in_thread(lambda: qr(address))
        return await self.shown(request, visitor, drawing=drawing, address=address)

    async def _remove(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        next_id = self.portal.services.store.ids.next

        def change(conn: Connection) -> SipAccount:
            held = sip_accounts.get(conn, visitor.account_id, self._identity)
            phones.remove(conn, next_id, held.username, held.domain)
            return held

        await self.change(request, visitor, "sip_account.remove", _aor, change)
        await self.refreshed()
        return self.done(PATH, "removed")


class Provision(Page):
    """/phone/TOKEN: what a phone fetches. Nobody is logged in: the token is the right to have it."""

    def __init__(self, portal: Portal, token: str) -> None:
        super().__init__(portal)
        self._token = token

    async def get(self, request: EdgeRequest) -> Answer:
        """Linphone's XML, once: who sees the code later, on a picture or in a history, gets nothing."""
        services, found = self.portal.services, self.portal.phone_tokens.find(self._token)
        config = services.config.sip
        known = [] if config is None else provisioning.ways(config)
        if found is None or config is None or not known:
            raise not_found()
        try:
            phone = await services.store.read(sip_accounts.get, *found)
        except NotFound:
            raise not_found() from None
        if request.method == b"GET" and not self.portal.phone_tokens.use(self._token):
            raise not_found()
        text = provisioning.linphone(phone, known[0], config.default_expires_seconds)
        return File(text, head=lines((*GUARDS, NO_STORE, (b"Content-Type", b"application/xml"))))


def _aor(phone: SipAccount) -> str:
    return phone.aor


def _digest(request: EdgeRequest) -> Digest:
    written = Fields(request).line("digest")
    return cast(Digest, written) if written in get_args(Digest) else "md5"
