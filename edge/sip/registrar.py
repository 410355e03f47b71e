"""REGISTER: where a phone is (RFC 3261 §10.3, RFC 5626 §6, RFC 3327).

The answer comes after the commit and lists every contact of the address-of-record. Who may register what has
been decided by the gate: the address-of-record in To must be that of the account.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edge.sip.agent import Incoming, Reply
from edge.sip.bindings import Binding, Bindings
from edge.sip.listeners import place
from protocols.sip.answers import reason_phrase
from protocols.sip.errors import BadValue
from protocols.sip.headers import NameAddr, format_params, parse_address_list, parse_number
from protocols.sip.message import Request
from protocols.sip.uri import URI
from storage import registrations
from storage.registrations import BindingRecord
from storage.sip_accounts import SipAccount
from storage.store import Store

log = structlog.get_logger(__name__)

MOST_WAITING = 20
"""So many changes of one address-of-record wait for the one that is being stored."""

Identify = Callable[[Incoming], SipAccount | Reply]


@dataclass(frozen=True, slots=True)
class Expiry:
    """Seconds that a binding may last."""

    least: int = 60
    usual: int = 3_600
    most: int = 7_200


@dataclass(slots=True)
class Counters:
    """What was registered since the start, for operators."""

    registered: int = 0
    removed: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class _Change:
    gone: tuple[int, ...]
    kept: tuple[Binding, ...]


class _Refuse(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Registrar:
    """I am the method REGISTER. ``registered`` is told each address-of-record whose phone is there
    (again)."""

    def __init__(
        self,
        domain: str,
        identify: Identify,
        bindings: Bindings,
        store: Store,
        expiry: Expiry,
        max_contacts: int,
        wall_ms: Callable[[], int],
        registered: Callable[[str], None],
    ) -> None:
        self.counters = Counters()
        self._domain = domain
        self._identify = identify
        self._bindings = bindings
        self._store = store
        self._expiry = expiry
        self._max_contacts = max_contacts
        self._wall_ms = wall_ms
        self._registered = registered
        self._turns: dict[int, deque[Deferred[None]]] = {}

    def __call__(self, incoming: Incoming) -> Reply | Deferred[Reply]:
        """Take one REGISTER."""
        return self._answered(lambda: self._in_turn(incoming, self._account(incoming)))

    def _answered(self, decide: Callable[[], Reply | Deferred[Reply]]) -> Reply | Deferred[Reply]:
        try:
            return decide()
        except _Refuse as refused:
            self.counters.refused += refused.reply.status != 401
            return refused.reply
        except BadValue as error:
            self.counters.refused += 1
            return Reply(400, reason_phrase(f"Bad {error.field} ({error.problem})"))

    def _in_turn(self, incoming: Incoming, account: SipAccount) -> Reply | Deferred[Reply]:
        """One change of an address-of-record at a time: each is decided on what the one before has made."""
        waiting = self._turns.get(account.id)
        if waiting is None:
            said = self._decide(incoming, account)
            if isinstance(said, Reply):
                return said
            self._turns[account.id] = deque()
            return said.addBoth(self._next_turn, account.id)
        if len(waiting) >= MOST_WAITING:
            raise _Refuse(Reply(503, "Too many at once; try again", (("Retry-After", "5"),)))
        turn: Deferred[None] = Deferred()
        waiting.append(turn)
        decided: Deferred[Reply] = turn.addCallback(
            lambda _: self._answered(lambda: self._decide(incoming, account))
        )
        return decided.addBoth(self._next_turn, account.id)

    def _next_turn(self, result: Any, account_id: int) -> Any:
        waiting = self._turns[account_id]
        if waiting:
            waiting.popleft().callback(None)
        else:
            del self._turns[account_id]
        return result

    def _decide(self, incoming: Incoming, account: SipAccount) -> Reply | Deferred[Reply]:
        change = self._change(incoming, account)
        if not change.gone and not change.kept:
            return self._listing(account, incoming.request)
        records = [binding.record for binding in change.kept]
        done = self._store.writer.run(
            "register", lambda connection: registrations.change(connection, change.gone, records)
        )
        return done.addCallbacks(
            self._committed, _not_stored, callbackArgs=(account, change, incoming.request)
        )

    def _committed(self, _: None, account: SipAccount, change: _Change, request: Request) -> Reply:
        self._bindings.apply(account.id, change.gone, change.kept)
        self.counters.registered += len(change.kept)
        self.counters.removed += len(change.gone)
        if change.kept:
            self._registered(account.aor)
        return self._listing(account, request)

    def _account(self, incoming: Incoming) -> SipAccount:
        uri = _sip_uri(incoming.keys.to.parsed(), "To")
        account = self._identify(incoming)
        if isinstance(account, Reply):
            raise _Refuse(account)
        if uri.host != self._domain or uri.aor != account.aor:
            raise _Refuse(Reply(403, f"This user may register {account.aor} only"))
        return account

    # -- what a request changes -------------------------------------------------------------------

    def _change(self, incoming: Incoming, account: SipAccount) -> _Change:
        request = incoming.request
        contacts = request.headers.all("Contact")
        present = self._bindings.of(account.id)
        if [value.strip() for value in contacts] == ["*"]:
            return self._remove_all(incoming, present)
        now_ms = self._wall_ms()
        gone: list[int] = []
        kept: list[Binding] = []
        for contact in parse_address_list(contacts, "Contact"):
            _sip_uri(contact.parsed(), "Contact")
            seconds = self._seconds(contact, request)
            same = _same(contact, present)
            for binding in same:
                _check_order(binding.record, incoming)
            if seconds:
                record = self._record(incoming, account, contact, same, now_ms, seconds)
                kept.append(Binding(record, incoming.flow))
                same = [binding for binding in same if binding.record.id != record.id]
            gone += [binding.record.id for binding in same]
        return self._limited(present, gone, kept)

    def _remove_all(self, incoming: Incoming, present: list[Binding]) -> _Change:
        if parse_number(incoming.request.headers.get("Expires") or "1", "Expires") != 0:
            raise _Refuse(Reply(400, "Contact * needs Expires 0"))
        for binding in present:
            _check_order(binding.record, incoming)
        return _Change(tuple(binding.record.id for binding in present), ())

    def _limited(self, present: list[Binding], gone: list[int], kept: list[Binding]) -> _Change:
        """At most so many contacts; the one not refreshed for longest goes first."""
        if len(kept) > self._max_contacts:
            raise _Refuse(Reply(403, f"At most {self._max_contacts} contacts"))
        touched = {*gone, *(binding.record.id for binding in kept)}
        others = [binding for binding in present if binding.record.id not in touched]
        surplus = len(others) + len(kept) - self._max_contacts
        gone = [*gone, *(binding.record.id for binding in others[: max(0, surplus)])]
        return _Change(tuple(gone), tuple(kept))

    def _seconds(self, contact: NameAddr, request: Request) -> int:
        """How long the contact is asked to last, within our bounds; 0: it is to go."""
        written = contact.params.get("expires") or request.headers.get("Expires")
        try:
            seconds = self._expiry.usual if written is None else parse_number(written, "Expires")
        except BadValue:
            seconds = self._expiry.usual  # as if it were not there: RFC 3261 §10.2.1.1
        if 0 < seconds < self._expiry.least:
            raise _Refuse(Reply(423, None, (("Min-Expires", str(self._expiry.least)),)))
        return min(seconds, self._expiry.most)

    def _record(
        self,
        incoming: Incoming,
        account: SipAccount,
        contact: NameAddr,
        same: list[Binding],
        now_ms: int,
        seconds: int,
    ) -> BindingRecord:
        exact = [binding.record.id for binding in same if binding.record.contact == contact.uri]
        host, port = incoming.flow.peer
        return BindingRecord(
            id=exact[0] if exact else self._store.ids.next(),
            sip_account_id=account.id,
            contact=contact.uri,
            instance=contact.params.get("+sip.instance"),
            reg_id=contact.params.get("reg-id"),
            call_id=incoming.keys.call_id,
            cseq=incoming.keys.cseq.number,
            transport=incoming.flow.kind,
            host=host,
            port=port,
            path=", ".join(incoming.request.headers.all("Path")) or None,
            user_agent=(incoming.request.headers.get("User-Agent") or "")[:200] or None,
            registered_at=now_ms,
            expires_at=now_ms + seconds * 1000,
            local=place(incoming.flow.local),
        )

    # -- the answer -------------------------------------------------------------------------------

    def _listing(self, account: SipAccount, request: Request) -> Reply:
        now_ms = self._wall_ms()
        fields = [("Date", formatdate(now_ms / 1000, usegmt=True))]
        for binding in self._bindings.of(account.id):
            record = binding.record
            params: dict[str, str | None] = {"expires": str((record.expires_at - now_ms + 999) // 1000)}
            if record.instance is not None:
                params["+sip.instance"] = record.instance
            if record.reg_id is not None:
                params["reg-id"] = record.reg_id
            fields.append(("Contact", f"<{record.contact}>{format_params(params)}"))
        fields += [("Path", value) for value in request.headers.all("Path")]
        return Reply(200, None, tuple(fields))


def _sip_uri(uri: URI, field: str) -> URI:
    if not uri.is_sip:
        raise BadValue(field, "is no SIP URI")
    return uri


def _same(contact: NameAddr, present: list[Binding]) -> list[Binding]:
    """The bindings that this contact replaces: of the same URI, or of the same instance and reg-id."""
    instance, reg_id = contact.params.get("+sip.instance"), contact.params.get("reg-id")
    return [
        binding
        for binding in present
        if binding.record.contact == contact.uri
        or (instance is not None and (binding.record.instance, binding.record.reg_id) == (instance, reg_id))
    ]


def _check_order(record: BindingRecord, incoming: Incoming) -> None:
    """A REGISTER that overtook a newer one of the same phone changes nothing (RFC 3261 §10.3, step 7)."""
    if record.call_id == incoming.keys.call_id and incoming.keys.cseq.number <= record.cseq:
        raise _Refuse(Reply(500, "CSeq is not above the last"))


def _not_stored(failure: Failure) -> Reply:
    log.error("binding_not_stored", error=failure.getErrorMessage())
    return Reply(503, None, (("Retry-After", "5"),))
