"""A handler that is at fault: what it raises or answers costs no message, and every delivery has an end."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, cast

import pytest
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred, fail, succeed

from edge.deliveries import ATTEMPT_SECONDS, OVERDUE_POLL_SECONDS, Outbox
from edge.handlers import GIVE_UP_SECONDS, Delivered, Failed, Handler, Job, Outcome, Retry
from edge.handlers.base import DIDHandler, Settings, Tools
from edge.handlers.registry import Registry, installed
from edge.outcomes import BROKEN_SECONDS, LONGEST_SECONDS
from protocols.smpp.errors import CommandStatus
from storage import deliveries, messages, numbers
from storage.errors import StoreError, StoreUnavailable
from storage.records import DeliveryView, Did
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge import test_inbound
from tests.unit.edge.conftest import DID, Numbers, Time
from tests.unit.edge.test_deliveries import Rig as Boxed
from tests.unit.edge.test_deliveries import Scripted

DAY = 86_400.0


class Pager(DIDHandler):
    """A third party's. ``fault`` is called wherever it may break; ``answer`` makes an attempt's outcome."""

    name = "pager"
    main = "code"
    fault: Callable[[str], Any] = staticmethod(lambda where: None)
    answer: Callable[[Job], Any] = staticmethod(lambda job: succeed(Delivered("beeped")))

    @classmethod
    def build(cls, tools: Tools) -> "Pager":
        cls.fault("build")
        return cls()

    @classmethod
    def targets(cls, settings: Settings, peer: str) -> Sequence[str]:
        return cls.fault("targets") or super().targets(settings, peer)

    @classmethod
    def claims(cls, settings: Settings, peer: str) -> bool:
        cls.fault("claims")
        return False

    def target_key(self, target: str) -> str:
        self.fault("target_key")
        return target

    def deliver(self, job: Job) -> Deferred[Outcome]:
        found: Deferred[Outcome] = type(self).answer(job)
        return found


def breaks(where: str, found: object = ZeroDivisionError("oops")) -> type[Pager]:
    """A pager that raises, or gives something, at one place."""

    def fault(here: str) -> object:
        if here == where and isinstance(found, Exception):
            raise found
        return found if here == where else None

    return type("Broken", (Pager,), {"fault": staticmethod(fault)})


class Rig:
    """A server's way in and its outbox, with the installed handlers and one more."""

    def __init__(self, store: InlineStore, time: Time, kind: type[DIDHandler]) -> None:
        self.store, self.time = store, time
        self.registry = Registry([*installed(), kind])
        with store.engine.transaction() as conn:
            settings = {"code": "7"}
            self.did = numbers.set_did(
                conn, store.ids.next, DID, handler="pager", enabled=True, settings=settings
            )
        self.scripted = Scripted()
        handlers = {"callback": self.scripted, **self._built()}
        self.outbox = Outbox(cast(Any, handlers), Numbers(store).did, cast(Store, store), time, time.wall_ms)
        self.way_in = test_inbound.Rig(store, time)
        cast(Any, self.way_in.inbound)._outbox = self.outbox
        self.outbox.start()

    def _built(self) -> dict[str, Handler]:
        kinds = [kind for kind in self.registry if kind.name == "pager"]
        return Registry(kinds).build(cast(Any, None))

    def receive(self, text: bytes = b"hi") -> dict[str, DeliveryView]:
        """A message, and its deliveries."""
        self.way_in.receive(text)
        return self.views()

    def views(self) -> dict[str, DeliveryView]:
        """The deliveries of the last message, by handler."""
        with self.store.engine.snapshot() as conn:
            found = messages.search(conn, self.did.account_id, limit=1)
        return {view.delivery.handler: view for view in found[0].deliveries}


@pytest.fixture
def made(
    inline_store: InlineStore, time: Time, did: Did, monkeypatch: pytest.MonkeyPatch
) -> Callable[[type[DIDHandler]], Rig]:
    """Makes a rig; inbound asks its registry."""

    def make(kind: type[DIDHandler]) -> Rig:
        rig = Rig(inline_store, time, kind)
        monkeypatch.setattr("edge.routing.installed", lambda: rig.registry)
        return rig

    return make


Make = Callable[[type[DIDHandler]], Rig]


