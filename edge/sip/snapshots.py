"""What the SIP side has counted, as it stands: for metrics and operators (as `edge.metrics` is for binds)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from edge.sip import agent, delivery, flows, guard, intake, registrar, reports, trunks
from edge.sip.bindings import Bindings
from edge.sip.trunks import Trunk


@dataclass(frozen=True, slots=True)
class TrunkSnapshot:
    """One trunk. ``registration`` is off, trying, registered or refused; off too for a static peer."""

    name: str
    registration: str
    last_status: int | None
    servers: int
    failed_servers: int
    messages: trunks.Counters


@dataclass(frozen=True, slots=True)
class SipSnapshot:
    """One server. ``bindings`` are contacts by transport; ``transactions`` requests that are remembered;
    the rest are the counters of each part since the start."""

    bindings: Mapping[str, int]
    transactions: int
    requests: agent.Counters
    guard: guard.Counters
    registrar: registrar.Counters
    intake: intake.Counters
    delivery: delivery.Counters
    flows: flows.Counters
    reports: reports.Counters
    trunks: tuple[TrunkSnapshot, ...]


def of_trunks(found: Iterable[Trunk]) -> tuple[TrunkSnapshot, ...]:
    """The trunks as they are now."""
    return tuple(_of_trunk(trunk) for trunk in found)


def _of_trunk(trunk: Trunk) -> TrunkSnapshot:
    registration = trunk.registration
    known, failed = trunk.servers
    return TrunkSnapshot(
        name=trunk.config.name,
        registration="off" if registration is None else registration.state.value,
        last_status=None if registration is None else registration.last_status,
        servers=known,
        failed_servers=failed,
        messages=replace(trunk.counters),
    )


def by_transport(bindings: Bindings) -> Mapping[str, int]:
    """How many contacts there are, by transport."""
    counted = Counter(binding.record.transport for binding in bindings)
    return MappingProxyType(dict(sorted(counted.items())))
