"""Accounts, their users and their API keys. What is added twice is there once."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, insert, select, update

from storage.errors import Conflict, NotFound
from storage.numbers import bump_catalog
from storage.records import Account, ApiKey, Role, User
from storage.tables import account, api_key, user


def add_account(connection: Connection, next_id: Callable[[], int], name: str, now_ms: int) -> Account:
    """The account of this name, made if it is not there."""
    found = find_account(connection, name)
    if found is not None:
        return found
    added = Account(next_id(), name, now_ms)
    connection.execute(insert(account).values(id=added.id, name=name, created_at=now_ms))
    bump_catalog(connection)
    return added


def find_account(connection: Connection, name: str) -> Account | None:
    """The account of this name."""
    row = connection.execute(select(account).where(account.c.name == name)).first()
    return None if row is None else Account(*row)


def list_accounts(connection: Connection, after: str = "", limit: int | None = None) -> list[Account]:
    """Every account, by name; or those after a name, so many."""
    query = select(account).where(account.c.name > after) if after else select(account)
    return [Account(*row) for row in connection.execute(query.order_by(account.c.name).limit(limit))]


def add_user(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    login: str,
    password_hash: str,
    now_ms: int,
    *,
    role: Role | None = None,
) -> User:
    """The user of this login (compared in lower case), made or given this password hash.

    ``role`` None: an owner, if he is new. Raises Conflict when the login belongs to another account.
    """
    login = login.lower()
    found = find_user(connection, login)
    if found is None:
        added = User(next_id(), account_id, login, password_hash, now_ms, role=role or Role.OWNER)
        connection.execute(insert(user).values({**asdict(added), "role": added.role.value}))
        return added
    if found.account_id != account_id:
        raise Conflict(f"The login {login} belongs to another account.")
    changed = replace(found, password_hash=password_hash, role=role or found.role)
    values = {"password_hash": password_hash, "role": changed.role.value}
    connection.execute(update(user).where(user.c.id == found.id).values(values))
    return changed


def set_preferences(
    connection: Connection,
    account_id: int,
    user_id: int,
    *,
    language: str | None = None,
    timezone: str | None = None,
    enter_sends: bool | None = None,
    single_keys: bool | None = None,
) -> None:
    """How a user of this account likes the portal (see `User`); None leaves as it is. Raises NotFound."""
    given = {
        "language": language,
        "timezone": timezone,
        "enter_sends": enter_sends,
        "single_keys": single_keys,
    }
    mine = (user.c.account_id == account_id, user.c.id == user_id)
    values = {name: value for name, value in given.items() if value is not None}
    if not connection.execute(update(user).where(*mine).values(values or {"id": user_id})).rowcount:
        raise NotFound("There is no such user.")


def find_user(connection: Connection, login: str) -> User | None:
    """Whoever logs in with this (compared in lower case), of whichever account: for the log-in itself."""
    row = connection.execute(select(user).where(user.c.login == login.lower())).first()
    return None if row is None else user_record(row)


def user_record(row: Any) -> User:
    """A row of the table."""
    return User(**{**row._asdict(), "role": Role(row.role)})


def list_users(connection: Connection, account_id: int) -> list[User]:
    """The users of an account, by login."""
    query = select(user).where(user.c.account_id == account_id).order_by(user.c.login)
    return [user_record(row) for row in connection.execute(query)]


def add_key(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    name: str,
    prefix: str,
    key_hash: str,
    now_ms: int,
    *,
    scopes: str = "*",
    expires_at: int | None = None,
    requests_per_minute: int | None = None,
) -> ApiKey:
    """The key of this name, made or (when it was revoked) made anew: with an id of its own, so that nothing
    of the one before is taken for its.

    A valid key of this name stays as it is: then ``key_hash`` of the result is not the one given.
    """
    query = select(api_key).where(api_key.c.account_id == account_id, api_key.c.name == name)
    row = connection.execute(query).first()
    if row is not None and row.revoked_at is None:
        return _api_key(row)
    made = ApiKey(
        next_id(),
        account_id,
        name,
        prefix,
        key_hash,
        now_ms,
        scopes=scopes,
        expires_at=expires_at,
        requests_per_minute=requests_per_minute,
    )
    values = asdict(made)
    if row is None:
        connection.execute(insert(api_key).values(values))
    else:
        connection.execute(update(api_key).where(api_key.c.id == row.id).values(values))
    bump_catalog(connection)
    return made


def rotate_key(
    connection: Connection, account_id: int, key_id: int, prefix: str, key_hash: str, until_ms: int
) -> ApiKey:
    """The key with a new token; the one that it had is good until then. Raises NotFound, Conflict."""
    held = get_key(connection, account_id, key_id)
    if held is None:
        raise NotFound("There is no such key.")
    if held.revoked_at is not None:
        raise Conflict(f"The key {held.name} was revoked.")
    values = {
        "prefix": prefix,
        "key_hash": key_hash,
        "previous_hash": held.key_hash,
        "previous_until": until_ms,
    }
    connection.execute(update(api_key).where(api_key.c.id == key_id).values(values))
    bump_catalog(connection)
    return replace(held, prefix=prefix, key_hash=key_hash, previous_until=until_ms)


def replace_token(connection: Connection, account_id: int, key_id: int, prefix: str, key_hash: str) -> ApiKey:
    """The key with another token in the place of its newest, which ends at once; the one before it goes on.
    Raises NotFound, Conflict.
    """
    held = get_key(connection, account_id, key_id)
    if held is None:
        raise NotFound("There is no such key.")
    if held.revoked_at is not None:
        raise Conflict(f"The key {held.name} was revoked.")
    values = {"prefix": prefix, "key_hash": key_hash}
    connection.execute(update(api_key).where(api_key.c.id == key_id).values(values))
    bump_catalog(connection)
    return replace(held, prefix=prefix, key_hash=key_hash)


def get_key(connection: Connection, account_id: int, key_id: int) -> ApiKey | None:
    """One key of this account, revoked or not."""
    query = select(api_key).where(api_key.c.account_id == account_id, api_key.c.id == key_id)
    row = connection.execute(query).first()
    return None if row is None else _api_key(row)


def find_key(connection: Connection, account_id: int, name: str) -> ApiKey | None:
    """The key of this name, revoked or not."""
    query = select(api_key).where(api_key.c.account_id == account_id, api_key.c.name == name)
    row = connection.execute(query).first()
    return None if row is None else _api_key(row)


def note_use(connection: Connection, key_id: int, now_ms: int) -> None:
    """The key was used. No change of the catalog: nobody needs to load it for this."""
    connection.execute(update(api_key).where(api_key.c.id == key_id).values(last_used_at=now_ms))


def revoke_key(connection: Connection, account_id: int, name: str, now_ms: int) -> ApiKey:
    """The key, revoked from now on (or since when it was). Raises NotFound."""
    query = select(api_key).where(api_key.c.account_id == account_id, api_key.c.name == name)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound(f"There is no key {name}.")
    if row.revoked_at is None:
        connection.execute(update(api_key).where(api_key.c.id == row.id).values(revoked_at=now_ms))
        bump_catalog(connection)
    found = connection.execute(query).one()
    return _api_key(found)


def list_keys(connection: Connection, account_id: int) -> list[ApiKey]:
    """The keys of an account, revoked ones too, by name."""
    query = select(api_key).where(api_key.c.account_id == account_id).order_by(api_key.c.name)
    return [_api_key(row) for row in connection.execute(query)]


def _api_key(row: Any) -> ApiKey:
    return ApiKey(*row)
