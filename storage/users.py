"""What people change of the users of their account: roles, passwords, who goes."""

from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from storage.accounts import user_record
from storage.errors import Conflict, NotFound
from storage.records import Role, User
from storage.sessions import end_sessions_of
from storage.tables import draft, recovery_code, user


def get(connection: Connection, account_id: int, user_id: int) -> User | None:
    """One user of this account."""
    row = connection.execute(select(user).where(*_mine(account_id, user_id))).first()
    return None if row is None else user_record(row)


def set_role(connection: Connection, account_id: int, user_id: int, role: Role) -> User:
    """What he may do from now on. Raises NotFound, Conflict when nobody would own the account any more."""
    held = _held(connection, account_id, user_id)
    if role is not Role.OWNER:
        _keep_an_owner(connection, held)
    return _change(connection, held, role=role.value)


def set_password(connection: Connection, account_id: int, user_id: int, password_hash: str) -> User:
    """Another password; he is logged out everywhere. Raises NotFound."""
    held = _held(connection, account_id, user_id)
    end_sessions_of(connection, held.id)
    return _change(connection, held, password_hash=password_hash)


def remove(connection: Connection, account_id: int, user_id: int) -> User:
    """He may log in no more. Raises NotFound, Conflict when nobody would own the account any more."""
    held = _held(connection, account_id, user_id)
    _keep_an_owner(connection, held)
    end_sessions_of(connection, held.id)
    for table in (recovery_code, draft):
        connection.execute(delete(table).where(table.c.user_id == held.id))
    connection.execute(delete(user).where(user.c.id == held.id))
    return held


def set_operator(connection: Connection, login: str, operator: bool) -> User:
    """May this user see and do what concerns all accounts? Raises NotFound."""
    row = connection.execute(select(user).where(user.c.login == login.lower())).first()
    if row is None:
        raise NotFound(f"There is no user {login}.")
    return _change(connection, user_record(row), operator=operator)


def _held(connection: Connection, account_id: int, user_id: int) -> User:
    held = get(connection, account_id, user_id)
    if held is None:
        raise NotFound("There is no such user.")
    return held


def _keep_an_owner(connection: Connection, held: User) -> None:
    owners = select(func.count()).where(
        user.c.account_id == held.account_id, user.c.role == Role.OWNER.value, user.c.id != held.id
    )
    if held.role is Role.OWNER and not connection.scalar(owners):
        raise Conflict(f"{held.login} is the only owner of the account.")


def _change(connection: Connection, held: User, **values: Any) -> User:
    connection.execute(update(user).where(user.c.id == held.id).values(values))
    return user_record(connection.execute(select(user).where(user.c.id == held.id)).one())


def _mine(account_id: int, user_id: int) -> tuple[Any, Any]:
    return user.c.account_id == account_id, user.c.id == user_id
