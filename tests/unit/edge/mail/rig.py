"""What the tests of mail share: the mail side over a real store, with a sender that keeps what it gets."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from random import Random
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed

from edge.handlers import Job, Outcome
from edge.handlers.email import EmailHandler, Patience
from edge.mail.addresses import Addresses
from edge.mail.writing import Writing
from protocols.mail.smtp import Envelope, Reply, Verdict
from protocols.mail.token import KeyRing
from storage import accounts, contacts, messages, numbers
from storage.records import DeliveryRecord, DeliveryState, Did, MessageRecord
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, START_MS, Numbers, Time, record

DOMAIN = "sms.example.net"
OWNER = "owner@example.org"
RING = KeyRing({1: b"k" * 32}, 1)
ADDRESSES = Addresses(DOMAIN, "sms", "US")
SENT = Verdict("sent", Reply(250, "2.0.0 queued"), True, "end")
DAYS = 86_400.0


class Sent:
    """A sender: what it was given, and what it says."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.verdict = SENT

    def __call__(self, envelope: Envelope) -> Deferred[Verdict]:
        self.envelopes.append(envelope)
        return succeed(self.verdict)

    @property
    def mails(self) -> list[EmailMessage]:
        """As their readers see them."""
        return [
            message_from_bytes(item.mail.replace(b"\r\n", b"\n"), policy=default) for item in self.envelopes
        ]


class Rig:
    """An account with a DID whose e-mail handler is on, and what brings its mail away."""

    def __init__(self, store: InlineStore, time: Time, answers: bool = True) -> None:
        self.store, self.time = store, time
        self.sent = Sent()
        self.find = Numbers(store).did
        with store.engine.transaction() as conn:
            self.account_id = accounts.add_account(conn, store.ids.next, "owner", START_MS).id
            numbers.add_did(conn, store.ids.next, self.account_id, DID, START_MS)
        self.sets(to=OWNER)
        self.answers = answers
        self.uses(RING)

    def uses(self, ring: KeyRing) -> None:
        """The server begins anew with these keys."""
        subject = "[#US{token}] Message sent to {did}"
        wall_ms = self.time.wall_ms
        self.writing = Writing(ADDRESSES, ring, subject, self.answers, None, self.find, self.real, wall_ms)
        patience = Patience(4 * DAYS, Random(1))
        self.handler = EmailHandler(self.writing, self.sent, lambda domain: domain, patience)

    @property
    def real(self) -> Store:
        """The store by the type that the server knows."""
        return cast(Store, self.store)

    def sets(self, number: str = DID, enabled: bool = True, **settings: object) -> None:
        """The e-mail handler's settings."""
        with self.store.engine.transaction() as conn:
            numbers.set_did(
                conn, self.store.ids.next, number, handler="email", enabled=enabled, settings=settings
            )

    def did(self, number: str = DID) -> Did:
        """As it is now."""
        found = self.find(number)
        assert found is not None
        return found

    def knows(self, number: str, name: str) -> None:
        """The account has a contact."""
        with self.store.engine.transaction() as conn:
            contacts.put(conn, self.store.ids.next, self.account_id, number, name, START_MS)

    def job(self, text: str = "Are you at home?", to: str = OWNER, attempt: int = 1, **more: Any) -> Job:
        """A message, stored, and its delivery."""
        event = more.pop("event", None)
        did, now = self.did(), self.time.wall_ms()
        values = {"peer": PEER, "text": text, **more}
        about = record(self.store, did, now, "mt" if event else "mo", **values)
        delivery = DeliveryRecord(
            self.store.ids.next(), about.id, did.account_id, did.id, "email", to, DeliveryState.PENDING,
            attempt - 1, now, now, now, event=event,
        )  # fmt: skip
        success(self.store.writer.write(messages.insert(about, (), [delivery])))
        return Job(delivery, about, attempt, did.handlers["email"].settings)

    def work(self, job: Job) -> Outcome:
        """One attempt."""
        return success(self.handler.deliver(job))

    def stored(self) -> list[MessageRecord]:
        """The messages that go out, oldest first."""
        from storage.tables import message

        with self.store.engine.snapshot() as conn:
            rows = [MessageRecord._make(row) for row in conn.execute(message.select().order_by(message.c.id))]
        return [row for row in rows if row.direction == "mt"]
