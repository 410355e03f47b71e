"""Texts from strangers: script, markup, directions, length; and a great many conversations."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.stage import PHONE, Person, Stage

OWN = "document.title='owned'"
SCRIPT = f'<script>{OWN}</script><img src=x onerror="{OWN}"><b>bold</b>{{{{ 7*7 }}}}'
TURNED = "\u202eevil\u202c \u2067right to left\u2069 \u200f!"
LONG = "x" * 10_000
CONVERSATIONS = 5_000


def test_texts_are_texts(opened: Open, stage: Stage, person: Person) -> None:
    for text in (SCRIPT, TURNED, LONG):
        stage.history(person, 1, text=text.replace("{", "{{").replace("}", "}}"))
    stage.contact(person, "<i>Mallory</i>\u202e", PHONE)
    page = opened(person, f"/conversations/{person.did}/{PHONE}")
    page.locator("html[data-live]").wait_for(state="attached")
    stage.text(person.did, SCRIPT)  # through the live part too
    expect(page.locator(".bubble .text")).to_have_text([SCRIPT, TURNED, LONG, SCRIPT], use_inner_text=True)
    for path in (None, "/conversations", "/messages"):
        if path is not None:
            page.goto(path)
        assert "owned" not in page.title()
        assert page.locator("main b, main i, main img").count() == 0
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    expect(page.get_by_role("link", name="<i>Mallory</i>").first).to_be_visible()


def test_five_thousand_conversations(opened: Open, stage: Stage, person: Person) -> None:
    with stage.writing() as conn:
        for number in range(CONVERSATIONS):
            stage.put(conn, person, f"+1303{number:07d}", f"hello from {number}")
    page = opened(person)
    expect(page.locator(".conversations li")).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(page.locator(".conversations li")).to_have_count(50)
    expect(page.locator(".conversations li").first).to_contain_text(
        re.compile(f"hello from {CONVERSATIONS - 51}")
    )
    page.get_by_role("searchbox").fill("3030001234")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("link", name="+13030001234")).to_have_count(1)
