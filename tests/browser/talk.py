"""What tests of a conversation share: its page, hearing of changes, drafts, and the log-in before it."""

from contextlib import AbstractContextManager
from typing import Any

from playwright.sync_api import Page

from tests.browser.conftest import Open
from tests.browser.stage import PASSWORD, PHONE, Person, Stage

# With an icon of its own: a browser asks for one else, and complains that there is none.
GATEWAY = "<link rel=icon href=data:,><h1>Gateway</h1>"


def thread_of(person: Person, peer: str = PHONE) -> str:
    return f"/conversations/{person.did}/{peer}"


def live(page: Page) -> Page:
    """Once it hears of changes."""
    hearing(page, "stream", "shared")
    return page


def hearing(page: Page, *ways: str) -> None:
    """Until it hears of changes in one of these ways."""
    page.locator(", ".join(f"html[data-live={way}]" for way in ways)).wait_for(state="attached")


def talk(opened: Open, stage: Stage, person: Person) -> Page:
    """A conversation of one message, that hears of changes."""
    stage.history(person, 1)
    return live(opened(person, thread_of(person)))


def saving(page: Page) -> AbstractContextManager[Any]:
    """What is done within is followed by the server's answer to a draft."""
    return page.expect_response(lambda answer: "do=draft" in (answer.request.post_data or ""))


def log_in(page: Page, person: Person) -> None:
    """With his password, where the log-in is shown."""
    page.get_by_label("Log-in").fill(person.user.login)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
