"""What comes in by mail: who may write, what becomes an SMS, what is answered, and what stops a loop."""

from dataclasses import replace
from email import message_from_string
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Any, cast

import dkim
import pytest
from twisted.internet.defer import Deferred, maybeDeferred

from edge import statuses
from edge.config_mail import MailConfig
from edge.config_reader import Secret
from edge.dialect import Dialect
from edge.directory import Directory
from edge.mail.addresses import BOUNCE
from edge.mail.authentication import Arrival, Authenticator, signatures
from edge.mail.intake import Intake
from edge.mail.names import LookupFailed
from edge.mail.owners import Owners
from edge.mail.postmaster import FORWARD_SECONDS, MAX_HOPS, NOT_NOW, Postmaster
from edge.mail.writing import binding
from edge.outbound import Outbound, Planner
from edge.references import References
from protocols.mail.address import Address
from protocols.mail.dkim import Signer
from protocols.mail.reply import MARKER
from protocols.mail.smtp import Envelope, Reply, Verdict
from protocols.mail.token import KeyRing
from storage import accounts, mail, messages, numbers
from storage.records import DeliveryState, MailConversation
from storage.tables import mail_notice, mail_seen, part
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, START_MS, Time
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
        self.known = {"s1._domainkey.example.org": record(), "example.org": b"v=spf1 ip4:192.0.2.7 -all"}

    async def texts(self, name: str) -> list[bytes]:
        if self.away:
            raise LookupFailed("no name server answered")
        return [self.known[name]] if name in self.known else []


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
            Postmaster(self.config.postmaster, DOMAIN, self.rig.sent, time, time.wall_ms),
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


@pytest.fixture
def office(inline_store: InlineStore, time: Time) -> Office:
    return Office(inline_store, time)


# -- replies --------------------------------------------------------------------------------------


def test_a_reply_becomes_an_sms(office: Office) -> None:
    quoted = f"Grüße 😀\n\n> {MARKER}\n> Are you at home?\n"
    assert office.takes(reply(quoted)).code == 250
    assert office.sent() == [(DID, PEER, "Grüße 😀")]
    assert office.notices() == []
    assert office.rig.stored()[0].leg == "email"


def test_a_long_reply_is_one_message(office: Office) -> None:
    text = "word " * 300
    office.takes(reply(text))
    (message,) = office.rig.stored()
    assert message.text == text.strip()
    assert message.parts_total > 9


@pytest.mark.parametrize("place", ["references", "in_reply_to", "subject"])
def test_the_token_is_found_wherever_it_was_left(office: Office, place: str) -> None:
    token = office.token.upper() if place == "subject" else office.token
    value = f"Re: [#US{token}] Message sent to 2025550100" if place == "subject" else f"<{token}.1f@{DOMAIN}>"
    assert office.takes(reply(**{place: value}), to=f"sms@{DOMAIN}").code == 250
    assert len(office.sent()) == 1


def test_an_altered_address_and_a_good_reference(office: Office) -> None:
    altered = f"sms+{office.token[:-1]}@{DOMAIN}"
    assert office.takes(reply(references=f"<{office.token}@{DOMAIN}>"), to=altered).code == 250
    assert len(office.sent()) == 1


def test_the_address_says_which_and_nothing_else_does(office: Office) -> None:
    """A token that was revoked or mistyped sends the text to nobody else."""
    with office.rig.store.engine.transaction() as conn:
        made = mail.conversation(conn, office.rig.store.ids.next, office.rig.did(), "+12025550151", START_MS)
        mail.revoke_conversation(conn, office.rig.account_id, DID, PEER, START_MS)
    other = RING.make(made.id, binding(made))
    everywhere = {"references": f"<{other}@{DOMAIN}>", "subject": f"Re: [#US{other}] x"}
    mistyped = f"{other[:9]}{'b' if other[9] == 'a' else 'a'}{other[10:]}"
    for written in (office.token, office.token[:-1], mistyped, other[1:], "hello", other[:12]):
        assert office.takes(reply(**everywhere), to=f"sms+{written}@{DOMAIN}").code == 550
    assert office.sent() == []
    for written in (f"{other[:20]}{'b' if other[20] == 'a' else 'a'}{other[21:]}", other[:13]):
        assert office.takes(reply(**everywhere), to=f"sms+{written}@{DOMAIN}").code == 250
    assert {peer for _, peer, _ in office.sent()} == {"+12025550151"}


def test_tokens_that_are_none(office: Office) -> None:
    other = MailConversation(office.conversation.id, office.conversation.account_id + 1, 1, DID, PEER, 0)
    flipped = ("b" if office.token[20] == "a" else "a").join([office.token[:20], office.token[21:]])
    bad = {
        "truncated": office.token[:39],
        "longer": f"{office.token}a",
        "altered": flipped,
        "another account's": RING.make(other.id, binding(other)),
        "another number's": RING.make(office.conversation.id, binding(other).replace(PEER.encode(), b"+1")),
        "another server's": KeyRing({1: b"x" * 32}, 1).make(
            office.conversation.id, binding(office.conversation)
        ),
        "a retired key's": KeyRing({2: b"k" * 32}, 2).make(
            office.conversation.id, binding(office.conversation)
        ),
        "a bounce's": RING.make(office.conversation.id, BOUNCE),
        "of no conversation": RING.make(77, binding(office.conversation)),
        "none": "",
    }
    for token in bad.values():
        refused = office.takes(reply(), to=f"sms+{token}@{DOMAIN}".replace("+@", "@"))
        assert (refused.code, refused.text[:5]) == (550, "5.7.1")
    assert office.sent() == []
    assert office.notices() == []


