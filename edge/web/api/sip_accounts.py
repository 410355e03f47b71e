"""/v1/sip-accounts: the account's phones, and where they are registered."""

import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.policy.numbers import destination
from edge.sip import accounts as phones
from edge.web.api import views
from edge.web.api.messages import nothing_more
from edge.web.api.paths import identifier
from edge.web.api.problems import Problem
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import IDENTIFIER, Choice, Many, Member, Null, Number, Record, Text, given
from edge.web.services import WebServices
from storage import registrations, sip_accounts
from storage.errors import NotFound
from storage.registrations import BindingRecord
from storage.sip_accounts import SipAccount

MISSING = ("sip_account_unknown", "There is no SIP account with this id.")
DIGESTS = ("md5", "sha-256", "both")
_TEXT = Text()

BINDING = given(
    Member("contact", _TEXT),
    Member("transport", _TEXT),
    Member("address", _TEXT, "Where its REGISTER came from."),
    Member("user_agent", views.MAYBE_TEXT),
    Member("registered_at", views.TIME),
    Member("expires_at", views.TIME),
    name="SipBinding",
)
ACCOUNT = given(
    Member("id", IDENTIFIER),
    Member("aor", _TEXT, "The address-of-record."),
    Member("username", _TEXT),
    Member("digest", Choice(DIGESTS), "The challenges that it gets."),
    Member("dids", Many(_TEXT), "What it may send as; the first by default."),
    Member("created_at", views.TIME),
    Member("bindings", Many(BINDING), "Where it is registered now."),
    name="SipAccount",
)
ACCOUNTS = given(Member("sip_accounts", Many(ACCOUNT)), name="SipAccounts")
MADE = given(
    *ACCOUNT.members,
    Member("password", Null(_TEXT), "The one that was made, shown this once; null if you gave it."),
    name="SipAccountMade",
)
_PASSWORD = Member("password", Text(8, 100, True), "Without it one is made and shown once.")
_DIDS = Many(Number(), 1, 100)
NEW = Record(
    (
        Member("username", Text(1, 64, True, "username_invalid"), "Of A-Z a-z 0-9 _ . + -", True),
        Member("dids", _DIDS, "Numbers of the account; the first is sent from by default.", True),
        Member("digest", Choice(DIGESTS), "Most phones know md5 only.", default="md5"),
        _PASSWORD,
    ),
    "NewSipAccount",
)
CHANGE = Record(
    (
        Member("dids", _DIDS),
        Member("digest", Choice(DIGESTS)),
        Member("password", Text(8, 100, True), "A new one; without it the old one stays."),
    ),
    "SipAccountChange",
)


def document(item: SipAccount, bindings: Iterable[BindingRecord]) -> dict[str, object]:
    """One account; no password, nor what is kept of it."""
    return {
        "id": item.id,
        "aor": item.aor,
        "username": item.username,
        "digest": item.digest,
        "dids": list(item.dids),
        "created_at": views.iso(item.created_at),
        "bindings": [_binding(found) for found in bindings],
    }


def listed(call: Call) -> Deferred[Reply]:
    """By username."""
    now_ms = call.services.wall_ms()

    def read(conn: Connection, account_id: int) -> Reply:
        bindings = registrations.of_owner(conn, account_id, now_ms)
        phones = sip_accounts.list_sip_accounts(conn, account_id)
        found = [document(item, bindings.get(item.id, ())) for item in phones]
        return Reply(200, {"sip_accounts": found})

    return call.read(read)


def show(call: Call) -> Deferred[Reply]:
    """One of them."""
    identity, now_ms = identifier(call), call.services.wall_ms()

    def read(conn: Connection, account_id: int) -> Reply:
        item = sip_accounts.get(conn, account_id, identity)
        return Reply(200, document(item, registrations.of_account(conn, item.id, now_ms)))

    return call.read(read).addErrback(lambda failure: _unknown(failure, call))


def add(call: Call) -> Deferred[Reply]:
    """201; 409 when the username is taken."""
    given, services, account_id = call.given, call.services, call.account_id
    assert services.config.sip is not None, "or these routes are not there"
    domain = services.config.sip.domain
    if phones.USERNAME.fullmatch(given["username"]) is None:
        detail = "A SIP username has 1 to 64 of the characters A-Z a-z 0-9 _ . + -"
        raise Problem(422, "username_invalid", detail, "username")
    password = given["password"] or secrets.token_urlsafe(12)
    dids = _numbers(call, given["dids"])
    wanted = phones.wanted(given["username"], domain, password, given["digest"], dids)
    wanted = replace(wanted, account_id=account_id, created_at=services.wall_ms())

    def make(conn: Connection) -> SipAccount:
        if sip_accounts.find_sip_account(conn, wanted.username, domain) is not None:
            raise Problem(409, "sip_account_exists", "This username is taken.", "username")
        return _put(conn, call, wanted)

    def made(item: SipAccount) -> Reply:
        body = {**document(item, []), "password": None if given["password"] else password}
        return Reply(201, body, ((b"Location", b"/v1/sip-accounts/%d" % item.id),))

    return call.write("sip_account.add", wanted.aor, make).addCallback(made)


