"""Random octets, fetched from the system by the block.

Where each message needs a few of them (tags, branches, nonces), a system call for each would cost more than
all the rest of the answer.
"""

from collections.abc import Callable

BLOCK = 4_096


class OctetPool:
    """I hand out octets of ``source``, such as `os.urandom`; none is handed out twice."""

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source
        self._block = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """So many octets, at most `BLOCK`."""
        end = self._at + count
        if end > len(self._block):
            self._block = self._source(BLOCK)
            self._at, end = 0, count
        octets = self._block[self._at : end]
        self._at = end
        return octets
