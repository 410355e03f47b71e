"""trunkline deliveries and endpoint: what is shown, and what becomes of it in the store."""

from collections.abc import Sequence
from typing import Any

import pytest

from storage import accounts, deliveries, endpoints, messages
from storage.endpoints import Endpoint, EndpointRecord
from storage.engines import Engine, open_engine
from storage.records import AttemptRecord, DeliveryRecord, DeliveryState, MessageRecord
from storage.statements import execute_all
from tests.samples import NOW, delivery_of, mo
from tests.unit.edge.test_cli_setup import Run, acme, answer, config_file, run

__all__ = ["acme", "config_file", "run"]  # the fixtures of those commands

HOOK = "https://example.net/hook"


class Shop:
    """The store behind the commands, with one message."""

    def __init__(self, engine: Engine, run: Run) -> None:
        self.engine, self.run = engine, run
        with engine.snapshot() as conn:
            found = accounts.find_account(conn, "acme")
        assert found is not None
        self.account_id = found.id
        self.message = mo(account_id=found.id)
        self.write(messages.insert(self.message))

    def write(self, writes: Sequence[Any]) -> None:
        with self.engine.transaction() as conn:
            execute_all(conn, writes)

    def owes(self, state: DeliveryState, **more: Any) -> int:
        """A delivery with an attempt."""
        record = delivery_of(self.message, **{"account_id": self.account_id, **more})
        self.write(deliveries.insert(record))
        attempt = AttemptRecord(record.id, 1, NOW, 12, "http_error", 500, "oops")
        self.write(deliveries.record_attempt(attempt, state, NOW + 60_000, NOW))
        return record.id

    def state(self, delivery_id: int) -> DeliveryRecord:
        with self.engine.snapshot() as conn:
            view = messages.find(conn, self.message.id)
        assert view is not None
        return next(item.delivery for item in view.deliveries if item.delivery.id == delivery_id)


@pytest.fixture
def shop(acme: Run, sqlite_url: str) -> Any:
    engine = open_engine(sqlite_url)
    yield Shop(engine, acme)
    engine.close()


def test_dead_letters_and_what_waits_are_shown(shop: Shop) -> None:
    dead, waits = shop.owes(DeliveryState.FAILED), shop.owes(DeliveryState.PENDING, handler="webhook")
    (one,) = answer(shop.run("deliveries", "ls", "--json"))
    assert (one["delivery"], one["message"], one["handler"]) == (dead, shop.message.id, "callback")
    assert (one["state"], one["outcome"], one["attempts"]) == ("failed", "http_error", 1)
    (other,) = answer(shop.run("deliveries", "ls", "--state", "pending", "--json"))
    assert (other["delivery"], other["next_try_at"]) == (waits, "2027-01-15T08:01:00Z")
    head, row = shop.run("deliveries", "ls").stdout.splitlines()
    assert head.split()[:4] == ["DELIVERY", "MESSAGE", "HANDLER", "STATE"]
    assert row.split()[:4] == [str(dead), str(shop.message.id), "callback", "failed"]
    for narrowed in (["--handler", "webhook"], ["--to", str(dead - 1)], ["--from", str(dead + 1)]):
        assert answer(shop.run("deliveries", "ls", *narrowed, "--json")) == []
    shop.run("account", "add", "other")
    assert answer(shop.run("deliveries", "ls", "--account", "other", "--json")) == []
    assert len(answer(shop.run("deliveries", "ls", "--account", "acme", "--json"))) == 1


def test_the_matrix_of_a_message(shop: Shop) -> None:
    dead = shop.owes(DeliveryState.FAILED)
    found = answer(shop.run("deliveries", "ls", "--message", str(shop.message.id), "--json"))
    assert [(one["handler"], one["state"], one["delivery"]) for one in found] == [
        ("portal", "delivered", None),
        ("callback", "failed", dead),
    ]
    assert found[1]["last_attempt"]["excerpt"] == "oops"
    assert "There is no message 7" in shop.run("deliveries", "ls", "--message", "7", exit_code=1).stderr