def test_a_revoked_conversation(office: Office) -> None:
    with office.rig.store.engine.transaction() as conn:
        mail.revoke_conversation(conn, office.rig.account_id, DID, PEER, START_MS)
    assert office.takes(reply()).code == 550


def test_a_number_that_went_to_another_account(office: Office) -> None:
    moved = office.rig.did()
    object.__setattr__(
        office.intake, "_did", lambda number: type(moved)(moved.id, 99, DID, True, moved.handlers)
    )
    assert office.takes(reply()).code == 550


def test_a_handler_that_is_off(office: Office) -> None:
    office.rig.sets(enabled=False, to=OWNER)
    assert office.takes(reply()).code == 550
    assert office.sent() == []


# -- who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "author",
    [
        "evil@example.net",
        f'"{OWNER}" <evil@example.net>',
        f"{OWNER} <evil@example.net>",
        f"evil@example.net, {OWNER}",
        f"{OWNER}, evil@example.net",
        f"<{OWNER}> <evil@example.net>",
        "owner@example.org.example.net",
        "owner@sub.example.org",
        "",
    ],
)
@pytest.mark.parametrize("level", ["sender", "authenticated"])
def test_whoever_is_not_the_owner_is_refused(
    inline_store: InlineStore, time: Time, author: str, level: str
) -> None:
    office = Office(inline_store, time, replies=level)
    octets = f"From: {author}\r\nMessage-ID: <1@x>\r\n\r\nYes\r\n".encode()
    refused = office.takes(octets)
    assert (refused.code, refused.text[:5]) == (550, "5.7.1")
    two = f"From: {OWNER}\r\nFrom: evil@example.net\r\nMessage-ID: <1@x>\r\n\r\nYes\r\n".encode()
    assert office.takes(two).code == 550
    assert office.sent() == []
    assert office.notices() == []


def test_the_token_alone_is_enough_where_the_operator_says_so(inline_store: InlineStore, time: Time) -> None:
    office = Office(inline_store, time, replies="token")
    assert office.takes(reply(sender="anybody@example.net")).code == 250
    assert len(office.sent()) == 1
    assert office.takes(reply(), to=f"sms@{DOMAIN}").code == 550


def test_a_stranger_is_never_written_to(inline_store: InlineStore, time: Time) -> None:
    """Whoever has a token may name anybody in From: a notice would take the token to him."""
    office = Office(inline_store, time, replies="token")
    refused = office.takes(reply(f"\n> {MARKER}\n> hi\n", sender="victim@example.net"))
    assert refused == Reply(550, "5.7.1 Not sent: there is no text above the quotation.")
    assert office.takes(reply("x" * 50_000, sender="a@example.net, b@example.net")).code == 550
    pictured = reply("See the picture.", sender="victim@example.net")
    pictured.add_attachment(b"\xff\xd8", maintype="image", subtype="jpeg", filename="garden.jpg")
    assert office.takes(pictured).code == 250
    assert [row.status_callback for row in office.rig.stored()] == [None], "nor when it fails later"
    assert (office.notices(), office.told) == ([], 0)
    assert office.takes(reply(f"\n> {MARKER}\n> hi\n")).code == 250
    assert office.notices() == [("empty", OWNER)]


def test_no_replies_at_all(inline_store: InlineStore, time: Time) -> None:
    office = Office(inline_store, time, replies="off")
    assert office.takes(reply()).code == 550
    assert office.sent() == []


