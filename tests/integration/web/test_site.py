"""The site on real sockets and the real store, on both engines, with passwords verified in threads."""

import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from random import Random
from typing import Any

import pytest
import pytest_twisted
import treq
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.web.client import Agent
from twisted.web.http_headers import Headers

from edge.config import Config, Secret, UpstreamConfig
from edge.dialect import Dialect
from edge.directory import Directory
from edge.outbound import Outbound, Planner
from edge.passwords import hash_password
from edge.references import References
from edge.web.services import WebServices
from edge.web.site import EdgeSite, make_site
from storage import accounts, messages, numbers
from storage.ids import IdSource
from storage.records import Account
from storage.store import Store
from tests.unbound import Unbound

pytestmark = pytest.mark.integration

reactor: Any = global_reactor
DID, OTHER_DID, PEER = "+12025550100", "+12025550177", "+447911123456"
PASSWORD = "correct horse battery"
NOW = 1_800_000_000_000
TEXT = "é€^{}[]~|\\ <b> 👍🏽 مرحبا\nsecond line"


@dataclass
class Running:
    """A site that listens."""

    base: str
    port: int
    store: Store
    account: Account
    other: Account


class Visitor:
    """A browser as far as this needs one: cookies, no redirects followed."""

    def __init__(self, running: Running) -> None:
        self._base = running.base
        self._agent = Agent(reactor)
        self.cookies: dict[str, str] = {}

    async def get(self, path: str) -> tuple[int, str]:
        return await self._answer(treq.get(self._base + path, **self._options()))

    async def post(self, path: str, **fields: str) -> tuple[int, str]:
        """Status, and where it leads to or what it shows."""
        data = {name.rstrip("_"): value for name, value in fields.items()}
        return await self._answer(treq.post(self._base + path, data=data, **self._options()))

    async def token(self, page: str, name: str) -> str:
        status, html = await self.get(page)
        found = re.search(rf'name="{name}" value="([^"]+)"', html)
        assert found is not None, (status, html)
        return found[1]

    async def log_in(self, login: str, password: str = PASSWORD) -> tuple[int, str]:
        token = await self.token("/login", "token")
        return await self.post("/login", login=login, password=password, token=token)

    def _options(self) -> dict[str, Any]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"agent": self._agent, "allow_redirects": False, "headers": {"Cookie": cookie}}

    async def _answer(self, asking: Deferred[Any]) -> tuple[int, str]:
        response = await asking
        for written in response.headers.getRawHeaders("set-cookie", []):
            name, _, value = written.partition("=")
            self.cookies[name] = value.partition(";")[0]
        content = (await response.content()).decode()
        location = response.headers.getRawHeaders("location", [content])
        return response.code, location[0]


def furnish(conn: Any, ids: IdSource, name: str, number: str) -> Account:
    owner = accounts.add_account(conn, ids.next, name, NOW)
    accounts.add_user(conn, ids.next, owner.id, name, hash_password(PASSWORD), NOW)
    accounts.add_key(
        conn, ids.next, owner.id, "key", name, hashlib.sha256(f"tk_{name}".encode()).hexdigest(), NOW
    )
    numbers.add_did(conn, ids.next, owner.id, number, NOW)
    return owner


@dataclass
class Furnished:
    """What serves two accounts, `demo` and `other`; ``make_site`` gives a site of its own each time."""

    make_site: Callable[[], EdgeSite]
    outbound: Outbound
    account: Account
    other: Account


@asynccontextmanager
async def furnished(store: Store) -> AsyncIterator[Furnished]:
    """On the real store, with an upstream that is never up."""
    account = await store.writer.run("demo", lambda conn: furnish(conn, store.ids, "demo", DID))
    other = await store.writer.run("other", lambda conn: furnish(conn, store.ids, "other", OTHER_DID))
    directory = Directory(store, reactor)
    await directory.start()
    upstream = UpstreamConfig(name="up", port=1, system_id="x", password=Secret("x"))
    dialects = {"up": Dialect(upstream, "US")}
    planner = Planner(dialects, "US", directory.did, References(lambda: 0))
    wall_ms = lambda: NOW  # noqa: E731
    outbound = Outbound(planner, store, {"up": Unbound()}, wall_ms, lambda due: due)
    services = WebServices(
        store=store,
        directory=directory,
        outbound=outbound,
        config=Config(),
        simulator=None,
        ready=lambda: (True, {}),
        wall_ms=wall_ms,
        reactor=reactor,
    )
    yield Furnished(lambda: make_site(services), outbound, account, other)
    directory.stop()


@pytest_twisted.async_yield_fixture
async def site(store: Store) -> AsyncIterator[Running]:
    """It listens."""
    async with furnished(store) as what:
        port = reactor.listenTCP(0, what.make_site(), interface="127.0.0.1")
        number = port.getHost().port
        yield Running(f"http://127.0.0.1:{number}", number, store, what.account, what.other)
        await port.stopListening()


async def call(running: Running, method: str, path: str, key: str = "demo", **more: Any) -> tuple[int, Any]:
    response = await treq.request(
        method,
        running.base + path,
        headers=Headers({"Authorization": [f"Bearer tk_{key}"]}),
        agent=Agent(reactor),
        **more,
    )
    return response.code, await response.json()


