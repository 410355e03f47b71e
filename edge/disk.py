"""The room that is left where the store is: a full disk is seen before the store refuses."""

import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

MIB = 1 << 20


def free_octets(folder: Path) -> int:
    """What may still be written there. Raises OSError."""
    return shutil.disk_usage(folder).free


class Disk:
    """I watch the folder of an SQLite store; without a ``file`` the disk is another machine's business.

    ``least_mib``: with less than this no new traffic should come here; 0: never mind.
    """

    def __init__(self, file: Path | None, least_mib: int, free: Callable[[Path], int] = free_octets) -> None:
        self.least_mib = least_mib
        self.free: int | None = None
        self._folder = None if file is None else file.absolute().parent
        self._free = free
        self._told = self._blind = False

    @property
    def enough(self) -> bool:
        """As of the last look."""
        return self.free is None or self.free >= self.least_mib * MIB

    def look(self) -> None:
        """Measure, and say once that it gets tight and once that it does no more."""
        if self._folder is None:
            return
        try:
            self.free = self._free(self._folder)
        except OSError as error:
            if self.free is not None or not self._blind:
                log.warning("disk_not_measured", error=str(error))
            self.free, self._blind = None, True
            return
        self._blind = False
        if not self.enough and not self._told:
            log.error("disk_low", free_mib=self.free // MIB)
        elif self.enough and self._told:
            log.info("disk_enough_again", free_mib=self.free // MIB)
        self._told = not self.enough
