import json
import re
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from edge.simulator import Behaviour
from edge.simulator.page import SimulatorPage
from edge.simulator.web import Node, site
from protocols.smpp.pdu import DeliverSm
from tests.unit.edge.simulator.esme import DID, PHONE, Scene, submit_sm

LOCAL = IPv4Address("TCP", "127.0.0.1", 8080)
NASTY = "<script>alert(1)</script>\n\"quoted\" & 'more' é€👍🏽"


class Answer:
    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        pairs = (line.partition(": ") for line in lines[1:])
        self.headers = {name.lower(): value for name, _, value in pairs}

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> "dict | list":
        found: dict | list = json.loads(self.body)
        return found


class Browser:
    """Requests to the page, over a transport in memory."""

    def __init__(self, scene: Scene | None = None, dids: tuple[str, ...] = (DID,)) -> None:
        self.scene = scene or Scene()
        root = Node()
        root.putChild(b"simulator", SimulatorPage(self.scene.simulator, lambda: dids))
        self._site: Any = site(root)
        self.peer: IPv4Address | IPv6Address = LOCAL
        self.host: IPv4Address | IPv6Address = LOCAL

    def request(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        sent = {"Host": "127.0.0.1:8080", "Connection": "close"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body:
            sent["Content-Length"] = str(len(body))
        transport: Any = StringTransport(self.host, self.peer)
        protocol = self._site.buildProtocol(self.peer)
        protocol.makeConnection(transport)
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        protocol.dataReceived(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        answer = Answer(transport.value())
        protocol.connectionLost(Failure(ConnectionDone()))
        return answer

    def get(self, target: str = "/simulator", **headers: str) -> Answer:
        return self.request("GET", target, b"", **headers)

    def form(
        self, target: str = "/simulator", headers: dict[str, str] | None = None, **fields: str
    ) -> Answer:
        kind = {"Content_Type": "application/x-www-form-urlencoded"}
        return self.request("POST", target, urlencode(fields).encode(), **kind, **(headers or {}))

    def post_json(self, body: object, kind: str = "application/json", **headers: str) -> Answer:
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", "/simulator/messages", octets, Content_Type=kind, **headers)


def bubble_texts(page: str) -> list[str]:
    return [unescape(text) for text in re.findall(r'<p class="text" dir="auto">(.*?)</p>', page, re.DOTALL)]


def test_the_page_shows_form_phones_and_that_nobody_is_bound() -> None:
    answer = Browser().get()
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f'value="{PHONE}"' in answer.text
    assert f'value="{DID}"' in answer.text
    assert "not bound" in answer.text
    assert Browser().get("/simulator/").status == 200


def test_nothing_on_the_page_needs_an_exception_from_the_policy() -> None:
    answer = Browser().get()
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", answer.text)
    for path in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        asset = Browser().get(path)
        assert asset.status == 200
        assert asset.headers["content-type"].startswith(("text/css", "text/javascript", "image/svg+xml"))
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_typed_text_is_sent_and_the_page_shown_anew() -> None:
    browser = Browser()
    link = browser.scene.bind()
    answer = browser.form(phone=PHONE, did=DID, text="hello\r\nworld")
    assert answer.status == 303
    assert answer.headers["location"] == f"/simulator?phone={quote(PHONE)}&did={quote(DID)}"
    (pdu,) = link.only(DeliverSm)
    assert pdu.short_message == b"hello\nworld"
    page = browser.get(answer.headers["location"])
    assert bubble_texts(page.text) == ["hello\nworld"]
    assert 'data-state="pending"' in page.text
    link.answer(pdu)
    assert 'data-state="delivered"' in browser.get().text


def test_texts_are_escaped_and_whole() -> None:
    browser = Browser()
    browser.scene.bind().send(submit_sm(2, NASTY.encode("utf-16-be"), data_coding=8))
    browser.get(f"/simulator/callback?text={quote(NASTY)}&{quote('<b>')}=1")
    page = browser.get().text
    assert bubble_texts(page) == [NASTY]
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert unescape(page).count(NASTY) == 2


def test_a_bad_number_is_shown_and_the_text_is_kept() -> None:
    answer = Browser().form(phone=PHONE, did="what", text="my <text>")
    assert answer.status == 422
    assert 'role="alert"' in answer.text
    assert "my &lt;text&gt;</textarea>" in answer.text


def test_a_program_sends_json() -> None:
    browser = Browser()
    answer = browser.post_json({"phone": PHONE, "did": DID, "text": "x" * 200})
    assert answer.status == 202
    body = answer.json
    assert isinstance(body, dict)
    assert (body["phone"], body["peer"], body["state"], body["parts_total"]) == (PHONE, DID, "pending", 2)
    (phone,) = browser.get("/simulator/phones").json
    assert phone["number"] == PHONE
    assert [entry["id"] for entry in phone["messages"]] == [body["id"]]


@pytest.mark.parametrize(
    "body", [b"no json", b"[]", b'{"phone": "+12025550150"}', b'{"phone": 1, "did": 2, "text": 3}']
)
def test_bad_json_is_told_as_json(body: bytes) -> None:
    browser = Browser()
    answer = browser.post_json(body)
    assert answer.status == 400
    assert "error" in answer.json
    assert browser.scene.simulator.waiting == 0


def test_json_must_be_called_json() -> None:
    assert Browser().post_json({"phone": PHONE, "did": DID, "text": "x"}, kind="text/plain").status == 415


def test_a_full_spool_is_503() -> None:
    browser = Browser(Scene(Behaviour(pending=0)))
    assert browser.post_json({"phone": PHONE, "did": DID, "text": "x"}).status == 503


def test_too_much_is_413() -> None:
    assert Browser().post_json(b"x" * 65_537).status == 413


def test_state_is_told_only_when_it_changed() -> None:
    browser = Browser()
    first = browser.get("/simulator/state").json
    assert isinstance(first, dict)
    assert first["changed"] is True
    assert [phone["number"] for phone in first["phones"]] == [PHONE]
    target = f"/simulator/state?version={first['version']}"
    assert browser.get(target).json == {"version": first["version"], "changed": False}
    browser.scene.bind()
    second = browser.get(target).json
    assert isinstance(second, dict)
    assert second["binds"] == [{"system_id": "trunk", "kind": "transceiver"}]


def test_the_view_is_the_changing_part_with_its_version() -> None:
    browser = Browser()
    browser.scene.bind().send(submit_sm(2))
    answer = browser.get("/simulator/view")
    assert bubble_texts(answer.text) == ["hello"]
    assert '<form class="compose"' not in answer.text
    assert answer.headers["x-version"] == str(browser.scene.simulator.version)


def test_callbacks_are_kept_and_answered_as_switched() -> None:
    browser = Browser()
    answer = browser.get("/simulator/callback?id=1&text=%C3%A9")
    assert (answer.status, answer.text) == (200, "ok")
    assert browser.form("/simulator/answer", answer="error").status == 303
    assert browser.get("/simulator/callback?id=2").status == 500
    assert browser.form("/simulator/answer", answer="maybe").status == 422
    state = browser.get("/simulator/state").json
    assert isinstance(state, dict)
    assert [call["query"] for call in state["callbacks"]] == [[["id", "2"]], [["id", "1"], ["text", "é"]]]
    assert [call["answered"] for call in state["callbacks"]] == ["error", "ok"]
    assert "é" in browser.get().text


def test_the_link_can_be_cut() -> None:
    browser = Browser()
    assert "/simulator/cut" not in browser.get().text
    link = browser.scene.bind()
    assert "/simulator/cut" in browser.get().text
    assert browser.form("/simulator/cut").status == 303
    assert link.transport.disconnecting


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
    ],
)
def test_another_sites_page_may_not_post(headers: dict[str, str]) -> None:
    browser = Browser()
    assert browser.form(headers=headers, phone=PHONE, did=DID, text="x").status == 403
    assert browser.post_json({"phone": PHONE, "did": DID, "text": "x"}, **headers).status == 403
    assert browser.form("/simulator/answer", headers, answer="no").status == 403
    assert browser.form("/simulator/cut", headers).status == 403
    assert browser.scene.simulator.waiting == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "same-origin"},
        {"Origin": "http://127.0.0.1:8080", "Sec_Fetch_Site": "same-origin"},
    ],
)
def test_its_own_page_and_programs_may(headers: dict[str, str]) -> None:
    assert Browser().form(headers=headers, phone=PHONE, did=DID, text="x").status == 303


