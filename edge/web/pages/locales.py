"""Languages, time zones and how dates and numbers are written in them.

The words of the pages are written in English in templates and code, and looked up in ``edge/web/locale``
(gettext catalogues, read once at start; nothing is compiled beforehand).
"""

import gettext
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale as Conventions
from babel.dates import format_date, format_datetime, format_time
from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

CATALOGUES = Path(__file__).parent.parent / "locale"
LANGUAGES: Mapping[str, str] = {"en": "English", "fr": "Français", "es": "Español"}
"""Each by its own name. English is what the words are written in, so it has no catalogue."""

DEFAULT_LANGUAGE = "en"
DEFAULT_ZONE = "UTC"
SCRIPTS = (".js", ".mjs")
_MAX_HEADER = 200
_RANGE = re.compile(r"\s*([A-Za-z]{1,8})[A-Za-z0-9-]*\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")


def N_(message: str) -> str:
    """Marks words that are looked up later, when it is known who reads them."""
    return message


@cache
def zones() -> frozenset[str]:
    """The names of the zones that a user may choose."""
    return frozenset(name for name in available_timezones() if "/" in name) | {DEFAULT_ZONE}


@cache
def _catalogue(language: str) -> Catalog:
    if language == DEFAULT_LANGUAGE:
        return Catalog(locale=language)
    with (CATALOGUES / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language, charset="utf-8")


@cache
def _translations(language: str) -> gettext.NullTranslations:
    if language == DEFAULT_LANGUAGE:
        return gettext.NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, _catalogue(language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@dataclass(frozen=True, slots=True)
class Locale:
    """How one reader is spoken to: ``language`` is one of `LANGUAGES`, ``zone`` a name of the zone data.

    Times are given in milliseconds since the epoch.
    """

    language: str
    zone: str

    # -- words ------------------------------------------------------------------------------------

    def gettext(self, message: str) -> str:
        """In the reader's language."""
        return _translations(self.language).gettext(message)

    def ngettext(self, one: str, many: str, count: int) -> str:
        """The same, for so many."""
        return _translations(self.language).ngettext(one, many, count)

    def script_words(self) -> dict[str, str]:
        """What the scripts say, by the English words."""
        return _script_words(self.language)

    # -- times ------------------------------------------------------------------------------------

    def at(self, ms: int) -> datetime:
        """On the reader's clock."""
        return datetime.fromtimestamp(ms / 1000, self._tzinfo)

    def date_of(self, ms: int) -> date:
        """The reader's day."""
        return self.at(ms).date()

    def begin_of(self, day: date) -> int:
        """When this day begins for the reader."""
        return round(datetime(day.year, day.month, day.day, tzinfo=self._tzinfo).timestamp() * 1000)

    def full(self, ms: int) -> str:
        """Everything: day, time, zone."""
        return format_datetime(self.at(ms), "full", locale=self._conventions)

    def stamp(self, ms: int) -> str:
        """Day and time, for tables."""
        return format_datetime(self.at(ms), "medium", locale=self._conventions)

    def utc_date(self, ms: int) -> str:
        """The day alone, for what is counted by days of UTC."""
        return format_date(datetime.fromtimestamp(ms / 1000, UTC).date(), "medium", locale=self._conventions)

    def time(self, ms: int) -> str:
        """The time of the day."""
        return format_time(self.at(ms).timetz(), "short", locale=self._conventions)

    def day(self, ms: int, now_ms: int | None = None) -> str:
        """The line between two days: today, yesterday, or the date in words."""
        found = self.date_of(ms)
        if now_ms is not None:
            today = self.date_of(now_ms)
            if found == today:
                return self.gettext("Today")
            if found == today - timedelta(days=1):
                return self.gettext("Yesterday")
        return format_date(found, "full", locale=self._conventions)

    def brief(self, ms: int, now_ms: int) -> str:
        """As short as can be for a list: the time today, the weekday this week, else the date."""
        found, today = self.date_of(ms), self.date_of(now_ms)
        if found == today:
            return self.time(ms)
        if timedelta(0) < today - found < timedelta(days=7):
            return format_date(found, "EEE", locale=self._conventions)
        return format_date(found, "short", locale=self._conventions)

    # -- numbers ----------------------------------------------------------------------------------

    def number(self, value: float) -> str:
        """With the language's separators."""
        return format_decimal(value, locale=self._conventions)

    def country(self, code: str) -> str:
        """The name of a country of ISO 3166; the code itself when it has none."""
        return str(self._conventions.territories.get(code, code))

    @property
    def _conventions(self) -> Conventions:
        return _conventions(self.language)

    @property
    def _tzinfo(self) -> tzinfo:
        return _tzinfo(self.zone)


@lru_cache(maxsize=1024)
def locale_of(language: str, zone: str) -> Locale:
    """The locale of this language and zone; English and UTC stand for those that are not known."""
    return Locale(
        language if language in LANGUAGES else DEFAULT_LANGUAGE, zone if zone in zones() else DEFAULT_ZONE
    )


ENGLISH = locale_of(DEFAULT_LANGUAGE, DEFAULT_ZONE)
"""For those of whom nothing is known."""


def language_of(header: str) -> str:
    """The best of our languages for an Accept-Language (RFC 9110 §12.5.4)."""
    return max(_wishes(header[:_MAX_HEADER].split(",")), default=(0.0, 0, DEFAULT_LANGUAGE))[2]


def _wishes(ranges: Iterable[str]) -> Iterable[tuple[float, int, str]]:
    """Quality, place (the first of equals is the greatest), language."""
    for place, written in enumerate(ranges):
        found = _RANGE.fullmatch(written)
        if found is not None and found[1].lower() in LANGUAGES:
            quality = float(found[2]) if found[2] else 1.0
            if quality > 0:
                yield quality, -place, found[1].lower()


@cache
def _conventions(language: str) -> Conventions:
    return Conventions.parse(language)


@lru_cache(maxsize=1024)
def _tzinfo(zone: str) -> tzinfo:
    return UTC if zone == DEFAULT_ZONE else ZoneInfo(zone)


@cache
def _script_words(language: str) -> dict[str, str]:
    """From the catalogue: it notes in which files each message is."""
    return {
        message.id: message.string
        for message in _catalogue(language)
        if isinstance(message.id, str)
        and isinstance(message.string, str)
        and message.id
        and any(str(file).endswith(SCRIPTS) for file, _ in message.locations)
    }