def signed(message: EmailMessage, domain: str = "example.org", at_ms: int = START_MS) -> bytes:
    return Signer(domain, "s1", KEY).signed(message.as_bytes(policy=SMTP), at_ms // 1_000)


def signed_over(message: EmailMessage, *names: bytes, **tags: Any) -> bytes:
    """A signature over these headers only."""
    whole = message.as_bytes(policy=SMTP)
    return bytes(dkim.sign(whole, b"s1", b"example.org", pem(KEY), include_headers=names, **tags)) + whole


@pytest.fixture
def strict(inline_store: InlineStore, time: Time) -> Office:
    return Office(inline_store, time, replies="authenticated", authserv_id="mx.here", trusted=("10.0.0.0/8",))


def test_a_signature_of_the_authors_domain_proves_him(strict: Office) -> None:
    assert strict.takes(signed(reply(to=strict.address)), peer=STRANGER).code == 250
    assert len(strict.sent()) == 1


@pytest.mark.parametrize("ways", [(b"relaxed", b"relaxed"), (b"relaxed", b"simple"), (b"simple", b"simple")])
def test_a_signature_over_lines_that_end_in_blanks(strict: Office, ways: tuple[bytes, bytes]) -> None:
    whole = reply("x", to=strict.address).as_bytes(policy=SMTP)
    whole = whole.replace(b"\r\nx\r\n", b"\r\none \t \r\n\r\n  two   three  \r\n\r\n\r\n")
    mail_ = dkim.sign(whole, b"s1", b"example.org", pem(KEY), canonicalize=ways) + whole
    assert strict.takes(mail_, peer=STRANGER).code == 250
    assert strict.takes(mail_.replace(b"two", b"2"), peer=STRANGER).code == 550


def test_so_does_spf(strict: Office) -> None:
    assert strict.takes(reply(to=strict.address), peer=THEIRS).code == 250
    assert strict.takes(reply(to=strict.address), peer=STRANGER).code == 550
    assert strict.takes(reply(to=strict.address), peer=THEIRS, sender="x@example.net").code == 550
    assert len(strict.sent()) == 1


def test_the_address_of_our_own_server_proves_nothing(inline_store: InlineStore, time: Time) -> None:
    office = Office(inline_store, time, replies="authenticated", trusted=("192.0.2.0/24",))
    assert office.takes(reply(to=office.address), peer=THEIRS, trusted=True).code == 550
    assert office.takes(signed(reply(to=office.address)), peer=THEIRS, trusted=True).code == 250


def test_what_proves_nothing(strict: Office) -> None:
    strict.zone.known["s1._domainkey.example.net"] = record()
    whole = reply(to=strict.address).as_bytes(policy=SMTP)
    begun = dkim.sign(whole, b"s1", b"example.org", pem(KEY), length=True) + whole
    assert dkim.verify(begun, dnsfunc=lambda name, timeout=5: record()), "it would count, but for its l="
    tries: list[EmailMessage | bytes] = [
        signed(reply(to=strict.address), "example.net"),
        signed(reply(to=strict.address)).replace(b"Yes", b"No!"),
        begun + b"and what somebody put behind it\r\n",
        begun,
        reply(to=strict.address, authentication_results="mx.here; dmarc=pass header.from=example.org"),
        b"DKIM-Signature: v=1; nonsense\r\n" + reply(to=strict.address).as_bytes(policy=SMTP),
        b"DKIM-Signature: d=example.org; s=s1\r\n" + reply(to=strict.address).as_bytes(policy=SMTP),
        b"DKIM-Signature: d=example.org; s=nokey\r\n" + reply(to=strict.address).as_bytes(policy=SMTP),
    ]
    for octets in tries:
        assert strict.takes(octets, peer=STRANGER).text.startswith("5.7.1 The mail is not proven")
    assert strict.sent() == []


def test_our_own_server_is_believed_and_nobody_else(strict: Office) -> None:
    said = reply(to=strict.address, authentication_results="mx.here; dmarc=pass header.from=example.org")
    assert strict.takes(said, peer="10.1.2.3", trusted=True).code == 250
    denied = reply(to=strict.address, authentication_results="mx.here; dmarc=fail header.from=example.org")
    assert strict.takes(denied, peer=THEIRS, trusted=True).code == 550
    assert len(strict.sent()) == 1


def test_when_no_name_server_answers_it_is_tried_again(strict: Office) -> None:
    strict.zone.away = True
    assert strict.takes(signed(reply(to=strict.address))).code == 451
    strict.zone.away = False
    assert strict.takes(signed(reply(to=strict.address))).code == 250


def test_a_mail_of_the_owners_to_somebody_else_is_no_reply(strict: Office) -> None:
    """Whoever got it has it with its signature, and a token from a mail that was sent on."""
    to_friend = signed(reply("Buy!", to="friend@example.net"))
    assert strict.takes(to_friend, peer=STRANGER).text.startswith("5.7.1 To or Cc must name")
    for added in ("To", "Cc"):
        octets = f"{added}: {strict.address}\r\n".encode() + to_friend
        assert strict.takes(octets, peer=STRANGER).code == 550
    unsigned_to = signed(reply("Buy!")).replace(
        b"\r\nFrom:", f"\r\nTo: {strict.address}\r\nFrom:".encode(), 1
    )
    assert strict.takes(unsigned_to, peer=STRANGER).code == 550
    assert strict.takes(unsigned_to, peer=THEIRS).code == 250, "the owner's own server brings it"
    assert len(strict.sent()) == 1


def test_a_signed_reply_is_sent_once_whatever_is_changed_of_it(strict: Office) -> None:
    message = reply("Once.", to=strict.address, message_id="<a@example.org>", date="today")
    octets = signed_over(message, b"from", b"to", b"date")
    value = octets[octets.index(b" b=") : octets.index(b"\r\nFrom:")]
    others = [
        octets,
        octets.replace(b"<a@", b"<b@"),
        octets.replace(b"Message-ID", b"X-Was"),
        octets.replace(b"<a@", b"<c@").replace(value, value.rstrip(b"=") + b"=\r\n\t="),
        octets.replace(b"text/plain", b"text/html"),
    ]
    for other in others:
        strict.takes(other, peer=STRANGER)
    assert [text for _, _, text in strict.sent()] == ["Once."]
    assert strict.takes(signed(reply("Once.", to=strict.address)), peer=STRANGER).code == 250
    assert len(strict.sent()) == 2


def test_one_mail_to_two_conversations_is_sent_in_both(strict: Office) -> None:
    with strict.rig.store.engine.transaction() as conn:
        ids = strict.rig.store.ids.next
        made = mail.conversation(conn, ids, strict.rig.did(), "+12025550151", START_MS)
    both = [strict.address, f"sms+{RING.make(made.id, binding(made))}@{DOMAIN}"]
    arrival = Arrival(signed(reply("Both.", to=", ".join(both))), OWNER, STRANGER)
    assert [item.code for item in success(strict.intake.take(arrival, both))] == [250, 250]
    assert [peer for _, peer, _ in strict.sent()] == [PEER, "+12025550151"]


def test_a_signature_proves_no_longer_than_mails_are_remembered(strict: Office) -> None:
    day = 86_400_000
    for at_ms, code in ((START_MS - 8 * day, 550), (START_MS - 5 * day, 250), (START_MS + 2 * day, 550)):
        octets = signed(reply("Old.", to=strict.address), at_ms=at_ms)
        assert strict.takes(octets, peer=STRANGER).code == code


@pytest.mark.parametrize(
    ("signature", "headers", "at"),
    [
        ("h=from:date; t=1000000", "", 1_000_000),
        ("h=from:Date", "", 1_000_000_000),
        ("h=from", "", None),
        ("h=from:date; t=x", "Date: x\n", None),
        ("h=from:date; t=9999999999999", "Date: Sun, 09 Sep 2001 01:46:40 +0000\n", None),
    ],
)
def test_when_a_signature_was_made(signature: str, headers: str, at: int | None) -> None:
    """Its own time, else a Date that it covers and that is there once."""
    dates = f"Date: Sun, 09 Sep 2001 01:46:40 +0000\n{headers}"
    message = message_from_string(f"{dates}DKIM-Signature: d=example.org; s=s1; {signature}\n\nx")
    (found,) = signatures(message, Address("owner", "example.org"))
    assert found.at == at


def test_our_own_server_says_who_signed_and_not_what(strict: Office) -> None:
    """What its results do not say is looked for in the signatures, unless the author's server brought it."""
    names = (b"from", b"date", b"subject", b"message-id")
    passed = b"Authentication-Results: mx.here; dmarc=pass header.from=example.org"
    spf = b"; spf=pass smtp.mailfrom=example.org"

    def of(octets: bytes, results: bytes = passed) -> int:
        return strict.takes(results + b"\r\n" + octets, peer="10.1.2.3", trusted=True).code

    message = reply(to=strict.address, date=formatdate(START_MS / 1_000))
    assert of(signed_over(message, *names)) == 550
    assert of(signed_over(message, *names, b"to").replace(b" t=", b" l=0; t=")) == 550
    padded = signed_over(message, *names).replace(b"\r\n h=", b"\r\n" + b" " * 5_000 + b"h=")
    assert of(b"DKIM-Signature: " + b" " * 5_000 + b"v=1\r\n" + message.as_bytes(policy=SMTP)) == 550
    assert of(padded) == 550
    assert of(signed_over(message, *names, b"to")) == 250
    assert of(signed_over(reply(to=strict.address), *names), passed + spf) == 250
    assert of(reply(to="friend@example.net").as_bytes(policy=SMTP), passed + spf) == 550
    assert len(strict.sent()) == 2


# -- what cannot be sent --------------------------------------------------------------------------


def test_a_text_that_cannot_go_is_answered_once_in_the_thread(office: Office) -> None:
    empty = reply(f"\n> {MARKER}\n> hi\n")
    assert office.takes(empty).code == 250
    assert office.takes(empty).code == 250
    assert office.notices() == [("empty", OWNER)]
    assert "no text above the quotation" in office.sentence()
    assert office.sent() == []
    assert office.told == 1


def test_encrypted_too_long_and_refused(office: Office) -> None:
    sealed = (
        b"From: owner@example.org\r\nMessage-ID: <s@x>\r\nContent-Type: application/pkcs7-mime\r\n\r\nM\r\n"
    )
    assert office.takes(sealed).code == 250
    assert office.takes(reply("x" * 50_000)).code == 250
    with office.rig.store.engine.transaction() as conn:
        numbers.set_did(conn, office.rig.store.ids.next, DID, sms_enabled=False)
    assert office.takes(reply()).code == 250
    assert [code for code, _ in office.notices()] == ["encrypted", "text_too_long", "sms_disabled"]
    assert office.sentence() == f"Not sent: SMS is switched off for {DID}."
    assert office.sent() == []


def test_attachments_are_named_as_not_sent(office: Office) -> None:
    message = reply("See the picture.")
    message.add_attachment(b"\xff\xd8", maintype="image", subtype="jpeg", filename="garden.jpg")
    assert office.takes(message).code == 250
    assert office.sent() == [(DID, PEER, "See the picture.")]
    assert office.notices() == [("attachments_not_sent", OWNER)]
    assert office.sentence().endswith("garden.jpg.")


@pytest.mark.parametrize("level", ["sender", "authenticated"])
def test_whoever_wrote_too_much_is_told(inline_store: InlineStore, time: Time, level: str) -> None:
    """By what can be known of the head alone, and nobody but the DID's addresses."""
    office = Office(inline_store, time, replies=level, postmaster=OPERATOR)

    def of(message: EmailMessage, to: str) -> int:
        arrival = Arrival(message.as_bytes(policy=SMTP), OWNER, "", trusted=True, whole=False)
        return success(office.intake.take(arrival, [to]))[0].code

    message = reply("The head has no text.", to=office.address)
    assert [of(message, office.address) for _ in range(2)] == [250, 250]
    assert office.notices() == [("too_large", OWNER)]
    assert of(reply(sender="evil@example.net", to=office.address), office.address) == 550
    assert of(reply(to=f"sms@{DOMAIN}"), f"sms@{DOMAIN}") == 550
    assert of(reply(), f"postmaster@{DOMAIN}") == 552
    assert (len(office.notices()), office.sent(), office.rig.sent.envelopes) == (1, [], [])


def test_a_sender_that_is_a_name_cannot_be_answered(office: Office) -> None:
    with office.rig.store.engine.transaction() as conn:
        named = mail.conversation(conn, office.rig.store.ids.next, office.rig.did(), "ACME", START_MS)
    to = f"sms+{RING.make(named.id, binding(named))}@{DOMAIN}"
    assert office.takes(reply(), to=to).code == 250
    assert office.notices() == [("invalid_number", OWNER)]


def test_a_failure_is_told_to_whoever_wrote(office: Office) -> None:
    office.takes(reply(message_id="<a@example.org>"))
    office.takes(reply(message_id="<b@example.org>"))
    targets = [message.status_callback for message in office.rig.stored()]
    assert targets == [f"mailto:owner@example.org?in-reply-to=%3C{name}%40example.org%3E" for name in "ab"]
    with office.rig.store.engine.snapshot() as conn:
        view = messages.get(conn, office.rig.account_id, office.rig.stored()[1].id)
    assert view is not None
    assert view.deliveries == (), "nothing is owed before it has failed"
    with office.rig.store.engine.transaction() as conn:
        conn.execute(part.update().values(state="failed"))
        ids, now = office.rig.store.ids.next, office.rig.time.wall_ms()
        planned = statuses.due(conn, [item.id for item in view.parts], ids, lambda due: due, now)
    assert [(item.delivery.handler, item.delivery.event) for item in planned] == [("email", "failed")]


# -- once, and not round --------------------------------------------------------------------------


def test_a_mail_that_comes_again_is_sent_once(office: Office) -> None:
    message = reply()
    for _ in range(3):
        assert office.takes(message).code == 250
    assert len(office.sent()) == 1
    other = reply(message_id=str(message["Message-ID"]), text="Another text under the same id.")
    assert office.takes(other).code == 250
    assert len(office.sent()) == 2


def test_the_same_mail_over_two_connections_at_once_is_sent_once(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    for message in (reply(), reply(f"\n> {MARKER}\n> hi\n")):
        office.rig.store.writer.held = True
        arrival = Arrival(message.as_bytes(policy=SMTP), OWNER, THEIRS)
        answers = [office.intake.take(arrival, [office.address]) for _ in range(3)]
        office.rig.store.writer.release()
        assert [success(answer)[0].code for answer in answers] == [250, 250, 250]
    assert len(office.sent()) == 1
    assert office.notices() == [("empty", OWNER)]
    assert office.intake.counters.repeated == 4
    assert "not_stored" not in capsys.readouterr().out


def test_two_mails_without_a_message_id_are_two(office: Office) -> None:
    """However alike: their dates and traces differ, and those of one that comes again do not."""
    lines = ["From: owner@example.org", "Received: by mx.example.org id {}; today", "", "ok", ""]
    for number in (1, 2, 1):
        assert office.takes("\r\n".join(lines).format(number).encode()).code == 250
    assert len(office.sent()) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"auto_submitted": "auto-replied"}, {"precedence": "bulk"}, {"list_id": "<l.example.org>"},
        {"x_trunkline_loop": "other.example.net"}, {"return_path": "<>"}, {"x_autoreply": "yes"},
        {"content_type": "multipart/report; boundary=b"},
    ],
)  # fmt: skip
def test_what_a_program_wrote_is_taken_and_goes_nowhere(office: Office, headers: dict[str, str]) -> None:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    octets = "\r\n".join([f"From: {OWNER}", "Message-ID: <auto@x>", *lines, "", "I am away.", ""]).encode()
    for to in (office.address, f"2025550150@{DOMAIN}"):
        assert office.takes(octets, to=to).code == 250
    assert office.takes(reply(), sender="").code == 250
    assert office.sent() == []
    assert office.notices() == []


