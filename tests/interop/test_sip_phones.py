"""Real phones against the whole server, with a foreign SMSC behind it.

Each registers, sends, receives a long text that came in parts out of order, goes off, comes back to three
waiting texts in order, is refused with a wrong password, and goes. Over every transport that it knows.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from protocols.sip import message as sip_message
from tests.interop import node_smsc, sip_phones
from tests.interop.node_smsc import NodeSMSC
from tests.interop.relay import Relay
from tests.interop.sip_phones import Phone, SipServer, registered
from tests.provision import provision
from tests.server import until

pytestmark = pytest.mark.interop

DID, MOBILE = "12025550100", "12025550150"
LONG = "Une longue histoire: " + "0123456789 " * 35 + "fin."
TEXT = "Grüße 👍🏽 {€}"


@pytest.fixture
def smsc() -> Iterator[NodeSMSC]:
    node_smsc.require()
    with NodeSMSC(system_id="trunk", password="secret") as opened:
        yield opened


@pytest.fixture
def server(sqlite_url: str, tmp_path: Path, smsc: NodeSMSC) -> Iterator[SipServer]:
    provision(sqlite_url, [f"+{DID}"])
    opened = SipServer(tmp_path, sqlite_url, smsc.port)
    opened.add_phone(f"+{DID}")
    opened.start()
    yield opened
    assert opened.stop() == 0


Open = Callable[[], Phone]


def _web(kind: str, scheme: str) -> Any:
    def where(server: SipServer) -> dict[str, Any]:
        return {"url": f"{scheme}://127.0.0.1:{server.ports[scheme]}"}

    return pytest.param(lambda: sip_phones.webphone(kind), where, id=f"{kind}-{scheme}")


def _pjsua2(transport: str) -> Any:
    def where(server: SipServer) -> dict[str, Any]:
        return {"port": server.ports[transport], "transport": transport}

    return pytest.param(sip_phones.pjsua2, where, id=f"pjsua2-{transport}")


PHONES = [
    *(_pjsua2(transport) for transport in ("udp", "tcp", "tls")),
    *(_web(kind, scheme) for kind in ("jssip", "sipjs") for scheme in ("ws", "wss")),
]


@pytest.fixture
def phone(request: pytest.FixtureRequest) -> Iterator[Phone]:
    opened = request.param()
    yield opened
    opened.stop()


@pytest.mark.parametrize(("phone", "where"), PHONES, indirect=["phone"])
def test_a_phone(
    phone: Phone, where: Callable[[SipServer], dict[str, Any]], server: SipServer, smsc: NodeSMSC
) -> None:
    assert phone.register(**where(server)) == 200

    assert phone.text(f"+{MOBILE}", TEXT) == 202
    submit = smsc.wait_for("submit")[0]
    assert (submit["from"], submit["to"], submit["text"]) == (f"+{DID}", f"+{MOBILE}", TEXT)

    smsc.mo(MOBILE, DID, LONG, ref="long", reverse=True)
    smsc.wait_for("answered", ref="long", count=3, status=0)
    [message] = phone.wait_for("message")
    assert message["text"] == LONG
    assert f"sip:+{MOBILE}@{sip_phones.DOMAIN}" in message["from"]
    assert f"sip:{sip_phones.USER}@{sip_phones.DOMAIN}" in message["to"]

    assert phone.unregister() == 200
    for number in "123":
        smsc.mo(MOBILE, DID, f"waiting {number}", ref=number)
        smsc.wait_for("answered", ref=number, status=0)
    assert len(phone.matching("message")) == 1
    assert phone.register(**where(server)) == 200
    texts = [message["text"] for message in phone.wait_for("message", count=4)]
    assert texts[1:] == ["waiting 1", "waiting 2", "waiting 3"]

    assert phone.text("not-a-number", "lost") == 404
    assert phone.unregister() == 200


@pytest.mark.parametrize(("phone", "where"), PHONES, indirect=["phone"])
def test_a_wrong_password(
    phone: Phone, where: Callable[[SipServer], dict[str, Any]], server: SipServer
) -> None:
    assert phone.register("wrong", **where(server)) == 403


@pytest.fixture
def pjsua2() -> Iterator[Phone]:
    opened = sip_phones.pjsua2()
    yield opened
    opened.stop()


def test_a_restart_between_a_request_and_its_retransmission(
    pjsua2: Phone, server: SipServer, smsc: NodeSMSC
) -> None:
    """The phone has not heard that its text was taken, and repeats it to a server that began anew."""
    with Relay(server.ports["udp"]) as relay:
        assert pjsua2.register(port=relay.port, transport="udp") == 200
        relay.loses = lambda octets: octets.startswith(b"SIP/2.0 202")
        pjsua2.send("send", to=f"+{MOBILE}", text="once")
        until(lambda: relay.seen(b"SIP/2.0 202", lost=True), "the server has taken it")
        smsc.wait_for("submit")
        assert server.stop() == 0
        relay.loses = lambda octets: False
        server.start(ready=False)
        assert pjsua2.wait_for("sent", text="once", seconds=60)[-1]["status"] == 202
        [answered] = relay.seen(b"SIP/2.0 202", lost=False)
        assert (
            sip_message.parse(answered.octets).cseq
            == sip_message.parse(relay.seen(b"SIP/2.0 202", lost=True)[0].octets).cseq
        )
        until(server.is_ready, "the server is ready")
        assert pjsua2.text(f"+{MOBILE}", "another") == 202
        submits = smsc.wait_for("submit", count=2)
        assert [submit["text"] for submit in submits] == ["once", "another"]


def test_every_answer_of_a_phone_is_lost_for_20_seconds(
    pjsua2: Phone, server: SipServer, smsc: NodeSMSC
) -> None:
    with Relay(server.ports["udp"]) as relay:
        assert pjsua2.register(port=relay.port, transport="udp") == 200
        over = time.monotonic() + 20
        relay.loses = lambda octets: octets.startswith(b"SIP/2.0 200") and time.monotonic() < over
        for number in "12":
            smsc.mo(MOBILE, DID, f"text {number}", ref=number)
            smsc.wait_for("answered", ref=number, status=0)
        texts = [message["text"] for message in pjsua2.wait_for("message", count=2, seconds=60)]
        assert texts == ["text 1", "text 2"]
        assert time.monotonic() > over
        assert len(relay.seen(b"SIP/2.0 200", lost=True)) > 4
        smsc.mo(MOBILE, DID, "text 3", ref="3")
        assert [message["text"] for message in pjsua2.wait_for("message", count=3)][2:] == ["text 3"]


def test_a_phone_comes_back_after_its_time(
    pjsua2: Phone, sqlite_url: str, tmp_path: Path, smsc: NodeSMSC
) -> None:
    """Its REGISTERs were lost until its registration had run out; it comes back at the same contact."""
    provision(sqlite_url, [f"+{DID}"])
    server = SipServer(
        tmp_path,
        sqlite_url,
        smsc.port,
        min_expires_seconds=2,
        default_expires_seconds=6,
        max_expires_seconds=6,
    )
    server.add_phone(f"+{DID}")
    server.start()
    with Relay(server.ports["udp"]) as relay:
        assert pjsua2.register(port=relay.port, transport="udp") == 200
        smsc.mo(MOBILE, DID, "before", ref="0")
        pjsua2.wait_for("message")
        relay.loses = lambda octets: octets.startswith(b"REGISTER")
        [before] = registered(sqlite_url)
        until(lambda: not registered(sqlite_url), "the registration has run out")
        for number in "123":
            smsc.mo(MOBILE, DID, f"waiting {number}", ref=number)
            smsc.wait_for("answered", ref=number, status=0)
        relay.loses = lambda octets: False
        texts = [message["text"] for message in pjsua2.wait_for("message", count=4, seconds=60)]
        assert texts == ["before", "waiting 1", "waiting 2", "waiting 3"]
        [after] = registered(sqlite_url)
        assert (after.contact, after.host, after.port) == (before.contact, before.host, before.port)
        assert after.registered_at > before.expires_at
    assert server.stop() == 0


def test_nothing_is_left_in_the_log(server: SipServer) -> None:
    until(lambda: "sip_ready" in server.log.read_text(), "the server says that SIP is there")
    assert "Traceback" not in server.log.read_text()
