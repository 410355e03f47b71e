"""Phones of the system's packages against the whole server: sipp, baresip, linphonec, twinkle-console; and
pyVoIP's registration."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop import node_smsc, sip_phones, text_phones
from tests.interop.node_smsc import NodeSMSC
from tests.interop.sip_phones import HERE, PASSWORD, USER, SipServer, registered
from tests.provision import provision
from tests.server import free_port, until

pytestmark = pytest.mark.interop

DID, MOBILE = "12025550100", "12025550150"
Boot = Callable[..., SipServer]
Sipp = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def smsc() -> Iterator[NodeSMSC]:
    node_smsc.require()
    with NodeSMSC(system_id="trunk", password="secret") as opened:
        yield opened


@pytest.fixture
def boot(sqlite_url: str, tmp_path: Path, smsc: NodeSMSC) -> Iterator[Boot]:
    """Start the server with these settings of [sip]."""
    running: list[SipServer] = []

    def start(**sip: Any) -> SipServer:
        provision(sqlite_url, [f"+{DID}"])
        server = SipServer(tmp_path, sqlite_url, smsc.port, **sip)
        server.add_phone(f"+{DID}")
        server.start()
        running.append(server)
        return server

    yield start
    for server in running:
        assert server.stop() == 0


@pytest.fixture
def sipp(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Start sipp; what still runs at the end of the test, because it failed, is ended."""
    running: list[subprocess.Popen[bytes]] = []

    def start(port: int, scenario: str, *more: str, address: str = "127.0.0.1") -> "subprocess.Popen[bytes]":
        running.append(run_sipp(port, scenario, tmp_path, *more, address=address))
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def run_sipp(port: int, scenario: str, folder: Path, *more: str, address: str) -> "subprocess.Popen[bytes]":
    """One run of sipp."""
    sip_phones.need_program("sipp")
    command = [
        "sipp",
        f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
        "-sf",
        str(HERE / "sipp" / scenario),
        "-i",
        address,
        "-nostdin",
    ]
    with (folder / f"{scenario}.log").open("wb") as log:
        return subprocess.Popen([*command, "-timeout", "50s", *more], cwd=folder, stdout=log, stderr=log)


@pytest.mark.parametrize(("kind", "transport"), [("udp", "u1"), ("tcp", "t1")])
def test_sipp_registers_and_sends(boot: Boot, smsc: NodeSMSC, sipp: Sipp, kind: str, transport: str) -> None:
    server = boot(account_messages_per_second=1000)
    count = 20
    run = sipp(server.ports[kind], "register_message.xml", "-t", transport, "-m", str(count), "-r", "20")
    assert run.wait(60) == 0
    submits = smsc.wait_for("submit", count=count)
    assert {submit["text"] for submit in submits} == {"Meet me at the north door at half past seven"}
    assert len(submits) == count


@pytest.mark.parametrize(("kind", "transport"), [("udp", "u1"), ("tcp", "t1")])
def test_by_ipv6_both_ways(boot: Boot, smsc: NodeSMSC, sipp: Sipp, kind: str, transport: str) -> None:
    """A phone at [::1] registers and sends; by UDP another program then takes its text at the same port."""
    server = boot()
    port = free_port()
    where = ["-p", str(port), "-m", "1", "-t", transport]
    run = sipp(server.ports[kind], "register_message.xml", *where, address="::1")
    assert run.wait(60) == 0
    [submit] = smsc.wait_for("submit")
    assert submit["to"] == f"+{MOBILE}"
    phone = sipp(server.ports[kind], "receive_deaf.xml", *where, address="::1")
    smsc.mo(MOBILE, DID, "once", ref="once")
    smsc.wait_for("answered", ref="once", status=0)
    assert phone.wait(60) == 0


