"""The table of the compatible API on both engines, and what no engine can hold."""

import pytest

from storage.engines import Engine
from storage.ids import IdSource
from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.voipms.test_table import TABLE, filled, furnished
from tests.unit.edge.voipms.world import NOW, PASSWORD, World

pytestmark = pytest.mark.integration


@pytest.fixture
def world(engine: Engine) -> World:
    """On a store of this engine."""
    return World(InlineStore(engine, IdSource(0, lambda: NOW - 60_000)), Time())


@pytest.mark.parametrize("method", TABLE)
def test_the_table_on_both_engines(world: World, method: str) -> None:
    ids = furnished(world)
    for row in TABLE[method]:
        answer = world.call(method, **filled(dict(row.parameters), ids))
        assert answer["status"] == row.status, (row, answer)


def test_values_that_no_column_can_hold(world: World) -> None:
    ids = furnished(world)
    for method, rows in TABLE.items():
        names = {name for row in rows for name in row.parameters}
        for name in sorted(names):
            for value in (b"\0", b"a\xff", b"\xed\xa0\x80", b"9" * 400, b"'; --", "é".encode() * 300):
                good = next((row for row in reversed(rows) if row.status == "success"), rows[0])
                parameters = {**filled(dict(good.parameters), ids), name: value}
                login = {"api_username": "demo", "api_password": PASSWORD, "method": method}
                reply = world.get("/api/v1/rest.php", **login, **parameters)
                assert reply.status == 200, (method, name, value, reply.body)
