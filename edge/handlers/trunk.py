"""The trunk handler: a message goes as SIP MESSAGE to a PBX, a proxy or a provider (`[[sip.trunk]]`)."""

from collections.abc import Callable
from typing import ClassVar

from twisted.internet.defer import Deferred, succeed

from edge.handlers import Delivered, Failed, Job, Outcome, Retry
from edge.handlers.base import DIDHandler, Key, Line, Tools
from edge.handlers.sip import TEXT
from edge.sip.delivery import AWAY, Result, Verdict
from edge.sip.trunks import Trunk, TrunkText
from storage import contacts
from storage.store import Store

WAITS = (15.0, 30.0, 60.0, 120.0, 300.0, 900.0)
"""Seconds until the next attempt at a trunk that does not answer, or cannot."""

NOT_THERE_SECONDS = 300.0


class TrunkHandler(DIDHandler):
    """I bring messages to trunks. One message of a number is under way at a time (RFC 3428 §8)."""

    name = "trunk"
    ordered: ClassVar[bool] = True
    line: ClassVar[Line] = "number"
    main = "name"
    keys = (Key("name", "text", "the name of a [[sip.trunk]] of the configuration", "trunk"),)

    def __init__(
        self,
        find: Callable[[str], Trunk | None],
        store: Store,
        keep_seconds: float,
        wall_ms: Callable[[], int],
    ) -> None:
        self._find = find
        self._store = store
        self._keep_seconds = keep_seconds
        self._wall_ms = wall_ms
        self.give_up_seconds = keep_seconds + NOT_THERE_SECONDS  # it says `expired` itself, before

    @classmethod
    def available(cls, tools: Tools) -> bool:
        """See `DIDHandler`: only with [sip]."""
        return cls.name in tools.sip

    @classmethod
    def build(cls, tools: Tools) -> "TrunkHandler":
        """The one of the server's SIP side."""
        found = tools.sip[cls.name]
        assert isinstance(found, cls)
        return found

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`."""
        left = self._keep_seconds - (self._wall_ms() - job.delivery.begun_at) / 1000
        if left <= 0:
            return succeed(Failed("expired"))
        trunk = self._find(job.delivery.target)
        if trunk is None:
            return succeed(Retry("no_such_trunk", min(NOT_THERE_SECONDS, left), AWAY))
        if not trunk.serves(job.delivery.account_id):
            return succeed(Failed("trunk_not_yours"))
        return Deferred.fromCoroutine(self._send(trunk, job, left))

    async def _send(self, trunk: Trunk, job: Job, left: float) -> Outcome:
        message = job.message
        known = await self._store.read(contacts.of_number, job.delivery.account_id, message.peer)
        text = TrunkText(
            identity=job.delivery.id,
            attempt=job.attempt,
            did=message.did,
            source=message.peer,
            name="" if known is None else known.name,
            content_type=TEXT,
            body=message.text.encode("utf-8", "replace"),
            created_at=message.created_at,
        )
        return _outcome(await trunk.send(text), job.turn, left)


def _outcome(verdict: Verdict, turn: int, left: float) -> Outcome:
    match verdict.result:
        case Result.DELIVERED:
            return Delivered("delivered", verdict.status, verdict.reason)
        case Result.UNREACHABLE:
            wait = WAITS[min(turn, len(WAITS)) - 1]
            return Retry("trunk_unreachable", min(wait, left), verdict.status, verdict.reason)
    return Failed(str(verdict.result.value), verdict.status, verdict.reason)
