"""What an upstream tells, and asks of, whoever follows its traffic."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred

from edge.binds import Bind
from edge.recorder import Along
from protocols.smpp.pdu import Request
from storage.parts import QueuedPart

if TYPE_CHECKING:
    from edge.upstreams import Upstream


class Observer(Protocol):
    """Who is told what an upstream brings."""

    def received(self, upstream: "Upstream", bind: Bind, pdu: Request) -> None:
        """A request of the SMSC that must be answered."""
        ...

    def link_up(self, upstream: "Upstream") -> None:
        """A bind is up: what the SMSC could not deliver comes again."""
        ...

    def link_lost(self, upstream: "Upstream", bind: Bind) -> None:
        """A bind went down: unless that was orderly, answers that were written last may not have arrived."""
        ...

    def accepted(self, upstream: "Upstream", item: QueuedPart, smsc_message_id: str) -> None:
        """The SMSC's id of a part is in the store: a receipt that came too early can be matched now."""
        ...

    def taking(self, upstream: "Upstream", item: QueuedPart) -> Along | None:
        """What belongs into the transaction that stores that the SMSC took this part."""
        ...

    def failing(self, upstream: "Upstream", part_ids: Sequence[int], told: bool) -> Along | None:
        """What belongs into the transaction that stores that these parts will not be sent; ``told``: somebody
        may want to know."""
        ...

    def elsewhere(self, upstream: "Upstream", item: QueuedPart) -> Deferred[Sequence[int]]:
        """The SMSC would not take this part, which is queued again; may another upstream have the message?

        The ids of the parts that moved; none if it stays.
        """
        ...

    def refute(self, upstream: "Upstream", part_id: int) -> Deferred[bool]:
        """The SMSC refused this part, and a receipt was only guessed to be about it: that is undone.

        False when an answer tells that it was taken.
        """
        ...
