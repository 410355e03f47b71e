"""Whose address is whose: the DIDs that a mail's author may write as."""

import hashlib

from edge.directory import Directory
from edge.mail.authentication import InThread
from edge.mail.listed import addresses_of
from protocols.mail.address import Address
from storage.records import Did


def author_key(account_id: int, author: Address) -> bytes:
    """By what it is kept that somebody writes new mail for an account."""
    return hashlib.sha256(f"writes for\0{account_id}\0{author.key}".encode()).digest()


class Owners:
    """I know the DIDs of each address, by the directory as it is.

    They are looked through in a thread when something has changed, since there may be very many.
    """

    def __init__(self, directory: Directory, in_thread: InThread) -> None:
        self._directory = directory
        self._in_thread = in_thread
        self._version: int | None = None
        self._dids: dict[str, list[str]] = {}

    async def dids(self, author: Address) -> list[Did]:
        """The DIDs that name this address, in their order."""
        version = self._directory.version
        if self._version != version:
            dids = await self._in_thread(self._looked_through)
            self._version, self._dids = version, dids
        found = map(self._directory.did, self._dids.get(author.key, ()))
        return [did for did in found if did is not None and author.key in addresses_of(did)]

    def _looked_through(self) -> dict[str, list[str]]:
        """The numbers by address. The directory may change meanwhile: then this is done again."""
        dids: dict[str, list[str]] = {}
        for number in self._directory.known_numbers():
            found = self._directory.did(number)
            for key in addresses_of(found) if found is not None else ():
                dids.setdefault(key, []).append(number)
        return dids
