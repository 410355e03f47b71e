"""Roles, second factors, sessions, numbers to order, contacts with several numbers: on both engines."""

from typing import Any

import pytest
from sqlalchemy import Connection

from edge.contacts import Person, book
from storage import (
    accounts,
    contacts,
    conversations,
    inventory,
    messages,
    numbers,
    operators,
    people,
    second_factors,
    sessions,
    users,
)
from storage.contacts import MoreNumber
from storage.engines import Engine
from storage.errors import Conflict, NotFound
from storage.ids import IdSource
from storage.inventory import FreeNumber
from storage.people import Incoming
from storage.records import PORTING_MS, Account, PartState, Role, Session
from storage.statements import execute_all
from tests.samples import NOW, mo, mt, part_of

NUMBER, OTHER = "+12025550190", "+12025550191"


@pytest.fixture
def ids() -> IdSource:
    return IdSource(3, lambda: NOW)


def owned(conn: Connection, ids: IdSource, name: str = "one") -> Account:
    return accounts.add_account(conn, ids.next, name, NOW)


def session_of(user_id: int, token: str, **more: Any) -> Session:
    return Session(token, user_id, "csrf", NOW, NOW + 1_000, **more)


def test_an_account_keeps_an_owner(engine: Engine, ids: IdSource) -> None:
    with engine.transaction() as conn:
        mine = owned(conn, ids).id
        ann = accounts.add_user(conn, ids.next, mine, "Ann", "hash", NOW)
        bob = accounts.add_user(conn, ids.next, mine, "bob", "hash", NOW, role=Role.AGENT)
        assert (ann.role, bob.role) == (Role.OWNER, Role.AGENT)
        with pytest.raises(Conflict):
            users.remove(conn, mine, ann.id)
        with pytest.raises(Conflict):
            users.set_role(conn, mine, ann.id, Role.READ_ONLY)
        assert users.set_role(conn, mine, bob.id, Role.OWNER).role is Role.OWNER
        assert users.set_role(conn, mine, ann.id, Role.READ_ONLY).role is Role.READ_ONLY
        sessions.add_session(conn, session_of(ann.id, "s"))
        second_factors.begin(conn, mine, ann.id, "SECRET")
        second_factors.prove(conn, mine, ann.id, "SECRET", 1, ["x"])
        users.remove(conn, mine, ann.id)
        assert [user.login for user in accounts.list_users(conn, mine)] == ["bob"]
        assert sessions.find_session(conn, "s", NOW) is None


def test_a_new_password_changes_no_role(engine: Engine, ids: IdSource) -> None:
    with engine.transaction() as conn:
        mine = owned(conn, ids).id
        accounts.add_user(conn, ids.next, mine, "bob", "hash", NOW, role=Role.AGENT)
        assert users.set_operator(conn, "BOB", True).operator
        again = accounts.add_user(conn, ids.next, mine, "bob", "other", NOW)
        assert (again.role, again.operator, again.password_hash) == (Role.AGENT, True, "other")
        assert accounts.find_user(conn, "bob") == again


