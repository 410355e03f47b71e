"""Opening the store at the start; one that is away and will be back is waited for."""

from collections.abc import Callable
from functools import partial

import structlog
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from storage.errors import StoreUnavailable
from storage.store import Store

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 2.0


async def open_store(
    store: Store, clock: IReactorTime, running: Callable[[], bool], awaited: Callable[[], object]
) -> bool:
    """Open it, however long that takes; False when the server is to end first (it is not ``running``).

    ``awaited`` is called each time that the store was away. Raises what `Store.open` does, but no
    StoreUnavailable that ends by itself.
    """
    told = False
    while running():
        try:
            await store.open()
        except StoreUnavailable as error:
            returns = await store.in_thread(partial(store.engine.may_return, error)) if running() else True
            if not running():
                return False
            if not returns:
                raise
            if not told:
                log.error("store_awaited", error=str(error))
            told = True
            awaited()
            await deferLater(clock, AGAIN_SECONDS)
        else:
            return running()
    return False
