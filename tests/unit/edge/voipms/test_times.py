"""The provider's time rules: the zone's windows, an offset with daylight saving on top."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from edge.web.voipms.statuses import Rejected
from edge.web.voipms.times import Face, face, window

NEW_YORK = ZoneInfo("America/New_York")
NOW = 1_795_000_000_000  # 2026-11-18 06:06:40 in New York


def ms(written: str) -> int:
    """A UTC time."""
    return round(datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp() * 1000)


# The night to daylight saving is that to 8 March 2026, the one back that to 1 November.
@pytest.mark.parametrize(
    ("at", "eastern", "pacific"),
    [
        ("2026-01-15T12:00:00", "2026-01-15 07:00:00", "2026-01-15 04:00:00"),
        ("2026-07-15T12:00:00", "2026-07-15 08:00:00", "2026-07-15 05:00:00"),
        ("2026-03-08T06:59:59", "2026-03-08 01:59:59", "2026-03-07 22:59:59"),
        ("2026-03-08T07:00:00", "2026-03-08 03:00:00", "2026-03-08 00:00:00"),
        ("2026-11-01T05:59:59", "2026-11-01 01:59:59", "2026-10-31 22:59:59"),
        ("2026-11-01T06:00:00", "2026-11-01 01:00:00", "2026-10-31 22:00:00"),
    ],
)
def test_an_offset_has_daylight_saving_on_top(at: str, eastern: str, pacific: str) -> None:
    assert face(NEW_YORK, "").show(ms(at)) == eastern
    assert face(NEW_YORK, "-5").show(ms(at)) == eastern, "-5 the year round is right"
    assert face(NEW_YORK, "-8").show(ms(at)) == pacific, "the daylight saving is that of the zone"


@pytest.mark.parametrize(
    ("written", "shown"),
    [("0", "12:00"), ("+0", "12:00"), ("5.5", "17:30"), ("13", "01:00"), ("-12", "00:00"), ("-3.5", "08:30")],
)
def test_offsets(written: str, shown: str) -> None:
    assert face(NEW_YORK, written).show(ms("2026-01-15T12:00:00"))[11:16] == shown


@pytest.mark.parametrize("written", ["14", "-13", "12.999", "x", "--5", "5h", "1e1", "١"])
def test_what_is_no_offset(written: str) -> None:
    with pytest.raises(Rejected) as caught:
        face(NEW_YORK, written)
    assert caught.value.status == "invalid_timezone"


@pytest.mark.parametrize(
    ("since", "until", "first", "last"),
    [
        ("", "", "2026-11-18T05:00:00", "2026-11-19T05:00:00"),
        ("2026-11-17", "", "2026-11-17T05:00:00", "2026-11-19T05:00:00"),
        ("2026-7-1", "2026-07-01", "2026-07-01T04:00:00", "2026-07-02T04:00:00"),
        ("2026-11-17 10:00:00", "2026-11-17 10:00:00", "2026-11-17T15:00:00", "2026-11-17T15:00:01"),
        ("2026-11-17T10:00", "2026-11-17 23:59:59", "2026-11-17T15:00:00", "2026-11-18T05:00:00"),
        # A day of 23 hours, one of 25, and the hour that comes twice, once and once more.
        ("2026-03-08", "2026-03-08", "2026-03-08T05:00:00", "2026-03-09T04:00:00"),
        ("2026-11-01", "2026-11-01", "2026-11-01T04:00:00", "2026-11-02T05:00:00"),
        ("2026-11-01 01:00:00", "2026-11-01 01:59:58", "2026-11-01T05:00:00", "2026-11-01T06:59:59"),
    ],
)
def test_windows(since: str, until: str, first: str, last: str) -> None:
    found = window(NEW_YORK, since, until, NOW)
    assert (found.since_ms, found.until_ms) == (ms(first), ms(last))


def test_a_time_that_a_night_leaves_out_loses_nothing() -> None:
    assert window(NEW_YORK, "2026-03-08 02:30:00", "2026-03-09", NOW).since_ms <= ms("2026-03-08T07:00:00")
    assert window(NEW_YORK, "2026-03-07", "2026-03-08 02:30:00", NOW).until_ms >= ms("2026-03-08T07:00:00")


@pytest.mark.parametrize(
    ("since", "until", "status"),
    [
        ("2026-08-18", "2026-11-18", ""),
        ("2026-08-18 00:00:00", "2026-11-18 23:59:59", ""),
        ("2026-08-17", "2026-11-18", "invalid_daterange"),
        ("2026-08-17 23:59:59", "2026-11-18 00:00:00", "invalid_daterange"),
        ("2026-11-19", "", "invalid_date_from"),
        ("2026-11-18 00:00:01", "2026-11-18 00:00:00", "invalid_date_from"),
        ("2026-02-30", "", "invalid_date"),
        ("18.11.2026", "", "invalid_date"),
        ("2026-11-18 24:00:00", "", "invalid_date"),
        ("", "9999-12-31", "invalid_date"),
        ("2026-11-18 1:2:3:4", "", "invalid_date"),
    ],
)
def test_ninety_two_days_and_no_more(since: str, until: str, status: str) -> None:
    if not status:
        assert window(NEW_YORK, since, until, NOW).until_ms > 0
        return
    with pytest.raises(Rejected) as caught:
        window(NEW_YORK, since, until, NOW)
    assert caught.value.status == status


def test_another_zone_has_its_own_daylight_saving() -> None:
    phoenix = ZoneInfo("America/Phoenix")  # has none
    assert Face(phoenix, -5.0).show(ms("2026-07-15T12:00:00")) == "2026-07-15 07:00:00"
    assert window(phoenix, "2026-07-15", "2026-07-15", NOW).since_ms == ms("2026-07-15T07:00:00")
