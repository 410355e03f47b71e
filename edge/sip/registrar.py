"""REGISTER: where a phone is (RFC 3261 §10.3, RFC 5626 §6, RFC 3327).

The answer comes after the commit and lists every contact of the address-of-record. Who may register what has
been decided by the gate: the address-of-record in To must be that of the account.
"""

from collections import deque
from collections.abc import Callable, Sequence
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
from protocols.sip.uri import URI, comparable
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


@dataclass(frozen=True, slots=True)
class _Phone:
    """What tells a contact from the others: its ``key``, else ``instance`` and reg-id, None where it names
    none (RFC 5626)."""

    key: str
    instance: tuple[str, str | None] | None

    @classmethod
    def of(cls, contact: str, instance: str | None, reg_id: str | None) -> "_Phone":
        """The one at a contact."""
        return cls(contact_key(contact), None if instance is None else (instance, reg_id))

    @classmethod
    def bound(cls, binding: Binding) -> "_Phone":
        """The one that a binding is of."""
        record = binding.record
        return cls.of(record.contact, record.instance, record.reg_id)

    def is_at(self, other: "_Phone") -> bool:
        """Whether it has the same contact."""
        return self.key == other.key

    def is_same(self, other: "_Phone") -> bool:
        """Whether the one replaces the other."""
        return self.is_at(other) or (self.instance is not None and self.instance == other.instance)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A contact in a REGISTER; for 0 ``seconds`` it is to go."""

    contact: NameAddr
    phone: _Phone
    seconds: int

    def concerns(self, bound: _Phone) -> bool:
        """Whether a binding is replaced, or goes. A phone that has moved takes its old contact away by its
        URI; what it says of itself there is true of the new one too, unless it names its flow."""
        names_flow = self.phone.instance is not None and self.phone.instance[1] is not None
        return self.phone.is_same(bound) if self.seconds or names_flow else self.phone.is_at(bound)

    def outdates(self, earlier: "_Asked") -> bool:
        """Whether of two in one REGISTER this one counts. A contact that is to go names its URI: the phone
        that moved may write the same instance there."""
        both_stay = bool(self.seconds and earlier.seconds)
        return self.phone.is_same(earlier.phone) if both_stay else self.phone.is_at(earlier.phone)


class _Refuse(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Registrar:
    """I am the method REGISTER. ``changed`` is told what has been committed: the address-of-record, the
    bindings of the phones that are there (again), the ids of those that have gone."""

    def __init__(
        self,
        domain: str,
        identify: Identify,
        bindings: Bindings,
        store: Store,
        expiry: Expiry,
        max_contacts: int,
        wall_ms: Callable[[], int],
        changed: Callable[[str, Sequence[Binding], Sequence[int]], None],
    ) -> None:
        self.counters = Counters()
        self._domain = domain
        self._identify = identify
        self._bindings = bindings
        self._store = store
        self._expiry = expiry
        self._max_contacts = max_contacts
        self._wall_ms = wall_ms
        self._changed = changed
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
            "register", lambda connection: registrations.change(connection, change.gone, records, contact_key)
        )
        return done.addCallbacks(
            self._committed, _not_stored, callbackArgs=(account, change, incoming.request)
        )

    def _committed(self, _: None, account: SipAccount, change: _Change, request: Request) -> Reply:
        self._bindings.apply(account.id, change.gone, change.kept)
        self.counters.registered += len(change.kept)
        self.counters.removed += len(change.gone)
        self._changed(account.aor, change.kept, change.gone)
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
        asked = self._asked(contacts, request)
        touched = [
            binding for binding in present if any(one.concerns(_Phone.bound(binding)) for one in asked)
        ]
        for binding in touched:
            _check_order(binding.record, incoming)
        ids = _ids(asked, touched)
        now_ms = self._wall_ms()
        kept = [
            Binding(self._record(incoming, account, one, identity, now_ms), incoming.flow)
            for one, identity in zip((one for one in asked if one.seconds), ids, strict=True)
        ]
        gone = [binding.record.id for binding in touched if binding.record.id not in ids]
        return self._limited(present, gone, kept)

    def _asked(self, contacts: list[str], request: Request) -> list[_Asked]:
        """The contacts of a REGISTER; of those that are the same the last."""
        found: list[_Asked] = []
        written = parse_address_list(contacts, "Contact")
        if len(written) > 2 * self._max_contacts:  # all new, and all that there were to go
            raise _Refuse(self._too_many())
        for contact in written:
            _sip_uri(contact.parsed(), "Contact")
            instance, reg_id = contact.params.get("+sip.instance"), contact.params.get("reg-id")
            asked = _Asked(contact, _Phone.of(contact.uri, instance, reg_id), self._seconds(contact, request))
            found = [*(one for one in found if not asked.outdates(one)), asked]
        return found

    def _remove_all(self, incoming: Incoming, present: list[Binding]) -> _Change:
        if parse_number(incoming.request.headers.get("Expires") or "1", "Expires") != 0:
            raise _Refuse(Reply(400, "Contact * needs Expires 0"))
        for binding in present:
            _check_order(binding.record, incoming)
        return _Change(tuple(binding.record.id for binding in present), ())

    def _limited(self, present: list[Binding], gone: list[int], kept: list[Binding]) -> _Change:
        """At most so many contacts; the one not refreshed for longest goes first."""
        if len(kept) > self._max_contacts:
            raise _Refuse(self._too_many())
        touched = {*gone, *(binding.record.id for binding in kept)}
        others = [binding for binding in present if binding.record.id not in touched]
        surplus = len(others) + len(kept) - self._max_contacts
        gone = [*gone, *(binding.record.id for binding in others[: max(0, surplus)])]
        return _Change(tuple(gone), tuple(kept))

    def _too_many(self) -> Reply:
        return Reply(403, f"At most {self._max_contacts} contacts")

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
        asked: _Asked,
        identity: int | None,
        now_ms: int,
    ) -> BindingRecord:
        contact = asked.contact
        host, port = incoming.flow.peer
        return BindingRecord(
            id=self._store.ids.next() if identity is None else identity,
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
            expires_at=now_ms + asked.seconds * 1000,
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


def _ids(asked: list[_Asked], touched: list[Binding]) -> list[int | None]:
    """The id of each contact that stays; None for a new one.

    A phone that moved keeps its id, and so what is under way to it: it is the same instance, or its REGISTER
    takes its old contact away.
    """
    staying = [one for one in asked if one.seconds]
    ids: list[int | None] = [None] * len(staying)
    free = {binding.record.id: _Phone.bound(binding) for binding in touched}
    for is_this in (_Phone.is_at, _Phone.is_same, _is_any):
        for index, one in enumerate(staying):
            alike = [identity for identity, phone in free.items() if is_this(one.phone, phone)]
            if ids[index] is None and alike:
                ids[index] = alike[0]
                del free[alike[0]]
    return ids


def _is_any(one: _Phone, other: _Phone) -> bool:
    return True


def contact_key(contact: str) -> str:
    """What a contact is told from others by; itself where an older release took what cannot be read now."""
    try:
        return comparable(contact)
    except BadValue:
        return contact


def _check_order(record: BindingRecord, incoming: Incoming) -> None:
    """A REGISTER that overtook a newer one of the same phone changes nothing (RFC 3261 §10.3, step 7)."""
    if record.call_id == incoming.keys.call_id and incoming.keys.cseq.number <= record.cseq:
        raise _Refuse(Reply(500, "CSeq is not above the last"))


def _not_stored(failure: Failure) -> Reply:
    log.error("binding_not_stored", error=failure.getErrorMessage())
    return Reply(503, None, (("Retry-After", "5"),))
