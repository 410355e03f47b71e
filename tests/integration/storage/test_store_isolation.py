"""Nobody sees or changes what is another's: a walk through every function that takes an account.

The functions are found by looking (`tests.repository`). Each is called as one account with what belongs to
the other: its ids, its number, its names. Then

- what comes back must be what comes back when the other was never there,
- no row of the other's may have changed, gone or come,
- and called as the other it must do or find something, so that this test is one.

A function that needs an argument which `given` does not know fails the walk: say there what it should get.
"""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from storage import people, phonebook, search
from storage.contacts import MoreNumber
from storage.endpoints import Endpoint, EndpointRecord
from storage.engines import Engine
from storage.errors import Conflict, StoreError
from storage.events import Event, start
from storage.history import Filter
from storage.ids import IdSource
from storage.records import DeliveryState, Did, MessageView, Role
from storage.retention import DAY_MS, Kept
from storage.sip_accounts import SipAccount
from storage.tables import metadata, opt_out
from tests.integration.storage.two_accounts import DOMAIN, SECRET, Customer, Row, two_customers
from tests.repository import Function, functions, parameters, takes_the_account
from tests.samples import NOW, PEER

LATER = NOW + 1_000
WALKED = {name: function for name, function in functions().items() if takes_the_account(function)}


def given(connection: Connection, caller: Customer, subject: Customer) -> dict[str, Any]:
    """What each parameter gets: the account is the caller's, everything else the subject's."""
    ids = IdSource(9, lambda: LATER)
    of_subject = opt_out.c.account_id == subject.account.id
    return {
        "account_id": caller.account.id,
        "action": "did.set",
        "actor": "user:2",
        "after": None,
        "after_id": 0,
        "archived": True,
        "before_id": 2**52,
        "by": "user:2",
        "code_hash": f"code of {subject.name}",
        "code_hashes": ["another code"],
        "contact_id": subject.contact.id,
        "contact_ids": [subject.contact.id],
        "change": phonebook.Change("Bob", "+12025550177"),
        "changes": {"description": "changed"},
        "country": "US",
        "cursor": start(connection),
        "deletion_id": subject.deletion_id,
        "delivery_id": subject.pending.id,
        "delivery_ids": [subject.pending.id, subject.failed.id],
        "detail": {"of": subject.name},
        "did": subject.number,
        "digits": PEER[-4:],
        "events": [
            Event(1, 0, subject.account.id, "message.received", subject.received.id, NOW),
            Event(2, 0, subject.account.id, "delivery.failed", subject.pending.id, NOW),
        ],
        "first_id": 0,
        "entry_id": subject.contact.id,
        "form": "jsonl",
        "found": [MessageView(subject.received, (), ())],
        "from_id": 0,
        "group_id": subject.group.id,
        "group_ids": [],
        "group_name": "Friends",
        "handler": "callback",
        "holding": "ann",
        "ids": ids,
        "keep_ms": 99 * DAY_MS,
        "keep_opt_out": False,
        "key_hash": "another hash",
        "key_id": subject.scope.api_key_id,
        "kept_id": "another session",
        "keys": [(subject.number, PEER)],
        "kind": Kept.MO,
        "last_id": 2**52,
        "legs": ("test", "smpp", "api"),
        "limit": 100,
        "login": subject.user.login,
        "member_ids": [subject.contact.id],
        "message_id": subject.received.id,
        "message_ids": [subject.received.id, subject.sent.id],
        "messages": 2,
        "more": [],
        "muted": True,
        "name": "app",
        "named": "ann",
        "next_id": ids.next,
        "notes": "changed",
        "now_ms": LATER,
        "number": PEER,
        "outcome": "displayed",
        "opt_out_id": connection.scalar(select(opt_out.c.id).where(opt_out.c.peer == PEER, of_subject)),
        "password_hash": "another hash",
        "peer": PEER,
        "peers": [PEER],
        "people": [people.Incoming("Bob", (MoreNumber(PEER, ""),), "changed", ("Friends",))],
        "pinned": True,
        "prefix": "tk_y",
        "pseudonym": "erased",
        "query": SECRET,
        "region": "New York",
        "role": Role.AGENT,
        "scope": subject.scope,
        "secret": "another secret",
        "session_id": f"session of {subject.name}",
        "since_id": 0,
        "since_ms": 0,
        "sip_account_id": subject.phone.id,
        "state": DeliveryState.FAILED,
        "source": "STOP",
        "step": 2,
        "subject": subject.number,
        "target": subject.delivered.target,
        "to_id": 2**52,
        "text": f"first of {subject.name}",
        "texts": [f"draft of {subject.name}"],
        "written": (subject.number, PEER, f"first of {subject.name}"),
        "unread": True,
        "until_ms": 2 * NOW,
        "user_id": subject.user.id,
        "up_to_id": 2**52,
        "wanted": Filter(did=subject.number, peer=PEER),
        "which": Endpoint(caller.account.id, "callback", "http://sink/"),
        "why": "said so",
    }  # fmt: skip


