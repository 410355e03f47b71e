"""Every method, parameter and status of the contract, as a table: what is asked, what is answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from edge.web.voipms.methods import METHODS
from edge.web.voipms.statuses import SENTENCES
from storage.records import PartState
from tests.unit.edge.voipms.world import World

B64 = "iVBORw0KGgo="
DATA = f"data:image/png;base64,{B64}"
OLD = "2020-01-01"
GROUP = {"phonebook_group": "{group}", "name": "Work", "members": "{entry}"}


@dataclass(frozen=True)
class Case:
    """``says``: members that the answer has. A value of {name} is the id of that thing in the world."""

    status: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    says: Mapping[str, Any] = field(default_factory=dict)


def case(status: str, says: Mapping[str, Any] | None = None, **parameters: str) -> Case:
    """``from_`` stands for the parameter `from`."""
    return Case(status, {name.rstrip("_"): value for name, value in parameters.items()}, says or {})


SEND = {"did": "2025550100", "dst": "2025550199", "message": "hello"}


def sending(status: str, says: Mapping[str, Any] | None = None, **changes: str | None) -> Case:
    """A send with some of it changed, or (None) left out."""
    merged = {name: value for name, value in {**SEND, **changes}.items() if value is not None}
    return Case(status, merged, says or {})


SENDS = [
    sending("missing_did", did=None),
    sending("missing_did", did=""),
    sending("invalid_did", did="2025550177"),
    sending("invalid_did", did="2025550101"),
    sending("invalid_did", did="what"),
    sending("invalid_dst", dst=None),
    sending("invalid_dst", dst=""),
    sending("invalid_dst", dst="abc"),
    sending("invalid_dst", dst="0466453"),
    sending("invalid_dst", dst="+1"),
    sending("missing_sms", message=None),
    sending("message_empty", message=""),
    sending("message_empty", message="  \n"),
    sending("success", did="+12025550100"),
    sending("success", did="1 (202) 555-0100"),
    sending("success", did=" 12025550100"),
    sending("success", dst="+1 202 555 0199"),
    sending("success", dst="447911123456"),
    sending("success", dst="011447911123456"),
    sending("success", dst="12345"),
]

LISTS = [
    case("invalid_date", from_="yesterday"),
    case("invalid_date", to="2026-13-01"),
    case("invalid_date", from_="2026-11-18 25:00:00"),
    case("invalid_date", from_="0001-01-01"),
    case("invalid_date_from", from_="2026-11-18", to="2026-11-17"),
    case("invalid_date_from", from_="2026-11-18 10:00:01", to="2026-11-18 10:00:00"),
    case("invalid_date_from", to=OLD),
    case("invalid_daterange", from_="2026-08-17", to="2026-11-18"),
    case("invalid_daterange", from_=OLD),
    case("no_sms", from_="2026-01-01", to="2026-04-03"),
    case("no_sms", from_="2026-11-17", to="2026-11-17"),
    case("invalid_type", type="2"),
    case("invalid_type", type="sent"),
    case("invalid_did", did="2025550177"),
    case("invalid_did", did="x"),
    case("no_sms", did="2025550101"),
    case("invalid_contact", contact="nobody"),
    case("no_sms", contact="2025550198"),
    case("invalid_timezone", timezone="14"),
    case("invalid_timezone", timezone="-12.5"),
    case("invalid_timezone", timezone="EST"),
    case("missing_params", all_messages="both"),
    case("success", from_="2026-08-18", to="2026-11-18"),
    case("success", from_="2026-11-18 06:00:00", to="2026-11-18 06:30"),
    case("success", from_="", to="", type="", did="", contact="", limit="", timezone="", all_messages=""),
    case("success", limit="1000000", timezone="-5", all_messages="1"),
    case("success", limit="all", timezone="+5.5", all_messages="0"),
    case("success", did="+1 202 555 0100", contact=" 12025550199"),
    case("success", type="1"),
]

TABLE: dict[str, list[Case]] = {
    "sendSMS": [
        *SENDS,
        sending("sms_toolong", message="x" * 161),
        sending("sms_toolong", message="é" * 81),
        sending("success", message="é" * 80),
        sending("success", media1=B64),
    ],
    "sendMMS": [
        *SENDS,
        sending("success", message="é" * 81),
        sending("sms_toolong", message="x" * 2049),
        sending("success", message="x" * 2048),
        sending("success", message="", media1=B64),
        sending(
            "success", media1="https://example.net/cat.jpg", media2=f"data:image/png;base64,{B64}", media3=""
        ),
        sending("sms_failed", media1="not base64!"),
        sending("sms_failed", media2="https://example.net/a b"),
        sending("sms_failed", media3="data:image/png;base64,"),
    ],
    "getSMS": [
        *LISTS,
        case("success", sms="{sms}"),
        case("success", sms="{sms}", from_="2026-11-18"),
        case("success", sms="0", all_messages="1"),
        case("no_sms", sms="{mms}"),
        case("success", sms="{mms}", all_messages="1"),
        case("no_sms", sms="{theirs}"),
        case("no_sms", sms="{sms}", from_="2026-11-17", to="2026-11-17"),
        case("invalid_sms", sms="first"),
        case("success", type="0"),
    ],
    "getMMS": [
        *LISTS,
        case("success", mms="{mms}"),
        case("no_sms", mms="{sms}"),
        case("success", mms="{sms}", all_messages="1"),
        case("no_sms", mms="{theirs}", all_messages="1"),
        case("invalid_sms", mms="first"),
        case("no_sms", type="0"),
        case("success", type="0", all_messages="1"),
    ],
    "getMediaMMS": [
        case("missing_id"),
        case("missing_id", id=""),
        case("invalid_id", id="x"),
        case("invalid_id", id="{theirs}"),
        case("invalid_id", id="99"),
        case("no_sms", id="{sms}"),
        case("missing_params", id="{mms}", media_as_array="list"),
        case("success", {"media": {"1": "https://example.net/1.jpg"}}, id="{media}"),
        case("success", {"media": {"1": "https://example.net/1.jpg"}}, id="{media}", media_as_array="0"),
        case("success", {"media": ["https://example.net/1.jpg"]}, id="{media}", media_as_array="1"),
    ],
    "deleteSMS": [
        case("missing_sms"),
        case("missing_sms", id=""),
        case("invalid_sms", id="x"),
        case("invalid_sms", id="{theirs}"),
        case("success", id="{sms}"),
        case("invalid_sms", id="{sms}"),
    ],
    "deleteMMS": [
        case("missing_id"),
        case("invalid_id", id="-1"),
        case("invalid_id", id="{theirs}"),
        case("success", id="{mms}"),
        case("invalid_id", id="{mms}"),
    ],
    "getResellerSMS": [case("missing_client"), case("invalid_client", client="561115")],
    "getResellerMMS": [case("missing_client"), case("invalid_client", client="561115")],
    "setSMS": [
        case("missing_did", enable="1"),
        case("invalid_did", did="2025550177", enable="1"),
        case("missing_enable", did="2025550100"),
        case("missing_enable", did="2025550100", enable=""),
        case("missing_enable", did="2025550100", enable="maybe"),
        *(
            Case(status, {"did": "2025550100", "enable": "1", **parameters})
            for status, parameters in (
                ("invalid_email_enable", {"email_enabled": "x"}),
                ("invalid_forward_enable", {"sms_forward_enable": "x"}),
                ("invalid_forward_enable", {"sms_forward_enable": "1"}),
                ("invalid_sms_forward", {"sms_forward": "abc"}),
                ("invalid_sms_forward", {"sms_forward_enable": "1", "sms_forward": "12345"}),
                ("invalid_callback_enable", {"url_callback_enable": "x"}),
                ("invalid_callback_enable", {"url_callback_enable": "1"}),
                ("invalid_callback", {"url_callback": "ftp://example.net/"}),
                ("invalid_callback", {"url_callback": "http://example.net/?{NOTHING}"}),
                ("invalid_callback", {"url_callback": "http://127.0.0.1/"}),
                ("invalid_callback_retry", {"url_callback_retry": "x"}),
                ("invalid_callback_enable", {"webhook_enable": "x"}),
                ("invalid_callback_enable", {"webhook_enable": "1"}),
                ("invalid_callback", {"webhook": "gopher://example.net/"}),
                ("missing_params", {"dialmode": "3"}),
                ("invalid_smpp_url", {"smpp_enabled": "1", "smpp_url": "smpp://example.net:2775"}),
                ("invalid_smpp_url", {"smpp_url": "http://example.net"}),
                ("invalid_smpp_username", {"smpp_user": "x" * 65}),
                ("invalid_smpp_password", {"smpp_pass": "é"}),
                ("invalid_account", {"sms_sipaccount_enabled": "x"}),
                ("invalid_account", {"sms_sipaccount_enabled": "1"}),
                ("invalid_account", {"sms_sipaccount": "theirs"}),
                ("success", {}),
                ("success", {"email_enabled": "0", "email_address": ""}),
                ("success", {"sms_forward_enable": "1", "sms_forward": "+1 202 555 0150"}),
                (
                    "success",
                    {
                        "url_callback_enable": "1",
                        "url_callback": "https://example.net/?to={TO}&m={MESSAGE}",
                        "url_callback_retry": "1",
                    },
                ),
                ("success", {"webhook_enable": "1", "webhook": "https://example.net/hook", "dialmode": "2"}),
                ("success", {"smpp_enabled": "0", "smpp_url": "ssmpp://u:p@example.net:3550"}),
                ("success", {"smpp_url": "", "smpp_user": "", "smpp_pass": ""}),
                ("success", {"sms_sipaccount_enabled": "1", "sms_sipaccount": "mine"}),
            )
        ),
        case("success", did="2025550100", enable="0"),
    ],
    "getDIDsInfo": [
        case("success"),
        case("success", client="", did=""),
        case("success", did="+1 202 555 0101"),
        case("invalid_did", did="2025550177"),
        case("invalid_did", did="x"),
        case("success", client="mine"),
        case("no_did", client="mine", did="2025550101"),
        case("invalid_client", client="theirs"),
        case("invalid_client", client="561115"),
    ],
    "getPhonebook": [
        case("success"),
        case("success", phonebook="{entry}"),
        case("invalid_phonebook", phonebook="x"),
        case("no_phonebook", phonebook="{their_entry}"),
        case("success", name="jane"),
        case("no_phonebook", name="nobody"),
        case("success", group="{group}"),
        case("no_phonebook", group="{their_group}"),
        case("invalid_id", group="x"),
        case("success", group_name="Work"),
        case("no_phonebook", group_name="Play"),
    ],
    "setPhonebook": [
        case("missing_name", number="2025550150"),
        case("name_toolong", name="x" * 101, number="2025550150"),
        case("invalid_name", name="a\x01b", number="2025550150"),
        case("missing_number", name="John"),
        case("invalid_number", name="John", number="abc"),
        case("invalid_number", name="John", number="sip:"),
        case("invalid_speed_dial", name="John", number="2025550150", speed_dial="1"),
        case("invalid_phonebook", phonebook="x", name="John", number="2025550150"),
        case("invalid_phonebook", phonebook="{their_entry}", name="John", number="2025550150"),
        case("invalid_id", name="John", number="2025550150", group="{their_group}"),
        case("invalid_id", name="John", number="2025550150", group="x"),
        case("used_name", name="Jane Smith", number="2025550150"),
        case("used_number", name="John", number="2025550199"),
        case(
            "success",
            phonebook="",
            name="John",
            number="sip:2563",
            speed_dial="*7501",
            callerid="John <2025550100>",
            note="at home",
            group="{group}",
        ),
        case("used_speed_dial", name="Jim", number="2025550151", speed_dial="*7501"),
        case("success", phonebook="{entry}", name="Jane", number="2025550199", note=""),
    ],
    "delPhonebook": [
        case("missing_phonebook"),
        case("invalid_phonebook", phonebook="x"),
        case("invalid_phonebook", phonebook="{their_entry}"),
        case("success", phonebook="{entry}"),
        case("invalid_phonebook", phonebook="{entry}"),
    ],
    "getPhonebookGroups": [
        case("success"),
        case(
            "success", {"phonebooks": [{"phonebook_group": "{group}", "name": "Work", "members": "{entry}"}]}
        ),
        case("success", group="{group}"),
        case("no_phonebook_group", group="{their_group}"),
        case("invalid_id", group="x"),
        case("success", name="work"),
        case("no_phonebook_group", name="play"),
    ],
    "setPhonebookGroup": [
        case("missing_name"),
        case("name_toolong", name="x" * 101),
        case("used_name", name="Work"),
        case("invalid_id", group="{their_group}", name="Play"),
        case("invalid_id", group="x", name="Play"),
        case("invalid_member", name="Play", members="{their_entry}"),
        case("invalid_member", name="Play", members="x;y"),
        case("success", name="Play", members="{entry}"),
        case("success", group="{group}", name="Labour"),
        case("success", group="{group}", name="Labour", members=""),
    ],
    "delPhonebookGroup": [
        case("missing_id"),
        case("invalid_id", group="x"),
        case("invalid_id", group="{their_group}"),
        case("success", group="{group}"),
        case("invalid_id", group="{group}"),
    ],
    "getSubAccounts": [
        case("success"),
        case("success", account=""),
        case("success", account="mine"),
        case("invalid_account", account="theirs"),
        case("no_subaccount", account="561115"),
    ],
    "createSubAccount": [
        case("missing_username"),
        case("invalid_username", username="a b"),
        case("missing_protocol", username="desk"),
        case("invalid_protocol", username="desk", protocol="3"),
        case("missing_authtype", username="desk", protocol="1"),
        case("invalid_authtype", username="desk", protocol="1", auth_type="2", ip="192.0.2.1"),
        case("missing_password", username="desk", protocol="1", auth_type="1"),
        case("invalid_password", username="desk", protocol="1", auth_type="1", password="short"),
        *(
            Case(
                status,
                {
                    "username": "desk",
                    "protocol": "1",
                    "auth_type": "1",
                    "password": "long-enough",
                    **more,
                },
            )
            for status, more in (
                ("invalid_callerid", {"callerid_number": "2025550177"}),
                ("success", {"callerid_number": "2025550100", "description": "Desk", "nat": "no"}),
                ("used_username", {}),
            )
        ),
    ],
    "setSubAccount": [
        case("missing_id"),
        case("invalid_id", id="x"),
        case("invalid_id", id="{their_phone}"),
        case("invalid_protocol", id="{phone}", protocol="2"),
        case("invalid_authtype", id="{phone}", auth_type="2"),
        case("invalid_password", id="{phone}", password="short"),
        case("invalid_callerid", id="{phone}", callerid_number="2025550177"),
        case("success", id="{phone}", description="Kitchen", password="another-one", callerid_number=""),
    ],
    "delSubAccount": [
        case("missing_id"),
        case("invalid_id", id="x"),
        case("invalid_id", id="{their_phone}"),
        case("success", id="{phone}"),
        case("invalid_id", id="{phone}"),
    ],
    "getRegistrationStatus": [
        case("missing_account"),
        case("invalid_account", account="theirs"),
        case("success", {"registered": "no", "registrations": []}, account="mine"),
    ],
    "getBalance": [
        case("success", {"balance": {"current_balance": "0.000000"}}),
        case("success", advanced="0"),
        case("success", advanced="True"),
        case("missing_params", advanced="all"),
    ],
    "getIP": [case("success", {"ip": "192.0.2.1"})],
}

# Statuses that need another world than the table's: each is a test of this package.
ELSEWHERE = {
    "api_limit_exceeded",
    "api_not_enabled",
    "invalid_credentials",
    "invalid_email",
    "invalid_method",
    "invalid_sms",
    "ip_not_enabled",
    "limit_reached",
    "members_exceeded",
    "method_maintenance",
    "missing_credentials",
    "missing_method",
    "no_account",
    "no_phonebook",
    "no_phonebook_group",
}


def furnished(world: World) -> dict[str, str]:
    """The ids of what is there."""
    other = world.other
    entry = world.contact("Jane Smith", "+12025550199")
    their_entry = world.contact("Their friend", "+12025550198", owner=other)
    media = world.mms(text="look\nhttps://example.net/1.jpg")
    world.attach(media, "https://example.net/1.jpg")
    found = {
        "sms": world.message("mo").id,
        "sent": world.message("mt", state=PartState.DELIVERED).id,
        "mms": world.mms(text="a picture").id,
        "media": media.id,
        "theirs": world.message("mo", owner=other).id,
        "entry": entry,
        "their_entry": their_entry,
        "group": world.group("Work", entry),
        "their_group": world.group("Theirs", their_entry, owner=other),
        "phone": world.phone("mine", "+12025550100").id,
        "their_phone": world.phone("theirs", "+12025550177", owner=other).id,
    }
    return {name: str(identity) for name, identity in found.items()}


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    """The same with the ids of things in place of their names."""
    if isinstance(value, str):
        return ids.get(value[1:-1], value) if value.startswith("{") else value
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return {name: filled(item, ids) for name, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("method", TABLE)
def test_the_table(world: World, method: str) -> None:
    ids = furnished(world)
    for number, row in enumerate(TABLE[method]):
        answer = world.call(method, **filled(dict(row.parameters), ids))
        assert answer["status"] == row.status, (method, number, row, answer)
        if row.status == "success":
            assert "message" not in answer
        else:
            assert answer.keys() == {"status", "message"}, "no list comes with an error"
            assert len(answer["message"]) > 10, "a sentence for people"
        for name, expected in filled(dict(row.says), ids).items():
            assert answer[name] == expected, (method, number, row)


def test_the_table_has_every_method_and_every_status() -> None:
    assert TABLE.keys() == METHODS.keys()
    asked = {row.status for rows in TABLE.values() for row in rows}
    assert asked | ELSEWHERE == {"success", *SENTENCES}


def test_the_table_has_every_parameter_of_the_contract() -> None:
    contract = {
        "sendSMS": "did dst message",
        "sendMMS": "did dst message media1 media2 media3",
        "getSMS": "sms from to type did contact limit timezone all_messages",
        "getMMS": "mms from to type did contact limit timezone all_messages",
        "getMediaMMS": "id media_as_array",
        "deleteSMS": "id",
        "deleteMMS": "id",
        "setSMS": "did enable email_enabled email_address sms_forward_enable sms_forward url_callback_enable "
        "url_callback url_callback_retry webhook_enable webhook dialmode smpp_enabled smpp_url smpp_user "
        "smpp_pass sms_sipaccount_enabled sms_sipaccount",
        "getDIDsInfo": "client did",
        "getPhonebook": "phonebook name group group_name",
        "setPhonebook": "phonebook name number speed_dial callerid note group",
        "delPhonebook": "phonebook",
        "getPhonebookGroups": "group name",
        "setPhonebookGroup": "group name members",
        "delPhonebookGroup": "group",
        "getSubAccounts": "account",
        "createSubAccount": "username protocol auth_type password",
        "setSubAccount": "id",
        "delSubAccount": "id",
        "getRegistrationStatus": "account",
        "getBalance": "advanced",
    }
    for method, names in contract.items():
        used = {name for row in TABLE[method] for name in row.parameters}
        assert set(names.split()) <= used, method
