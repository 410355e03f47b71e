"""A customer gives a number up: what pointed to it points there no more, and others may order it."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from edge.policy import geography
from storage import inventory, sip_accounts
from storage.inventory import FreeNumber


def release(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    number: str,
    region: str,
    now_ms: int,
) -> FreeNumber:
    """What was written over it stays. ``region`` is its name in the inventory. Raises NotFound."""
    for phone in sip_accounts.list_sip_accounts(connection, account_id):
        if number in phone.dids:
            left = tuple(did for did in phone.dids if did != number)
            sip_accounts.add_sip_account(connection, next_id, replace(phone, dids=left))
    country = geography.country_of(number)
    return inventory.release(connection, account_id, number, country, region, now_ms)
