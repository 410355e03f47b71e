"""The HTTP port closes, or its pages are made anew, while somebody has just come: whoever could connect is
answered. Real sockets; the clients' connect and write in one turn of the server's reactor, so that what it
has accepted and read by then is known."""

import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.web.server import Site

from edge.config import HTTPConfig
from edge.supervisor import Supervisor
from edge.web.site import EdgeSite
from edge.web_ports import WebPorts
from storage.store import Store
from tests.integration.web.test_site import DID, PEER, furnished

pytestmark = pytest.mark.integration

reactor: Any = global_reactor
BODY = json.dumps({"from": DID, "to": PEER, "text": "late"}).encode()
SEND = (
    b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer tk_demo\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY
ALIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENCE_SECONDS = 30.0


class Open:
    """A server that drains, as far as HTTP goes."""

    def __init__(self, make_site: Callable[[], EdgeSite]) -> None:
        self.web = WebPorts(Supervisor(), reactor, make_site, lambda: Site(None))
        self.web.listen(HTTPConfig(listen="127.0.0.1:0"), None)
        port: Any = self.web._port
        self.port = int(port.getHost().port)

    @property
    def site(self) -> EdgeSite:
        assert self.web.site is not None
        return self.web.site

    def connect(self) -> socket.socket:
        """Connected, as far as the client's kernel knows; the server has not turned since."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)

    async def accepted(self, count: int = 1) -> None:
        while self.site.connections < count:
            await deferLater(reactor, 0)

    async def closed(self) -> None:
        """Nobody can connect any more."""
        port: Any = self.web._port
        while port.connected:
            await deferLater(reactor, 0)

    def close(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.web.close_site())


@pytest_twisted.async_yield_fixture
async def running(store: Store) -> AsyncIterator[Open]:
    async with furnished(store) as what:
        what.outbound.draining = True
        opened = Open(what.make_site)
        yield opened
        await opened.close()


def all_of(client: socket.socket) -> Deferred[bytes]:
    """What the server says until it closes the connection. Errback: it was reset."""

    def read() -> bytes:
        found = b""
        while piece := client.recv(65_536):
            found += piece
        client.close()
        return found

    return deferToThread(read)


def told_to_come_again(answer: bytes) -> bool:
    head = answer.partition(b"\r\n\r\n")[0].lower()
    return (
        answer.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: " in head and b"connection: close" in head
    )


@pytest_twisted.ensureDeferred
async def test_who_connected_before_the_port_closed_may_still_say_what_he_wants(running: Open) -> None:
    client = running.connect()
    await running.accepted()
    closing = running.close()
    await running.closed()
    client.sendall(SEND)
    answer = await all_of(client)
    assert told_to_come_again(answer), answer
    await closing
    assert running.site.connections == 0


@pytest_twisted.ensureDeferred
async def test_who_waits_to_be_accepted_when_the_port_closes_is_accepted(running: Open) -> None:
    closing = running.close()  # from here on the port takes nobody, but is still there
    clients = [running.connect() for _ in range(30)]
    for client in clients:
        client.sendall(SEND)
    for client in clients:
        answer = await all_of(client)
        assert told_to_come_again(answer), answer
    await closing
    with pytest.raises(ConnectionRefusedError):
        running.connect()


@pytest_twisted.ensureDeferred
async def test_new_pages_let_those_go_who_have_just_come_with_an_answer(running: Open) -> None:
    fresh = running.connect()
    used = running.connect()
    used.sendall(ALIVE)
    await running.accepted(2)
    first = await deferToThread(used.recv, 65_536)
    assert first.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" not in first.lower()
    used.sendall(SEND)  # is here, and not read
    running.web.renew_site()
    fresh.sendall(SEND)
    for client in (used, fresh):
        answer = await all_of(client)
        assert told_to_come_again(answer), answer
