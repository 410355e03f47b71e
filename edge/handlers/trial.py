"""Trying a handler: a message that is stored nowhere is handed to it, now and once.

Whoever asks, the delivery has an id of its own and nothing is tried again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from edge.handlers import Delivered, Failed, Job, Outcome, registry
from edge.handlers.base import DIDHandler
from storage.records import DeliveryRecord, DeliveryState, Did, HandlerSetting, MessageRecord

log = structlog.get_logger(__name__)

TEXT = "This is a test of Trunkline."
PEER = "+12025550150"


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it; ``duration_ms`` is how long the handler took."""

    target: str
    outcome: Outcome
    duration_ms: int

    @property
    def delivered(self) -> bool:
        """Did the target take it?"""
        return isinstance(self.outcome, Delivered)


@dataclass(frozen=True, slots=True)
class Trials:
    """I try handlers. ``handlers`` are those that deliver, by name; ``seconds`` is the monotonic clock."""

    handlers: Mapping[str, DIDHandler]
    next_id: Callable[[], int]
    wall_ms: Callable[[], int]
    seconds: Callable[[], float]

    def can(self, name: str) -> bool:
        """Can this handler be tried without a real message, once it is set up?"""
        handler = self.handlers.get(name)
        return handler is not None and handler.testable

    def begin(self, did: Did, name: str, peer: str = PEER, text: str = TEXT) -> Deferred[Trial] | None:
        """Have the handler deliver a message from ``peer``; None when it is not set up for this DID, or can
        only be tried with a real message. Never an errback.
        """
        target = self._target(did, name, peer)
        if target is None:
            return None
        began = self.seconds()
        job = self._job(did, did.handlers[name], target, peer, text)
        trying: Deferred[Outcome] = maybeDeferred(self.handlers[name].deliver, job)
        return trying.addErrback(_broken, did.number).addCallback(
            lambda outcome: Trial(target, outcome, round((self.seconds() - began) * 1000))
        )

    def _target(self, did: Did, name: str, peer: str) -> str | None:
        setting, kind = did.handlers.get(name), registry.installed().kinds.get(name)
        if kind is None or setting is None or not self.can(name):
            return None
        targets = registry.installed().targets_of(kind, setting.settings, peer)
        return next((target for target in targets if target is not None), None)

    def _job(self, did: Did, setting: HandlerSetting, target: str, peer: str, text: str) -> Job:
        now_ms = self.wall_ms()
        message = MessageRecord(
            id=self.next_id(),
            account_id=did.account_id,
            did_id=did.id,
            direction="mo",
            leg="test",
            did=did.number,
            peer=peer,
            text=text,
            upstream=None,
            created_at=now_ms,
            parts_total=1,
        )
        delivery = DeliveryRecord(
            id=self.next_id(),
            message_id=message.id,
            account_id=did.account_id,
            did_id=did.id,
            handler=setting.handler,
            target=target,
            state=DeliveryState.PENDING,
            attempts=0,
            due_at=now_ms,
            created_at=now_ms,
            updated_at=now_ms,
        )
        return Job(delivery, message, 1, setting.settings)


def _broken(failure: Failure, number: str) -> Outcome:
    """Our own fault: to the log, not to who asked."""
    log.error("handler_broken", did=number, error=failure.getTraceback())
    return Failed("internal_error")
