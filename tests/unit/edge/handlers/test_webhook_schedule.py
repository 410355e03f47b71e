"""The scripted sink on a test clock, for webhooks: every answer that an endpoint may give, and what follows.

The answers are those of tests/integration/http, where they come over sockets.
"""

from itertools import pairwise
from random import Random
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from edge.deliveries import Outbox
from edge.handlers.endpoints import Endpoints
from edge.handlers.posting import JITTER, WAITS, Poster
from edge.handlers.webhook import WebhookHandler
from edge.http.answer import Answer
from edge.http.errors import NoAnswer
from storage import deliveries, messages
from storage.deliveries import DueDelivery
from storage.records import DeliveryRecord, DeliveryState, DeliveryView, Did
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import Numbers, Time, record

URL = "https://example.net/hook"
TAKEN = {
    "ok": Answer(200, b"ok", cut=False),
    "OK and a line end": Answer(200, b"OK\n", cut=False),
    "okay": Answer(200, b"okay", cut=False),
    "empty 200": Answer(200, b"", cut=False),
    "204": Answer(204, b"", cut=False),
    "an endless body": Answer(200, b"x" * 65536, cut=True),
    "a gzip bomb": Answer(200, b"\x1f\x8b\x08" + b"\0" * 100, cut=False),
}
NOT_TAKEN: dict[str, Answer | NoAnswer] = {
    "500": Answer(500, b"ok", cut=False),
    "302": Answer(302, b"ok", cut=False),
    "60 s of silence": NoAnswer("timeout", "no complete answer in time"),
    "a reset in mid-body": NoAnswer("connection_lost", "reset"),
    "wrong TLS name": NoAnswer("tls_failed", "certificate verify failed"),
}


class Sink:
    """Answers from a script, the last item for ever; remembers when it was posted what."""

    def __init__(self, clock: Time, *script: Answer | NoAnswer) -> None:
        self._clock = clock
        self._script = list(script)
        self.posted: list[tuple[float, str, str]] = []

    def post_json(self, url: str, body: bytes, headers: dict[str, str]) -> Deferred[Answer]:
        self.posted.append((self._clock.seconds(), headers["webhook-id"], headers["webhook-attempt"]))
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return fail(answer) if isinstance(answer, NoAnswer) else succeed(answer)


class Rig:
    """One message for a DID, worked by the outbox."""

    def __init__(self, store: InlineStore, time: Time, did: Did, *script: Answer | NoAnswer) -> None:
        self.store, self.time, self.did = store, time, did
        self.sink = Sink(time, *script)
        endpoints = Endpoints(cast(Store, store), time.wall_ms)
        poster = Poster(cast(Any, self.sink), endpoints, Random(7), time.wall_ms)
        handlers = cast(Any, {"webhook": WebhookHandler(poster)})
        outbox = Outbox(handlers, Numbers(store).did, cast(Store, store), time, time.wall_ms)
        now = time.wall_ms()
        about = record(store, did, now, "mo")
        owed = DeliveryRecord(
            store.ids.next(), about.id, did.account_id, did.id, "webhook", URL, DeliveryState.PENDING,
            0, now, now, now,
        )  # fmt: skip
        writes = messages.insert(about, (), [outbox.stamp(DueDelivery(owed, about)).delivery])
        success(store.writer.write(writes))
        self.message_id = about.id
        outbox.start()

    def run(self, seconds: float, step: float) -> None:
        """Let time pass."""
        self.time.pump([step] * round(seconds / step))

    def view(self) -> DeliveryView:
        """The delivery as it is stored."""
        found = success(self.store.read(messages.get, self.did.account_id, self.message_id))
        assert found is not None
        return found.deliveries[0]


@pytest.mark.parametrize("name", TAKEN)
def test_none_after_a_2xx(inline_store: InlineStore, time: Time, did: Did, name: str) -> None:
    rig = Rig(inline_store, time, did, TAKEN[name])
    rig.run(600, 10)
    assert len(rig.sink.posted) == 1
    assert rig.view().delivery.state == "delivered"


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_what_is_no_2xx_is_posted_again_in_time_under_one_id(
    inline_store: InlineStore, time: Time, did: Did, name: str
) -> None:
    rig = Rig(inline_store, time, did, NOT_TAKEN[name], NOT_TAKEN[name], TAKEN["204"])
    rig.run(800, 1)
    at = [seconds for seconds, _, _ in rig.sink.posted]
    assert len(at) == 3
    for wait, (earlier, later) in zip(WAITS, pairwise(at), strict=False):
        assert (1 - JITTER) * wait <= later - earlier <= (1 + JITTER) * wait + 1.5
    assert len({identity for _, identity, _ in rig.sink.posted}) == 1
    assert [number for _, _, number in rig.sink.posted] == ["1", "2", "3"]
    assert rig.view().delivery.state == "delivered"


def test_the_whole_schedule_and_again_after_a_replay(inline_store: InlineStore, time: Time, did: Did) -> None:
    rig = Rig(inline_store, time, did, NOT_TAKEN["500"])
    rig.run(20, 1)
    rig.run(1.3 * sum(WAITS), 60)
    assert len(rig.sink.posted) == len(WAITS) + 1
    for wait, (earlier, later) in zip(WAITS, pairwise(at for at, _, _ in rig.sink.posted), strict=True):
        assert (1 - JITTER) * wait <= later - earlier <= (1 + JITTER) * wait + 61
    dead = rig.view().delivery
    assert (dead.state, dead.last_outcome) == ("failed", "gave_up")
    with inline_store.engine.transaction() as conn:
        assert deliveries.replay(conn, [dead.id], None, time.wall_ms()) == 1
    rig.run(20, 1)
    rig.run(1.3 * sum(WAITS), 60)
    assert len(rig.sink.posted) == 2 * (len(WAITS) + 1)
    assert len({identity for _, identity, _ in rig.sink.posted}) == 1
    assert rig.view().delivery.last_outcome == "gave_up"
