"""The mailbox elsewhere: who a mail in it is to, and how it is marked."""

from dataclasses import replace
from email import message_from_string
from email.policy import SMTP
from email.utils import formatdate
from time import gmtime, strftime
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.mail import imap4
from twisted.python.failure import Failure

from edge.config_mail import IMAPConfig
from edge.config_reader import Secret
from edge.mail.authentication import Arrival
from edge.mail.intake import Intake
from edge.mail.mailbox import FLAGGED, SEEN, Client, Mailbox, flags_for
from edge.mail.writing import binding
from protocols.mail.smtp import Reply
from storage import mail
from storage.retention import SEEN_MS
from storage.testing import InlineStore
from tests.deferreds import failure, success
from tests.unit.edge.conftest import DID, PEER, START_MS, Time
from tests.unit.edge.mail.office import Office, reply
from tests.unit.edge.mail.rig import ADDRESSES, DOMAIN, OWNER, RING

MANY = [f"{2025550100 + number}@{DOMAIN}" for number in range(103)]
TAKEN, REFUSED, LATER = Reply(250, "x"), Reply(550, "x"), Reply(452, "x")


@pytest.mark.parametrize(
    ("headers", "recipients"),
    [
        (
            f"To: Anna <SMS+abc@{DOMAIN}>, x@example.net\nCc: 2025550150@{DOMAIN}",
            [f"sms+abc@{DOMAIN}", f"2025550150@{DOMAIN}"],
        ),
        (f"Delivered-To: sms+abc@{DOMAIN}\nTo: sms+abc@{DOMAIN}", [f"sms+abc@{DOMAIN}"]),
        ("To: somebody@example.net", [f"sms@{DOMAIN}"]),
        (f"Delivered-To: sms@{DOMAIN}\nTo: somebody@example.net", [f"sms@{DOMAIN}"]),
        (f"Delivered-To: sms@{DOMAIN}\nTo: sms+abc@{DOMAIN}", [f"sms+abc@{DOMAIN}"]),
        (f"Delivered-To: SMS+@{DOMAIN}\nTo: 2025550150@{DOMAIN}", [f"2025550150@{DOMAIN}"]),
        (f"To: sms+abc@{DOMAIN}\nCc: sms%2Babc@{DOMAIN}", [f"sms+abc@{DOMAIN}"]),
        (f"X-Original-To: sms+abc@{DOMAIN}\nTo: sms%2babc@{DOMAIN}", [f"sms%2babc@{DOMAIN}"]),
        (f"Delivered-To: 12025550150@{DOMAIN}\nTo: +12025550150@{DOMAIN}", [f"+12025550150@{DOMAIN}"]),
        (f"To: sms@{DOMAIN}\nCc: postmaster@{DOMAIN}", [f"postmaster@{DOMAIN}", f"sms@{DOMAIN}"]),
        ("Subject: nothing", [f"sms@{DOMAIN}"]),
        ("To: " + ", ".join(MANY), MANY[:100]),
    ],
)
def test_whom_a_mail_is_to(headers: str, recipients: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    config = IMAPConfig(host="localhost", username="sms", password=Secret("x"))
    mailbox = Mailbox(config, replace(ADDRESSES, postmaster=True), cast(Any, None), 1_000, Time())
    assert mailbox.recipients(message_from_string(f"{headers}\n\nhi")) == recipients
    said = capsys.readouterr().out
    assert [number in said for number in MANY[99:]] == [len(recipients) == 100 and n > 0 for n in range(4)]


@pytest.mark.parametrize(
    ("replies", "flags"),
    [
        ([TAKEN], [SEEN]),
        ([REFUSED], [SEEN, FLAGGED]),
        ([REFUSED, TAKEN], [SEEN]),
        ([LATER], []),
        ([TAKEN, LATER], []),
    ],
)
def test_how_a_mail_is_marked(replies: list[Reply], flags: list[str]) -> None:
    assert flags_for(replies) == flags


@pytest.mark.parametrize("level", ["sender", "authenticated"])
def test_the_mailbox_is_no_recipient_beside_a_conversation(
    inline_store: InlineStore, time: Time, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server that keeps it writes its name into each mail; an answer in another one's thread is one."""
    office = Office(inline_store, time, replies=level, authserv_id="mx.here")
    with inline_store.engine.transaction() as conn:
        made = mail.conversation(conn, inline_store.ids.next, office.rig.did(), "+12025550151", START_MS)
    other = RING.make(made.id, binding(made))
    answer = reply(
        "For one.", to=office.address, references=f"<{other}@{DOMAIN}>", in_reply_to=f"<{other}.1f@{DOMAIN}>"
    )
    passed = "mx.here; spf=pass smtp.mailfrom=example.org; dmarc=pass header.from=example.org"
    head = f"Return-Path: <{OWNER}>\r\nDelivered-To: sms@{DOMAIN}\r\nAuthentication-Results: {passed}\r\n"
    there = Elsewhere({"1": head.encode() + answer.as_bytes(policy=SMTP)})
    success(mailbox_of(there, office.intake).look())
    assert office.sent() == [(DID, PEER, "For one.")]
    assert {name: count for name, count in office.intake.counters.items() if count} == {"sent": 1}
    assert "mail_dropped" not in capsys.readouterr().out
    assert there.flags == {"1": {SEEN}}


class Elsewhere:
    """A mailbox: what is in it by UID, and how each is marked. One mail is too much for Twisted's parser.

    ``fixed`` mails cannot be marked, and nothing can where there are ``readers`` only. Once ``goes`` is
    fetched, the server is gone.
    """

    def __init__(
        self, mails: dict[str, bytes], fixed: str = "", readers: bool = False, goes: str = ""
    ) -> None:
        self.mails = mails
        self.flags: dict[str, set[str]] = {uid: set() for uid in mails}
        self.fixed, self.readers, self.goes = fixed, readers, goes
        self.came: dict[str, str] = {}
        self.greeted = succeed(None)
        self.lost: Failure | None = None
        self.transport = self

    def abortConnection(self) -> None:
        assert self.lost is None, "Twisted's TLS cannot"

    def login(self, *_: bytes) -> Any:
        self.lost = None
        return succeed(None)

    def select(self, _: str) -> Any:
        return succeed(None)

    def logout(self) -> Any:
        return succeed(None)

    def search(self, query: str, uid: bool) -> Any:
        assert query == "(UNSEEN UNFLAGGED)"
        return succeed([uid for uid, flags in self.flags.items() if not flags])

    def fetchFast(self, which: str, uid: bool) -> Any:
        came = {"INTERNALDATE": self.came[which]} if which in self.came else {}
        return succeed({1: {"RFC822.SIZE": str(len(self.mails[which])), **came}})

    def fetchSpecific(
        self,
        which: str,
        uid: bool,
        peek: bool,
        headerType: str | None = None,
        offset: int = 0,
        length: int | None = None,
    ) -> Any:
        if which == self.goes:
            self.lost = Failure(ConnectionLost())
            return fail(self.lost)
        octets = self.mails[which]
        if octets.startswith(b"BAD"):
            return fail(imap4.MismatchedNesting("((("))
        if headerType == "HEADER":
            octets = octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        return succeed({1: [["BODY", [], octets[offset:][:length].decode("latin-1")]]})

    def removeFlags(self, which: str, flags: list[str], uid: bool) -> Any:
        return self._stored(which, self.flags[which] - set(flags))

    def addFlags(self, which: str, flags: list[str], uid: bool) -> Any:
        if which == self.fixed:
            return fail(imap4.IMAP4Exception(b"no room"))
        return self._stored(which, self.flags[which] | set(flags))

    def _stored(self, which: str, flags: set[str]) -> Any:
        if self.readers:
            return fail(imap4.IMAP4Exception(b"read-only"))
        self.flags[which] = flags
        return succeed(None)


class Desk:
    """An intake that takes everything, except that it is told later of mails with this word in them."""

    def __init__(self, later: bytes = b"LATER") -> None:
        self.taken: list[tuple[Arrival, list[str]]] = []
        self.later = later

    def take(self, arrival: Arrival, recipients: list[str]) -> Any:
        self.taken.append((arrival, recipients))
        return succeed([LATER if self.later in arrival.octets else TAKEN])

    def texts(self) -> list[bytes]:
        """The last line of each mail that came."""
        return [arrival.octets.rpartition(b"\r\n\r\n")[2] for arrival, _ in self.taken]


def mailbox_of(there: Elsewhere, desk: Desk | Intake, max_octets: int = 1_000_000) -> Mailbox:
    config = IMAPConfig(host="localhost", username="sms", password=Secret("x"))
    mailbox = Mailbox(config, ADDRESSES, cast(Any, desk), max_octets, Time())
    mailbox._connect = lambda: succeed(there)  # type: ignore[method-assign,assignment,return-value]
    return mailbox


def test_one_bad_mail_does_not_stop_the_mailbox() -> None:
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number)
        for number in range(1_500)
    )
    good = f"Return-Path: <a@b.example>\r\nTo: sms+abc@{DOMAIN}\r\n\r\nhi\r\n".encode()
    there = Elsewhere({"1": b"BAD", "2": b"Subject: x\r\n" + nested, "3": good})
    desk = Desk()
    success(mailbox_of(there, desk).look())
    assert there.flags == {"1": {FLAGGED}, "2": {SEEN}, "3": {SEEN}}
    assert [(arrival.sender, to) for arrival, to in desk.taken] == [
        ("unknown", [f"sms@{DOMAIN}"]),
        ("a@b.example", [f"sms+abc@{DOMAIN}"]),
    ]


