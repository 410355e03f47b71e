"""What handlers keep, on both engines: failing endpoints, forwards, dead letters."""

from collections.abc import Iterable

from storage import dead_letters, deliveries, endpoints, forwards, messages
from storage.endpoints import Endpoint, EndpointRecord
from storage.engines import Engine
from storage.forwards import SentRecord, Talk
from storage.records import DeliveryState
from storage.statements import Write, execute_all
from tests.samples import delivery_of, mo, mt

NOW = 1_769_860_800_000
HOOK = Endpoint(1, "webhook", "https://example.net/hook")


def test_an_endpoint_fails_is_paused_and_recovers(engine: Engine) -> None:
    failing = EndpointRecord(*HOOK, NOW, None, "timeout")
    other = EndpointRecord(2, "webhook", HOOK.url, NOW - 1, None, "http_error")
    with engine.transaction() as conn:
        endpoints.put(conn, failing)
        endpoints.put(conn, other)
        endpoints.put(conn, failing._replace(paused_at=NOW + 5, last_outcome="http_error"))
    with engine.snapshot() as conn:
        assert endpoints.find(conn, HOOK) == EndpointRecord(*HOOK, NOW, NOW + 5, "http_error")
        assert [record.endpoint.account_id for record in endpoints.failing(conn)] == [2, 1]
    with engine.transaction() as conn:
        assert endpoints.forget(conn, HOOK)
        assert not endpoints.forget(conn, HOOK)
        assert endpoints.failing(conn) == [other]


def test_tags_are_kept_freed_and_given_again(engine: Engine) -> None:
    day = 86_400_000
    with engine.transaction() as conn:
        assert forwards.hear(conn, 7, "+1", NOW, NOW - day, 0) == [Talk("+1", 1, NOW)]
        assert forwards.hear(conn, 7, "+2", NOW + 1, NOW - day, 0) == [
            Talk("+2", 2, NOW + 1),
            Talk("+1", 1, NOW),
        ]
        assert forwards.hear(conn, 7, "+1", NOW + 2, NOW - day, 0)[0] == Talk("+1", 1, NOW + 2)
        assert forwards.hear(conn, 7, "+1", NOW, NOW - day, 0)[0].last_at == NOW + 2
        assert forwards.hear(conn, 8, "+9", NOW, NOW - day, 0) == [Talk("+9", 1, NOW)]
        assert forwards.hear(conn, 7, "+3", NOW + 3, NOW + 2, 0)[0] == Talk("+3", 2, NOW + 3)
        remembered = {talk.peer for talk in forwards.heard_of(conn, 7, 0)}
        assert remembered == {"+1", "+2", "+3"}
        again = forwards.hear(conn, 7, "+2", NOW + 4, NOW + 2, NOW + 3)
        assert again == [Talk("+2", 1, NOW + 4), Talk("+3", 2, NOW + 3)]
        assert forwards.heard_of(conn, 7, 0) == again


def test_a_replay_knows_when_and_after_how_many_tries(engine: Engine) -> None:
    about = mo()
    failed = delivery_of(about, state=DeliveryState.FAILED, attempts=8)
    other = delivery_of(about, state=DeliveryState.FAILED, attempts=3)
    store_all(engine, [write for record in (failed, other) for write in deliveries.insert(record)])
    with engine.transaction() as conn:
        assert deliveries.replay(conn, [failed.id], None, NOW + 5) == 1
        assert deliveries.replay_failed(conn, None, NOW + 6) == [other.id]
    with engine.snapshot() as conn:
        found = [dead_letters.find(conn, failed.account_id, record.id) for record in (failed, other)]
    assert [(one.replayed_at, one.tries_before, one.begun_at) for one in found if one is not None] == [
        (NOW + 5, 8, NOW + 5),
        (NOW + 6, 3, NOW + 6),
    ]
    assert failed.begun_at == failed.created_at


def test_a_delivery_makes_one_message(engine: Engine) -> None:
    about = mt(text="hi")
    store_all(engine, messages.insert(about) + forwards.insert_sent(SentRecord(5, about.id, 2)))
    with engine.snapshot() as conn:
        assert forwards.sent_by(conn, 5) == SentRecord(5, about.id, 2)
        assert forwards.sent_by(conn, 6) is None
        assert forwards.hops_of(conn, about.did, about.peer, "hi", about.created_at) == 2
        assert forwards.hops_of(conn, about.did, about.peer, "ho", about.created_at) == 0
        assert forwards.hops_of(conn, about.did, about.peer, "hi", about.created_at + 1) == 0


def test_dead_letters_of_an_account(engine: Engine) -> None:
    about = mo()
    records = [delivery_of(about, state=state) for state in (DeliveryState.FAILED, DeliveryState.PENDING) * 2]
    theirs = delivery_of(about, account_id=9, state=DeliveryState.FAILED)
    writes = [write for record in (*records, theirs) for write in deliveries.insert(record)]
    store_all(engine, writes)
    mine = records[0].account_id
    with engine.snapshot() as conn:
        assert dead_letters.dead(conn, mine) == [records[0], records[2]]
        assert dead_letters.dead(conn, mine, from_id=records[1].id) == [records[2]]
        assert dead_letters.dead(conn, mine, to_id=records[1].id, limit=0) == [records[0]]
        assert dead_letters.dead(conn, mine, handler="webhook") == []
        assert dead_letters.find(conn, mine, records[1].id) == records[1]
        assert dead_letters.find(conn, mine, theirs.id) is None


def store_all(engine: Engine, writes: Iterable[Write]) -> None:
    """In one transaction."""
    with engine.transaction() as conn:
        execute_all(conn, writes)
