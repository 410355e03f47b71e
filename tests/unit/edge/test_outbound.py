"""MT: policy first, one transaction, and the leg's answer after its commit."""

from collections.abc import Sequence
from typing import Any

import pytest

from edge.config import Secret, UpstreamConfig
from edge.dialect import Dialect
from edge.errors import Refused, Unavailable
from edge.outbound import MAX_CHARACTERS, Accepted, Draft, Outbound, Planner
from edge.references import References
from storage import messages, numbers
from storage.parts import QueuedPart
from storage.records import Did
from storage.testing import InlineStore
from tests.deferreds import failure, pending, success
from tests.unit.edge.conftest import DID, PEER, Numbers, Time

CONFIG = UpstreamConfig(name="up", port=2775, system_id="us", password=Secret("x"))


class Carrier:
    """An upstream with ``room`` places that remembers what it was told."""

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self.told: list[tuple[str, Any]] = []

    def reserve(self) -> Any:
        return "a bind" if self.room else None

    def expect(self, part_ids: Sequence[int]) -> None:
        self.told.append(("expect", list(part_ids)))

    def committed(self, queued: Sequence[QueuedPart], reservation: Any) -> None:
        self.told.append(("committed", ([item.part.id for item in queued], reservation)))

    def abandoned(self, part_ids: Sequence[int], reservation: Any) -> None:
        self.told.append(("abandoned", (list(part_ids), reservation)))


class Rig:
    """An `Outbound` with one upstream."""

    def __init__(self, store: InlineStore, time: Time, did: Did, room: int = 0) -> None:
        self.store, self.did, self.carrier = store, did, Carrier(room)
        self.wishes: set[tuple[int, str, str]] = set()
        planner = Planner(
            {"up": Dialect(CONFIG, "US")},
            "US",
            Numbers(store).did,
            References(lambda: 1),
            opted_out=lambda *towards: towards in self.wishes,
        )
        carriers = {"up": self.carrier}
        self.outbound = Outbound(planner, store, carriers, time.wall_ms, lambda due: due)  # type: ignore[arg-type]

    def draft(self, **changes: Any) -> Draft:
        values = {
            "account_id": self.did.account_id,
            "source": DID,
            "destination": PEER,
            "text": "hi",
            "leg": "api",
        }
        return Draft(**{**values, **changes})

    def refused(self, **changes: Any) -> Refused:
        return failure(self.outbound.submit(self.draft(**changes)), Refused)


@pytest.fixture
def rig(inline_store: InlineStore, time: Time, did: Did) -> Rig:
    return Rig(inline_store, time, did)


def test_the_answer_comes_after_the_commit_and_the_upstream_gets_the_parts(rig: Rig) -> None:
    rig.store.writer.held = True
    submitted = rig.outbound.submit(rig.draft(source="(202) 555-0100", text="word " * 60))
    pending(submitted)
    assert [what for what, _ in rig.carrier.told] == ["expect"]
    rig.store.writer.release()
    accepted = success(submitted)
    assert (accepted.parts, accepted.encoding, accepted.did, accepted.peer) == (2, "GSM7", DID, PEER)
    view = success(rig.store.read(messages.get, rig.did.account_id, accepted.message_id))
    assert view is not None
    assert [part.state for part in view.parts] == ["queued", "queued"]
    assert rig.carrier.told[1] == ("committed", ([part.id for part in view.parts], None))


def test_with_room_the_parts_are_inserted_as_sending(inline_store: InlineStore, time: Time, did: Did) -> None:
    rig = Rig(inline_store, time, did, room=1)
    accepted = success(rig.outbound.submit(rig.draft()))
    view = success(rig.store.read(messages.get, did.account_id, accepted.message_id))
    assert view is not None
    assert [(part.state, part.attempts) for part in view.parts] == [("sending", 1)]
    assert rig.carrier.told[1][1][1] == "a bind"


