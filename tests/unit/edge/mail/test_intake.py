"""What comes in by mail: what becomes an SMS, what is answered, and what stops a loop."""

from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from twisted.internet.defer import Deferred

from edge import statuses
from edge.mail.addresses import BOUNCE
from edge.mail.authentication import Arrival
from edge.mail.postmaster import FORWARD_SECONDS, MAX_HOPS, NOT_NOW, NOT_WANTED, Postmaster
from edge.mail.tokens import Tokens
from edge.mail.writing import binding
from protocols.mail.lines import MARKER
from protocols.mail.smtp import Envelope, Reply, Verdict
from protocols.mail.token import KeyRing
from storage import mail, messages, numbers
from storage.records import DeliveryState
from storage.tables import mail_seen, part
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, START_MS, Time
from tests.unit.edge.mail.office import STRANGER, THEIRS, Office, new, reply
from tests.unit.edge.mail.rig import DOMAIN, OWNER, RING

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


SPELLINGS = [
    "sms+{}@sms.example.net", "sms%2B{}@sms.example.net", "sms%2b{}", "[#US{}]", "[#us{}] Re", "#Us{}",
    "us{}", "{}", "({})", "<{}.1f@sms.example.net>", "{}x", "9{}9", "token:{},{}",
]  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_whoever_has_a_token_may_use_it_so_none_is_sent(office: Office, spelling: str) -> None:
    """Of this conversation or another, of a mail or of what bounces."""
    with office.rig.store.engine.transaction() as conn:
        other = mail.conversation(conn, office.rig.store.ids.next, office.rig.did(), "+12025550151", START_MS)
    bounces = RING.make(other.id, BOUNCE)
    for token in (office.token, office.token.upper(), RING.make(other.id, binding(other)), bounces):
        text = f"Use {spelling} there.".replace("{}", token)
        assert office.takes(reply(text)).code == 250
        assert office.sent()[-1][2] == f"Use {spelling} there.".replace("{}", "…")
        office.rig.time.advance(61)


@pytest.mark.parametrize("cut", [1, 13, 20, 39])
@pytest.mark.parametrize(
    "between", ["\n", "\r\n", " \n", "=\n", "= \n", "\n> ", "\n>> ", "\n    ", "\n\n", " ", "\n| ", "-"]
)
def test_a_token_that_is_broken_is_not_sent_either(office: Office, between: str, cut: int) -> None:
    """As a mail client wraps long lines, also twice."""
    for token in (office.token, office.token.upper()):
        broken = f"{token[:cut]}{between}{token[cut:]}"
        assert _blanked(office, f"Use sms+{broken}@x.") == "Use sms+…@x."
    thrice = between.join((office.token[:10], office.token[10:30], office.token[30:]))
    assert _blanked(office, f"{thrice} or {office.token}") == "… or …"


def test_a_broken_token_is_not_sent(office: Office) -> None:
    """By the whole way."""
    assert office.takes(reply(f"Use sms+{office.token[:20]}\n{office.token[20:]}@x.")).code == 250
    assert office.sent()[-1][2] == "Use sms+…@x."


def test_words_between_the_halves_of_a_token_are_sent(office: Office) -> None:
    for between in ("\nwords\n", "\nДа\n", " 0 "):
        text = f"{office.token[:20]}{between}{office.token[20:]}"
        assert _blanked(office, text) == text


def _blanked(office: Office, text: str) -> str:
    return success(Deferred.fromCoroutine(Tokens(RING, office.rig.real).blanked(text)))


@pytest.mark.parametrize("subject", ["Out of the office", "Abwesend", "Réponse automatique", "Fuori sede"])
def test_whoever_is_away_answers_nothing_in_a_thread_and_may_begin_one(office: Office, subject: str) -> None:
    """A person's answer has the subject of our mail, and a program does not write to a number."""
    assert office.takes(reply("I am away.", subject=subject)).code == 250
    assert (office.sent(), office.notices()) == ([], [])
    assert office.takes(reply("Yes.", subject=f"Re: [#US{office.token}] {subject}")).code == 250
    assert office.takes(new(text="Back on Monday.", subject=subject), to=f"+12025550150@{DOMAIN}").code == 250
    assert [text for _, _, text in office.sent()] == ["Yes.", "Back on Monday."]


