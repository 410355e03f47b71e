"""SIP accounts added and taken away, whoever asks; what sends messages to one is switched with it."""

import re
from collections.abc import Callable, Iterable

from sqlalchemy import Connection

from edge.handlers.sip import SipHandler
from protocols.sip.digest import Algorithm
from storage import numbers, sip_accounts
from storage.errors import NotFound
from storage.sip_accounts import SipAccount

USERNAME = re.compile(r"[A-Za-z0-9_.+-]{1,64}", re.ASCII)


def wanted(
    username: str, domain: str, password: str, digest: sip_accounts.Digest, dids: tuple[str, ...]
) -> SipAccount:
    """An account that is in no store yet, without an owner; of the password only the hashes are kept."""
    return SipAccount(
        id=0,
        account_id=0,
        username=username,
        domain=domain,
        ha1_md5=Algorithm.MD5.ha1(username, domain, password),
        ha1_sha256=Algorithm.SHA256.ha1(username, domain, password),
        digest=digest,
        dids=dids,
        created_at=0,
    )


def add(connection: Connection, next_id: Callable[[], int], wanted: SipAccount) -> SipAccount:
    """The account, made or changed. Its numbers ring it from now on, unless another phone has them.

    Raises NotFound for a number that is not its owner's, Conflict when another owner has the username.
    """
    for number in wanted.dids:
        did = numbers.find_did(connection, number)
        if did is None or did.account_id != wanted.account_id:
            raise NotFound(f"{number} is not a DID of this account.")
    added = sip_accounts.add_sip_account(connection, next_id, wanted)
    name, main = SipHandler.name, SipHandler.main
    for number in wanted.dids:
        did = numbers.find_did(connection, number)
        setting = None if did is None else did.handlers.get(name)
        if setting is None or not setting.settings.get(main):
            numbers.set_did(
                connection, next_id, number, handler=name, enabled=True, settings={main: added.aor}
            )
    return added


def remove(connection: Connection, next_id: Callable[[], int], username: str, domain: str) -> SipAccount:
    """The account, which is gone now. Raises NotFound."""
    gone = sip_accounts.remove_sip_account(connection, username, domain)
    owned = {did.number for did in numbers.list_dids(connection, gone.account_id)}
    silence(connection, next_id, gone, owned)
    return gone


def silence(
    connection: Connection, next_id: Callable[[], int], phone: SipAccount, dids: Iterable[str]
) -> None:
    """These numbers of its owner ring it no more, if they did."""
    name, main = SipHandler.name, SipHandler.main
    for number in sorted(dids):
        did = numbers.find_did(connection, number)
        setting = None if did is None else did.handlers.get(name)
        if setting is not None and setting.settings.get(main) == phone.aor:
            numbers.set_did(connection, next_id, number, handler=name, enabled=False, settings={main: None})
