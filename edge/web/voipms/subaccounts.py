"""Sub-accounts are SIP accounts: made, changed and shown here, and where their phones are.

The SIP user of one made here is `<account>_<name>`. Its caller ID is the DID that it sends as; one without
may send as every DID of the account, the first by default. Of a password only hashes are kept, so none is
ever shown. What is of telephony and not of messages is kept and given back.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.sip import accounts
from edge.web import spelling
from edge.web.api.members import parse_identifier
from edge.web.voipms import answers, times
from edge.web.voipms.call import Call
from edge.web.voipms.statuses import Rejected
from storage import numbers, registrations, sip_accounts, sub_accounts
from storage.registrations import BindingRecord
from storage.sip_accounts import SipAccount

MAX_VALUE = 500
BY_PASSWORD = "1"
PROTOCOL_SIP = "1"
_USERNAME = re.compile(r"[A-Za-z0-9_.+-]{1,40}", re.ASCII)
_PASSWORD = re.compile(r"[!-~]{8,128}", re.ASCII)

DEFAULTS: Mapping[str, str] = {
    "description": "",
    "ip": "",
    "device_type": "2",
    "canada_routing": "1",
    "lock_international": "0",
    "allow225": "0",
    "international_route": "1",
    "music_on_hold": "default",
    "language": "en",
    "record_calls": "0",
    "allowed_codecs": "ulaw;g729",
    "dtmf_mode": "auto",
    "nat": "yes",
    "sip_traffic": "0",
    "max_expiry": "3600",
    "rtp_timeout": "60",
    "rtp_hold_timeout": "600",
    "ip_restriction": "",
    "enable_ip_restriction": "0",
    "pop_restriction": "",
    "enable_pop_restriction": "0",
    "send_bye": "1",
    "transcribe": "0",
    "transcription_locale": "",
    "transcription_redaction": "no",
    "transcription_summary": "no",
    "transcription_sentiment": "no",
    "transcription_email": "",
    "transcription_start_delay": "0",
    "internal_extension": "",
    "internal_voicemail": "",
    "internal_dialtime": "60",
    "reseller_client": "",
    "reseller_package": "",
    "reseller_nextbilling": "0000-00-00",
    "reseller_chargesetup": "0",
    "parking_lot": "",
    "enable_internal_cnam": "0",
    "internal_cnam": "",
    "default_e911": "",
    "call_pickup_behavior": "1",
}
"""What is kept of a sub-account, and what it is while nobody has said otherwise."""


def get_sub_accounts(call: Call) -> Deferred[bytes]:
    """`accounts`: all, or the one of this name."""
    wanted = call.parameters.text("account")

    def work(connection: Connection) -> bytes:
        found = _phones(connection, call)
        if wanted.isdigit() and wanted != str(call.account_id):
            raise Rejected("no_subaccount")
        if wanted and wanted != str(call.account_id):
            found = [phone for phone in found if phone.username == wanted]
            if not found:
                raise Rejected("invalid_account")
        if not found:
            raise Rejected("no_account")
        kept = sub_accounts.settings(connection, call.account_id)
        return answers.rows("accounts", [_row(call, phone, kept.get(phone.id, {})) for phone in found])

    return call.services.store.read(work)


def create_sub_account(call: Call) -> Deferred[bytes]:
    """`id` and `account`, its SIP user."""
    given = call.parameters
    name = given.required("username", "missing_username")
    if not _USERNAME.fullmatch(name):
        raise Rejected("invalid_username")
    if given.required("protocol", "missing_protocol") != PROTOCOL_SIP:
        raise Rejected("invalid_protocol")
    if given.required("auth_type", "missing_authtype") != BY_PASSWORD:
        raise Rejected("invalid_authtype")
    password = _password(given.required("password", "missing_password"))
    kept = _kept(call)
    username = f"{call.account_id}_{name}"
    domain = _domain(call)
    store = call.services.store

    def work(connection: Connection) -> SipAccount:
        if sip_accounts.find_sip_account(connection, username, domain) is not None:
            raise Rejected("used_username")
        dids = _dids(connection, call)
        made_of = accounts.wanted(username, domain, password, "md5", dids)
        wanted = replace(made_of, account_id=call.account_id, created_at=call.now_ms)
        made = sip_accounts.add_sip_account(connection, store.ids.next, wanted)
        sub_accounts.put(connection, call.account_id, made.id, kept)
        return made

    return store.writer.run("create sub-account", work).addCallback(
        lambda made: answers.success(id=str(made.id), account=made.username)
    )


def set_sub_account(call: Call) -> Deferred[bytes]:
    """What is not said stays as it is."""
    given = call.parameters
    identity = parse_identifier(given.required("id", "missing_id"))
    if given.text("protocol") not in ("", PROTOCOL_SIP):
        raise Rejected("invalid_protocol")
    if given.text("auth_type") not in ("", BY_PASSWORD):
        raise Rejected("invalid_authtype")
    password = _password(given.text("password")) if given.text("password") else None
    kept = _kept(call)
    store = call.services.store

    def work(connection: Connection) -> None:
        phone = _phone(connection, call, identity)
        changed = phone
        if password is not None:
            new = accounts.wanted(phone.username, phone.domain, password, phone.digest, ())
            changed = replace(changed, ha1_md5=new.ha1_md5, ha1_sha256=new.ha1_sha256)
        if given.given("callerid_number"):
            changed = replace(changed, dids=_dids(connection, call))
        if changed != phone:
            sip_accounts.add_sip_account(connection, store.ids.next, changed)
        sub_accounts.put(connection, call.account_id, phone.id, kept)

    return store.writer.run("set sub-account", work).addCallback(lambda _: answers.success())


def del_sub_account(call: Call) -> Deferred[bytes]:
    """It is gone, and no DID rings there any more."""
    identity = parse_identifier(call.parameters.required("id", "missing_id"))
    store = call.services.store

    def work(connection: Connection) -> None:
        phone = _phone(connection, call, identity)
        accounts.remove(connection, store.ids.next, phone.username, phone.domain)

    return (
        store.writer.run("delete sub-account", work)
        .addCallback(lambda _: call.services.directory.refresh())
        .addCallback(lambda _: answers.success())
    )


def get_registration_status(call: Call) -> Deferred[bytes]:
    """`registered`, and `registrations`: where the phones of a sub-account are."""
    wanted = call.parameters.required("account", "missing_account")

    def work(connection: Connection) -> bytes:
        phones = [phone for phone in _phones(connection, call) if phone.username == wanted]
        if not phones:
            raise Rejected("invalid_account")
        found = registrations.of_account(connection, phones[0].id, call.now_ms)
        return answers.success(
            registered="yes" if found else "no",
            rerouted="0",
            from_server_pop="1",
            registrations=[_registration(call, phones[0], binding) for binding in found],
        )

    return call.services.store.read(work)


def _domain(call: Call) -> str:
    """Raises Rejected on a server without SIP."""
    if call.services.config.sip is None:
        raise Rejected("method_maintenance", "This server has no SIP side; sub-accounts need one.")
    return call.services.config.sip.domain


def _phones(connection: Connection, call: Call) -> list[SipAccount]:
    sip = call.services.config.sip
    found = sip_accounts.list_sip_accounts(connection, call.account_id)
    return [phone for phone in found if sip is not None and phone.domain == sip.domain]


def _phone(connection: Connection, call: Call, identity: int | None) -> SipAccount:
    for phone in _phones(connection, call):
        if phone.id == identity:
            return phone
    raise Rejected("invalid_id")


def _dids(connection: Connection, call: Call) -> tuple[str, ...]:
    """What the caller ID that is given lets it send as."""
    mine = [did.number for did in numbers.list_dids(connection, call.account_id)]
    written = call.parameters.text("callerid_number")
    if not written:
        return tuple(mine)
    number = spelling.read(written)
    if number not in mine:
        raise Rejected("invalid_callerid")
    return (number,)


def _password(written: str) -> str:
    if not _PASSWORD.fullmatch(written):
        raise Rejected("invalid_password")
    return written


def _kept(call: Call) -> dict[str, str]:
    given = call.parameters
    return {name: given.text(name)[:MAX_VALUE] for name in DEFAULTS if given.given(name)}


def _row(call: Call, phone: SipAccount, kept: Mapping[str, str]) -> dict[str, object]:
    prefix = f"{call.account_id}_"
    return {
        "id": phone.id,
        "account": phone.username,
        "username": phone.username.removeprefix(prefix),
        "protocol": PROTOCOL_SIP,
        "auth_type": BY_PASSWORD,
        "password": "",
        "callerid_number": spelling.shown(phone.dids[0]) if phone.dids else "",
        **DEFAULTS,
        **kept,
    }


def _registration(call: Call, phone: SipAccount, binding: BindingRecord) -> dict[str, object]:
    return {
        "server_name": phone.domain,
        "server_shortname": phone.domain,
        "server_hostname": phone.domain,
        "server_ip": "",
        "server_country": "",
        "server_pop": "1",
        "register_ip": binding.host,
        "register_port": str(binding.port),
        "register_next": times.face(call.zone, "").show(binding.expires_at),
        "register_protocol": "SIP",
        "register_transport": binding.transport,
    }
