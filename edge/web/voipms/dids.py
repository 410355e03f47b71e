"""setSMS writes what a DID does, getDIDsInfo reads it; the two name the same things differently.

What a call does not say stays as it is; an empty value takes a setting away, and what cannot work without it
is switched off with it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge import outgoing
from edge.handlers import changing, registry
from edge.handlers.base import SettingError
from edge.web import spelling
from edge.web.voipms import answers
from edge.web.voipms.call import Call
from edge.web.voipms.statuses import SENTENCES, Rejected
from storage import numbers, sip_accounts
from storage.ids import time_of
from storage.records import Did
from storage.sip_accounts import SipAccount

DIALMODES = {"1": "", "2": "e164"}
DIALLERS = ("callback", "webhook")
"""The handlers that write numbers in the DID's dial mode."""

_SMPP_URL = re.compile(r"s?smpp://[!-~]{1,500}", re.ASCII | re.IGNORECASE)
_PRINTABLE = re.compile(r"[ -~]{0,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Way:
    """One handler as setSMS names it: the parameters of its switch and its value, and their statuses.

    ``fields`` are the names of the two in getDIDsInfo. ``value`` is how the value is written.
    """

    handler: str
    switch: str
    main: str
    bad_switch: str
    bad_main: str
    fields: tuple[str, str]
    value: Literal["text", "number", "phone"] = "text"


WAYS = (
    Way(
        "email",
        "email_enabled",
        "email_address",
        "invalid_email_enable",
        "invalid_email",
        ("sms_email_enabled", "sms_email"),
    ),
    Way(
        "forward",
        "sms_forward_enable",
        "sms_forward",
        "invalid_forward_enable",
        "invalid_sms_forward",
        ("sms_forward_enabled", "sms_forward"),
        "number",
    ),
    Way(
        "callback",
        "url_callback_enable",
        "url_callback",
        "invalid_callback_enable",
        "invalid_callback",
        ("sms_url_callback_enabled", "sms_url_callback"),
    ),
    Way(
        "webhook",
        "webhook_enable",
        "webhook",
        "invalid_callback_enable",
        "invalid_callback",
        ("webhook_enabled", "webhook"),
    ),
    Way(
        "sip",
        "sms_sipaccount_enabled",
        "sms_sipaccount",
        "invalid_account",
        "invalid_account",
        ("sms_sipaccount_enabled", "sms_sipaccount"),
        "phone",
    ),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a call wants of one handler: switch and value, None for as it is; and other settings."""

    way: Way
    on: bool | None
    value: str | None
    more: dict[str, object]


def set_sms(call: Call) -> Deferred[bytes]:
    """All of it, or nothing."""
    given = call.parameters
    did = call.own_did(spelling.read(given.required("did", "missing_did")))
    enable = given.flag("enable", "missing_enable")
    if enable is None:
        raise Rejected("missing_enable")
    if enable and not did.sms_capable:
        raise Rejected("no_sms", f"{did.number} is for calls only: it cannot do SMS.")
    _check_smpp(call)
    wishes = [_wish(call, way) for way in WAYS]
    dialmode = _dialmode(call)

    def work(connection: Connection) -> None:
        changed = numbers.set_did(connection, call.services.store.ids.next, did.number, sms_enabled=enable)
        for wish in wishes:
            if wish is not None:
                changed = _fulfil(connection, call, changed, wish)
        if dialmode is not None:
            for name in DIALLERS:
                changed = _change(connection, call, changed, name, {"numbers": dialmode}, None)

    return (
        call.services.store.writer.run("set DID", work)
        .addCallback(lambda _: call.services.directory.refresh())
        .addCallback(lambda _: answers.success())
    )


def get_dids_info(call: Call) -> Deferred[bytes]:
    """`dids`: those of the account, those of a sub-account, or one."""
    given = call.parameters
    wanted = None
    if given.text("did"):
        wanted = spelling.read(given.text("did"))
        if wanted is None:
            raise Rejected("invalid_did")

    def shown(found: tuple[list[Did], list[SipAccount]]) -> bytes:
        dids, phones = found
        mine = [did for did in dids if wanted in (None, did.number)]
        client = given.text("client")
        if client and client != str(call.account_id):
            theirs = next((phone.dids for phone in phones if phone.username == client), None)
            if theirs is None:
                raise Rejected("invalid_client")
            mine = [did for did in mine if did.number in theirs]
        if wanted is not None and not any(did.number == wanted for did in dids):
            raise Rejected("invalid_did", "did is not a number of this account.")
        if not mine:
            raise Rejected("no_did")
        return answers.rows("dids", [_row(call, did) for did in mine])

    return call.services.store.read(_dids_and_phones, call.account_id).addCallback(shown)


# -- what a call wants --------------------------------------------------------------------------------------


def _wish(call: Call, way: Way) -> Wish | None:
    given = call.parameters
    on = given.flag(way.switch, way.bad_switch)
    value = given.text(way.main) if given.given(way.main) else None
    more: dict[str, object] = {}
    if way.handler == "callback":
        retry = given.flag("url_callback_retry", "invalid_callback_retry")
        more = {} if retry is None else {"retry": retry}
    if on is None and value is None and not more:
        return None
    if value and way.value == "number":
        value = spelling.read(value)
        if value is None:
            raise Rejected(way.bad_main)
    return Wish(way, on, value, more)


def _dialmode(call: Call) -> str | None:
    written = call.parameters.text("dialmode")
    if written and written not in DIALMODES:
        raise Rejected("missing_params", "dialmode must be 1 (NANPA) or 2 (E164).")
    return DIALMODES.get(written)


def _check_smpp(call: Call) -> None:
    """SMPP push is not offered: switching it on is refused, leaving it off is fine."""
    given = call.parameters
    if given.flag("smpp_enabled", "invalid_smpp_url"):
        raise Rejected("invalid_smpp_url")
    if given.text("smpp_url") and not _SMPP_URL.fullmatch(given.text("smpp_url")):
        raise Rejected("invalid_smpp_url", "smpp_url begins with smpp:// or ssmpp://.")
    for name, status in (("smpp_user", "invalid_smpp_username"), ("smpp_pass", "invalid_smpp_password")):
        if not _PRINTABLE.fullmatch(given.text(name)):
            raise Rejected(status)


# -- doing it -----------------------------------------------------------------------------------------------


def _fulfil(connection: Connection, call: Call, did: Did, wish: Wish) -> Did:
    way = wish.way
    kind = registry.installed().kinds.get(way.handler)
    if kind is None:
        if wish.on or wish.value:
            raise Rejected(way.bad_switch, f"This server has no {way.handler} handler.")
        return did
    settings = dict(wish.more)
    if wish.value is not None:
        settings[kind.main] = _aor(connection, call, wish.value) if way.value == "phone" else wish.value
    on = wish.on
    if on is None and wish.value is not None:  # a value alone switches nothing on, as at the provider
        before = did.handlers.get(way.handler)
        on = before is not None and before.enabled and wish.value != ""
    return _change(connection, call, did, way.handler, settings, on, way)


def _change(
    connection: Connection,
    call: Call,
    did: Did,
    name: str,
    settings: dict[str, object],
    on: bool | None,
    way: Way | None = None,
) -> Did:
    rules = outgoing.rules(call.services.config)
    try:
        return changing.change(connection, call.services.store.ids.next, did, name, settings, on, rules)
    except SettingError as error:
        assert way is not None, "the spelling of numbers is one of two"
        status = way.bad_switch if error.field == name else way.bad_main
        sentence = SENTENCES[status] if error.field == name else f"{way.main}: {error.sentence}"
        raise Rejected(status, sentence) from error


def _aor(connection: Connection, call: Call, username: str) -> str:
    """A sub-account's address. Raises Rejected."""
    if not username:
        return ""
    sip = call.services.config.sip
    found = None if sip is None else sip_accounts.find_sip_account(connection, username, sip.domain)
    if found is None or found.account_id != call.account_id:
        raise Rejected("invalid_account")
    return found.aor


# -- showing it ---------------------------------------------------------------------------------------------


def _dids_and_phones(connection: Connection, account_id: int) -> tuple[list[Did], list[SipAccount]]:
    return numbers.list_dids(connection, account_id), sip_accounts.list_sip_accounts(connection, account_id)


def _row(call: Call, did: Did) -> dict[str, object]:
    ordered = datetime.fromtimestamp(time_of(did.id) / 1000, UTC).astimezone(call.zone)
    row = {
        "did": spelling.shown(did.number),
        **CONSTANTS,
        "next_billing": (ordered + timedelta(days=30)).date().isoformat(),
        "order_date": ordered.isoformat(" ", "seconds")[:19],
        "sms_available": did.sms_capable,
        "mms_available": True,
        "sms_enabled": did.sms_enabled,
    }
    kinds = registry.installed().kinds
    for way in WAYS:
        kind, setting = kinds.get(way.handler), did.handlers.get(way.handler)
        value = "" if kind is None or setting is None else str(setting.settings.get(kind.main) or "")
        row[way.fields[0]] = setting is not None and kind is not None and setting.enabled
        row[way.fields[1]] = _shown(way, value)
    callback = did.handlers.get("callback")
    settings = {} if callback is None else callback.settings
    row["sms_url_callback_retry"] = bool(settings.get("retry"))
    row["dialmode"] = "2" if settings.get("numbers") == "e164" else "1"
    if row["sms_sipaccount"]:
        row["routing"] = f"account:{row['sms_sipaccount']}"
    return row


def _shown(way: Way, value: str) -> str:
    match way.value:
        case "number":
            return spelling.shown(value) if value else ""
        case "phone":
            return value.removeprefix("sip:").partition("@")[0]
    return value


# What clients read of a number's telephony, which is not our business.
CONSTANTS: dict[str, object] = {
    "description": "",
    "routing": "none:",
    "failover_busy": "none:",
    "failover_unreachable": "none:",
    "failover_noanswer": "none:",
    "voicemail": "",
    "pop": "1",
    "dialtime": "60",
    "cnam": "0",
    "e911": "0",
    "callerid_prefix": "",
    "note": "",
    "port_out_pin": "",
    "billing_type": "1",
    "record_calls": "0",
    "transcribe": "0",
    "reseller_account": "",
    "reseller_next_billing": "0000-00-00",
    "reseller_monthly": "0.00",
    "reseller_minute": "0.0000",
    "reseller_setup": "0.00",
    "smpp_enabled": "0",
    "smpp_url": "",
    "smpp_user": "",
    "smpp_pass": "",
}
