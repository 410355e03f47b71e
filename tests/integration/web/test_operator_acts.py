"""What an operator does about queues, dead letters, doubts, bans and numbers: each seen where it shows."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge.cli import trunkline
from storage import messages, numbers
from storage.engines import Engine, open_engine
from storage.ids import IdSource
from storage.records import DeliveryState, Did, MessageRecord, PartFlag, PartState
from tests.guessing import guess
from tests.integration.web.test_operator_area import PASSWORD, Person
from tests.provision import provision
from tests.samples import delivery_of, mo, mt, part_of
from tests.server import Server, free_port, until
from tests.storing import read, written

pytestmark = pytest.mark.integration

DID, FREE, PEER = "+12025550100", "+12025550191", "+12025550150"
HOUR_MS = 3_600_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


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
        for login, *options in (("boss", "--operator"), ("ann",)):
            command = ["user", "add", "--account", "test", *options, login, "--password-stdin"]
            environment = {"TRUNKLINE_CONFIG": str(running.config)}
            result = CliRunner().invoke(trunkline, command, input=f"{PASSWORD}\n", env=environment)
            assert result.exit_code == 0, result.output
        running.start()
        yield running


@pytest.fixture(scope="module")
def boss(server: Server) -> Person:
    return Person(server.http_port).log_in("boss")


@pytest.fixture(scope="module")
def ann(server: Server) -> Person:
    return Person(server.http_port).log_in("ann")


class Desk:
    """The server's store, written beside it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.ids = IdSource(14, now_ms)
        did: Did | None = read(engine, numbers.find_did, DID)
        assert did is not None
        self.did = did

    def message(self, kind: Any, text: str) -> MessageRecord:
        """Of the account, made now; not stored yet."""
        record: MessageRecord = kind(text=text, did=DID, peer=PEER, created_at=now_ms(), upstream="carrier")
        return record._replace(id=self.ids.next(), account_id=self.did.account_id, did_id=self.did.id)

    def sent(self, text: str, state: PartState, **more: Any) -> tuple[str, str]:
        """A message with one part in this state: the ids of both."""
        message = self.message(mt, text)
        part = part_of(message, id=self.ids.next(), upstream="carrier", state=state, due_at=now_ms())
        part = part._replace(**more)
        written(self.engine, messages.insert(message, [part]))
        return str(message.id), str(part.id)


@pytest.fixture(scope="module")
def desk(server: Server) -> Iterator[Desk]:
    engine = open_engine(f"sqlite:///{server.folder}/store.db")
    yield Desk(engine)
    engine.close()


def test_what_waits_is_held_and_given_up(boss: Person, ann: Person, desk: Desk) -> None:
    message, _ = desk.sent("waits", PartState.QUEUED, due_at=now_ms() + HOUR_MS)
    assert message in boss.get("/operator/queue")
    assert boss.do("/operator/queue", "button-1", row_message=message)[0] == 303
    assert re.search(rf"{message}.*?held", boss.get("/operator/queue"), re.DOTALL)
    assert boss.do("/operator/queue", "button-2", row_message=message)[0] == 303
    assert message not in boss.get("/operator/queue")
    assert "failed, it was given up, and is not sent any more: given_up" in ann.get(f"/messages/{message}")
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
    assert "given_up" in ann.get(f"/messages/{lost}")
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
