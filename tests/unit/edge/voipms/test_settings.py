"""What setSMS writes getDIDsInfo reads, and the handlers do; phone books and sub-accounts."""

import hashlib
from typing import Any

import pytest

from edge.config import Config
from edge.handlers import registry
from edge.handlers.base import DIDHandler, Key, Rules, SettingError
from storage import registrations, sip_accounts
from storage.registrations import BindingRecord
from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.voipms.world import DID, DOMAIN, NOW, World

CALLBACK = "https://example.net/?to={TO}&from={FROM}&message={MESSAGE}&id={ID}&date={TIMESTAMP}"
EVERYTHING = {
    "sms_forward_enable": "1",
    "sms_forward": "12025550150",
    "url_callback_enable": "1",
    "url_callback": CALLBACK,
    "url_callback_retry": "1",
    "webhook_enable": "1",
    "webhook": "https://example.net/hook",
    "dialmode": "2",
    "sms_sipaccount_enabled": "1",
    "sms_sipaccount": "mine",
}


def info(world: World) -> dict[str, Any]:
    (row,) = world.call("getDIDsInfo", did="2025550100")["dids"]
    assert isinstance(row, dict)
    return row


def put(world: World, enable: str = "1", **parameters: str) -> str:
    status: str = world.call("setSMS", did="2025550100", enable=enable, **parameters)["status"]
    return status


def test_a_row_is_what_clients_read(world: World) -> None:
    row = info(world)
    assert all(isinstance(value, str) for value in row.values())
    assert (row["did"], row["sms_enabled"], row["sms_available"], row["mms_available"]) == (
        "2025550100",
        "1",
        "1",
        "1",
    )
    rows = world.call("getDIDsInfo")["dids"]
    assert [(item["did"], item["sms_enabled"]) for item in rows] == [("2025550100", "1"), ("2025550101", "0")]


def test_what_is_written_is_read_and_done(world: World) -> None:
    world.phone("mine", DID)
    assert put(world, **EVERYTHING) == "success"
    row = info(world)
    expected = {
        "sms_forward_enabled": "1",
        "sms_forward": "2025550150",
        "sms_url_callback_enabled": "1",
        "sms_url_callback": CALLBACK,
        "sms_url_callback_retry": "1",
        "webhook_enabled": "1",
        "webhook": "https://example.net/hook",
        "dialmode": "2",
        "sms_sipaccount_enabled": "1",
        "sms_sipaccount": "mine",
        "routing": "account:mine",
    }
    assert {name: row[name] for name in expected} == expected
    did = world.directory.did(DID)
    assert did is not None
    assert registry.installed().targets(did, "+12025550199") == [
        ("callback", CALLBACK),
        ("forward", "+12025550150"),
        ("sip", f"sip:mine@{DOMAIN}"),
        ("webhook", "https://example.net/hook"),
    ]
    assert did.handlers["callback"].settings == {"url": CALLBACK, "retry": True, "numbers": "e164"}


def test_what_is_not_said_stays_and_what_is_empty_goes(world: World) -> None:
    world.phone("mine", DID)
    put(world, **EVERYTHING)
    before = info(world)
    assert put(world) == "success"
    assert info(world) == before
    assert put(world, url_callback_enable="0", url_callback_retry="0") == "success"
    row = info(world)
    assert (row["sms_url_callback_enabled"], row["sms_url_callback"]) == ("0", CALLBACK)
    assert (
        put(world, url_callback="", sms_forward="", webhook="", sms_sipaccount="", dialmode="1") == "success"
    )
    row = info(world)
    for name in ("sms_url_callback", "sms_forward", "webhook", "sms_sipaccount"):
        assert row[name] == ""
    for name in (
        "sms_url_callback_enabled",
        "sms_forward_enabled",
        "webhook_enabled",
        "sms_sipaccount_enabled",
    ):
        assert row[name] == "0"
    assert (row["dialmode"], row["routing"]) == ("1", "none:")


def test_sms_off_and_on(world: World) -> None:
    assert put(world, enable="0") == "success"
    assert info(world)["sms_enabled"] == "0"
    send = {"did": "2025550100", "dst": "2025550199", "message": "x"}
    assert world.call("sendSMS", **send)["status"] == "invalid_did"
    assert put(world, enable="1") == "success"
    assert world.call("sendSMS", **send)["status"] == "success"