def change(call: Call) -> Deferred[Reply]:
    """What is not named stays. A number that it no longer has rings it no more."""
    identity, given, account_id = identifier(call), call.given, call.account_id
    dids, now_ms = _numbers(call, given["dids"] or ()), call.services.wall_ms()

    def change(conn: Connection) -> Reply:
        held = sip_accounts.get(conn, account_id, identity)
        wanted = replace(held, dids=dids or held.dids, digest=given["digest"] or held.digest)
        if given["password"]:
            fresh = phones.wanted(held.username, held.domain, given["password"], wanted.digest, wanted.dids)
            wanted = replace(wanted, ha1_md5=fresh.ha1_md5, ha1_sha256=fresh.ha1_sha256)
        phones.silence(conn, call.services.store.ids.next, held, set(held.dids) - set(wanted.dids))
        bindings = registrations.of_account(conn, held.id, now_ms)
        return Reply(200, document(_put(conn, call, wanted), bindings))

    return call.write("sip_account.change", identity, change)


def remove(call: Call) -> Deferred[Reply]:
    """What it sent and received stays."""
    identity, account_id, next_id = identifier(call), call.account_id, call.services.store.ids.next

    def remove(conn: Connection) -> None:
        held = sip_accounts.get(conn, account_id, identity)
        phones.remove(conn, next_id, held.username, held.domain)

    return call.write("sip_account.remove", identity, remove).addCallback(nothing_more)


def _put(conn: Connection, call: Call, wanted: SipAccount) -> SipAccount:
    try:
        return phones.add(conn, call.services.store.ids.next, wanted)
    except NotFound as error:
        raise Problem(404, "unknown_did", str(error), "dids") from error


def _unknown(failure: Any, call: Call) -> Reply:
    failure.trap(NotFound)
    raise call.missing()


def _numbers(call: Call, written: Any) -> tuple[str, ...]:
    region = call.services.config.numbers.region
    return tuple(dict.fromkeys(destination(number, region, "dids") for number in written))


def _binding(found: BindingRecord) -> dict[str, object]:
    return {
        "contact": found.contact,
        "transport": found.transport,
        "address": f"{found.host}:{found.port}",
        "user_agent": found.user_agent,
        "registered_at": views.iso(found.registered_at),
        "expires_at": views.iso(found.expires_at),
    }


def _has_sip(services: WebServices) -> bool:
    return services.config.sip is not None


def routes() -> list[Route]:
    """In the order of the documentation."""
    one: dict[str, Any] = {
        "path": "/v1/sip-accounts/{id}",
        "tag": "SIP accounts",
        "missing": MISSING,
        "path_shapes": {"id": IDENTIFIER},
        "needs": _has_sip,
    }
    return [
        Route(
            method="GET",
            path="/v1/sip-accounts",
            name="listSipAccounts",
            tag="SIP accounts",
            scope="sip:read",
            summary="List the phones and where they are registered",
            do=listed,
            gives={200: ACCOUNTS},
            needs=_has_sip,
        ),
        Route(
            method="POST",
            path="/v1/sip-accounts",
            name="addSipAccount",
            tag="SIP accounts",
            scope="sip:write",
            summary="Add a phone",
            do=add,
            takes=NEW,
            gives={201: MADE},
            refuses={
                404: ("unknown_did",),
                409: ("sip_account_exists",),
                422: ("username_invalid", "invalid_number"),
            },
            needs=_has_sip,
        ),
        Route(
            method="GET",
            name="getSipAccount",
            scope="sip:read",
            summary="One phone",
            do=show,
            gives={200: ACCOUNT},
            **one,
        ),
        Route(
            method="PATCH",
            name="changeSipAccount",
            scope="sip:write",
            summary="Change a phone's numbers or password",
            do=change,
            takes=CHANGE,
            gives={200: ACCOUNT},
            refuses={404: ("unknown_did",), 422: ("invalid_number",)},
            **one,
        ),
        Route(
            method="DELETE",
            name="removeSipAccount",
            scope="sip:write",
            summary="Remove a phone",
            do=remove,
            gives={204: None},
            **one,
        ),
    ]
