"""The process's log in a test: one output of its own, and what was there put back."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from edge import log


@contextmanager
def own_log(wall_ms: Callable[[], int]) -> Iterator[None]:
    """`edge.log.configure` may be called inside; no logger remembers it afterwards."""
    before = log.output, structlog.get_config(), logging.getLogger().handlers[:], logging.getLogger().level
    log.output = log.Output(wall_ms)
    try:
        yield
    finally:
        log.output = before[0]
        structlog.configure(**before[1])
        logging.getLogger().handlers[:] = before[2]
        logging.getLogger().setLevel(before[3])
