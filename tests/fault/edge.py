"""The server inside the test's own process, on the real reactor, with SMSCs that follow a script."""

import time
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from edge.config import Config, HTTPConfig, RouteConfig, Secret, UpstreamConfig
from edge.outbound import Accepted, Draft
from edge.service import TrunklineService
from edge.testing import FakeLink, FakeSMSC
from storage import messages
from storage.engines import open_engine
from storage.ids import IdSource
from storage.records import MessageView, PartRecord
from storage.store import Store
from tests.provision import provision
from tests.server import free_port

DID = "+12025550100"
PHONE = "+12025550150"
PATIENCE_SECONDS = 20.0


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Edge:
    """A `TrunklineService` with one upstream for each SMSC; a second `start` finds the store of the first.

    ``own`` are settings of single upstreams, by name; ``tables`` are tables of the configuration.
    """

    def __init__(
        self,
        url: str,
        smscs: dict[str, FakeSMSC],
        routes: tuple[RouteConfig, ...] = (),
        own: dict[str, dict[str, Any]] | None = None,
        tables: dict[str, Any] | None = None,
        **upstream: Any,
    ) -> None:
        self.url = url
        self.account_id = provision(self.url, [DID])
        settings = {
            "system_id": "trunk",
            "password": Secret("secret"),
            "reconnect_min_seconds": 0.01,
            "reconnect_max_seconds": 0.05,
            "throttle_min_seconds": 0.005,
            "throttle_max_seconds": 0.02,
            **upstream,
        }
        self.config = Config(
            http=HTTPConfig(listen=f"127.0.0.1:{free_port()}"),
            upstreams=tuple(
                UpstreamConfig(name=name, port=smsc.port, **{**settings, **(own or {}).get(name, {})})
                for name, smsc in smscs.items()
            ),
            routes=routes,
            **(tables or {}),
        )
        self.failures: list[Failure] = []
        self.start()

    def start(self) -> None:
        store = Store(open_engine(self.url), reactor, IdSource(0, wall_ms))  # type: ignore[arg-type]
        self.service = TrunklineService(self.config, store, reactor, wall_ms, Random(1), self.failures.append)
        self.service.privilegedStartService()
        self.service.startService()

    async def stop(self) -> None:
        await self.service.stopService()
        assert self.failures == []

    async def submit(self, text: str, to: str = PHONE, **more: Any) -> Accepted:
        """What a leg does, once the server takes anything."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.service.outbound.draining and time.monotonic() < deadline:
            await deferLater(reactor, 0.005)
        return await self.service.outbound.submit(Draft(self.account_id, DID, to, text, "test", **more))

    async def submit_all(self, texts: list[str]) -> list[Accepted]:
        """Many at the same time."""
        found: list[Accepted] = await gatherResults(
            [Deferred.fromCoroutine(self.submit(text)) for text in texts]
        )
        return found

    async def view(self, message_id: int) -> MessageView:
        found = await self.service.store.read(messages.get, self.account_id, message_id)
        assert found is not None
        return found

    async def parts(self, message_id: int) -> list[PartRecord]:
        return list((await self.view(message_id)).parts)

    async def until(self, message_id: int, condition: Callable[[list[PartRecord]], bool]) -> list[PartRecord]:
        """The parts of a message, as soon as the store shows what is wanted."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = await self.parts(message_id)
            if condition(found):
                return found
            assert time.monotonic() < deadline, found
            await deferLater(reactor, 0.005)

    async def all_in(self, accepted: list[Accepted], *states: str) -> None:
        """Wait until every part of these messages is in one of these states."""
        for one in accepted:
            await self.until(one.message_id, lambda parts: {part.state for part in parts} <= {*states})


async def bound(smsc: FakeSMSC) -> FakeLink:
    """The next link, bound."""
    return await smsc.await_bind(PATIENCE_SECONDS)
