"""E-mail with foreign peers: Postfix takes our mail and brings replies, swaks knocks at our door.

phone ─SMS─► simulator ─► server ─SMTP─► Postfix ─► Maildir
  ▲                                                    │ reply
  └──────── simulator ◄─ server ◄─SMTP, STARTTLS─ Postfix ◄─ swaks
"""

import smtplib
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import dkim
import pytest

from tests.interop import mail_peers
from tests.interop.mail_peers import DOMAIN, GONE, OWNER, Dovecot, MailServer, Postfix, running, swaks
from tests.server import free_port, until
from tests.unit.edge.mail.test_intake import RELAYS
from tests.unit.protocols.mail.test_compose import record
from tests.unit.protocols.mail.test_smtp_server import VARIANTS

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MailServer, Postfix]]:
    """The server with Postfix as its smarthost, and Postfix that brings our domain's mail; TLS both ways."""
    ours, folder = free_port(), tmp_path_factory.mktemp("pair")
    certificate, key = mail_peers.certificate(folder)
    with Postfix(f"smtp:[localhost]:{ours}", believes=certificate) as postfix:
        signing, _ = mail_peers.dkim_key(folder)
        server = MailServer(
            folder,
            f"sqlite:///{folder / 'store.db'}",
            listen=[f"127.0.0.1:{ours}"],
            certificate=str(certificate),
            private_key=str(key),
            smarthost=f"localhost:{postfix.port}",
            tls="required",
            ca_file=str(postfix.certificate),
            dkim_selector="s1",
            dkim_key=str(signing),
        )
        server.smtp_port = ours
        with running(server):
            yield server, postfix


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    """The server and its door, with STARTTLS."""
    folder = tmp_path_factory.mktemp("alone")
    certificate, key = mail_peers.certificate(folder)
    url = f"sqlite:///{folder / 'store.db'}"
    server = MailServer(folder, url, certificate=str(certificate), private_key=str(key))
    with running(server):
        yield server


def answer_to(mail: EmailMessage, text: str, author: str = OWNER) -> EmailMessage:
    """What a mail client makes of the Reply button."""
    reply = EmailMessage()
    reply["From"] = f"The Owner <{author}>"
    reply["To"] = str(mail["Reply-To"])
    reply["Subject"] = f"Re: {mail['Subject']}"
    reply["In-Reply-To"] = str(mail["Message-ID"])
    reply["References"] = f"{mail['References']} {mail['Message-ID']}"
    reply["Message-ID"] = f"<{abs(hash(text))}@example.org>"
    quoted = "".join(f"> {line}\n" for line in mail.get_content().splitlines())
    reply.set_content(f"{text}\n\nOn Fri, Nov 27, 2026 at 15:04 {mail['From']} wrote:\n\n{quoted}")
    return reply


def to_of(mail: EmailMessage) -> str:
    """The one address of To."""
    return str(mail["To"].addresses[0].addr_spec)


def posts(postfix: Postfix, mail: EmailMessage) -> None:
    """The owner's mail client sends by his own server."""
    with smtplib.SMTP("127.0.0.1", postfix.port) as client:
        client.starttls(context=mail_peers.trusting(postfix.certificate))
        client.send_message(mail, OWNER, [str(mail["To"]).rpartition("<")[2].rstrip(">")])


def arrives(server: MailServer, postfix: Postfix, text: str) -> tuple[EmailMessage, bytes]:
    """The phone writes, and its mail lies in the owner's box: parsed, and as it lies there."""
    server.texts(text)
    found: tuple[EmailMessage, bytes] = until(
        lambda: _holding(postfix, text), f"Postfix has the mail (log: {server.log})"
    )
    return found


def _holding(postfix: Postfix, text: str) -> tuple[EmailMessage, bytes] | None:
    for mail, octets in zip(postfix.mails(), postfix.octets(), strict=False):
        if text in mail.get_content():
            return mail, octets
    return None


