"""What people do on the pages of numbers, contacts and the account, in a browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, expect

from storage import inventory, numbers
from storage.inventory import FreeNumber
from storage.records import Role
from tests.browser.conftest import Complaints, Open
from tests.browser.stage import OTHER_PHONE, PHONE, Person, Stage, now_ms

LINES = ("BEGIN:VCARD", "VERSION:3.0", "FN:Zoë Ünal", f"TEL:{PHONE}", "NOTE:of the bicycle", "END:VCARD", "")
VCARD = "\r\n".join(LINES)
OFFERED = "+12025558101"


def test_contacts_come_in_and_go_out(opened: Open, person: Person) -> None:
    page = opened(person, "/contacts")
    page.get_by_role("link", name="Import").click()
    card = FilePayload(name="people.vcf", mimeType="text/vcard", buffer=VCARD.encode())
    page.get_by_label("A file: vCard or CSV").set_input_files(files=[card])
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("status")).to_contain_text("1 contact added")
    page.get_by_role("link", name="Back to the contacts").click()
    page.get_by_role("link", name="Zoë Ünal").click()
    page.get_by_label("More numbers").fill(f"{OTHER_PHONE} work")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="Zoë Ünal")).to_contain_text("of the bicycle")
    for link, words in (("Export vCard", "FN:Zoë Ünal"), ("Export CSV", "Zoë Ünal")):
        with page.expect_download() as downloading:
            page.get_by_role("link", name=link).click()
        written = Path(downloading.value.path()).read_text("utf-8")
        assert words in written
        assert OTHER_PHONE in written


def test_contacts_are_put_into_a_group(opened: Open, stage: Stage, person: Person) -> None:
    stage.contact(person, "Ann", PHONE)
    page = opened(person, "/contacts/groups")
    page.get_by_label("New group").fill("Customers")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("link", name="Back to the contacts").click()
    page.get_by_label("Choose Ann").check()
    page.get_by_label("Into the group").select_option("Customers")
    page.get_by_role("button", name="Add the chosen").click()
    expect(page.get_by_role("row", name="Ann")).to_contain_text("Customers")


def test_a_callback_is_set_up_and_tried(opened: Open, stage: Stage, person: Person) -> None:
    page = opened(person, f"/numbers/{person.did}")
    card = page.get_by_role("region", name="URL callback")
    card.get_by_label("On", exact=True).check()
    card.get_by_label("URL", exact=True).fill(
        f"{stage.base}/simulator/callback?from={{FROM}}&message={{MESSAGE}}"
    )
    card.get_by_text("What may stand in the URL").click()
    expect(card.get_by_text("{MESSAGE}", exact=True)).to_be_visible()
    card.get_by_role("button", name="Save").click()
    card.get_by_role("button", name="Send a test").click()
    expect(card.get_by_role("status")).to_contain_text("The test was delivered.")
    card.get_by_role("button", name="Make a new key").click()
    expect(card.get_by_role("status")).to_contain_text("The new key. It is shown only now:")


def test_a_forward_goes_two_ways(opened: Open, stage: Stage, person: Person) -> None:
    page = opened(person, f"/numbers/{person.did}")
    card = page.get_by_role("region", name="Forward to a phone")
    card.get_by_label("On", exact=True).check()
    card.get_by_label("Number of the phone").fill(OTHER_PHONE)
    card.get_by_label("Answers from that phone go back to the sender").check()
    card.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    with stage.engine.snapshot() as conn:
        did = numbers.find_did(conn, person.did)
    assert did is not None
    assert did.handlers["forward"].enabled
    assert did.handlers["forward"].settings["to"] == OTHER_PHONE
    assert did.handlers["forward"].settings["two_way"] is True


def test_what_a_number_cannot_do_is_said(opened: Open, stage: Stage, person: Person) -> None:
    with stage.writing() as conn:
        numbers.set_carriage(conn, person.dids[0].number, True, now_ms())
        numbers.set_carriage(conn, person.dids[1].number, False, None)
    page = opened(person, "/numbers")
    expect(page.get_by_role("row", name=person.dids[1].number)).to_contain_text("for calls only")
    expect(page.get_by_role("row", name=person.did)).to_contain_text("just ported in: ready by")
    page.get_by_role("link", name=person.dids[1].number).click()
    expect(page.get_by_role("region", name="SMS", exact=True)).to_contain_text("SMS cannot be switched on")


def test_a_number_is_ordered_and_taken_back(opened: Open, stage: Stage, person: Person) -> None:
    with stage.writing() as conn:
        inventory.add(conn, FreeNumber(OFFERED, "US", "Virginia", True, now_ms()))
    page = opened(person, "/numbers/order")
    page.get_by_label("Region").select_option("Virginia")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("button", name=f"Order {OFFERED}").click()
    expect(page.get_by_role("region", name="Asked for")).to_contain_text(OFFERED)
    page.get_by_role("button", name=f"Ask no more for {OFFERED}").click()
    expect(page.get_by_role("region", name="Asked for")).to_have_count(0)


def test_somebody_is_added_and_may_only_look(opened: Open, stage: Stage, person: Person) -> None:
    stage.history(person, 3)
    page = opened(person, "/account/users")
    login = f"reader-of-{person.user.login}"
    page.get_by_label("Log-in", exact=True).fill(login)
    page.get_by_label("Role", exact=True).select_option(Role.READ_ONLY.value)
    page.get_by_role("button", name="Add").click()
    password = page.get_by_role("status").locator("code").inner_text()
    reader = opened(None, "/login")
    reader.get_by_label("Log-in").fill(login)
    reader.get_by_label("Password").fill(password)
    reader.get_by_role("button", name="Log in").click()
    reader.get_by_role("link", name="text 2").click()
    expect(reader.get_by_role("log")).to_contain_text("text 2")
    expect(reader.get_by_label("Your answer")).to_have_count(0)
    expect(reader.locator("main button")).to_have_text(["Find", "Apply"])
    page.goto("/account/users")
    page.get_by_role("button", name=f"Remove {login}").click()
    expect(page.get_by_text(f"{login} is logged out everywhere")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    reader.reload()
    expect(reader).to_have_title("Log in · Trunkline")


def test_a_key_is_made_and_revoked(opened: Open, stage: Stage, person: Person) -> None:
    page = opened(person, "/account/keys")
    page.get_by_label("Name", exact=True).fill("billing")
    page.get_by_label("messages:read").check()
    page.get_by_role("button", name="Make a key").click()
    token = page.get_by_role("status").locator("code").inner_text()
    assert stage.server.call("GET", "/v1/messages", key=token)[0] == 200
    page.get_by_role("button", name="Revoke billing").click()
    page.get_by_role("link", name="Leave it as it is").click()
    page.get_by_role("button", name="Revoke billing").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("There is no key yet.")).to_be_visible()
    assert stage.server.call("GET", "/v1/messages", key=token)[0] == 401


def test_a_phone_gets_a_password_and_a_code(opened: Open, person: Person) -> None:
    page = opened(person, "/account/phones")
    page.get_by_label("Name", exact=True).fill(person.user.login)
    page.get_by_label(person.did).check()
    page.get_by_role("button", name="Add").click()
    assert re.fullmatch(r"[\w-]{16}", page.get_by_role("status").locator("code").inner_text())
    page.get_by_text("Linphone", exact=True).click()
    page.get_by_role("button", name="Show the QR code").click()
    expect(page.get_by_role("img", name="QR code with the address below")).to_be_visible()
    address = page.locator("details code").first.inner_text()
    assert "<config" in page.request.get(address).text()


def test_who_wants_no_messages_gets_none(opened: Open, person: Person, complaints: Complaints) -> None:
    complaints.allowed = "403"
    page = opened(person, "/account/opt-outs")
    page.get_by_label("Number", exact=True).fill(PHONE)
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("row", name=PHONE)).to_be_visible()
    page.goto(f"/conversations/{person.did}/{PHONE}")
    page.get_by_label("Your answer").fill("hello?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#setback")).to_contain_text(f"{PHONE} wants no messages")
    page.goto("/account/opt-outs")
    page.get_by_role("button", name=f"Remove {PHONE}").click()
    expect(page.get_by_text("Nobody has opted out.")).to_be_visible()


@pytest.mark.parametrize(
    ("page_of", "what"), [("usage", "The last 30 days"), ("retention", "How long things are kept")]
)
def test_usage_and_retention(opened: Open, stage: Stage, person: Person, page_of: str, what: str) -> None:
    stage.history(person, 4)
    page = opened(person, f"/account/{page_of}")
    expect(page.get_by_role("heading", name=what)).to_be_visible()
    if page_of == "usage":
        row = page.get_by_role("row", name=person.did)
        expect(row.get_by_role("cell")).to_have_text(["2", "2", "2"])
    else:
        page.get_by_label("Messages that came in").fill("90")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_contain_text("Saved.")
        expect(page.get_by_label("Messages that came in")).to_have_value("90")
