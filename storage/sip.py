"""SIP accounts (who may register, with the digests of their password) and bindings (where they are now)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from storage.errors import Conflict, NotFound
from storage.tables import did, sip_account, sip_binding


@dataclass(frozen=True, slots=True)
class Secrets:
    """H(username:realm:password) in hex for each digest algorithm (RFC 8760 §2.4); None: not offered."""

    md5: str | None = field(default=None, repr=False)
    sha256: str | None = field(default=None, repr=False)
    sha512_256: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SipAccount:
    """Somebody who registers as sip:username@realm; ``did_id`` is the DID that it writes from."""

    id: int
    account_id: int
    did_id: int | None
    username: str
    realm: str
    secrets: Secrets
    enabled: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of an address-of-record. ``identity`` makes it the same again: instance-id and reg-id
    (RFC 5626 §6), else the contact URI. ``path`` is the Path header (RFC 3327), ``flow`` names the connection
    it came over, ``received`` the address that it came from.
    """

    id: int
    account_id: int
    sip_account_id: int
    identity: str
    contact: str
    instance_id: str | None
    reg_id: int | None
    call_id: str
    cseq: int
    expires_at: int
    path: str | None
    flow: str | None
    received: str | None
    user_agent: str | None
    updated_at: int


def add_account(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    username: str,
    realm: str,
    secrets: Secrets,
    now_ms: int,
    *,
    did_id: int | None = None,
) -> SipAccount:
    """The SIP account of this name, made or given these secrets and this DID.

    Raises Conflict when the name belongs to another account, NotFound when the DID does.
    """
    _own_did(connection, account_id, did_id)
    found = find_account(connection, username, realm)
    if found is not None and found.account_id != account_id:
        raise Conflict(f"The SIP account {username}@{realm} belongs to another account.")
    values = {
        "did_id": did_id,
        "ha1_md5": secrets.md5,
        "ha1_sha256": secrets.sha256,
        "ha1_sha512_256": secrets.sha512_256,
    }
    if found is None:
        identity = {"id": next_id(), "account_id": account_id, "username": username, "realm": realm}
        connection.execute(insert(sip_account).values(**identity, **values, enabled=True, created_at=now_ms))
    else:
        connection.execute(update(sip_account).where(sip_account.c.id == found.id).values(values))
    added = find_account(connection, username, realm)
    assert added is not None, "it was put there in this transaction"
    return added


def find_account(connection: Connection, username: str, realm: str) -> SipAccount | None:
    """The SIP account of this name, of whichever account: for the registrar."""
    query = select(sip_account).where(sip_account.c.username == username, sip_account.c.realm == realm)
    found = [_account(row) for row in connection.execute(query)]
    return found[0] if found else None


def list_accounts(connection: Connection, account_id: int) -> list[SipAccount]:
    """The SIP accounts of an account, by name."""
    query = select(sip_account).where(sip_account.c.account_id == account_id)
    return [_account(row) for row in connection.execute(query.order_by(sip_account.c.username))]


def set_enabled(connection: Connection, account_id: int, username: str, realm: str, enabled: bool) -> None:
    """Let it register, or not; what is registered of one that may not is taken away. Raises NotFound."""
    found = find_account(connection, username, realm)
    if found is None or found.account_id != account_id:
        raise NotFound(f"There is no SIP account {username}@{realm}.")
    connection.execute(update(sip_account).where(sip_account.c.id == found.id).values(enabled=enabled))
    if not enabled:
        connection.execute(delete(sip_binding).where(sip_binding.c.sip_account_id == found.id))


def remove_account(connection: Connection, account_id: int, username: str, realm: str) -> None:
    """Take it and its bindings away. Raises NotFound."""
    set_enabled(connection, account_id, username, realm, enabled=False)
    same = (sip_account.c.username == username, sip_account.c.realm == realm)
    connection.execute(delete(sip_account).where(sip_account.c.account_id == account_id, *same))


def bind(connection: Connection, account_id: int, binding: Binding) -> bool:
    """Store a binding in place of the one with the same identity.

    False, and nothing stored, when the store has a newer one: the same Call-ID with a CSeq not lower
    (RFC 3261 §10.3 step 7). Raises NotFound for a SIP account that is not this account's.
    """
    mine = (sip_account.c.id == binding.sip_account_id, sip_account.c.account_id == account_id)
    if connection.execute(select(sip_account.c.id).where(*mine).with_for_update()).first() is None:
        raise NotFound("There is no such SIP account.")
    same = (
        sip_binding.c.sip_account_id == binding.sip_account_id,
        sip_binding.c.identity == binding.identity,
    )
    there = connection.execute(select(sip_binding).where(*same)).first()
    if there is not None and there.call_id == binding.call_id and there.cseq >= binding.cseq:
        return False
    connection.execute(delete(sip_binding).where(*same))
    values = {column.name: getattr(binding, column.name) for column in sip_binding.c}
    connection.execute(insert(sip_binding).values(values | {"account_id": account_id}))
    return True


def unbind(connection: Connection, account_id: int, sip_account_id: int, identity: str | None = None) -> int:
    """Take one binding away, or all of the SIP account; how many there were."""
    gone = delete(sip_binding).where(
        sip_binding.c.account_id == account_id, sip_binding.c.sip_account_id == sip_account_id
    )
    if identity is not None:
        gone = gone.where(sip_binding.c.identity == identity)
    return connection.execute(gone).rowcount


def bindings(connection: Connection, account_id: int, sip_account_id: int, now_ms: int) -> list[Binding]:
    """Where a SIP account is now, the last registered first."""
    query = select(sip_binding).where(
        sip_binding.c.account_id == account_id,
        sip_binding.c.sip_account_id == sip_account_id,
        sip_binding.c.expires_at > now_ms,
    )
    order = (sip_binding.c.updated_at.desc(), sip_binding.c.id.desc())
    return [Binding(*row) for row in connection.execute(query.order_by(*order))]


def all_bindings(connection: Connection, now_ms: int) -> list[Binding]:
    """Every binding that has not expired: for the registrar at start."""
    query = select(sip_binding).where(sip_binding.c.expires_at > now_ms).order_by(sip_binding.c.id)
    return [Binding(*row) for row in connection.execute(query)]


def purge_expired(connection: Connection, now_ms: int) -> int:
    """Forget the bindings that have expired; how many there were."""
    return connection.execute(delete(sip_binding).where(sip_binding.c.expires_at <= now_ms)).rowcount


def _own_did(connection: Connection, account_id: int, did_id: int | None) -> None:
    mine = select(did.c.id).where(did.c.id == did_id, did.c.account_id == account_id)
    if did_id is not None and connection.execute(mine).first() is None:
        raise NotFound("There is no such DID.")


def _account(row: Any) -> SipAccount:
    secrets = Secrets(row.ha1_md5, row.ha1_sha256, row.ha1_sha512_256)
    whose = (row.id, row.account_id, row.did_id, row.username, row.realm)
    return SipAccount(*whose, secrets, row.enabled, row.created_at)
