"""/account/phones: a phone is added, its QR code leads to settings without a password, and it goes again."""

import re
from xml.etree import ElementTree

import pytest

from edge.config import SIPConfig
from edge.sip import provisioning
from protocols.sip.digest import Algorithm
from storage import numbers, sip_accounts
from storage.sip_accounts import SipAccount
from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.web.harness import DID, OTHER_DID, Browser, Reply, Scene

PATH = "/account/phones"


@pytest.fixture
def scene(inline_store: InlineStore, time: Time) -> Scene:
    made = Scene(inline_store, time)
    made.configure(
        sip=SIPConfig(domain="sip.example.net", tls=("127.0.0.1:5061",), certificate="c", private_key="k")
    )
    return made


def do(browser: Browser, page: str, what: str, **fields: str) -> Reply:
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get("/account").text)
    assert found is not None
    return browser.post(page, csrf=found[1], do=what, **fields)


def phones(scene: Scene) -> list[SipAccount]:
    with scene.store.engine.snapshot() as conn:
        return sip_accounts.list_sip_accounts(conn, scene.account.id)


def test_a_phone_from_its_beginning_to_its_end(scene: Scene, member: Browser) -> None:
    page = do(member, PATH, "add", username="ann", did=DID, digest="md5")
    assert page.status == 200, page.text
    shown = re.search(r"shown only now: <code>([\w-]{16})</code>", page.text)
    assert shown is not None
    (phone,) = phones(scene)
    assert phone.ha1_md5 == Algorithm.MD5.ha1("ann", "sip.example.net", shown[1])
    with scene.store.engine.snapshot() as conn:
        did = numbers.find_did(conn, DID)
    assert did is not None
    assert did.handlers["sip"].settings == {"aor": "sip:ann@sip.example.net"}
    here = f"{PATH}/{phone.id}"
    assert shown[1] not in member.get(here).text
    assert "sip.example.net:5061" in member.get(here).text
    assert f'value="{phone.aor}" selected' in member.get(f"/numbers/{DID}").text
    fresh = do(member, here, "password")
    assert phones(scene)[0].ha1_md5 != phone.ha1_md5
    assert "shown only now" in fresh.text
    assert do(member, here, "save").status == 422, "without a number"
    assert do(member, here, "save", did=OTHER_DID).status == 404, "another account's"
    assert do(member, here, "save", did=DID, digest="both").status == 303
    assert phones(scene)[0].digest == "both"
    assert do(member, here, "remove").status == 303
    assert phones(scene) == []
    assert member.get(here).status == 404


def test_linphone_fetches_its_settings(scene: Scene, member: Browser) -> None:
    do(member, PATH, "add", username="ann", did=DID)
    (phone,) = phones(scene)
    page = do(member, f"{PATH}/{phone.id}", "qr").text
    assert "<svg" in page
    address = re.search(r"<code>http://127.0.0.1:8080(/phone/[\w-]{32})</code>", page)
    assert address is not None
    assert scene.browser().get(address[1], "HEAD").status == 200
    reply = scene.browser().get(address[1])
    assert (reply.status, reply.headers["content-type"]) == (200, "application/xml")
    assert scene.browser().get(address[1]).status == 404, "once"
    assert reply.headers["cache-control"] == "no-store"
    entries = {
        entry.get("name"): entry.text
        for entry in ElementTree.fromstring(reply.body).iter()
        if entry.get("name")
    }
    assert entries["ha1"] == phone.ha1_md5
    assert entries["reg_proxy"] == "<sip:sip.example.net:5061;transport=tls>"
    assert (entries["realm"], entries["algorithm"]) == ("sip.example.net", "MD5")
    page = do(member, f"{PATH}/{phone.id}", "qr").text
    address = re.search(r"<code>http://127.0.0.1:8080(/phone/[\w-]{32})</code>", page)
    assert address is not None
    scene.time.advance(provisioning.SECONDS)
    assert scene.browser().get(address[1]).status == 404, "too late"
    assert scene.browser().get("/phone/nothing").status == 404


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"username": "a b", "did": DID}, "username"),
        ({"username": "", "did": DID}, "username"),
        ({"username": "ann"}, "did"),
    ],
)
def test_a_phone_that_cannot_be(member: Browser, fields: dict[str, str], field: str) -> None:
    reply = do(member, PATH, "add", **fields)
    assert (reply.status, f'id="{field}-problem"' in reply.text) == (422, True)


def test_phones_of_others(scene: Scene, member: Browser) -> None:
    do(member, PATH, "add", username="ann", did=DID)
    (phone,) = phones(scene)
    stranger = scene.member("other")
    assert do(stranger, PATH, "add", username="ann", did=OTHER_DID).status == 409
    for what in ("qr", "password", "remove"):
        assert do(stranger, f"{PATH}/{phone.id}", what).status == 404
    assert phones(scene) == [phone]


def test_without_a_sip_side(inline_store: InlineStore, time: Time) -> None:
    member = Scene(inline_store, time).member()
    assert "no SIP side" in member.get(PATH).text
    assert do(member, PATH, "add", username="ann", did=DID).status == 404


def test_tokens_are_bounded() -> None:
    tokens = provisioning.Tokens(lambda: 0.0)
    first = tokens.issue(1, 2)
    for _ in range(provisioning.MAX_TOKENS):
        tokens.issue(1, 2)
    assert tokens.find(first) is None
