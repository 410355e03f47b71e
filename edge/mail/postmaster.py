"""Mail to postmaster@ and abuse@ of our domain (RFC 5321 §4.5.1, RFC 2142): a person's, never an SMS.

It goes on to the operator while its sender waits for our answer: he gets 250 when the operator's server has
it, else a 4yz, and his own server tries again. So nothing is stored, nothing is lost, and of a mail that the
operator's server refuses we need not tell a sender who may be forged.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import Message

import structlog
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from edge.mail.authentication import Arrival
from edge.mail.sending import Send
from protocols.mail import compose
from protocols.mail.screening import LOOP_HEADER
from protocols.mail.smtp import Envelope, Reply, Verdict

log = structlog.get_logger(__name__)

AT_ONCE = 5
FORWARD_SECONDS = 240.0  # a client waits at least ten minutes for the answer to its dot (RFC 5321 §4.5.3.2.6)
MAX_HOPS = 30

LOOPS = Reply(554, f"5.4.6 The mail goes round: it has been here before, or at more than {MAX_HOPS} servers")
NOT_WANTED = Reply(550, "5.3.0 The postmaster's own server refused the mail")
NOT_NOW = Reply(451, "4.4.1 The postmaster's own server does not take the mail now; try again")


class Postmaster:
    """I bring mail to ``to``; ``name`` is this server's, ``domain`` the one that it takes mail for."""

    def __init__(
        self, to: str, name: str, domain: str, send: Send, clock: IReactorTime, wall_ms: Callable[[], int]
    ) -> None:
        self._to = to
        self._name = name
        self._domain = domain
        # As `compose.received` ends: a server of the same name that has the mail first says more behind it.
        self._trace = re.compile(rf"\sby\s+{re.escape(name)};", re.IGNORECASE)
        self._send = send
        self._clock = clock
        self._wall_ms = wall_ms
        self._room = DeferredSemaphore(AT_ONCE)

    async def forward(self, arrival: Arrival, message: Message) -> Reply | None:
        """None when the operator's server has it, else what its sender is answered.

        The mail stays as it is, so a signature stays good.
        """
        if self._goes_round(message):
            return LOOPS
        at = datetime.fromtimestamp(self._wall_ms() / 1000, UTC)
        trace = compose.received(arrival.hello, arrival.peer, self._name, at)
        # The null sender: what the operator's server cannot deliver later on comes back to nobody.
        verdict = await self._sent(Envelope("", self._to, trace + arrival.octets))
        if verdict.outcome == "sent":
            log.info("mail_forwarded", peer=arrival.peer, sender=arrival.sender[:100])
            return None
        log.warning("mail_not_forwarded", error=str(verdict), final=verdict.final)
        return NOT_WANTED if verdict.final else NOT_NOW

    def _goes_round(self, message: Message) -> bool:
        """Two servers that are each other's postmaster would wait for each other until both time out."""
        hops = [str(value) for value in message.get_all("Received", [])]
        wrote = [str(value).strip() for value in message.get_all(LOOP_HEADER, [])]
        return len(hops) > MAX_HOPS or any(map(self._trace.search, hops)) or self._domain in wrote

    def _sent(self, envelope: Envelope) -> Deferred[Verdict]:
        sending = self._room.run(self._send, envelope)
        return sending.addTimeout(FORWARD_SECONDS, self._clock).addErrback(_too_slow)


def _too_slow(failure: Failure) -> Verdict:
    failure.trap(DeferredTimeout, CancelledError, ConnectingCancelledError)
    return Verdict("timeout", None, False, "connect")
