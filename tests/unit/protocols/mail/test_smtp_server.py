"""The server of SMTP and LMTP, octet by octet: order, limits, line ends, and what nobody gets through it."""

import pytest

from protocols.mail.smtp import Reply
from protocols.mail.smtp_server import (
    MAX_ERRORS,
    MAX_IDLE_COMMANDS,
    MAX_LINE,
    MAX_RECIPIENTS,
    MAX_TEXT_LINE,
    Action,
    Close,
    Mail,
    Send,
    Session,
    Settings,
    StartTLS,
    Take,
)

LIMIT = 70_000
NO = Reply(550, "5.7.1 No relaying")
OK = Reply(250, "2.0.0 Taken")
ENVELOPE = b"EHLO me\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<sms@here>\r\n"


class Server:
    """A session that takes mail for @here, and what came out of it."""

    def __init__(self, lmtp: bool = False, tls: bool = True) -> None:
        settings = Settings("mx.here", LIMIT, tls, lmtp)
        self.session = Session(settings, lambda path: None if path.endswith("@here") else NO)
        self.mails: list[Mail] = []
        self.starttls = 0
        self.closed = False
        self.greeting = self.after(self.session.begin())

    def after(self, actions: list[Action]) -> str:
        out = b""
        for action in actions:
            match action:
                case Send(octets):
                    assert not self.closed
                    out += octets
                case StartTLS():
                    self.starttls += 1
                case Take(mail):
                    self.mails.append(mail)
                case Close():
                    self.closed = True
        return out.decode()

    def says(self, octets: bytes) -> str:
        return self.after(self.session.receive(octets))

    def codes(self, octets: bytes) -> list[str]:
        return [line[:3] for line in self.says(octets).splitlines() if line[3] == " "]


def test_a_mail_step_by_step() -> None:
    server = Server()
    assert server.greeting == "220 mx.here ESMTP\r\n"
    assert server.says(b"EHLO client.example.org\r\n") == (
        "250-mx.here\r\n250-PIPELINING\r\n250-SIZE 70000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
        "250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n"
    )
    assert server.codes(b"mail from:<a@example.org> SIZE=20 BODY=8bitmime\r\n") == ["250"]
    assert server.codes(b"RCPT TO: <sms@here>\r\n") == ["250"]
    assert server.codes(b"DATA\r\n") == ["354"]
    assert server.says(b"Subject: x\r\n\r\nhi\r\n..\r\n.dot\r\n") == ""
    assert server.says(b".\r\n") == ""
    (mail,) = server.mails
    assert mail == Mail(
        "a@example.org", ("sms@here",), b"Subject: x\r\n\r\nhi\r\n.\r\ndot\r\n", "client.example.org"
    )
    assert server.says(b"NOOP\r\n") == "", "nothing is read before the mail is judged"
    assert server.after(server.session.answer([OK])) == "250 2.0.0 Taken\r\n250 2.0.0 Here\r\n"
    assert server.says(b"QUIT\r\n") == "221 2.0.0 Bye\r\n"
    assert server.closed


def test_everything_at_once_and_octet_by_octet_is_the_same() -> None:
    whole = ENVELOPE + b"DATA\r\nhi\r\n.\r\n"
    at_once, slowly = Server(), Server()
    said = at_once.says(whole)
    assert "".join(slowly.says(whole[at : at + 1]) for at in range(len(whole))) == said
    assert slowly.mails == at_once.mails
    assert len(slowly.mails) == 1


def test_two_mails_in_one_pipeline() -> None:
    server = Server()
    server.says(ENVELOPE + b"DATA\r\none\r\n.\r\n" + ENVELOPE[9:] + b"DATA\r\ntwo\r\n.\r\nQUIT\r\n")
    assert [mail.octets for mail in server.mails] == [b"one\r\n"]
    server.after(server.session.answer([OK]))
    assert [mail.octets for mail in server.mails] == [b"one\r\n", b"two\r\n"]
    assert server.after(server.session.answer([Reply(452, "4.3.1 full")])).startswith("452 4.3.1 full\r\n221")


def test_lmtp_wants_lhlo_and_smtp_does_not_know_it() -> None:
    assert Server(lmtp=True).codes(b"EHLO me\r\nHELO me\r\nLHLO me\r\n") == ["500", "500", "250"]
    assert Server().codes(b"LHLO me\r\nHELO me\r\n") == ["500", "250"]


