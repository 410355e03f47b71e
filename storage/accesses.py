"""API access: how an account's programs get in with a name and a password of their own.

The password has nothing to do with those of users: it cannot log in to the portal.
"""

from sqlalchemy import Connection, insert, select, update

from storage.errors import Conflict
from storage.numbers import bump_catalog
from storage.records import ApiAccess
from storage.tables import api_access


def put_access(connection: Connection, wanted: ApiAccess) -> ApiAccess:
    """The account's access, made or changed to this; ``created_at`` of one that is there stays.

    Raises Conflict when another account's programs have the name.
    """
    other = named(connection, wanted.username)
    if other is not None and other.account_id != wanted.account_id:
        raise Conflict(f"The API username {wanted.username} belongs to another account.")
    values = {column.name: getattr(wanted, column.name) for column in api_access.columns}
    changes = {name: value for name, value in values.items() if name not in ("account_id", "created_at")}
    changed = update(api_access).where(api_access.c.account_id == wanted.account_id).values(changes)
    if not connection.execute(changed).rowcount:
        connection.execute(insert(api_access).values(values))
    bump_catalog(connection)
    made = access_of(connection, wanted.account_id)
    assert made is not None, "it was written in this transaction"
    return made


def access_of(connection: Connection, account_id: int) -> ApiAccess | None:
    """The account's access."""
    row = connection.execute(select(api_access).where(api_access.c.account_id == account_id)).first()
    return None if row is None else ApiAccess(*row)


def named(connection: Connection, username: str) -> ApiAccess | None:
    """The access with this user name, of whichever account."""
    row = connection.execute(select(api_access).where(api_access.c.username == username)).first()
    return None if row is None else ApiAccess(*row)
