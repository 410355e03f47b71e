"""The Message Center in a browser, against the real server and its simulated phones."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as Late

from storage import events
from storage.events import Kind
from storage.records import PartState
from storage.tables import part
from tests.browser.conftest import Complaints, Open
from tests.browser.stage import OTHER_PHONE, PHONE, Person, Stage, now_ms
from tests.browser.talk import hearing, live, log_in, saving, talk, thread_of
from tests.server import until

A_SECOND_MS = 1_000
"""The aim: from what one browser does to what another one shows."""
NO_LONG_TIMERS = """
const real = setTimeout;
window.setTimeout = (call, ms, ...more) => ms >= 5000 ? 0 : real(call, ms, ...more);
"""


def test_log_in_read_and_answer(opened: Open, stage: Stage, person: Person) -> None:
    stage.text(person.did, "Good morning")
    page = opened(None, "/conversations")
    expect(page).to_have_title("Log in · Trunkline")
    log_in(page, person)
    page.get_by_role("link", name="Good morning").click()
    expect(page.get_by_role("log")).to_contain_text("Good morning")
    page.get_by_label("Your answer").fill("And to you 👋")
    page.get_by_role("button", name="Send").click()
    bubble = page.locator(".bubble.mt", has_text="And to you 👋")
    expect(bubble.locator(".badge")).to_have_text("delivered")
    until(lambda: "And to you 👋" in stage.texts_of(), "the phone has it")
    expect(page.get_by_label("Your answer")).to_have_value("")


def test_what_a_phone_writes_is_there_without_a_reload_and_counted_in_the_title(
    opened: Open, stage: Stage, person: Person
) -> None:
    page = live(opened(person))
    stage.text(person.did, "one")
    expect(page.get_by_role("link", name="one")).to_be_visible()
    expect(page).to_have_title("(1) Messages · Trunkline")
    stage.text(person.did, "two", OTHER_PHONE)
    expect(page).to_have_title("(2) Messages · Trunkline")
    page.get_by_role("link", name="two").click()
    expect(page).to_have_title(f"(1) {OTHER_PHONE} · Trunkline")


def test_two_browsers_see_what_the_other_does(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 3)
    mine = live(opened(person, thread_of(person)))
    other = live(opened(person, thread_of(person)))
    mine.get_by_label("Your answer").fill("from the first")
    mine.get_by_label("Your answer").press("Enter")
    expect(other.get_by_role("log")).to_contain_text("from the first")
    expect(other.locator(".bubble", has_text="from the first").locator(".badge")).to_have_text("delivered")
    other.get_by_role("button", name="Pin", exact=True).click()
    expect(mine.get_by_role("list").get_by_title("pinned")).to_be_visible()


def test_what_stands_above_a_conversation_follows_the_other_browser(
    opened: Open, stage: Stage, person: Person
) -> None:
    stage.history(person, 3)
    mine = live(opened(person, thread_of(person)))
    other = live(opened(person, thread_of(person)))
    other.get_by_role("button", name="Pin", exact=True).click()
    expect(mine.get_by_role("button", name="Unpin")).to_be_visible()
    mine.get_by_role("button", name="Unpin").click()
    expect(other.get_by_role("button", name="Pin", exact=True)).to_be_visible()
    other.get_by_role("button", name="Archive", exact=True).click()
    expect(mine.get_by_role("button", name="Unarchive")).to_be_visible()
    stage.contact(person, "Ann", PHONE)
    mine.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # back from another tab
    expect(mine.get_by_role("heading", name="Ann")).to_be_visible()
    expect(mine.get_by_role("link", name="Contact", exact=True)).to_be_visible()


def test_two_browsers_see_it_within_a_second(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 3)
    mine = live(opened(person, thread_of(person)))
    other = live(opened(person, thread_of(person)))

    def say(page: Page, text: str) -> None:
        page.get_by_label("Your answer").fill(text)
        page.get_by_label("Your answer").press("Enter")

    pinned = mine.get_by_role("list").get_by_title("pinned")
    changes: list[tuple[Callable[[], None], Locator, str]] = [
        (lambda: say(mine, "one"), other.locator(".bubble.mt", has_text="one"), "visible"),
        (lambda: say(other, "two"), mine.locator(".bubble.mt", has_text="two"), "visible"),
        (lambda: stage.text(person.did, "three"), mine.locator(".bubble.mo", has_text="three"), "visible"),
        (lambda: other.get_by_role("button", name="Pin", exact=True).click(), pinned, "visible"),
        (lambda: other.get_by_role("button", name="Unpin").click(), pinned, "hidden"),
        (lambda: say(mine, "four"), other.locator(".bubble.mt", has_text="four"), "visible"),
    ]
    late = []
    for change, sight, state in changes:
        change()
        try:
            sight.wait_for(state=state, timeout=A_SECOND_MS)  # type: ignore[arg-type]
        except Late:
            late.append(str(sight))
            sight.wait_for(state=state)  # type: ignore[arg-type]
        hearing(mine, "stream")  # not by polling
        hearing(other, "stream")
    # The machine that runs this may be busy with other things for a moment, but not all the time.
    assert len(late) <= len(changes) // 3, late


def test_a_state_that_the_feed_tells_is_shown(opened: Open, stage: Stage, person: Person) -> None:
    with stage.writing() as conn:
        message = stage.put(conn, person, PHONE, "on its way", direction="mt")
        stage.put_part(conn, message, PartState.SENT)
    page = opened(None, "/login")
    page.add_init_script(NO_LONG_TIMERS)  # so it cannot ask by itself
    page.context.add_cookies([stage.cookie(person)])  # type: ignore[list-item]
    page.goto(thread_of(person))
    live(page)
    expect(page.locator(".bubble.sent")).to_be_visible()
    with stage.writing() as conn:
        conn.execute(part.update().where(part.c.message_id == message).values(state=PartState.DELIVERED))
        events.write(conn, [(person.account.id, Kind.MESSAGE_DELIVERED, message, now_ms())])
    expect(page.locator(".bubble.delivered")).to_be_visible()


def test_a_hidden_page_asks_when_it_is_shown(opened: Open, stage: Stage, person: Person) -> None:
    page = talk(opened, stage, person)
    looks = "Object.defineProperty(document, 'hidden', { get: () => hidden, configurable: true })"
    page.evaluate(f"hidden => {{ {looks} }}", True)
    stage.text(person.did, "while nobody looked")
    expect(page).to_have_title(f"(1) {PHONE} · Trunkline")  # that is what its title is for
    assert page.locator(".bubble", has_text="while nobody looked").count() == 0
    page.evaluate(f"hidden => {{ {looks}; document.dispatchEvent(new Event('visibilitychange')) }}", False)
    expect(page.locator(".bubble", has_text="while nobody looked")).to_be_visible()
    expect(page).to_have_title(f"{PHONE} · Trunkline")


def test_a_second_page_of_one_browser_shares_the_stream(opened: Open, stage: Stage, person: Person) -> None:
    first = live(opened(person))
    second = first.context.new_page()
    second.goto("/conversations")
    hearing(second, "shared")
    stage.text(person.did, "for both")
    for page in (first, second):
        expect(page.get_by_role("link", name="for both")).to_be_visible()
    first.close()
    hearing(second, "stream")
    stage.text(person.did, "for the heir")
    expect(second.get_by_role("link", name="for the heir")).to_be_visible()


def test_a_part_that_could_not_be_had_is_asked_for_again(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "ERR_FAILED|503"
    stage.history(person, 1)
    page = opened(None, "/login")
    page.context.add_cookies([stage.cookie(person)])  # type: ignore[list-item]
    failures: list[Callable[[Any], None]] = [
        lambda route: route.abort(),
        lambda route: route.fulfill(status=503, body="away"),
    ]

    def fail(route: Any) -> None:
        if failures:
            failures.pop(0)(route)
        else:
            route.continue_()

    page.route("**/conversations/**part=thread*", fail)
    with page.expect_response(lambda answer: "part=thread" in answer.url and answer.ok):
        page.goto(thread_of(person))
    assert failures == []


def test_without_a_stream_the_page_asks(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "ERR_FAILED"
    page = opened(None, "/login")
    page.context.add_cookies([stage.cookie(person)])  # type: ignore[list-item]
    page.context.route("**/live", lambda route: route.abort())
    page.goto("/conversations")
    hearing(page, "polling")
    stage.text(person.did, "asked for")
    expect(page.get_by_role("link", name="asked for")).to_be_visible()


def test_an_answer_is_shown_at_once_and_goes_once_though_the_line_breaks(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "ERR_FAILED"
    page = talk(opened, stage, person)
    lost = []

    def lose_the_answer(route: object) -> None:
        """The server takes the message; its answer does not arrive."""
        if route.request.method == "POST" and "part=thread" in (route.request.post_data or ""):  # type: ignore[attr-defined]
            lost.append(route.fetch().status)  # type: ignore[attr-defined]
            route.abort()  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    page.route(f"**{thread_of(person)}", lose_the_answer)
    page.get_by_label("Your answer").fill(f"once only {person.user.login}")
    page.get_by_label("Your answer").press("Enter")
    expect(page.locator(".bubble.sending-now")).to_contain_text("not sent")
    page.unroute(f"**{thread_of(person)}")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".bubble.sending-now")).to_have_count(0)
    expect(page.locator(".bubble", has_text="once only").locator(".badge")).to_have_text("delivered")
    assert page.locator(".bubble", has_text="once only").count() == 1
    assert lost == [200, 200]
    assert stage.texts_of().count(f"once only {person.user.login}") == 1


def test_enter_and_shift_enter(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 1)
    page = opened(person, thread_of(person))
    text = page.get_by_label("Your answer")
    text.press_sequentially("line one")
    text.press("Shift+Enter")
    text.press_sequentially("line two")
    expect(text).to_have_value("line one\nline two")
    text.press("Enter")
    expect(page.locator(".bubble.mt .text").last).to_have_text("line one\nline two")
    until(lambda: "line one\nline two" in stage.texts_of(), "the phone has it")


def test_a_draft_is_kept_and_gone_when_it_is_sent(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 1)
    page = opened(person, thread_of(person))
    with saving(page):
        page.get_by_label("Your answer").fill("begun and left")
    elsewhere = opened(person)
    expect(elsewhere.get_by_role("link", name="Draft: begun and left")).to_be_visible()
    elsewhere.get_by_role("link", name="Draft: begun and left").click()
    expect(elsewhere.get_by_label("Your answer")).to_have_value("begun and left")
    elsewhere.get_by_role("button", name="Send").click()
    expect(elsewhere.locator(".bubble.mt").last).to_contain_text("begun and left")
    elsewhere.goto("/conversations")
    expect(elsewhere.get_by_role("link", name="You: begun and left")).to_be_visible()


def test_the_counter_names_what_makes_it_longer_and_offers_another(
    opened: Open, stage: Stage, person: Person
) -> None:
    stage.history(person, 1)
    page = opened(person, thread_of(person))
    text, counter = page.get_by_label("Your answer"), page.locator(".counter")
    text.fill("Hello")
    expect(counter).to_have_text("155 left · 1 part · GSM-7")
    text.fill("It’s here")
    expect(counter).to_have_text("61 left · 1 part · UCS-2 · because of ’")
    page.get_by_role("button", name="Replace: ’ → '").click()
    expect(text).to_have_value("It's here")
    expect(counter).to_have_text("151 left · 1 part · GSM-7")
    text.fill("日本")
    expect(counter).to_have_text("68 left · 1 part · UCS-2 · because of 日 本")
    expect(page.get_by_role("button", name="Replace")).to_have_count(0)


def test_a_new_message_to_a_contact_over_the_did_of_the_last_word(
    opened: Open, stage: Stage, person: Person
) -> None:
    stage.contact(person, "Ann Example", PHONE)
    second = person.dids[1]
    stage.history(person, 1, did=second.number, did_id=second.id)
    page = opened(person, "/new")
    page.get_by_label("To", exact=True).press_sequentially("ann")
    option = page.get_by_role("option", name="Ann Example")
    expect(option).to_be_visible()
    page.get_by_label("To", exact=True).press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    page.get_by_label("To", exact=True).press("Enter")
    expect(page.get_by_label("To", exact=True)).to_have_value(PHONE)
    expect(page.get_by_role("combobox", name="From", exact=True)).to_have_value(second.number)
    page.get_by_role("textbox", name="Text").fill("hello Ann")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("log")).to_contain_text("hello Ann")
    expect(page.get_by_role("heading", name="Ann Example")).to_be_visible()


def test_what_one_browser_shows_is_read_in_the_other(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 1)
    reader = live(opened(person, thread_of(person)))
    other = live(opened(person, f"/conversations/{person.did}/{OTHER_PHONE}"))
    stage.text(person.did, "is it read?")
    expect(reader.get_by_role("log")).to_contain_text("is it read?")
    expect(reader.get_by_role("status")).to_have_text("One new message.")
    expect(other.get_by_role("link", name="is it read?")).to_be_visible()
    expect(other.locator(".conversations .count")).to_have_count(0)
    expect(other).to_have_title(f"{OTHER_PHONE} · Trunkline")


def test_a_message_that_failed_says_why_and_is_sent_again(opened: Open, stage: Stage, person: Person) -> None:
    with stage.writing() as conn:
        failed = stage.put(conn, person, PHONE, f"again {person.user.login}", direction="mt")
        stage.put_part(conn, failed, PartState.FAILED)
    page = opened(person, thread_of(person))
    bubble = page.locator(".bubble.failed")
    expect(bubble.locator(".badge")).to_contain_text("failed, the number is not valid: ESME_RINVDSTADR")
    bubble.get_by_role("button", name="Send again").click()
    expect(page.locator(".bubble.delivered")).to_contain_text(f"again {person.user.login}")
    assert stage.texts_of().count(f"again {person.user.login}") == 1


def test_archive_unread_and_back(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 3)
    page = opened(person, thread_of(person))
    page.get_by_role("button", name="Mark unread").click()
    expect(page.locator(".conversations .count")).to_have_text("unread: 1")
    page.get_by_role("link", name="text 2").click()
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("No conversations yet.")).to_be_visible()
    page.get_by_text("Filter").click()
    page.locator("select[name=show]").select_option("archived")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("link", name="text 2").click()
    page.get_by_role("button", name="Unarchive").click()
    page.goto("/conversations")
    expect(page.get_by_role("link", name="text 2")).to_be_visible()


def test_search_finds_names_and_words(opened: Open, stage: Stage, person: Person) -> None:
    stage.contact(person, "Zoë Example", PHONE)
    stage.text(person.did, "the parrot is back")
    page = live(opened(person))
    expect(page.get_by_role("link", name="the parrot is back")).to_be_visible()
    page.get_by_role("searchbox").fill("zoe")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("link", name="Zoë Example")).to_be_visible()

    def found() -> int:
        page.goto("/conversations?q=parrot")
        return page.get_by_role("link", name="parrot").count()

    until(found, "the words are indexed")
    page.get_by_role("link", name="parrot").click()
    expect(page.locator(".bubble", has_text="parrot")).to_be_visible()


def test_the_matrix_in_a_drawer(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 2)
    page = opened(person, thread_of(person))
    page.locator(".bubble.mo a").click()
    drawer = page.get_by_role("dialog", name="Deliveries")
    expect(drawer.get_by_role("rowheader", name="portal")).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()


def test_a_number_that_is_none_is_said_at_its_field(
    opened: Open, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "422"
    page = opened(person, "/new")
    page.get_by_label("To", exact=True).fill("nobody")
    page.get_by_role("textbox", name="Text").fill("hello")
    page.get_by_role("button", name="Send").click()
    field = page.get_by_label("To", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("nobody")
    expect(page.get_by_role("textbox", name="Text")).to_have_value("hello")


def test_a_number_that_is_typed_whole_proposes_the_did_of_the_last_word(
    opened: Open, stage: Stage, person: Person
) -> None:
    stage.contact(person, "Ann Example", PHONE)
    second = person.dids[1]
    stage.history(person, 1, did=second.number, did_id=second.id)
    page = opened(person, "/new")
    source = page.get_by_role("combobox", name="From", exact=True)
    page.get_by_label("To", exact=True).fill(PHONE[1:5])
    expect(page.get_by_role("option", name="Ann Example")).to_be_visible()
    expect(source).to_have_value(person.did)
    page.get_by_label("To", exact=True).fill(PHONE)
    expect(source).to_have_value(second.number)
    source.select_option(person.did)  # what is chosen by hand stays
    page.get_by_label("To", exact=True).fill(PHONE[2:])
    expect(page.get_by_role("option", name="Ann Example")).to_be_visible()
    expect(source).to_have_value(person.did)


def test_so_does_a_number_that_is_no_contact(opened: Open, stage: Stage, person: Person) -> None:
    second = person.dids[1]
    stage.history(person, 1, did=second.number, did_id=second.id)
    page = opened(person, "/new")
    page.get_by_label("To", exact=True).fill(PHONE)
    expect(page.get_by_role("combobox", name="From", exact=True)).to_have_value(second.number)
