"""The client of SMTP against scripts of servers: what it says, and how it judges what it hears."""

import base64

import pytest

from protocols.mail.smtp import TLS, Action, Client, Credentials, Envelope, Send, StartTLS, Verdict
from protocols.mail.wire import bare, canonical, stuffed

MAIL = b"Subject: hi\n\nhello\n.dot\n"
ENVELOPE = Envelope("sms@sms.example.net", "owner@example.org", MAIL)
ME = Credentials("me", "sécret")
PLAIN = b"AUTH PLAIN " + base64.b64encode("\0me\0sécret".encode()) + b"\r\n"


class Talk:
    """A server that follows a script, before a client."""

    def __init__(
        self, tls: TLS = TLS.OFF, credentials: Credentials | None = None, envelope: Envelope = ENVELOPE
    ):
        self.client = Client("sms.example.net", envelope, tls, credentials)
        self.verdict: Verdict | None = None
        self.starttls = 0

    def says(self, *lines: str) -> bytes:
        """What the client sends after these lines."""
        return self.after(self.client.receive("".join(f"{line}\r\n" for line in lines).encode()))

    def encrypted(self) -> bytes:
        return self.after(self.client.encrypted())

    def after(self, actions: list[Action]) -> bytes:
        out = b""
        for action in actions:
            match action:
                case Send(octets):
                    out += octets
                case StartTLS():
                    self.starttls += 1
                case Verdict():
                    assert self.verdict is None
                    self.verdict = action
        return out

    def ended(self, outcome: str, final: bool, stage: str) -> None:
        assert self.verdict is not None
        assert (self.verdict.outcome, self.verdict.final, self.verdict.stage) == (outcome, final, stage)
        assert self.says("250 and more") == b"", "after the verdict nothing is said"


def test_a_mail_step_by_step() -> None:
    talk = Talk()
    assert talk.says("220-mx", "220 ready") == b"EHLO sms.example.net\r\n"
    assert talk.says("250-mx", "250 HELP") == b"MAIL FROM:<sms@sms.example.net>\r\n"
    assert talk.says("250 ok") == b"RCPT TO:<owner@example.org>\r\n"
    assert talk.says("250 ok") == b"DATA\r\n"
    doubts = [talk.client.in_doubt]
    assert talk.says("354 go") == b"Subject: hi\r\n\r\nhello\r\n..dot\r\n.\r\n"
    assert [*doubts, talk.client.in_doubt] == [False, True]
    assert talk.says("250 2.0.0 queued as X") == b"QUIT\r\n"
    talk.ended("sent", True, "end")
    assert talk.verdict is not None
    assert str(talk.verdict.reply) == "250 2.0.0 queued as X"


def test_the_extensions_that_there_are_are_used() -> None:
    talk = Talk(envelope=Envelope("", "zoë@example.org", "To: zoë@example.org\n\nhi".encode()))
    talk.says("220 x")
    said = talk.says("250-mx", "250-SIZE 1000", "250-8BITMIME", "250-smtputf8", "250 PIPELINING")
    assert said == (
        b"MAIL FROM:<> SIZE=28 SMTPUTF8 BODY=8BITMIME\r\n" + "RCPT TO:<zoë@example.org>\r\n".encode()
    )
    assert talk.says("250 ok") == b""
    assert talk.says("250 ok") == b"DATA\r\n"


def test_replies_may_come_in_any_pieces() -> None:
    talk = Talk()
    whole = b"220-a\r\n220 b\r\n"
    for at in range(len(whole) - 1):
        assert talk.after(talk.client.receive(whole[at : at + 1])) == b""
    assert talk.after(talk.client.receive(whole[-1:])) == b"EHLO sms.example.net\r\n"


