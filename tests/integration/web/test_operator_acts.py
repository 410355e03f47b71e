"""What an operator does about queues, dead letters, doubts, bans and numbers: each seen where it shows."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import messages, numbers
from storage.engines import open_engine
from storage.ids import IdSource
from storage.records import DeliveryState, Did, PartFlag, PartState
from tests.desk import Desk, now_ms
from tests.guessing import guess
from tests.integration.web.test_operator_area import Person, add_users
from tests.provision import provision
from tests.samples import delivery_of, mo
from tests.server import Server, free_port, until
from tests.storing import read, written

pytestmark = pytest.mark.integration

DID, FREE = "+12025550100", "+12025550191"
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("acts")
    url = f"sqlite:///{folder}/store.db"
    provision(url, [DID])
    smpp = free_port()
    tables: dict[str, dict[str, object]] = {
        "simulator": {"system_id": "trunk", "password": "secret", "smpp_listen": f"127.0.0.1:{smpp}"},
        "sip": {
            "domain": "sip.test",
            "udp": [f"127.0.0.1:{free_port()}"],
            "tcp": [],
            "ban_after_wrong_passwords": 2,
        },
    }
    with Server(folder, url, smpp, tables=tables) as running:
        add_users(running, ("boss", "--operator"), ("ann",))
        running.start()
        yield running


@pytest.fixture(scope="module")
def boss(server: Server) -> Person:
    return Person(server.http_port).log_in("boss")


@pytest.fixture(scope="module")
def ann(server: Server) -> Person:
    return Person(server.http_port).log_in("ann")


@pytest.fixture(scope="module")
def desk(server: Server) -> Iterator[Desk]:
    engine = open_engine(f"sqlite:///{server.folder}/store.db")
    did: Did | None = read(engine, numbers.find_did, DID)
    assert did is not None
    yield Desk(engine, did, IdSource(14, now_ms))
    engine.close()


def test_what_waits_is_held_and_given_up(boss: Person, ann: Person, desk: Desk) -> None:
    message, _ = desk.sent("waits", PartState.QUEUED, due_at=now_ms() + HOUR_MS)
    assert message in boss.get("/operator/queue")
    assert boss.do("/operator/queue", "button-1", row_message=message)[0] == 303
    assert re.search(rf"{message}.*?held", boss.get("/operator/queue"), re.DOTALL)
    assert boss.do("/operator/queue", "button-2", row_message=message)[0] == 303
    assert message not in boss.get("/operator/queue")
    assert "failed, it was given up, and is not sent any more<" in ann.get(f"/messages/{message}")
    audit = boss.get("/operator/audit")
    assert ("queue hold" in audit, "queue cancel" in audit) == (True, True)


def test_doubts_are_resolved_both_ways(boss: Person, ann: Person, desk: Desk) -> None:
    doubtful = {"flags": PartFlag.HOLD, "sent_at": now_ms(), "attempts": 1}
    again, its_part = desk.sent("perhaps", PartState.IN_DOUBT, **doubtful)
    lost, other_part = desk.sent("perhaps not", PartState.IN_DOUBT, **doubtful)
    assert "in doubt" in ann.get(f"/messages/{again}")
    page = boss.get("/operator/in-doubt")
    assert (its_part in page, other_part in page) == (True, True)
    assert boss.do("/operator/in-doubt", "button-0", row_part=its_part)[0] == 303
    assert boss.do("/operator/in-doubt", "button-1", row_part=other_part)[0] == 303
    page = boss.get("/operator/in-doubt")
    assert (its_part in page, other_part in page) == (False, False)
    assert "<td>it was given up, and is not sent any more</td>" in ann.get(f"/messages/{lost}")
    shown = until(lambda: sent_again(ann.get(f"/messages/{again}")), "the part that is sent again")
    assert "may have been sent twice" in shown


def sent_again(page: str) -> str:
    return page if re.search(r'class="badge (sent|delivered)"', page) else ""


def test_a_dead_letter_is_replayed(server: Server, boss: Person, ann: Person, desk: Desk) -> None:
    target = f"http://127.0.0.1:{server.http_port}/simulator/callback?m={{MESSAGE}}"
    settings = {"callback": "on", "callback_url": target}
    assert ann.do(f"/numbers/{DID}", "handler", handler="callback", **settings)[0] == 303
    message = desk.message(mo, "dead")
    letter = delivery_of(message, id=desk.ids.next(), target=target, state=DeliveryState.FAILED, attempts=9)
    letter = letter._replace(account_id=desk.did.account_id, did_id=desk.did.id)
    written(desk.engine, messages.insert(message, (), [letter]))
    assert str(letter.id) in boss.get("/operator/dead-letters")
    assert boss.do("/operator/dead-letters", "button-0", row_delivery=str(letter.id))[0] == 303
    until(lambda: "callback: delivered" in ann.get("/messages?q="), "the replayed delivery")
    assert str(letter.id) not in boss.get("/operator/dead-letters")


def test_a_ban_is_lifted(server: Server, boss: Person, ann: Person) -> None:
    status, _ = ann.do("/account/phones", "add", username="ann", did=DID)
    assert status in (200, 303)
    port = int(re.findall(r'udp = \["127.0.0.1:(\d+)"\]', server.config.read_text())[0])
    guess(port, "sip.test", "ann", 3)  # wrong answers fade, so two are a little less than two
    until(lambda: 'name="row_address" value="127.0.0.1"' in boss.get("/operator/bans"), "the ban")
    assert boss.do("/operator/bans", "button-0", row_address="127.0.0.1")[0] == 303
    assert "There is nothing here." in boss.get("/operator/bans")


def test_a_number_that_is_given_up_is_on_offer_again(boss: Person, ann: Person) -> None:
    assert boss.do("/operator/offers", "form-0", number=FREE, region="", sms="yes")[0] == 200
    assert ann.do("/numbers/order", "order", number=FREE)[0] == 303
    assert boss.do("/operator/orders", "button-0", row_number=FREE)[0] == 303
    status, page = ann.do(f"/numbers/{FREE}", "release", number=DID)
    assert (status, 'id="number-problem"' in page) == (422, True)
    assert ann.do(f"/numbers/{FREE}", "release", number=FREE) == (303, "/numbers?said=given-up")
    assert f'href="/numbers/{FREE}"' not in ann.get("/numbers")
    assert FREE in boss.get("/operator/offers")
