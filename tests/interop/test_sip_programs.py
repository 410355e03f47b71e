"""Phones of the system's packages against the whole server: sipp, baresip, linphonec; and pyVoIP's
registration."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop import node_smsc, sip_phones, text_phones
from tests.interop.node_smsc import NodeSMSC
from tests.interop.sip_phones import HERE, PASSWORD, USER, SipServer
from tests.provision import provision
from tests.server import free_port

pytestmark = pytest.mark.interop

DID, MOBILE = "12025550100", "12025550150"
Boot = Callable[..., SipServer]


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


def sipp(port: int, scenario: str, folder: Path, *more: str) -> "subprocess.Popen[bytes]":
    """One run of sipp."""
    sip_phones.need_program("sipp")
    command = [
        "sipp",
        f"127.0.0.1:{port}",
        "-sf",
        str(HERE / "sipp" / scenario),
        "-i",
        "127.0.0.1",
        "-nostdin",
    ]
    with (folder / f"{scenario}.log").open("wb") as log:
        return subprocess.Popen([*command, "-timeout", "50s", *more], cwd=folder, stdout=log, stderr=log)


@pytest.mark.parametrize(("kind", "transport"), [("udp", "u1"), ("tcp", "t1")])
def test_sipp_registers_and_sends(
    boot: Boot, smsc: NodeSMSC, tmp_path: Path, kind: str, transport: str
) -> None:
    server = boot(account_messages_per_second=1000)
    count = 20
    run = sipp(
        server.ports[kind], "register_message.xml", tmp_path, "-t", transport, "-m", str(count), "-r", "20"
    )
    assert run.wait(60) == 0
    submits = smsc.wait_for("submit", count=count)
    assert {submit["text"] for submit in submits} == {"Meet me at the north door at half past seven"}
    assert len(submits) == count


def test_a_phone_whose_answers_are_lost_hears_one_text(boot: Boot, smsc: NodeSMSC, tmp_path: Path) -> None:
    """sipp hears it four times in four seconds, answers once, and the server has nothing more to send."""
    server = boot()
    port = free_port()
    sender = ["-p", str(port), "-m", "1", "-t", "u1"]
    assert sipp(server.ports["udp"], "register_message.xml", tmp_path, *sender).wait(60) == 0
    phone = sipp(server.ports["udp"], "receive_deaf.xml", tmp_path, "-p", str(port), "-m", "1")
    smsc.mo(MOBILE, DID, "once", ref="once")
    smsc.wait_for("answered", ref="once", status=0)
    assert phone.wait(60) == 0


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_baresip(boot: Boot, smsc: NodeSMSC, tmp_path: Path, transport: str) -> None:
    sip_phones.need_program("baresip")
    server = boot(domain="127.0.0.1")
    port = server.ports[transport]
    phone = text_phones.baresip(tmp_path, port, transport, USER, PASSWORD, f"+{MOBILE}")
    try:
        phone.says(r"200 OK")
        phone.tell("/contact_next")
        phone.tell("/message hello from baresip")
        submit = smsc.wait_for("submit")[0]
        assert (submit["to"], submit["text"]) == (f"+{MOBILE}", "hello from baresip")
        smsc.mo(MOBILE, DID, "hello to baresip", ref="mo")
        phone.says("hello to baresip")
    finally:
        phone.stop("/quit")


def test_linphone(boot: Boot, smsc: NodeSMSC, tmp_path: Path) -> None:
    sip_phones.need_program("linphonec")
    server = boot(domain="127.0.0.1")
    port = server.ports["udp"]
    phone = text_phones.linphone(tmp_path)
    try:
        phone.tell(f"register sip:{USER}@127.0.0.1:{port} sip:127.0.0.1:{port} {PASSWORD}")
        phone.says("registered, identity", ask="status register")
        phone.tell(f"chat sip:+{MOBILE}@127.0.0.1:{port} hello from linphone")
        submit = smsc.wait_for("submit")[0]
        assert (submit["to"], submit["text"]) == (f"+{MOBILE}", "hello from linphone")
        smsc.mo(MOBILE, DID, "hello to linphone", ref="mo")
        phone.says("hello to linphone")
    finally:
        phone.stop()


@pytest.mark.parametrize("legacy", [True, False])
def test_pyvoip_registers_where_legacy_answers_are_taken(boot: Boot, legacy: bool) -> None:
    sip_phones.need_module("pyVoIP")
    server = boot(domain="127.0.0.1", allow_legacy_digest=str(legacy).lower())
    ports = (str(server.ports["udp"]), str(free_port()))
    command = [sys.executable, "pyvoip_phone.py", ports[0], USER, PASSWORD, "8", ports[1]]
    said = subprocess.run(command, cwd=HERE, capture_output=True, timeout=60, check=False)
    assert (said.stdout.decode().split()[:1] == ["REGISTERED"]) is legacy, said.stderr.decode()[-2000:]
