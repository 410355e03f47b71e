"""Who wants no more messages: in memory for the way out, and heard in what comes in.

Every message asks, so nothing is read for it. A wish that this server stores counts when its transaction is
committed; one that another process stores within a second, and the end of one within half a minute.
"""

import unicodedata
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from storage import opt_outs
from storage.ids import behind
from storage.opt_outs import OptOut
from storage.store import Store
from storage.tables_people import EVERY_ACCOUNT, EVERY_DID

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
LOOKS_FOR_ENDS = 30  # every so many polls it is looked whether wishes have ended
RECENT = 10_000
MAX_WORD = 40
SOURCE = "message"
NO_MARK = (-1, 0)
BEHIND_MS = 10_000
"""So far back is read again what is new: an id is given before the commit, so another process's wish may show
after one with a higher id. For a longer transaction there is the look for ends."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a text of nothing else says: no more, or again. As `plain` has them.

    ``every_did``: the wish is towards the whole account, else towards the DID that was written to.
    """

    stop: frozenset[str] = frozenset()
    start: frozenset[str] = frozenset()
    every_did: bool = False

    @classmethod
    def of(cls, stop: Sequence[str], start: Sequence[str], every_did: bool) -> "Words":
        """The words as somebody wrote them."""
        return cls(frozenset(map(plain, stop)), frozenset(map(plain, start)), every_did)

    def stops(self, text: str) -> bool | None:
        """True for a word that stops, False for one that starts, None for everything else."""
        if not self.stop or len(text) > MAX_WORD:
            return None
        word = plain(text)
        return word in self.stop if word in self.stop or word in self.start else None


@dataclass(frozen=True, slots=True)
class Heard:
    """A peer's wish in a text of his: ``store`` writes it, in the text's own transaction; after the commit
    `OptOuts.committed` counts it."""

    account_id: int
    did: str
    peer: str
    stops: bool
    store: Callable[[Connection], None]


class OptOuts:
    """I know every wish, from `start` to `stop`."""

    def __init__(
        self, store: Store, clock: IReactorTime, wall_ms: Callable[[], int], words: Words | None = None
    ) -> None:
        self._store = store
        self._wall_ms = wall_ms
        self._words = words or Words()
        self._known = Known()
        self._polls = 0
        self._failing = False
        self._changes = 0
        self._recent: deque[_Change] = deque(maxlen=RECENT)
        self._poll = LoopingCall(self._look)
        self._poll.clock = clock

    def start(self) -> Deferred[None]:
        """Read them all, then keep up."""
        return self.refresh().addCallback(lambda _: self._begin())

    def stop(self) -> None:
        """Look no more."""
        if self._poll.running:
            self._poll.stop()

    def forbids(self, account_id: int, did: str, peer: str) -> bool:
        """May this account not write from this DID to this peer?"""
        wishes = self._known.wishes.get(peer)
        return wishes is not None and not wishes.isdisjoint(
            ((account_id, did), (account_id, EVERY_DID), (EVERY_ACCOUNT, did), (EVERY_ACCOUNT, EVERY_DID))
        )

    def refresh(self) -> Deferred[None]:
        """Read again what may have ended: to be waited for by whoever stored the end of a wish."""
        began = self._changes
        return self._store.read(_whole, self._known.mark).addCallback(self._take, began)

    def added(self, account_id: int, did: str, peer: str) -> None:
        """A wish was stored."""
        self._change(_Change(True, account_id, did, peer))

    def hear(self, account_id: int, did: str, peer: str, text: str) -> Heard | None:
        """The wish in a text, if that is all there is in it."""
        stops = self._words.stops(text)
        if stops is None:
            return None
        towards = EVERY_DID if self._words.every_did and stops else did
        ids, now_ms = self._store.ids.next, self._wall_ms()

        def store(connection: Connection) -> None:
            if stops:
                opt_outs.add(connection, ids, account_id, peer, SOURCE, now_ms, did=towards)
            else:
                for number in (did, EVERY_DID):
                    opt_outs.remove(connection, account_id, peer, did=number)

        return Heard(account_id, towards, peer, stops, store)

    def committed(self, heard: Heard) -> None:
        """A wish of `hear` is stored."""
        if heard.stops:
            log.info("opted_out", account=heard.account_id, did=heard.did or None)
        else:
            log.info("opted_in", account=heard.account_id, did=heard.did or None)
        towards = (heard.did,) if heard.stops else (heard.did, EVERY_DID)
        for did in towards:
            self._change(_Change(heard.stops, heard.account_id, did, heard.peer))

    def _change(self, change: "_Change") -> None:
        self._changes += 1
        self._recent.append(change)
        change.apply(self._known)

    def _begin(self) -> None:
        self._poll.start(POLL_SECONDS, now=False)

    def _look(self) -> Deferred[None]:
        self._polls += 1
        fresh = self._newer() if self._polls % LOOKS_FOR_ENDS else self.refresh()
        return fresh.addCallbacks(self._looked, self._could_not_look)

    def _newer(self) -> Deferred[None]:
        began, last = self._changes, behind(self._known.last, BEHIND_MS)
        return self._store.read(opt_outs.since, last).addCallback(self._add, began)

    def _add(self, found: Sequence[OptOut], began: int) -> None:
        self._known.add(found)
        self._again(began)

    def _take(self, found: "Known | None", began: int) -> None:
        if found is not None:
            self._known = found
            self._again(began)

    def _again(self, began: int) -> None:
        """What this server stored while they were read may not be among them."""
        meanwhile = self._changes - began
        for change in list(self._recent)[max(0, len(self._recent) - meanwhile) :]:
            change.apply(self._known)

    def _looked(self, _: None) -> None:
        if self._failing:
            log.info("opt_outs_fresh_again")
        self._failing = False

    def _could_not_look(self, failure: Failure) -> None:
        if not self._failing:
            log.warning("opt_outs_stale", error=failure.getErrorMessage())
        self._failing = True


@dataclass(slots=True)
class Known:
    """The wishes by peer: towards whom, as account and DID. ``last`` is the highest id of any, ``mark`` is
    that of the store when it was read whole, and of nothing since something was added."""

    wishes: dict[str, set[tuple[int, str]]] = field(default_factory=dict)
    last: int = 0
    mark: tuple[int, int] = NO_MARK

    def add(self, found: Sequence[OptOut]) -> None:
        """These too, if they are not known."""
        for wish in found:
            towards = self.wishes.setdefault(wish.peer, set())
            self.last = max(self.last, wish.id)
            if (wish.account_id, wish.did) not in towards:
                towards.add((wish.account_id, wish.did))
                self.mark = NO_MARK


def _whole(connection: Connection, mark: tuple[int, int]) -> Known | None:
    """All of them, put in order in the thread that reads; None when nothing has changed since ``mark``."""
    found = opt_outs.changed(connection, mark)
    if found is None:
        return None
    known = Known()
    known.add(found[1])
    known.mark = found[0]
    return known


@dataclass(frozen=True, slots=True)
class _Change:
    """What this server stored."""

    stops: bool
    account_id: int
    did: str
    peer: str

    def apply(self, known: Known) -> None:
        wishes = known.wishes.setdefault(self.peer, set())
        known.mark = NO_MARK
        if self.stops:
            wishes.add((self.account_id, self.did))
        else:
            wishes.discard((self.account_id, self.did))


def plain(text: str) -> str:
    """A word without accents, marks, case and what stands around it: "Arrêt !" is "arret"."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(item if item.isalnum() else " " * item.isspace() for item in letters).split())