def special(name: str, caller: Customer, subject: Customer) -> dict[str, Any]:
    """Where a function means something else by a parameter's name."""
    mine = caller.account.id
    others: dict[str, dict[str, Any]] = {
        "accounts.set_preferences": {
            "language": "fr",
            "timezone": "Europe/Paris",
            "enter_sends": False,
            "single_keys": False,
        },
        "contacts.add_group": {"name": "Friends"},
        "contacts.called": {"name": "Ann"},
        "contacts.put": {"name": "Bob"},
        "contacts.change": {"name": "Bob"},
        "contacts.listed": {"after": subject.contact},
        "contacts.merge": {"contact_ids": [subject.second.id]},
        "deletion.delete_matching": {"deletion_id": 77},
        "deletion.delete_selected": {"deletion_id": 77},
        "deliveries.reported": {"delivery_id": subject.delivered.id},
        "endpoints.put": {
            "record": EndpointRecord(mine, "callback", "http://sink/", LATER, LATER, "timeout")
        },
        "idempotency.make_room": {"scope": subject.scope._replace(key="expired")},
        "mail.conversation": {"did": Did(caller.did.id, mine, subject.number, True, {})},
        "mail.open_conversation": {"did": Did(caller.did.id, mine, subject.number, True, {})},
        "inventory.assign": {"number": subject.wish},
        "inventory.ask": {"number": subject.wish},
        "inventory.cancel": {"number": subject.wish},
        "inventory.release": {"number": subject.number},
        "numbers.add_did": {"number": subject.number},
        "numbers.listed": {"after": ""},
        "numbers.remove_did": {"number": subject.number},
        "second_factors.begin": {"user_id": subject.owner.id},
        "second_factors.keep_instead": {"kept": "secret"},
        "second_factors.prove": {"user_id": subject.owner.id, "secret": "begun"},
        "sip_accounts.add_sip_account": {
            "wanted": SipAccount(0, mine, subject.name, DOMAIN, "x", "y", "both", (subject.number,), LATER)
        },
    }
    return others.get(name, {})


