"""Listening at "0.0.0.0" and at "::": each has its own peers, at the addresses that they have."""

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.threads import deferToThread

from edge.certificate import Certificate
from edge.config import Secret
from edge.config_mail import MailConfig
from edge.endpoints import is_all_of_ipv6
from edge.mail.listeners import Listeners as MailListeners
from edge.sip.listeners import Address, Listeners
from edge.sip.ourselves import Ourselves
from protocols.sip.errors import Malformed
from protocols.sip.transport import Flow
from tests.interop.sip_phones import certificate
from tests.server import free_port

pytestmark = pytest.mark.integration

reactor: Any = global_reactor
ALL_IPV4, ALL_IPV6 = "0.0.0.0", "::"
LOOPBACK = {ALL_IPV4: "127.0.0.1", ALL_IPV6: "::1"}


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
@pytest.mark.parametrize("hosts", [(ALL_IPV4, ALL_IPV6), (ALL_IPV6, ALL_IPV4)])
@pytest_twisted.ensureDeferred
async def test_both_families_at_one_port(start: Start, kind: str, hosts: tuple[str, ...]) -> None:
    heard, port = start(kind, *hosts)
    for address in LOOPBACK.values():
        await deferToThread(knock, kind, address, port)
        assert await heard.next() == address


@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_all_of_ipv6_is_no_ipv4(start: Start, kind: str) -> None:
    _, port = start(kind, ALL_IPV6)
    with pytest.raises(ConnectionRefusedError):
        await deferToThread(knock, kind, LOOPBACK[ALL_IPV4], port)


@pytest_twisted.ensureDeferred
async def test_mail_at_both_families() -> None:
    port = free_port()
    unused: Any = None
    config = MailConfig(
        domain="sms.example.net",
        reply_keys=Secret("1:" + "ab" * 32),
        listen=(f"{ALL_IPV4}:{port}", f"[{ALL_IPV6}]:{port}"),
    )
    listeners = MailListeners(config, unused, reactor)
    listeners.start()
    try:
        for address in LOOPBACK.values():
            with await deferToThread(socket.create_connection, (address, port), 10) as sock:
                assert (await deferToThread(sock.recv, 4)) == b"220 "
    finally:
        await listeners.stop()


@pytest.mark.parametrize(
    ("host", "all_of_it"),
    [("::", True), ("0::0", True), ("::1", False), ("0.0.0.0", False), ("localhost", False)],
)
def test_how_all_of_ipv6_is_spelled(host: str, all_of_it: bool) -> None:
    assert is_all_of_ipv6(host) is all_of_it
