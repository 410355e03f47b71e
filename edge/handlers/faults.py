"""What a handler does wrong is said once: one that breaks breaks for every message."""

import traceback
from collections.abc import Hashable

import structlog

log = structlog.get_logger(__name__)

REMEMBERED = 1_000


class Faults:
    """I know what was said already; the same fault is one of the same handler at the same place."""

    def __init__(self) -> None:
        self.counted = 0
        self._said: set[Hashable] = set()

    def tell(self, handler: str, doing: str, error: BaseException) -> None:
        """Log a fault with its traceback, unless it was logged before; ``doing`` is what was asked of it."""
        self.counted += 1
        frames = traceback.extract_tb(error.__traceback__)
        place = (frames[-1].filename, frames[-1].lineno) if frames else ()
        fault = (handler, doing, type(error), place)
        if fault in self._said:
            return
        if len(self._said) >= REMEMBERED:
            self._said.clear()
        self._said.add(fault)
        lines = "".join(traceback.format_exception(error))
        log.error("handler_broken", handler=handler, doing=doing, error=lines)
