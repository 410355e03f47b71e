"""smpplib as a foreign ESME against the simulator."""

import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import gsm0338
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from edge.config import Secret, SimulatorConfig
from edge.simulator import Behaviour, MessageState, Simulator
from tests.interop.jsonlines import Event, JsonLinesPeer

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
PHONE, DID = "+12025550150", "+12025550100"
LONG = "A long text, sent in parts: " + "0123456789 " * 35 + "the end."
THROTTLED, TEMPORARY = 0x58, 0x64


class Esme(JsonLinesPeer):
    """The process; its waits do not hold up the reactor."""

    def __init__(self) -> None:
        super().__init__([sys.executable, "smpplib_esme.py"], HERE)

    async def until(self, event: str, **wanted: Any) -> list[Event]:
        """`wait_for`, in a thread."""
        found: list[Event] = await deferToThread(self.wait_for, event, **wanted)
        return found

    async def bind(self, port: int, kind: str = "transceiver", password: str = "secret") -> int:
        """Bind; the command_status."""
        known = len(self.matching("bound"))
        self.send("bind", port=port, kind=kind, system_id="trunk", password=password)
        status: int = (await self.until("bound", count=known + 1))[-1]["status"]
        return status

    def submit(self, text: str) -> None:
        """A text from the DID to the phone."""
        self.send("submit", ref="x", text=text, to=PHONE[1:], **{"from": DID[1:]})


@pytest.fixture
def esme() -> Iterator[Esme]:
    process = Esme()
    yield process
    process.stop()


class Sim:
    """A running simulator and its port."""

    def __init__(self, **changes: Any) -> None:
        settings: dict[str, Any] = {
            "smpp_listen": "127.0.0.1:0",
            "system_id": "trunk",
            "password": Secret("secret"),
            "phones": (PHONE,),
            "receipt_delay_seconds": 0.05,
            **changes,
        }
        self.simulator = Simulator(
            SimulatorConfig(**settings), reactor, lambda: int(time.time() * 1000), Behaviour(retry=0.05)
        )
        self.port = self.simulator.open()

    def bubbles(self) -> list[tuple[str, str, MessageState]]:
        """Direction, text and state of the phone's messages."""
        phone = self.simulator.phone(PHONE)
        assert phone is not None
        return [(str(entry.direction), entry.text, entry.state) for entry in phone.messages]


@pytest_twisted.async_yield_fixture
async def sim() -> AsyncIterator[Sim]:
    running = Sim()
    yield running
    await running.simulator.stop()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("kind", ["transceiver", "transmitter", "receiver"])
async def test_it_binds_and_leaves(sim: Sim, esme: Esme, kind: str) -> None:
    assert await esme.bind(sim.port, kind) == 0
    assert [bind.kind for bind in sim.simulator.binds()] == [kind]
    esme.send("unbind")
    (left,) = await esme.until("unbound")
    assert (left["command"], left["status"]) == ("unbind_resp", 0)


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_refused(sim: Sim, esme: Esme) -> None:
    assert await esme.bind(sim.port, password="wrong") == 0x0E
    assert sim.simulator.binds() == []


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("text", ["Hello, phone", "é{}[]~|\\^ 10 £", "line one\nline two", "مرحبا 👍🏽"])
async def test_a_short_text_is_answered_shown_and_receipted(sim: Sim, esme: Esme, text: str) -> None:
    await esme.bind(sim.port)
    esme.submit(text)
    (answer,) = await esme.until("submit_resp", status=0)
    (receipt,) = await esme.until("deliver")
    assert sim.bubbles() == [("in", text, MessageState.ARRIVED)]
    assert receipt["esm_class"] == 0x04
    assert (receipt["receipted_message_id"], receipt["message_state"]) == (answer["message_id"], 2)
    assert (receipt["from"], receipt["to"]) == (PHONE[1:], DID[1:])
    words = bytes.fromhex(receipt["octets"]).decode()
    assert words.startswith(f"id:{answer['message_id']} ")
    assert "stat:DELIVRD" in words


