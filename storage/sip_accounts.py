"""SIP accounts: who may register and send, and under which numbers. No password is kept, only HA1."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select, update

from storage.errors import Conflict, NotFound
from storage.numbers import bump_catalog
from storage.tables import sip_account, sip_binding, sub_account

Digest = Literal["md5", "sha-256", "both"]


@dataclass(frozen=True, slots=True)
class SipAccount:
    """One phone's account. ``dids`` are the E.164 numbers that it may send as, the first by default.

    ``digest`` says which challenge it gets: most phones understand only one (see docs/sip.md). ``region`` is
    the country whose spelling of numbers it has; empty: the server's. With ``reports`` its texts come in
    message/cpim and ask for receipts (RFC 5438), which not every phone can show.
    """

    id: int
    account_id: int
    username: str
    domain: str
    ha1_md5: str = field(repr=False)
    ha1_sha256: str = field(repr=False)
    digest: Digest
    dids: tuple[str, ...]
    created_at: int
    region: str = ""
    reports: bool = False

    @property
    def aor(self) -> str:
        """The address-of-record."""
        return f"sip:{self.username}@{self.domain}"


def add_sip_account(connection: Connection, next_id: Callable[[], int], wanted: SipAccount) -> SipAccount:
    """The account of this username and domain, made, or given these passwords and numbers.

    ``wanted.id`` does not matter. Raises Conflict when it belongs to another account.
    """
    found = find_sip_account(connection, wanted.username, wanted.domain)
    if found is not None and found.account_id != wanted.account_id:
        raise Conflict(f"The SIP account {found.aor} belongs to another account.")
    kept = wanted if found is None else replace(wanted, created_at=found.created_at)
    made = replace(kept, id=next_id() if found is None else found.id)
    values = _values(made)
    if found is None:
        connection.execute(insert(sip_account).values(values))
    else:
        connection.execute(update(sip_account).where(sip_account.c.id == made.id).values(values))
    bump_catalog(connection)
    return made


def remove_sip_account(connection: Connection, username: str, domain: str) -> SipAccount:
    """The account, which is gone now, with its bindings. Raises NotFound."""
    found = find_sip_account(connection, username, domain)
    if found is None:
        raise NotFound(f"There is no SIP account sip:{username}@{domain}.")
    for table in (sip_binding, sub_account):
        connection.execute(delete(table).where(table.c.sip_account_id == found.id))
    connection.execute(delete(sip_account).where(sip_account.c.id == found.id))
    bump_catalog(connection)
    return found


def find_sip_account(connection: Connection, username: str, domain: str) -> SipAccount | None:
    """The account of this username and domain."""
    query = select(sip_account).where(sip_account.c.username == username, sip_account.c.domain == domain)
    row = connection.execute(query).first()
    return None if row is None else _account(row)


def get(connection: Connection, account_id: int, sip_account_id: int) -> SipAccount:
    """One of this account's. Raises NotFound."""
    mine = (sip_account.c.id == sip_account_id, sip_account.c.account_id == account_id)
    row = connection.execute(select(sip_account).where(*mine)).first()
    if row is None:
        raise NotFound("There is no SIP account with this id.")
    return _account(row)


def list_sip_accounts(connection: Connection, account_id: int | None = None) -> list[SipAccount]:
    """Those of one account, or all; by username."""
    query = select(sip_account).order_by(sip_account.c.username, sip_account.c.domain)
    if account_id is not None:
        query = query.where(sip_account.c.account_id == account_id)
    return [_account(row) for row in connection.execute(query)]


def _values(account: SipAccount) -> dict[str, object]:
    names = [column.name for column in sip_account.columns]
    return {name: getattr(account, name) for name in names} | {"dids": " ".join(account.dids)}


def _account(row: Any) -> SipAccount:
    values = row._asdict()
    return SipAccount(**{**values, "dids": tuple(values["dids"].split())})