def test_there_and_back(pair: tuple[MailServer, Postfix]) -> None:
    server, postfix = pair
    mail, octets = arrives(server, postfix, "Grüße 😀\n.are you at home?")
    assert mail["Return-Path"].startswith("<sms+bounce-")
    assert "ESMTPS" in mail["Received"]
    key = mail_peers.load_dkim(server.folder)
    signed = octets[octets.index(b"DKIM-Signature") :].replace(b"\n", b"\r\n")
    assert dkim.verify(signed, dnsfunc=lambda name, timeout=5: record(key))
    altered = signed.replace(b"at home", b"at work")
    assert not dkim.verify(altered, dnsfunc=lambda name, timeout=5: record(key))
    posts(postfix, answer_to(mail, "Ja, bis 17:30. 👍🏽"))
    until(lambda: "Ja, bis 17:30. 👍🏽" in server.received(), "the phone has the answer")


def test_a_notice_comes_back_into_the_thread(pair: tuple[MailServer, Postfix]) -> None:
    server, postfix = pair
    mail, _ = arrives(server, postfix, "no answer to this")
    posts(postfix, answer_to(mail, ""))
    notice, _ = until(lambda: _holding(postfix, "no text above the quotation"), "Postfix has the notice")
    assert notice["Return-Path"] == "<>"
    assert notice["Auto-Submitted"] == "auto-replied"
    assert str(mail["References"]) in str(notice["References"])


@pytest.mark.parametrize(("address", "outcome"), [(GONE, "bounced"), ("nobody@example.org", "refused")])
def test_what_does_not_arrive_is_shown_at_its_delivery(
    pair: tuple[MailServer, Postfix], address: str, outcome: str
) -> None:
    """Refused in the session, or taken and sent back later."""
    server, _ = pair
    server.sets(to=f"{OWNER},{address}")

    def owed() -> bool:
        """A running server sees a changed DID within a second."""
        if any(target == address for *_, target in server.outcomes()):
            return True
        server.texts("hello")
        return False

    until(owed, "a delivery to the new address")
    until(lambda: ("failed", outcome, address) in server.outcomes(), "the delivery has failed")
    assert ("delivered", "sent", OWNER) in server.outcomes()


def test_postfix_hands_over_by_lmtp(sqlite_url: str, tmp_path: Path) -> None:
    """With what it has found out about the author, which decides: it is our own server."""
    port = free_port()
    with Postfix(f"lmtp:inet:127.0.0.1:{port}") as postfix:
        server = MailServer(
            tmp_path,
            sqlite_url,
            listen=[],
            lmtp=[f"127.0.0.1:{port}"],
            authserv_id="mx.example.org",
            new_mail="authenticated",
        )
        with running(server):
            for text, verdict in (("proven", "pass"), ("forged", "fail")):
                results = f"Authentication-Results: mx.example.org; dmarc={verdict} header.from=example.org\n"
                done = swaks(postfix.port, "--from", OWNER, "--to", NEW, data=results + TEXT % (text, text))
                assert done.returncode == 0, done.stdout
            until(lambda: "proven" in server.received(), f"the phone has the text (log: {server.log})")
            until(lambda: "not proven to be from its author" in postfix.log(), "the other is refused")
            assert server.received() == ["proven"]
            assert "250 2.0.0 Taken" in postfix.log()


# -- our door -------------------------------------------------------------------------------------

NEW, OTHER = f"2025550150@{DOMAIN}", f"2025550151@{DOMAIN}"
TEXT = f"From: {OWNER}\nTo: {NEW}\nSubject: x\nMessage-ID: <%s@example.org>\n\n%s\n"


@pytest.mark.parametrize("tls", [(), ("--tls",), ("--tls", "--pipeline")])
def test_swaks_sends(alone: MailServer, tls: tuple[str, ...]) -> None:
    text = f"Good morning, {len(tls)}!"
    done = swaks(alone.smtp_port, "--from", OWNER, "--to", NEW, *tls, data=TEXT % (len(tls), text))
    assert done.returncode == 0, done.stdout
    assert "250 2.0.0 Taken" in done.stdout
    until(lambda: text in alone.received(), "the phone has the text")


def test_swaks_may_not_relay(alone: MailServer) -> None:
    done = swaks(alone.smtp_port, "--from", OWNER, "--to", "victim@example.net", data=TEXT % ("v", "x"))
    assert done.returncode == 24, "no recipient was taken"
    assert "550 5.7.1 No relaying" in done.stdout


