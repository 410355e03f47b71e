"""/numbers: settings, judged by the handlers; orders; giving up. And who may do what everywhere."""

import re
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from edge.handlers import Delivered, Job, Outcome
from edge.handlers.webhook import WebhookHandler
from edge.web.pages.locales import LANGUAGES
from storage import accounts, inventory, numbers
from storage.inventory import FreeNumber
from storage.records import Did, Role
from storage.testing import InlineStore
from tests.unit.edge.conftest import START_MS, Time
from tests.unit.edge.web.harness import CHEAP, DID, OTHER_DID, PASSWORD, Browser, Reply, Scene

PATH = f"/numbers/{DID}"
FREE = "+12025550199"
PAGES = (
    "/account", "/account/security", "/account/users", "/account/keys", "/account/opt-outs", "/account/usage",
    "/account/retention", "/account/log", "/numbers", PATH, "/numbers/order",
)  # fmt: skip
OWNERS = {"/account/users", "/account/keys", "/account/retention", "/account/log", "/numbers/order"}
OWN = {"/account", "/account/security"}
ELEVEN = ",".join(f"{number}@example.net" for number in range(11))


def csrf(browser: Browser, page: str = "/account") -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get(page).text)
    assert found is not None
    return found[1]


def do(browser: Browser, page: str, what: str, **fields: str) -> Reply:
    return browser.post(page, csrf=csrf(browser), do=what, **fields)


def did(scene: Scene, number: str = DID) -> Did:
    with scene.store.engine.snapshot() as conn:
        found = numbers.find_did(conn, number)
    assert found is not None
    return found


def user(scene: Scene, login: str, role: Role) -> Browser:
    with scene.store.engine.transaction() as conn:
        ids = scene.store.ids.next
        accounts.add_user(conn, ids, scene.account.id, login, CHEAP.hash(PASSWORD), START_MS, role=role)
    return scene.member(login)


def test_every_page_in_every_language(scene: Scene, member: Browser) -> None:
    titles: dict[str, set[str]] = {}
    for language in LANGUAGES:
        member.headers = {"Accept-Language": language}
        for page in PAGES:
            reply = member.get(page)
            assert reply.status == 200, (page, reply.text)
            assert f'<html lang="{language}"' in reply.text
            assert " style=" not in reply.text, "the CSP forbids it"
            titles.setdefault(page, set()).add(reply.text.partition("<main")[2])
    assert all(len(found) == len(LANGUAGES) for found in titles.values())


@pytest.mark.parametrize("role", [Role.AGENT, Role.READ_ONLY])
def test_roles_hold_on_every_page_and_form(scene: Scene, role: Role) -> None:
    browser = user(scene, "helper", role)
    token = csrf(browser)
    for page in PAGES:
        assert browser.get(page).status == (403 if page in OWNERS else 200), page
        reply = browser.post(page, csrf=token, do="x")
        agents = {"/account/opt-outs"} if role is Role.AGENT else set()
        allowed = page in OWN | agents
        if page in ("/account/usage", "/account/log"):
            continue  # no forms there
        assert reply.status == (400 if allowed else 403), page
    for page in ("/new", f"/conversations/{DID}/+447911123456"):
        sent = browser.post(page, csrf=token, from_=DID, to="+447911123456", text="x").status
        assert (sent == 303) is (role is Role.AGENT), page
    assert len(scene.outbox.drafts) == (2 if role is Role.AGENT else 0)


def test_looking_does_not_mark_as_read_for_who_may_only_look(scene: Scene) -> None:
    received = scene.message()
    page = f"/conversations/{received.did}/{received.peer}"
    reader = user(scene, "reader", Role.READ_ONLY)
    reader.get(page)
    assert "unread" in reader.get("/messages").text
    user(scene, "helper", Role.AGENT).get(page)
    assert "unread" not in reader.get("/messages?part=list").text


def test_nobody_is_there_for_another_account(member: Browser) -> None:
    for page in (
        f"/numbers/{OTHER_DID}",
        "/numbers/+19995550100",
        "/numbers/x",
        "/account/nothing",
        "/numbers/a/b",
    ):
        assert member.get(page).status == 404, page
    assert do(member, f"/numbers/{OTHER_DID}", "sms").status == 404


