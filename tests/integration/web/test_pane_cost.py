"""What the conversation list costs the store: as many statements with many conversations as with few.

How long it takes is measured, not tested: docs/performance.md, "The portal's pages", and `bench_big`.
"""

from sqlalchemy import event

from edge.web.pages.filters import Wanted
from edge.web.pages.locales import ENGLISH
from edge.web.pages.reading import CONVERSATIONS, Pane, read_pane
from storage import accounts, messages, numbers
from storage.engines import Engine
from storage.ids import IdSource
from storage.records import Did, MessageRecord
from storage.statements import execute_all

NOW = 1_800_000_000_000
WHOLE = ("SCAN message", "SCAN part", "SCAN delivery", "SCAN draft", "SCAN contact")
"""Of SQLite's plans: a table that is read from one end to the other."""


def converse(engine: Engine, ids: IdSource, did: Did, first: int, count: int) -> None:
    """A message each from so many more numbers."""
    with engine.transaction() as conn:
        for number in range(first, first + count):
            record = MessageRecord(
                id=ids.next(),
                account_id=did.account_id,
                did_id=did.id,
                direction="mo",
                leg="smpp",
                did=did.number,
                peer=f"+1303{number:07d}",
                text="hello",
                upstream="carrier",
                created_at=NOW,
                parts_total=1,
                encoding="GSM7",
            )
            execute_all(conn, messages.insert(record))


def read(engine: Engine, account_id: int, user_id: int) -> tuple[Pane, list[str]]:
    """The pane, and with SQLite the plan of each statement, else the statements."""
    said: list[tuple[str, object]] = []
    with engine.snapshot() as conn:
        event.listen(conn, "before_cursor_execute", lambda *heard: said.append((heard[2], heard[3])))
        pane = read_pane(conn, account_id, user_id, Wanted(), ENGLISH)
        asked = list(said)
        if engine.name != "sqlite":
            return pane, [statement for statement, _ in asked]
        plans = []
        for statement, parameters in asked:
            plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
            plans.append(" ".join(str(row[-1]) for row in plan))
        return pane, plans


def test_many_conversations_cost_no_more_statements_than_few(engine: Engine) -> None:
    ids = IdSource(1, lambda: NOW)
    with engine.transaction() as conn:
        account = accounts.add_account(conn, ids.next, "demo", NOW)
        user = accounts.add_user(conn, ids.next, account.id, "demo", "x", NOW)
        did = numbers.add_did(conn, ids.next, account.id, "+12025550100", NOW)
    converse(engine, ids, did, 0, CONVERSATIONS + 1)
    few, asked = read(engine, account.id, user.id)
    converse(engine, ids, did, CONVERSATIONS + 1, 10 * CONVERSATIONS)
    many, asked_of_many = read(engine, account.id, user.id)
    assert len(few.conversations) == len(many.conversations) == CONVERSATIONS
    assert few.conversations != many.conversations
    assert len(asked_of_many) == len(asked)
    assert [plan for plan in asked_of_many if plan.startswith(WHOLE)] == []
    assert not any(table in plan for plan in asked_of_many for table in WHOLE)
