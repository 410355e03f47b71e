"""Two accounts: by the other's ids, names and numbers one sees and changes nothing."""

import json
from typing import Any

from edge.web.voipms.methods import METHODS
from tests.unit.edge.voipms.test_table import furnished
from tests.unit.edge.voipms.world import World

# For each method what would show or change something of `demo`'s, if it could.
PROBES: dict[str, list[dict[str, str]]] = {
    "sendSMS": [{"did": "2025550100", "dst": "2025550177", "message": "x"}],
    "sendMMS": [{"did": "2025550100", "dst": "2025550177", "message": "x"}],
    "getSMS": [{}, {"sms": "{sms}"}, {"did": "2025550100"}, {"contact": "2025550199", "all_messages": "1"}],
    "getMMS": [{}, {"mms": "{mms}"}, {"all_messages": "1", "limit": "1000000"}],
    "getMediaMMS": [{"id": "{media}"}],
    "deleteSMS": [{"id": "{sms}"}],
    "deleteMMS": [{"id": "{mms}"}],
    "getResellerSMS": [{"client": "{account}"}],
    "getResellerMMS": [{"client": "{account}"}],
    "setSMS": [
        {"did": "2025550100", "enable": "0"},
        {"did": "2025550177", "enable": "1", "sms_sipaccount": "mine"},
    ],
    "getDIDsInfo": [{}, {"did": "2025550100"}, {"client": "mine"}, {"client": "{account}"}],
    "getPhonebook": [
        {},
        {"phonebook": "{entry}"},
        {"group": "{group}"},
        {"group_name": "Work"},
        {"name": "Jane"},
    ],
    "setPhonebook": [
        {"phonebook": "{entry}", "name": "Mine now", "number": "2025550150"},
        {"name": "Mine now", "number": "2025550150", "group": "{group}"},
    ],
    "delPhonebook": [{"phonebook": "{entry}"}],
    "getPhonebookGroups": [{}, {"group": "{group}"}, {"name": "Work"}],
    "setPhonebookGroup": [
        {"group": "{group}", "name": "Mine now"},
        {"name": "Mine now", "members": "{entry}"},
    ],
    "delPhonebookGroup": [{"group": "{group}"}],
    "getSubAccounts": [{}, {"account": "mine"}, {"account": "{phone}"}, {"account": "{account}"}],
    "createSubAccount": [
        {
            "username": "x",
            "protocol": "1",
            "auth_type": "1",
            "password": "long-enough",
            "callerid_number": "2025550100",
        }
    ],
    "setSubAccount": [{"id": "{phone}", "password": "long-enough"}],
    "delSubAccount": [{"id": "{phone}"}],
    "getRegistrationStatus": [{"account": "mine"}],
    "getBalance": [{}],
    "getIP": [{}],
}
MARKS = ("2025550100", "2025550101", "Jane Smith", "Work", "a picture", "mine", "1.jpg")


def dump(world: World, account_id: int) -> list[Any]:
    """Everything that the account has."""
    with world.store.engine.snapshot() as conn:
        tables = ("message", "contact", "contact_group", "did", "sip_account", "media", "phonebook_entry")
        return [
            conn.exec_driver_sql(f"SELECT * FROM {table} WHERE account_id = {account_id} ORDER BY 1").all()
            for table in tables
        ] + [conn.exec_driver_sql("SELECT * FROM handler_setting ORDER BY 1").all()]


def test_every_method_is_probed() -> None:
    assert PROBES.keys() == METHODS.keys()


def test_nothing_of_one_account_shows_to_the_other_or_is_changed_by_it(world: World) -> None:
    ids = {**furnished(world), "account": str(world.account.id)}
    before = dump(world, world.account.id)
    secret = {ids[name] for name in ("sms", "sent", "mms", "media", "entry", "group", "phone")}
    for method, probes in PROBES.items():
        for probe in probes:
            given = {name: ids[value[1:-1]] if value[:1] == "{" else value for name, value in probe.items()}
            answer = world.call(method, login="other", **given)
            written = json.dumps({name: value for name, value in answer.items() if name != "message"})
            for mark in (*MARKS, *secret):
                assert mark not in written, (method, probe, answer)
    assert dump(world, world.account.id) == before
