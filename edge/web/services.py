"""What the web needs of the rest of the server."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from edge.config import Config
from edge.console.console import Operator, Reply
from edge.console.language import Language
from edge.directory import Directory
from edge.handlers.base import DIDHandler
from edge.handlers.trial import Trials
from edge.http.resolving import Resolver
from edge.outbound import Outbound
from edge.policy.optout import OptOuts
from edge.simulator import Simulator
from storage.events import Batch, Cursor
from storage.store import Store


class DeliveryActions(Protocol):
    """What people may do about deliveries; the outbox does it. Each fires after its commit."""

    def retry_now(self, delivery_id: int) -> Deferred[bool]:
        """Make a pending delivery due at once; False when it is not pending any more."""
        ...

    def skip(self, delivery_id: int, why: str) -> Deferred[bool]:
        """End a pending delivery as failed, with this reason; False when it is not pending any more."""
        ...

    def replay(self, delivery_ids: Sequence[int]) -> Deferred[int]:
        """Make failed deliveries pending and due again, under their ids; how many of them were failed."""
        ...


class FeedReader(Protocol):
    """One reader's place in the feed of events."""

    @property
    def cursor(self) -> Cursor:
        """After what he has read."""
        ...

    def next(self) -> Deferred[Batch]:
        """What comes after the cursor, which is moved, as soon as there is something; one call at a time."""
        ...

    def close(self) -> None:
        """He reads no more."""
        ...


class Feed(Protocol):
    """The feed of events, for readers in this process."""

    def subscribe(self, account_id: int | None, cursor: Cursor | None = None) -> Deferred[Any]:
        """A `FeedReader` of an account's events after a cursor, or from now on."""
        ...


class OperatorConsole(Protocol):
    """What operators say and see; see `edge.console.console.Console`."""

    @property
    def language(self) -> Language:
        """The commands that there are."""
        ...

    def execute(self, line: str, operator: Operator) -> Deferred[Reply]:
        """Carry a line out, noted in log and audit."""
        ...

    def look(self, line: str) -> Deferred[Reply]:
        """What a command finds, without a note."""
        ...


@dataclass(frozen=True, slots=True)
class WebServices:
    """``ready`` says whether traffic can be taken and in what state each part is, ``started`` whether the
    start is over and which steps it had. Without ``deliveries`` there is nothing at /v1/deliveries, without
    ``events`` nothing at /v1/events; without ``resolver`` no host name has addresses. ``handlers`` are
    those that deliver, by name; without ``console`` operators have no pages."""

    store: Store
    directory: Directory
    outbound: Outbound
    config: Config
    simulator: Simulator | None
    ready: Callable[[], tuple[bool, dict[str, object]]]
    wall_ms: Callable[[], int]
    reactor: Any
    deliveries: DeliveryActions | None = None
    resolver: Resolver | None = None
    events: Feed | None = None
    opt_outs: OptOuts | None = None
    handlers: Mapping[str, DIDHandler] = field(default_factory=dict)
    console: OperatorConsole | None = None
    started: Callable[[], tuple[bool, dict[str, object]]] = lambda: (True, {"doing": None, "steps": []})

    @property
    def trials(self) -> Trials:
        """For trying them."""
        return Trials(self.handlers, self.store.ids.next, self.wall_ms, self.reactor.seconds)