def test_no_form_of_relaying(alone: MailServer) -> None:
    for recipient in RELAYS:
        with smtplib.SMTP("127.0.0.1", alone.smtp_port) as client:
            client.ehlo()
            client.docmd(f"MAIL FROM:<{OWNER}>")
            code, _ = client.docmd(f"RCPT TO:<{recipient}>")
            assert code in (501, 550, 553), recipient
            assert client.docmd("DATA")[0] == 554


@pytest.mark.parametrize("end", VARIANTS)
def test_a_smuggled_mail_is_no_mail(alone: MailServer, end: bytes) -> None:
    with socket.create_connection(("127.0.0.1", alone.smtp_port), 30) as sock:
        file = sock.makefile("rb")
        smuggled = (TEXT % ("b", "smuggled")).replace("\n", "\r\n").encode()
        envelope = f"MAIL FROM:<{OWNER}>\r\nRCPT TO:<{NEW}>\r\nDATA\r\n".encode()
        text = (TEXT % ("a", "visible")).replace("\n", "\r\n").encode()
        sock.sendall(b"EHLO me\r\n" + envelope + text + end + envelope + smuggled + b".\r\nQUIT\r\n")
        codes = [line[:3] for line in file.read().splitlines() if line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"550", b"221"]
    assert not {"visible", "smuggled"} & {*alone.received()}


def test_what_is_put_behind_starttls_is_dropped(alone: MailServer) -> None:
    with socket.create_connection(("127.0.0.1", alone.smtp_port), 30) as sock:
        file = sock.makefile("rb")
        envelope = f"MAIL FROM:<{OWNER}>\r\nRCPT TO:<{NEW}>\r\nDATA\r\n".encode()
        injected = envelope + (TEXT % ("c", "injected")).replace("\n", "\r\n").encode() + b".\r\n"
        sock.sendall(b"EHLO me\r\nSTARTTLS\r\n" + injected)
        while not file.readline().startswith(b"220 2.0.0"):
            pass
        context = mail_peers.trusting(alone.folder / "certificate.pem")
        with context.wrap_socket(sock, server_hostname="localhost") as safe:
            safe.sendall(b"EHLO me\r\nNOOP\r\nQUIT\r\n")
            said = safe.makefile("rb").read()
    codes = [line[:3] for line in said.splitlines() if line[3:4] == b" "]
    assert codes == [b"250", b"250", b"221"]
    assert b"STARTTLS" not in said
    assert "injected" not in alone.received()


def test_a_storm_of_out_of_office_is_weathered(alone: MailServer) -> None:
    """A hundred that say what they are, and a hundred that do not."""
    before = len(alone.received())
    with smtplib.SMTP("127.0.0.1", alone.smtp_port) as client:
        for number in range(100):
            text = TEXT % (f"ooo{number}", "I am away.")
            client.sendmail(OWNER, [NEW], f"Auto-Submitted: auto-replied\n{text}")
        codes = [_code(client, f"away{number}", f"I am away, {number}.") for number in range(100)]
        assert codes == [250] * 5 + [550] * 95
        assert _code(client, "person", "Somebody writes, too.") == 450
    until(lambda: len(alone.received("+12025550151")) >= 5, "the first few")
    assert len(alone.received("+12025550151")) == 5
    assert len(alone.received()) == before
    assert alone.notices() == []


def _code(client: smtplib.SMTP, identity: str, text: str) -> int:
    """What a mail to OTHER is answered."""
    try:
        client.sendmail(OWNER, [OTHER], (TEXT % (identity, text)).replace(NEW, OTHER))
    except smtplib.SMTPDataError as error:
        return error.smtp_code
    return 250