@pytest.mark.parametrize(
    ("answers", "final", "stage"),
    [
        (["554 no mail here"], False, "greeting"),
        (["421 busy"], False, "greeting"),
        (["220 x", "500 what", "550 no"], False, "helo"),
        (["220 x", "250 x", "451 later"], False, "mail"),
        (["220 x", "250 x", "550 not you"], True, "mail"),
        (["220 x", "250 x", "250 x", "550 5.1.1 nobody"], True, "rcpt"),
        (["220 x", "250 x", "250 x", "450 4.2.0 greylisted"], False, "rcpt"),
        (["220 x", "250 x", "250 x", "250 x", "554 no"], True, "data"),
        (["220 x", "250 x", "250 x", "250 x", "250 odd"], False, "data"),
        (["220 x", "250 x", "250 x", "250 x", "354 x", "552 too big"], True, "end"),
        (["220 x", "250 x", "250 x", "250 x", "354 x", "452 full"], False, "end"),
        (["220 x", "250 x", "250 x", "250 x", "354 x", "354 go on"], False, "end"),
        (["220 x", "250 x", "250 x", "250 x", "354 x", "600 what"], False, "end"),
        (["220 x", "250 x", "354 what"], False, "mail"),
        (["220 x", "250 x", "530 5.7.0 Authentication required"], False, "mail"),
        (["220 x", "250 x", "250 x", "530 5.7.0 Must issue STARTTLS first"], False, "rcpt"),
        (["220 x", "250 x", "250 x", "250 x", "535 5.7.8 who?"], False, "data"),
    ],
)
def test_refusals(answers: list[str], final: bool, stage: str) -> None:
    talk = Talk()
    for answer in answers:
        said = talk.says(answer)
    assert said == b"QUIT\r\n"
    talk.ended("refused", final, stage)


def test_a_refused_sender_of_a_pipeline_ends_it() -> None:
    talk = Talk()
    talk.says("220 x")
    talk.says("250-x", "250 PIPELINING")
    assert talk.says("550 no", "503 no mail") == b"QUIT\r\n"
    talk.ended("refused", True, "mail")


def test_old_servers_get_helo_and_no_parameters() -> None:
    talk = Talk(TLS.OPPORTUNISTIC)
    talk.says("220 x")
    assert talk.says("502 what") == b"HELO sms.example.net\r\n"
    assert talk.says("250 x") == b"MAIL FROM:<sms@sms.example.net>\r\n"


# -- encryption and passwords ---------------------------------------------------------------------


@pytest.mark.parametrize("tls", [TLS.REQUIRED, TLS.OPPORTUNISTIC])
def test_starttls_begins_anew_and_forgets_what_was_said_in_the_clear(tls: TLS) -> None:
    talk = Talk(tls, ME)
    talk.says("220 x")
    assert talk.says("250-x", "250-AUTH LOGIN", "250-SIZE 1", "250 STARTTLS") == b"STARTTLS\r\n"
    assert talk.says("220 go") == b""
    assert talk.starttls == 1
    assert talk.encrypted() == b"EHLO sms.example.net\r\n"
    assert talk.says("250-x", "250-STARTTLS", "250 AUTH PLAIN LOGIN") == PLAIN
    assert talk.says("235 ok") == b"MAIL FROM:<sms@sms.example.net>\r\n"


def test_what_an_eavesdropper_puts_behind_starttls_is_not_heard() -> None:
    talk = Talk(TLS.REQUIRED)
    talk.says("220 x")
    talk.says("250-x", "250 STARTTLS")
    assert talk.says("220 go", "250 evil") == b""
    talk.ended("not_smtp", False, "handshake")


@pytest.mark.parametrize("answer", [None, "454 not now"])
def test_required_means_required(answer: str | None) -> None:
    talk = Talk(TLS.REQUIRED)
    talk.says("220 x")
    talk.says(*(["250-x", "250 STARTTLS"] if answer else ["250 x"]))
    if answer:
        talk.says(answer)
    talk.ended("no_starttls", False, "starttls" if answer else "ehlo")