def test_nothing_is_taken_from_a_folder_in_which_nothing_can_be_marked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It would be taken again when it is forgotten."""
    there = Elsewhere({"1": b"\r\n\r\nhi", "2": b"\r\n\r\nho"}, readers=True)
    desk = Desk()
    mailbox = mailbox_of(there, desk)
    for _ in range(2):
        success(mailbox.look())
    assert desk.taken == []
    assert capsys.readouterr().out.count("cannot be marked as seen") == 1
    there.readers = False
    success(mailbox.look())
    assert there.flags == {"1": {SEEN}, "2": {SEEN}}


def test_what_comes_up_again_is_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail that cannot be marked, and those that are for later: the others have their turn first."""
    monkeypatch.setattr("edge.mail.mailbox.AT_ONCE", 3)
    mails = {str(uid): b"\r\n\r\nLATER" for uid in range(1, 4)} | {"4": b"\r\n\r\nno", "5": b"\r\n\r\nhi"}
    there = Elsewhere(mails, fixed="4")
    desk = Desk()
    mailbox = mailbox_of(there, desk)
    for _ in range(2):
        success(mailbox.look())
    assert desk.texts() == [b"LATER", b"LATER", b"LATER", b"no", b"hi", b"LATER"]
    assert [uid for uid, flags in there.flags.items() if flags] == ["5"]
    desk.later = b"nothing"
    for _ in range(2):
        success(mailbox.look())
    assert [uid for uid, flags in there.flags.items() if not flags] == ["4"]


