"""Numbers, contacts, account and operators in a browser: for everybody, and by the keyboard alone."""

import re

import pytest
from playwright.sync_api import Page, expect

from edge import totp
from edge.web.pages.navigation import ACCOUNT_TABS, OPERATOR_TABS
from storage import accounts, contacts, inventory, numbers, opt_outs, sip_accounts, users
from storage.contacts import MoreNumber
from storage.inventory import FreeNumber
from storage.sip_accounts import SipAccount
from tests.browser.conftest import PICTURES, Complaints, Open
from tests.browser.stage import OTHER_PHONE, PASSWORD, PHONE, Person, Stage, now_ms
from tests.browser.test_everybody import LANGUAGES, LONG_NAMED, OF_LAYOUT, UNBROKEN, WIDTHS, barriers, narrows

SCOPES = "messages:read contacts:write deliveries:write"
FREE = "+12025559{:03d}"


@pytest.fixture(scope="module")
def boss(stage: Stage) -> Person:
    """An operator with a bit of everything."""
    person = stage.person()
    mine = person.account.id
    with stage.writing() as conn:
        users.set_operator(conn, person.user.login, True)
        numbers.set_carriage(conn, person.dids[1].number, False, None)
        numbers.set_carriage(conn, person.did, True, now_ms())
        for number in range(3):
            inventory.add(conn, FreeNumber(FREE.format(number), "US", "Washington D.C.", True, now_ms()))
        inventory.ask(conn, mine, FREE.format(0), "user:boss", now_ms())
        ann = contacts.put(conn, stage.ids.next, mine, PHONE, "Ann Example", now_ms(), notes="of the bicycle")
        contacts.put(conn, stage.ids.next, mine, OTHER_PHONE, "Ann (work)", now_ms())
        group = contacts.add_group(conn, stage.ids.next, mine, "Customers", now_ms())
        unbroken = contacts.add_group(conn, stage.ids.next, mine, UNBROKEN, now_ms())
        long = contacts.put(conn, stage.ids.next, mine, LONG_NAMED, UNBROKEN, now_ms(), notes=UNBROKEN)
        contacts.set_groups(conn, mine, ann.id, [group.id, unbroken.id])
        others = [MoreNumber(f"+1202555016{tail}", "work" if tail else "") for tail in range(4)]
        contacts.set_more_numbers(conn, mine, ann.id, others)
        contacts.set_more_numbers(conn, mine, long.id, [MoreNumber("+12025550170", UNBROKEN[:40])])
        opt_outs.add(conn, stage.ids.next, mine, OTHER_PHONE, "user:boss", now_ms(), did=person.did)
        accounts.add_key(
            conn, stage.ids.next, mine, UNBROKEN[:100], "abcdefgh", "0" * 64, now_ms(), scopes=SCOPES
        )
        phone = SipAccount(0, mine, "boss", "sip.test", "x", "y", "md5", (person.did,), now_ms())
        sip_accounts.add_sip_account(conn, stage.ids.next, phone)
    stage.history(person, 20)
    return person


def pages(stage: Stage, person: Person) -> dict[str, str]:
    with stage.engine.snapshot() as conn:
        ann = contacts.of_number(conn, person.account.id, PHONE)
        work = contacts.of_number(conn, person.account.id, OTHER_PHONE)
        (phone,) = sip_accounts.list_sip_accounts(conn, person.account.id)
    assert ann is not None
    assert work is not None
    return {
        "numbers": "/numbers",
        "number": f"/numbers/{person.did}",
        "number-for-calls": f"/numbers/{person.dids[1].number}",
        "order": "/numbers/order",
        "contacts": "/contacts",
        "contact": f"/contacts/{ann.id}",
        "new-contact": "/contacts/new",
        "groups": "/contacts/groups",
        "import": "/contacts/import",
        "merge": f"/contacts/merge?contact={ann.id}&contact={work.id}",
        **{path.strip("/") or "account": f"/account{path}" for path, *_ in ACCOUNT_TABS},
        "phone": f"/account/phones/{phone.id}",
        **{f"operator{path.replace('/', '-')}": f"/operator{path}" for path, _ in OPERATOR_TABS},
    }


def test_no_page_has_a_barrier(opened: Open, stage: Stage, boss: Person) -> None:
    page = opened(boss, "/account")
    found = {}
    for name, path in pages(stage, boss).items():
        page.goto(path)
        found[name] = barriers(page, "en")
    assert {name: said for name, said in found.items() if said} == {}


