"""Foreign ESMEs against the simulator, the server side of our SMPP: every library through the same scenarios.

What a library cannot do: node, smpplib and smpp34 leave it to their user to bind anew and to send again what
was throttled; aiosmpplib binds anew by itself but does not send again; Kannel does both. aiosmpplib and
Kannel tell of whole texts only, and Kannel of no message id. aiosmpplib, smpp34 and Kannel answer each
deliver_sm themselves, always with ESME_ROK. smpp34 does not read the answer to a refused bind, which has no
body, and waits for it in vain.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from edge.config import Secret, SimulatorConfig
from edge.simulator import Behaviour, MessageState, Simulator, SimulatorStopped
from edge.simulator.waiting import Arrivals
from protocols.smpp.errors import CommandStatus
from tests.interop import wire
from tests.interop.esmes import LIBRARIES, PASSWORD, SYSTEM_ID, Esme, Library, text_of
from tests.interop.jsonlines import Event

pytestmark = pytest.mark.interop

PHONE, DID = "12025550150", "12025550100"
LONG = "A long text, sent in parts: " + "0123456789 " * 35 + "the end."
TEXTS = ["Hello, there", "é{}[]~|\\^ 10 £", "line one\nline two", "مرحبا 👍🏽", "👨‍👩‍👧‍👦 & # % ="]
RECEIPT = 0x04
DELIVERED = 2
UNREAD = -1
PATIENCE_SECONDS = 20.0
UDHI = 0x40
RUN = {
    0x09,
    0x80000009,
    0x04,
    0x80000004,
    0x05,
    0x80000005,
    0x06,
    0x80000006,
}  # bind_transceiver, submit_sm, deliver_sm, unbind, and their responses
BY_NAME = {library.name: library for library in LIBRARIES}

every_library = pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)


def some(*names: str) -> pytest.MarkDecorator:
    """The libraries that can."""
    return pytest.mark.parametrize("library", [BY_NAME[name] for name in names], ids=names)


@pytest.fixture
def esme(library: Library) -> Iterator[Esme]:
    library.require()
    process = Esme(library)
    yield process
    process.stop()


class Sim:
    """A running simulator and its port."""

    def __init__(self, **changes: Any) -> None:
        settings: dict[str, Any] = {
            "smpp_listen": "127.0.0.1:0",
            "system_id": SYSTEM_ID,
            "password": Secret(PASSWORD),
            "phones": (f"+{PHONE}",),
            "receipt_delay_seconds": 0.05,
            **changes,
        }
        clock: Any = reactor
        self.simulator = Simulator(
            SimulatorConfig(**settings), clock, lambda: int(time.time() * 1000), Behaviour(retry=0.05)
        )
        self.port = self.simulator.open()
        self._arrivals: Arrivals[None] = Arrivals(clock)
        self.simulator.listen(self._arrivals.check)

    def bubbles(self) -> list[tuple[str, str, MessageState]]:
        """Direction, text and state of the phone's messages."""
        phone = self.simulator.phone(f"+{PHONE}")
        assert phone is not None
        return [(str(entry.direction), entry.text, entry.state) for entry in phone.messages]

    def texts(self) -> list[str]:
        """The texts that reached the phone whole."""
        return [text for _, text, state in self.bubbles() if state is MessageState.ARRIVED]

    async def arrived(self, count: int) -> None:
        """Wait for whole texts on the phone."""
        await self.until(lambda: len(self.texts()) >= count, f"{count} texts")

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something that shows in the simulator."""
        await self._arrivals.until(lambda _: condition(), what, PATIENCE_SECONDS)

    async def inject(self, text: str) -> None:
        """The phone writes to the DID; returns when the ESME has acknowledged all of it."""
        await self.injected(text)

    def injected(self, text: str) -> "Deferred[None]":
        """`inject`, to be waited for later."""
        done = self.simulator.inject(f"+{PHONE}", f"+{DID}", text)
        clock: Any = reactor
        return done.addTimeout(PATIENCE_SECONDS, clock)


@pytest_twisted.async_yield_fixture
async def sim() -> AsyncIterator[Sim]:
    running = Sim()
    yield running
    await running.simulator.stop()


def receipts(esme: Esme) -> list[Event]:
    return esme.matching("deliver", esm_class=RECEIPT)


async def receipted(esme: Esme, count: int) -> list[Event]:
    """The receipts, and the answers that they are about, of ``count`` parts."""
    seen = 1 if esme.library.whole else count
    answers = await esme.until("submit_resp", seen, status=0)
    found = await esme.until("deliver", seen, esm_class=RECEIPT, message_state=DELIVERED)
    ids = {answer["message_id"] for answer in answers} - {None}
    if esme.library.name != "kannel":
        assert {receipt["receipted_message_id"] for receipt in found} >= ids
        assert len(ids) == seen
    assert {(found["from"], found["to"]) for found in found} == {(PHONE, DID)}
    return found


async def texts_from_phones(esme: Esme, texts: int, parts: int) -> list[Event]:
    """The deliver_sm that are no receipts, once there are ``parts`` of them, or ``texts`` whole ones."""
    seen = texts if esme.library.whole else parts

    def enough() -> list[Event]:
        found = [event for event in esme.matching("deliver") if event["esm_class"] != RECEIPT]
        return found if len(found) >= seen else []

    found: list[Event] = await deferToThread(esme.wait_until, enough, f"{seen} texts")
    assert {(event["from"].lstrip("+"), event["to"].lstrip("+")) for event in found} == {(PHONE, DID)}
    return found


# Every library


@pytest_twisted.ensureDeferred
@every_library
async def test_it_binds_and_leaves_in_order(sim: Sim, esme: Esme) -> None:
    assert await esme.bind(sim.port) == 0
    assert [bind.kind for bind in sim.simulator.binds()] == ["transceiver"]
    esme.send("unbind")
    await esme.until("unbound")
    await sim.until(lambda: sim.simulator.binds() == [], "the end of the bind")


@pytest_twisted.ensureDeferred
@every_library
async def test_a_wrong_password_is_refused(sim: Sim, esme: Esme) -> None:
    status = await esme.bind(sim.port, password="wrong")
    assert status == (UNREAD if esme.library.name == "smpp34" else CommandStatus.ESME_RINVPASWD)
    assert sim.simulator.binds() == []


@pytest_twisted.ensureDeferred
@every_library
async def test_its_texts_are_answered_shown_and_receipted(sim: Sim, esme: Esme) -> None:
    await esme.bind(sim.port)
    for count, text in enumerate(TEXTS, start=1):
        esme.submit(DID, PHONE, text)
        await sim.arrived(count)
    assert sim.texts() == TEXTS
    await esme.until("submit_resp", len(TEXTS), status=0)
    found = await esme.until("deliver", len(TEXTS), esm_class=RECEIPT, message_state=DELIVERED)
    assert {(receipt["from"], receipt["to"]) for receipt in found} == {(PHONE, DID)}


@pytest_twisted.ensureDeferred
@every_library
async def test_its_text_in_three_parts_is_one_on_the_phone(sim: Sim, esme: Esme) -> None:
    await esme.bind(sim.port)
    esme.submit(DID, PHONE, LONG)
    await sim.until(lambda: sim.texts() == [LONG], "the whole text")
    phone = sim.simulator.phone(f"+{PHONE}")
    assert phone is not None
    assert phone.messages[0].parts_total == 3
    await receipted(esme, 3)


@pytest_twisted.ensureDeferred
@every_library
async def test_it_reads_a_phones_texts(sim: Sim, esme: Esme) -> None:
    await esme.bind(sim.port)
    for text in TEXTS:
        await sim.inject(text)
    found = await texts_from_phones(esme, len(TEXTS), len(TEXTS))
    assert sorted(text_of([event]) for event in found) == sorted(TEXTS)  # Kannel tells them in any order
    assert [state for _, _, state in sim.bubbles()] == [MessageState.DELIVERED] * len(TEXTS)


@pytest_twisted.ensureDeferred
@every_library
async def test_it_gets_a_phones_text_in_three_parts(sim: Sim, esme: Esme) -> None:
    await esme.bind(sim.port)
    await sim.inject(LONG)
    found = await texts_from_phones(esme, 1, 3)
    assert text_of(found) == LONG
    if not esme.library.whole:
        assert [event["esm_class"] for event in found] == [UDHI] * 3


@pytest_twisted.ensureDeferred
@every_library
async def test_a_throttled_text_is_told_or_comes_again(esme: Esme) -> None:
    sim = Sim(throttle_every=2)
    try:
        await esme.bind(sim.port)
        for text in ("one", "two", "three"):
            esme.submit(DID, PHONE, text)
        if esme.library.repeats:
            await sim.until(lambda: sorted(sim.texts()) == ["one", "three", "two"], "all three")
        else:
            answers = await esme.until("submit_resp", 3)
            assert sorted(answer["status"] for answer in answers) == [0, 0, CommandStatus.ESME_RTHROTTLED]
            assert len(sim.texts()) == 2
    finally:
        await sim.simulator.stop()


@pytest_twisted.ensureDeferred
@every_library
async def test_a_cut_link_is_bound_again_and_nothing_waiting_is_lost(sim: Sim, esme: Esme) -> None:
    await esme.bind(sim.port)
    assert sim.simulator.cut() == 1
    waiting = sim.injected("while you were away")
    if esme.library.persistent:
        await esme.until("bound", 2, status=0)
    else:
        await esme.until("link_closed")
        assert await esme.bind(sim.port) == 0
    await waiting
    assert text_of(await texts_from_phones(esme, 1, 1)) == "while you were away"
    esme.submit(DID, PHONE, "back again")
    await sim.until(lambda: "back again" in sim.texts(), "the text after the cut")


@pytest_twisted.ensureDeferred
@every_library
async def test_a_whole_run_is_clean_on_the_wire(sim: Sim, esme: Esme, tmp_path: Path) -> None:
    wire.require_tshark()
    recorder = wire.Recorder(sim.port)
    try:
        await esme.bind(recorder.port)
        for text in ("short", TEXTS[3], LONG):
            esme.submit(DID, PHONE, text)
            await sim.inject(text)
        await sim.arrived(3)
        await esme.until("deliver", 3 if esme.library.whole else 5, esm_class=RECEIPT)  # 5 parts in all
        esme.send("unbind")
        await esme.until("unbound")
        await sim.until(lambda: sim.simulator.binds() == [], "the end of the bind")
        recorder.drain()
    finally:
        recorder.close()
    pcap = tmp_path / "run.pcap"
    recorder.save(pcap)
    assert wire.complaints(pcap, recorder.port) == []
    assert wire.commands(pcap, recorder.port) >= RUN


# What some libraries can do


@pytest_twisted.ensureDeferred
@some("node", "smpplib", "aiosmpplib", "smpp34")
@pytest.mark.parametrize("kind", ["transmitter", "receiver"])
async def test_it_binds_for_one_direction(sim: Sim, esme: Esme, kind: str) -> None:
    waiting = sim.injected("for the receiver")
    assert await esme.bind(sim.port, kind) == 0
    assert [bind.kind for bind in sim.simulator.binds()] == [kind]
    if kind == "transmitter":
        esme.submit(DID, PHONE, "from the transmitter")
        await sim.until(lambda: "from the transmitter" in sim.texts(), "the text")
        assert not waiting.called
        waiting.addErrback(lambda failure: failure.trap(SimulatorStopped))
    else:
        await waiting
        assert text_of(await texts_from_phones(esme, 1, 1)) == "for the receiver"


@pytest_twisted.ensureDeferred
@some("smpplib")
async def test_what_it_puts_off_comes_again(sim: Sim, esme: Esme) -> None:
    await esme.bind(sim.port)
    esme.send("answer", status=CommandStatus.ESME_RX_T_APPN)
    waiting = sim.injected("again")
    await esme.until("deliver", 2)
    assert not waiting.called
    esme.send("answer", status=0)
    await waiting
    assert sim.bubbles() == [("out", "again", MessageState.DELIVERED)]


@pytest_twisted.ensureDeferred
@some("smpplib")
async def test_its_enquire_link_is_answered(sim: Sim, esme: Esme) -> None:
    await esme.bind(sim.port)
    esme.send("enquire")
    await esme.until("enquire_link_resp")
