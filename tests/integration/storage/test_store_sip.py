"""SIP accounts, bindings and taken requests, on both engines."""

from dataclasses import replace

import pytest

from storage import accounts, messages, numbers, registrations, sip_accounts
from storage.engines import Engine
from storage.errors import Conflict, NotFound
from storage.ids import IdSource
from storage.records import DeliveryRecord, DeliveryState
from storage.registrations import BindingRecord
from storage.sip_accounts import SipAccount
from storage.statements import execute

NOW = 1_800_000_000_000
IDS = IdSource(0, lambda: NOW)


def wanted(account_id: int, username: str = "alice") -> SipAccount:
    return SipAccount(
        0, account_id, username, "h", "md5", "sha", "md5", ("+12025550100", "+12025550101"), NOW
    )


def binding(account: SipAccount, contact: str, expires_at: int, identity: int | None = None) -> BindingRecord:
    return BindingRecord(
        identity or IDS.next(),
        account.id,
        contact,
        None,
        None,
        "c",
        1,
        "UDP",
        "h",
        5060,
        None,
        None,
        NOW,
        expires_at,
    )


def test_accounts(engine: Engine) -> None:
    with engine.transaction() as connection:
        first = accounts.add_account(connection, IDS.next, "first", NOW)
        second = accounts.add_account(connection, IDS.next, "second", NOW)
        version = numbers.catalog_version(connection)
        added = sip_accounts.add_sip_account(connection, IDS.next, wanted(first.id))
        assert numbers.catalog_version(connection) > version
        changed = sip_accounts.add_sip_account(connection, IDS.next, replace(wanted(first.id), ha1_md5="new"))
        assert changed == replace(added, ha1_md5="new")
        assert "md5" not in repr(replace(added, digest="both", ha1_md5="secret-md5"))
        with pytest.raises(Conflict):
            sip_accounts.add_sip_account(connection, IDS.next, wanted(second.id))
        sip_accounts.add_sip_account(connection, IDS.next, wanted(second.id, "bob"))
        assert [item.username for item in sip_accounts.list_sip_accounts(connection)] == ["alice", "bob"]
        assert sip_accounts.list_sip_accounts(connection, first.id) == [changed]
        registrations.change(connection, (), [binding(changed, "sip:a", NOW + 1)])
        assert sip_accounts.remove_sip_account(connection, "alice", "h") == changed
        assert registrations.bindings(connection, NOW) == []
        with pytest.raises(NotFound):
            sip_accounts.remove_sip_account(connection, "alice", "h")


def test_bindings(engine: Engine) -> None:
    with engine.transaction() as connection:
        owner = accounts.add_account(connection, IDS.next, "first", NOW)
        account = sip_accounts.add_sip_account(connection, IDS.next, wanted(owner.id))
        old, kept = binding(account, "sip:old", NOW), binding(account, "sip:kept", NOW + 10)
        registrations.change(connection, (), [old, kept])
        assert registrations.bindings(connection, NOW) == [kept]
        later = kept._replace(expires_at=NOW + 20, cseq=2**32 - 1)
        registrations.change(connection, (), [later])
        assert registrations.bindings(connection, NOW) == [later]
        other = accounts.add_account(connection, IDS.next, "second", NOW)
        assert registrations.of_account(connection, account.id, NOW) == [later]
        assert registrations.of_owner(connection, owner.id, NOW) == {account.id: [later]}
        assert registrations.of_owner(connection, other.id, NOW) == {}
        assert registrations.of_owner(connection, owner.id, NOW + 20) == {}
        assert sip_accounts.get(connection, owner.id, account.id) == account
        with pytest.raises(NotFound):
            sip_accounts.get(connection, other.id, account.id)
        assert registrations.purge_bindings(connection, NOW) == 1
        again = later._replace(id=IDS.next(), expires_at=NOW + 30)
        registrations.change(connection, (), [again])  # nobody knew that it was there
        assert registrations.bindings(connection, 0) == [again]
        registrations.change(connection, [again.id], [])
        assert registrations.bindings(connection, 0) == []
        registrations.change(connection, (), [])


def test_a_binding_gives_way_to_its_like(engine: Engine) -> None:
    """Expired, or written by another server, or as an older release wrote it; of this SIP account only."""
    with engine.transaction() as connection:
        owner = accounts.add_account(connection, IDS.next, "first", NOW)
        alice, bob = (
            sip_accounts.add_sip_account(connection, IDS.next, wanted(owner.id, name)) for name in ("a", "b")
        )
        expired, bobs = binding(alice, "sip:A", NOW - 1), binding(bob, "sip:a", NOW + 10)
        other = binding(alice, "sip:other", NOW + 10)
        registrations.change(connection, (), [expired, bobs, other])
        new = binding(alice, "sip:a", NOW + 10)
        registrations.change(connection, (), [new], str.lower)
        assert registrations.bindings(connection, 0) == [bobs, other, new]


def test_taken_requests(engine: Engine) -> None:
    with engine.transaction() as connection:
        for key, at in (("old", NOW - 10), ("new", NOW)):
            statement, row = registrations.taken(key, 7, at)
            execute(connection, statement, [row])
        assert registrations.recently_taken(connection, NOW - 10) == {"old": 7, "new": 7}
        assert registrations.purge_taken(connection, NOW) == 1
        assert registrations.recently_taken(connection, 0) == {"new": 7}


def test_waiting_deliveries_are_made_due(engine: Engine) -> None:
    def delivery(identity: int, handler: str, state: DeliveryState) -> DeliveryRecord:
        return DeliveryRecord(identity, 1, 1, 1, handler, "sip:a@h", state, 0, NOW + 999, NOW, NOW)

    with engine.transaction() as connection:
        for record in (
            delivery(1, "sip", DeliveryState.PENDING),
            delivery(2, "callback", DeliveryState.PENDING),
            delivery(3, "sip", DeliveryState.DELIVERED),
            delivery(4, "sip", DeliveryState.PENDING),
        ):
            execute(connection, messages.INSERT_DELIVERY, [record])
        assert registrations.waiting_deliveries(connection, "sip") == [("sip:a@h", 1), ("sip:a@h", 4)]
        assert registrations.make_due(connection, [1, 3], NOW) == 1
