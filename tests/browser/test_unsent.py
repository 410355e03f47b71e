"""What is being written is not lost: the log-in ends, somebody logs in anew, the server is away."""

from typing import Any

from playwright.sync_api import expect

from storage import sessions
from tests.browser.conftest import Complaints, Open
from tests.browser.stage import PHONE, Person, Stage, now_ms
from tests.browser.talk import log_in, saving, talk, thread_of
from tests.server import until


def end_log_ins(stage: Stage, person: Person) -> None:
    with stage.writing() as conn:
        for found in sessions.of_user(conn, person.account.id, person.user.id, now_ms()):
            sessions.end_session(conn, found.id)


def test_a_text_outlives_the_log_in(opened: Open, stage: Stage, person: Person) -> None:
    page = talk(opened, stage, person)
    text = page.get_by_label("Your answer")
    end_log_ins(stage, person)
    text.fill("written too late")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#setback")).to_contain_text("You are logged out.")
    expect(text).to_have_value("written too late")
    page.get_by_role("link", name="Log in").click()
    log_in(page, person)
    expect(text).to_have_value("written too late")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".bubble.mt", has_text="written too late")).to_be_visible()
    page.reload()
    expect(text).to_have_value("")


def test_a_page_of_a_log_in_before_says_so(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "403"
    page = talk(opened, stage, person)
    page.evaluate("() => document.getElementsByName('csrf').forEach((field) => { field.value = 'old'; })")
    text = page.get_by_label("Your answer")
    text.fill("with an old token")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#setback")).to_have_text(
        "You have logged in anew since this page was opened. What you have written stays. Load it again"
    )
    expect(text).to_have_value("with an old token")
    page.get_by_role("link", name="Load it again").click()
    expect(text).to_have_value("with an old token")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".bubble.mt", has_text="with an old token")).to_be_visible()


def test_a_strangers_page_is_not_put_into_ours(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "502"
    page = talk(opened, stage, person)
    page.route(
        f"**{thread_of(person)}",
        lambda route: route.fulfill(status=502, content_type="text/html", body="<h1>Bad gateway</h1>"),
    )
    page.get_by_label("Your answer").fill("through a proxy")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#setback")).to_have_text("The server did not take it (502).")
    expect(page.get_by_label("Your answer")).to_have_value("through a proxy")
    page.get_by_label("Your answer").fill("through a proxy again")
    expect(page.locator("#setback")).to_be_empty()


def test_a_draft_is_tried_again(opened: Open, stage: Stage, person: Person, complaints: Complaints) -> None:
    complaints.allowed = "ERR_FAILED"
    page = talk(opened, stage, person)
    lost: list[str] = []

    def lose(route: Any) -> None:
        if "do=draft" in (route.request.post_data or "") and not lost:
            lost.append("once")
            route.abort()
        else:
            route.continue_()

    page.route(f"**{thread_of(person)}", lose)
    with saving(page):
        page.get_by_label("Your answer").fill("kept after all")
    assert lost == ["once"]
    elsewhere = opened(person)
    expect(elsewhere.get_by_role("link", name="Draft: kept after all")).to_be_visible()


def test_a_first_message_is_kept_until_it_is_sent(opened: Open, stage: Stage, person: Person) -> None:
    second = person.dids[1].number
    page = opened(person, "/new")
    page.get_by_label("To", exact=True).fill(PHONE)
    page.get_by_role("combobox", name="From", exact=True).select_option(second)
    written = f"begun by {person.user.login}"
    with saving(page):
        page.get_by_role("textbox", name="Text").fill(written)
    elsewhere = opened(person, "/new")
    expect(elsewhere.get_by_role("textbox", name="Text")).to_have_value(written)
    page.goto("/conversations")
    end_log_ins(stage, person)
    page.goto("/new")
    log_in(page, person)
    expect(page.get_by_label("To", exact=True)).to_have_value(PHONE)
    expect(page.get_by_role("combobox", name="From", exact=True)).to_have_value(second)
    end_log_ins(stage, person)  # and once more, between the form and its answer
    page.get_by_role("button", name="Send").click()
    log_in(page, person)
    expect(page).to_have_url("/new")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("log")).to_contain_text(written)
    until(lambda: written in stage.texts_of(), "the phone has it")
    page.goto("/new")
    expect(page.get_by_role("textbox", name="Text")).to_have_value("")
    page.get_by_role("textbox", name="Text").fill("for nobody else")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert page.evaluate("() => Object.keys(sessionStorage).filter((key) => key.startsWith('unsent'))") == []
