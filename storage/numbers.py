"""DIDs, how their handlers are set, and the catalog: all of it that the message path must know."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from storage.errors import Conflict, NotFound
from storage.records import ApiAccess, ApiKey, Catalog, Did, HandlerSetting
from storage.tables import api_access, api_key, catalog, did, handler_setting


def add_did(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    number: str,
    now_ms: int,
    *,
    sms_enabled: bool = True,
    sms_capable: bool = True,
    ported_at: int | None = None,
) -> Did:
    """The DID with this number (E.164 with "+"), made if it is not there.

    One that is there stays as it is. Raises Conflict when it belongs to another account.
    """
    found = find_did(connection, number)
    if found is not None:
        if found.account_id != account_id:
            raise Conflict(f"The number {number} belongs to another account.")
        return found
    added = Did(next_id(), account_id, number, sms_enabled and sms_capable, {}, sms_capable, ported_at)
    connection.execute(
        insert(did).values(
            id=added.id,
            account_id=account_id,
            number=number,
            sms_enabled=added.sms_enabled,
            created_at=now_ms,
            sms_capable=sms_capable,
            ported_at=ported_at,
        )
    )
    bump_catalog(connection)
    return added


def set_did(
    connection: Connection,
    next_id: Callable[[], int],
    number: str,
    *,
    sms_enabled: bool | None = None,
    handler: str | None = None,
    enabled: bool | None = None,
    settings: Mapping[str, object] | None = None,
) -> Did:
    """Change a DID; what is None stays as it is.

    ``handler`` names the handler that ``enabled`` and ``settings`` are for. ``settings`` are laid over those
    that are there; a value of None takes a setting away. A handler that had none begins enabled.
    Raises NotFound for a number that is not there, Conflict when its SMS cannot be switched on.
    """
    found = find_did(connection, number)
    if found is None:
        raise NotFound(f"There is no DID {number}.")
    if sms_enabled and not found.sms_capable:
        raise Conflict(f"{number} is for calls only: it cannot do SMS.")
    changed = False
    if sms_enabled is not None and sms_enabled != found.sms_enabled:
        connection.execute(update(did).where(did.c.id == found.id).values(sms_enabled=sms_enabled))
        changed = True
    if handler is not None:
        changed |= _set_handler(connection, next_id, found, handler, enabled, settings or {})
    if not changed:
        return found
    bump_catalog(connection)
    after = find_did(connection, number)
    assert after is not None
    return after


def set_carriage(connection: Connection, number: str, sms_capable: bool, ported_at: int | None) -> Did:
    """Whether its carrier brings messages for it, and when it was ported in. One that cannot do SMS is
    switched off. Raises NotFound."""
    found = find_did(connection, number)
    if found is None:
        raise NotFound(f"There is no DID {number}.")
    enabled = found.sms_enabled and sms_capable
    values = {"sms_capable": sms_capable, "ported_at": ported_at, "sms_enabled": enabled}
    connection.execute(update(did).where(did.c.id == found.id).values(values))
    bump_catalog(connection)
    return replace(found, sms_capable=sms_capable, ported_at=ported_at, sms_enabled=enabled)


def remove_did(connection: Connection, account_id: int, number: str) -> Did:
    """The account gives its number up; what was written over it stays. Raises NotFound."""
    found = find_did(connection, number)
    if found is None or found.account_id != account_id:
        raise NotFound(f"There is no DID {number}.")
    connection.execute(delete(handler_setting).where(handler_setting.c.did_id == found.id))
    connection.execute(delete(did).where(did.c.id == found.id))
    bump_catalog(connection)
    return found


def find_did(connection: Connection, number: str) -> Did | None:
    """The DID with this number, of whichever account: for operators and the message path."""
    found = _dids(connection, did.c.number == number)
    return found[0] if found else None


def list_dids(connection: Connection, account_id: int) -> list[Did]:
    """The DIDs of an account, by number."""
    return _dids(connection, did.c.account_id == account_id)


def listed(
    connection: Connection, account_id: int | None = None, after: str = "", limit: int | None = None
) -> list[Did]:
    """For operators: the DIDs of an account or of all, by number; those after one, so many."""
    ids = select(did.c.id).where(did.c.number > after)
    if account_id is not None:
        ids = ids.where(did.c.account_id == account_id)
    return _dids(connection, did.c.id.in_(ids.order_by(did.c.number).limit(limit)))


def load_catalog(connection: Connection) -> Catalog:
    """Every DID with its handlers, every valid key, every API access, and the version that they are."""
    keys = connection.execute(select(api_key).where(api_key.c.revoked_at.is_(None)).order_by(api_key.c.id))
    accesses = connection.execute(select(api_access))
    return Catalog(
        catalog_version(connection),
        tuple(_dids(connection)),
        tuple(ApiKey(*row) for row in keys),
        tuple(ApiAccess(*row) for row in accesses),
    )


def catalog_version(connection: Connection) -> int:
    """Grows with every change of account, did, handler_setting, api_key and api_access."""
    return connection.scalar(select(catalog.c.version)) or 0


def bump_catalog(connection: Connection) -> None:
    """Part of every transaction that changes what the catalog shows, or what servers must hear of soon."""
    connection.execute(update(catalog).values(version=catalog.c.version + 1))


def _dids(connection: Connection, *conditions: ColumnElement[bool]) -> list[Did]:
    handlers: dict[int, dict[str, HandlerSetting]] = {}
    of_these = select(handler_setting).join(did, did.c.id == handler_setting.c.did_id).where(*conditions)
    for row in connection.execute(of_these.order_by(handler_setting.c.handler)):
        setting = HandlerSetting(row.handler, row.enabled, json.loads(row.settings))
        handlers.setdefault(row.did_id, {})[row.handler] = setting
    rows = connection.execute(select(did).where(*conditions).order_by(did.c.number))
    return [
        Did(
            row.id,
            row.account_id,
            row.number,
            row.sms_enabled,
            handlers.get(row.id, {}),
            row.sms_capable,
            row.ported_at,
        )
        for row in rows
    ]


def _set_handler(
    connection: Connection,
    next_id: Callable[[], int],
    owner: Did,
    handler: str,
    enabled: bool | None,
    settings: Mapping[str, object],
) -> bool:
    before = owner.handlers.get(handler)
    merged: dict[str, Any] = {**before.settings, **settings} if before else dict(settings)
    merged = {key: value for key, value in merged.items() if value is not None}
    switch = enabled if enabled is not None else (before.enabled if before else True)
    if before is not None and before.enabled == switch and before.settings == merged:
        return False
    values = {"enabled": switch, "settings": json.dumps(merged, ensure_ascii=False, sort_keys=True)}
    if before is None:
        connection.execute(
            insert(handler_setting).values(id=next_id(), did_id=owner.id, handler=handler, **values)
        )
    else:
        connection.execute(
            update(handler_setting)
            .where(handler_setting.c.did_id == owner.id, handler_setting.c.handler == handler)
            .values(values)
        )
    return True
