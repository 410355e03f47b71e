"""That the pages are for everybody: axe-core, languages, light and dark, widths, the keyboard alone."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from storage import export
from storage.records import PartState
from tests.browser.conftest import AXE, PICTURES, Complaints, Open
from tests.browser.stage import OTHER_PHONE, PHONE, Person, Stage, now_ms

LANGUAGES = {"en": "en-US", "fr": "fr-FR", "es": "es-MX"}
WIDTHS = {320: 640, 768: 1024, 1440: 900}
TALK = (
    "Hi! Is the blue bicycle still there?",
    "Good morning, yes it is. Would you like to try it?",
    "Gladly. Could I come by this afternoon, say at three?",
    "Three is fine. We are at 12 Harbour Street, the green door.",
    "Perfect, see you then.",
    "One more thing: please bring an ID for the test ride.",
    "Of course!",
    "Until later.",
)
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NARROW = 320
AT_200_PERCENT: ViewportSize = {"width": 640, "height": 360}
OF_LAYOUT = ["target-size", "scrollable-region-focusable", "page-has-heading-one", "empty-heading", "bypass"]
"""The rules that may say another thing of a page where it is narrow."""
LONG_NAMED = "+12025550152"
UNBROKEN = "Wolfeschlegelsteinhausenbergerdorff" * 5
STICKS_OUT = """() => [...document.querySelectorAll("body *")].filter((element) => {
  const box = element.getBoundingClientRect();
  if (!box.width || !box.height || (box.left >= 0 && box.right <= innerWidth + 1)) return false;
  return !element.closest(".hidden, .skip, .wide, .top nav, .bar .actions, .name, .last, .chip");
}).map((element) => element.outerHTML.slice(0, 120))"""
"""What is partly out of sight, and in nothing that scrolls sideways."""
CUT_ON_PAPER = """() => [...document.querySelectorAll(".scroll, .wide, .composer, main button")].filter(
  (element) => element.checkVisibility() &&
    (element.matches(".composer, button") || element.scrollHeight > element.clientHeight + 1)
).map((element) => element.outerHTML.slice(0, 120))"""
SCHEMES = {"en": ("light", "dark"), "fr": ("light",), "es": ("dark",)}
"""Where each page is looked at, every time by all rules: a run takes a second, and there are many pages."""


def violations(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe finds on the page as it is now, by all our standards or by these rules alone."""
    if not page.evaluate("() => 'axe' in window"):
        # Evaluated in the page's world, not as an inline script: the policy of the page forbids those.
        page.evaluate(AXE.read_text("utf-8"))
    wanted = {"type": "rule", "values": rules} if rules else STANDARDS
    found: Any = page.evaluate("wanted => axe.run(document, { runOnly: wanted })", wanted)
    return [
        f"{item['id']}: {item['help']}: {node['html'][:160]}"
        for item in found["violations"]
        for node in item["nodes"]
    ]


def barriers(page: Page, language: str) -> list[str]:
    """What axe finds on the page of this language, in light and in dark (see `SCHEMES`)."""
    assert page.locator("html").get_attribute("lang") == language
    found = []
    for scheme in SCHEMES[language]:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found += [f"{scheme}: {said}" for said in violations(page)]
    return found


def narrows(page: Page, rules: list[str] | None = OF_LAYOUT) -> list[str]:
    """What is wrong with the page at this width: what is cut off; and by these of axe, where it is narrow."""
    found: list[str] = page.evaluate(STICKS_OUT)
    wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    if wide > 0:
        found.append(f"{wide} px too wide")
    narrow = page.viewport_size is not None and page.viewport_size["width"] == NARROW
    return found + (violations(page, rules) if narrow else [])


def unprintable(page: Page) -> list[str]:
    """What would be cut off on paper, or be there to be pressed."""
    page.emulate_media(media="print")
    found: list[str] = page.evaluate(CUT_ON_PAPER)
    page.emulate_media(media="screen")
    return found


@pytest.fixture(scope="module")
def lively(stage: Stage) -> Person:
    """Somebody with a bit of everything."""
    person = stage.person()
    stage.contact(person, "Ann Example", PHONE)
    with stage.writing() as conn:
        for number, text in enumerate(TALK):
            way = "mt" if number % 2 else "mo"
            at = now_ms() - 60_000 * (len(TALK) - number)
            message = stage.put(conn, person, PHONE, text, direction=way, created_at=at)
            if way == "mt":
                stage.put_part(conn, message, PartState.FAILED if number == 5 else PartState.DELIVERED)
    stage.history(person, 2, OTHER_PHONE, "See you at {} o’clock?")
    stage.history(person, 1, "ACME", "Your code is 123456")
    stage.contact(person, UNBROKEN, LONG_NAMED)
    stage.history(person, 2, LONG_NAMED, UNBROKEN)
    return person


