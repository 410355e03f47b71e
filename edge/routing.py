"""Pure decisions: which handlers a DID's message goes to, which upstream carries a message out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.config import RouteConfig
from edge.errors import Refused
from edge.handlers.registry import Registry, installed
from storage.records import Did


@dataclass(frozen=True, slots=True)
class Duty:
    """One handler that must deliver a message, and where to; None when it is broken and cannot tell."""

    handler: str
    target: str | None


def duties(did: Did, peer: str, handlers: Registry | None = None) -> list[Duty]:
    """The deliveries that a message from ``peer`` to ``did`` owes, in the order of the handlers' names.

    ``handlers`` are those that are installed, unless told otherwise.
    """
    return [Duty(*target) for target in (handlers or installed()).targets(did, peer)]


def routes_of(configured: Sequence[RouteConfig], upstreams: Sequence[str]) -> tuple[RouteConfig, ...]:
    """The routes of a configuration; without any, the first upstream carries everything."""
    if configured or not upstreams:
        return tuple(configured)
    return (RouteConfig(name="default", upstreams=(upstreams[0],)),)


def route_for(
    routes: Sequence[RouteConfig], destination: str, did: str, account_id: int | None
) -> RouteConfig:
    """The first route that fits. Raises Refused ("no_route") when there is none."""
    for route in routes:
        if _fits(route, destination, did, account_id):
            return route
    raise Refused("no_route", f"No upstream is configured that could carry a message to {destination}.", "to")


def _fits(route: RouteConfig, destination: str, did: str, account_id: int | None) -> bool:
    return (
        (not route.prefixes or destination.startswith(route.prefixes))
        and (not route.dids or did in route.dids)
        and (not route.accounts or account_id in route.accounts)
    )


def choose(route: RouteConfig, up: Callable[[str], bool], draw: Callable[[], float]) -> str:
    """The upstream for a new message: of those that share the load and are up one by weight, else the first
    for failover that is up. When none is up, one of the first kind: the message waits there.

    ``draw`` gives a number from 0 up to, but not including, 1.
    """
    if len(route.upstreams) == 1 and (not route.failover or up(route.upstreams[0])):
        return route.upstreams[0]
    sharing = [name for name in route.upstreams if up(name)]
    if sharing:
        return _by_weight(route, sharing, draw)
    fallback = next((name for name in route.failover if up(name)), None)
    return fallback or _by_weight(route, route.upstreams, draw)


def another(
    route: RouteConfig,
    current: str,
    up: Callable[[str], bool],
    draw: Callable[[], float],
    tried: Sequence[str] = (),
) -> str | None:
    """The upstream that a message goes to which ``current`` cannot or would not take; None when none is up.

    Those in ``tried`` refused it before and are not asked again.
    """

    def able(name: str) -> bool:
        return name != current and name not in tried and up(name)

    chosen = choose(route, able, draw)
    return chosen if able(chosen) else None


def _by_weight(route: RouteConfig, names: Sequence[str], draw: Callable[[], float]) -> str:
    if len(names) == 1:
        return names[0]
    weights = [route.weights.get(name, 1) for name in names]
    left = draw() * sum(weights)
    for name, weight in zip(names, weights, strict=True):
        left -= weight
        if left < 0:
            return name
    return names[-1]
