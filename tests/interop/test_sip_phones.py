"""Real phones against the whole server, with a foreign SMSC behind it.

Each registers, sends, receives a long text that came in parts out of order, goes off, comes back to three
waiting texts in order, is refused with a wrong password, and goes. Over every transport that it knows.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop import node_smsc, sip_phones
from tests.interop.node_smsc import NodeSMSC
from tests.interop.sip_phones import Phone, SipServer
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


def test_nothing_is_left_in_the_log(server: SipServer) -> None:
    until(lambda: "sip_ready" in server.log.read_text(), "the server says that SIP is there")
    assert "Traceback" not in server.log.read_text()
