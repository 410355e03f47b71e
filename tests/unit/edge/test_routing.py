"""Routes: which upstream a message goes to, and which one next."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from edge.config import RouteConfig
from edge.errors import Refused
from edge.routing import another, choose, route_for, routes_of

DID, OTHER_DID = "+12025550100", "+12025550101"


def route(*upstreams: str, **more: Any) -> RouteConfig:
    return RouteConfig(name="r", upstreams=upstreams, **more)


def up(*names: str) -> Any:
    return lambda name: name in names


ANY = lambda name: True  # noqa: E731
FIRST = lambda: 0.0  # noqa: E731


def test_without_routes_the_first_upstream_carries_everything() -> None:
    (only,) = routes_of((), ("a", "b"))
    assert (only.upstreams, only.failover) == (("a",), ())
    assert routes_of((), ()) == ()
    given = (route("b"),)
    assert routes_of(given, ("a", "b")) == given


def test_the_first_route_that_fits_in_everything_it_says_is_taken() -> None:
    british = route("a", prefixes=("+44", "+353"))
    own = route("b", dids=(OTHER_DID,), accounts=(7, 8))
    rest = route("c")
    routes = (british, own, rest)
    assert route_for(routes, "+447911123456", DID, 1) is british
    assert route_for(routes, "+12025550150", OTHER_DID, 7) is own
    assert route_for(routes, "+12025550150", OTHER_DID, 9) is rest
    assert route_for(routes, "+12025550150", DID, 7) is rest
    with pytest.raises(Refused) as refused:
        route_for(routes[:2], "+12025550150", DID, None)
    assert refused.value.code == "no_route"


def test_the_load_is_shared_by_weight() -> None:
    shared = route("a", "b", "c", weights={"a": 5, "b": 3})
    chance = Random(1)
    found = Counter(choose(shared, ANY, chance.random) for _ in range(9_000))
    assert {name: round(count / 1_000) for name, count in found.items()} == {"a": 5, "b": 3, "c": 1}
    found = Counter(choose(shared, up("b", "c"), chance.random) for _ in range(4_000))
    assert {name: round(count / 1_000) for name, count in found.items()} == {"b": 3, "c": 1}
    assert choose(shared, ANY, lambda: 0.999999999) == "c"


def test_failover_is_for_when_none_of_those_is_up() -> None:
    backed = route("a", "b", failover=("c", "d"))
    assert choose(backed, up("b", "c", "d"), FIRST) == "b"
    assert choose(backed, up("c", "d"), FIRST) == "c"
    assert choose(backed, up("d"), FIRST) == "d"
    assert choose(backed, up(), FIRST) == "a"


def test_one_upstream_without_another_is_taken_unasked() -> None:
    def never(name: str) -> bool:
        raise AssertionError

    assert choose(route("a"), never, FIRST) == "a"


def test_another_upstream_is_one_that_is_up_and_has_not_refused_it() -> None:
    backed = route("a", "b", failover=("c",))
    assert another(backed, "a", ANY, FIRST) == "b"
    assert another(backed, "b", ANY, FIRST) == "a"
    assert another(backed, "a", up("a", "c"), FIRST) == "c"
    assert another(backed, "b", ANY, FIRST, tried=("a", "b")) == "c"
    assert another(backed, "c", ANY, FIRST, tried=("a", "b", "c")) is None
    assert another(backed, "a", up("a"), FIRST) is None
    assert another(route("a"), "a", ANY, FIRST) is None
