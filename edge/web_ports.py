"""The ports of HTTP: portal and API, and /metrics. A reload changes what is there, and cuts nobody off."""

import os
from collections import Counter
from collections.abc import Callable
from socket import AF_INET, AF_INET6
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IListeningPort
from twisted.internet.tcp import Port
from twisted.python.failure import Failure
from twisted.web.server import Site

from edge.config import HTTPConfig, MetricsConfig
from edge.crowd import AtMost
from edge.ending import ANSWER_SECONDS, at_most, quietly
from edge.endpoints import host_and_port
from edge.supervisor import Supervisor
from edge.web.site import EdgeSite

MOST_SCRAPES = 20  # connections to /metrics at a time
BACKLOG = 50  # of the kernel, as Twisted has it
LAST_ROUNDS = 10  # more than it takes to accept that many: each round takes 20 more than the one before


class LastPort(Port):
    """A port that takes everybody before it closes.

    Who has connected is in the kernel's queue, and thinks that he is connected; with the socket the queue
    would be closed, and all that wait in it reset.
    """

    def connectionLost(self, reason: Failure) -> None:
        """Accept whoever waits, and close."""
        for _ in range(LAST_ROUNDS):
            before = self.sessionno
            self.doRead()
            if self.sessionno == before:
                break
        super().connectionLost(reason)


class WebPorts:
    """I listen from `listen` until `close_site` and `close_metrics`."""

    site: EdgeSite | None = None
    _port: IListeningPort | None = None
    _metrics_port: IListeningPort | None = None
    _stale_sites: tuple[EdgeSite, ...] = ()  # of before a reload, while they owe answers

    def __init__(
        self,
        supervisor: Supervisor,
        reactor: Any,
        make_site: Callable[[], EdgeSite],
        make_metrics: Callable[[], Site],
    ) -> None:
        self._supervisor = supervisor
        self._reactor = reactor
        self._make_site = make_site
        self._make_metrics = make_metrics

    def listen(self, http: HTTPConfig, metrics: MetricsConfig | None) -> None:
        """On the socket that a supervisor gives, or our own. Raises CannotListenError, OSError."""
        host, port = host_and_port(http.listen)
        self.site = self._make_site()
        given = self._supervisor.sockets.get("http")
        if given is None:
            own = LastPort(port, self.site, BACKLOG, host, self._reactor)
            own.startListening()
            self._port = own
        else:  # the supervisor's queue stays, for the server after this one
            family = AF_INET6 if ":" in host else AF_INET
            os.set_blocking(given, False)  # as it comes, a second accept would hold up everything
            self._port = self._reactor.adoptStreamPort(given, family, self.site)
        if metrics is not None:
            self.open_metrics(metrics)()

    def open_metrics(self, config: MetricsConfig | None) -> Callable[[], object]:
        """Listen, if there are to be metrics; what is given back ends the listening of before. Raises
        CannotListenError."""
        fresh = None
        if config is not None:
            host, port = host_and_port(config.listen)
            metrics = AtMost(MOST_SCRAPES, self._make_metrics())
            fresh = self._reactor.listenTCP(port, metrics, interface=host)

        def use() -> object:
            stale, self._metrics_port = self._metrics_port, fresh
            return None if stale is None else quietly(stale.stopListening())

        return use

    def renew_site(self) -> None:
        """Pages and API as the configuration has them now, for new connections; the old ones are let go."""
        if self._port is not None and self.site is not None:
            stale, self.site = self.site, self._make_site()
            self.site.requests = stale.requests
            port: Any = self._port
            port.factory = self.site
            stale.drain()
            self._stale_sites = (*(site for site in self._stale_sites if site.channels), stale)

    async def close_site(self) -> None:
        """Until now senders were told to come again in a moment. What is being answered gets its answer."""
        if self._port is not None:
            await quietly(self._port.stopListening())
        if self.site is not None:
            ending = [site.drain() for site in (*self._stale_sites, self.site)]
            await at_most(DeferredList(ending, consumeErrors=True), ANSWER_SECONDS, self._reactor)

    def close_metrics(self) -> Deferred[Any]:
        """Show them no more."""
        return quietly(None if self._metrics_port is None else self._metrics_port.stopListening())

    @property
    def requests(self) -> Counter[tuple[str, str, str]]:
        """Of HTTP, by method, route and status."""
        return Counter() if self.site is None else self.site.requests
