"""What operators do, by the mouse: the queue, doubts, dead letters, bans, orders, and the audit of it."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from storage import inventory, messages, numbers, sip_accounts, users
from storage.inventory import FreeNumber
from storage.records import DeliveryState, PartFlag, PartState
from storage.sip_accounts import SipAccount
from storage.statements import execute_all
from tests.browser.conftest import Open
from tests.browser.stage import HOUR_MS, Person, Stage, now_ms
from tests.desk import Desk
from tests.guessing import guess
from tests.samples import delivery_of, mo

FREE = "+12025558123"
GUESSES = 6
"""Wrong answers fade, so the five that a ban takes are a little less than five."""


@pytest.fixture
def boss(stage: Stage, person: Person) -> Person:
    with stage.writing() as conn:
        users.set_operator(conn, person.user.login, True)
    return person


@pytest.fixture
def desk(stage: Stage, boss: Person) -> Desk:
    return Desk(stage.engine, boss.dids[0], stage.ids)


def row(page: Page, of: object) -> Locator:
    return page.get_by_role("row").filter(has_text=str(of))


def test_the_queue(opened: Open, boss: Person, desk: Desk) -> None:
    waits, _ = desk.sent("waits", PartState.QUEUED, due_at=now_ms() + HOUR_MS)
    page = opened(boss, "/operator/queue")
    row(page, waits).get_by_role("button", name="Hold").click()
    expect(row(page, waits)).to_contain_text(re.compile("held|kept"))
    row(page, waits).get_by_role("button", name="Give up").click()
    expect(page.get_by_text("The message counts as failed and is not sent any more.")).to_be_visible()
    page.get_by_role("button", name="Give up").click()
    expect(row(page, waits)).to_have_count(0)
    page.goto(f"/messages/{waits}")
    expect(page.get_by_text("it was given up").first).to_be_visible()
    page.goto("/operator/audit")
    expect(page.get_by_role("row").filter(has_text="queue cancel").first).to_contain_text(str(waits))


def test_doubts(opened: Open, boss: Person, desk: Desk) -> None:
    doubtful: dict[str, Any] = {"flags": PartFlag.HOLD, "sent_at": now_ms(), "attempts": 1}
    again, _ = desk.sent("perhaps", PartState.IN_DOUBT, **doubtful)
    lost, _ = desk.sent("perhaps not", PartState.IN_DOUBT, **doubtful)
    page = opened(boss, "/operator/in-doubt")
    row(page, again).get_by_role("button", name="Send again").click()
    expect(row(page, again)).to_have_count(0)
    row(page, lost).get_by_role("button", name="Give up").click()
    page.get_by_role("button", name="Give up").click()
    expect(row(page, lost)).to_have_count(0)
    page.goto(f"/messages/{again}")
    expect(page.get_by_text("may have been sent twice").first).to_be_visible()


def test_a_dead_letter(opened: Open, stage: Stage, boss: Person, desk: Desk) -> None:
    target = f"{stage.base}/simulator/callback?m={{MESSAGE}}"
    record = desk.message(mo, "dead")
    letter = delivery_of(
        record, id=stage.ids.next(), target=target, state=DeliveryState.FAILED, attempts=9
    )._replace(account_id=boss.account.id, did_id=boss.dids[0].id)
    with stage.writing() as conn:
        numbers.set_did(
            conn, stage.ids.next, boss.did, handler="callback", enabled=True, settings={"url": target}
        )
        execute_all(conn, messages.insert(record, (), [letter]))
    page = opened(boss, "/operator/dead-letters")
    row(page, letter.id).get_by_role("button", name="Replay").click()
    expect(row(page, letter.id)).to_have_count(0)
    page.goto(f"/messages/{record.id}")
    expect(page.get_by_text("delivered").first).to_be_visible()


def test_a_ban(opened: Open, stage: Stage, boss: Person) -> None:
    user = f"phone{boss.account.id}"
    with stage.writing() as conn:
        phone = SipAccount(0, boss.account.id, user, "sip.test", "x", "y", "md5", (boss.did,), now_ms())
        sip_accounts.add_sip_account(conn, stage.ids.next, phone)
    (port,) = re.findall(r'udp = \["127.0.0.1:(\d+)"\]', stage.server.config.read_text())
    guess(int(port), "sip.test", user, GUESSES)
    page = opened(boss, "/operator/bans")
    row(page, user).get_by_role("button", name="Forgive").click()
    expect(row(page, user)).to_have_count(0)


def test_an_order(opened: Open, stage: Stage, boss: Person) -> None:
    with stage.writing() as conn:
        inventory.add(conn, FreeNumber(FREE, "US", "Washington D.C.", True, now_ms()))
        inventory.ask(conn, boss.account.id, FREE, "user:boss", now_ms())
    page = opened(boss, "/operator/orders")
    row(page, FREE).get_by_role("button", name="Approve").click()
    expect(row(page, FREE)).to_have_count(0)
    page.goto("/numbers")
    expect(page.get_by_role("link", name=FREE)).to_be_visible()
