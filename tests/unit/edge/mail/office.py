"""What the tests of mail that comes in share: an intake over a real store, and what people write to it."""

from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, cast

import dkim
from twisted.internet.defer import Deferred, maybeDeferred

from edge.config_mail import MailConfig
from edge.config_reader import Secret
from edge.dialect import Dialect
from edge.directory import Directory
from edge.mail.authentication import Arrival, Authenticator
from edge.mail.intake import Intake
from edge.mail.names import LookupFailed
from edge.mail.owners import Owners
from edge.mail.postmaster import Postmaster
from edge.mail.writing import binding
from edge.outbound import Outbound, Planner
from edge.references import References
from protocols.mail.dkim import Signer
from protocols.mail.smtp import Reply
from storage import accounts, mail, numbers
from storage.tables import mail_notice
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import PEER, START_MS, Time
from tests.unit.edge.mail.rig import ADDRESSES, DOMAIN, OWNER, RING, Rig
from tests.unit.edge.test_outbound import CONFIG, Carrier
from tests.unit.protocols.mail.test_compose import KEY, pem, record

SECOND = "+12025550101"
THEIRS = "192.0.2.7"
STRANGER = "203.0.113.9"


class Zone:
    """The owner's domain in the DNS: a DKIM key, and an SPF record that allows THEIRS."""

    def __init__(self) -> None:
        self.away = False
        self.beside: list[bytes] = []
        self.known = {"s1._domainkey.example.org": record(), "example.org": b"v=spf1 ip4:192.0.2.7 -all"}

    async def texts(self, name: str) -> list[bytes]:
        if self.away:
            raise LookupFailed("no name server answered")
        return [*self.beside, self.known[name]] if name in self.known else []


class Numbers:
    """A directory that reads the store each time it is asked."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    @property
    def version(self) -> int:
        with self._rig.store.engine.snapshot() as conn:
            return numbers.catalog_version(conn)

    def known_numbers(self) -> list[str]:
        with self._rig.store.engine.snapshot() as conn:
            owners = [found.id for found in accounts.list_accounts(conn)]
            return [found.number for owner in owners for found in numbers.list_dids(conn, owner)]

    def did(self, number: str) -> Any:
        return self._rig.find(number)


class Office:
    """A rig with an intake before it."""

    def __init__(self, store: InlineStore, time: Time, **config: Any) -> None:
        self.rig = Rig(store, time)
        self.zone = Zone()
        self.told = 0
        settings = {"replies": "sender", "new_mail": "sender", **config}
        keys = Secret(f"1:{(b'k' * 32).hex()}")
        self.config = MailConfig(domain=DOMAIN, reply_keys=keys, listen=("127.0.0.1:2525",), **settings)
        planner = Planner({"up": Dialect(CONFIG, "US")}, "US", self.rig.find, References(lambda: 1))
        self.outbound = Outbound(planner, self.rig.real, {"up": Carrier()}, time.wall_ms, lambda due: due)
        directory = cast(Directory, Numbers(self.rig))
        self.intake = Intake(
            self.config,
            replace(ADDRESSES, postmaster=bool(self.config.postmaster)),
            self.rig.find,
            Owners(directory, self.in_thread),
            Authenticator(self.config.authserv_id, cast(Any, self.zone), self.in_thread),
            self.outbound.submit,
            self.rig.real,
            self.in_thread,
            time.wall_ms,
            self.tell,
            Postmaster(self.config.postmaster, DOMAIN, DOMAIN, self.rig.sent, time, time.wall_ms),
        )
        made = mail.conversation
        with store.engine.transaction() as conn:
            self.conversation = made(conn, store.ids.next, self.rig.did(), PEER, START_MS)
        self.token = RING.make(self.conversation.id, binding(self.conversation))
        self.address = f"sms+{self.token}@{DOMAIN}"

    def in_thread(self, work: Any) -> Deferred[Any]:
        return maybeDeferred(work)

    def tell(self) -> None:
        self.told += 1

    def takes(
        self,
        message: EmailMessage | bytes,
        to: str | None = None,
        sender: str = OWNER,
        peer: str = THEIRS,
        trusted: bool = False,
    ) -> Reply:
        """One mail by SMTP."""
        octets = message if isinstance(message, bytes) else message.as_bytes(policy=SMTP)
        recipient = to or self.address
        refused = self.intake.accepts(recipient)
        if refused is not None:
            return refused
        (reply,) = success(self.intake.take(Arrival(octets, sender, peer, "client", trusted), [recipient]))
        return reply

    def sent(self) -> list[tuple[str, str, str]]:
        """What went out as SMS: from, to, text."""
        return [(row.did, row.peer, row.text) for row in self.rig.stored()]

    def notices(self) -> list[tuple[str, str]]:
        """What people are told: code, and whom."""
        with self.rig.store.engine.snapshot() as conn:
            rows = conn.execute(mail_notice.select().order_by(mail_notice.c.id)).all()
        return [(row.code, row.recipient) for row in rows]

    def sentence(self) -> str:
        """Of the last notice."""
        with self.rig.store.engine.snapshot() as conn:
            rows = conn.execute(mail_notice.select().order_by(mail_notice.c.id)).all()
        return str(rows[-1].sentence)


_ids = iter(range(1, 100_000))


def reply(text: str = "Yes, please.", sender: str = OWNER, **headers: str) -> EmailMessage:
    """What a person answers; headers are named as in Python."""
    found = EmailMessage()
    found["From"] = sender
    found["Message-ID"] = headers.pop("message_id", f"<{next(_ids)}@example.org>")
    for name, value in headers.items():
        found[name.replace("_", "-").title()] = value
    found.set_content(text)
    return found


def signed(message: EmailMessage, domain: str = "example.org", at_ms: int = START_MS) -> bytes:
    return Signer(domain, "s1", KEY).signed(message.as_bytes(policy=SMTP), at_ms // 1_000)


def signed_over(message: EmailMessage, *names: bytes, **tags: Any) -> bytes:
    """A signature over these headers only."""
    whole = message.as_bytes(policy=SMTP)
    return bytes(dkim.sign(whole, b"s1", b"example.org", pem(KEY), include_headers=names, **tags)) + whole


def new(to: str = f"+12025550150@{DOMAIN}", text: str = "Good morning!", **headers: str) -> EmailMessage:
    return reply(text, to=to, **headers)