def test_what_was_not_committed_is_not_sent_and_the_leg_is_told(rig: Rig) -> None:
    rig.store.writer.failing = True
    assert failure(rig.outbound.submit(rig.draft()), Unavailable).retry_after > 0
    assert [what for what, _ in rig.carrier.told] == ["expect", "abandoned"]


def test_a_draining_server_takes_nothing(rig: Rig) -> None:
    rig.outbound.draining = True
    failure(rig.outbound.submit(rig.draft()), Unavailable)


@pytest.mark.parametrize(
    ("changes", "code", "field", "status"),
    [
        ({"destination": "nobody"}, "invalid_number", "to", 422),
        ({"source": "nobody"}, "invalid_number", "from", 422),
        ({"source": "+12025550199"}, "unknown_did", "from", 404),
        ({"account_id": 1}, "unknown_did", "from", 404),
        ({"text": ""}, "text_empty", "text", 422),
        ({"text": "x" * (MAX_CHARACTERS + 1)}, "text_too_long", "text", 422),
        ({"text": "é" * 39_999 + "я"}, "text_too_long", "text", 422),
        ({"text": "\ud83d alone"}, "text_not_unicode", "text", 422),
    ],
)
def test_what_is_refused_and_why(
    rig: Rig, changes: dict[str, Any], code: str, field: str, status: int
) -> None:
    refused = rig.refused(**changes)
    assert (refused.code, refused.field, refused.http_status) == (code, field, status)
    assert refused.sentence.endswith((".", "it is", ")")) or len(refused.sentence) > 20
    assert rig.carrier.told == []


def test_a_did_whose_sms_is_off_sends_nothing(rig: Rig) -> None:
    with rig.store.engine.transaction() as conn:
        numbers.set_did(conn, rig.store.ids.next, DID, sms_enabled=False)
    assert rig.refused().code == "sms_disabled"


def test_without_an_upstream_there_is_no_route(rig: Rig, inline_store: InlineStore, time: Time) -> None:
    rig.outbound.replace(Planner({}, "US", Numbers(inline_store).did, References(lambda: 1)), {})
    assert rig.refused().code == "no_route"


def test_parts_of_one_message_carry_one_reference_and_the_next_message_another(rig: Rig) -> None:
    headers = []
    for _ in range(2):
        accepted = success(rig.outbound.submit(rig.draft(text="word " * 60)))
        view = success(rig.store.read(messages.get, rig.did.account_id, accepted.message_id))
        assert view is not None
        headers.append({part.user_data[:5] for part in view.parts})
    assert [len(found) for found in headers] == [1, 1]
    assert headers[0] != headers[1]


def test_who_opted_out_gets_nothing_by_any_way(rig: Rig) -> None:
    rig.wishes.add((rig.did.account_id, DID, PEER))
    for leg in ("api", "portal", "email", "sip", "forward"):
        error = rig.refused(leg=leg, destination="+44 7911 123456")
        assert (error.code, error.field, error.http_status) == ("opted_out", "to", 403)
    drafts = [rig.draft(), rig.draft(destination="+12025550150")]
    refused, accepted = success(rig.outbound.submit_many(drafts))
    assert isinstance(refused, Refused)
    assert isinstance(accepted, Accepted)
    assert rig.store.writer.units == 1


def test_opt_outs_cost_a_message_no_statement(rig: Rig) -> None:
    """What is asked about each message is asked of memory."""
    success(rig.outbound.submit(rig.draft()))
    connection = rig.store.writer.transactor._connection
    assert connection is not None
    driver: Any = connection.connection.dbapi_connection
    statements: list[str] = []
    driver.set_trace_callback(statements.append)
    rig.outbound.submit(rig.draft())
    driver.set_trace_callback(None)
    assert any("INSERT INTO message" in item for item in statements)
    assert [item for item in statements if "opt_out" in item or item.startswith("SELECT")] == []
