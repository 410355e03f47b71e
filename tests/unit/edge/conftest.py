"""What the tests of the pipelines share: a clock with a wall clock beside it, and an account with a DID."""

import time as wall
from typing import Any

import pytest
from twisted.internet.task import Clock

from storage import accounts, numbers
from storage.records import Did, Direction, MessageRecord, PartRecord, PartState
from storage.testing import InlineStore

DID = "+12025550100"
PEER = "+447911123456"
START_MS = wall.time_ns() // 1_000_000  # beside the ids, which the store makes by the real clock


class Time(Clock):
    """A reactor's clock; the wall clock goes with it."""

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return START_MS + round(self.seconds() * 1000)


class Numbers:
    """A directory that reads the store each time it is asked."""

    def __init__(self, store: InlineStore) -> None:
        self._store = store

    def did(self, number: str) -> Did | None:
        """As `edge.directory.Directory.did`."""
        with self._store.engine.snapshot() as conn:
            return numbers.find_did(conn, number)


def record(store: InlineStore, did: Did, now_ms: int, direction: Direction, **more: Any) -> MessageRecord:
    """A message of the DID, not stored yet."""
    values = {
        "id": store.ids.next(),
        "account_id": did.account_id,
        "did_id": did.id,
        "direction": direction,
        "leg": "test",
        "did": did.number,
        "peer": PEER,
        "text": "hi",
        "upstream": "up",
        "created_at": now_ms,
        "parts_total": 1,
    }
    return MessageRecord(**{**values, **more})


def part_of(message: MessageRecord, identity: int, number: int, **more: Any) -> PartRecord:
    """A part of that message, not stored yet."""
    values = {
        "id": identity,
        "message_id": message.id,
        "upstream": "up",
        "number": number,
        "total": message.parts_total,
        "esm_class": 0,
        "data_coding": 0,
        "user_data": b"hi",
        "tlvs": None,
        "state": PartState.QUEUED,
        "due_at": message.created_at,
    }
    return PartRecord(**{**values, **more})


@pytest.fixture
def time() -> Time:
    """Stands still until advanced."""
    return Time()


@pytest.fixture
def did(inline_store: InlineStore) -> Did:
    """A DID whose callback handler is on, with retry."""
    with inline_store.engine.transaction() as conn:
        owner = accounts.add_account(conn, inline_store.ids.next, "test", START_MS)
        numbers.add_did(conn, inline_store.ids.next, owner.id, DID, START_MS)
        return numbers.set_did(
            conn,
            inline_store.ids.next,
            DID,
            handler="callback",
            enabled=True,
            settings={"url": "http://127.0.0.1:9/?m={MESSAGE}", "retry": True},
        )
