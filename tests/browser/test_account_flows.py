"""What the account's pages do to other browsers, and contacts by the keyboard alone."""

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.stage import OTHER_PHONE, PHONE, Person


def test_a_log_in_is_ended_from_another_browser(opened: Open, person: Person) -> None:
    page, other = opened(person, "/account/security"), opened(person, "/contacts")
    page.reload()
    page.get_by_role("button", name="Log out everywhere else").click()
    expect(page.get_by_role("status")).to_contain_text("Logged out there.")
    other.reload()
    expect(other).to_have_title("Log in · Trunkline")
    page.reload()
    expect(page).to_have_title("Security · Trunkline")


def test_a_contact_by_the_keyboard_alone(opened: Open, person: Person) -> None:
    page = opened(person, f"/conversations/{person.did}/{PHONE}")
    page.get_by_role("link", name="Add to the contacts").focus()
    page.keyboard.press("Enter")
    number = page.get_by_label("Number", exact=True)
    expect(number).to_have_value(PHONE)
    page.get_by_label("Name").focus()
    page.keyboard.type("Ann")
    page.keyboard.press("Tab")
    expect(number).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type(f"{OTHER_PHONE} work")
    page.get_by_label("Name").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="Ann")).to_contain_text(OTHER_PHONE)
    page.get_by_role("link", name="Ann").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name")).to_have_value("Ann")
    page.goto(f"/conversations/{person.did}/{PHONE}")
    expect(page.get_by_role("heading", name="Ann")).to_be_visible()
    page.get_by_role("link", name="Contact", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name")).to_have_value("Ann")