WORDS = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "last",
]  # fmt: skip


def test_more_than_a_person_writes_comes_later(office: Office) -> None:
    """His server keeps them: nothing is lost, and nobody has to be told."""
    mails = [reply(f"This is number {word}.") for word in WORDS]
    answers = [office.takes(message) for message in mails]
    assert [answer.code for answer in answers] == [250] * 5 + [450] * 16
    assert answers[-1].text.startswith("4.7.1 Too many")
    assert (office.intake.counters.put_off, office.intake.counters.refused) == (16, 0)
    while waiting := [item for item, answer in zip(mails, answers, strict=True) if answer.code == 450]:
        office.rig.time.advance(61)
        mails, answers = waiting, [office.takes(message) for message in waiting]
        if len(office.sent()) == 20:
            break
    assert [answer.code for answer in answers] == [250] * 5 + [450]
    office.rig.time.advance(61)
    assert office.takes(mails[-1]).code == 450, "the limit of an hour"
    office.rig.time.advance(3_600)
    assert office.takes(mails[-1]).code == 250
    assert [text for _, _, text in office.sent()] == [f"This is number {word}." for word in WORDS]
    assert office.notices() == []


def test_a_program_in_disguise_comes_to_an_end(office: Office) -> None:
    """It says the same again and again: its own server tells its author, if it has one."""
    codes = [office.takes(reply(f"I am away until {number}:30.")).code for number in range(20)]
    assert codes == [250] * 5 + [550] * 15
    assert office.takes(reply("I am a person.")).code == 450
    assert office.notices() == []
    assert office.told == 0


