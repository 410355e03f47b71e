"""What is being written is not lost: the log-in ends, somebody logs in anew, the server is away."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from storage import sessions
from tests.browser.conftest import Complaints, Open
from tests.browser.stage import OTHER_PHONE, PHONE, Person, Stage, now_ms
from tests.browser.talk import GATEWAY, live, log_in, saving, talk, thread_of
from tests.server import until

PRESS_SEND = """() =>
  [...document.querySelectorAll("button")].find((button) => button.innerText === "Send")?.click()"""


def end_log_ins(stage: Stage, person: Person) -> None:
    with stage.writing() as conn:
        for found in sessions.of_user(conn, person.account.id, person.user.id, now_ms()):
            sessions.end_session(conn, found.id)


HEARS = re.compile(r"/live$|[?&]part=")


def deaf(page: Page) -> None:
    """It does not find out by itself that its log-in has ended: nothing that it asks for is answered."""
    page.route(HEARS, lambda route: None)


def test_a_text_outlives_the_log_in(opened: Open, stage: Stage, person: Person) -> None:
    page = talk(opened, stage, person)
    text = page.get_by_label("Your answer")
    deaf(page)
    end_log_ins(stage, person)
    text.fill("written too late")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#setback")).to_contain_text("You are logged out.")
    expect(text).to_have_value("written too late")
    page.unroute(HEARS)
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


@pytest.mark.parametrize("status", [200, 403, 408, 500, 502, 504])
def test_after_a_strangers_answer_nobody_knows_and_it_goes_once(
    opened: Open, stage: Stage, person: Person, complaints: Complaints, status: int
) -> None:
    complaints.allowed = str(status)
    page = talk(opened, stage, person)
    path = f"**{thread_of(person)}"
    taken: list[int] = []

    def take_and_hide(route: Any) -> None:
        """The server takes the message; a proxy answers instead of it."""
        if "part=thread" in (route.request.post_data or ""):
            taken.append(route.fetch().status)
            route.fulfill(status=status, content_type="text/html", body=GATEWAY)
        else:
            route.continue_()

    page.route(path, take_and_hide)
    written = f"through a proxy {status} {person.user.login}"
    text = page.get_by_label("Your answer")
    text.fill(written)
    page.get_by_role("button", name="Send").click()
    waiting = page.locator(".bubble.sending-now")
    expect(waiting).to_contain_text("perhaps not sent: no answer from the server")
    expect(text).to_have_value("")
    expect(page.locator("#setback")).to_be_empty()
    expect(page.get_by_text("Gateway")).to_have_count(0)
    assert taken == [200, 200]
    page.unroute(path)
    page.get_by_role("button", name="Try again").click()
    expect(waiting).to_have_count(0)
    expect(page.locator(".bubble", has_text=written)).to_have_count(1)
    until(lambda: written in stage.texts_of(), "the phone has it")
    page.reload()
    expect(page.locator(".bubble", has_text=written)).to_have_count(1)
    assert stage.texts_of().count(written) == 1


def test_what_waits_outlives_a_reload_and_goes_once_in_its_order(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "ERR_FAILED"
    page = talk(opened, stage, person)
    path = f"**{thread_of(person)}"
    taken: list[int] = []
    text, send = page.get_by_label("Your answer"), page.get_by_role("button", name="Send")
    one, two, three = (f"{word} by {person.user.login}" for word in ("one", "two", "three"))
    with saving(page):
        text.fill(one)

    def away(route: Any) -> None:
        """The server has the first one, but nobody hears of it; after that it is away."""
        if route.request.method == "POST":
            if "part=thread" in (route.request.post_data or "") and not taken:
                taken.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    page.route(path, away)
    send.click()
    text.fill(two)
    send.click()
    text.fill(three)
    expect(page.get_by_role("button", name="Try again")).to_have_count(2)
    page.reload()
    waiting = page.locator(".bubble.sending-now")
    expect(waiting.locator(".text")).to_have_text([one, two])
    expect(text).to_have_value(three)
    expect(page.get_by_role("button", name="Try again")).to_have_count(2)
    page.unroute(path)
    page.reload()
    expect(waiting).to_have_count(0)
    expect(page.locator(".bubble.mt .text")).to_have_text([one, two])
    expect(text).to_have_value(three)
    until(lambda: {one, two} <= set(stage.texts_of()), "the phone has both")
    assert [stage.texts_of().count(word) for word in (one, two, three)] == [1, 1, 0]
    with page.expect_response(lambda answer: "part=thread" in (answer.request.post_data or "")):
        send.click()
    page.reload()
    expect(page.locator(".bubble.mt .text")).to_have_text([one, two, three])
    expect(text).to_have_value("")


def test_what_waits_is_not_in_the_box_too(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "ERR_FAILED"
    page = talk(opened, stage, person)
    path = f"**{thread_of(person)}"
    with saving(page):
        page.get_by_label("Your answer").fill("kept, then sent")
    page.route(path, lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    page.reload()
    expect(page.locator(".bubble.sending-now", has_text="kept, then sent")).to_be_visible()
    expect(page.get_by_label("Your answer")).to_have_value("")


def test_what_may_have_arrived_keeps_its_key_through_a_log_in(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "ERR_FAILED"
    page = talk(opened, stage, person)
    path = f"**{thread_of(person)}"
    written = f"before the log-in ended {person.user.login}"

    def lose_the_answer(route: Any) -> None:
        if "part=thread" in (route.request.post_data or ""):
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route(path, lose_the_answer)
    page.get_by_label("Your answer").fill(written)
    page.get_by_role("button", name="Send").click()
    again = page.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    page.unroute(path)
    deaf(page)
    end_log_ins(stage, person)
    again.click()
    expect(page.locator("#setback")).to_contain_text("You are logged out.")
    expect(page.get_by_label("Your answer")).to_have_value("")
    page.unroute(HEARS)
    page.get_by_role("link", name="Log in").click()
    log_in(page, person)
    expect(page.get_by_role("log")).to_contain_text(written)
    expect(page.locator(".bubble.sending-now")).to_have_count(0)
    expect(page.locator(".bubble", has_text=written)).to_have_count(1)
    until(lambda: written in stage.texts_of(), "the phone has it")
    assert stage.texts_of().count(written) == 1


def test_texts_that_come_back_keep_their_order(opened: Open, stage: Stage, person: Person) -> None:
    page = talk(opened, stage, person)
    held: list[Any] = []

    def hold_the_first(route: Any) -> None:
        if "part=thread" in (route.request.post_data or "") and not held:
            held.append(route)
        else:
            route.continue_()

    page.route(f"**{thread_of(person)}", hold_the_first)
    deaf(page)
    end_log_ins(stage, person)
    text = page.get_by_label("Your answer")
    text.fill("one")
    with page.expect_request(lambda request: "part=thread" in (request.post_data or "")):
        text.press("Enter")
    text.fill("two")
    text.press("Enter")
    held[0].continue_()
    expect(text).to_have_value("one\ntwo")


def test_a_text_that_was_kept_half_is_no_draft_once_it_is_sent(
    opened: Open, stage: Stage, person: Person
) -> None:
    page = talk(opened, stage, person)
    text = page.get_by_label("Your answer")
    with saving(page):
        text.fill("half")
    text.fill("half and whole")
    text.press("Enter")
    expect(page.locator(".bubble.mt .badge")).to_be_visible()
    page.reload()
    expect(page.locator(".bubble.mt .text")).to_have_text(["half and whole"])
    expect(text).to_have_value("")


def test_a_first_message_goes_once_though_a_proxy_says_otherwise(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "504"
    page = opened(person, "/new")
    written = f"first through a proxy {person.user.login}"
    taken: list[int] = []

    def take_and_hide(route: Any) -> None:
        if route.request.method == "POST" and "do=draft" not in (route.request.post_data or ""):
            taken.append(route.fetch(max_redirects=0).status)
            route.fulfill(status=504, content_type="text/html", body=GATEWAY)
        else:
            route.continue_()

    page.route("**/new", take_and_hide)
    page.get_by_label("To", exact=True).fill(PHONE)
    with saving(page):
        page.get_by_role("textbox", name="Text").fill(written)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="Gateway")).to_be_visible()
    assert taken == [303]
    page.unroute("**/new")
    page.goto("/new")
    expect(page.get_by_role("textbox", name="Text")).to_have_value(written)
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".bubble", has_text=written)).to_have_count(1)
    until(lambda: written in stage.texts_of(), "the phone has it")
    assert stage.texts_of().count(written) == 1
    page.goto("/new")
    expect(page.get_by_role("textbox", name="Text")).to_have_value("")


def test_an_answer_from_an_older_page_goes_once(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "504"
    stage.history(person, 60)
    page = opened(person, thread_of(person))
    page.get_by_role("link", name="Earlier").click()
    written, path = f"from an older page {person.user.login}", f"**{thread_of(person)}"
    taken: list[int] = []

    def take_and_hide(route: Any) -> None:
        taken.append(route.fetch(max_redirects=0).status)
        route.fulfill(status=504, content_type="text/html", body=GATEWAY)

    page.get_by_label("Your answer").fill(written)
    page.route(path, take_and_hide)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="Gateway")).to_be_visible()
    page.unroute(path)
    assert 303 in taken
    page.goto(thread_of(person))
    expect(page.locator(".bubble.sending-now")).to_have_count(0)
    expect(page.locator(".bubble", has_text=written)).to_have_count(1)
    expect(page.get_by_label("Your answer")).to_have_value("")


def test_sending_one_new_message_leaves_the_draft_of_another(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "409"  # should it take so long that it is to be kept
    one = opened(person, "/new")
    other = one.context.new_page()
    other.goto("/new")
    other.get_by_label("To", exact=True).fill(OTHER_PHONE)
    with saving(other):
        other.get_by_role("textbox", name="Text").fill("a long draft")
    other.close()
    one.get_by_label("To", exact=True).fill(PHONE)
    one.get_by_role("textbox", name="Text").fill(f"sent at once by {person.user.login}")
    one.get_by_role("button", name="Send").click()
    expect(one.get_by_role("log")).to_contain_text("sent at once")
    one.goto("/new")
    expect(one.get_by_role("textbox", name="Text")).to_have_value("a long draft")
    expect(one.get_by_label("To", exact=True)).to_have_value(OTHER_PHONE)


def test_two_windows_with_new_messages_keep_both(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "409"
    one = opened(person, "/new")
    other = one.context.new_page()
    other.goto("/new")
    one.get_by_label("To", exact=True).fill(PHONE)
    with saving(one):
        one.get_by_role("textbox", name="Text").fill("in the one window")
    other.get_by_label("To", exact=True).fill(OTHER_PHONE)
    text, setback = other.get_by_role("textbox", name="Text"), other.locator("#setback")
    text.fill("in the other")
    expect(setback).to_contain_text("This one stays in this window only")
    text.press_sequentially("!")
    expect(setback).to_contain_text("This one stays in this window only")
    other.reload()
    expect(text).to_have_value("in the other!")
    expect(other.get_by_label("To", exact=True)).to_have_value(OTHER_PHONE)
    with saving(other) as answer:
        text.fill("in the other window")
    assert answer.value.status == 409, "a reload does not make it the one that is kept"
    one.reload()
    expect(one.get_by_role("textbox", name="Text")).to_have_value("in the one window")
    with saving(one) as answer:
        one.get_by_role("textbox", name="Text").fill("in the one window, and more")
    assert answer.value.status == 204
    written = f"in the one window, by {person.user.login}"
    one.get_by_role("textbox", name="Text").fill(written)
    one.get_by_role("button", name="Send").click()
    expect(one.get_by_role("log")).to_contain_text(written)
    with saving(other) as answer:
        text.fill("in the other window, and kept")
    assert answer.value.status == 204
    expect(setback).to_be_empty()
    one.goto("/new")
    expect(one.get_by_role("textbox", name="Text")).to_have_value("in the other window, and kept")


def test_a_draft_whose_answer_is_lost_is_not_taken_for_another_windows(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "ERR_FAILED"
    page = opened(person, "/new")
    taken: list[int] = []

    def take_and_lose(route: Any) -> None:
        """The server keeps the first one; nobody hears of it."""
        if "text=kept" in (route.request.post_data or "") and not taken:
            taken.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    page.route("**/new", take_and_lose)
    page.get_by_label("To", exact=True).fill(PHONE)
    text = page.get_by_role("textbox", name="Text")
    with page.expect_event("requestfailed"):
        text.fill("kept")
    assert taken == [204]
    with saving(page) as answer:
        text.fill("kept, and more")
    assert answer.value.status == 204
    page.goto("/new")
    expect(text).to_have_value("kept, and more")


def test_what_may_not_have_arrived_is_in_sight(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "ERR_FAILED"
    stage.history(person, 30)
    page = live(opened(person, thread_of(person), viewport={"width": 320, "height": 700}))
    path = f"**{thread_of(person)}"
    page.route(path, lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    page.get_by_label("Your answer").fill("on a small phone")
    page.get_by_role("button", name="Send").click()
    again = page.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    expect(again).to_be_in_viewport(ratio=1)
    thread, button = page.get_by_role("log").bounding_box(), again.bounding_box()
    assert thread is not None
    assert button is not None
    assert button["y"] + button["height"] <= thread["y"] + thread["height"], "not behind the composer"


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
    elsewhere.close()
    page.goto("about:blank")
    end_log_ins(stage, person)
    page.goto("/new")
    log_in(page, person)
    expect(page.get_by_label("To", exact=True)).to_have_value(PHONE)
    expect(page.get_by_role("combobox", name="From", exact=True)).to_have_value(second)
    end_log_ins(stage, person)  # and once more, between the form and its answer
    page.evaluate(PRESS_SEND)  # unless the page has found out by itself and is at the log-in
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
