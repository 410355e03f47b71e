"""What came for a number that was nobody's is handed to its owner, once, in order, with what it asks for."""

import pytest

from edge.quarantine import STEP, NotOurs, Quarantine
from storage import accounts, conversations, events, messages, numbers, opt_outs, quarantine
from storage.records import Did, MessageView
from storage.testing import InlineStore
from tests.deferreds import failure, success
from tests.unit.edge.conftest import PEER, START_MS, Time
from tests.unit.edge.test_inbound import Catalog, Rig

LATER = "+12025550177"


class Desk(Rig):
    """Messages come for a number that is added later."""

    def __init__(self, store: InlineStore, time: Time) -> None:
        super().__init__(store, time)
        self.merging = {"up"}
        self.quarantine = Quarantine(
            store,  # type: ignore[arg-type]
            Catalog(store),  # type: ignore[arg-type]
            self.box,  # type: ignore[arg-type]
            self.opt_outs,
            lambda: self.merging,
            time.wall_ms,
        )

    def came(self, text: bytes) -> None:
        self.receive(text, destination_addr=LATER[1:])

    def added(self, *, sms_enabled: bool = True) -> Did:
        with self.store.engine.transaction() as conn:
            owner = accounts.add_account(conn, self.store.ids.next, "late", START_MS)
            numbers.add_did(conn, self.store.ids.next, owner.id, LATER, START_MS)
            settings = {"url": "http://127.0.0.1:9/?m={MESSAGE}", "retry": True}
            return numbers.set_did(
                conn,
                self.store.ids.next,
                LATER,
                sms_enabled=sms_enabled,
                handler="callback",
                enabled=True,
                settings=settings,
            )

    def of(self, did: Did) -> list[MessageView]:
        with self.store.engine.snapshot() as conn:
            return messages.search(conn, did.account_id, since_id=0, limit=1_000)


@pytest.fixture
def desk(inline_store: InlineStore, time: Time, did: Did) -> Desk:
    return Desk(inline_store, time)


def test_it_is_the_owners_with_its_deliveries_and_its_event(desk: Desk, time: Time) -> None:
    desk.came(b"one")
    desk.came(b"two")
    desk.receive(b"another's")
    time.advance(86_400.0)
    owner = desk.added()
    assert desk.of(owner) == []
    assert success(desk.quarantine.release(LATER)) == 2
    views = desk.of(owner)
    assert [view.message.text for view in views] == ["one", "two"]
    assert {view.message.did_id for view in views} == {owner.id}
    assert [[each.delivery.handler for each in view.deliveries] for view in views] == [["callback"]] * 2
    assert {each.delivery.due_at for view in views for each in view.deliveries} == {time.wall_ms()}
    assert desk.box.looks == 1
    with desk.store.engine.snapshot() as conn:
        page = conversations.page(conn, owner.account_id)
        told = [event.subject_id for event in events.read_after(conn, events.start(conn)).events]
    assert [(each.peer, each.unread) for each in page] == [(PEER, 2)]
    assert told[-2:] == [view.message.id for view in views]


def test_it_is_handed_on_once(desk: Desk) -> None:
    desk.came(b"one")
    owner = desk.added()
    assert success(desk.quarantine.release(LATER)) == 1
    assert success(desk.quarantine.release(LATER)) == 0
    assert [len(view.deliveries) for view in desk.of(owner)] == [1]


def test_more_than_one_step_comes_in_order(desk: Desk) -> None:
    for number in range(STEP + 1):
        desk.came(b"%d" % number)
    owner = desk.added()
    assert success(desk.quarantine.release(LATER)) == STEP + 1
    assert [view.message.text for view in desk.of(owner)] == [str(number) for number in range(STEP + 1)]


def test_a_wish_that_came_meanwhile_holds(desk: Desk) -> None:
    desk.came(b"STOP")
    owner = desk.added()
    success(desk.quarantine.release(LATER))
    with desk.store.engine.snapshot() as conn:
        assert [wish.did for wish in opt_outs.of_peer(conn, owner.account_id, PEER)] == [LATER]
    assert desk.opt_outs.forbids(owner.account_id, LATER, PEER)


def test_a_number_that_is_nobodys_keeps_what_it_has(desk: Desk) -> None:
    desk.came(b"one")
    failure(desk.quarantine.release(LATER), NotOurs)
    desk.added(sms_enabled=False)
    failure(desk.quarantine.release(LATER), NotOurs)
    with desk.store.engine.snapshot() as conn:
        assert [record.text for record in quarantine.newest(conn, 10)] == ["one"]