def test_two_servers_of_ours_do_not_answer_each_other(tmp_path: Path) -> None:
    """Each one's mail goes to a number of the other: the first hop is the last."""
    ports = [free_port(), free_port()]
    domains, numbers = ["a.example.net", "b.example.net"], ["+12025550100", "+12025550101"]
    servers = []
    for here, there in ((0, 1), (1, 0)):
        folder = tmp_path / domains[here]
        folder.mkdir()
        servers.append(
            MailServer(
                folder,
                f"sqlite:///{folder / 'store.db'}",
                to=f"{numbers[there][1:]}@{domains[there]}",
                number=numbers[here],
                domain=domains[here],
                listen=[f"127.0.0.1:{ports[here]}"],
                smarthost=f"127.0.0.1:{ports[there]}",
                replies="token",
            )
        )
    with running(servers[0]), running(servers[1]):
        for server in servers:
            server.texts("hello")
        until(lambda: all(server.outcomes() for server in servers), "each has something to send")
        until(lambda: all(item[0] != "pending" for server in servers for item in server.outcomes()), "sent")
        for server in servers:
            assert [item[:2] for item in server.outcomes()] == [("delivered", "sent")], "one hop"
            assert server.received() == []
            assert '"reason":"loop"' in server.log.read_text()


def test_two_servers_that_are_each_others_postmaster(tmp_path: Path) -> None:
    """A mail to one comes back to it, and is refused there: its sender is told at once."""
    ports = [free_port(), free_port()]
    domains = ["a.example.net", "b.example.net"]
    servers = []
    for here, there in ((0, 1), (1, 0)):
        folder = tmp_path / domains[here]
        folder.mkdir()
        servers.append(
            MailServer(
                folder,
                f"sqlite:///{folder / 'store.db'}",
                domain=domains[here],
                listen=[f"127.0.0.1:{ports[here]}"],
                smarthost=f"127.0.0.1:{ports[there]}",
                postmaster=f"postmaster@{domains[there]}",
            )
        )
    with running(servers[0]), running(servers[1]), smtplib.SMTP("127.0.0.1", ports[0], timeout=60) as client:
        client.ehlo("client.example.org")
        client.mail("a@example.org")
        client.rcpt(f"postmaster@{domains[0]}")
        code, said = client.data(b"From: a@example.org\r\nSubject: Who goes there?\r\n\r\nhi\r\n")
        assert (code, said) == (550, b"5.3.0 The postmaster's own server refused the mail")
        logs = [server.log.read_text() for server in servers]
    assert ['"reason":"loop"' in log for log in logs] == [True, False]
    assert ['"event":"mail_forwarded"' in log for log in logs] == [False, False]


def test_replies_from_a_mailbox_elsewhere(sqlite_url: str, tmp_path: Path) -> None:
    """Dovecot holds them; what is taken is seen, what is refused is flagged, and nothing is taken twice."""
    with Dovecot() as dovecot:
        imap = {
            "host": "localhost",
            "port": dovecot.port,
            "username": "sms",
            "password": "secret",
            "ca_file": str(dovecot.certificate),
            "poll_seconds": 0.5,
        }
        server = MailServer(tmp_path, sqlite_url, imap=imap, max_octets=65_536)
        latin = TEXT.replace("Message-ID", "Content-Type: text/plain; charset=iso-8859-1\nMessage-ID")
        dovecot.deliver("good", (latin % ("1", "Schöne Grüße")).encode("latin-1"))
        dovecot.deliver("again", (latin % ("1", "Schöne Grüße")).encode("latin-1"))
        dovecot.deliver("forged", (TEXT % ("2", "forged")).replace(OWNER, "evil@example.net").encode())
        dovecot.deliver("large", (TEXT % ("4", "x" * 70 + "\n") * 2_000).encode())
        utf = TEXT.replace("Message-ID", "Content-Type: text/plain; charset=utf-8\nMessage-ID")
        with running(server):
            until(lambda: "Schöne Grüße" in server.received(), f"the phone has it (log: {server.log})")
            dovecot.deliver("later", (utf % ("3", "später 😀")).encode())
            until(lambda: "später 😀" in server.received(), "the phone has the other")
            expected = {"good": "S", "again": "S", "forged": "FS", "large": "FS", "later": "S"}
            until(lambda: dovecot.flags() == expected, f"the marks: {dovecot.flags()}")
            assert sorted(server.received()) == ["Schöne Grüße", "später 😀"]
            assert server.notices() == ["too_large"]
