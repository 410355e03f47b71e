"""Opt-outs: towards whom each wish is, what words are one, and that no change is missed."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from edge.policy.optout import LOOKS_FOR_ENDS, POLL_SECONDS, OptOuts, Words
from storage import opt_outs
from storage.tables_people import EVERY_ACCOUNT, EVERY_DID
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, START_MS, Time

MINE, OTHER = 7, 8
SECOND = "+12025550101"
WORDS = Words.of(("STOP", "Arrêt", "opt out"), ("START",), every_did=False)


class Rig:
    """Opt-outs over a store."""

    def __init__(self, store: InlineStore, time: Time, words: Words = WORDS) -> None:
        self.store, self.time = store, time
        self.opt_outs: OptOuts = OptOuts(store, time, time.wall_ms, words)  # type: ignore[arg-type]
        success(self.opt_outs.start())

    def elsewhere(self, account_id: int, did: str, peer: str = PEER) -> opt_outs.OptOut:
        """A wish that another process stores."""
        with self.store.engine.transaction() as conn:
            return opt_outs.add(conn, self.store.ids.next, account_id, peer, "api", START_MS, did=did)

    def ended_elsewhere(self, account_id: int, did: str) -> None:
        with self.store.engine.transaction() as conn:
            assert opt_outs.remove(conn, account_id, PEER, did=did)

    def hears(self, text: str, did: str = DID) -> bool:
        """A text from the peer, stored; was it a wish?"""
        heard = self.opt_outs.hear(MINE, did, PEER, text)
        if heard is None:
            return False
        success(self.store.writer.run("a text", heard.store))
        self.opt_outs.committed(heard)
        return True

    def forbidden(self, account_id: int = MINE, did: str = DID, peer: str = PEER) -> bool:
        return self.opt_outs.forbids(account_id, did, peer)


@pytest.fixture
def rig(inline_store: InlineStore, time: Time) -> Rig:
    return Rig(inline_store, time)


@pytest.mark.parametrize(
    ("account_id", "did", "forbidden"),
    [
        (MINE, DID, [True, False, False, False]),
        (MINE, EVERY_DID, [True, True, False, False]),
        (EVERY_ACCOUNT, DID, [True, False, True, False]),
        (EVERY_ACCOUNT, EVERY_DID, [True, True, True, True]),
        (OTHER, EVERY_DID, [False, False, True, True]),
    ],
)
def test_towards_whom_a_wish_is(
    inline_store: InlineStore, time: Time, account_id: int, did: str, forbidden: list[bool]
) -> None:
    rig = Rig(inline_store, time)
    rig.elsewhere(account_id, did)
    rig = Rig(inline_store, time)
    asked = [(MINE, DID), (MINE, SECOND), (OTHER, DID), (OTHER, SECOND)]
    assert [rig.forbidden(*towards) for towards in asked] == forbidden
    assert not rig.forbidden(peer="+12025550151")


@pytest.mark.parametrize("text", ["STOP", "stop", " Stop. ", "STOP!", "arret", "ARRÊT", "opt  out"])
def test_words_that_are_wishes(rig: Rig, text: str) -> None:
    assert rig.hears(text)
    assert rig.forbidden()
    assert not rig.forbidden(did=SECOND)


@pytest.mark.parametrize("text", ["", "please stop", "stop it", "STOP " * 20, "s t o p", "🛑", "stopp"])
def test_words_that_are_none(rig: Rig, text: str) -> None:
    assert not rig.hears(text)
    assert not rig.forbidden()


def test_without_words_nothing_is_heard(inline_store: InlineStore, time: Time) -> None:
    assert not Rig(inline_store, time, Words()).hears("STOP")


def test_start_ends_what_was_wished_but_not_towards_everybody(rig: Rig) -> None:
    rig.elsewhere(MINE, EVERY_DID)
    rig.hears("STOP")
    assert rig.hears("start")
    assert not rig.forbidden()
    assert success(rig.store.read(opt_outs.of_peer, MINE, PEER)) == []
    rig.elsewhere(EVERY_ACCOUNT, EVERY_DID)
    rig.time.advance(POLL_SECONDS)
    rig.hears("start")
    assert rig.forbidden()


def test_towards_the_whole_account_where_it_is_set_so(inline_store: InlineStore, time: Time) -> None:
    rig = Rig(inline_store, time, Words.of(("STOP",), ("START",), every_did=True))
    rig.hears("STOP")
    assert rig.forbidden(did=SECOND)
    rig.hears("START", did=SECOND)
    assert not rig.forbidden()


def test_what_others_store_counts_soon(rig: Rig) -> None:
    rig.elsewhere(MINE, DID)
    rig.time.advance(POLL_SECONDS)
    assert rig.forbidden()
    rig.ended_elsewhere(MINE, DID)
    for _ in range(LOOKS_FOR_ENDS):
        rig.time.advance(POLL_SECONDS)
    assert not rig.forbidden()


def test_one_that_comes_for_one_that_ends_is_seen(rig: Rig) -> None:
    rig.elsewhere(MINE, DID)
    success(rig.opt_outs.refresh())
    rig.ended_elsewhere(MINE, DID)
    rig.elsewhere(MINE, SECOND)
    success(rig.opt_outs.refresh())
    assert (rig.forbidden(), rig.forbidden(did=SECOND)) == (False, True)


def test_what_is_stored_while_they_are_read_is_not_lost(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.elsewhere(OTHER, DID)
    waiting: list[tuple[Deferred[Any], Any]] = []

    def read(fn: Any, *args: Any) -> Deferred[Any]:
        with rig.store.engine.snapshot() as conn:
            waiting.append((Deferred(), fn(conn, *args)))
        return waiting[-1][0]

    monkeypatch.setattr(rig.store, "read", read)
    rig.opt_outs.refresh()
    assert rig.hears("STOP")
    waiting[0][0].callback(waiting[0][1])
    assert rig.forbidden()
    assert rig.forbidden(OTHER)
    rig.opt_outs.refresh()
    assert rig.hears("START")
    waiting[1][0].callback(waiting[1][1])
    assert not rig.forbidden()


def test_while_the_store_is_away_what_is_known_stays(rig: Rig) -> None:
    rig.hears("STOP")
    rig.store.writer.failing = True
    for _ in range(LOOKS_FOR_ENDS):
        rig.time.advance(POLL_SECONDS)
    assert rig.forbidden()
    rig.store.writer.failing = False
    rig.time.advance(POLL_SECONDS)
    assert rig.forbidden()


def test_a_wish_that_shows_after_one_with_a_higher_id_is_not_missed(rig: Rig) -> None:
    """Two other processes: the one that gave its id first commits last."""
    earlier = rig.store.ids.next()
    rig.elsewhere(OTHER, DID)
    rig.time.advance(POLL_SECONDS)
    assert rig.forbidden(OTHER)
    with rig.store.engine.transaction() as conn:
        opt_outs.add(conn, lambda: earlier, MINE, PEER, "api", START_MS, did=DID)
    rig.time.advance(POLL_SECONDS)
    assert rig.forbidden()


def test_what_ended_while_it_was_read_again_stays_ended(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rig.hears("STOP")
    reading: Deferred[Any] = Deferred()
    found = success(rig.store.read(opt_outs.since, 0))
    monkeypatch.setattr(rig.store, "read", lambda *_: reading)
    rig.time.advance(POLL_SECONDS)
    assert rig.hears("START")
    reading.callback(found)
    assert not rig.forbidden()
