"""Upstreams that are one source: their receipts and parts of long messages may come on any of them."""

from dataclasses import dataclass, field

from edge.assembly import Assembly


@dataclass(slots=True)
class Group:
    """What the upstreams of one group share.

    ``unmatched`` counts the receipts that found no part: while there are none, none need be tried again.
    ``converts``: a receipt has shown beyond doubt that they tell ids in another base than they gave.
    """

    upstreams: tuple[str, ...]
    assembly: Assembly = field(default_factory=Assembly)
    unmatched: int = 0
    converts: bool = False