def test_opportunistic_goes_on_without() -> None:
    talk = Talk(TLS.OPPORTUNISTIC)
    talk.says("220 x")
    talk.says("250-x", "250 STARTTLS")
    assert talk.says("454 not now").startswith(b"MAIL FROM")


def test_a_password_never_goes_in_the_clear() -> None:
    talk = Talk(TLS.OPPORTUNISTIC, ME)
    talk.says("220 x")
    assert talk.says("250-x", "250 AUTH PLAIN") == b"QUIT\r\n"
    talk.ended("password_needs_tls", False, "ehlo")


def test_auth_login_and_a_wrong_password() -> None:
    talk = Talk(TLS.IMPLICIT, ME)
    talk.says("220 x")
    assert talk.says("250-x", "250 AUTH LOGIN") == b"AUTH LOGIN\r\n"
    assert talk.says("334 VXNlcm5hbWU6") == base64.b64encode(b"me") + b"\r\n"
    assert talk.says("334 UGFzc3dvcmQ6") == base64.b64encode("sécret".encode()) + b"\r\n"
    talk.says("535 5.7.8 wrong")
    talk.ended("refused", False, "auth")


def test_no_way_to_log_in() -> None:
    talk = Talk(TLS.IMPLICIT, ME)
    talk.says("220 x")
    talk.says("250-x", "250 AUTH GSSAPI")
    talk.ended("no_auth", False, "ehlo")


def test_credentials_do_not_show_their_password() -> None:
    assert "sécret" not in repr(ME)


# -- limits ---------------------------------------------------------------------------------------


def test_too_large_is_known_before_it_is_sent() -> None:
    talk = Talk()
    talk.says("220 x")
    assert talk.says("250-x", "250 SIZE 10") == b"QUIT\r\n"
    talk.ended("too_large", True, "ehlo")


@pytest.mark.parametrize("size", ["9" * 5_000, "0", "-1", "\u0661", ""])
def test_a_size_that_is_none_is_no_limit(size: str) -> None:
    talk = Talk()
    talk.says("220 x")
    assert talk.says("250-x", f"250 SIZE {size}").startswith(b"MAIL FROM:")


def test_an_address_that_the_server_cannot_take() -> None:
    talk = Talk(envelope=Envelope("", "zoë@example.org", MAIL))
    talk.says("220 x")
    talk.says("250 x")
    talk.ended("no_smtputf8", True, "ehlo")


@pytest.mark.parametrize(
    "octets", [b"HTTP/1.1 400 Bad\r\n", b"\xff\xfe\r\n", b"2200 x\r\n", b"22", b"x" * 20_000]
)
def test_what_is_no_smtp(octets: bytes) -> None:
    talk = Talk()
    talk.after(talk.client.receive(octets))
    if len(octets) > 2:
        talk.ended("not_smtp", False, "greeting")
    else:
        assert talk.verdict is None


# -- dots and line ends ---------------------------------------------------------------------------


def test_a_dot_at_every_place_a_chunk_may_begin() -> None:
    line = b"." + b"x" * 76 + b"\r\n"
    mail = line * 1_000
    sent = stuffed(mail)
    assert sent == b".".join([b"", *([line] * 1_000)]) + b".\r\n"


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n"])
def test_nothing_is_smuggled_on(end: bytes) -> None:
    mail = b"Subject: x\r\n\r\nhi" + end + b"MAIL FROM:<evil@example.net>\r\n"
    sent = stuffed(canonical(mail))
    assert not bare(sent)
    assert sent.count(b"\r\n.\r\n") == 1
    assert sent.endswith(b"MAIL FROM:<evil@example.net>\r\n.\r\n")


@pytest.mark.parametrize("line", ["250-", "250-x", "250-" + "x" * 500])
def test_a_reply_that_never_ends_is_none(line: str) -> None:
    talk = Talk()
    talk.says("220 x")
    for _ in range(100):
        talk.says(*([line] * 100))
        if talk.verdict is not None:
            break
    talk.ended("not_smtp", False, "ehlo")