def test_sms_is_switched(scene: Scene, member: Browser) -> None:
    assert do(member, PATH, "sms").headers["location"] == f"{PATH}?said=saved"
    assert not did(scene).sms_enabled
    do(member, PATH, "sms", sms="on")
    assert did(scene).sms_enabled
    with scene.store.engine.transaction() as conn:
        numbers.set_carriage(conn, DID, False, None)
    reply = do(member, PATH, "sms", sms="on")
    assert (reply.status, "for calls only" in reply.text) == (409, True)
    assert "for calls only" in member.get("/numbers").text
    assert 'name="sms"' not in member.get(PATH).text


def test_a_number_that_was_just_ported_in(scene: Scene, member: Browser) -> None:
    with scene.store.engine.transaction() as conn:
        numbers.set_carriage(conn, DID, True, scene.time.wall_ms())
    assert "ready by" in member.get("/numbers").text
    assert "may still go to the provider before" in member.get(PATH).text
    scene.time.advance(48 * 3600)
    member = scene.member()
    assert "ready by" not in member.get("/numbers").text


def test_each_handler_judges_its_own_settings(scene: Scene, member: Browser) -> None:
    good = {"callback": "on", "callback_url": "http://example.net/?t={MESSAGE}", "callback_retry": "on"}
    assert do(member, PATH, "handler", handler="callback", **good).status == 303
    setting = did(scene).handlers["callback"]
    assert (setting.enabled, setting.settings["url"], setting.settings["retry"]) == (
        True, good["callback_url"], True,
    )  # fmt: skip
    bad = do(member, PATH, "handler", handler="callback", callback="on", callback_url="http://e.net/{NAME}")
    assert bad.status == 422
    assert "is not a variable" in bad.text
    assert "{NAME}" in bad.text, "as it was written"
    member.headers["Accept-Language"] = "fr"
    for what in ("handler", "test"):
        said = do(
            member, PATH, what, handler="callback", callback="on", callback_url="http://e.net/{NAME}"
        ).text
        (own,) = re.findall(r'Écrivez [^<]* Le serveur dit, en anglais : <q lang="en">([^<]*)</q>', said)
        assert "{NAME} is not a variable" in own
    del member.headers["Accept-Language"]
    assert 'id="callback_url-problem"' in bad.text
    assert did(scene).handlers["callback"] == setting
    empty = do(member, PATH, "handler", handler="email", email="on", email_to="")
    assert (empty.status, "Fill this in" in empty.text) == (422, True)
    assert do(member, PATH, "handler", handler="email", email="on", email_to="a@example.net").status == 303
    forward = {
        "forward": "on",
        "forward_to": "(202) 555-0150",
        "forward_two_way": "on",
        "forward_untagged": "ask",
    }
    assert do(member, PATH, "handler", handler="forward", **forward).status == 303
    assert did(scene).handlers["forward"].settings == {
        "to": "+12025550150",
        "two_way": True,
        "prefix": False,
        "untagged": "ask",
    }
    assert do(member, PATH, "handler", handler="callback", callback_url="").status == 303
    assert not did(scene).handlers["callback"].enabled


def test_no_customer_sends_through_the_operators_trunks(member: Browser) -> None:
    assert do(member, PATH, "handler", handler="trunk", trunk="on", trunk_name="x").status == 404
    assert do(member, PATH, "handler", handler="portal").status == 404, "on it stays"
    assert do(member, PATH, "handler", handler="nothing").status == 404


def test_a_key_is_shown_once_and_rotated(scene: Scene, member: Browser) -> None:
    do(member, PATH, "handler", handler="webhook", webhook="on", webhook_url="http://example.net/")
    shown = []
    for _ in range(2):
        page = do(member, PATH, "secret-new", handler="webhook")
        found = re.search(r"<code>(whsec_[^<]+)</code>", page.text)
        assert found is not None
        shown.append(found[1])
    assert did(scene).handlers["webhook"].settings["secrets"] == shown[::-1]
    assert not any(key in member.get(PATH).text for key in shown)
    assert do(member, PATH, "secret-retire", handler="webhook").status == 200
    assert did(scene).handlers["webhook"].settings["secrets"] == shown[1:]
    assert do(member, PATH, "secret-new", handler="email").status == 404


