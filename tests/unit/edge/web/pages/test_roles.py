"""What each role is shown it may use: every link is followed, every form is sent."""

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import pytest

from edge.config import SIPConfig
from storage import accounts, contacts, inventory, messages, numbers, opt_outs, sip_accounts
from storage.inventory import FreeNumber
from storage.records import DeliveryRecord, DeliveryState, PartState, Role
from storage.sip_accounts import SipAccount
from storage.tables import part
from storage.testing import InlineStore
from tests.unit.edge.conftest import PEER, START_MS, Time
from tests.unit.edge.web.harness import CHEAP, DID, PASSWORD, Browser, Scene

OTHER_PEER = "+12025550151"
ENDS_IT = {"/logout"}
NOT_FOR_THE_ROLE = (403, 404, 405)


class Controls(HTMLParser):
    """The links of a page, and its forms that change something: (action, fields, what each button adds)."""

    def __init__(self, path: str, html: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.forms: list[tuple[str, dict[str, str], list[dict[str, str]]]] = []
        self.outside: list[str] = []
        self._path = path
        self._inside = False
        self._get = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.add(urljoin(self._path, given["href"]).partition("#")[0])
        elif tag == "form":
            self._get = given.get("method") != "post"
            self._inside = not self._get
            if self._inside:
                self.forms.append((urljoin(self._path, given["action"]).partition("#")[0], {}, []))
        elif self._inside:
            self._control(tag, given)
        elif tag in ("button", "textarea") and not self._get:
            self.outside.append(f"{tag} {given}")

    def _control(self, tag: str, given: dict[str, str]) -> None:
        _, fields, buttons = self.forms[-1]
        if tag == "button" and "formmethod" not in given:
            buttons.append({given["name"]: given["value"]} if "name" in given else {})
        is_field = tag in ("input", "select", "textarea") and "name" in given
        if is_field and (given.get("type") not in ("checkbox", "radio") or "checked" in given):
            fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = self._get = False


class Actions:
    """Deliveries that do as they are told."""

    async def retry_now(self, delivery_id: int) -> bool:
        return True

    async def skip(self, delivery_id: int, why: str) -> bool:
        return True

    async def replay(self, delivery_ids: Any) -> int:
        return 1


@pytest.fixture
def scene(inline_store: InlineStore, time: Time) -> Scene:
    """An account with one of everything, and a user of each role."""
    scene = Scene(inline_store, time, deliveries=Actions())
    scene.configure(
        sip=SIPConfig(domain="sip.example.net", tls=("127.0.0.1:5061",), certificate="c", private_key="k")
    )
    mine, ids = scene.account.id, scene.store.ids.next
    failed = scene.message("mt", text="it failed")
    received = scene.message("mo", text="hello")
    with scene.store.engine.transaction() as conn:
        for role in Role:
            accounts.add_user(conn, ids, mine, role.value, CHEAP.hash(PASSWORD), START_MS, role=role)
        for number, name in ((PEER, "Ann"), (OTHER_PEER, "Bob")):
            contacts.put(conn, ids, mine, number, name, START_MS)
        contacts.add_group(conn, ids, mine, "Customers", START_MS)
        opt_outs.add(conn, ids, mine, OTHER_PEER, "sms", START_MS)
        inventory.add(conn, FreeNumber("+12025550160", "US", "", True, START_MS))
        inventory.add(conn, FreeNumber("+12025550161", "US", "", True, START_MS))
        inventory.ask(conn, mine, "+12025550161", "user:demo", START_MS)
        numbers.set_did(
            conn, ids, DID, handler="webhook", enabled=True, settings={"url": "http://127.0.0.1:9/"}
        )
        phone = SipAccount(0, mine, "ann", "sip.example.net", "x", "y", "md5", (DID,), START_MS)
        sip_accounts.add_sip_account(conn, ids, phone)
        conn.execute(part.update().where(part.c.message_id == failed.id).values(state=PartState.FAILED))
    assert received.did_id is not None
    for state in (DeliveryState.PENDING, DeliveryState.FAILED):
        duty = DeliveryRecord(
            ids(), received.id, mine, received.did_id, "webhook", "http://x/", state, 1, 0, 0, 0
        )
        scene.write([(messages.INSERT_DELIVERY, duty)])
    return scene


def reached(browser: Browser) -> dict[str, Controls]:
    """Every page that links lead to, as it is shown."""
    found: dict[str, Controls] = {}
    wanted = ["/conversations", "/messages", "/contacts", "/numbers", "/account", "/new"]
    while wanted:
        path = wanted.pop()
        if path in found or path.startswith(("/static", "/simulator")) or path == "/":
            continue
        reply = browser.get(path)
        if path == "/new" and reply.status == 403:
            continue  # it was no link
        assert reply.status == 200, f"a link leads to {path}, which is {reply.status}"
        is_page = reply.headers["content-type"].startswith("text/html")
        found[path] = Controls(path, reply.text if is_page else "")
        wanted += sorted(found[path].links)
    return found


@pytest.mark.parametrize("role", Role)
def test_what_is_shown_may_be_used(scene: Scene, role: Role) -> None:
    browser = scene.member(role.value)
    pages = reached(browser)
    token = re.search(r'name="csrf" value="([^"]+)"', browser.get("/account").text)
    assert token is not None
    refused, sent = [], 0
    for path, controls in pages.items():
        assert controls.outside == [], f"controls without a form on {path}"
        for action, fields, buttons in controls.forms:
            assert buttons, f"a form without a button on {path}"
            for button in buttons if action not in ENDS_IT else ():
                status = browser.post(action, **{**fields, **button, "csrf": token[1]}).status
                # What an earlier form took away is not there for anybody.
                gone = status == 404 and (browser.get(path).status == 404 or "number" in fields)
                if status in NOT_FOR_THE_ROLE and not gone:
                    refused.append((path, action, button, status))
                sent += 1
    assert refused == []
    assert sent > {Role.READ_ONLY: 3, Role.AGENT: 15, Role.OWNER: 30}[role], sorted(pages)


def test_who_only_looks_sees_no_composer(scene: Scene) -> None:
    reader, agent = scene.member("read-only"), scene.member("agent")
    thread, message = f"/conversations/{DID}/{PEER}", "/messages"
    for path in (thread, message, "/conversations", "/contacts", f"/numbers/{DID}"):
        shown = Controls(path, reader.get(path).text)
        assert {action for action, _, _ in shown.forms} <= {"/logout", "/keys"}, path
    assert any(action == thread for action, _, _ in Controls(thread, agent.get(thread).text).forms)
    assert "composer" not in reader.get(thread).text
    assert [reader.get(path).status for path in ("/new", "/messages/delete-all")] == [403, 403]
    assert "it failed" in reader.get(thread).text
