"""Which conversation a mail is for, and who may write there."""

from email import message_from_string
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

import dkim
import pytest

from edge.mail.addresses import BOUNCE
from edge.mail.admission import WHICH_NUMBER
from edge.mail.authentication import Arrival, signatures
from edge.mail.writing import binding
from protocols.mail.address import Address
from protocols.mail.lines import MARKER
from protocols.mail.smtp import Reply
from protocols.mail.token import KeyRing
from storage import accounts, mail, numbers
from storage.records import MailConversation
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, START_MS, Time
from tests.unit.edge.mail.office import SECOND, STRANGER, THEIRS, Office, new, reply, signed, signed_over
from tests.unit.edge.mail.rig import DOMAIN, OWNER, RING
from tests.unit.protocols.mail.test_compose import KEY, pem, record


@pytest.mark.parametrize("place", ["references", "in_reply_to", "subject"])
def test_the_token_is_found_wherever_it_was_left(office: Office, place: str) -> None:
    token = office.token.upper() if place == "subject" else office.token
    value = f"Re: [#US{token}] Message sent to 2025550100" if place == "subject" else f"<{token}.1f@{DOMAIN}>"
    assert office.takes(reply(**{place: value}), to=f"sms@{DOMAIN}").code == 250
    assert len(office.sent()) == 1


@pytest.mark.parametrize("between", ["\r\n ", "\r\n\t", " ", "\r\n  "])
@pytest.mark.parametrize("form", ["Re: [#US{}] Message sent to 2025550100", "Re: Message {} of 2025550100"])
def test_a_token_that_a_server_folded(office: Office, between: str, form: str) -> None:
    if "#US" not in form and between in (" ", "\r\n  "):
        form = "Re: ({})"
    subject = form.format(f"{office.token[:17]}{between}{office.token[17:]}")
    octets = f"From: {OWNER}\r\nTo: sms@{DOMAIN}\r\nSubject: {subject}\r\n\r\nYes.\r\n"
    assert office.takes(octets.encode(), to=f"sms@{DOMAIN}").code == 250
    assert office.sent()[-1][2] == "Yes."


def test_of_several_conversations_the_nearest_is_answered(office: Office) -> None:
    """Mails that somebody put into one thread, as by sending one on in an answer to another."""
    with office.rig.store.engine.transaction() as conn:
        made = mail.conversation(conn, office.rig.store.ids.next, office.rig.did(), "+12025550151", START_MS)
    older, newer = f"<{office.token}.1f@{DOMAIN}>", f"<{RING.make(made.id, binding(made))}.2f@{DOMAIN}>"
    for headers in (
        {"references": f"{older} {newer}"},
        {"references": f"{newer} {older}", "in_reply_to": newer},
        {"in_reply_to": newer, "subject": f"Re: [#US{office.token}] Message sent to 2025550100"},
    ):
        assert office.takes(reply(**headers), to=f"sms@{DOMAIN}").code == 250
    assert [peer for _, peer, _ in office.sent()] == ["+12025550151"] * 3


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
        office.intake._admission, "_did", lambda number: type(moved)(moved.id, 99, DID, True, moved.handlers)
    )
    assert office.takes(reply()).code == 550


def test_a_number_that_went_away_and_came_back(office: Office) -> None:
    """Whatever was written about it is void for good; the next mail has another token."""
    store, account = office.rig.store, office.rig.account_id
    for _ in range(2):
        with store.engine.transaction() as conn:
            numbers.remove_did(conn, account, DID)
            other = accounts.add_account(conn, store.ids.next, "other", START_MS).id
            numbers.add_did(conn, store.ids.next, other, DID, START_MS)
        assert office.takes(reply()).code == 550
        with store.engine.transaction() as conn:
            numbers.remove_did(conn, other, DID)
            numbers.add_did(conn, store.ids.next, account, DID, START_MS)
        office.rig.sets(to=OWNER)
        assert office.takes(reply()).text.startswith("5.7.1 Nothing in this mail says which conversation")
    office.rig.work(office.rig.job())
    to = str(office.rig.sent.mails[-1]["Reply-To"].addresses[0].addr_spec)
    assert to != office.address
    assert office.takes(reply(), to=to).code == 250
    assert office.takes(reply()).code == 550
    assert len(office.sent()) == 1


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


def test_a_key_is_found_among_other_texts(strict: Office) -> None:
    strict.zone.beside = [b"v=spf1 -all", b"exp=x"]
    assert strict.takes(signed(reply(to=strict.address)), peer=STRANGER).code == 250