def test_a_phone_whose_answers_are_lost_hears_one_text(boot: Boot, smsc: NodeSMSC, sipp: Sipp) -> None:
    """sipp hears it four times in four seconds, answers once, and the server has nothing more to send."""
    server = boot()
    port = free_port()
    sender = ["-p", str(port), "-m", "1", "-t", "u1"]
    assert sipp(server.ports["udp"], "register_message.xml", *sender).wait(60) == 0
    phone = sipp(server.ports["udp"], "receive_deaf.xml", "-p", str(port), "-m", "1")
    smsc.mo(MOBILE, DID, "once", ref="once")
    smsc.wait_for("answered", ref="once", status=0)
    assert phone.wait(60) == 0


PHONES = [
    pytest.param(kind, program, transport, id=f"{program}-{transport}")
    for kind, program in (
        (text_phones.Baresip, "baresip"),
        (text_phones.Linphone, "linphonec"),
        (text_phones.Twinkle, "twinkle-console"),
    )
    for transport in ("udp", "tcp")
]
Make = Callable[..., text_phones.Softphone]


@pytest.fixture
def make(boot: Boot, tmp_path: Path) -> Iterator[Make]:
    """A phone of this kind, with a server to register at."""
    made: list[text_phones.Softphone] = []

    def new(
        kind: type[text_phones.Softphone], program: str, transport: str, password: str = PASSWORD
    ) -> text_phones.Softphone:
        sip_phones.need_program(program)
        server = boot(domain="127.0.0.1")
        made.append(kind(tmp_path, text_phones.Where(server.ports[transport], transport, USER, password)))
        return made[-1]

    yield new
    for phone in made:
        phone.off()


@pytest.mark.parametrize(("kind", "program", "transport"), PHONES)
def test_a_phone(
    make: Make,
    smsc: NodeSMSC,
    sqlite_url: str,
    kind: type[text_phones.Softphone],
    program: str,
    transport: str,
) -> None:
    """It registers, sends, receives, goes off, comes back to three waiting texts in order, and goes.

    Twinkle asks for presence as soon as it has registered, which is answered 405.
    """
    phone = make(kind, program, transport)
    said = phone.on()
    said.says(phone.registered, ask=phone.ask)
    phone.send(text_phones.PEER, f"hello from {program}")
    submit = smsc.wait_for("submit")[0]
    assert (submit["from"], submit["to"]) == (f"+{DID}", text_phones.PEER)
    assert submit["text"] == f"hello from {program}"
    smsc.mo(MOBILE, DID, f"hello to {program}", ref="mo")
    said.says(f"hello to {program}")

    phone.off()
    until(lambda: not registered(sqlite_url), "the phone has gone")
    for number in "123":
        smsc.mo(MOBILE, DID, f"waiting {number}", ref=number)
        smsc.wait_for("answered", ref=number, status=0)
    phone.on().says(r"(?s)waiting 1.*waiting 2.*waiting 3")
    assert len(registered(sqlite_url)) == 1
    phone.off()
    until(lambda: not registered(sqlite_url), "the phone has gone again")


@pytest.mark.parametrize(("kind", "program", "transport"), PHONES)
def test_a_wrong_password(
    make: Make, sqlite_url: str, kind: type[text_phones.Softphone], program: str, transport: str
) -> None:
    phone = make(kind, program, transport, password="wrong")
    phone.on().says(phone.refused)
    assert not registered(sqlite_url)


@pytest.mark.parametrize("legacy", [True, False])
def test_pyvoip_registers_where_legacy_answers_are_taken(boot: Boot, legacy: bool) -> None:
    sip_phones.need_module("pyVoIP")
    server = boot(domain="127.0.0.1", allow_legacy_digest=str(legacy).lower())
    ports = (str(server.ports["udp"]), str(free_port()))
    command = [sys.executable, "pyvoip_phone.py", ports[0], USER, PASSWORD, "8", ports[1]]
    said = subprocess.run(command, cwd=HERE, capture_output=True, timeout=60, check=False)
    assert (said.stdout.decode().split()[:1] == ["REGISTERED"]) is legacy, said.stderr.decode()[-2000:]
