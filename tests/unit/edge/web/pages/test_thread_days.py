"""The lines between the days of a conversation."""

import re

from edge.web.pages.locales import locale_of
from edge.web.pages.reading import PAGE
from tests.unit.edge.conftest import Time
from tests.unit.edge.web.harness import DID, PEER, Browser, Scene

THREAD = f"/conversations/{DID}/{PEER}"
DAY = 24 * 3600.0


def lines(html: str) -> list[str]:
    """The thread's days and texts, in order."""
    found = re.findall(r'<li class="day"[^>]*>(.*?)</li>|<p class="text" dir="auto">(.*?)</p>', html)
    return [date or text for date, text in found]


ENGLISH = locale_of("en", "UTC")


def test_each_day_is_named_once_before_its_first_message(scene: Scene, time: Time) -> None:
    first = ENGLISH.day(time.wall_ms())
    scene.message(text="one")
    scene.message("mt", text="two")
    time.advance(3 * DAY)
    later = "Today"
    scene.message(text="three")
    page = scene.member().get(THREAD).text
    assert lines(page) == [first, "one", "two", later, "three"]
    on_paper = re.findall(r'<li class="day" data-date="([^"]+)"', page)
    assert on_paper == [first, ENGLISH.day(time.wall_ms())], "where it is read on another day"


def test_a_page_of_a_conversation_begins_with_its_day(scene: Scene, member: Browser) -> None:
    for number in range(PAGE + 1):
        scene.message(text=f"text {number}")
    today = "Today"
    page = member.get(THREAD).text
    assert lines(page)[:2] == [today, "text 1"]
    older = re.search(r'rel="next" href="([^"]+)"', page)
    assert older is not None
    assert lines(member.get(older[1].replace("&amp;", "&")).text) == [today, "text 0"]


def test_the_part_that_a_script_asks_for_has_the_days_too(scene: Scene, member: Browser) -> None:
    scene.message(text="one")
    assert lines(member.get(f"{THREAD}?part=list").text) == ["Today", "one"]
