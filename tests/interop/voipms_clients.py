"""Public clients of VoIP.ms's API, driven against one host. Run as a script, in their own environment.

    voipms_clients.py LIBRARY BASE USERNAME PASSWORD DID PEER

It calls everything that the library has of what the tests are about, and prints what it was given: one JSON
object, the answers by name. All that is changed in the libraries is the host in the URL that they hold.
"""

import json
import sys
from datetime import date, timedelta
from typing import Any

HOST = "https://voip.ms"
TEXT = "Grüße aus Köln & 50 % more?"


def of_voipms(base: str, username: str, password: str, did: int, peer: int) -> dict[str, Any]:
    """`voipms`, by Ebert and Langemann."""
    from voipms.entities.accountscreate import AccountsCreate
    from voipms.entities.accountsdelete import AccountsDelete
    from voipms.entities.accountsget import AccountsGet
    from voipms.entities.didsdelete import DidsDelete
    from voipms.entities.didsget import DidsGet
    from voipms.entities.didssend import DidsSend
    from voipms.entities.didsset import DidsSet
    from voipms.entities.generalget import GeneralGet
    from voipms.voipmsclient import VoipMsClient

    client = VoipMsClient(username, password)
    client.base_url = client.base_url.replace(HOST, base)
    client.post_url = client.post_url.replace(HOST, base)
    dids = DidsGet(client)
    week = {"date_from": _ago(7), "date_to": _ago(-1)}
    found: dict[str, Any] = {
        "ip": GeneralGet(client).ip(),
        "balance": GeneralGet(client).balance(advanced=True),
        "dids": dids.dids_info(),
        "set": DidsSet(client).sms(did, True, url_callback_enable=False, url_callback_retry=True),
        "sent": DidsSend(client).sms(did, peer, TEXT),
        "received": dids.sms(sms_type=True, did=did, limit=1_000_000, timezone=-5, **week),
        "listed": dids.sms(sms_type=False, contact=peer, **week),
        "mms": DidsSend(client).mms(did, peer, "a picture", media1="https://example.net/1.jpg"),
    }
    found["deleted"] = DidsDelete(client).sms(int(found["sent"]["sms"]))
    found["left"] = _error(lambda: dids.sms(sms=int(found["sent"]["sms"])))
    found["created"] = AccountsCreate(client).sub_account(
        "one", "long-enough", 1, 1, 2, 1, 1, "default", "ulaw;g729", "auto", "yes", description="A phone"
    )
    accounts = AccountsGet(client)
    found["accounts"] = accounts.sub_accounts()
    found["registration"] = accounts.registration_status(found["created"]["account"])
    found["removed"] = AccountsDelete(client).sub_account(int(found["created"]["id"]))
    found["unknown"] = _error(lambda: DidsSend(client).sms(2025550177, peer, TEXT))
    return found


def of_voipms_api(base: str, username: str, password: str, did: int, peer: int) -> dict[str, Any]:
    """`voipms-api`, by Pineda."""
    from voipms_api import SMS, Accounts, DIDs, General

    sms, dids, general, accounts = (kind(username, password) for kind in (SMS, DIDs, General, Accounts))
    for client in (sms, dids, general, accounts):
        client.voipms_url = client.voipms_url.replace(HOST, base)
    found: dict[str, Any] = {
        "ip": general.get_ip(),
        "balance": general.get_balance(advanced=True),
        "dids": dids.get_dids_info(),
        "sent": sms.send_sms(did, peer, TEXT),
        "received": sms.get_sms(
            date_from=_ago(7), date_to=_ago(-1), type=1, did=did, limit=1_000_000, timezone=-5
        ),
        "listed": sms.get_sms(date_from=_ago(7), date_to=_ago(-1), type=0, contact=peer),
        "posted": sms.post("sendSMS", {"did": did, "dst": peer, "message": TEXT}),
        "mms": sms.post("sendMMS", {"did": did, "dst": peer, "message": "a picture", "media1": "aGVsbG8="}),
        "created": accounts.create_subaccount("two", password="long-enough", description="A phone"),
        "unknown": sms.send_sms(2025550177, peer, TEXT),
    }
    found["deleted"] = sms.get("deleteSMS", {"id": found["sent"]["sms"]})
    found["left"] = sms.get_sms(id=found["sent"]["sms"])
    found["accounts"] = accounts.get_subaccounts()
    found["updated"] = accounts.update_subaccount(found["created"]["account"], description="Another phone")
    found["removed"] = accounts.delete_subaccount(found["created"]["id"])
    return found


def _ago(days: int) -> str:
    return (date.today() - timedelta(days=days)).isoformat()


def _error(call: Any) -> Any:
    try:
        return call()
    except TypeError as error:  # what the library raises for a status that it knows
        return {"error": str(error)}


LIBRARIES = {"voipms": of_voipms, "voipms-api": of_voipms_api}


def main() -> None:
    """See the module's docstring."""
    library, base, username, password, did, peer = sys.argv[1:]
    print(json.dumps(LIBRARIES[library](base, username, password, int(did), int(peer))))


if __name__ == "__main__":
    main()
