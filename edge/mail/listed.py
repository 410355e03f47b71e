"""The addresses that a DID's e-mail setting lists: its owner's, who gets its messages and may write as it."""

from collections.abc import Mapping
from functools import lru_cache

from protocols.mail import address
from storage.records import Did

HANDLER = "email"


def listed(settings: Mapping[str, object]) -> tuple[str, ...]:
    """As they are written, each once."""
    to = settings.get("to")
    return tuple(to.split(",")) if isinstance(to, str) and to else ()


def addresses_of(did: Did) -> frozenset[str]:
    """The addresses (their `Address.key`) of a DID whose e-mail handler is on."""
    setting = did.handlers.get(HANDLER)
    if setting is None or not setting.enabled:
        return frozenset()
    return frozenset(map(_key, listed(setting.settings)))


@lru_cache(maxsize=10_000)
def _key(target: str) -> str:
    return address.parse(target).key
