"""Customers' queries take the account; a function of these modules without one has its reason here."""

import inspect
from types import ModuleType

from storage import (
    accesses,
    audit,
    contacts,
    conversations,
    deletion,
    erasure,
    export,
    idempotency,
    media,
    messages,
    opt_outs,
    phonebook,
    search,
    sub_accounts,
    texts,
)

CUSTOMERS = (
    accesses,
    audit,
    contacts,
    conversations,
    deletion,
    erasure,
    export,
    idempotency,
    media,
    messages,
    opt_outs,
    phonebook,
    search,
    sub_accounts,
    texts,
)
WITHOUT = {
    "accesses.named": "the log-in itself, by user name",
    "accesses.put_access": "the record names the account",
    "audit.everything": "for operators",
    "deletion.purge": "upkeep of the whole store",
    "idempotency.purge_expired": "upkeep of the whole store",
    "media.fetch": "the token is the right to have it",
    "messages.awaiting_status": "the receipt pipeline, by part",
    "messages.exists": "commands, by id",
    "messages.recent_inbound": "the inbound pipeline, by upstream",
    "messages.views": "makes views of a query that its caller filtered",
    "search.forget": "part of a removal that its caller filtered",
    "search.index": "the follower of the feed",
    "search.index_history": "the follower of the feed",
    "search.index_next": "the follower of the feed",
}


def functions(module: ModuleType) -> dict[str, inspect.Signature]:
    """Those of this module that work on a connection."""
    own = inspect.getmembers(module, inspect.isfunction)
    signatures = {
        f"{module.__name__.rpartition('.')[2]}.{name}": inspect.signature(function)
        for name, function in own
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    return {name: said for name, said in signatures.items() if "connection" in said.parameters}


def test_every_function_for_customers_takes_the_account() -> None:
    found = {name: said for module in CUSTOMERS for name, said in functions(module).items()}
    without = {name for name, said in found.items() if "account_id" not in said.parameters}
    assert without == set(WITHOUT)
