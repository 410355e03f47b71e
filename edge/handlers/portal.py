"""The portal: the stored message is its delivery, so it owes no row and makes no attempt.

It is on for every DID and cannot be switched off. What has been read is kept with the message, by whoever
shows it.
"""

from twisted.internet.defer import Deferred, succeed

from edge.handlers import Delivered, Job, Outcome
from edge.handlers.base import DIDHandler


class PortalHandler(DIDHandler):
    """I am always on."""

    name = "portal"
    always_on = True

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """What was committed is there."""
        return succeed(Delivered("stored"))
