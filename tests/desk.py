"""Messages in a store that a server runs on, written beside it in the state that a test wants."""

import time
from typing import Any

from storage import messages
from storage.engines import Engine
from storage.ids import IdSource
from storage.records import Did, MessageRecord, PartState
from tests.samples import mt, part_of
from tests.storing import written

PEER = "+12025550150"


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


class Desk:
    """I write messages of one DID, which went to the upstream "carrier" if they went."""

    def __init__(self, engine: Engine, did: Did, ids: IdSource) -> None:
        self.engine = engine
        self.did = did
        self.ids = ids

    def message(self, kind: Any, text: str) -> MessageRecord:
        """Of the account, made now; not stored yet."""
        record: MessageRecord = kind(
            text=text, did=self.did.number, peer=PEER, created_at=now_ms(), upstream="carrier"
        )
        return record._replace(id=self.ids.next(), account_id=self.did.account_id, did_id=self.did.id)

    def sent(self, text: str, state: PartState, **more: Any) -> tuple[str, str]:
        """A message with one part in this state: the ids of both."""
        message = self.message(mt, text)
        part = part_of(message, id=self.ids.next(), upstream="carrier", state=state, due_at=now_ms())
        part = part._replace(**more)
        written(self.engine, messages.insert(message, [part]))
        return str(message.id), str(part.id)
