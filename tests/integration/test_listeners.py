"""Listening at both families: each has its own peers, at the addresses that they have."""

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_twisted
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.internet.threads import deferToThread

from edge import endpoints
from edge.certificate import Certificate
from edge.config import Secret
from edge.config_mail import MailConfig
from edge.endpoints import is_ipv6
from edge.mail.listeners import Listeners as MailListeners
from edge.sip.listeners import Address, Listeners
from edge.sip.ourselves import Ourselves
from protocols.sip.errors import Malformed
from protocols.sip.transport import Flow
from tests.interop.sip_phones import certificate
from tests.server import free_port

pytestmark = pytest.mark.integration

reactor: Any = global_reactor
IPV4, IPV6 = "127.0.0.1", "::1"


class Heard:
    """A receiver that notes from which addresses it hears, each once."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._peers: DeferredQueue[str] = DeferredQueue()

    def received(self, data: bytes, flow: Flow) -> None:
        self._note(flow)

    def malformed(self, error: Malformed, flow: Flow) -> None:
        self._note(flow)

    def flow_lost(self, flow: Flow, reason: str) -> None:
        self._note(flow)

    def _note(self, flow: Flow) -> None:
        if flow.peer[0] not in self._known:
            self._known.add(flow.peer[0])
            self._peers.put(flow.peer[0])

    def next(self) -> Deferred[str]:
        """The next one that is new."""
        return self._peers.get()


Start = Callable[..., tuple[Heard, int]]


@pytest_twisted.async_yield_fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Listen by SIP at these addresses, all at one port."""
    certificate(tmp_path)
    pem = Certificate(str(tmp_path / "sip.pem"), str(tmp_path / "sip.key"))
    running: list[Listeners] = []

    def begin(kind: str, *hosts: str) -> tuple[Heard, int]:
        heard, port = Heard(), free_port()
        addresses = tuple(Address(kind, host, port) for host in hosts)
        running.append(Listeners(addresses, pem, heard, Ourselves("sip.example.net"), reactor))
        running[-1].start()
        return heard, port

    yield begin
    for listeners in running:
        await listeners.stop()


def knock(kind: str, host: str, port: int) -> None:
    """Say something, and leave. Raises ConnectionRefusedError where nobody listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if kind == "UDP" else socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        sock.connect((host, port))
        sock.send(b"hello\r\n\r\n")
        if kind == "UDP":
            sock.settimeout(0.1)
            try:
                sock.recv(1)
            except TimeoutError:
                return


KINDS = ["UDP", "TCP", "TLS", "WS"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hosts", [(IPV4, IPV6), (IPV6, IPV4)])
@pytest_twisted.ensureDeferred
async def test_both_families_at_one_port(start: Start, kind: str, hosts: tuple[str, ...]) -> None:
    heard, port = start(kind, *hosts)
    for address in hosts:
        await deferToThread(knock, kind, address, port)
        assert await heard.next() == address


class AtHome(socket.socket):
    """Bound to IPv6's loopback instead of all of IPv6; I tell what I was when I should have been bound."""

    bound: ClassVar[list[tuple[str, int]]] = []

    def bind(self, address: Any, /) -> None:
        self.bound.append((address[0], self.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)))
        super().bind((IPV6, *address[1:]))


@pytest_twisted.ensureDeferred
async def test_all_of_ipv6_is_no_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else "::" would have what comes to "0.0.0.0", from peers named ::ffff:a.b.c.d."""
    monkeypatch.setattr(AtHome, "bound", [])
    with monkeypatch.context() as patched:
        patched.setattr("edge.endpoints.socket.socket", AtHome)
        ports = (
            endpoints.listen_tcp(reactor, "::", 0, Factory()),
            endpoints.listen_udp(reactor, "::", 0, DatagramProtocol(), 1_000),
        )
    for port in ports:
        await port.stopListening()
    assert AtHome.bound == [("::", 1)] * 2


@pytest_twisted.ensureDeferred
async def test_mail_at_both_families() -> None:
    port = free_port()
    unused: Any = None
    config = MailConfig(
        domain="sms.example.net",
        reply_keys=Secret("1:" + "ab" * 32),
        listen=(f"{IPV4}:{port}", f"[{IPV6}]:{port}"),
    )
    listeners = MailListeners(config, unused, reactor)
    listeners.start()
    try:
        for address in (IPV4, IPV6):
            with await deferToThread(socket.create_connection, (address, port), 10) as sock:
                assert (await deferToThread(sock.recv, 4)) == b"220 "
    finally:
        await listeners.stop()


@pytest.mark.parametrize(
    ("host", "is_one"),
    [("::", True), ("0::0", True), ("::1", True), ("0.0.0.0", False), ("localhost", False)],
)
def test_which_hosts_are_of_ipv6(host: str, is_one: bool) -> None:
    assert is_ipv6(host) is is_one
