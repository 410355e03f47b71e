"""Without JavaScript: everything by links and plain forms."""

from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Complaints, Open
from tests.browser.stage import PASSWORD, PHONE, Person, Stage
from tests.browser.talk import GATEWAY
from tests.server import until


def test_log_in_read_send_archive_delete_and_log_out(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 3)
    page = opened(None, "/conversations", java_script_enabled=False)
    page.get_by_label("Log-in").fill(person.user.login)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="text 2").click()
    written = f"without a script\nby {person.user.login}"
    page.get_by_label("Your answer").fill(written)
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".bubble.mt .text").last).to_have_text(written)
    until(lambda: written in stage.texts_of(), "the phone has it")
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_role("button", name="Unpin")).to_be_visible()
    page.locator(".bubble a").last.click()
    expect(page.get_by_role("heading", name="Message")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("1 message was deleted.")).to_be_visible()
    expect(page.locator(".row")).to_have_count(3)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".row")).to_have_count(4)
    page.locator(".row", has_text="text 0").get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete selected").click()
    expect(page.locator(".row")).to_have_count(3)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_new_message_to_a_name(opened: Open, stage: Stage, person: Person) -> None:
    stage.contact(person, "Ann", PHONE)
    page = opened(person, "/new", java_script_enabled=False)
    written = f"by name {person.user.login}"
    page.get_by_label("To", exact=True).fill("Ann")
    page.get_by_label("Text", exact=True).fill(written)
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".bubble.mt .text")).to_have_text(written)
    until(lambda: written in stage.texts_of(), "the phone has it")


def test_who_goes_back_from_a_proxys_error_and_sends_again_sends_once(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "504"
    page = opened(person, "/new", java_script_enabled=False)
    written = f"once, without a script, by {person.user.login}"
    held: list[str] = []

    def hold(route: Any) -> None:
        """A proxy gives up on a request that is on its way yet."""
        if route.request.method == "POST":
            held.append(route.request.post_data)
            route.fulfill(status=504, content_type="text/html", body=GATEWAY)
        else:
            route.continue_()

    def write() -> None:
        page.get_by_label("To", exact=True).fill(PHONE)
        page.get_by_label("Text", exact=True).fill(written)
        page.get_by_role("button", name="Send").click()

    page.route("**/new", hold)
    write()
    expect(page.get_by_role("heading", name="Gateway")).to_be_visible()
    page.unroute("**/new")
    page.go_back()
    write()
    expect(page.locator(".bubble.mt .text")).to_have_text([written])
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": stage.base}
    late = page.request.post("/new", data=held[0], headers=form)
    assert (late.status, "?said=once#m" in late.url) == (200, True), late.url
    page.reload()
    expect(page.locator(".bubble.mt .text")).to_have_text([written])
    until(lambda: written in stage.texts_of(), "the phone has it")
    assert stage.texts_of().count(written) == 1
    page.goto("/new")
    expect(page.locator("noscript p")).to_contain_text(f"Sent last: {PHONE}")


def test_search_and_filters(opened: Open, stage: Stage, person: Person) -> None:
    stage.contact(person, "Ann", PHONE)
    stage.history(person, 30)
    page = opened(person, java_script_enabled=False)
    page.get_by_label("Search").fill("ann")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("link", name="Ann")).to_have_count(1)
    page.get_by_role("link", name="Ann").click()
    expect(page.get_by_role("heading", name="Ann")).to_be_visible()
    thread, newest = page.get_by_role("log").bounding_box(), page.locator(".bubble").last.bounding_box()
    assert thread is not None
    assert newest is not None
    assert newest["y"] + newest["height"] <= thread["y"] + thread["height"], "the newest is in sight"
    page.get_by_role("link", name="List", exact=True).click()
    page.get_by_role("link", name="Show everything").click()
    expect(page.locator(".row")).to_have_count(30)