# -- new mail -------------------------------------------------------------------------------------


def new(to: str = f"+12025550150@{DOMAIN}", text: str = "Good morning!", **headers: str) -> EmailMessage:
    return reply(text, to=to, **headers)


@pytest.mark.parametrize("local", ["+12025550150", "12025550150", "2025550150"])
def test_new_mail_to_a_number_begins_a_conversation(office: Office, local: str) -> None:
    to = f"{local}@{DOMAIN}"
    assert office.takes(new(to), to=to).code == 250
    assert office.sent() == [(DID, "+12025550150", "Good morning!")]


def test_from_whoever_has_no_number(office: Office) -> None:
    to = f"2025550150@{DOMAIN}"
    assert office.takes(new(to, sender="evil@example.net"), to=to).code == 550
    assert office.takes(new("someone@example.net"), to=to).code == 550, "it is not addressed to us"
    office.rig.sets(enabled=False, to=OWNER)
    assert office.takes(new(to), to=to).code == 550
    assert office.sent() == []


def test_with_several_numbers_the_author_says_which(office: Office) -> None:
    with office.rig.store.engine.transaction() as conn:
        numbers.add_did(conn, office.rig.store.ids.next, office.rig.account_id, SECOND, START_MS)
    office.rig.sets(SECOND, to=f"other@example.org,{OWNER}")
    to = f"2025550150@{DOMAIN}"
    message = new(to)
    assert office.takes(message, to=to).code == 250
    assert office.takes(message, to=to).code == 250
    assert office.notices() == [("ambiguous", OWNER)]
    assert office.sent() == []
    example = f"12025550150+12025550101@{DOMAIN}"
    assert office.takes(new(example), to=example).code == 250
    assert office.sent() == [(SECOND, "+12025550150", "Good morning!")]
    foreign = f"12025550150+12025550199@{DOMAIN}"
    assert office.takes(new(foreign), to=foreign).code == 550


