"""How many messages an account's programs may send a day: counted in memory, begun from what the store has.

A day is one of the account's zone. Each server of a store counts what it knows of: the store's count when
the day's first message came, and its own since.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from twisted.internet.defer import Deferred, succeed

from storage import usage
from storage.records import ApiAccess
from storage.store import Store

LEGS = ("voipms", "kannel", "jasmin", "acrobits")
"""The legs of programs that log in with a name and a password."""


@dataclass(slots=True)
class _Day:
    day: date
    sent: int


class Quota:
    """I count for one server."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._days: dict[int, _Day] = {}

    def take(self, access: ApiAccess, now_ms: int, wanted: int = 1) -> Deferred[int]:
        """How many of these may go. They count; `give_back` those that were not sent."""
        at = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(access.timezone))
        known = self._days.get(access.account_id)
        if known is not None and known.day == at.date():
            return succeed(self._more(known, access, wanted))
        if not access.per_day:
            return succeed(wanted)  # the store counts them, should there be a limit later in the day
        midnight = datetime.combine(at.date(), time(), at.tzinfo)
        counting = self._store.read(
            usage.sent_since, access.account_id, LEGS, round(midnight.timestamp() * 1000)
        )
        return counting.addCallback(self._begin, access, at.date(), wanted)

    def give_back(self, access: ApiAccess, count: int = 1) -> None:
        """So many of those that were taken did not go."""
        known = self._days.get(access.account_id)
        if known is not None:
            known.sent = max(0, known.sent - count)

    def _begin(self, sent: int, access: ApiAccess, day: date, wanted: int) -> int:
        known = self._days.get(access.account_id)
        if known is None or known.day != day:  # else somebody was faster, and has counted since
            known = self._days[access.account_id] = _Day(day, sent)
        return self._more(known, access, wanted)

    def _more(self, known: _Day, access: ApiAccess, wanted: int) -> int:
        taken = max(0, min(wanted, access.per_day - known.sent)) if access.per_day else wanted
        known.sent += taken
        return taken