def test_roles_are_in_order() -> None:
    assert [[role.may(needed) for needed in Role] for role in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_a_code_counts_once(engine: Engine, ids: IdSource) -> None:
    with engine.transaction() as conn:
        mine = owned(conn, ids).id
        ann = accounts.add_user(conn, ids.next, mine, "ann", "hash", NOW)
        second_factors.begin(conn, mine, ann.id, "SECRET")
        shown = users.get(conn, mine, ann.id)
        assert shown is not None
        assert not shown.has_second_factor, "shown, not proved"
        assert "SECRET" not in repr(shown)
        second_factors.prove(conn, mine, ann.id, "SECRET", 10, ["a", "b"])
        proved = users.get(conn, mine, ann.id)
        assert proved is not None
        assert proved.has_second_factor
        used = [second_factors.use_step(conn, mine, ann.id, step) for step in (9, 10, 11, 11, 10)]
        assert used == [False, False, True, False, False]
        assert [second_factors.use_code(conn, mine, ann.id, code, NOW) for code in "aab?"] == [
            True,
            False,
            True,
            False,
        ]
        assert second_factors.codes_left(conn, mine, ann.id) == 0
        assert second_factors.keep_instead(conn, mine, ann.id, "SECRET", "sealed")
        assert not second_factors.keep_instead(conn, mine, ann.id, "SECRET", "again")
        second_factors.put_codes(conn, mine, ann.id, ["c"])
        assert not second_factors.use_code(conn, mine, ann.id, "a", NOW)
        assert second_factors.codes_left(conn, mine, ann.id) == 1
        second_factors.end(conn, mine, ann.id)
        ended = users.get(conn, mine, ann.id)
        assert ended is not None
        assert not ended.has_second_factor
        assert not second_factors.use_step(conn, mine, ann.id, 12)


def test_sessions_by_user(engine: Engine, ids: IdSource) -> None:
    with engine.transaction() as conn:
        mine = owned(conn, ids).id
        ann, bob = (accounts.add_user(conn, ids.next, mine, login, "h", NOW) for login in ("ann", "bob"))
        sessions.add_session(conn, session_of(ann.id, "old", used_at=NOW + 1))
        sessions.add_session(conn, session_of(ann.id, "new", used_at=NOW + 2))
        sessions.add_session(conn, session_of(ann.id, "half", pending=True))
        sessions.add_session(conn, session_of(bob.id, "bob"))
        assert [item.id for item in sessions.of_user(conn, mine, ann.id, NOW)] == ["new", "old"]
        assert sessions.find_session(conn, "half", NOW) is None
        assert sessions.find_session(conn, "half", NOW, pending=True) is not None
        assert sessions.find_session(conn, "old", NOW, pending=True) is None
        assert not sessions.end_one(conn, mine, ann.id, "bob")
        assert sessions.end_one(conn, mine, ann.id, "old")
        assert sessions.end_others(conn, mine, ann.id, "new") == 1, "the half one"
        assert [item.id for item in sessions.of_user(conn, mine, bob.id, NOW)] == ["bob"]


def test_a_number_for_calls_only(engine: Engine, ids: IdSource) -> None:
    with engine.transaction() as conn:
        mine = owned(conn, ids).id
        did = numbers.add_did(conn, ids.next, mine, NUMBER, NOW, sms_capable=False)
        assert not did.sms_enabled
        with pytest.raises(Conflict, match="calls only"):
            numbers.set_did(conn, ids.next, NUMBER, sms_enabled=True)
        ported = numbers.set_carriage(conn, NUMBER, True, NOW)
        assert numbers.find_did(conn, NUMBER) == ported
        assert numbers.set_did(conn, ids.next, NUMBER, sms_enabled=True).sms_enabled
        assert ported.porting_until(NOW + PORTING_MS - 1) == NOW + PORTING_MS
        assert ported.porting_until(NOW + PORTING_MS) is None
        assert not numbers.set_carriage(conn, NUMBER, False, None).sms_enabled
        assert numbers.find_did(conn, NUMBER) == numbers.set_carriage(conn, NUMBER, False, None)


def test_a_number_is_offered_ordered_and_given_up(engine: Engine, ids: IdSource) -> None:
    with engine.transaction() as conn:
        mine, theirs = owned(conn, ids).id, owned(conn, ids, "two").id
        for number, region, sms in ((NUMBER, "New York", True), (OTHER, "Texas", False)):
            inventory.add(conn, FreeNumber(number, "US", region, sms, NOW))
        assert inventory.places(conn) == [("US", "New York"), ("US", "Texas")]
        assert [item.number for item in inventory.offered(conn, sms=True)] == [NUMBER]
        assert [item.number for item in inventory.offered(conn, region="Texas")] == [OTHER]
        assert inventory.offered(conn, country="CA") == []
        inventory.ask(conn, mine, NUMBER, "user:ann", NOW)
        assert [item.number for item in inventory.offered(conn)] == [OTHER]
        with pytest.raises(NotFound):
            inventory.ask(conn, theirs, NUMBER, "user:bob", NOW)
        with pytest.raises(NotFound):
            inventory.assign(conn, ids.next, theirs, NUMBER, NOW)
        assert [item.number for item in inventory.everything(conn, asked=True)] == [NUMBER]
        did = inventory.assign(conn, ids.next, mine, NUMBER, NOW)
        assert (did.account_id, did.sms_enabled) == (mine, True)
        assert inventory.find(conn, NUMBER) is None
        with pytest.raises(Conflict):
            inventory.add(conn, FreeNumber(NUMBER, "US", "", True, NOW))
        assert not inventory.assign(conn, ids.next, theirs, OTHER, NOW).sms_capable
        numbers.set_did(conn, ids.next, NUMBER, handler="callback", settings={"url": "http://x/"})
        with pytest.raises(NotFound):
            inventory.release(conn, theirs, NUMBER, "US", "", NOW)
        inventory.release(conn, mine, NUMBER, "US", "New York", NOW)
        assert numbers.find_did(conn, NUMBER) is None
        again = inventory.assign(conn, ids.next, theirs, NUMBER, NOW)
        assert again.handlers == {}, "nothing of the one before"


def test_an_order_that_is_taken_back(engine: Engine, ids: IdSource) -> None:
    with engine.transaction() as conn:
        mine = owned(conn, ids).id
        inventory.add(conn, FreeNumber(NUMBER, "US", "", True, NOW))
        inventory.ask(conn, mine, NUMBER, "user:ann", NOW)
        assert inventory.asked_for(conn, mine)[0].asked_by == "user:ann"
        assert not inventory.cancel(conn, mine, NUMBER, NOW - 1), "it is another wish than that one"
        assert inventory.cancel(conn, mine, NUMBER, NOW)
        assert not inventory.cancel(conn, mine, NUMBER)
        assert [item.number for item in inventory.offered(conn)] == [NUMBER]
        assert inventory.withdraw(conn, NUMBER)
        assert inventory.everything(conn) == []


@pytest.mark.parametrize("meanwhile", ["withdrawn", "asked for"])
def test_an_order_that_somebody_is_quicker_than(
    engine: Engine, ids: IdSource, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    with engine.transaction() as conn:
        mine, theirs = owned(conn, ids).id, owned(conn, ids, "two").id
        seen = inventory.add(conn, FreeNumber(NUMBER, "US", "", True, NOW))
        if meanwhile == "withdrawn":
            inventory.withdraw(conn, NUMBER)
        else:
            inventory.ask(conn, theirs, NUMBER, "user:bob", NOW)
        monkeypatch.setattr(inventory, "find", lambda *_: seen)
        with pytest.raises(NotFound):
            inventory.assign(conn, ids.next, mine, NUMBER, NOW)
        assert numbers.find_did(conn, NUMBER) is None


def test_a_wish_that_was_decided_is_not_decided_again(engine: Engine, ids: IdSource) -> None:
    """Two operators have read it at the same time."""
    with engine.transaction() as conn:
        mine = owned(conn, ids).id
        for number in (NUMBER, OTHER):
            inventory.add(conn, FreeNumber(number, "US", "", True, NOW))
            inventory.ask(conn, mine, number, "user:ann", NOW)
    with engine.transaction() as conn:
        assert inventory.cancel(conn, mine, NUMBER, NOW)
        inventory.assign(conn, ids.next, mine, OTHER, NOW, NOW)
    with engine.transaction() as conn:
        with pytest.raises(NotFound):
            inventory.assign(conn, ids.next, mine, NUMBER, NOW, NOW)
        assert numbers.find_did(conn, NUMBER) is None
        assert not inventory.cancel(conn, mine, OTHER, NOW)
        inventory.ask(conn, mine, NUMBER, "user:ann", NOW + 1)
        with pytest.raises(NotFound):
            inventory.assign(conn, ids.next, mine, NUMBER, NOW + 2, NOW)
        assert not inventory.cancel(conn, mine, NUMBER, NOW)


def test_an_exact_name_comes_before_one_that_is_alike(engine: Engine, ids: IdSource) -> None:
    with engine.transaction() as conn:
        mine, theirs = (accounts.add_account(conn, ids.next, name, NOW).id for name in ("mine", "theirs"))
        plain = contacts.put(conn, ids.next, mine, NUMBER, "Jose Diaz", NOW)
        exact = contacts.put(conn, ids.next, mine, OTHER, "Jos\u00e9 D\u00edaz", NOW)
        contacts.put(conn, ids.next, theirs, OTHER, "Jose Diaz", NOW)
        contacts.put(conn, ids.next, mine, "+12025550192", "Jose Diaz junior", NOW)
        assert contacts.called(conn, mine, "Jose Diaz") == [plain]
        assert contacts.called(conn, mine, "Jose\u0301 Di\u0301az") == [exact], "decomposed"
        assert contacts.called(conn, mine, "JOSE DIAZ") == [plain, exact]
        assert [contacts.called(conn, mine, name) for name in ("Jose", "", "\u0301")] == [[], [], []]


def test_one_out_of_several(engine: Engine, ids: IdSource) -> None:
    with engine.transaction() as conn:
        mine = owned(conn, ids).id
        ann = contacts.put(conn, ids.next, mine, NUMBER, "Ann", NOW, notes="first")
        two = contacts.put(conn, ids.next, mine, OTHER, "Ann (work)", NOW, notes="second", label="work")
        contacts.set_more_numbers(conn, mine, two.id, [MoreNumber("+12025550192", "fax")])
        group, both = (contacts.add_group(conn, ids.next, mine, name, NOW) for name in ("a", "b"))
        contacts.set_groups(conn, mine, ann.id, [both.id])
        contacts.set_groups(conn, mine, two.id, [group.id, both.id])
        merged = contacts.merge(conn, mine, ann.id, [two.id, ann.id], NOW + 1)
        assert (merged.name, merged.number, merged.notes) == ("Ann", NUMBER, "first\n\nsecond")
        assert contacts.more_numbers(conn, mine, [ann.id]) == {
            ann.id: [MoreNumber(OTHER, "work"), MoreNumber("+12025550192", "fax")]
        }
        assert [item.name for item in contacts.groups_of(conn, mine, [ann.id])[ann.id]] == ["a", "b"]
        assert contacts.get(conn, mine, two.id) is None
        for number in (NUMBER, OTHER, "+12025550192"):
            assert contacts.of_number(conn, mine, number) == merged
            assert contacts.listed(conn, mine, holding=number[-4:]) == [merged]
            assert contacts.names(conn, mine, [number, "+12025550199"]) == {number: "Ann"}
            written = mo(account_id=mine, peer=number)
            execute_all(conn, messages.insert(written))
            shown = conversations.get(conn, mine, written.did, number)
            assert shown is not None
            assert (shown.contact_id, shown.contact_name) == (ann.id, "Ann")
        assert len(conversations.page(conn, mine, named="ann")) == 3
        with pytest.raises(NotFound):
            contacts.merge(conn, mine, ann.id, [two.id], NOW)


def test_a_number_is_one_contacts(engine: Engine, ids: IdSource) -> None:
    with engine.transaction() as conn:
        mine = owned(conn, ids).id
        ann = contacts.put(conn, ids.next, mine, NUMBER, "Ann", NOW, label="mobile")
        contacts.set_more_numbers(conn, mine, ann.id, [MoreNumber(OTHER, "work"), MoreNumber(NUMBER, "")])
        bob = contacts.put(conn, ids.next, mine, "+12025550193", "Bob", NOW)
        with pytest.raises(Conflict):
            contacts.set_more_numbers(conn, mine, bob.id, [MoreNumber(OTHER, "")])
        with pytest.raises(Conflict):
            contacts.change(conn, mine, bob.id, NOW, number=OTHER)
        assert contacts.change(conn, mine, ann.id, NOW, name="Anne").label == "mobile"
        assert contacts.change(conn, mine, ann.id, NOW, number=OTHER).label == "work", "the number's own"
        assert contacts.change(conn, mine, ann.id, NOW, number=OTHER, label="desk").label == "desk"
        assert contacts.more_numbers(conn, mine, [ann.id]) == {}
        assert contacts.of_number(conn, mine, NUMBER) is None


def test_a_file_of_people(engine: Engine, ids: IdSource) -> None:
    with engine.transaction() as conn:
        mine = owned(conn, ids).id
        bob = contacts.put(conn, ids.next, mine, "+12025550193", "Bob", NOW, notes="kept")
        found = [
            Person(
                "Ann",
                (("(202) 555-0190", "mobile"), ("202-555-0191", "work"), ("call me", "")),
                "n",
                ("Friends",),
            ),
            Person("Robert", (("+12025550193", ""), ("+12025550191", ""))),
            Person("Nobody", (("none", ""),)),
        ]
        file = book.readable(found, "US")
        assert file.unreadable == ("call me", "none")
        assert people.put(conn, ids.next, mine, file.people, NOW) == people.Put(added=1, changed=1)
        ann, robert = contacts.listed(conn, mine)
        assert (robert.id, robert.name, robert.notes) == (bob.id, "Robert", "kept")
        assert list(book.people(conn, mine)) == [
            Person("Ann", ((NUMBER, "mobile"), (OTHER, "work")), "n", ("Friends",)),
            Person("Robert", (("+12025550193", ""),), "kept"),
        ]
        again = book.readable(book.people(conn, mine), "US").people
        assert people.put(conn, ids.next, mine, again, NOW) == (0, 2)
        assert contacts.get(conn, mine, ann.id) == ann


def test_who_comes_twice_in_a_file(engine: Engine, ids: IdSource) -> None:
    bob = "+12025550193"
    entries = [
        Incoming("Ann", (MoreNumber(NUMBER, ""),), "n", ("Friends",)),
        Incoming("Bob", (MoreNumber(bob, "x"), MoreNumber(NUMBER, "")), "", ("Friends", "Work")),
        Incoming("Ann B.", (MoreNumber(OTHER, "work"), MoreNumber(NUMBER, ""), MoreNumber(OTHER, "again"))),
    ]
    with engine.transaction() as conn:
        mine = owned(conn, ids).id
        theirs = contacts.put(conn, ids.next, owned(conn, ids, "two").id, NUMBER, "Theirs", NOW)
        old = contacts.add_group(conn, ids.next, mine, "Work", NOW)
        # Bob's second number is Ann's by then, and so is he: who has one of a person's numbers is meant.
        assert people.put(conn, ids.next, mine, entries, NOW) == people.Put(added=1, changed=2)
        assert list(book.people(conn, mine)) == [
            Person("Ann B.", ((NUMBER, ""), (OTHER, "work"), (bob, "x")), "n", ("Friends", "Work"))
        ]
        assert [group.id for group in contacts.groups(conn, mine) if group.name == "Work"] == [old.id]
        assert contacts.get(conn, theirs.account_id, theirs.id) == theirs
        assert people.put(conn, ids.next, mine, (), NOW) == (0, 0)


def test_traffic_by_steps_of_time(engine: Engine, ids: IdSource) -> None:
    received, sent, failed = mo(), mt(text="a"), mt(text="b")
    hour = 3_600_000
    begun = received.created_at // hour * hour
    with engine.transaction() as conn:
        for message, state in ((received, None), (sent, PartState.DELIVERED), (failed, PartState.EXPIRED)):
            parts = [] if state is None else [part_of(message, state=state), part_of(message, number=2)]
            execute_all(conn, messages.insert(message, parts))
        before, now = operators.traffic(conn, begun - hour, hour, 2)
        assert before == operators.Traffic(begun - hour, 0, 0, 0, 0, 0)
        assert now == operators.Traffic(begun, 1, 2, 1, 1, 2)
