"""Upstreams that are one source: receipts, the parts of a long message and what is sent again come on any."""

from dataclasses import dataclass, field

from edge.assembly import Assembly
from edge.repeats import Repeats


@dataclass(slots=True)
class Group:
    """What the upstreams of one group share.

    ``unmatched`` counts the receipts that found no part: while there are none, none need be tried again.
    ``converts``: a receipt has shown beyond doubt that they tell ids in another base than they gave.
    """

    upstreams: tuple[str, ...]
    assembly: Assembly = field(default_factory=Assembly)
    repeats: Repeats = field(default_factory=Repeats)
    unmatched: int = 0
    converts: bool = False
