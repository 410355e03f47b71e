"""The simulator alone, as a service: its SMSC and its page, without the server."""

from collections.abc import Callable
from typing import Any

import structlog
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.web.util import Redirect

from edge.config import Config
from edge.endpoints import host_and_port
from edge.simulator.page import SimulatorPage
from edge.simulator.simulator import Simulator
from edge.simulator.web import Node, site
from edge.wallclock import wall_ms

log = structlog.get_logger(__name__)


class SimulatorService(Service):
    """I run a simulator and serve its page at ``http_listen``."""

    name = "simulator"

    def __init__(self, simulator: Simulator, http_listen: str, reactor: Any) -> None:
        self.simulator = simulator
        self.url = ""
        self._http_listen = http_listen
        self._reactor = reactor
        self._port: Any = None

    def privilegedStartService(self) -> None:
        """Take both ports: if one is not free, the start fails here."""
        smpp_port = self.simulator.open()
        host, port = host_and_port(self._http_listen)
        root = Node()
        root.putChild(b"", Redirect(b"/simulator"))
        root.putChild(b"simulator", SimulatorPage(self.simulator))
        listening = self._reactor.listenTCP(port, site(root), interface=host)
        self._port = listening
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{listening.getHost().port}/simulator"
        log.info("simulator_ready", page=self.url, smpp_port=smpp_port)

    def stopService(self) -> "Deferred[None]":
        """Unbind, and give the ports back."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self.simulator.stop()
        listening, self._port = self._port, None
        if listening is not None:
            await listening.stopListening()


def make_service(config: Config, reactor: Any, clock_ms: Callable[[], int] = wall_ms) -> SimulatorService:
    """The service for a configuration with a [simulator] table; ValueError without one."""
    if config.simulator is None:
        raise ValueError("the configuration has no [simulator] table")
    simulator = Simulator(config.simulator, reactor, clock_ms, region=config.numbers.region)
    return SimulatorService(simulator, config.http.listen, reactor)
