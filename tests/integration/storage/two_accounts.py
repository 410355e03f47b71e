"""Two accounts with the same of everything in one store: names, peers, a number that changed hands."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from storage import (
    accesses,
    accounts,
    audit,
    contacts,
    conversations,
    deletion,
    deliveries,
    drafts,
    endpoints,
    forwards,
    idempotency,
    inventory,
    mail,
    media,
    messages,
    numbers,
    opt_outs,
    phonebook,
    retention,
    second_factors,
    sessions,
    sip_accounts,
    sub_accounts,
)
from storage.contacts import Contact, Group, MoreNumber
from storage.endpoints import EndpointRecord
from storage.engines import Engine
from storage.idempotency import Answer, Scope
from storage.ids import IdSource
from storage.inventory import FreeNumber
from storage.records import (
    Account,
    ApiAccess,
    AttemptRecord,
    DeliveryRecord,
    DeliveryState,
    Did,
    MailConversation,
    MailNotice,
    MessageRecord,
    PartState,
    Session,
    User,
)
from storage.retention import DAY_MS, Kept
from storage.sip_accounts import SipAccount
from storage.statements import Write, execute_all
from storage.tables import conversation, metadata, sip_binding, usage
from tests.samples import NOW, PEER, delivery_of, mo, mt, part_of
from tests.storing import indexed

SECRET = "secret"
DOMAIN = "sip.example.net"

Row = tuple[str, tuple[Any, ...]]
"""A table's name and a row of it."""


class Issued(IdSource):
    """Remembers what it gave out."""

    def __init__(self, node: int) -> None:
        super().__init__(node, lambda: NOW)
        self.given: set[int] = set()

    def next(self) -> int:
        identifier = super().next()
        self.given.add(identifier)
        return identifier


