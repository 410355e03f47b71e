"""The status callback: the sender of a message is told what became of it, each time by a JSON POST.

    {"type": "message.status", "id": 7, "event_id": 9, "attempt": 1, "status": "failed",
     "from": "+12025550100", "to": "+12025550150", "at": "2026-01-31T12:00:00.000Z",
     "error": "ESME_RINVDSTADR (0x0000000B)"}

`status` is queued, sent, delivered or failed; `error` has the carrier's own code with failed,
`opted_out` or `given_up`. The mechanism
is the webhook's (`edge.handlers.posting`), and so are the keys: what is told of a DID's message is signed
with the DID's webhook keys, if it has any.
"""

from collections.abc import Callable
from typing import ClassVar

import orjson
from twisted.internet.defer import Deferred, succeed

from edge.carrier_errors import first_error
from edge.handlers import Job, Outcome, origin
from edge.handlers.base import Tools
from edge.handlers.endpoints import known_as
from edge.handlers.posting import Poster
from edge.handlers.webhook import WebhookHandler, iso, secrets_of
from storage import messages
from storage.endpoints import Endpoint
from storage.records import Did, MessageStatus, MessageView
from storage.store import Store


class StatusHandler:
    """I make status callbacks: the delivery's target is the URL, its event the state that is told."""

    name = "status"
    ordered: ClassVar[bool] = False

    def __init__(self, poster: Poster, store: Store, did: Callable[[str], Did | None]) -> None:
        self._poster = poster
        self._store = store
        self._did = did

    @classmethod
    def build(cls, tools: Tools) -> "StatusHandler":
        """With what the server has."""
        return cls(Poster.build(tools), tools.store, tools.did)

    def target_key(self, target: str) -> str:
        """See `edge.handlers.Handler`."""
        return origin(target)

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`. The carrier's code is looked up when there is one to tell."""
        delivery = job.delivery
        which = Endpoint(delivery.account_id, self.name, known_as(self.name, delivery.target))
        error: Deferred[str | None] = succeed(None)
        if delivery.event == MessageStatus.FAILED:
            error = self._store.read(messages.get, delivery.account_id, delivery.message_id).addCallback(
                _error
            )
        return error.addCallback(
            lambda code: self._poster.post(job, which, document(job, code), self._keys(job.message.did))
        )

    def _keys(self, number: str) -> list[str]:
        did = self._did(number)
        webhook = None if did is None else did.handlers.get(WebhookHandler.name)
        return [] if webhook is None else secrets_of(webhook.settings)


def document(job: Job, error: str | None) -> bytes:
    """The JSON body. ``event_id`` stays the same over all attempts, so a receiver can drop repeats."""
    document: dict[str, object] = {
        "type": "message.status",
        "id": job.message.id,
        "event_id": job.delivery.id,
        "attempt": job.attempt,
        "status": job.delivery.event,
        "from": job.message.did,
        "to": job.message.peer,
        "at": iso(job.delivery.created_at),
    }
    if error is not None:
        document["error"] = error
    return orjson.dumps(document)


def _error(view: MessageView | None) -> str | None:
    return None if view is None else first_error(view.parts)
