"""Languages, zones, dates and numbers; that no word of the pages is missing in a language."""

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from edge.web.pages.locales import CATALOGUES, LANGUAGES, language_of, locale_of, zones
from tests.server import ROOT

KEYWORDS: dict[str, Any] = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2), "PageProblem": (2,)}
NOON = 1_800_014_400_000  # 2027-01-15 12:00:00 UTC
_PLACES = re.compile(r"%(?:\(\w+\))?[sd]")


def said() -> Iterator[str | tuple[str, ...]]:
    """Everything that pages, templates and scripts say."""
    mappings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["babel"]["mappings"]
    methods = [(item["pattern"].removeprefix("edge/web/"), item["method"]) for item in mappings]
    for found in extract_from_dir(str(ROOT / "edge" / "web"), methods, keywords=KEYWORDS):
        message = found[2]
        yield message if isinstance(message, str) else tuple(message or ())


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_word_is_there_in_every_language_and_no_other(language: str) -> None:
    with (CATALOGUES / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language, charset="utf-8")
    wanted = {item if isinstance(item, str) else item[0] for item in said()}
    there = {message.id if isinstance(message.id, str) else message.id[0]: message for message in catalogue}
    there.pop("")
    assert sorted(wanted - set(there)) == [], "run: make words"
    assert sorted(set(there) - wanted) == []
    for one, message in there.items():
        strings = [message.string] if isinstance(message.string, str) else list(message.string or ())
        assert all(strings), f"{one!r} has no translation"
        assert not message.fuzzy, one
        singular = sorted(_PLACES.findall(one))
        assert all(sorted(_PLACES.findall(text)) == singular for text in strings), one


def test_words_are_looked_up_with_their_plurals() -> None:
    french, spanish = locale_of("fr", "UTC"), locale_of("es", "UTC")
    assert french.gettext("Log in") == "Se connecter"
    assert locale_of("en", "UTC").gettext("Log in") == "Log in"
    many = ("%(num)d try", "%(num)d tries")
    assert [french.ngettext(*many, count) for count in (0, 1, 2)] == [
        "%(num)d essai",
        "%(num)d essai",
        "%(num)d essais",
    ]
    assert spanish.ngettext(*many, 0) == "%(num)d intentos"


def test_scripts_get_their_own_words_only() -> None:
    words = locale_of("fr", "UTC").script_words()
    assert words["One new message."] == "Un nouveau message."
    assert "Log out" not in words
    assert locale_of("en", "UTC").script_words() == {}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("de,fr;q=0.5,es;q=0.7", "es"),
        ("fr;q=0, es;q=0.1", "es"),
        ("fr, es", "fr"),
        ("de, *", "en"),
        ("fr;q=x", "en"),
        (";;,,=" * 500, "en"),
    ],
)
def test_the_language_that_a_browser_asks_for(header: str, language: str) -> None:
    assert language_of(header) == language


def test_times_are_those_of_the_readers_zone_and_language() -> None:
    toronto, paris = locale_of("en", "America/Toronto"), locale_of("fr", "Europe/Paris")
    assert toronto.time(NOON).replace("\u202f", " ") == "7:00 AM"
    assert paris.time(NOON) == "13:00"
    assert "heure normale d’Europe centrale" in paris.full(NOON)
    assert paris.day(NOON) == "vendredi 15 janvier 2027"
    assert paris.day(NOON, NOON + 3_600_000) == "Aujourd’hui"
    assert paris.day(NOON, NOON + 86_400_000) == "Hier"
    assert toronto.brief(NOON, NOON + 3 * 86_400_000) == "Fri"
    assert toronto.brief(NOON, NOON + 30 * 86_400_000) == "1/15/27"
    assert toronto.brief(NOON, NOON - 86_400_000) == "1/15/27"
    # The day at which a clock is put forward has 23 hours.
    assert toronto.begin_of(date(2027, 3, 15)) - toronto.begin_of(date(2027, 3, 14)) == 23 * 3_600_000


def test_numbers_and_what_is_not_known() -> None:
    assert locale_of("fr", "UTC").number(1234567) == "1\u202f234\u202f567"
    assert locale_of("xx", "Mars/Base") == locale_of("en", "UTC")
    assert {"UTC", "America/Toronto"} <= zones()
