"""The API on real sockets and a store with two customers who have the same of everything."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import treq
from twisted.internet import reactor as global_reactor
from twisted.web.client import Agent
from twisted.web.http_headers import Headers

from edge.actions import Actions
from edge.config import Config, Secret, SIPConfig, UpstreamConfig
from edge.dialect import Dialect
from edge.directory import Directory
from edge.events import Events
from edge.outbound import Outbound, Planner
from edge.references import References
from edge.web.api.router import Router
from edge.web.api.routes import Route
from edge.web.services import WebServices
from edge.web.site import make_site
from storage import accounts
from storage.store import Store
from tests.integration.storage.two_accounts import DOMAIN, Customer, two_customers
from tests.samples import NOW
from tests.unbound import Unbound

reactor: Any = global_reactor


class Idle:
    """An outbox that is told to look and does nothing else."""

    def look(self, changed: Sequence[int] = ()) -> None:
        pass


@dataclass
class ApiSite:
    """A site that listens, with a good key for each customer."""

    store: Store
    mine: Customer = field(init=False)
    theirs: Customer = field(init=False)
    base: str = ""

    async def start(self) -> None:
        store = self.store
        self.mine, self.theirs = two_customers(store.engine)
        for customer in (self.mine, self.theirs):
            await store.writer.run("key", partial(self._key, customer))
        self.directory = Directory(store, reactor)
        await self.directory.start()
        self.events = Events(store, reactor, reactor)
        self.events.start()
        dialect = Dialect(UpstreamConfig(name="up", port=1, system_id="x", password=Secret("x")), "US")
        planner = Planner({"up": dialect}, "US", self.directory.did, References(lambda: 0))
        self.services = WebServices(
            store=store,
            directory=self.directory,
            outbound=Outbound(planner, store, {"up": Unbound()}, lambda: NOW, lambda due: due),
            config=Config(sip=SIPConfig(domain=DOMAIN)),
            simulator=None,
            ready=lambda: (True, {}),
            wall_ms=lambda: NOW,
            reactor=reactor,
            deliveries=Actions(store, Idle(), lambda: NOW),  # type: ignore[arg-type]
            events=self.events,
        )
        self._ports: list[Any] = []
        self.base = self.listen()

    def listen(self) -> str:
        """Another server's site on the same store; where it listens."""
        site = make_site(self.services)
        router = site.branches[b"v1"]
        assert isinstance(router, Router)
        self.routes: tuple[Route, ...] = router.table.routes
        self._ports.append(reactor.listenTCP(0, site, interface="127.0.0.1"))
        return f"http://127.0.0.1:{self._ports[-1].getHost().port}"

    async def stop(self) -> None:
        self.directory.stop()
        await self.events.stop()
        for port in self._ports:
            await port.stopListening()

    async def call(
        self, who: Customer, method: str, path: str, body: object = None, base: str = "", **headers: str
    ) -> tuple[int, str]:
        """Status and body."""
        data = b"" if body is None else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {token(who)}", **headers}
        fields = Headers({name: [value] for name, value in given.items()})
        response = await treq.request(
            method, (base or self.base) + path, headers=fields, data=data or None, agent=Agent(reactor)
        )
        return response.code, (await response.content()).decode()

    def _key(self, who: Customer, conn: Any) -> None:
        digest = hashlib.sha256(token(who).encode()).hexdigest()
        accounts.add_key(conn, who.ids.next, who.account.id, "walker", "walker", digest, NOW)


def token(who: Customer) -> str:
    """A key that may do everything for this customer."""
    return f"tk_{who.name}_0123456789abcdef"