@pytest.mark.parametrize(
    "kind",
    [
        breaks("targets"),
        breaks("targets", "a text"),
        breaks("targets", [7]),
        breaks("targets", ["a\0b"]),
        breaks("targets", ["\ud800"]),
        breaks("targets", [""]),
        breaks("targets", 7),
    ],
)
def test_an_mo_is_stored_answered_and_delivered_by_the_others(made: Make, kind: type[Pager]) -> None:
    rig = made(kind)
    with capture_logs() as lines:
        for _ in range(3):
            found = rig.receive()
    assert rig.way_in.answers == [CommandStatus.ESME_ROK] * 3
    assert len(rig.way_in.stored()) == 3
    assert len(rig.scripted.jobs) == 3
    dead = found["pager"].delivery
    assert (dead.state, dead.last_outcome, dead.target) == ("failed", "internal_error", "")
    broken = [line for line in lines if line["event"] == "handler_broken"]
    assert [(line["handler"], line["doing"]) for line in broken] == [("pager", "targets")]


def test_what_failed_for_a_fault_can_be_replayed_when_it_is_mended(made: Make) -> None:
    beeped: list[str] = []
    broken: list[Exception] = [ZeroDivisionError()]

    def fault(where: str) -> None:
        if where == "targets" and broken:
            raise broken[0]

    def answer(job: Job) -> Deferred[Outcome]:
        beeped.append(job.delivery.target)
        return succeed(Delivered("beeped"))

    rig = made(type("Mended", (Pager,), {"fault": staticmethod(fault), "answer": staticmethod(answer)}))
    dead = rig.receive()["pager"].delivery.id
    for _ in range(2):
        with rig.store.engine.transaction() as conn:
            assert deliveries.replay(conn, [dead], None, rig.time.wall_ms()) == 1
        rig.time.advance(1)
        if broken:  # still: it is tried again, later
            assert rig.views()["pager"].delivery.last_outcome == "internal_error"
            with rig.store.engine.transaction() as conn:
                assert deliveries.skip(conn, dead, None, "enough", rig.time.wall_ms())
        broken.clear()
    assert beeped == ["7"]
    assert rig.views()["pager"].delivery.state == "delivered"


def test_a_fault_in_what_it_claims_leaves_the_message_to_all(made: Make) -> None:
    rig = made(breaks("claims"))
    with capture_logs() as lines:
        found = rig.receive()
    assert set(found) == {"callback", "pager"}
    assert rig.way_in.answers == [CommandStatus.ESME_ROK]
    assert [line["doing"] for line in lines if line["event"] == "handler_broken"] == ["claims"]


def test_a_fault_in_its_target_key_stops_nothing(made: Make) -> None:
    rig = made(breaks("target_key"))
    with capture_logs() as lines:
        found = rig.receive()
    assert rig.way_in.answers == [CommandStatus.ESME_ROK]
    assert found["pager"].delivery.state == "delivered"
    assert len([line for line in lines if line["event"] == "handler_broken"]) == 1


def test_one_that_cannot_be_built_stops_no_server_and_its_deliveries_fail(made: Make) -> None:
    with capture_logs() as lines:
        rig = made(breaks("build"))
    assert [(line["handler"], line["doing"]) for line in lines] == [("pager", "build")]
    assert rig.receive()["pager"].delivery.last_outcome == "handler_unknown"


def test_one_of_ours_that_cannot_be_built_does_stop_it() -> None:
    ours = breaks("build")
    ours.name = "webhook"
    with pytest.raises(ZeroDivisionError):
        Registry([ours]).build(cast(Any, None))


# -- attempts -------------------------------------------------------------------------------------