@pytest.mark.parametrize(
    ("octets", "codes"),
    [
        (b"MAIL FROM:<a@b>\r\n", ["503"]),
        (b"EHLO\r\n", ["501"]),
        (b"EHLO me\r\nRCPT TO:<sms@here>\r\n", ["250", "503"]),
        (b"EHLO me\r\nDATA\r\n", ["250", "503"]),
        (b"EHLO me\r\nMAIL FROM:<a@b>\r\nDATA\r\n", ["250", "250", "554"]),
        (b"EHLO me\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\n", ["250", "250", "503"]),
        (b"EHLO me\r\nMAIL FROM:<>\r\nRSET\r\nRCPT TO:<sms@here>\r\n", ["250", "250", "250", "503"]),
        (b"EHLO me\r\nMAIL FROM:a@b\r\n", ["250", "501"]),
        (b"EHLO me\r\nMAIL FROM:<a@b> X=1\r\n", ["250", "555"]),
        (b"EHLO me\r\nMAIL FROM:<a@b> SIZE=99999\r\n", ["250", "552"]),
        (b"EHLO me\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\n", ["250", "555"]),
        (b"EHLO me\r\nMAIL FROM:<a@b> AUTH=<>\r\n", ["250", "555"]),
        (b"HELO me\r\nMAIL FROM:<a@b> SIZE=1\r\n", ["250", "555"]),
        (b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<>\r\n", ["250", "250", "501"]),
        (b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<sms@here> NOTIFY=NEVER\r\n", ["250", "250", "555"]),
        ("EHLO me\r\nMAIL FROM:<zoë@b>\r\n".encode(), ["250", "553"]),
        ("EHLO me\r\nMAIL FROM:<zoë@b> SMTPUTF8\r\nRCPT TO:<zoë@here>\r\n".encode(), ["250", "250", "250"]),
        ("EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<zoë@here>\r\n".encode(), ["250", "250", "553"]),
        (b"EHLO me\r\nMAIL FROM:<\xff@b>\r\n", ["250", "500"]),
        (
            b"AUTH PLAIN AAAA\r\nETRN x\r\nVRFY root\r\nEXPN x\r\nHELP\r\n",
            ["500", "500", "252", "500", "500"],
        ),
        (b"GET / HTTP/1.1\r\n", ["500"]),
        (b"EHLO me\r\nDATA now\r\nSTARTTLS now\r\n", ["250", "501", "501"]),
    ],
)
def test_order_and_syntax(octets: bytes, codes: list[str]) -> None:
    assert Server().codes(octets) == codes


# -- line ends ------------------------------------------------------------------------------------

VARIANTS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n"]
SMUGGLED = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<sms@here>\r\nDATA\r\nevil\r\n.\r\n"


@pytest.mark.parametrize("end", VARIANTS)
def test_nothing_but_cr_lf_dot_cr_lf_ends_a_mail(end: bytes) -> None:
    server = Server()
    server.says(ENVELOPE + b"DATA\r\nhi" + end)
    assert server.mails == []
    assert server.says(SMUGGLED).startswith("550 5.6.11 "), "one mail, and it is refused"
    assert server.mails == []
    assert server.codes(ENVELOPE + b"DATA\r\nhi\r\n.\r\n") == ["250", "250", "250", "354"]
    assert len(server.mails) == 1


@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP\rNOOP\r\n", b"\n", b"EHLO me\nMAIL FROM:<a@b>\r\n"])
def test_a_command_ends_in_cr_lf_or_the_connection_does(line: bytes) -> None:
    server = Server()
    assert server.says(line).startswith("500 5.5.2")
    assert server.closed
    assert server.says(ENVELOPE) == ""


def test_a_dot_in_the_first_line_ends_an_empty_mail() -> None:
    server = Server()
    server.says(ENVELOPE + b"DATA\r\n.\r\n")
    assert [mail.octets for mail in server.mails] == [b""]


# -- encryption -----------------------------------------------------------------------------------


def test_starttls_drops_what_was_put_behind_it_and_forgets_the_rest() -> None:
    server = Server()
    server.says(ENVELOPE)
    assert server.says(b"STARTTLS\r\n" + ENVELOPE[9:] + b"DATA\r\nevil\r\n.\r\n") == "220 2.0.0 Go ahead\r\n"
    assert server.starttls == 1
    server.session.encrypted()
    assert server.codes(b"RCPT TO:<sms@here>\r\nMAIL FROM:<a@b>\r\n") == ["503", "503"]
    assert "STARTTLS" not in server.says(b"EHLO me\r\n")
    assert server.codes(b"STARTTLS\r\n") == ["502"]
    server.says(ENVELOPE[9:] + b"DATA\r\nhi\r\n.\r\n")
    assert [mail.octets for mail in server.mails] == [b"hi\r\n"]


def test_without_a_certificate_there_is_no_starttls() -> None:
    server = Server(tls=False)
    assert "STARTTLS" not in server.says(b"EHLO me\r\n")
    assert server.codes(b"STARTTLS\r\n") == ["502"]


# -- limits ---------------------------------------------------------------------------------------


def test_a_mail_that_is_too_large_is_read_to_its_end_and_refused() -> None:
    server = Server()
    server.says(ENVELOPE + b"DATA\r\n")
    for _ in range(LIMIT // 1000 + 1):
        assert server.says(b"x" * 998 + b"\r\n") == ""
    assert server.codes(b".\r\nNOOP\r\n") == ["552", "250"]
    assert server.mails == []


def test_a_command_without_an_end_ends_the_connection() -> None:
    server = Server()
    assert server.says(b"x" * (MAX_LINE + 1)).startswith("500")
    assert server.closed


def test_too_many_errors() -> None:
    server = Server()
    codes = server.codes(b"NONSENSE\r\n" * (MAX_ERRORS + 5))
    assert codes == ["500"] * MAX_ERRORS + ["421"]
    assert server.closed


RCPT = b"RCPT TO:<sms+%d@here>\r\n"


def test_one_recipient_at_a_time() -> None:
    """There is one answer for all of them, and what was sent to one must not be sent to him again."""
    server = Server()
    assert server.codes(ENVELOPE + b"RCPT TO:<a@there>\r\n" + RCPT % 1 + b"RCPT TO:<SMS@here>\r\n")[3:] == [
        "550", "452", "250",
    ]  # fmt: skip
    server.says(b"DATA\r\nhi\r\n.\r\n")
    assert server.after(server.session.answer([Reply(550, "5.7.1 No")])) == "550 5.7.1 No\r\n"
    assert server.codes(b"MAIL FROM:<a@b>\r\n" + RCPT % 1 + b"DATA\r\nhi\r\n.\r\n") == ["250", "250", "354"]
    assert [mail.recipients for mail in server.mails] == [("sms@here",), ("sms+1@here",)]


def test_whoever_hands_it_over_for_several_has_an_answer_for_each() -> None:
    server = Server(lmtp=True)
    server.says(b"LHLO me\r\nMAIL FROM:<a@b>\r\n")
    codes = server.codes(b"".join(RCPT % number for number in range(MAX_RECIPIENTS + 1)))
    assert codes == ["250"] * MAX_RECIPIENTS + ["452"]
    server.says(b"DATA\r\nhi\r\n.\r\n")
    answered = server.after(server.session.answer([OK, *[NO] * (MAX_RECIPIENTS - 1)])).splitlines()
    assert [line[:3] for line in answered] == ["250"] + ["550"] * (MAX_RECIPIENTS - 1)


@pytest.mark.parametrize("path", ["a@example.net", "sms%example.net@there", "@here:a@example.net", "a!b"])
def test_recipients_that_are_not_ours_are_refused(path: str) -> None:
    assert Server().codes(ENVELOPE + f"RCPT TO:<{path}>\r\n".encode())[-1] == "550"


def test_closing_from_our_side() -> None:
    server = Server()
    assert server.after(server.session.close(421, "4.3.2 Shutting down")) == "421 4.3.2 Shutting down\r\n"
    assert server.session.close(421, "again") == []


@pytest.mark.parametrize("chunk", [1_000_000, 10_000, 4_097])
@pytest.mark.parametrize("end", [b"x\r\n", b".\r\n", b"\r\n"])
def test_a_line_that_nobody_writes(chunk: int, end: bytes) -> None:
    """What stands behind the octets that are not kept is no line of its own, whatever it looks like."""
    server = Server()
    assert server.codes(ENVELOPE + b"DATA\r\n") == ["250", "250", "250", "354"]
    octets = b"x" * MAX_TEXT_LINE + end + b"after\r\n"
    for start in range(0, len(octets), chunk):
        assert server.says(octets[start : start + chunk]) == ""
    assert server.says(b".\r\n").startswith("500 5.6.0")
    assert server.mails == []
    assert server.codes(ENVELOPE[9:] + b"DATA\r\nhi\r\n.\r\n") == ["250", "250", "354"]
    assert [mail.octets for mail in server.mails] == [b"hi\r\n"]


def test_the_longest_line_and_many_short_ones() -> None:
    octets = b"x" * (MAX_TEXT_LINE - 2) + b"\r\n" + b"\r\n" * 1_000
    server = Server()
    server.says(ENVELOPE + b"DATA\r\n" + octets + b".\r\n")
    assert [mail.octets for mail in server.mails] == [octets]


def test_no_more_is_kept_than_a_mail_may_have() -> None:
    server = Server()
    server.says(ENVELOPE + b"DATA\r\n")
    for _ in range(100):
        server.says(b"x" * 10_000)
        assert len(server.session._now.octets) <= LIMIT + 10_005
    assert server.says(b"\r\n.\r\n").startswith("552 5.3.4")
    server.says(ENVELOPE[9:] + b"DATA\r\n" + b"\r\n" * 100_000)
    assert len(server.session._now.octets) <= LIMIT + 10_000
    assert server.says(b".\r\n").startswith("552 5.3.4")
    assert server.codes(ENVELOPE[9:] + b"DATA\r\nhi\r\n.\r\n") == ["250", "250", "354"]


def test_who_only_keeps_the_connection_is_let_go() -> None:
    server = Server()
    codes = server.codes(b"EHLO me\r\n" + b"NOOP\r\nRSET\r\nVRFY x\r\n" * MAX_IDLE_COMMANDS)
    assert len(codes) == MAX_IDLE_COMMANDS + 1
    assert codes[-1] == "421"
    assert server.closed
    server = Server()
    for _ in range(MAX_IDLE_COMMANDS):
        server.says(ENVELOPE + b"DATA\r\nhi\r\n.\r\n")
        assert server.after(server.session.answer([OK])).startswith("250")
    assert len(server.mails) == MAX_IDLE_COMMANDS