def test_a_call_that_fails_changes_nothing(world: World) -> None:
    before = info(world)
    assert (
        put(world, enable="0", sms_forward="2025550150", url_callback="http://10.0.0.1/")
        == "invalid_callback"
    )
    assert info(world) == before


def test_a_server_without_the_mail_handler_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {name: kind for name, kind in registry.installed().kinds.items() if name != "email"}
    monkeypatch.setattr(registry.installed(), "kinds", kinds)
    assert put(world, email_enabled="0", email_address="") == "success"
    assert put(world, email_enabled="1", email_address="a@example.net") == "invalid_email_enable"


def test_mail_is_set_where_there_is_such_a_handler(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class EmailHandler(DIDHandler):
        name = "email"
        main = "to"
        keys = (Key("to", "text", "an address"),)

        @classmethod
        def check(cls, settings: dict[str, object], rules: Rules) -> dict[str, object]:
            if "@" not in str(settings.get("to") or "@"):
                raise SettingError("email_to", "is no address.")
            return settings

    kinds = {**registry.installed().kinds, "email": EmailHandler}
    monkeypatch.setattr(registry.installed(), "kinds", kinds)
    assert put(world, email_enabled="1", email_address="nobody") == "invalid_email"
    assert put(world, email_enabled="1") == "invalid_email_enable"
    assert put(world, email_enabled="1", email_address="a@example.net") == "success"
    row = info(world)
    assert (row["sms_email_enabled"], row["sms_email"]) == ("1", "a@example.net")


def test_an_account_without_numbers(world: World) -> None:
    with world.store.engine.transaction() as conn:
        conn.exec_driver_sql(f"DELETE FROM did WHERE account_id = {world.account.id}")
    assert world.call("getDIDsInfo")["status"] == "no_did"


# -- phone book ---------------------------------------------------------------------------------------------


def test_a_phone_book(world: World) -> None:
    assert world.call("getPhonebook")["status"] == "no_phonebook"
    assert world.call("getPhonebookGroups")["status"] == "no_phonebook_group"
    group = world.call("setPhonebookGroup", group="", name="Work")["group"]
    entry = world.call(
        "setPhonebook",
        phonebook="",
        name="Zoë",
        number="+1 202 555 0150",
        speed_dial="*7501",
        callerid="Us <2025550100>",
        note="mobile",
        group=group,
    )["phonebook"]
    extension = world.call("setPhonebook", name="Desk", number="SIP:2563")["phonebook"]
    rows = world.call("getPhonebook")["phonebooks"]
    assert rows == [
        {
            "phonebook": extension,
            "speed_dial": "",
            "name": "Desk",
            "number": "sip:2563",
            "callerid": "",
            "note": "",
            "group": "",
            "group_name": "",
        },
        {
            "phonebook": entry,
            "speed_dial": "*7501",
            "name": "Zoë",
            "number": "2025550150",
            "callerid": "Us <2025550100>",
            "note": "mobile",
            "group": group,
            "group_name": "Work",
        },
    ]
    world.call("setPhonebook", phonebook=entry, name="Zoe", number="2025550151", speed_dial="", group="")
    (changed,) = world.call("getPhonebook", phonebook=entry)["phonebooks"]
    assert (changed["name"], changed["number"], changed["speed_dial"]) == ("Zoe", "2025550151", "")
    assert (changed["callerid"], changed["note"], changed["group"]) == ("Us <2025550100>", "mobile", "")
    world.call("setPhonebookGroup", group=group, name="Labour", members=f"{entry};{extension}")
    (shown,) = world.call("getPhonebookGroups")["phonebooks"]
    assert (shown["name"], shown["members"]) == ("Labour", f"{entry};{extension}")
    assert {row["name"] for row in world.call("getPhonebook", group_name="Labour")["phonebooks"]} == {
        "Zoe",
        "Desk",
    }
    assert world.call("delPhonebook", phonebook=entry)["status"] == "success"
    (shown,) = world.call("getPhonebookGroups")["phonebooks"]
    assert shown["members"] == extension
    assert world.call("delPhonebookGroup", group=group)["status"] == "success"
    (left,) = world.call("getPhonebook")["phonebooks"]
    assert left["group"] == ""


def test_a_phone_book_that_is_full(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.phonebook.MAX_ENTRIES", 1)
    assert world.call("setPhonebook", name="a", number="2025550150")["status"] == "success"
    assert world.call("setPhonebook", name="b", number="2025550151")["status"] == "members_exceeded"


# -- sub-accounts -------------------------------------------------------------------------------------------


def test_a_sub_account_is_a_sip_account(world: World) -> None:
    assert world.call("getSubAccounts")["status"] == "no_account"
    made = world.call(
        "createSubAccount",
        username="VoIP",
        protocol="1",
        auth_type="1",
        password="correct-horse",
        callerid_number="2025550100",
        description="My phone",
        device_type="1",
        unknown="x",
    )
    username = f"{world.account.id}_VoIP"
    assert made["account"] == username
    (row,) = world.call("getSubAccounts", account=username)["accounts"]
    assert (row["id"], row["account"], row["username"]) == (made["id"], username, "VoIP")
    assert (row["callerid_number"], row["description"], row["device_type"]) == ("2025550100", "My phone", "1")
    assert row["password"] == "", "no password is kept, so none is shown"
    assert "unknown" not in row
    assert all(isinstance(value, str) for value in row.values())

    def stored() -> sip_accounts.SipAccount:
        with world.store.engine.snapshot() as conn:
            found = sip_accounts.find_sip_account(conn, username, DOMAIN)
        assert found is not None
        return found

    assert stored().dids == (DID,)
    assert stored().ha1_md5 == hashlib.md5(f"{username}:{DOMAIN}:correct-horse".encode()).hexdigest()
    assert world.call("setSubAccount", id=made["id"], description="Kitchen", nat="no")["status"] == "success"
    assert stored().ha1_md5 == hashlib.md5(f"{username}:{DOMAIN}:correct-horse".encode()).hexdigest()
    world.call("setSubAccount", id=made["id"], password="battery-staple", callerid_number="2025550101")
    assert stored().ha1_md5 == hashlib.md5(f"{username}:{DOMAIN}:battery-staple".encode()).hexdigest()
    assert stored().dids == ("+12025550101",)
    (row,) = world.call("getSubAccounts")["accounts"]
    assert (row["description"], row["nat"], row["device_type"]) == ("Kitchen", "no", "1")


def test_where_a_phone_is(world: World) -> None:
    phone = world.phone("mine", DID)
    binding = BindingRecord(
        7,
        phone.id,
        "sip:mine@192.0.2.9:5070",
        None,
        None,
        "call",
        1,
        "udp",
        "192.0.2.9",
        5070,
        None,
        None,
        NOW - 1000,
        NOW + 3_600_000,
    )
    gone = binding._replace(id=8, contact="sip:mine@192.0.2.10", expires_at=NOW - 1)
    with world.store.engine.transaction() as conn:
        registrations.change(conn, [], [binding, gone])
    answer = world.call("getRegistrationStatus", account="mine")
    assert answer["registered"] == "yes"
    (row,) = answer["registrations"]
    assert (row["register_ip"], row["register_port"]) == ("192.0.2.9", "5070")
    assert (row["register_protocol"], row["register_transport"]) == ("SIP", "udp")
    assert row["register_next"] == "2026-11-18 07:06:40"
    assert row["server_hostname"] == DOMAIN
    assert all(isinstance(value, str) for value in row.values())


def test_a_sub_account_that_is_gone_takes_its_handlers_with_it(world: World) -> None:
    phone = world.phone("mine", DID)
    put(world, sms_sipaccount_enabled="1", sms_sipaccount="mine")
    assert world.call("delSubAccount", id=str(phone.id))["status"] == "success"
    row = info(world)
    assert (row["sms_sipaccount_enabled"], row["sms_sipaccount"]) == ("0", "")
    assert world.call("getSubAccounts")["status"] == "no_account"


def test_a_server_without_mail(inline_store: InlineStore, time: Time) -> None:
    world = World(inline_store, time, mail=None)
    assert put(world, email_enabled="1", email_address="ann@example.net") == "invalid_email"
    assert info(world)["sms_email_enabled"] == "0"
    assert put(world, email_enabled="0") == "success"


def test_a_server_without_sip(inline_store: InlineStore, time: Time) -> None:
    world = World(inline_store, time, sip=Config().sip)
    assert world.call("getSubAccounts")["status"] == "no_account"
    create = {"username": "x", "protocol": "1", "auth_type": "1", "password": "long-enough"}
    assert world.call("createSubAccount", **create)["status"] == "method_maintenance"
    assert world.call("getRegistrationStatus", account="x")["status"] == "invalid_account"
    assert put(world, sms_sipaccount_enabled="1", sms_sipaccount="x") == "invalid_account"