@pytest.mark.parametrize("theirs", ["+12025550001", "+12025550199"])
def test_another_customer_who_names_the_address_changes_nothing(office: Office, theirs: str) -> None:
    """Nor is his number said, nor does he see what is written."""
    to = f"2025550150@{DOMAIN}"
    assert office.takes(new(to, "Before."), to=to).code == 250
    with office.rig.store.engine.transaction() as conn:
        ids = office.rig.store.ids.next
        other = accounts.add_account(conn, ids, "other", START_MS).id
        numbers.add_did(conn, ids, other, theirs, START_MS)
    office.rig.sets(theirs, to=f"{OWNER},boss@example.net")
    office.rig.time.advance(10)
    explicit = f"12025550150+{theirs[1:]}@{DOMAIN}"
    assert office.takes(new(explicit, "Theirs."), to=explicit).code == 250, "he may, if he says so"
    assert office.takes(new(to, "After."), to=to).code == 250
    assert [(did, text) for did, _, text in office.sent()] == [
        (DID, "Before."), (theirs, "Theirs."), (DID, "After."),
    ]  # fmt: skip
    assert office.notices() == []


def test_who_wrote_for_none_of_several_customers_says_his_number_once(office: Office) -> None:
    with office.rig.store.engine.transaction() as conn:
        ids = office.rig.store.ids.next
        other = accounts.add_account(conn, ids, "other", START_MS).id
        numbers.add_did(conn, ids, other, SECOND, START_MS)
    office.rig.sets(SECOND, to=OWNER)
    to = f"2025550150@{DOMAIN}"
    refused = office.takes(new(to), to=to)
    assert (refused.code, refused.text[:23]) == (550, "5.7.1 Several customers")
    assert not set("0123456789") & set(refused.text[6:]), "no number is said"
    assert office.takes(reply()).code == 250, "a reply says it too"
    assert office.takes(new(to, "Now."), to=to).code == 250
    assert [did for did, _, _ in office.sent()] == [DID, DID]
    assert office.notices() == []


def test_an_old_mail_of_the_owners_cannot_be_sent_here_once_more(
    inline_store: InlineStore, time: Time
) -> None:
    """Somebody who has a signed mail of the owner's sends it to a number: it is not addressed to that."""
    office = Office(inline_store, time, new_mail="authenticated")
    to = f"2025550150@{DOMAIN}"
    old = signed(new("friend@example.net"))
    assert office.takes(old, to=to, peer=STRANGER).code == 550
    assert office.takes(old.replace(b"friend@example.net", to.encode()), to=to, peer=STRANGER).code == 550
    unsigned_to = signed(reply("Old.")).replace(b"\r\nFrom:", f"\r\nTo: {to}\r\nFrom:".encode(), 1)
    assert office.takes(unsigned_to, to=to, peer=STRANGER).code == 550
    assert office.sent() == []
    above = signed(new("friend@example.net"))
    for added in ("To", "Cc"):
        octets = f"{added}: {to}\r\n".encode() + above
        assert office.takes(octets, to=to, peer=STRANGER).code == 550
    assert office.sent() == []
    assert office.takes(signed(new(to)), to=to, peer=STRANGER).code == 250
    assert len(office.sent()) == 1


def test_no_new_mail(inline_store: InlineStore, time: Time) -> None:
    office = Office(inline_store, time, new_mail="off")
    to = f"2025550150@{DOMAIN}"
    assert office.takes(new(to), to=to).code == 550


# -- recipients -----------------------------------------------------------------------------------

RELAYS = [
    "a@example.net", "<a@example.net>", "a%example.net@sms.example.net", "a%example.net", "example.net!a",
    "example.net!a@sms.example.net", "@sms.example.net:a@example.net", "@a,@b:c@example.net",
    '"a@example.net"', '"a@example.net"@sms.example.net', "a@example.net@sms.example.net",
    "a@sms.example.net@example.net", "a@[127.0.0.1]", "a@[IPv6:::1]", "a@localhost", "a@127.0.0.1", "a",
    "a@sms.example.net.", "sms@sub.sms.example.net", "sms@SMS.example.net.example.org", "a@",
    "a+b@example.net", "sms+x%example.net@sms.example.net ", "postmaster@example.net", "root@sms.example.net",
]  # fmt: skip