@pytest_twisted.ensureDeferred
async def test_what_was_accepted_is_in_the_store_and_only_its_owner_sees_it(site: Running) -> None:
    body = {"from": DID, "to": PEER, "text": TEXT}
    status, accepted = await call(site, "POST", "/v1/messages", json=body)
    assert (status, accepted["encoding"], accepted["parts"]) == (202, "UCS2", 1)
    status, found = await call(site, "GET", f"/v1/messages/{accepted['id']}")
    assert (status, found["text"], found["status"]) == (200, TEXT, "queued")
    assert [part["state"] for part in found["parts"]] == ["queued"]
    assert (await call(site, "GET", "/v1/messages"))[1]["messages"] == [found]
    assert (await call(site, "GET", f"/v1/messages/{accepted['id']}", key="other"))[0] == 404
    assert (await call(site, "GET", "/v1/messages", key="other"))[1]["messages"] == []
    status, problem = await call(site, "POST", "/v1/messages", key="other", json=body)
    assert (status, problem["code"]) == (404, "unknown_did")


@pytest_twisted.ensureDeferred
async def test_queries_that_no_column_can_hold(site: Running) -> None:
    for query in ("did=%00", "peer=a%00b", "since_id=9007199254740992", "before_id=99999999999999999999"):
        assert (await call(site, "GET", f"/v1/messages?{query}"))[0] == 422
    visitor = Visitor(site)
    assert (await visitor.log_in("de\0mo", "x\0y"))[0] == 403
    await visitor.log_in("demo")
    for path in ("/messages?did=%00", "/messages?peer=%00", "/messages/9007199254740991"):
        assert (await visitor.get(path))[0] in (200, 404)


@pytest_twisted.ensureDeferred
async def test_log_in_read_answer_log_out(site: Running) -> None:
    visitor = Visitor(site)
    assert await visitor.get("/messages") == (303, "/login?next=/messages")
    assert (await visitor.log_in("demo", "wrong"))[0] == 403
    assert await visitor.log_in("demo") == (303, "/conversations")
    thread = f"/conversations/{DID}/{PEER}"
    csrf = await visitor.token(thread, "csrf")
    status, location = await visitor.post(thread, csrf=csrf, text=TEXT.replace("\n", "\r\n"))
    assert (status, location.startswith(f"{thread}#m")) == (303, True)
    identity = int(location.rpartition("#m")[2])
    view = await site.store.read(messages.get, site.account.id, identity)
    assert view is not None
    assert (view.message.text, view.message.leg) == (TEXT, "portal")
    for path in ("/messages", thread, f"/messages/{identity}"):
        status, html = await visitor.get(path)
        assert (status, TEXT in unescape(html), "<b>" in html) == (200, True, False)
    stranger = Visitor(site)
    await stranger.log_in("other")
    for path in (f"/messages/{identity}", thread):
        assert (await stranger.get(path))[0] == 404
    assert await visitor.post("/logout", csrf=csrf) == (303, "/login")
    assert (await visitor.get("/messages"))[0] == 303
    assert (await stranger.get("/messages"))[0] == 200


@pytest_twisted.ensureDeferred
async def test_log_ins_at_the_same_moment_are_each_their_own(site: Running) -> None:
    visitors = [Visitor(site) for _ in range(5)]
    logging_in = [Deferred.fromCoroutine(visitor.log_in("demo")) for visitor in visitors]
    assert await gatherResults(logging_in) == [(303, "/conversations")] * 5
    assert len({visitor.cookies["trunkline"] for visitor in visitors}) == 5


@pytest_twisted.ensureDeferred
async def test_guesses_at_the_same_moment_do_not_slip_through(site: Running) -> None:
    guessing = [Deferred.fromCoroutine(Visitor(site).log_in("demo", f"guess {n}")) for n in range(12)]
    statuses = [status for status, _ in await gatherResults(guessing)]
    assert sorted(statuses) == [403] * 6 + [429] * 6


@pytest_twisted.ensureDeferred
async def test_clients_that_leave_at_once_lose_nothing_that_was_read(site: Running) -> None:
    body = f'{{"from":"{DID}","to":"{PEER}","text":"gone"}}'.encode()
    head = (
        f"POST /v1/messages HTTP/1.1\r\nAuthorization: Bearer tk_demo\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    endpoint = HostnameEndpoint(reactor, "127.0.0.1", site.port)
    for _ in range(20):
        protocol = await connectProtocol(endpoint, Protocol())
        protocol.transport.write(head.encode() + body)
        protocol.transport.loseConnection()
    status, answer = await call(site, "POST", "/v1/messages", json={"from": DID, "to": PEER, "text": "stays"})
    assert status == 202
    found = await site.store.read(messages.search, site.account.id, limit=100)
    assert answer["id"] in [view.message.id for view in found]
    assert {view.message.text for view in found} <= {"gone", "stays"}


@pytest_twisted.ensureDeferred
async def test_bodies_of_random_octets_are_answered_and_never_a_500(site: Running) -> None:
    random = Random(1)
    seed = f'{{"from":"{DID}","to":"{PEER}","text":"\\u00e9 hello"}}'.encode()
    statuses = set()
    for _ in range(300):
        body = bytearray(seed)
        for _ in range(random.randrange(1, 4)):
            body[random.randrange(len(body))] = random.randrange(256)
        response = await treq.post(
            f"{site.base}/v1/messages",
            bytes(body),
            headers=Headers({"Authorization": ["Bearer tk_demo"]}),
            agent=Agent(reactor),
        )
        await response.json()
        statuses.add(response.code)
    assert statuses <= {202, 400, 404, 422}
    assert {202, 400, 422} <= statuses


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_closed(site: Running) -> None:
    visitor = Visitor(site)
    await visitor.log_in("demo")
    await site.store.close()
    assert (await call(site, "GET", "/v1/messages"))[0] == 503
    assert (await call(site, "POST", "/v1/messages", json={"from": DID, "to": PEER, "text": "x"}))[0] == 503
    assert (await visitor.get("/messages"))[0] == 503
    assert (await call(site, "GET", "/livez"))[0] == 200