@pytest.mark.parametrize(
    ("width", "language"), [(320, "en"), (320, "fr"), (320, "es"), (768, "en"), (1440, "en")]
)
def test_every_width(opened: Open, stage: Stage, boss: Person, width: int, language: str) -> None:
    """Other languages are looked at by all rules here, where their longer words are."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    size = {"width": width, "height": WIDTHS[width]}
    page = opened(boss, "/account", viewport=size, locale=LANGUAGES[language])
    wrong = {}
    for name, path in pages(stage, boss).items():
        page.goto(path)
        wrong[name] = narrows(page, OF_LAYOUT if language == "en" else None)
        if language == "en":
            page.screenshot(path=PICTURES / f"{name}-{width}-light.png", full_page=True)
    assert {name: said for name, said in wrong.items() if said} == {}


def test_a_number_is_set_up_by_the_keyboard_alone(
    opened: Open, person: Person, complaints: Complaints
) -> None:
    complaints.allowed = "422"
    page = opened(person, "/numbers")
    page.get_by_role("link", name=person.did).focus()
    page.keyboard.press("Enter")
    card = page.get_by_role("region", name="E-mail")
    card.get_by_label("On", exact=True).focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("nobody")
    page.keyboard.press("Enter")
    field = page.get_by_label("Addresses, with commas between")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("nobody")
    field.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("ann@example.net")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    expect(field).to_have_value("ann@example.net")


def test_a_key_of_the_webhook_is_made_replaced_and_dropped(
    opened: Open, stage: Stage, person: Person
) -> None:
    page = opened(person, f"/numbers/{person.did}")
    card = page.get_by_role("region", name="Webhook")
    card.get_by_label("On", exact=True).check()
    card.get_by_label("URL").fill(f"{stage.base}/simulator/callback")
    card.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    shown: list[str] = []
    for _ in range(2):
        card.get_by_role("button", name="Make a new key").click()
        key = card.locator("code", has_text="whsec_")
        expect(key).not_to_have_text(shown[-1] if shown else "")
        shown.append(key.inner_text())
    expect(card.get_by_text("keys sign what is sent.")).to_be_visible()
    card.get_by_role("button", name="Drop the older key").click()
    expect(card.get_by_text("key signs what is sent.")).to_be_visible()
    expect(card.get_by_text("whsec_")).to_have_count(0)


def test_contacts_are_merged(opened: Open, stage: Stage, person: Person) -> None:
    stage.contact(person, "Ann", PHONE)
    stage.contact(person, "Ann (work)", OTHER_PHONE)
    page = opened(person, "/contacts")
    page.get_by_label("Choose Ann", exact=True).check()
    page.get_by_label("Choose Ann (work)").check()
    page.get_by_role("button", name="Merge the chosen").click()
    page.get_by_role("radio", name=re.compile(r"^Ann \+")).check()
    page.get_by_role("button", name="Merge", exact=True).click()
    expect(page.get_by_role("row", name="Ann")).to_contain_text(OTHER_PHONE)
    expect(page.get_by_role("link", name="Ann (work)")).to_have_count(0)


def secret_of(page: Page) -> str:
    found = re.search(r"[A-Z2-7]{32}", page.locator("#second").inner_text())
    assert found is not None
    return found[0]


def test_the_second_factor(opened: Open, person: Person) -> None:
    page = opened(person, "/account/security")
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("img", name="QR code with the key below")).to_be_visible()
    secret = secret_of(page)
    page.get_by_label("Code", exact=True).fill(totp.code_at(secret, now_ms() // 30_000))
    page.get_by_role("button", name="Switch it on").click()
    codes = page.locator(".codes code").all_inner_texts()
    assert len(codes) == 10
    again = opened(None, "/login")
    again.get_by_label("Log-in").fill(person.user.login)
    again.get_by_label("Password").fill(PASSWORD)
    again.get_by_role("button", name="Log in").click()
    expect(again.get_by_role("heading", name="One more step")).to_be_visible()
    again.get_by_label("Code", exact=True).fill(codes[0])
    again.get_by_role("button", name="Log in").click()
    expect(again.get_by_role("navigation", name="Main")).to_be_visible()


def test_an_operator_stops_a_bind(opened: Open, boss: Person) -> None:
    page = opened(boss, "/operator/binds")
    page.get_by_role("button", name=re.compile("^Stop")).first.click()
    expect(page.get_by_text("Nothing goes out or comes in by it until it is started again.")).to_be_visible()
    assert barriers(page, "en") == []
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("cell", name="stopped")).to_have_count(1)
    page.get_by_role("button", name=re.compile("^Start")).first.click()
    expect(page.get_by_role("cell", name="stopped")).to_have_count(0)


def test_settings_without_a_script(opened: Open, person: Person) -> None:
    page = opened(person, "/account", java_script_enabled=False)
    page.get_by_label("Language").select_option("es")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Cuenta")).to_be_visible()
    page.goto("/contacts/new")
    page.get_by_label("Nombre").fill("Ana")
    page.get_by_label("Número", exact=True).fill(PHONE)
    page.get_by_role("button", name="Guardar").click()
    expect(page.get_by_role("link", name="Ana")).to_be_visible()