@pytest.mark.parametrize("recipient", RELAYS)
def test_nothing_is_relayed(office: Office, recipient: str) -> None:
    refused = office.intake.accepts(recipient)
    assert refused is not None
    assert refused.code in (550, 553)


@pytest.mark.parametrize(
    "local",
    ["sms", "SMS+abc", "sms+bounce-abc", "+12025550150", "2025550150", "12345", "12025550150+12025550100"],
)
def test_our_own_addresses(office: Office, local: str) -> None:
    assert office.intake.accepts(f"{local}@SMS.Example.NET") is None


# -- the postmaster -------------------------------------------------------------------------------

OPERATOR = "operator@example.org"
RESERVED = ["postmaster", "Postmaster", f"PostMaster@{DOMAIN}", f"abuse@{DOMAIN}"]


@pytest.fixture
def minded(inline_store: InlineStore, time: Time) -> Office:
    """Somebody reads what the postmaster gets."""
    return Office(inline_store, time, postmaster=OPERATOR)


@pytest.mark.parametrize("to", RESERVED)
def test_mail_to_the_postmaster_goes_on_to_the_operator_as_it_is(minded: Office, to: str) -> None:
    octets = b"From: x@example.net\r\nPrecedence: bulk\r\n\r\n.Gr\xfc\xdfe\r\n"
    assert minded.takes(octets, to=to, sender="x@example.net", peer=STRANGER).code == 250
    (envelope,) = minded.rig.sent.envelopes
    assert (envelope.sender, envelope.recipient) == ("", OPERATOR)
    trace, _, rest = envelope.mail.partition(b"From: ")
    assert b"From: " + rest == octets
    assert trace.startswith(f"Received: from client ([{STRANGER}])\r\n\tby {DOMAIN}; ".encode())
    assert minded.sent() == []
    assert minded.notices() == []
    assert minded.intake.counters.forwarded == 1


@pytest.mark.parametrize("to", RESERVED)
def test_without_an_operator_it_is_said_what_is_missing(office: Office, to: str) -> None:
    assert office.takes(reply(), to=to).text == (
        "5.1.1 Nobody reads this here: the operator has not set mail.postmaster"
    )
    assert office.intake.accepts("postmaster@example.net") == Reply(
        550, "5.7.1 No relaying: this server takes mail for its own addresses only"
    )


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict("refused", Reply(554, "spam\r\n250 yes"), True, "end"), 550),
        (Verdict("refused", Reply(451, "4.7.1 later"), False, "rcpt"), 451),
        (Verdict("connect_failed", None, False, "connect"), 451),
    ],
)
def test_what_the_operators_server_does_not_take_its_sender_keeps(
    minded: Office, verdict: Verdict, code: int
) -> None:
    minded.rig.sent.verdict = verdict
    answered = minded.takes(reply(), to="postmaster")
    assert answered.code == code
    assert "250" not in answered.text
    assert minded.intake.counters.forwarded == 0


def test_a_mail_that_goes_round_is_ended(minded: Office) -> None:
    hops = b"Received: from a by b; x\r\n" * (MAX_HOPS + 1)
    assert minded.takes(hops + reply().as_bytes(policy=SMTP), to="postmaster").code == 554
    assert minded.rig.sent.envelopes == []


def test_an_operators_server_that_is_silent_holds_nobody_up(minded: Office) -> None:
    silent: list[Deferred[Verdict]] = []

    def send(envelope: Envelope) -> Deferred[Verdict]:
        silent.append(Deferred())
        return silent[-1]

    clock = minded.rig.time
    postmaster = Postmaster(OPERATOR, DOMAIN, send, clock, clock.wall_ms)
    arrival = Arrival(b"\r\n", "", "192.0.2.1", 'evil"\r\nBcc: x')
    waiting = [Deferred.fromCoroutine(postmaster.forward(arrival, EmailMessage())) for _ in range(9)]
    assert len(silent) == 5
    clock.advance(FORWARD_SECONDS)
    assert [success(item) for item in waiting] == [NOT_NOW] * 9


# -- bounces --------------------------------------------------------------------------------------

DSN = """From: MAILER-DAEMON@mx.example.org\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r
\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example.org\r
\r
Final-Recipient: rfc822; owner@example.org\r
Action: {action}\r
Status: 5.1.1\r
\r
--b--\r
"""


def test_a_bounce_is_shown_at_its_delivery(office: Office) -> None:
    job = office.rig.job()
    delivered = job.delivery._replace(state=DeliveryState.DELIVERED)
    office.rig.work(job)
    sender = office.rig.sent.envelopes[0].sender
    for action in ("delayed", "failed", "failed"):
        assert office.takes(DSN.format(action=action).encode(), to=sender, sender="").code == 250
    with office.rig.store.engine.snapshot() as conn:
        view = messages.get(conn, office.rig.account_id, job.message.id)
    assert view is not None
    (shown,) = view.deliveries
    assert (shown.delivery.id, shown.delivery.state) == (delivered.id, DeliveryState.FAILED)
    assert [(item.outcome, item.excerpt) for item in shown.attempts] == [("bounced", "5.1.1")]
    assert office.intake.counters.bounces == 1


