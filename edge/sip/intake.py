"""MESSAGE: what a phone sends becomes a message to a number (RFC 3428 §7).

    MESSAGE ─ who? ─ From is his ─ what? ─┬─ text ─► Outbound ─ commit ─► 202
                                          ├─ receipt, typing ─► 200
                                          └─ anything else ─► 415
202 and never 200: we store and relay. The request's key goes into the transaction of its message, so that its
retransmission after a restart is answered 202 and sends nothing.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson
import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from edge.errors import Refused, Unavailable
from edge.outbound import Accepted, Draft, Outbound
from edge.policy import numbers
from edge.sip.agent import Incoming, Reply
from edge.sip.gate import Denied
from edge.sip.guard import Guard
from edge.sip.registrar import Identify
from protocols.sip.answers import reason_phrase
from protocols.sip.body import ACCEPT, ACCEPT_ENCODING, Composing, Content, Unsupported, read_body
from protocols.sip.errors import BadValue
from protocols.sip.headers import NameAddr, parse_name_addr
from protocols.sip.imdn import Receipt, Wish
from protocols.sip.uri import parse_uri
from storage import registrations
from storage.sip_accounts import SipAccount

log = structlog.get_logger(__name__)

LEG = "sip"
IMDN = "imdn:"
"""What the status target of a message begins with whose sender wants a receipt on his phone."""

REMEMBERED = 100_000
STATUSES = {"invalid_number": 404, "text_too_long": 413, "text_empty": 400, "no_route": 480}
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
        domain: str,
        region: str,
        identify: Identify,
        guard: Guard,
        outbound: Outbound,
        now: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        self.counters = Counters()
        self._domain = domain
        self._region = region
        self._identify = identify
        self._guard = guard
        self._outbound = outbound
        self._now = now
        self._wall_ms = wall_ms
        self._taken: OrderedDict[str, Deferred[Reply] | None] = OrderedDict()

    def restore(self, taken: Mapping[str, int]) -> None:
        """The requests that the last run took."""
        self._taken.update(dict.fromkeys(taken))

    def __call__(self, incoming: Incoming) -> Deferred[Reply]:
        """Take one MESSAGE."""
        account = self._identify(incoming)
        if isinstance(account, Denied):
            return succeed(Reply(account.status, account.reason, account.fields))
        try:
            return self._take(incoming, account)
        except Refused as error:
            return succeed(self._refuse(error))
        except BadValue as error:
            self.counters.refused += 1
            return succeed(Reply(400, f"Bad {error.field}"))

    def _take(self, incoming: Incoming, account: SipAccount) -> Deferred[Reply]:
        source = self._source(incoming, account)
        headers = incoming.request.headers
        read = read_body(headers.get("Content-Type"), headers.get("Content-Encoding"), incoming.request.body)
        if isinstance(read, Content):
            return self._submit(incoming, account, source, read)
        return succeed(self._control(read, account))

    def _control(self, read: Receipt | Composing | Unsupported, account: SipAccount) -> Reply:
        match read:
            case Receipt():
                self.counters.receipts += 1
                log.info("sip_receipt", user=account.username, kind=read.kind, status=read.status)
                return Reply(200)
            case Composing():
                self.counters.typing += 1
                return Reply(200)
        self.counters.unsupported += 1
        if read.encoding:
            return Reply(415, None, (("Accept-Encoding", ACCEPT_ENCODING),))
        return Reply(415, None, (("Accept", ACCEPT),))

    # -- the two numbers --------------------------------------------------------------------------

    def _source(self, incoming: Incoming, account: SipAccount) -> str:
        """The DID to send as: what a trusted peer asserts, else what From says, else the account's first."""
        if self._guard.trusts(incoming.flow.peer[0]):
            for value in incoming.request.headers.all("P-Asserted-Identity")[:1]:
                return self._own(parse_name_addr(value, "P-Asserted-Identity"), account)
        uri = incoming.keys.from_.parsed()
        if uri.is_sip and uri.aor == account.aor:
            return account.dids[0]
        if uri.is_sip and uri.host != self._domain:
            raise Refused("foreign_from", f"From must be of {self._domain}", "from", 403)
        return self._own(incoming.keys.from_, account)

    def _own(self, address: NameAddr, account: SipAccount) -> str:
        try:
            number = numbers.destination(address.parsed().number, self._region, "from")
        except Refused:
            number = ""
        if number not in account.dids:
            raise Refused("foreign_from", f"{account.username} may not send under this From", "from", 403)
        return number

    def _destination(self, incoming: Incoming) -> str:
        """The number in the Request-URI, in any spelling of the region; ``X-SMS-To`` when there is none."""
        uri = parse_uri(incoming.request.uri)
        named = incoming.request.headers.get("X-SMS-To")
        return uri.number if uri.user or named is None else named

    # -- text -------------------------------------------------------------------------------------

    def _submit(
        self, incoming: Incoming, account: SipAccount, source: str, content: Content
    ) -> Deferred[Reply]:
        key = taken_key(incoming)
        if key in self._taken:
            self.counters.repeated += 1
            return _after(self._taken[key])
        if not self._guard.admits_account(account.username, self._now()):
            return succeed(Reply(503, "Too many messages; wait a moment", (("Retry-After", "10"),)))
        destination = numbers.destination(self._destination(incoming), self._region)
        draft = Draft(
            account.account_id,
            source,
            destination,
            content.text,
            LEG,
            imdn_target(account.username, content),
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
        failure.raiseException()
        raise AssertionError

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
    """What a request keeps over every retransmission, through whichever proxy: Call-ID, CSeq and From tag."""
    keys = incoming.keys
    text = f"{keys.call_id}\0{keys.cseq.number}\0{keys.from_.tag or ''}\0{keys.from_.uri}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def imdn_target(username: str, content: Content) -> str | None:
    """Whom to tell what became of a message, as its status target; None when nobody wants to know."""
    wanted = content.wants & {Wish.POSITIVE, Wish.NEGATIVE}
    if content.message_id is None or not wanted:
        return None
    wishes = sorted(wish.value for wish in wanted)
    return IMDN + orjson.dumps({"user": username, "id": content.message_id, "wants": wishes}).decode()


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
