"""MESSAGE: what a phone or a trunk sends becomes a message to a number (RFC 3428 §7).

    MESSAGE ─ taken? ─┬─ yes ─► 202
                      └─ who? ─ From is his ─ what? ─┬─ text ─► Outbound ─ commit ─► 202
                                                     ├─ receipt, typing ─► 200
                                                     └─ anything else ─► 415
202 and never 200: we store and relay. The request's key goes into the transaction of its message, so that its
retransmission after a restart, or by another connection, is answered 202 and sends nothing. That is asked
before who it is: a phone whose credentials are too old by then would answer the challenge with the next CSeq,
and nothing could tell that from a new text.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from edge.errors import Refused, Unavailable
from edge.outbound import Accepted, Draft, Outbound
from edge.sip.agent import Incoming, Reply
from edge.sip.guard import Guard
from edge.sip.reports import Reports
from edge.sip.senders import Sender, Source
from protocols.sip.answers import reason_phrase
from protocols.sip.body import ACCEPT, ACCEPT_ENCODING, Composing, Content, Unsupported, read_body
from protocols.sip.errors import BadValue
from protocols.sip.imdn import Receipt
from protocols.sip.uri import parse_uri
from storage import registrations

log = structlog.get_logger(__name__)

LEG = "sip"
REMEMBERED = 100_000
AGAIN_SECONDS = 5
STATUSES = {"invalid_number": 404, "text_too_long": 413, "text_empty": 400, "no_route": 480, "loop": 482}
"""SIP status by `Refused.code`; every other refusal is 403 with its sentence."""


@dataclass(slots=True)
class Counters:
    """What phones sent since the start, for operators."""

    accepted: int = 0
    refused: int = 0
    repeated: int = 0
    receipts: int = 0
    typing: int = 0
    unsupported: int = 0
    not_stored: int = 0


class Intake:
    """I am the method MESSAGE. ``now`` is monotonic seconds, ``wall_ms`` goes into the store."""

    def __init__(
        self,
        who: Callable[[Incoming], Sender | Reply],
        guard: Guard,
        outbound: Outbound,
        reports: Reports,
        now: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        self.counters = Counters()
        self._who = who
        self._guard = guard
        self._outbound = outbound
        self._reports = reports
        self._now = now
        self._wall_ms = wall_ms
        self._taken: OrderedDict[str, Deferred[Reply] | None] = OrderedDict()

    def restore(self, taken: Mapping[str, int]) -> None:
        """The requests that the last run took."""
        self._taken.update(dict.fromkeys(taken))

    def __call__(self, incoming: Incoming) -> Reply | Deferred[Reply]:
        """Take one MESSAGE."""
        key = taken_key(incoming)
        if key in self._taken:
            self.counters.repeated += 1
            return _after(self._taken[key])
        sender = self._who(incoming)
        if isinstance(sender, Reply):
            return sender
        try:
            return self._take(incoming, sender, key)
        except Refused as error:
            return self._refuse(error)
        except BadValue as error:
            self.counters.refused += 1
            return Reply(400, reason_phrase(f"Bad {error.field} ({error.problem})"))

    def _take(self, incoming: Incoming, sender: Sender, key: str) -> Deferred[Reply]:
        source = sender.source(incoming)
        headers = incoming.request.headers
        read = read_body(headers.get("Content-Type"), headers.get("Content-Encoding"), incoming.request.body)
        if isinstance(read, Content):
            return self._submit(incoming, sender, source, read, key)
        if isinstance(read, Receipt):
            self.counters.receipts += 1
            phone = sender.phone
            return succeed(Reply(200)) if phone is None else self._reports.take(read, phone)
        return succeed(self._control(read))

    def _control(self, read: Composing | Unsupported) -> Reply:
        if isinstance(read, Composing):
            self.counters.typing += 1
            return Reply(200)
        self.counters.unsupported += 1
        if read.encoding:
            return Reply(415, None, (("Accept-Encoding", ACCEPT_ENCODING),))
        return Reply(415, None, (("Accept", ACCEPT),))

    # -- text -------------------------------------------------------------------------------------

    def _submit(
        self, incoming: Incoming, sender: Sender, source: Source, content: Content, key: str
    ) -> Deferred[Reply]:
        if not self._guard.admits_account(sender.rate_key(source), self._now()):
            return succeed(Reply(503, "Too many messages; wait a moment", (("Retry-After", "10"),)))
        draft = Draft(
            source.account_id,
            source.number,
            sender.destination(incoming),
            content.text,
            LEG,
            sender.told_at(content),
        )
        done = self._outbound.submit(
            draft, lambda message_id: [registrations.taken(key, message_id, self._wall_ms())]
        )
        waiting: Deferred[Reply] = Deferred()
        self._remember(key, waiting)
        return done.addCallbacks(self._accepted, self._not_accepted).addCallback(self._settle, key, waiting)

    def _accepted(self, accepted: Accepted) -> Reply:
        self.counters.accepted += 1
        return Reply(202)

    def _not_accepted(self, failure: Failure) -> Reply:
        error = failure.value
        if isinstance(error, Refused):
            return self._refuse(error)
        if isinstance(error, Unavailable):
            self.counters.not_stored += 1
            return Reply(503, None, (("Retry-After", str(round(error.retry_after))),))
        log.error("message_not_taken", error=failure.getTraceback())
        return Reply(500, None, (("Retry-After", str(AGAIN_SECONDS)),))

    def _settle(self, reply: Reply, key: str, waiting: Deferred[Reply]) -> Reply:
        if reply.status == 202:
            self._taken[key] = None
        else:
            self._taken.pop(key, None)  # it may be tried again
        waiting.callback(reply)
        return reply

    def _remember(self, key: str, waiting: Deferred[Reply]) -> None:
        self._taken[key] = waiting
        if len(self._taken) > REMEMBERED:
            self._taken.popitem(last=False)

    def _refuse(self, error: Refused) -> Reply:
        self.counters.refused += 1
        return Reply(STATUSES.get(error.code, 403), reason_phrase(error.sentence))


def taken_key(incoming: Incoming) -> str:
    """What a request keeps over every retransmission, through whichever proxy: Call-ID, CSeq, From, every
    place that can name the number that it is for, and its body; another text is never taken for a repeat,
    whatever its sender counts.

    The host of the Request-URI does not count: a proxy that turns to our other address writes another.
    """
    request, keys = incoming.request, incoming.keys
    uri = parse_uri(request.uri)
    parts = (
        keys.call_id,
        str(keys.cseq.number),
        keys.from_.tag or "",
        keys.from_.uri,
        uri.scheme,
        uri.user,
        uri.context or "",
        request.headers.get("X-SMS-To") or "",
        keys.to.uri.partition("@")[0],
    )
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape"))
    digest.update(b"\0" + request.body)
    return digest.hexdigest()


def _after(waiting: "Deferred[Reply] | None") -> "Deferred[Reply]":
    """The answer of the request that this one repeats."""
    if waiting is None:
        return succeed(Reply(202))
    same: Deferred[Reply] = Deferred()

    def pass_on(reply: Reply) -> Reply:
        same.callback(reply)
        return reply

    waiting.addCallback(pass_on)
    return same
