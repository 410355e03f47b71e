"""What the commands need of the running server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from edge.actions import Actions
from edge.binds import Bind
from edge.config import Config
from edge.deliveries import Outbox
from edge.directory import Directory
from edge.doubts import Doubts
from edge.errors import Unavailable
from edge.interventions import Interventions
from edge.kill_switch import KillSwitch
from edge.lag import Lag
from edge.outbound import Outbound
from edge.policy.optout import OptOuts
from edge.quarantine import Quarantine
from edge.reload import Reloaded
from edge.sip.service import SipEdge
from edge.upstreams import Upstream
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Server:
    """The parts of one server; what a reload replaces is behind a function. Times are wall-clock
    milliseconds, durations those of ``reactor.seconds``."""

    reactor: Any
    wall_ms: Callable[[], int]
    started_ms: int
    config: Callable[[], Config]
    store: Store
    directory: Directory
    upstreams: Callable[[], Mapping[str, Upstream]]
    outbound: Outbound
    outbox: Outbox
    actions: Actions
    doubts: Doubts
    interventions: Interventions
    quarantine: Quarantine
    lag: Lag
    sip: SipEdge | None
    ready: Callable[[], tuple[bool, dict[str, object]]]
    opt_outs: OptOuts
    reload: Callable[[], Deferred[Reloaded]]
    drain: Callable[[], None]
    kill_switch: KillSwitch

    def must_run(self) -> None:
        """Raises Unavailable until the start is over, and when the end has begun."""
        if self.outbound.draining:
            raise Unavailable("The server is starting, or ending: `status` says what it waits for.")

    def binds(self) -> dict[str, Bind]:
        """Every bind by its name."""
        return {bind.name: bind for upstream in self.upstreams().values() for bind in upstream.binds}