@pytest_twisted.ensureDeferred
async def test_a_text_in_three_parts_is_one_on_the_phone(sim: Sim, esme: Esme) -> None:
    await esme.bind(sim.port)
    esme.submit(LONG)
    answers = await esme.until("submit_resp", count=3, status=0)
    receipts = await esme.until("deliver", count=3)
    assert sim.bubbles() == [("in", LONG, MessageState.ARRIVED)]
    assert len({answer["message_id"] for answer in answers}) == 3
    assert {r["receipted_message_id"] for r in receipts} == {answer["message_id"] for answer in answers}


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("text", ["Hello, DID", "é€^{}[]~|\\", "+ & # % =", "مرحبا", "👨‍👩‍👧‍👦 👍🏽"])
async def test_a_phones_text_reaches_it_and_is_answered(sim: Sim, esme: Esme, text: str) -> None:
    await esme.bind(sim.port)
    await sim.simulator.inject(PHONE, DID, text)
    (got,) = await esme.until("deliver")
    octets = bytes.fromhex(got["octets"])
    read = octets.decode("utf-16-be") if got["data_coding"] == 8 else gsm0338.Codec().decode(octets)[0]
    assert read == text
    assert (got["from"], got["to"], got["esm_class"]) == (PHONE[1:], DID[1:], 0)
    assert sim.bubbles() == [("out", text, MessageState.DELIVERED)]


@pytest_twisted.ensureDeferred
async def test_a_phones_long_text_comes_in_parts(sim: Sim, esme: Esme) -> None:
    await esme.bind(sim.port)
    await sim.simulator.inject(PHONE, DID, LONG)
    parts = await esme.until("deliver", count=3)
    octets = [bytes.fromhex(part["octets"]) for part in parts]
    assert [part["esm_class"] for part in parts] == [0x40] * 3
    assert [(part[:3], part[4:6]) for part in octets] == [
        (b"\x05\x00\x03", bytes([3, number])) for number in (1, 2, 3)
    ]
    assert len({part[3] for part in octets}) == 1
    assert b"".join(part[6:] for part in octets).decode("ascii") == LONG


@pytest_twisted.ensureDeferred
async def test_what_it_puts_off_comes_again(sim: Sim, esme: Esme) -> None:
    await esme.bind(sim.port)
    esme.send("answer", status=TEMPORARY)
    done = sim.simulator.inject(PHONE, DID, "again")
    await esme.until("deliver", count=2)
    assert not done.called
    esme.send("answer", status=0)
    await done
    assert sim.bubbles() == [("out", "again", MessageState.DELIVERED)]


@pytest_twisted.ensureDeferred
async def test_a_text_waits_for_the_receiver_and_survives_a_cut(sim: Sim, esme: Esme) -> None:
    done = sim.simulator.inject(PHONE, DID, "patience")
    await esme.bind(sim.port, "transmitter")
    assert not done.called
    esme.send("close")
    await esme.bind(sim.port, "receiver")
    await done
    assert [part["octets"] for part in esme.matching("deliver")] == [b"patience".hex()]


@pytest_twisted.ensureDeferred
async def test_both_sides_live(sim: Sim, esme: Esme) -> None:
    await esme.bind(sim.port)
    esme.send("enquire")
    await esme.until("enquire_link_resp")


@pytest_twisted.ensureDeferred
async def test_a_throttled_submit_says_so(esme: Esme) -> None:
    sim = Sim(throttle_every=2)
    try:
        await esme.bind(sim.port)
        for text in ("one", "two", "three"):
            esme.submit(text)
        answers = await esme.until("submit_resp", count=3)
        assert [answer["status"] for answer in answers] == [0, THROTTLED, 0]
        assert [text for _, text, _ in sim.bubbles()] == ["one", "three"]
    finally:
        await sim.simulator.stop()
