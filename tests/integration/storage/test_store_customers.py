"""Accounts, users, keys, DIDs and log-ins, on both engines: idempotent, and nobody sees another's."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from storage import accounts, numbers, sessions
from storage.engines import Engine
from storage.errors import Conflict, NotFound
from storage.records import Account, ApiKey, Session, User
from tests.samples import DID, NOW, ids


@pytest.fixture
def acme(engine: Engine) -> Account:
    with engine.transaction() as connection:
        return accounts.add_account(connection, ids.next, "Acme", NOW)


@pytest.fixture
def rival(engine: Engine) -> Account:
    with engine.transaction() as connection:
        return accounts.add_account(connection, ids.next, "Rival", NOW)


def done(engine: Engine, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with engine.transaction() as connection:
        return fn(connection, *args, **kwargs)


def version(engine: Engine) -> int:
    with engine.snapshot() as connection:
        return numbers.catalog_version(connection)


def test_an_account_is_added_once(engine: Engine, acme: Account) -> None:
    before = version(engine)
    assert done(engine, accounts.add_account, ids.next, "Acme", NOW + 1) == acme
    assert version(engine) == before
    assert done(engine, accounts.find_account, "Acme") == acme
    assert done(engine, accounts.find_account, "acme") is None
    other = done(engine, accounts.add_account, ids.next, "AAA", NOW)
    assert done(engine, accounts.list_accounts) == [other, acme]
    assert done(engine, accounts.list_accounts, limit=1) == [other]
    assert done(engine, accounts.list_accounts, "AAA", 9) == [acme]
    assert version(engine) == before + 1


def test_the_dids_of_all_come_so_many_at_a_time(engine: Engine, acme: Account, rival: Account) -> None:
    for owner, number in ((acme, "+12025550103"), (rival, "+12025550101"), (acme, "+12025550102")):
        done(engine, numbers.add_did, ids.next, owner.id, number, NOW)

    def some(*args: Any) -> list[str]:
        return [did.number[-1] for did in done(engine, numbers.listed, *args)]

    assert some() == ["1", "2", "3"]
    assert some(None, "", 2) == ["1", "2"]
    assert some(None, "+12025550102", 2) == ["3"]
    assert some(acme.id) == ["2", "3"]


def test_a_user_is_added_once_and_may_get_a_new_password(
    engine: Engine, acme: Account, rival: Account
) -> None:
    first = done(engine, accounts.add_user, ids.next, acme.id, "Ann@Example.org", "hash-1", NOW)
    again = done(engine, accounts.add_user, ids.next, acme.id, "ann@example.org", "hash-2", NOW + 1)
    assert (first.login, again.id, again.created_at) == ("ann@example.org", first.id, NOW)
    assert done(engine, accounts.find_user, "ANN@example.org") == User(
        first.id, acme.id, "ann@example.org", "hash-2", NOW
    )
    with pytest.raises(Conflict, match="another account"):
        done(engine, accounts.add_user, ids.next, rival.id, "ann@example.org", "hash-3", NOW)
    assert done(engine, accounts.find_user, "bob") is None
    assert [user.login for user in done(engine, accounts.list_users, acme.id)] == ["ann@example.org"]
    assert done(engine, accounts.list_users, rival.id) == []


def test_a_key_is_added_once_revoked_and_made_anew(engine: Engine, acme: Account, rival: Account) -> None:
    first = done(engine, accounts.add_key, ids.next, acme.id, "app", "tk_a", "hash-1", NOW)
    assert first == ApiKey(first.id, acme.id, "app", "tk_a", "hash-1", NOW)
    assert done(engine, accounts.add_key, ids.next, acme.id, "app", "tk_b", "hash-2", NOW + 1) == first
    assert [key.key_hash for key in done(engine, numbers.load_catalog).keys] == ["hash-1"]
    revoked = done(engine, accounts.revoke_key, acme.id, "app", NOW + 2)
    assert revoked.revoked_at == NOW + 2
    assert done(engine, accounts.revoke_key, acme.id, "app", NOW + 3) == revoked
    assert done(engine, numbers.load_catalog).keys == ()
    anew = done(engine, accounts.add_key, ids.next, acme.id, "app", "tk_c", "hash-3", NOW + 4)
    assert anew == ApiKey(anew.id, acme.id, "app", "tk_c", "hash-3", NOW + 4)
    assert anew.id != first.id  # what programs kept under the key's id is not the new one's
    assert done(engine, accounts.list_keys, acme.id) == [anew]
    assert done(engine, accounts.list_keys, rival.id) == []
    with pytest.raises(NotFound, match="app"):
        done(engine, accounts.revoke_key, rival.id, "app", NOW)


def test_a_did_is_added_once_and_to_one_account(engine: Engine, acme: Account, rival: Account) -> None:
    added = done(engine, numbers.add_did, ids.next, acme.id, DID, NOW)
    assert (added.account_id, added.number, added.sms_enabled, added.handlers) == (acme.id, DID, True, {})
    before = version(engine)
    assert done(engine, numbers.add_did, ids.next, acme.id, DID, NOW + 1, sms_enabled=False) == added
    assert version(engine) == before
    with pytest.raises(Conflict, match="another account"):
        done(engine, numbers.add_did, ids.next, rival.id, DID, NOW)
    assert done(engine, numbers.list_dids, acme.id) == [added]
    assert done(engine, numbers.list_dids, rival.id) == []
    assert done(engine, numbers.find_did, "+1") is None


def test_a_did_is_set_bit_by_bit(engine: Engine, acme: Account) -> None:
    done(engine, numbers.add_did, ids.next, acme.id, DID, NOW)

    def set_did(**changes: Any) -> Any:
        return done(engine, numbers.set_did, ids.next, DID, **changes)

    assert set_did(sms_enabled=False).sms_enabled is False
    callback = set_did(handler="callback", settings={"url": "http://sink/{ID}", "retry": True}).handlers[
        "callback"
    ]
    assert (callback.enabled, callback.settings) == (True, {"url": "http://sink/{ID}", "retry": True})
    callback = set_did(handler="callback", enabled=False, settings={"retry": None, "name": "é"}).handlers[
        "callback"
    ]
    assert (callback.enabled, callback.settings) == (False, {"url": "http://sink/{ID}", "name": "é"})
    off = set_did(handler="portal", enabled=False)
    assert sorted(off.handlers) == ["callback", "portal"]
    before = version(engine)
    assert set_did(sms_enabled=False, handler="portal", enabled=False) == off
    assert set_did() == off
    assert version(engine) == before
    set_did(handler="portal", enabled=True)
    assert version(engine) == before + 1
    assert done(engine, numbers.find_did, DID).handlers["portal"].enabled is True


def test_a_did_that_is_not_there_cannot_be_set(engine: Engine) -> None:
    with pytest.raises(NotFound, match="no DID"):
        done(engine, numbers.set_did, ids.next, DID, sms_enabled=True)


def test_the_catalog_has_everything_of_everybody(engine: Engine, acme: Account, rival: Account) -> None:
    mine = done(engine, numbers.add_did, ids.next, acme.id, DID, NOW)
    theirs = done(engine, numbers.add_did, ids.next, rival.id, "+12025550111", NOW)
    mine = done(engine, numbers.set_did, ids.next, DID, handler="callback", settings={"url": "http://sink/"})
    key = done(engine, accounts.add_key, ids.next, rival.id, "app", "tk_a", "hash", NOW)
    catalog = done(engine, numbers.load_catalog)
    assert catalog.dids == (mine, theirs)
    assert catalog.keys == (key,)
    assert catalog.version == version(engine)


def test_a_change_that_fails_leaves_the_version(engine: Engine) -> None:
    before = version(engine)

    def half(connection: Connection) -> None:
        accounts.add_account(connection, ids.next, "Half", NOW)
        raise LookupError

    with pytest.raises(LookupError):
        done(engine, half)
    assert version(engine) == before
    assert done(engine, accounts.list_accounts) == []


def test_a_session_lasts_until_it_ends_or_expires(engine: Engine, acme: Account) -> None:
    ann = done(engine, accounts.add_user, ids.next, acme.id, "ann", "hash", NOW)
    first, second, third = (
        Session(name, ann.id, "csrf", NOW, NOW + age) for name, age in (("a", 5), ("b", 50), ("c", 50))
    )
    for one in (first, second, third):
        done(engine, sessions.add_session, one)
    assert done(engine, sessions.find_session, "a", NOW + 4) == (first, ann)
    assert done(engine, sessions.find_session, "a", NOW + 5) is None
    assert done(engine, sessions.find_session, "x", NOW) is None
    assert done(engine, sessions.purge_expired, NOW + 5) == 1
    done(engine, sessions.end_session, "b")
    done(engine, sessions.end_session, "b")
    assert done(engine, sessions.find_session, "b", NOW) is None
    assert done(engine, sessions.find_session, "c", NOW) == (third, ann)
    done(engine, sessions.end_sessions_of, ann.id)
    assert done(engine, sessions.find_session, "c", NOW) is None