def test_what_waits_is_due_now_or_never(shop: Shop) -> None:
    first, second = shop.owes(DeliveryState.PENDING), shop.owes(DeliveryState.PENDING)
    assert answer(shop.run("deliveries", "retry", str(first), "--json")) == {"delivery": first}
    assert shop.state(first).due_at < NOW + 60_000
    assert "not tried any more" in shop.run("deliveries", "skip", str(second), "--why", "moved").stdout
    found = shop.state(second)
    assert (found.state, found.last_outcome) == ("failed", "skipped")
    for action in ("retry", "skip"):
        assert "is failed, not pending" in shop.run("deliveries", action, str(second), exit_code=1).stderr
        assert "no delivery 7" in shop.run("deliveries", action, "7", exit_code=1).stderr
    shop.run("deliveries", "skip", str(first), "--why", "a\x1bb", exit_code=2)


def test_one_is_replayed_a_range_a_handlers_and_all(shop: Shop) -> None:
    dead = [shop.owes(DeliveryState.FAILED) for _ in range(4)]
    hook = shop.owes(DeliveryState.FAILED, handler="webhook")
    waits = shop.owes(DeliveryState.PENDING)

    def failed() -> list[int]:
        return [one["delivery"] for one in answer(shop.run("deliveries", "ls", "--json"))]

    assert answer(shop.run("deliveries", "replay", str(dead[0]), "--json")) == {"replayed": 1}
    assert failed() == [*dead[1:], hook]
    found = shop.state(dead[0])
    assert (found.state, found.tries_before, found.replayed_at is not None) == ("pending", 1, True)
    between = ("--from", str(dead[1]), "--to", str(dead[2]))
    assert shop.run("deliveries", "replay", *between).stdout == "2 deliveries to be tried again.\n"
    assert failed() == [dead[3], hook]
    assert answer(shop.run("deliveries", "replay", "--handler", "webhook", "--json")) == {"replayed": 1}
    assert answer(shop.run("deliveries", "replay", "--all", "--json")) == {"replayed": 1}
    assert failed() == []
    assert "is pending, not failed" in shop.run("deliveries", "replay", str(waits), exit_code=1).stderr


@pytest.mark.parametrize("words", [[], ["7", "--all"], ["7", "--handler", "webhook"]])
def test_a_replay_says_of_what(shop: Shop, words: list[str]) -> None:
    assert "Say which" in shop.run("deliveries", "replay", *words, exit_code=2).stderr


# -- endpoints --------------------------------------------------------------------------------------


def test_a_paused_endpoint_of_any_handler_goes_on(shop: Shop) -> None:
    status = Endpoint(shop.account_id, "status", "https://example.net")
    hook = Endpoint(shop.account_id, "webhook", HOOK)
    with shop.engine.transaction() as conn:
        for which in (status, hook):
            endpoints.put(conn, EndpointRecord(*which, NOW, NOW + 1000, "timeout", NOW))
    found = answer(shop.run("endpoint", "ls", "--json"))
    assert [(one["account"], one["handler"], one["url"]) for one in found] == [
        ("acme", "status", "https://example.net"),
        ("acme", "webhook", HOOK),
    ]
    assert found[0]["paused_at"] == "2027-01-15T08:00:01Z"
    assert shop.run("endpoint", "ls").stdout.splitlines()[0].split()[:3] == ["ACCOUNT", "HANDLER", "URL"]
    refused = shop.run("endpoint", "resume", "--handler", "webhook", status.url, exit_code=1)
    assert "No endpoint at https://example.net fails" in refused.stderr
    said = shop.run("endpoint", "resume", f"{status.url}/s/7?x=1").stdout
    assert said == "https://example.net is asked again (status).\n"
    done = answer(shop.run("endpoint", "resume", "--account", "acme", f"{HOOK}?token=x", "--json"))
    assert [one["handler"] for one in done] == ["webhook"]
    assert answer(shop.run("endpoint", "ls", "--json")) == []


def test_an_account_that_is_not_there(shop: Shop, sqlite_url: str) -> None:
    for words in (["deliveries", "ls"], ["endpoint", "ls"], ["deliveries", "replay"]):
        assert "There is no account nobody" in shop.run(*words, "--account", "nobody", exit_code=1).stderr


def test_a_message_of_nobody_is_an_operators(shop: Shop) -> None:
    kept: MessageRecord = mo(account_id=None, did_id=None)
    shop.write(messages.insert(kept))
    assert answer(shop.run("deliveries", "ls", "--message", str(kept.id), "--json")) == []
