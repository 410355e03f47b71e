"""Pure decisions: which handlers a DID's message goes to, which upstream carries a message out."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.errors import Refused
from edge.handlers.registry import Registry, installed
from storage.records import Did


@dataclass(frozen=True, slots=True)
class Duty:
    """One handler that must deliver a message, and where to."""

    handler: str
    target: str


def duties(did: Did, peer: str, handlers: Registry | None = None) -> list[Duty]:
    """The deliveries that a message from ``peer`` to ``did`` owes, in the order of the handlers' names.

    ``handlers`` are those that are installed, unless told otherwise.
    """
    return [Duty(*target) for target in (handlers or installed()).targets(did, peer)]


def upstream_for(destination: str, upstreams: Sequence[str]) -> str:
    """The name of the upstream that carries a message to ``destination``: the first one configured.

    Raises Refused ("no_route") when there is none.
    """
    if not upstreams:
        raise Refused(
            "no_route", f"No upstream is configured that could carry a message to {destination}.", "to"
        )
    return upstreams[0]