@pytest.mark.parametrize(
    "target", ["/simulator", "/simulator/state", "/simulator/callback?x=1", "/simulator/view"]
)
def test_only_this_machine_may_look(target: str) -> None:
    browser = Browser()
    browser.peer = IPv4Address("TCP", "192.0.2.1", 4711)
    assert browser.get(target).status == 403
    browser.peer, browser.host = LOCAL, IPv4Address("TCP", "192.0.2.2", 8080)
    assert browser.get(target).status == 403
    assert browser.scene.simulator.callbacks.all() == []


@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:8080", "localhost.evil.example", "192.0.2.1", ""]
)
def test_a_foreign_name_that_points_here_is_refused(name: str) -> None:
    assert Browser().get(Host=name).status == 403


@pytest.mark.parametrize("name", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:8080", "sim.localhost"])
def test_the_names_of_this_machine_are_fine(name: str) -> None:
    assert Browser().get(Host=name).status == 200


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded"])
def test_a_proxy_does_not_open_it_to_others(header: str) -> None:
    assert Browser().get(**{header: "192.0.2.1"}).status == 403


def test_ipv6_loopback_is_this_machine() -> None:
    browser = Browser()
    browser.peer = browser.host = IPv6Address("TCP", "::1", 8080)
    assert browser.get(Host="[::1]:8080").status == 200
    browser.peer = IPv6Address("TCP", "2001:db8::1", 8080)
    assert browser.get(Host="[::1]:8080").status == 403


@pytest.mark.parametrize(
    "target", ["/simulator/nothing", "/simulator/static/../page.py", "/simulator/static/page.py"]
)
def test_nothing_else_is_there(target: str) -> None:
    assert Browser().get(target).status == 404


@pytest.mark.parametrize(("method", "target"), [("GET", "/simulator/messages"), ("DELETE", "/simulator")])
def test_other_methods_are_not_allowed(method: str, target: str) -> None:
    assert Browser().request(method, target).status == 405


def test_it_is_a_resource() -> None:
    assert isinstance(SimulatorPage(Scene().simulator), Resource)