def test_what_only_looks_like_a_token_is_sent(office: Office) -> None:
    """Somebody's own key, a token with a letter changed, and a text of nothing but such letters."""
    altered = f"{office.token[:20]}{'b' if office.token[20] == 'a' else 'a'}{office.token[21:]}"
    foreign = KeyRing({1: b"x" * 32}, 1).make(office.conversation.id, binding(office.conversation))
    for text in (f"Use sms+{altered}@x", f"[#US{foreign}]", "mfrggzdfmztwq2lk" * 3, "ae" * 9_000):
        assert office.takes(reply(text)).code == 250
        assert office.sent()[-1][2] == text


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


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("plain", "x" * 40_001),
        ("plain", "some words\n" * 40_000),
        ("html", "<p>some words</p>\n" * 30_000),
        ("html", f"<style>{'p {} ' * 60_000}</style><p>Yes.</p>"),
    ],
)
def test_more_than_can_be_sent_is_said_to_be_so_and_never_cut(office: Office, kind: str, text: str) -> None:
    message = reply()
    message.set_content(text, subtype=kind)
    assert office.takes(message).code == 250
    assert (office.notices(), office.sent()) == ([("text_too_long", OWNER)], [])
    assert office.sentence() == "Not sent: a text has 40000 characters at most."


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        ("plain", "Yes.\n\nOn 2026-11-24 12:30 Ann <a@example.org> wrote:\n" + "> words\n" * 60_000, "Yes."),
        ("html", "<p>Yes.</p><blockquote>" + "<p>words</p>\n" * 40_000 + "</blockquote>", "Yes."),
        ("html", f"<p>a</p><img src='data:image/png;base64,{'QUJD' * 99_000}'><p>b</p>", "a\n\nb"),
    ],
)
def test_what_is_below_an_answer_may_be_as_long_as_it_is(
    office: Office, kind: str, text: str, answer: str
) -> None:
    message = reply()
    message.set_content(text, subtype=kind)
    assert office.takes(message).code == 250
    assert office.sent() == [(DID, PEER, answer)]


@pytest.mark.parametrize(
    ("owner", "author"),
    [
        ("jörg@example.org", "Jörg <jörg@example.org>"),
        ("büro@xn--bcher-kva.example", '"Büro, hinten" <büro@bücher.example>'),
        ("owner@example.org", "Zoë Ünal <owner@example.org>"),
    ],
)
def test_headers_may_be_in_utf_8(office: Office, owner: str, author: str) -> None:
    """RFC 6532."""
    office.rig.sets(to=owner)
    octets = "\r\n".join(
        [f"From: {author}", "Message-ID: <ü@example.org>", "Content-Type: multipart/mixed; boundary=b", "",
         "--b", "", "Yes.", "--b", "Content-Type: application/pdf",
         'Content-Disposition: attachment; filename="Rechnüng.pdf"', "", "x", "--b--", ""]
    ).encode()  # fmt: skip
    assert office.takes(octets, sender=owner).code == 250
    assert office.sent() == [(DID, PEER, "Yes.")]
    assert office.sentence().endswith("Rechnüng.pdf.")


@pytest.mark.parametrize(
    "octets", [b"j\xf6rg@example.org", b"j\xc3rg@example.org", b"\xed\xa0\x80@example.org"]
)
def test_a_from_that_is_not_utf_8_is_nobodys(office: Office, octets: bytes) -> None:
    assert office.takes(b"From: " + octets + b"\r\nMessage-ID: <a@b>\r\n\r\nYes.\r\n").code == 550
    assert office.sent() == []


def test_attachments_are_named_as_not_sent(office: Office) -> None:
    message = reply("See the picture.")
    message.add_attachment(b"\xff\xd8", maintype="image", subtype="jpeg", filename="garden.jpg")
    assert office.takes(message).code == 250
    assert office.sent() == [(DID, PEER, "See the picture.")]
    assert office.notices() == [("attachments_not_sent", OWNER)]
    assert office.sentence().endswith("garden.jpg.")


@pytest.mark.parametrize("place", ["answer", "signature"])
def test_a_picture_of_the_signature_is_not_named_as_not_sent(office: Office, place: str) -> None:
    picture = '<img src="cid:logo">'
    message = reply("Yes.")
    message.add_alternative(
        f"<p>Yes.{picture if place == 'answer' else ''}</p>"
        f'<div class="gmail_signature">Jane{picture if place == "signature" else ""}</div>',
        subtype="html",
    )
    page = message.get_payload(1)
    assert isinstance(page, EmailMessage)
    page.add_related(b"\x89PNG", maintype="image", subtype="png", cid="<logo>", filename="logo.png")
    assert office.takes(message).code == 250
    assert office.sent() == [(DID, PEER, "Yes.")]
    assert office.notices() == ([("attachments_not_sent", OWNER)] if place == "answer" else [])


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


def test_a_program_in_disguise_is_not_told_for_ever(office: Office) -> None:
    """It answers each notice, and what it says cannot be sent."""
    with office.rig.store.engine.transaction() as conn:
        numbers.set_did(conn, office.rig.store.ids.next, DID, sms_enabled=False)
    codes = [office.takes(reply(f"Ticket {number} is open.")).code for number in range(30)]
    assert codes == [250] * 20 + [550] * 10
    assert office.notices() == [("sms_disabled", OWNER)] * 20
    office.rig.time.advance(3_601)
    assert office.takes(reply()).code == 250


# -- recipients -----------------------------------------------------------------------------------