class Faulty(Scripted):
    """Answers each attempt as it is told to."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        super().__init__()
        self._answer = answer

    def deliver(self, job: Job) -> Any:
        self.jobs.append(job)
        return self._answer()


def raising() -> Any:
    raise ZeroDivisionError


def raise_later() -> Any:
    return Deferred.fromCoroutine(_raise())


async def _raise() -> Outcome:
    raise ZeroDivisionError


FAULTS: dict[str, Callable[[], Any]] = {
    "it raises": raising,
    "it raises later": raise_later,
    "nothing": lambda: succeed(None),
    "a text": lambda: succeed("ok"),
    "no Deferred": lambda: 7,
    "not a number of seconds": lambda: Retry("again", float("nan")),
    "for ever": lambda: Retry("again", float("inf")),
    "back in time": lambda: Retry("again", -1.0),
    "no status": lambda: Delivered("ok", cast(Any, "200")),
    "an endless status": lambda: Delivered("ok", 2**40),
    "no word": lambda: Delivered(cast(Any, None)),
    "no excerpt": lambda: Delivered("ok", 200, cast(Any, b"octets")),
    "seconds in a text": lambda: Retry("again", cast(Any, "30")),
    "its own exit": lambda: _raised(KeyboardInterrupt()),
}


def _raised(error: BaseException) -> Any:
    raise error


def pass_days(time: Time, days: float) -> None:
    """In steps of ten minutes."""
    time.pump([600.0] * round(days * DAY / 600))


@pytest.mark.parametrize("name", FAULTS)
def test_whatever_a_handler_does_each_delivery_ends_and_is_tried_ever_more_seldom(
    inline_store: InlineStore, time: Time, did: Did, name: str
) -> None:
    rig = Boxed(inline_store, time, did, handler=Faulty(FAULTS[name]))
    rig.outbox.start()
    with capture_logs() as lines:
        (due,) = rig.receive()
        assert rig.outbox.running == 0
        view = rig.view(due)
        assert (view.delivery.state, view.delivery.last_outcome) == ("pending", "internal_error")
        pass_days(time, 8)
    view = rig.view(due)
    assert (view.delivery.state, view.delivery.last_outcome) == ("failed", "internal_error")
    assert 10 < len(view.attempts) < 50
    assert view.attempts[-1].started_at - due.message.created_at <= GIVE_UP_SECONDS * 1000
    assert len([line for line in lines if line["event"] == "handler_broken"]) == 1
    assert rig.outbox.counters.broken == len(view.attempts)


ODD: dict[str, tuple[Callable[[], Outcome], str, int]] = {
    "a kind of number": (lambda: Retry("again", cast(Any, Decimal(3600))), "gave_up", 170),
    "half a pair": (lambda: Failed("\ud800"), "\N{REPLACEMENT CHARACTER}", 1),
    "NUL": (lambda: Failed("a\0b", excerpt="c\0d"), "a\N{SYMBOL FOR NULL}b", 1),
    "a story": (lambda: Failed("a" * 100_000), "a" * 100, 1),
    "in a million years": (lambda: Retry("again", 1e17), "gave_up", 1),
    "never": (lambda: Retry("again", 1e300), "gave_up", 1),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_outcomes_are_stored_as_they_can_be(
    inline_store: InlineStore, time: Time, did: Did, name: str
) -> None:
    answer, word, at_most = ODD[name]
    rig = Boxed(inline_store, time, did, handler=Faulty(answer))
    rig.outbox.start()
    (due,) = rig.receive()
    pass_days(time, 8)
    view = rig.view(due)
    assert (view.delivery.state, view.delivery.last_outcome) == ("failed", word)
    assert 1 <= len(view.attempts) <= at_most
    assert rig.outbox.running == 0


AGES: dict[str, tuple[object, float]] = {
    "None": (None, GIVE_UP_SECONDS),
    "a text": ("7 days", GIVE_UP_SECONDS),
    "no number": (float("nan"), GIVE_UP_SECONDS),
    "for ever": (float("inf"), LONGEST_SECONDS),
    "no time": (-1.0, 0.0),
}


@pytest.mark.parametrize("name", AGES)
def test_however_long_a_handler_wants_to_try_it_gives_up(
    inline_store: InlineStore, time: Time, did: Did, name: str
) -> None:
    written, age = AGES[name]
    handler = Faulty(lambda: Retry("later", DAY, 503))
    cast(Any, handler).give_up_seconds = written
    rig = Boxed(inline_store, time, did, handler=handler)
    rig.outbox.start()
    with capture_logs() as lines:
        (due,) = rig.receive()
        time.pump([DAY] * (round(age / DAY) + 2))
    view = rig.view(due)
    assert (view.delivery.state, view.delivery.last_outcome) == ("failed", "gave_up")
    assert len(view.attempts) <= age / DAY + 1
    told = [line["doing"] for line in lines if line["event"] == "handler_broken"]
    assert told == (["give_up_seconds"] if age == GIVE_UP_SECONDS else [])
    success(rig.outbox.drain())


def test_what_cannot_even_be_reckoned_frees_its_place_and_is_said_once(
    inline_store: InlineStore, time: Time, did: Did, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Outcome:
        raise OverflowError

    monkeypatch.setattr("edge.deliveries.in_time", broken)
    rig = Boxed(inline_store, time, did, handler=Faulty(lambda: Delivered("ok")))
    with capture_logs() as lines:
        due = rig.receive(3)
    assert {rig.view(item).delivery.last_outcome for item in due} == {"internal_error"}
    assert [line["doing"] for line in lines] == ["outcome"]
    success(rig.outbox.drain())


def test_what_the_store_does_not_take_is_stored_as_what_it_is(
    inline_store: InlineStore, time: Time, did: Did, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inline_store.writer.write

    def write(writes: Any) -> Any:
        writes = list(writes)
        return fail(StoreError("no such value")) if "odd" in str(writes) else real(writes)

    rig = Boxed(inline_store, time, did, handler=Faulty(lambda: Retry("odd", 30.0)))
    monkeypatch.setattr(inline_store.writer, "write", write)
    (due,) = rig.receive()
    assert (rig.view(due).delivery.state, rig.view(due).delivery.last_outcome) == ("failed", "internal_error")
    success(rig.outbox.drain())


def test_one_that_asks_for_another_try_for_ever_gives_up_when_its_time_is_over(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    handler = Faulty(lambda: Retry("later", 3600.0, 503, "x" * 1000))
    cast(Any, handler).give_up_seconds = DAY
    rig = Boxed(inline_store, time, did, handler=handler)
    rig.outbox.start()
    (due,) = rig.receive()
    pass_days(time, 2)
    view = rig.view(due)
    assert (view.delivery.state, view.delivery.last_outcome) == ("failed", "gave_up")
    assert (view.attempts[-1].status_code, view.attempts[-1].excerpt) == (503, "x" * 200)
    asked = len(handler.jobs)
    assert 20 <= asked <= 25
    success(rig.store.writer.run("replay", lambda conn: _replay(conn, [due.delivery.id], time)))
    pass_days(time, 2)
    assert 1.8 * asked <= len(handler.jobs) <= 2.2 * asked


def _replay(conn: Any, ids: Iterable[int], time: Time) -> int:
    return deliveries.replay(conn, list(ids), None, time.wall_ms())


def test_one_that_never_answers_loses_its_attempt_and_its_late_word_does_not_count(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    asked: list[Deferred[Outcome]] = []

    def hang() -> Deferred[Outcome]:
        asked.append(Deferred(lambda _: None))
        return asked[-1]

    rig = Boxed(inline_store, time, did, handler=Faulty(hang))
    rig.outbox.start()
    (due,) = rig.receive()
    time.pump([OVERDUE_POLL_SECONDS] * round(ATTEMPT_SECONDS / OVERDUE_POLL_SECONDS))
    view = rig.view(due)
    assert (view.delivery.state, view.delivery.last_outcome) == ("pending", "internal_error")
    assert rig.outbox.running == 0
    time.pump([10.0] * round(BROKEN_SECONDS[0] / 10 + 2))
    assert [job.attempt for job in cast(Faulty, rig.handler).jobs] == [1, 2]
    assert rig.outbox.running == 1


def test_a_handler_that_does_not_let_itself_be_cancelled_holds_nothing_up(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    gate: Deferred[None] = Deferred()

    async def stubborn() -> Outcome:
        while True:
            try:
                await Deferred()
            except BaseException:
                await gate
                return Delivered("too late")

    rig = Boxed(inline_store, time, did, handler=Faulty(lambda: Deferred.fromCoroutine(stubborn())))
    rig.outbox.start()
    (due,) = rig.receive()
    drained = rig.outbox.drain()
    time.pump([10.0] * 31)
    success(drained)
    gate.callback(None)
    assert rig.view(due).delivery.last_outcome == "internal_error"


def test_a_store_that_is_away_is_not_the_handlers_fault(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    def away() -> Any:
        raise StoreUnavailable("away")

    rig = Boxed(inline_store, time, did, handler=Faulty(away))
    with capture_logs() as lines:
        (due,) = rig.receive()
    assert rig.view(due).delivery.last_outcome == "unavailable"
    assert lines == []
