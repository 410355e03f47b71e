"""Whose address is whose: the DIDs that a mail's author may write as."""

from edge.directory import Directory
from edge.handlers.email import EmailHandler
from protocols.mail import address
from protocols.mail.address import Address
from storage.records import Did


def addresses_of(did: Did) -> frozenset[str]:
    """The addresses (their `Address.key`) of a DID whose e-mail handler is on."""
    setting = did.handlers.get(EmailHandler.name)
    if setting is None or not setting.enabled:
        return frozenset()
    return frozenset(address.parse(target).key for target in EmailHandler.targets(setting.settings, ""))


class Owners:
    """I know the DIDs of each address, by the directory as it is."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._version: int | None = None
        self._dids: dict[str, list[str]] = {}

    def dids(self, author: Address) -> list[Did]:
        """The DIDs that name this address, in their order."""
        if self._version != self._directory.version:
            self._version = self._directory.version
            self._dids = {}
            for number in self._directory.known_numbers():
                found = self._directory.did(number)
                for key in addresses_of(found) if found is not None else ():
                    self._dids.setdefault(key, []).append(number)
        numbers = self._dids.get(author.key, [])
        return [found for number in numbers if (found := self._directory.did(number)) is not None]
