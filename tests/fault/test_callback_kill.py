"""The server dies while an attempt that was due is under way: it is made exactly once more, under its id."""

import json
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from storage import numbers
from storage.engines import open_engine
from storage.ids import IdSource
from storage.tables import attempt, delivery
from tests.bench.peer import MoPump, Peer
from tests.provision import provision
from tests.server import Server, free_port, until
from tests.sink import Sink

pytestmark = pytest.mark.fault

DID = "+12025550100"
RETRY_MINUTES = 0.01  # 0.6 s


def test_killed_at_the_due_time_it_tries_exactly_once_more(sqlite_url: str, tmp_path: Path) -> None:
    sink, smsc = Sink(), free_port()
    sink.answer = b"not yet"
    sink.hold(after=1)
    provision(sqlite_url, [DID], {"url": f"{sink.url}/in?id={{ID}}&try={{ATTEMPT}}", "retry": True})
    with Peer(seconds=60) as peer, Server(tmp_path, sqlite_url, smsc) as server:
        server.config.write_text(f"{server.config.read_text()}[callback]\nretry_minutes = {RETRY_MINUTES}\n")
        peer.listen(smsc, peer.smpp)
        server.start(ready=False)
        assert peer.run(lambda: peer.smsc is not None), server.log.read_text()
        pump = MoPump(peer, 1, DID[1:].encode())
        pump.pump(1)
        assert peer.run(lambda: pump.answered == 1)
        until(lambda: len(sink.targets) == 2, "the second try, at its time")
        server.kill()
        assert _stored(sqlite_url) == 1
        sink.answer = b"ok"
        sink.release()
        server.start(ready=False)
        until(lambda: _state(sqlite_url) == "delivered", "the third try is answered ok")
    queries = sink.queries()
    sink.close()
    assert [query["try"] for query in queries] == ["1", "2", "2"]
    assert len({query["id"] for query in queries}) == 1
    assert _stored(sqlite_url) == 2


def test_a_webhook_that_is_due_when_the_server_is_killed_is_posted_exactly_once_more(
    sqlite_url: str, tmp_path: Path
) -> None:
    sink, smsc = Sink(), free_port()
    sink.status = 500
    sink.hold(after=1)
    provision(sqlite_url, [DID])
    _hook(sqlite_url, f"{sink.url}/hook")
    with Peer(seconds=90) as peer, Server(tmp_path, sqlite_url, smsc) as server:
        peer.listen(smsc, peer.smpp)
        server.start(ready=False)
        assert peer.run(lambda: peer.smsc is not None), server.log.read_text()
        pump = MoPump(peer, 1, DID[1:].encode())
        pump.pump(1)
        assert peer.run(lambda: pump.answered == 1)
        until(lambda: len(sink.targets) == 2, "the second try, 5 s later")
        server.kill()
        assert _stored(sqlite_url) == 1
        sink.status = 204
        sink.answer = b""
        sink.release()
        server.start(ready=False)
        until(lambda: _state(sqlite_url) == "delivered", "the third try is taken")
    bodies = [json.loads(body) for body in sink.bodies]
    sink.close()
    assert len(bodies) == 3
    assert len({body["data"]["payload"]["id"] for body in bodies}) == 1
    assert _stored(sqlite_url) == 2


def _hook(url: str, hook: str) -> None:
    engine = open_engine(url)
    try:
        with engine.transaction() as conn:
            ids = IdSource(14, lambda: time.time_ns() // 1_000_000)
            numbers.set_did(conn, ids.next, DID, handler="webhook", enabled=True, settings={"url": hook})
    finally:
        engine.close()


def _stored(url: str) -> int:
    engine = open_engine(url)
    try:
        with engine.snapshot() as conn:
            return len(conn.execute(select(attempt.c.number)).all())
    finally:
        engine.close()


def _state(url: str) -> str | None:
    engine = open_engine(url)
    try:
        with engine.snapshot() as conn:
            state: str | None = conn.scalar(select(delivery.c.state))
            return state
    finally:
        engine.close()
