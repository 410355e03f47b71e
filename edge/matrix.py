"""The delivery matrix: for one message, where each handler's duty stands. Pure."""

from dataclasses import dataclass

from edge.handlers.portal import PortalHandler
from storage.records import AttemptRecord, DeliveryState, DeliveryView, MessageView


@dataclass(frozen=True, slots=True)
class Cell:
    """One handler's duty. Times are milliseconds since the epoch; ``next_try_at`` is None when none is due.

    ``delivery_id`` is None for the portal, whose delivery is the stored message. A ``dead`` one has failed
    and can be replayed.
    """

    handler: str
    target: str
    event: str | None
    state: DeliveryState
    attempts: int
    next_try_at: int | None
    delivery_id: int | None
    outcome: str | None = None
    last: AttemptRecord | None = None

    @property
    def dead(self) -> bool:
        """A dead letter: nothing more happens unless somebody asks for it."""
        return self.state == DeliveryState.FAILED


def matrix(view: MessageView) -> tuple[Cell, ...]:
    """The portal first (for what came in), then the deliveries in the order of their ids."""
    cells = [cell(item) for item in view.deliveries]
    if view.message.direction == "mo" and view.message.account_id is not None:
        name = PortalHandler.name
        cells.insert(0, Cell(name, "", None, DeliveryState.DELIVERED, 0, None, None, "stored"))
    return tuple(cells)


def cell(view: DeliveryView) -> Cell:
    """Of one delivery with its attempts."""
    record = view.delivery
    return Cell(
        handler=record.handler,
        target=record.target,
        event=record.event,
        state=record.state,
        attempts=record.attempts,
        next_try_at=record.due_at if record.state == DeliveryState.PENDING else None,
        delivery_id=record.id,
        outcome=record.last_outcome,
        last=view.attempts[-1] if view.attempts else None,
    )