class Posting(WebhookHandler):
    """Answers at once."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def deliver(self, job: Job) -> "Deferred[Outcome]":
        self.jobs.append(job)
        return succeed(Delivered("ok", 204, "<b>thanks</b>"))


def test_the_test_button(inline_store: InlineStore, time: Time) -> None:
    posting = Posting()
    more: dict[str, Any] = {"handlers": {"webhook": posting}}
    scene = Scene(inline_store, time, **more)
    member = scene.member()
    assert 'value="test"' in member.get(PATH).text, "it can be tried before it is saved"
    empty = do(member, PATH, "test", handler="webhook")
    assert (empty.status, 'id="webhook_url-problem"' in empty.text) == (422, True)
    wrong = do(member, PATH, "test", handler="webhook", webhook_url="ftp://example.net/")
    assert (wrong.status, 'value="ftp://example.net/"' in wrong.text) == (422, True)
    saved = {"webhook_url": "http://example.net/hook", "webhook": "on"}
    do(member, PATH, "handler", handler="webhook", **saved)
    page = do(member, PATH, "test", handler="webhook", **saved)
    assert (page.status, "The test was delivered." in page.text) == (200, True)
    assert ("&lt;b&gt;thanks&lt;/b&gt;" in page.text, "is not saved yet" in page.text) == (True, False)
    page = do(member, PATH, "test", handler="webhook", webhook_url="http://example.net/other")
    assert ("is not saved yet" in page.text, 'value="http://example.net/other"' in page.text) == (True, True)
    assert [job.delivery.target for job in posting.jobs] == [
        "http://example.net/hook",
        "http://example.net/other",
    ]
    assert 'value="http://example.net/hook"' in member.get(PATH).text
    assert do(member, PATH, "test", handler="forward", forward_to="+12025550199").status == 409


def offer(scene: Scene, *offers: FreeNumber) -> None:
    with scene.store.engine.transaction() as conn:
        for item in offers:
            inventory.add(conn, item)


def test_a_number_is_ordered_and_waits(scene: Scene, member: Browser) -> None:
    offer(
        scene,
        FreeNumber(FREE, "US", "Washington", True, START_MS),
        FreeNumber("+33123456789", "FR", "Paris", False, START_MS),
    )
    page = member.get("/numbers/order?country=FR").text
    assert ("+33123456789" in page, FREE in page) == (True, False)
    assert "France" in page
    assert FREE in member.get("/numbers/order?sms=yes&region=Washington").text
    assert do(member, "/numbers/order", "order", number=FREE).headers["location"] == "/numbers?said=asked"
    assert FREE in member.get("/numbers").text
    again = do(scene.member("other"), "/numbers/order", "order", number=FREE)
    assert (again.status, "not to be had any more" in again.text) == (409, True)
    assert do(member, "/numbers", "cancel", number=FREE).status == 303
    assert do(member, "/numbers", "cancel", number=FREE).status == 404


def test_a_number_is_given_up_by_who_writes_it(
    scene: Scene, member: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge.policy import geography

    monkeypatch.setattr(geography, "region_of", lambda number: "Washington D.C.")
    assert do(member, PATH, "release", number="yes").status == 422
    assert do(member, PATH, "release", number=DID).headers["location"] == "/numbers?said=given-up"
    assert member.get(PATH).status == 404
    with scene.store.engine.snapshot() as conn:
        free = inventory.find(conn, DID)
    assert free is not None
    assert (free.country, free.region, free.account_id) == ("US", "Washington D.C.", None)


@pytest.mark.parametrize(
    ("language", "handler", "written", "said"),
    [
        ("en", "forward", DID, "+12025550100 is the number itself; give a phone&#39;s."),
        ("fr", "forward", DID, "Écrivez le numéro complet d’un autre téléphone, comme +12025550150."),
        (
            "en",
            "email",
            ",".join(f"{number}@example.net" for number in range(11)),
            ">Expected 1 to 10 addresses.",
        ),
        ("es", "email", "100%", "Escriba direcciones de correo, diez como máximo, separadas por comas."),
    ],
)
def test_a_setting_that_cannot_be_is_told_in_the_readers_language(
    member: Browser, language: str, handler: str, written: str, said: str
) -> None:
    member.headers["Accept-Language"] = language
    given = {handler: "on", f"{handler}_to": written}
    reply = member.post(PATH, csrf=csrf(member), do="handler", handler=handler, **given)
    assert reply.status == 422
    assert said in reply.text
