"""Times at this API's edge: wall-clock ones of one zone, and what `timezone` makes of them.

The window of `from` and `to` is of the account's zone, whatever `timezone` says. The dates that are shown
are of that zone too, unless `timezone` names an offset: then they are of that offset, *plus* the hour that
the account's zone has of daylight saving at that time. That is the provider's way, and clients say -5 the
year round because of it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from edge.web.voipms.statuses import Rejected

MAX_DAYS = 92
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}", re.ASCII)
_TIME = re.compile(r"([0-9-]+)[ T]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", re.ASCII)
_OFFSET = re.compile(r"[+-]?[0-9]{1,2}(?:\.[0-9]{1,2})?", re.ASCII)
_LOWEST, _HIGHEST = -12.0, 13.0
_FIRST_YEAR, _LAST_YEAR = 1970, 9000  # beyond these there is nothing to find, and no end of trouble
_NOTHING = timedelta(0)
_A_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Milliseconds since the Unix epoch; ``until_ms`` itself is outside."""

    since_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Face:
    """How times are shown: in a zone, or at an offset (hours) with the zone's daylight saving on top."""

    zone: ZoneInfo
    offset: float | None = None

    def show(self, at_ms: int) -> str:
        """A time as "2026-01-31 12:00:00"."""
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        local = at.astimezone(self.zone)
        if self.offset is not None:
            local = at + timedelta(hours=self.offset) + (local.dst() or _NOTHING)
        return local.isoformat(" ", "seconds")[:19]


def face(zone: ZoneInfo, written: str) -> Face:
    """What `timezone` asks for. Raises Rejected."""
    if not written:
        return Face(zone)
    # "+5" in a query arrives as " 5", and is 5 either way.
    if not _OFFSET.fullmatch(written) or not _LOWEST <= float(written) <= _HIGHEST:
        raise Rejected("invalid_timezone")
    return Face(zone, float(written))


def window(zone: ZoneInfo, since: str, until: str, now_ms: int) -> Window:
    """From the beginning of `from` to the end of `to`, each today when it is not given. Raises Rejected."""
    today = datetime.fromtimestamp(now_ms / 1000, zone).date().isoformat()
    first, _ = _read(since or today)
    last, step = _read(until or today)
    if first > last + step - _A_SECOND:
        raise Rejected("invalid_date_from")
    if (last.date() - first.date()).days > MAX_DAYS:
        raise Rejected("invalid_daterange")
    # A time that a night has twice is the first of the two as a beginning, and the second as an end.
    return Window(min(_instants(first, zone)), max(_instants(last + step, zone)))


def _read(written: str) -> tuple[datetime, timedelta]:
    """A wall-clock time, and how long what was written lasts from it: a day or a second."""
    found = _TIME.fullmatch(written)
    day = found[1] if found else written
    try:
        if not _DATE.fullmatch(day):
            raise ValueError(day)
        begin = date(*map(int, day.split("-")))
        if not _FIRST_YEAR <= begin.year <= _LAST_YEAR:
            raise ValueError(day)
        if found is None:
            return datetime.combine(begin, time()), timedelta(days=1)
        hour, minute, second = (int(part or 0) for part in found.groups()[1:])
        return datetime.combine(begin, time(hour, minute, second)), _A_SECOND
    except ValueError:
        raise Rejected("invalid_date") from None


def _instants(wall: datetime, zone: ZoneInfo) -> tuple[int, int]:
    first, second = (wall.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    return round(first * 1000), round(second * 1000)
