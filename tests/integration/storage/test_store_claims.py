"""Claims: what one process holds no other gets, and what a process held is free when it is gone."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from storage.claims import Claims, claims_of
from storage.engines import Engine, open_engine
from tests.server import until

HOLD = """
import sys
from storage.claims import claims_of
from storage.engines import open_engine
claims = claims_of(open_engine(sys.argv[1]))
print(claims.take("upstream a"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(store_url: str) -> Iterator[Claims]:
    """Another process's, as far as the store can tell."""
    engine = open_engine(store_url)
    claims = claims_of(engine)
    yield claims
    claims.close()
    engine.close()


@pytest.fixture
def ours(engine: Engine) -> Iterator[Claims]:
    claims = claims_of(engine)
    yield claims
    claims.close()


def test_one_holder_a_name(ours: Claims, other: Claims) -> None:
    assert ours.take("upstream a")
    assert ours.take("upstream a"), "it is ours already"
    assert not other.take("upstream a")
    assert other.take("upstream b")
    assert ours.renew() == other.renew() == set()
    ours.release("upstream a")
    ours.release("never taken")
    assert other.take("upstream a")
    other.close()
    assert ours.take("upstream a")
    assert ours.take("upstream b")


def test_a_killed_process_holds_nothing(store_url: str, ours: Claims) -> None:
    command = [sys.executable, "-c", HOLD, store_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not ours.take("upstream a")
        holder.kill()
    until(lambda: ours.take("upstream a"), "PostgreSQL hears of the end of the connection")


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_claims_that_a_lost_connection_cost_are_taken_again_or_known_to_be_lost(
    engine: Engine, ours: Claims, other: Claims
) -> None:
    assert ours.take("upstream a")
    assert ours.take("upstream b")
    with engine.transaction() as conn:
        conn.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
    until(lambda: other.take("upstream a"), "the lock is free")
    assert ours.renew() == {"upstream a"}
    assert not other.take("upstream b")
    assert ours.renew() == set()