def calls(
    name: str, function: Function, known: Mapping[str, Any], own: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The arguments of each call: what the function needs, then with each thing more that it may be given."""
    wanted = {key: item for key, item in parameters(function).items() if key != "connection"}
    needed = {key for key, item in wanted.items() if item.default is inspect.Parameter.empty}
    needed |= {"account_id"} & set(wanted)
    values = {**known, **own}
    missing = needed - set(values)
    assert not missing, f"{name}: the walk has nothing for {sorted(missing)}; see `given`"
    least = {key: values[key] for key in needed}
    yield least
    for key in wanted:
        if key not in needed and key in values:
            yield {**least, key: values[key]}


def outcome(
    connection: Connection,
    name: str,
    number: int,
    caller: Customer,
    subject: Customer,
    forgotten: set[Row] | None = None,
) -> tuple[Any, set[Row]]:
    """What the ``number``-th call gives or raises, and the subject's rows after it; nothing stays of it.

    ``forgotten``: first as if these rows of the subject's had never been there, and then he has none.
    """
    with closing(connection.begin()):  # never committed
        known, own = given(connection, caller, subject), special(name, caller, subject)
        arguments = list(calls(name, WALKED[name], known, own))[number]
        subject.forget(connection, forgotten or ())
        savepoint = connection.begin_nested()
        result: Any
        try:
            result = WALKED[name](connection, **arguments)
        except (StoreError, IntegrityError) as error:
            savepoint.rollback()
            result = type(error)
        return result, subject.rows(connection) if forgotten is None else set()


def count(connection: Connection, name: str, caller: Customer, subject: Customer) -> int:
    """How many calls there are of a function."""
    with connection.begin():
        known = given(connection, caller, subject)
    return len(list(calls(name, WALKED[name], known, special(name, caller, subject))))


def leaks(connection: Connection, name: str, mine: Customer, theirs: Customer, before: set[Row]) -> list[str]:
    """What is wrong with a function, in words."""
    found, does_something = [], False
    for number in range(count(connection, name, mine, theirs)):
        seen, after = outcome(connection, name, number, mine, theirs)
        alone, _ = outcome(connection, name, number, mine, theirs, before)
        # That a number or a log-in is taken is told; not by whom.
        if seen != alone and seen is not Conflict:
            found.append(f"{name} call {number}: gives {seen!r}, and {alone!r} when the other is not there")
        if after != before:
            found.append(f"{name} call {number}: changes {sorted(after ^ before, key=str)}")
        does_something = does_something or _serves(connection, name, number, theirs, before)
    assert does_something, f"{name}: the owner finds and changes nothing, so this shows nothing"
    return found


def _serves(connection: Connection, name: str, number: int, owner: Customer, before: set[Row]) -> bool:
    """Does the call do or find something when the owner himself makes it?"""
    own, changed = outcome(connection, name, number, owner, owner)
    assert not isinstance(own, type), f"{name} call {number}: the owner himself gets {own}"
    return changed != before or own != outcome(connection, name, number, owner, owner, before)[0]


def rows_of(connection: Connection, customer: Customer) -> set[Row]:
    """What he has now."""
    with connection.begin():
        return customer.rows(connection)


def test_no_function_gives_or_changes_what_is_anothers(engine: Engine) -> None:
    mine, theirs = two_customers(engine)
    assert len(WALKED) > 60
    with engine.writing.connect() as connection:
        before = rows_of(connection, theirs)
        found = [leak for name in sorted(WALKED) for leak in leaks(connection, name, mine, theirs, before)]
    assert found == []


def test_the_walk_sees_a_function_that_forgets_the_account(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = two_customers(engine)

    def careless_find(connection: Connection, account_id: int, query: str) -> Any:
        return search.find(connection, theirs.account.id, query)

    def careless_remove(connection: Connection, account_id: int, contact_id: int) -> None:
        functions()["contacts.remove"](connection, theirs.account.id, [contact_id])

    with engine.writing.connect() as connection:
        before = rows_of(connection, theirs)
        for careless, said in ((careless_find, "gives"), (careless_remove, "changes")):
            monkeypatch.setitem(WALKED, "careless", careless)
            assert said in "".join(leaks(connection, "careless", mine, theirs, before))


def test_the_walk_asks_for_what_it_does_not_know() -> None:
    def strange(connection: Connection, account_id: int, colour: str) -> None: ...

    with pytest.raises(AssertionError, match="colour"):
        list(calls("strange", strange, {"account_id": 1}, {}))


def test_every_table_that_can_be_somebodys_has_something_of_both(engine: Engine) -> None:
    nobodys = {
        "catalog",
        "feed",
        "follower",
        "inbound_part",
        "mail_seen",
        "orderly_end",
        "paused_target",
        "probe",
        "receipt",
    }
    nobodys |= {"receipt_candidate", "sip_transaction", "forward_sent"}
    tables = {table.name for table in metadata.sorted_tables}
    for customer in two_customers(engine):
        with engine.snapshot() as connection:
            assert {name for name, _ in customer.rows(connection)} == tables - nobodys