DAY_SECONDS = 86_400


@pytest.mark.parametrize("level", ["token", "sender", "authenticated"])
def test_what_is_older_than_what_is_known_is_not_sent_once_more(
    inline_store: InlineStore, time: Time, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mailbox that was restored without its flags, when its mails are forgotten here."""
    office = Office(inline_store, time, replies=level, authserv_id="mx.here")
    passed = "mx.here; spf=pass smtp.mailfrom=example.org; dmarc=pass header.from=example.org"

    def answer(text: str, date: str) -> bytes:
        headers = {"to": office.address, "authentication_results": passed, "date": date}
        return f"Return-Path: <{OWNER}>\r\n".encode() + reply(text, **headers).as_bytes(policy=SMTP)

    def ago(days: float) -> float:
        return START_MS / 1_000 - days * DAY_SECONDS

    there = Elsewhere(
        {
            "1": answer("Kept for long.", formatdate(ago(5))),
            "2": answer("Under way for long.", formatdate(ago(30))),
            "3": answer("Dated.", formatdate(ago(7))),
            "4": answer("No date.", "yesterday"),
        }
    )
    there.came = {"1": internal(ago(6.1)), "2": internal(ago(5.9)), "3": "NIL"}
    success(mailbox_of(there, office.intake).look())
    assert [text for _, _, text in office.sent()] == ["Under way for long.", "No date."]
    assert there.flags == {"1": {SEEN, FLAGGED}, "2": {SEEN}, "3": {SEEN, FLAGGED}, "4": {SEEN}}
    assert capsys.readouterr().out.count("reason=too_old") == 2
    assert {name: count for name, count in office.intake.counters.items() if count} == {
        "sent": 2,
        "refused": 2,
    }

    with inline_store.engine.transaction() as conn:
        time.advance(8 * DAY_SECONDS)
        assert mail.purge_seen(conn, time.wall_ms() - SEEN_MS, 100) > 0
    there.flags = {uid: set() for uid in there.mails}
    del there.mails["4"], there.flags["4"]
    success(mailbox_of(there, office.intake).look())
    assert len(office.sent()) == 2


def internal(at: float) -> str:
    """As an IMAP server says it (RFC 3501 §9, date-time)."""
    return (
        strftime("%d-", gmtime(at)) + formatdate(at).split()[2] + strftime("-%Y %H:%M:%S +0000", gmtime(at))
    )


def test_a_server_that_goes_leaves_its_mails_for_the_next_look(capsys: pytest.CaptureFixture[str]) -> None:
    there = Elsewhere({str(uid): b"\r\n\r\n%d" % uid for uid in range(4)}, goes="1")
    desk = Desk()
    mailbox = mailbox_of(there, desk)
    success(mailbox.look())
    said = capsys.readouterr().out
    assert (said.count("mailbox_not_read"), said.count("mailbox_mail_not_read")) == (1, 0)
    assert there.flags == {"0": {SEEN}, "1": set(), "2": set(), "3": set()}
    there.goes = ""
    success(mailbox.look())
    assert desk.texts() == [b"0", b"1", b"2", b"3"]


def test_a_client_whose_server_has_gone_says_so() -> None:
    client = Client()
    client.makeConnection(StringTransport())
    under_way = client.login(b"sms", b"secret")
    client.connectionLost(Failure(ConnectionLost()))
    for waiting in (client.greeted, under_way, client.addFlags("1", [SEEN], uid=True)):
        failure(waiting, ConnectionLost)


WHOLE = b"From: a\r\n\r\nhi\r\n"
LITERAL = b"{15}\r\n" + WHOLE


class Dialogue(Client):
    """Twisted's client, whose server answers each command with the next of these."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__()
        self._answers = [*answers]
        self.makeConnection(StringTransport())
        self.dataReceived(b"* OK [CAPABILITY IMAP4rev1] hello\r\n")

    def sendCommand(self, cmd: imap4.Command) -> Any:
        sent = super().sendCommand(cmd)
        transport: Any = self.transport
        tag = transport.value().split()[0]
        transport.clear()
        self.dataReceived(self._answers.pop(0) + tag + b" OK done\r\n")
        return sent


@pytest.mark.parametrize(
    "answer",
    [
        b"* 1 FETCH (UID 7 BODY[] %b)\r\n",
        b"* 1 FETCH (BODY[] %b UID 7)\r\n",
        b"* 1 FETCH (UID 7 BODY[] %b FLAGS (\\Seen))\r\n",
        b"* 1 FETCH (UID 7 BODY[] %b MODSEQ (12))\r\n",
        b"* 3 FETCH (UID 9 FLAGS (\\Seen))\r\n* 1 FETCH (UID 7 BODY[] %b)\r\n",
        b"* 1 FETCH (UID 7 BODY[] %b)\r\n* 1 FETCH (UID 7 FLAGS (\\Seen))\r\n* 4 EXISTS\r\n",
        b'* 3 FETCH (UID 9 BODY[] "another mail")\r\n* 1 FETCH (UID 7 BODY[] %b)\r\n',
    ],
)
def test_a_server_may_say_it_in_any_order_and_tell_of_other_mails(answer: bytes) -> None:
    desk = Desk()
    mailbox = mailbox_of(Elsewhere({}), desk)
    others = b"* 3 FETCH (UID 9 FLAGS ())\r\n* 2 FETCH (UID 8 RFC822.SIZE 9999)\r\n"
    facts = b'FLAGS () INTERNALDATE " 9-Sep-2001 01:46:40 +0000" RFC822.SIZE 15 UID 7'
    size = others + b"* 1 FETCH (" + facts + b")\r\n"
    flags = success(Deferred.fromCoroutine(mailbox._take(Dialogue(size, answer % LITERAL), "7")))
    assert flags == [SEEN]
    assert [(arrival.octets, arrival.at) for arrival, _ in desk.taken] == [(WHOLE, 1_000_000_000)]


def test_a_mail_that_is_gone_meanwhile_is_left_alone() -> None:
    desk = Desk()
    mailbox = mailbox_of(Elsewhere({}), desk)
    there = Dialogue(b"* 1 FETCH (UID 7 RFC822.SIZE 15)\r\n", b"* 3 FETCH (UID 9 FLAGS (\\Seen))\r\n")
    assert success(Deferred.fromCoroutine(mailbox._take(there, "7"))) == []
    assert desk.taken == []


@pytest.mark.parametrize("answer", [b"(UID 7 BODY[HEADER]<0> %b)", b"(BODY[HEADER]<0> %b UID 7)"])
def test_a_head_in_any_order(answer: bytes) -> None:
    desk = Desk()
    mailbox = mailbox_of(Elsewhere({}), desk, 10)
    there = Dialogue(b"* 1 FETCH (UID 7 RFC822.SIZE 99)\r\n", b"* 1 FETCH " + answer % LITERAL + b"\r\n")
    assert success(Deferred.fromCoroutine(mailbox._take(there, "7"))) == [SEEN, FLAGGED]
    assert [arrival.octets for arrival, _ in desk.taken] == [WHOLE]


def test_of_a_mail_that_is_too_large_the_head_is_taken() -> None:
    head = f"From: a@b.example\r\nTo: sms+abc@{DOMAIN}\r\n".encode()
    there = Elsewhere({"1": head + b"\r\n" + b"x" * 2_000, "2": head + b"X: LATER\r\n\r\n" + b"x" * 2_000})
    desk = Desk()
    success(mailbox_of(there, desk, 1_000).look())
    (arrival, to), _ = desk.taken
    assert (arrival.octets, arrival.whole, to) == (head + b"\r\n", False, [f"sms+abc@{DOMAIN}"])
    assert there.flags == {"1": {SEEN, FLAGGED}, "2": set()}
