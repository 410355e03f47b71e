"""The classic list: filters, select and delete, delete all, undo, export."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Complaints, Open
from tests.browser.stage import OTHER_PHONE, Person, Stage


def test_select_delete_and_undo(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 4)
    page = opened(person, "/messages")
    page.locator(".row", has_text="text 1").get_by_role("checkbox").check()
    page.locator(".row", has_text="text 2").get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete selected").click()
    expect(page.get_by_text("2 messages were deleted.")).to_be_visible()
    expect(page.locator(".row .text")).to_have_text(["text 3", "text 0"])
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".row .text")).to_have_text(["text 3", "text 2", "text 1", "text 0"])


def test_all_of_a_page_is_selected_at_once_and_stays_so_when_something_comes(
    opened: Open, stage: Stage, person: Person
) -> None:
    stage.history(person, 3)
    page = opened(person, "/messages")
    page.get_by_label("Select all on this page").check()
    page.locator("html[data-live]").wait_for(state="attached")
    stage.text(person.did, "came later")
    expect(page.locator(".row")).to_have_count(4)
    expect(page.locator(".row input:checked")).to_have_count(3)
    page.get_by_role("button", name="Delete selected").click()
    expect(page.locator(".row .text")).to_have_text(["came later"])


def test_to_delete_nothing_is_said(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 2)
    page = opened(person, "/messages?direction=mo")
    page.get_by_role("button", name="Delete selected").click()
    expect(page.get_by_role("alert")).to_have_text("Choose some messages first.")
    expect(page.locator(".row")).to_have_count(1)


def test_delete_all_asks_for_the_word(
    opened: Open, stage: Stage, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "422"
    stage.history(person, 3)
    stage.history(person, 1, OTHER_PHONE, "stays")
    page = opened(person, "/messages?direction=mt")
    page.get_by_role("link", name="Delete all…").click()
    page.get_by_label("To confirm, type: delete").fill("yes")
    page.get_by_role("button", name="Delete all").click()
    expect(page.get_by_role("alert")).to_have_text("This is not the word.")
    page.get_by_label("To confirm, type: delete").fill("delete")
    page.get_by_role("button", name="Delete all").click()
    expect(page.get_by_text("1 message was deleted.")).to_be_visible()
    expect(page.locator(".row .text")).to_have_text(["stays", "text 2", "text 0"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("direction=mo", 2),
        ("direction=mt", 1),
        ("peer=Ann", 3),
        ("peer=%2B12025550151", 0),
        ("since=2020-01-01&until=2020-01-02", 0),
        ("since=2020-01-01", 3),
    ],
)
def test_filters(opened: Open, stage: Stage, person: Person, query: str, found: int) -> None:
    stage.contact(person, "Ann", "+12025550150")
    stage.history(person, 3)
    page = opened(person, f"/messages?{query}")
    expect(page.locator(".row")).to_have_count(found)


def test_export(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 3, text='=a, "b" é {}')
    page = opened(person, "/messages?direction=mo")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export CSV").click()
    rows = list(csv.DictReader(Path(downloading.value.path()).read_text("utf-8").splitlines()))
    assert [row["text"] for row in rows] == ['\'=a, "b" é 0', '\'=a, "b" é 2']
