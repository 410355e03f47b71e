"""The room that is left where the store is: a full disk is seen before the store refuses."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

log = structlog.get_logger(__name__)

MIB = 1 << 20


def free_octets(folder: Path) -> int:
    """What may still be written there. Raises OSError."""
    return shutil.disk_usage(folder).free


class Disk:
    """I watch the folder of an SQLite store; without a ``file`` the disk is another machine's business.

    ``least_mib``: with less than this no new traffic should come here; 0: never mind. ``in_thread`` calls
    what may take long: a disk that does not answer must not stop the reactor.
    """

    def __init__(
        self,
        file: Path | None,
        least_mib: int,
        in_thread: Callable[[Callable[[], int]], Deferred[int]],
        free: Callable[[Path], int] = free_octets,
    ) -> None:
        self.least_mib = least_mib
        self._in_thread = in_thread
        self.free: int | None = None
        self._folder = None if file is None else file.absolute().parent
        self._free = free
        self._told = self._blind = False

    @property
    def enough(self) -> bool:
        """As of the last look."""
        return self.free is None or self.free >= self.least_mib * MIB

    def look(self) -> Deferred[None] | None:
        """Measure, and say once that it gets tight and once that it does no more."""
        if self._folder is None:
            return None
        looking = self._in_thread(partial(self._free, self._folder))
        return looking.addCallbacks(self._measured, self._not_measured)

    def _not_measured(self, failure: Failure) -> None:
        if not self._blind:
            log.warning("disk_not_measured", error=failure.getErrorMessage())
        self.free, self._blind = None, True

    def _measured(self, free: int) -> None:
        self.free, self._blind = free, False
        if not self.enough and not self._told:
            log.error("disk_low", free_mib=self.free // MIB)
        elif self.enough and self._told:
            log.info("disk_enough_again", free_mib=self.free // MIB)
        self._told = not self.enough
