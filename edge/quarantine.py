"""MO messages that came before their number was anybody's: handed to whom it belongs to now.

They were acknowledged and kept (`unknown_did = "quarantine"`). An operator who added a forgotten number hands
them on: then they are in the owner's conversations, and each handler that is on now gets them.
"""

from collections.abc import Callable, Collection

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.deliveries import Outbox
from edge.directory import Directory
from edge.inbound import deliveries_of, wish_of
from edge.policy.optout import Heard, OptOuts
from storage import events, messages, quarantine
from storage.records import DeliveryState, Did, MessageRecord
from storage.statements import Write, execute_all
from storage.store import Store

log = structlog.get_logger(__name__)

STEP = 100
"""So many in one transaction."""


class NotOurs(Exception):
    """The number is nobody's here, or its owner has switched SMS off."""


class Quarantine:
    """I hand on what is kept. ``merging`` gives the upstreams whose repeats go to no handler."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        outbox: Outbox,
        opt_outs: OptOuts,
        merging: Callable[[], Collection[str]],
        wall_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._directory = directory
        self._outbox = outbox
        self._opt_outs = opt_outs
        self._merging = merging
        self._wall_ms = wall_ms

    def release(self, number: str) -> Deferred[int]:
        """Hand on all that came for this number, oldest first; how many. Errback NotOurs."""
        return Deferred.fromCoroutine(self._release(number))

    async def _release(self, number: str) -> int:
        did = await self._directory.find(number)
        if did is None or not did.sms_enabled:
            raise NotOurs(number)
        count = 0
        while True:
            released, heard = await self._store.writer.run("release", lambda conn: self._step(conn, did))
            for wish in heard:
                self._opt_outs.committed(wish)
            self._outbox.look(())
            count += released
            if released < STEP:
                break
        if count:
            log.info("quarantine_released", did=did.number, messages=count)
        return count

    def _step(self, conn: Connection, did: Did) -> tuple[int, list[Heard]]:
        found = quarantine.kept(conn, did.number, STEP)
        heard, now_ms = [], self._wall_ms()
        for record in found:
            message = record._replace(account_id=did.account_id, did_id=did.id)
            execute_all(conn, [*messages.adopt(message, now_ms), *self._owed(message, did, now_ms)])
            wish = wish_of(message, did, self._opt_outs)
            if wish is not None:
                wish.store(conn)
                heard.append(wish)
        return len(found), heard

    def _owed(self, message: MessageRecord, did: Did, now_ms: int) -> list[Write]:
        if message.duplicate_of is not None and message.upstream in self._merging():
            return []
        owed = [
            self._outbox.stamp(item) for item in deliveries_of(message, did, self._store.ids.next, now_ms)
        ]
        unit = messages.owe([item.delivery for item in owed])
        for item in owed:
            if item.delivery.state == DeliveryState.FAILED:
                unit += events.delivery_changed(item.delivery, DeliveryState.FAILED, now_ms)
        return unit
