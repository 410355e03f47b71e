"""Connections that we open, by TCP and TLS: one to each place, used by all who send there (RFC 3261 §18).

What the other side sends on them is heard like anything else.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.python.failure import Failure

from protocols.sip.locating import Hop
from protocols.sip.transport import ConnectionFactory, Flow, Receiver

CONNECT_SECONDS = 5.0

TLSSide = Callable[[], IOpenSSLClientConnectionCreator]
_Place = tuple[Hop, TLSSide | None]


class Connections:
    """I open connections, and keep them until either side closes."""

    def __init__(self, receiver: Receiver, reactor: Any) -> None:
        self._reactor = reactor
        self._factories = {kind: ConnectionFactory(kind, receiver, reactor) for kind in ("TCP", "TLS")}
        self._open: dict[_Place, Flow] = {}
        self._opening: dict[_Place, list[Deferred[Flow]]] = {}

    def connect(self, hop: Hop, tls: TLSSide | None = None) -> "Deferred[Flow]":
        """The connection to a place, opened when there is none. ``tls`` makes our side of TLS: connections
        made with another one are not shared. Errback: the connection's failure."""
        place = hop, tls
        known = self._open.get(place)
        if known is not None and known.open:
            return succeed(known)
        waiting: Deferred[Flow] = Deferred()
        others = self._opening.setdefault(place, [])
        others.append(waiting)
        if len(others) == 1:
            self._dial(hop, tls).addBoth(self._dialled, place)
        return waiting

    def close(self) -> None:
        """Close them all."""
        for factory in self._factories.values():
            factory.close()
        self._open.clear()

    def _dial(self, hop: Hop, tls: TLSSide | None) -> Deferred[Any]:
        kind = TCP6ClientEndpoint if ":" in hop.host else TCP4ClientEndpoint
        endpoint: IStreamClientEndpoint = kind(self._reactor, hop.host, hop.port, timeout=CONNECT_SECONDS)
        if tls is not None:
            endpoint = wrapClientTLS(tls(), endpoint)
        dialled: Deferred[Any] = endpoint.connect(self._factories[hop.kind])
        return dialled

    def _dialled(self, result: Any, place: _Place) -> None:
        waiting = self._opening.pop(place)
        if not isinstance(result, Failure):
            self._forget_closed()
            self._open[place] = result
        for each in waiting:
            each.callback(result)

    def _forget_closed(self) -> None:
        for place in [place for place, flow in self._open.items() if not flow.open]:
            del self._open[place]
