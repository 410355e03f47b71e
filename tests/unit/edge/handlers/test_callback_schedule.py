"""The scripted sink on a test clock: every answer that a page may give, and when it is asked again.

The answers are those of tests/integration/http, where they come over sockets; here the outbox and a store
decide on the days between them.
"""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from edge.deliveries import Outbox
from edge.handlers import Handler
from edge.handlers.base import CallbackTimes
from edge.handlers.callback import CallbackHandler
from edge.http.answer import Answer
from edge.http.errors import NoAnswer
from storage import deliveries, messages, numbers
from storage.deliveries import DueDelivery
from storage.records import DeliveryRecord, DeliveryState, DeliveryView, Did
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, Numbers, Time, record

OK = Answer(200, b"ok", cut=False)
NOT_OK: dict[str, Answer | NoAnswer] = {
    "okay": Answer(200, b"okay", cut=False),
    "empty 200": Answer(200, b"", cut=False),
    "500": Answer(500, b"ok", cut=False),
    "302": Answer(302, b"ok", cut=False),
    "60 s of silence": NoAnswer("timeout", "no complete answer in time"),
    "a reset in mid-body": NoAnswer("connection_lost", "reset"),
    "an endless body": Answer(200, b"ok" + b" " * 65534, cut=True),
    "a gzip bomb": Answer(
        200, b"\x1f\x8b\x08" + b"\0" * 100, cut=False, headers=((b"content-encoding", b"gzip"),)
    ),
    "wrong TLS name": NoAnswer("tls_failed", "certificate verify failed"),
}
STEP = 10.0
HALF_HOUR = 1800.0
TEMPLATE = "http://example.net/?id={ID}&try={ATTEMPT}"


class Sink:
    """Answers from a script, the last item for ever; remembers when it was asked for what."""

    def __init__(self, clock: Time, *script: Answer | NoAnswer) -> None:
        self._clock = clock
        self._script = list(script)
        self.asked: list[tuple[float, str, str]] = []

    def get(self, url: str) -> Deferred[Answer]:
        query = parse_qs(urlsplit(url).query)
        self.asked.append((self._clock.seconds(), query["id"][0], query["try"][0]))
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return fail(answer) if isinstance(answer, NoAnswer) else succeed(answer)


class Rig:
    """One message for a DID with retry on, worked by the outbox."""

    def __init__(
        self, store: InlineStore, time: Time, did: Did, *script: Answer | NoAnswer, **times: float
    ) -> None:
        self.store, self.time = store, time
        self.sink = Sink(time, *script)
        with store.engine.transaction() as conn:
            change = {"url": TEMPLATE, "retry": True}
            self.did = numbers.set_did(
                conn, store.ids.next, DID, handler="callback", enabled=True, settings=change
            )
        self.outbox = self.fresh(**times)
        self.message_id = self._commit()
        self.outbox.start()

    def fresh(self, **times: float) -> Outbox:
        """An outbox as after a start."""
        handler = CallbackHandler(
            cast(Any, self.sink), CallbackTimes(**cast(Any, times)), Random(7), self.time.wall_ms
        )
        handlers: dict[str, Handler] = {"callback": handler}
        return Outbox(
            handlers, Numbers(self.store).did, cast(Store, self.store), self.time, self.time.wall_ms
        )

    def _commit(self) -> int:
        now = self.time.wall_ms()
        about = record(self.store, self.did, now, "mo")
        delivery = DeliveryRecord(
            self.store.ids.next(), about.id, self.did.account_id, self.did.id, "callback", TEMPLATE,
            DeliveryState.PENDING, 0, now, now, now,
        )  # fmt: skip
        owed = self.outbox.stamp(DueDelivery(delivery, about)).delivery
        success(self.store.writer.write(messages.insert(about, (), [owed])))
        return about.id

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass."""
        end = self.time.seconds() + seconds
        while self.time.seconds() < end and not until():
            self.time.advance(STEP)

    def view(self) -> DeliveryView:
        """The delivery as it is stored."""
        with self.store.engine.snapshot() as conn:
            view = messages.get(conn, self.did.account_id, self.message_id)
        assert view is not None
        return view.deliveries[0]


@pytest.mark.parametrize("name", NOT_OK)
def test_what_is_not_ok_is_asked_again_in_half_an_hour_until_it_is(
    inline_store: InlineStore, time: Time, did: Did, name: str
) -> None:
    rig = Rig(inline_store, time, did, NOT_OK[name], NOT_OK[name], OK)
    rig.run(4 * HALF_HOUR)
    at = [seconds for seconds, _, _ in rig.sink.asked]
    assert at[0] == 0
    assert len(at) == 3
    for earlier, later in pairwise(at):
        assert 0.9 * HALF_HOUR <= later - earlier <= 1.1 * HALF_HOUR + STEP
    assert [said[1:] for said in rig.sink.asked] == [(str(rig.message_id), str(n)) for n in (1, 2, 3)]
    view = rig.view()
    assert (view.delivery.state, [one.number for one in view.attempts]) == ("delivered", [1, 2, 3])
    assert view.attempts[-1].outcome == "ok"


@pytest.mark.parametrize("body", [b"ok", b"OK\n"])
def test_none_after_ok(inline_store: InlineStore, time: Time, did: Did, body: bytes) -> None:
    rig = Rig(inline_store, time, did, Answer(200, body, cut=False))
    rig.run(3 * HALF_HOUR)
    assert len(rig.sink.asked) == 1
    assert rig.view().delivery.state == "delivered"


def test_after_the_longest_time_it_is_a_dead_letter(inline_store: InlineStore, time: Time, did: Did) -> None:
    rig = Rig(inline_store, time, did, NOT_OK["500"], give_up_seconds=6 * HALF_HOUR)
    rig.run(20 * HALF_HOUR)
    last, _, _ = rig.sink.asked[-1]
    assert 4.5 * HALF_HOUR <= last <= 6 * HALF_HOUR
    view = rig.view()
    assert (view.delivery.state, view.delivery.last_outcome) == ("failed", "gave_up")
    assert (view.attempts[-1].status_code, view.attempts[-1].excerpt) == (500, "ok")


def test_a_replay_gets_the_whole_time_anew(inline_store: InlineStore, time: Time, did: Did) -> None:
    rig = Rig(inline_store, time, did, NOT_OK["500"], give_up_seconds=6 * HALF_HOUR)
    rig.run(20 * HALF_HOUR)
    tries = len(rig.sink.asked)
    with inline_store.engine.transaction() as conn:
        assert deliveries.replay(conn, [rig.view().delivery.id], None, time.wall_ms()) == 1
    rig.run(20 * HALF_HOUR)
    assert 2 * tries - 1 <= len(rig.sink.asked) <= 2 * tries + 1
    assert [number for _, _, number in rig.sink.asked] == [
        str(number) for number in range(1, len(rig.sink.asked) + 1)
    ]
    assert rig.view().delivery.last_outcome == "gave_up"


def test_a_restart_keeps_the_time_of_the_next_try(inline_store: InlineStore, time: Time, did: Did) -> None:
    rig = Rig(inline_store, time, did, NOT_OK["500"], OK)
    rig.run(HALF_HOUR / 2)
    success(rig.outbox.drain())
    again = rig.fresh()
    again.start()
    rig.run(HALF_HOUR / 4)
    assert len(rig.sink.asked) == 1
    rig.run(HALF_HOUR)
    assert len(rig.sink.asked) == 2
    assert rig.sink.asked[0][1] == rig.sink.asked[1][1]
