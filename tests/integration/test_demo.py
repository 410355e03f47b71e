"""`trunkline demo` as a newcomer meets it: a phone texts a DID, a page is called, the answer comes back."""

import json
import re
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from tests.server import until
from tests.sink import Sink
from tests.texts import TEXTS

pytestmark = pytest.mark.integration

TRUNKLINE = Path(sys.executable).parent / "trunkline"
DID, PHONE = "+12025550100", "+12025550150"
TEMPLATE = "/cb?id={ID}&at={TIMESTAMP}&from={FROM}&to={TO}&text={MESSAGE}"


@dataclass(frozen=True)
class Demo:
    """A running demo: what its welcome said."""

    folder: Path
    base: str
    password: str
    key: str

    def call(self, path: str, body: object = None) -> Any:
        """JSON of the API or the simulator."""
        request = urllib.request.Request(self.base + path)
        request.add_header("Authorization", f"Bearer {self.key}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def text(self, text: str) -> None:
        """As the simulated phone."""
        self.call("/simulator/messages", {"phone": PHONE, "did": DID, "text": text})

    def received(self) -> list[dict[str, Any]]:
        """The messages from the phone, newest first."""
        return list(self.call("/v1/messages?direction=mo")["messages"])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """In an empty folder; ended as by Ctrl-C."""
    folder = tmp_path_factory.mktemp("demo")
    output = folder / "output"
    with output.open("wb") as out:
        process = subprocess.Popen(
            [str(TRUNKLINE), "demo"], cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:

        def welcome() -> "re.Match[str] | None":
            assert process.poll() is None, output.read_text()
            pattern = r"Portal +(\S+)/ .*password (\S+)\n.*\nAPI key +(\S+)\n"
            return re.search(pattern, output.read_text()) if "is up after" in output.read_text() else None

        found = until(welcome, "the welcome")
        yield Demo(folder, found[1], found[2], found[3])
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(60)
    assert status == 0


def test_only_loopback_is_listened_on(demo: Demo) -> None:
    config = (demo.folder / "var" / "demo.toml").read_text()
    listens = re.findall(r'^\w*listen = "(.+):\d+"$', config, re.MULTILINE)
    assert listens == ["127.0.0.1", "127.0.0.1"]


def test_a_text_is_stored_and_handed_to_the_page_byte_for_byte(demo: Demo) -> None:
    sink = Sink()
    try:
        setting = f"callback_url={sink.url}{TEMPLATE}"
        command = [str(TRUNKLINE), "did", "set", DID, setting, "-c", "var/demo.toml"]
        subprocess.run(command, cwd=demo.folder, check=True, timeout=60, stdout=subprocess.DEVNULL)
        until(lambda: called(demo, sink), "the new address is in force")
        for text in TEXTS.values():
            sink.targets.clear()
            demo.text(text)
            until(lambda: sink.targets, f"the callback of {text!r}")
            (query,) = sink.queries()
            stored = demo.received()[0]
            assert query == {
                "id": str(stored["id"]),
                "at": stored["created_at"][:19].replace("T", " "),
                "from": PHONE[2:],
                "to": DID[2:],
                "text": text,
            }
            assert stored["text"] == text
    finally:
        sink.close()


def called(demo: Demo, sink: Sink) -> bool:
    """A running server sees a changed DID within a second or so."""
    before = len(demo.received())
    demo.text("is it there?")
    until(lambda: len(demo.received()) > before, "the text is stored")
    delivered = until(lambda: demo.received()[0]["deliveries"][0]["state"] == "delivered", "delivered")
    return bool(delivered and sink.targets)


def test_log_in_read_and_answer_as_a_person(demo: Demo) -> None:
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def page(path: str, **form: str) -> str:
        data = urllib.parse.urlencode(form).encode() if form else None
        with browser.open(demo.base + path, data, timeout=30) as response:
            return str(response.read().decode())

    def field(html: str, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', html)
        assert found is not None, html
        return found[1]

    demo.text("Good morning")
    until(lambda: demo.received() and demo.received()[0]["text"] == "Good morning", "the text is stored")
    token = field(page("/login"), "token")
    listed = page("/login", login="demo", password=demo.password, token=token, next="/messages")
    assert "Good morning" in listed
    conversation = f"/conversations/{DID}/{PHONE}"
    csrf = field(page(conversation), "csrf")
    assert "And to you 👋" in page(conversation, csrf=csrf, text="And to you 👋")

    def phone() -> list[str]:
        (mine,) = [phone for phone in demo.call("/simulator/phones") if phone["number"] == PHONE]
        return [message["text"] for message in mine["messages"]]

    until(lambda: "And to you 👋" in phone(), "the answer is on the phone")
    sent = demo.call("/v1/messages?direction=mt")["messages"][0]
    until(lambda: demo.call(f"/v1/messages/{sent['id']}")["status"] == "delivered", "the receipt")
