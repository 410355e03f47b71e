"""Kamailio as a trunk of the whole server: a phone of the PBX and a mobile phone write to each other.

Between them stand Kamailio, which challenges every text, our server, and a foreign SMSC.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.names import dns

from edge.cli.desk import DidChange, HandlerChange, open_desk
from edge.config import load
from tests.interop import node_smsc, sip_phones
from tests.interop.dns import NameServer
from tests.interop.kamailio import DOMAIN, NUMBER, PASSWORD, Kamailio
from tests.interop.node_smsc import NodeSMSC
from tests.interop.sip_phones import Phone, SipServer
from tests.provision import provision
from tests.server import until

pytestmark = pytest.mark.interop

MOBILE = "12025550150"
TEXT = "Grüße 👍🏽 {€}"

Start = Callable[..., SipServer]


@pytest.fixture
def smsc() -> Iterator[NodeSMSC]:
    node_smsc.require()
    with NodeSMSC(system_id="trunk", password="secret") as opened:
        yield opened


@pytest.fixture
def pbxs() -> Iterator[list[Kamailio]]:
    running: list[Kamailio] = []
    yield running
    for pbx in running:
        pbx.stop()


@pytest.fixture
def phone() -> Iterator[Phone]:
    """A phone of the PBX, as the number."""
    opened = sip_phones.pjsua2()
    yield opened
    opened.stop()


@pytest.fixture
def server(sqlite_url: str, tmp_path: Path, smsc: NodeSMSC) -> Iterator[SipServer]:
    """The server, not started; tests add the trunk."""
    provision(sqlite_url, [NUMBER])
    opened = SipServer(tmp_path, sqlite_url, smsc.port)
    yield opened
    assert opened.stop() == 0


def start(server: SipServer, **trunk: Any) -> None:
    """Start the server with this trunk for the number."""
    keys = {"name": '"pbx"', "domain": f'"{DOMAIN}"', "username": '"trunkline"', "password": f'"{PASSWORD}"'}
    keys |= trunk
    with server.config.open("a") as file:
        file.write("[[sip.trunk]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))
    with open_desk(load(server.config)) as desk:
        change = DidChange(handlers={"trunk": HandlerChange(settings={"name": "pbx"})})
        desk.set_did(NUMBER, change)
    server.start()


def register(phone: Phone, pbx: Kamailio) -> None:
    assert phone.register_at(NUMBER, DOMAIN, pbx.address, pbx.port) == 200


def both_ways(phone: Phone, smsc: NodeSMSC) -> None:
    """A text each way, the one in with all that text can hold."""
    smsc.mo(MOBILE, NUMBER[1:], TEXT, ref="in")
    smsc.wait_for("answered", ref="in", status=0)
    [message] = phone.wait_for("message")
    assert message["text"] == TEXT
    assert f"sip:+{MOBILE}@{sip_phones.DOMAIN}" in message["from"]
    assert phone.text(f"+{MOBILE}", "an answer") == 202
    [submit] = smsc.wait_for("submit")
    assert (submit["from"], submit["to"], submit["text"]) == (NUMBER, f"+{MOBILE}", "an answer")


@pytest.mark.parametrize("way", ["udp", "tcp", "tls"])
def test_a_static_peer(
    server: SipServer, smsc: NodeSMSC, pbxs: list[Kamailio], phone: Phone, tmp_path: Path, way: str
) -> None:
    pbx = Kamailio(tmp_path, server.ports[way], way)
    pbxs.append(pbx)
    port = pbx.tls_port if way == "tls" else pbx.port
    tls = {"tls_ca_file": f'"{pbx.certificate}"', "tls_server_name": f'"{DOMAIN}"'} if way == "tls" else {}
    start(server, host=f'"{pbx.address}"', port=port, transport=f'"{way}"', **tls)
    register(phone, pbx)
    both_ways(phone, smsc)
    assert pbx.said.count(f"CHALLENGED sip:+{MOBILE}@") == 1
    assert f"FROM_TRUNK {way} sip:+{MOBILE}@{sip_phones.DOMAIN} sip:{NUMBER}@{DOMAIN}" in pbx.said


def test_registered_as_a_client(
    server: SipServer, smsc: NodeSMSC, pbxs: list[Kamailio], phone: Phone, tmp_path: Path
) -> None:
    pbx = Kamailio(tmp_path, server.ports["udp"], via_contact=True)
    pbxs.append(pbx)
    start(server, host=f'"{pbx.address}"', port=pbx.port, register="true")
    until(lambda: "sip_trunk_registered" in server.log.read_text(), "the server has registered", 20)
    register(phone, pbx)
    both_ways(phone, smsc)
    assert f"TO_TRUNK sip:trunkline@127.0.0.1:{server.ports['udp']}" in pbx.said


def test_a_certificate_of_somebody_else_gets_no_text(
    server: SipServer, smsc: NodeSMSC, pbxs: list[Kamailio], phone: Phone, tmp_path: Path
) -> None:
    pbx = Kamailio(tmp_path, server.ports["tls"], "tls")
    pbxs.append(pbx)
    tls = {"tls_ca_file": f'"{pbx.certificate}"', "tls_server_name": '"other.example.net"'}
    start(server, host=f'"{pbx.address}"', port=pbx.tls_port, transport='"tls"', **tls)
    smsc.mo(MOBILE, NUMBER[1:], TEXT, ref="in")
    smsc.wait_for("answered", ref="in", status=0)
    with open_desk(load(server.config)) as desk:
        until(lambda: outcomes(desk) == ["trunk_unreachable"], "the attempt has failed", 30)
    assert "FROM_TRUNK" not in pbx.said


def test_found_by_dns_and_the_next_when_one_is_closed(
    server: SipServer, smsc: NodeSMSC, pbxs: list[Kamailio], phone: Phone, tmp_path: Path
) -> None:
    closed = Kamailio(tmp_path, server.ports["tcp"], "tcp", "127.0.0.3", refuse=True)
    pbx = Kamailio(tmp_path, server.ports["tcp"], "tcp")
    pbxs += [closed, pbx]
    service = f"_sip._tcp.{DOMAIN}"
    names = NameServer(
        {
            DOMAIN: [dns.Record_NAPTR(10, 10, b"s", b"SIP+D2T", b"", service)],
            service: [
                dns.Record_SRV(10, 1, closed.port, "closed.example.net"),
                dns.Record_SRV(20, 1, pbx.port, "open.example.net"),
            ],
            "closed.example.net": [dns.Record_A(closed.address)],
            "open.example.net": [dns.Record_A(pbx.address)],
        }
    )
    try:
        text = server.config.read_text()
        outgoing = f'[outgoing]\nnameservers = ["127.0.0.1:{names.port}"]\n'
        server.config.write_text(text.replace("[outgoing]\n", outgoing))
        start(server, host=f'"{DOMAIN}"')
        closed.says("Listening on")
        register(phone, pbx)
        both_ways(phone, smsc)
    finally:
        names.close()
    assert {DOMAIN, service, "closed.example.net", "open.example.net"} <= set(names.asked)
    assert "FROM_TRUNK tcp" in pbx.said


def outcomes(desk: Any) -> list[str]:
    """The last outcome of each delivery to the trunk."""
    from sqlalchemy import select

    from storage.tables import delivery

    with desk.engine.snapshot() as connection:
        query = select(delivery.c.last_outcome).where(delivery.c.handler == "trunk")
        return [str(row.last_outcome) for row in connection.execute(query)]
