"""What programs set of SIP accounts, and we only keep: texts by name."""

import json
from collections.abc import Mapping

from sqlalchemy import Connection, insert, select, update

from storage.errors import NotFound
from storage.tables import sip_account, sub_account

Settings = Mapping[str, str]


def settings(connection: Connection, account_id: int) -> dict[int, dict[str, str]]:
    """By the id of the SIP account, for those of this account that have any."""
    mine = (
        select(sub_account)
        .join(sip_account, sip_account.c.id == sub_account.c.sip_account_id)
        .where(sip_account.c.account_id == account_id)
    )
    return {row.sip_account_id: json.loads(row.settings) for row in connection.execute(mine)}


def put(connection: Connection, account_id: int, sip_account_id: int, changes: Settings) -> None:
    """Lay these over those that are there. Raises NotFound when the account has no such SIP account."""
    mine = select(sip_account.c.id).where(
        sip_account.c.id == sip_account_id, sip_account.c.account_id == account_id
    )
    if connection.execute(mine).first() is None:
        raise NotFound(f"The account has no SIP account {sip_account_id}.")
    merged = {**settings(connection, account_id).get(sip_account_id, {}), **changes}
    written = json.dumps(merged, ensure_ascii=False, sort_keys=True)
    this = sub_account.c.sip_account_id == sip_account_id
    if not connection.execute(update(sub_account).where(this).values(settings=written)).rowcount:
        connection.execute(insert(sub_account).values(sip_account_id=sip_account_id, settings=written))