@dataclass
class Customer:
    """One of the two, and what he has."""

    name: str
    number: str
    ids: Issued
    account: Account = field(init=False)
    user: User = field(init=False)
    did: Did = field(init=False)
    contact: Contact = field(init=False)
    second: Contact = field(init=False)
    wish: str = field(init=False)
    group: Group = field(init=False)
    scope: Scope = field(init=False)
    received: MessageRecord = field(init=False)
    sent: MessageRecord = field(init=False)
    deleted: MessageRecord = field(init=False)
    deletion_id: int = field(init=False)
    pending: DeliveryRecord = field(init=False)
    failed: DeliveryRecord = field(init=False)
    delivered: DeliveryRecord = field(init=False)
    mail: MailConversation = field(init=False)
    phone: SipAccount = field(init=False)

    def fill(self, engine: Engine) -> None:
        """Put a row of his into every table that can be somebody's."""
        with engine.transaction() as connection:
            self._settings(connection)
            self._people(connection)
            self._messages(connection)
            self._mail(connection)
            self._phone(connection)
            self._programs(connection)

    def add_message(self, engine: Engine, number: str) -> None:
        """One that went over another number, when that was his."""
        with engine.transaction() as connection:
            record = self._record(mo(did=number, text=f"{SECRET} of {self.name}, long ago"))
            _execute(connection, messages.insert(record))

    def rows(self, connection: Connection) -> set[Row]:
        """Every row that is his, or names something of his."""
        return {
            (table.name, tuple(row))
            for table in metadata.sorted_tables
            for row in connection.execute(table.select())
            if any(type(value) is int and value in self.ids.given for value in row)
        }

    def forget(self, connection: Connection, rows: Iterable[Row]) -> None:
        """As if he had never been there."""
        by_table: dict[str, list[tuple[Any, ...]]] = {}
        for name, row in rows:
            by_table.setdefault(name, []).append(row)
        for table in reversed(metadata.sorted_tables):
            for row in by_table.get(table.name, ()):
                values = dict(zip(table.c.keys(), row, strict=True))
                connection.execute(
                    delete(table).where(*(column == values[column.name] for column in table.primary_key))
                )

    def _settings(self, connection: Connection) -> None:
        new = self.ids.next
        self.account = accounts.add_account(connection, new, self.name, NOW)
        mine = self.account.id
        self.user = accounts.add_user(connection, new, mine, f"{self.name}@example.net", "hash", NOW)
        sessions.add_session(
            connection, Session(f"session of {self.name}", self.user.id, "csrf", NOW, 2 * NOW)
        )
        # Another owner, so that this one can go.
        self.owner = accounts.add_user(connection, new, mine, f"owner@{self.name}", "hash", NOW)
        second_factors.begin(connection, mine, self.owner.id, "begun")
        second_factors.begin(connection, mine, self.user.id, "secret")
        second_factors.prove(connection, mine, self.user.id, "secret", 1, [f"code of {self.name}"])
        self.wish = f"{self.number}9"
        inventory.add(connection, FreeNumber(self.wish, "US", "New York", True, NOW))
        inventory.ask(connection, mine, self.wish, f"user:{self.name}", NOW)
        key = accounts.add_key(connection, new, mine, "app", "tk_x", f"hash of {self.name}", NOW)
        self.scope = Scope(key.id, "POST", "/v1/messages", "again")
        expired = self.scope._replace(key="expired")
        answer = Answer(b"hash", 202, f'{{"secret": "{PEER} of {self.name}"}}', NOW, NOW + DAY_MS)
        old = Answer(b"hash", 202, "{}", NOW - DAY_MS, NOW - 1)
        _execute(connection, idempotency.keep(mine, self.scope, answer))
        _execute(connection, idempotency.keep(mine, expired, old))
        self.did = numbers.add_did(connection, new, mine, self.number, NOW)
        numbers.set_did(connection, new, self.number, handler="callback", settings={"url": "http://x/"})
        retention.set_rule(connection, mine, Kept.MO, (10 if self.name == "Mine" else 20) * DAY_MS)
        failing = EndpointRecord(mine, "callback", "http://sink/", NOW, None, f"refused {self.name}")
        endpoints.put(connection, failing)
        forwards.hear(connection, self.did.id, PEER, NOW, 0, 0)
        audit.note(connection, new, mine, "user:1", "did.set", self.number, NOW, detail={"of": self.name})

    def _people(self, connection: Connection) -> None:
        new, mine = self.ids.next, self.account.id
        self.contact = contacts.put(connection, new, mine, PEER, "Ann", NOW, notes=f"of {self.name}")
        more = [MoreNumber("+12025550160", f"work of {self.name}")]
        contacts.set_more_numbers(connection, mine, self.contact.id, more)
        self.second = contacts.put(connection, new, mine, "+12025550161", "Ann", NOW)
        self.group = contacts.add_group(connection, new, mine, "Friends", NOW)
        contacts.set_members(connection, mine, self.group.id, [self.contact.id])
        drafts.put(connection, mine, self.user.id, self.number, PEER, f"draft of {self.name}", NOW)
        drafts.put_first(connection, mine, self.user.id, NOW, (self.number, PEER, f"first of {self.name}"))
        opt_outs.add(connection, new, mine, PEER, f"STOP to {self.name}", NOW)
        opt_outs.add(connection, new, mine, PEER, f"STOP to {self.name}", NOW, did=self.number)

    def _record(self, record: MessageRecord) -> MessageRecord:
        return record._replace(id=self.ids.next(), account_id=self.account.id, did_id=self.did.id)

    def _duty(self, **fields: Any) -> DeliveryRecord:
        made = delivery_of(self.received, account_id=self.account.id, did_id=self.did.id, **fields)
        return made._replace(id=self.ids.next())

    def _messages(self, connection: Connection) -> None:
        self.received = self._record(mo(did=self.number, text=f"{SECRET} of {self.name}"))
        self.sent = self._record(mt(did=self.number, text=f"{SECRET} answer of {self.name}"))
        self.deleted = self._record(mo(did=self.number, text=f"{SECRET} gone of {self.name}"))
        item = part_of(self.sent, state=PartState.DELIVERED, final_at=NOW)._replace(id=self.ids.next())
        self.pending = self._duty(due_at=NOW + 60_000, lease_until=NOW + 60_000)
        self.failed = self._duty(state=DeliveryState.FAILED, attempts=1)
        self.delivered = self._duty(state=DeliveryState.DELIVERED, attempts=1, last_outcome="delivered")
        tried = AttemptRecord(self.failed.id, 1, NOW, 5, "refused", 500, f"no, {self.name}")
        _execute(connection, messages.insert(self.received, [], [self.pending, self.failed, self.delivered]))
        _execute(connection, messages.insert(self.sent, [item]))
        _execute(connection, messages.insert(self.deleted))
        _execute(connection, [(deliveries.INSERT_ATTEMPT, tried)])
        self.deletion_id = deletion.begin(connection, self.ids, self.account.id, "user:1", "one", NOW)
        deletion.delete_selected(connection, self.account.id, [self.deleted.id], self.deletion_id, NOW)
        conversations.mark_unread(connection, self.account.id, self.number, PEER, NOW)
        # As if it had to be counted anew.
        stale = update(conversation).where(conversation.c.account_id == self.account.id)
        connection.execute(stale.values(last_inbound_id=1))

    def _mail(self, connection: Connection) -> None:
        self.mail = mail.conversation(connection, self.ids.next, self.did, PEER, NOW)
        owed = MailNotice(
            self.ids.next(), self.account.id, self.number, PEER, f"{self.name}@example.net", "code",
            "It was not sent.", self.name, "", DeliveryState.PENDING, 0, NOW, NOW,
        )  # fmt: skip
        _execute(connection, mail.insert_notice(owed))

    def _phone(self, connection: Connection) -> None:
        wanted = SipAccount(0, self.account.id, self.name, DOMAIN, "md5", "sha", "both", (self.number,), NOW)
        self.phone = sip_accounts.add_sip_account(connection, self.ids.next, wanted)
        row = {
            "id": self.ids.next(), "sip_account_id": self.phone.id, "contact": f"sip:{self.name}@127.0.0.1",
            "call_id": "c", "cseq": 1, "transport": "udp", "host": "127.0.0.1", "port": 5060,
            "registered_at": NOW, "expires_at": 2 * NOW,
        }  # fmt: skip
        connection.execute(insert(sip_binding).values(row))

    def _programs(self, connection: Connection) -> None:
        mine = self.account.id
        accesses.put_access(connection, ApiAccess(mine, f"api of {self.name}", "hash", created_at=NOW))
        counts = {"received": 1, "received_parts": 1, "sent": 0, "sent_parts": 0}
        values = {"account_id": mine, "begun_at": NOW, "did": self.did.number, "leg": "smpp", **counts}
        connection.execute(usage.insert().values(values))
        change = phonebook.Change(f"Ann of {self.name}", PEER, speed_dial="*751")
        phonebook.put(connection, self.ids.next, mine, self.contact.id, change, NOW)
        picture = (self.ids.next(), self.sent.id, mine, 1, f"token of {self.name}", "image/png", b"png", None)
        _execute(connection, media.insert([media.MediaRecord(*picture)]))
        sub_accounts.put(connection, mine, self.phone.id, {"description": self.name})


def two_customers(engine: Engine) -> tuple[Customer, Customer]:
    """Both, with their words indexed. The first has messages that went over the second's number."""
    mine = Customer("Mine", "+12025550101", Issued(5))
    theirs = Customer("Theirs", "+12025550102", Issued(6))
    for customer in (mine, theirs):
        customer.fill(engine)
    mine.add_message(engine, theirs.number)
    indexed(engine)
    return mine, theirs


def _execute(connection: Connection, writes: Iterable[Write]) -> None:
    execute_all(connection, writes)