RELAYS = [
    "a@example.net", "<a@example.net>", "a%example.net@sms.example.net", "a%example.net", "example.net!a",
    "example.net!a@sms.example.net", "@sms.example.net:a@example.net", "@a,@b:c@example.net",
    '"a@example.net"', '"a@example.net"@sms.example.net', "a@example.net@sms.example.net",
    "a@sms.example.net@example.net", "a@[127.0.0.1]", "a@[IPv6:::1]", "a@localhost", "a@127.0.0.1", "a",
    "a@sms.example.net.", "sms@sub.sms.example.net", "sms@SMS.example.net.example.org", "a@",
    "a+b@example.net", "sms+x%example.net@sms.example.net ", "postmaster@example.net", "root@sms.example.net",
    "a%2Bb@sms.example.net", "sms%2Bx@example.net",
]  # fmt: skip


@pytest.mark.parametrize("recipient", RELAYS)
def test_nothing_is_relayed(office: Office, recipient: str) -> None:
    refused = office.intake.accepts(recipient)
    assert refused is not None
    assert refused.code in (550, 553)


@pytest.mark.parametrize(
    "local",
    [
        "sms",
        "SMS+abc",
        "sms+bounce-abc",
        "sms%2Babc",
        "sms%2bbounce-abc",
        "+12025550150",
        "%2B12025550150",
        "2025550150",
        "12345",
        "12025550150+12025550100",
    ],
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


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (f"Received: from a ([192.0.2.1])\r\n\tby {DOMAIN}; x\r\n", 554),
        (f"received: from a ([192.0.2.1]) by {DOMAIN.upper()}; x\r\n", 554),
        (f"Received: from a by {DOMAIN} (Postfix) with ESMTP id 4; x\r\n", 250),
        (f"Received: from {DOMAIN}; by other.example; x\r\n", 250),
        (f"Received: from a by sms-{DOMAIN}; x\r\n", 250),
        (f"X-Trunkline-Loop: {DOMAIN}\r\n", 554),
        ("X-Trunkline-Loop: sms.example.com\r\n", 250),
    ],
)
def test_a_mail_that_was_here_before_goes_no_further(minded: Office, header: str, code: int) -> None:
    """A mail server in front of us may have our name; another of ours may have written to the operator."""
    octets = header.encode() + reply().as_bytes(policy=SMTP)
    assert minded.takes(octets, to="postmaster").code == code
    assert len(minded.rig.sent.envelopes) == (code == 250)


def test_two_servers_that_are_each_others_postmaster(time: Time) -> None:
    """It ends at the third hop, at once, and whoever wrote is told."""
    names = ["a.example.net", "b.example.net"]
    hops: list[str] = []

    def forward(here: int, octets: bytes) -> Deferred[Reply | None]:
        hops.append(names[here])
        arrival = Arrival(octets, "", "192.0.2.1", "client")
        return Deferred.fromCoroutine(servers[here].forward(arrival, message_from_bytes(octets)))

    def sends(here: int) -> Callable[[Envelope], Deferred[Verdict]]:
        def send(envelope: Envelope) -> Deferred[Verdict]:
            answered = forward(1 - here, envelope.mail)
            return answered.addCallback(
                lambda said: Verdict("refused" if said else "sent", said, True, "end")
            )

        return send

    servers = [
        Postmaster(f"postmaster@{names[1 - here]}", names[here], names[here], sends(here), time, time.wall_ms)
        for here in (0, 1)
    ]
    answered = success(forward(0, reply().as_bytes(policy=SMTP)))
    assert (answered, hops) == (NOT_WANTED, ["a.example.net", "b.example.net", "a.example.net"])


def test_an_operators_server_that_is_silent_holds_nobody_up(minded: Office) -> None:
    silent: list[Deferred[Verdict]] = []

    def send(envelope: Envelope) -> Deferred[Verdict]:
        silent.append(Deferred())
        return silent[-1]

    clock = minded.rig.time
    postmaster = Postmaster(OPERATOR, DOMAIN, DOMAIN, send, clock, clock.wall_ms)
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


@pytest.mark.parametrize("charset", ["idna", "punycode", "undefined"])
def test_a_mail_whose_parameters_are_in_no_charset(office: Office, charset: str) -> None:
    """It was answered 451, and came again for days."""
    kind = f"Content-Type: multipart/mixed; boundary*={charset}''b%ff"
    lines = [f"From: {OWNER}", f"Message-ID: <{charset}@x>", kind, "", "--b\xff", "", "Yes.", "--b\xff--", ""]
    assert office.takes("\r\n".join(lines).encode("latin-1")).code == 250
    file = f"Content-Disposition: attachment; filename*={charset}''%61%ff"
    lines = [f"From: {OWNER}", f"Message-ID: <{charset}2@x>", "Content-Type: multipart/mixed; boundary=b"]
    lines += ["", "--b", "", "No.", "--b", file, "", "x", "--b--", ""]
    assert office.takes("\r\n".join(lines).encode()).code == 250
    assert office.sent()[-1][2] == "No."


def test_what_is_no_mail_at_all(office: Office) -> None:
    for octets in (b"", b"\r\n", b"\xff\xfe\r\n", b"From\r\n\r\n", b":" * 10_000):
        assert office.takes(octets).code == 550
    assert office.sent() == []
