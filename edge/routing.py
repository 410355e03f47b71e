"""Pure decisions: which handlers a DID's message goes to, which upstream carries a message out."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.errors import Refused
from storage.records import Did


@dataclass(frozen=True, slots=True)
class Duty:
    """One handler that must deliver a message, and where to."""

    handler: str
    target: str


# The settings key that holds a handler's target. The portal has none: the stored message is its delivery.
TARGET_SETTING = {"callback": "url", "sip": "aor"}


def duties(did: Did) -> list[Duty]:
    """The deliveries that a message to ``did`` owes, in the order of the handlers' names."""
    found = []
    for name in sorted(did.handlers):
        setting = did.handlers[name]
        key = TARGET_SETTING.get(name)
        if setting.enabled and key is not None:
            target = setting.settings.get(key)
            if isinstance(target, str) and target:
                found.append(Duty(name, target))
    return found


def upstream_for(destination: str, upstreams: Sequence[str]) -> str:
    """The name of the upstream that carries a message to ``destination``: the first one configured.

    Raises Refused ("no_route") when there is none.
    """
    if not upstreams:
        raise Refused(
            "no_route", f"No upstream is configured that could carry a message to {destination}.", "to"
        )
    return upstreams[0]
