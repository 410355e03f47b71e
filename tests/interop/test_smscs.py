"""The whole server against foreign SMSCs: every library through the same scenarios.

What a library cannot do: smpp34's server shows no password and has no way to end a connection but unbind, so
it refuses no bind, and its link is cut by starting it anew. What npm `smpp` does beyond is in `test_server`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop import wire
from tests.interop.jsonlines import Event
from tests.interop.smscs import STARTERS, part_number, text_of
from tests.interop.wire import Recorder
from tests.provision import KEY, provision
from tests.server import Server, until
from tests.sink import Sink

pytestmark = pytest.mark.interop

DID, PHONE = "12025550100", "12025550150"
LONG = "A long text, sent in parts: " + "0123456789 " * 35 + "the end."
THROTTLED = 0x58
UNBIND, UNBIND_RESP = 0x06, 0x80000006
UNICODE = "مرحبا 👍🏽 & # % ="
RUN = {
    0x09,
    0x80000009,
    0x04,
    0x80000004,
    0x05,
    0x80000005,
}  # bind_transceiver, submit_sm, deliver_sm, and responses


@dataclass(frozen=True, slots=True)
class Rig:
    """A foreign SMSC, the server bound to it through a recorder, and a sink for its callbacks."""

    name: str
    smsc: Any
    server: Server
    recorder: Recorder
    sink: Sink

    def send(self, text: str) -> int:
        """The DID writes to the phone; the id of the message."""
        body = {"from": f"+{DID}", "to": f"+{PHONE}", "text": text}
        status, answer = self.server.call("POST", "/v1/messages", body, KEY)
        assert status == 202, answer
        return int(answer["id"])

    def status(self, identity: int) -> str:
        """Where a message is."""
        status, body = self.server.call("GET", f"/v1/messages/{identity}", key=KEY)
        assert status == 200
        return str(body["status"])

    def delivered(self, *identities: int) -> None:
        """Wait until the phone has all of them."""
        until(lambda: all(self.status(identity) == "delivered" for identity in identities), "the receipts")

    def submitted(self, text: str, parts: int = 1) -> list[Event]:
        """The accepted submit_sm of a text."""

        def found() -> list[Event]:
            seen = [event for event in self.smsc.matching("submit", status=0) if text_of(event) in text]
            return seen if len(seen) >= parts else []

        answer: list[Event] = self.smsc.wait_until(found, f"{parts} submit_sm of {text[:40]!r}")
        return answer

    def called_back(self, text: str) -> None:
        """Wait until the DID's callback has been told of a text, whole."""
        until(lambda: text in [query["text"] for query in self.sink.queries()], "the callback")


@pytest.fixture(scope="module", params=sorted(STARTERS))
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp(request.param)
    store_url = f"sqlite:///{folder / 'store.db'}"
    sink = Sink()
    provision(store_url, [f"+{DID}"], {"url": f"{sink.url}/cb?text={{MESSAGE}}", "retry": True})
    with STARTERS[request.param]() as smsc:
        recorder = Recorder(smsc.port)
        smsc.settings(receipts=True)
        server = Server(folder, store_url, recorder.port)
        server.start()
        yield Rig(request.param, smsc, server, recorder, sink)
        assert server.stop() == 0
        recorder.close()
    sink.close()


def test_it_accepts_our_bind(rig: Rig) -> None:
    rig.smsc.wait_for("bind", system_id="trunk", status=0)


@pytest.mark.parametrize("text", ["Hello, phone", UNICODE])
def test_a_short_mt_is_submitted_and_receipted(rig: Rig, text: str) -> None:
    identity = rig.send(text)
    (submit,) = rig.submitted(text)
    assert text_of(submit) == text
    assert (submit["from"].lstrip("+"), submit["to"].lstrip("+")) == (DID, PHONE)
    rig.delivered(identity)


def test_a_long_mt_goes_in_three_parts_each_receipted(rig: Rig) -> None:
    identity = rig.send(LONG)
    submits = sorted(rig.submitted(LONG, 3), key=part_number)
    assert [part_number(submit) for submit in submits] == [1, 2, 3]
    assert "".join(text_of(submit) for submit in submits) == LONG
    rig.delivered(identity)


@pytest.mark.parametrize("text", ["Hello, DID", UNICODE, LONG.replace("A long", "Another long")])
def test_an_mo_is_answered_and_called_back_whole(rig: Rig, text: str) -> None:
    ref = f"mo {text[:5]}"
    rig.smsc.mo(PHONE, DID, text, ref=ref)
    rig.smsc.wait_for("answered", ref=ref, count=3 if text.startswith("Another") else 1, status=0)
    rig.called_back(text)


def test_what_it_throttles_is_sent_again(rig: Rig) -> None:
    rig.smsc.settings(throttle_every=2)
    try:
        texts = [f"number {number}" for number in range(4)]
        identities = [rig.send(text) for text in texts]
        rig.delivered(*identities)
    finally:
        rig.smsc.settings(throttle_every=0)
    rig.smsc.wait_for("submit", status=THROTTLED)
    assert all(len(rig.submitted(text)) == 1 for text in texts)


def test_a_cut_link_is_bound_again(rig: Rig) -> None:
    binds = len(rig.smsc.matching("bind", status=0))
    rig.smsc.send("cut")
    rig.smsc.wait_for("bind", count=binds + 1, status=0)
    identity = rig.send("after the cut")
    rig.delivered(identity)
    rig.smsc.mo(PHONE, DID, "after the cut, to the DID", ref="cut")
    rig.called_back("after the cut, to the DID")


def test_a_whole_run_is_clean_on_the_wire(rig: Rig, tmp_path: Path) -> None:
    wire.require_tshark()
    text = "On the wire. " + LONG
    identity = rig.send(text)
    rig.smsc.mo(PHONE, DID, text, ref="wire")
    rig.called_back(text)
    rig.delivered(identity)
    pcap = tmp_path / "run.pcap"
    rig.recorder.save(pcap)
    assert wire.complaints(pcap, rig.recorder.port) == []
    assert wire.commands(pcap, rig.recorder.port) >= RUN


def test_it_lets_us_go_and_come_back(rig: Rig, tmp_path: Path) -> None:
    wire.require_tshark()
    assert rig.server.stop() == 0
    rig.recorder.drain()
    rig.recorder.save(tmp_path / "run.pcap")
    passed = wire.commands(tmp_path / "run.pcap", rig.recorder.port)
    assert UNBIND in passed
    if rig.name != "smpp34":  # which answers, or closes before its answer has left
        assert UNBIND_RESP in passed
    rig.server.start()