def test_what_is_no_bounce_of_ours(office: Office) -> None:
    octets = DSN.format(action="failed").encode()
    assert office.takes(octets, to=f"sms+bounce-{office.token}@{DOMAIN}", sender="").code == 550
    assert office.takes(octets, to=f"sms+bounce-@{DOMAIN}", sender="").code == 550
    office.rig.work(office.rig.job())
    to = office.rig.sent.envelopes[0].sender
    assert office.takes(reply("I am away."), to=to, sender="").code == 250
    assert office.sent() == []


def test_a_client_that_answers_to_the_envelopes_sender_loses_nothing(office: Office) -> None:
    office.rig.work(office.rig.job())
    to = office.rig.sent.envelopes[0].sender
    assert (
        office.takes(reply("By the wrong way.", references=f"<{office.token}.1f@{DOMAIN}>"), to=to).code
        == 250
    )
    assert office.sent() == [(DID, PEER, "By the wrong way.")]
    assert office.takes(reply("Of no conversation."), to=to).code == 550
    assert office.intake.counters.bounces == 0


# -- the store ------------------------------------------------------------------------------------


def test_when_the_store_fails_the_mail_stays_with_its_sender(office: Office) -> None:
    message = reply()
    office.rig.store.writer.failing = True
    refused = office.takes(message)
    assert (refused.code, refused.text[:5]) == (452, "4.3.1")
    office.rig.store.writer.failing = False
    assert office.sent() == []
    assert office.takes(message).code == 250
    assert len(office.sent()) == 1


def test_nothing_is_said_before_the_commit(office: Office) -> None:
    office.rig.store.writer.held = True
    octets = reply().as_bytes(policy=SMTP)
    answer = office.intake.take(Arrival(octets, OWNER, THEIRS), [office.address])
    assert not answer.called
    office.rig.store.writer.release()
    assert success(answer)[0].code == 250


def test_the_message_and_that_it_was_seen_are_one_transaction(office: Office) -> None:
    office.takes(reply())
    with office.rig.store.engine.snapshot() as conn:
        (seen,) = conn.execute(mail_seen.select().where(mail_seen.c.outcome != mail.AUTHOR)).all()
    assert seen.message_id == office.rig.stored()[0].id
    assert (seen.conversation_id, seen.outcome) == (office.conversation.id, "sent")
    assert office.rig.store.writer.batches == 1


def test_a_server_that_stops_takes_nothing(office: Office) -> None:
    office.outbound.draining = True
    assert office.takes(reply()).code == 452


def test_what_costs_a_reader_his_time_is_not_read_to_its_end(office: Office) -> None:
    """Each of these takes minutes or the stack where nothing limits it; here each is judged at once."""
    head = f"From: {OWNER}\r\n".encode()
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number)
        for number in range(1_500)
    )
    assert office.takes(head + nested).code == 554
    kind = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    for intricate in (b"--b\r\n\r\n" * 10_000, b"--b\r\n" + b"a: b\r\n" * 10_000, b"\r\n" * 200_000):
        assert office.takes(head + kind + intricate).code == 554
    assert office.takes(b"From: " + b'"a" ' * 500_000 + b"\r\n\r\nhi\r\n").code == 550
    tags = b"Content-Type: text/html\r\n\r\nfirst words " + b"<b>x</b>" * 500_000
    subject = b"Subject: " + b"=?utf-8?q?a?= " * 100_000 + b"\r\n\r\nwords"
    for octets in (head + tags, head + subject):
        assert office.takes(octets).code == 250
    assert [text for _, _, text in office.sent()][-1] == "words"


def test_what_is_no_mail_at_all(office: Office) -> None:
    for octets in (b"", b"\r\n", b"\xff\xfe\r\n", b"From\r\n\r\n", b":" * 10_000):
        assert office.takes(octets).code == 550
    assert office.sent() == []


def test_an_author_is_proven_once_for_all_recipients(strict: Office) -> None:
    asked = []
    answer = strict.zone.texts

    async def texts(name: str) -> list[bytes]:
        asked.append(name)
        return await answer(name)

    strict.zone.texts = texts  # type: ignore[method-assign]
    to = [strict.address, strict.address.replace("sms+", "SMS+"), f"sms@{DOMAIN}"]
    named = {"to": ", ".join(to), "references": strict.address}
    arrival = Arrival(signed(reply(**named)), OWNER, STRANGER)
    replies = success(strict.intake.take(arrival, to))
    assert [item.code for item in replies] == [250, 250, 250]
    assert asked == ["s1._domainkey.example.org"]
    strict.zone.away = True
    asked.clear()
    again = Arrival(signed(reply(**named)), OWNER, STRANGER)
    replies = success(strict.intake.take(again, to))
    assert [item.code for item in replies] == [451, 451, 451]
    assert len(asked) == 1


def test_whoever_is_asked_which_number_is_not_said_to_repeat_himself(office: Office) -> None:
    with office.rig.store.engine.transaction() as conn:
        numbers.add_did(conn, office.rig.store.ids.next, office.rig.account_id, SECOND, START_MS)
    office.rig.sets(SECOND, to=OWNER)
    mail_ = new()
    assert office.takes(mail_, to=f"+12025550150@{DOMAIN}").code == 250
    assert [code for code, _ in office.notices()] == ["ambiguous"]
    assert (office.intake.counters.repeated, office.intake.counters.notices) == (0, 1)
    assert office.takes(mail_, to=f"+12025550150@{DOMAIN}").code == 250
    assert (office.intake.counters.repeated, office.intake.counters.notices) == (1, 1)