def pages(stage: Stage, person: Person) -> dict[str, str]:
    with stage.engine.snapshot() as conn:
        newest = export.newest_id(conn, person.account.id)
    return {
        "conversations": "/conversations",
        "conversation": f"/conversations/{person.did}/{PHONE}",
        "conversation-long": f"/conversations/{person.did}/{LONG_NAMED}",
        "search": "/conversations?q=text&direction=mo",
        "new": "/new",
        "messages": "/messages",
        "message": f"/messages/{newest}",
        "delete-all": "/messages/delete-all",
        "nothing": "/nowhere",
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_has_a_barrier(
    opened: Open, stage: Stage, lively: Person, complaints: Complaints, language: str
) -> None:
    complaints.allowed = "404"
    page = opened(None, "/login", locale=LANGUAGES[language])
    found = {"login": barriers(page, language)}
    page.context.add_cookies([stage.cookie(lively, pending=True)])  # type: ignore[list-item]
    page.goto("/login-code")
    expect(page).to_have_url("/login-code")
    found["login-code"] = barriers(page, language)
    page.context.add_cookies([stage.cookie(lively)])  # type: ignore[list-item]
    for name, path in pages(stage, lively).items():
        page.goto(path)
        found[name] = barriers(page, language)
    assert {name: said for name, said in found.items() if said} == {}


def test_dialogs_have_no_barrier(opened: Open, lively: Person) -> None:
    page = opened(lively, f"/conversations/{lively.did}/{PHONE}")
    page.locator(".bubble.mo a").first.click()
    expect(page.get_by_role("dialog", name="Deliveries")).to_be_visible()
    assert barriers(page, "en") == []
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    assert barriers(page, "en") == []
    page.keyboard.press("Escape")
    page.set_viewport_size(AT_200_PERCENT)
    thread = page.get_by_role("log").bounding_box()
    assert thread is not None
    assert thread["height"] > AT_200_PERCENT["height"] / 3, "some messages are to be seen"


def test_the_pages_of_the_api_have_no_barrier(opened: Open) -> None:
    assert barriers(opened(None, "/docs"), "en") == []


@pytest.mark.parametrize("width", WIDTHS)
def test_every_width(opened: Open, stage: Stage, lively: Person, complaints: Complaints, width: int) -> None:
    complaints.allowed = "404"
    size = {"width": width, "height": WIDTHS[width]}
    PICTURES.mkdir(parents=True, exist_ok=True)
    wrong = {}
    for language in LANGUAGES:
        page = opened(lively, viewport=size, locale=LANGUAGES[language])
        for name, path in pages(stage, lively).items():
            page.goto(path)
            wrong[f"{name} {language}"] = narrows(page) + (unprintable(page) if language == "en" else [])
            for scheme in ("light", "dark") if language == "en" else ():
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=PICTURES / f"{name}-{width}-{scheme}.png")
    assert {name: said for name, said in wrong.items() if said} == {}


def test_the_keyboard_alone(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 1, PHONE, "the first one")
    stage.history(person, 1, OTHER_PHONE, "the second one")
    page = opened(person)
    page.locator("html[data-live]").wait_for(state="attached")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="the second one")).to_be_focused()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="the first one")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log")).to_contain_text("the second one")
    page.keyboard.press("r")
    expect(page.get_by_label("Your answer")).to_be_focused()
    page.keyboard.type("typed: n j k e ? /")
    page.keyboard.press("Enter")
    expect(page.locator(".bubble.mt .text")).to_have_text("typed: n j k e ? /")
    page.locator("body").press("Escape")
    page.get_by_role("log").focus()
    page.keyboard.press("e")
    expect(page.get_by_role("link", name="the second one")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("n")
    expect(page.get_by_label("To", exact=True)).to_be_focused()


def test_single_keys_can_be_switched_off(opened: Open, stage: Stage) -> None:
    person = stage.person(single_keys=True)
    page = opened(person)
    page.keyboard.press("?")
    page.get_by_label("Single letters are commands").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#keys[data-single=off]")).to_have_count(1)
    page.keyboard.press("?")
    page.keyboard.press("n")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    expect(page).to_have_url("/conversations")


def test_a_users_own_language_and_zone(opened: Open, stage: Stage) -> None:
    person = stage.person(language="fr", timezone="Asia/Tokyo")
    stage.history(person, 1, created_at=1_800_014_400_000)
    page = opened(person, f"/conversations/{person.did}/{PHONE}", locale="es-MX")
    expect(page.locator(".day")).to_have_text("vendredi 15 janvier 2027")
    expect(page.locator(".bubble time")).to_have_text("21:00")
    expect(page.locator(".bubble time")).to_have_attribute(
        "title", re.compile("^vendredi 15 janvier 2027.* 21:00:00 heure normale du Japon$")
    )


def test_the_zone_of_the_browser_when_none_was_chosen(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 1, created_at=1_800_014_400_000)
    page = opened(None, "/login", timezone_id="America/Vancouver")
    page.context.add_cookies([stage.cookie(person)])  # type: ignore[list-item]
    page.goto(f"/conversations/{person.did}/{PHONE}")
    expect(page.locator(".bubble time")).to_have_text("4:00 AM", use_inner_text=True)
