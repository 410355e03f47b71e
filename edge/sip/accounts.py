"""SIP accounts taken away, whoever asks: what sends messages to one is switched off with it."""

from collections.abc import Callable

from sqlalchemy import Connection

from edge.handlers.sip import SipHandler
from storage import numbers, sip_accounts
from storage.sip_accounts import SipAccount


def remove(connection: Connection, next_id: Callable[[], int], username: str, domain: str) -> SipAccount:
    """The account, which is gone now. Raises NotFound."""
    gone = sip_accounts.remove_sip_account(connection, username, domain)
    name, main = SipHandler.name, SipHandler.main
    for did in numbers.list_dids(connection, gone.account_id):
        setting = did.handlers.get(name)
        if setting is not None and setting.settings.get(main) == gone.aor:
            numbers.set_did(
                connection, next_id, did.number, handler=name, enabled=False, settings={main: None}
            )
    return gone