def test_a_strangers_mail_is_no_error_of_ours(strict: Office, caplog: pytest.LogCaptureFixture) -> None:
    strict.zone.known["s1._domainkey.example.org"] = b"v=DKIM7; p=x"
    assert strict.takes(signed(reply(to=strict.address)), peer=STRANGER).code == 550
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


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
        dkim.sign(whole, b"s1", b"example.org", pem(KEY), signature_algorithm=b"rsa-sha1") + whole,
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


# -- new mail -------------------------------------------------------------------------------------


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


TO = f"2025550150@{DOMAIN}"


def to_number(did: str) -> str:
    return f"12025550150+{did.removeprefix('+')}@{DOMAIN}"


@pytest.fixture
def careful(inline_store: InlineStore, time: Time) -> Office:
    """Whoever brings new mail proves it."""
    return Office(inline_store, time, replies="token", new_mail="authenticated")


def another_customer(office: Office, number: str) -> str:
    """Who has the owner's address in his own DID's; the token of a conversation of his."""
    ids = office.rig.store.ids.next
    with office.rig.store.engine.transaction() as conn:
        other = accounts.add_account(conn, ids, "other", START_MS).id
        numbers.add_did(conn, ids, other, number, START_MS)
    office.rig.sets(number, to=f"{OWNER},boss@example.net")
    with office.rig.store.engine.transaction() as conn:
        made = mail.conversation(conn, ids, office.rig.did(number), PEER, START_MS)
    return RING.make(made.id, binding(made))


@pytest.mark.parametrize("theirs", ["+12025550001", "+12025550199"])
def test_another_customer_who_names_the_address_gets_none_of_the_owners_mail(
    careful: Office, theirs: str
) -> None:
    """Nor is his number said."""
    named = to_number(DID)
    assert careful.takes(signed(new(named, "Before.")), to=named).code == 250
    another_customer(careful, theirs)
    assert careful.takes(signed(new(TO, "After.")), to=TO).code == 250
    assert [(did, text) for did, _, text in careful.sent()] == [(DID, "Before."), (DID, "After.")]
    assert careful.notices() == []


def test_of_several_customers_the_author_says_which_number_is_his(careful: Office) -> None:
    assert careful.takes(signed(new(TO, "Alone.")), to=TO).code == 250
    another_customer(careful, SECOND)
    refused = careful.takes(signed(new(TO)), to=TO)
    assert (refused.code, refused.text[:23]) == (550, "5.7.1 Several customers")
    assert "<number>+<your number>@" in refused.text
    assert not set("0123456789") & set(refused.text[6:]), "no number is said"
    assert careful.takes(signed(new(to_number(DID), "Now.")), to=to_number(DID)).code == 250
    assert careful.takes(signed(new(TO, "Again.")), to=TO).code == 250
    assert {did for did, _, _ in careful.sent()} == {DID}
    assert careful.notices() == []


def test_whoever_named_numbers_of_several_customers_goes_on_doing_so(careful: Office) -> None:
    """A link to the other's number is easily clicked: the owner's mail still goes to nobody else."""
    another_customer(careful, SECOND)
    for did in (SECOND, DID):
        assert careful.takes(signed(new(to_number(did))), to=to_number(did)).code == 250
        careful.rig.time.advance(60)
    assert careful.takes(signed(new(TO)), to=TO).text == WHICH_NUMBER.text
    assert [did for did, _, _ in careful.sent()] == [SECOND, DID]


@pytest.mark.parametrize("author", [OWNER, "intruder@evil.example"])
def test_a_reply_does_not_say_for_whom_somebody_writes(careful: Office, author: str) -> None:
    """Forged by the other customer, who sees his own token, or really the owner's, to who texted him."""
    theirs = another_customer(careful, SECOND)
    for token in (theirs, careful.token):
        to = f"sms+{token}@{DOMAIN}"
        answer = signed(reply("Who is this?", to=to))
        assert careful.takes(answer, to=to, sender=author, peer=STRANGER).code == 250
        assert careful.takes(signed(new(TO)), to=TO).text == WHICH_NUMBER.text
    assert {peer for _, peer, _ in careful.sent()} == {PEER}


def test_nor_does_new_mail_that_nobody_proves(inline_store: InlineStore, time: Time) -> None:
    office = Office(inline_store, time, new_mail="sender")
    another_customer(office, SECOND)
    forged = to_number(SECOND)
    assert office.takes(new(forged), to=forged, peer=STRANGER).code == 250
    assert office.takes(new(TO), to=TO).text == WHICH_NUMBER.text
    foreign = to_number("+12025550188")
    assert office.takes(new(foreign), to=foreign).code == 550


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
