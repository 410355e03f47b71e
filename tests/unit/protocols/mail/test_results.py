"""Who is believed about an author: alignment, Authentication-Results, SPF, and what a bounce says."""

from collections.abc import Coroutine
from email import message_from_string
from typing import Any

import pytest

from protocols.mail import bounce, spf
from protocols.mail.results import aligned, believed

ID = "mx.here"


@pytest.mark.parametrize(
    ("author", "other", "good"),
    [
        ("example.org", "example.org", True),
        ("example.org", "Mail.Example.org.", True),
        ("sales.example.org", "example.org", True),
        ("a.example.org", "b.example.org", False),
        ("example.org", "notexample.org", False),
        ("example.org", "org", False),
        ("example.org", "", False),
        ("localhost", "localhost", True),
        ("", "", False),
    ],
)
def test_alignment(author: str, other: str, good: bool) -> None:
    assert aligned(author, other) is good


@pytest.mark.parametrize(
    ("headers", "good"),
    [
        (["mx.here; dmarc=pass (p=none) header.from=example.org"], True),
        (["mx.here 1; spf=fail smtp.mailfrom=a@example.org; dkim=pass header.d=example.org"], True),
        (["mx.here; dkim=pass header.i=@mail.example.org header.b=abc"], True),
        (["mx.here; spf=pass smtp.mailfrom=bounce.example.org"], True),
        (["mx.here; spf=pass smtp.mailfrom=a@example.net"], False),
        (["mx.here; dmarc=pass header.from=example.net"], False),
        (["mx.here; dmarc=fail header.from=example.org"], False),
        (["mx.here; none"], False),
        (["other.example; dmarc=pass header.from=example.org"], False),
        (["mx.here; none", "mx.here; dmarc=pass header.from=example.org"], False),
        (["other.example; none", "MX.here; dmarc=pass header.from=example.org"], True),
        (['mx.here; dkim=fail reason="x; dmarc=pass header.from=example.org" header.d=a.net'], False),
        (["mx.here; dkim=fail (; dmarc=pass header.from=example.org) header.d=a.net"], False),
        (["mx.here; iprev=pass policy.iprev=example.org"], False),
        ([""], False),
        ([], False),
    ],
)
def test_authentication_results(headers: list[str], good: bool) -> None:
    assert believed(headers, ID, "example.org") is good


# -- SPF ------------------------------------------------------------------------------------------


class Zone:
    """A DNS made of dictionaries."""

    def __init__(self, texts: dict[str, str], hosts: dict[str, list[str]], mx: dict[str, list[str]]) -> None:
        self.zones = texts, hosts, mx

    async def texts(self, name: str) -> list[bytes]:
        found = self.zones[0].get(name)
        return [] if found is None else [part.encode() for part in found.split("|")]

    async def hosts(self, name: str) -> list[str]:
        return self.zones[1].get(name, [])

    async def mail_hosts(self, name: str) -> list[str]:
        return self.zones[2].get(name, [])


def run(coroutine: Coroutine[Any, Any, str]) -> str:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: str = stop.value
        return result
    raise AssertionError("it waits")


HOSTS = {
    "example.org": ["192.0.2.1", "2001:db8::1"],
    "mx.example.org": ["192.0.2.25"],
    "l.s.example": ["127.0.0.2"],
}
OTHERS = {
    "good.example": "v=spf1 ip4:192.0.2.7 -all",
    "loop.example": "v=spf1 include:loop.example -all",
    "two.example": "v=spf1 -all|v=spf1 +all",
}


@pytest.mark.parametrize(
    ("record", "peer", "verdict"),
    [
        ("v=spf1 ip4:192.0.2.0/28 -all", "192.0.2.7", "pass"),
        ("v=spf1 ip4:192.0.2.0/28 -all", "192.0.2.77", "fail"),
        ("v=spf1 ip4:192.0.2.7 ~all", "::ffff:192.0.2.7", "pass"),
        ("v=spf1 ip6:2001:db8::/32 ?all", "2001:db8:1::1", "pass"),
        ("v=spf1 ip6:2001:db8::/32 ?all", "192.0.2.7", "neutral"),
        ("v=spf1 a -all", "192.0.2.1", "pass"),
        ("v=spf1 a -all", "2001:db8::1", "pass"),
        ("v=spf1 a/24 ~all", "192.0.2.200", "pass"),
        ("v=spf1 a//64 ~all", "2001:db8::ffff", "pass"),
        ("v=spf1 a:other.example -all", "192.0.2.1", "fail"),
        ("v=spf1 mx -all", "192.0.2.25", "pass"),
        ("v=spf1 mx:ten.example -all", "192.0.2.25", "pass"),
        ("v=spf1 mx:eleven.example -all", "192.0.2.25", "permerror"),
        ("v=spf1 include:good.example -all", "192.0.2.7", "pass"),
        ("v=spf1 include:good.example -all", "192.0.2.8", "fail"),
        ("v=spf1 include:none.example -all", "192.0.2.7", "permerror"),
        ("v=spf1 redirect=good.example", "192.0.2.7", "pass"),
        ("v=spf1 redirect=none.example", "192.0.2.7", "permerror"),
        ("v=spf1 include:loop.example +all", "192.0.2.7", "permerror"),
        ("v=spf1 exists:%{l}.s.example -all", "192.0.2.99", "pass"),
        ("v=spf1 exists:%{x}.example +all", "192.0.2.99", "permerror"),
        ("v=spf1 ptr -all", "192.0.2.1", "fail"),
        ("v=spf1 exp=why.example.org -all", "192.0.2.1", "fail"),
        ("v=spf1 nonsense:x +all", "192.0.2.1", "permerror"),
        ("v=spf1 ip4:999.1.1.1 +all", "192.0.2.1", "permerror"),
        ("v=spf1 a:n1.x a:n2.x a:n3.x +all", "192.0.2.1", "permerror"),
        ("v=spf1 -all redirect=good.example", "192.0.2.7", "fail"),
        ("v=spf1 A IP4:192.0.2.8 Redirect=good.example", "192.0.2.7", "pass"),
        ("v=spf1 a moo.cow-far_out=man:dog/cat -all", "192.0.2.1", "pass"),
        # Behind the term that matches, too, a slip spoils the record (RFC 7208 §4.6).
        ("v=spf1 +all nonsense:x", "192.0.2.1", "permerror"),
        ("v=spf1 a ip4:999.1.1.1", "192.0.2.1", "permerror"),
        ("v=spf1 a ip4:2001:db8::1", "192.0.2.1", "permerror"),
        ("v=spf1 a ip6:192.0.2.9", "192.0.2.1", "permerror"),
        ("v=spf1 a ip4:192.0.2.0/33", "192.0.2.1", "permerror"),
        ("v=spf1 a a/33", "192.0.2.1", "permerror"),
        ("v=spf1 a a//129", "192.0.2.1", "permerror"),
        ("v=spf1 a mx/24/24", "192.0.2.1", "permerror"),
        ("v=spf1 a include", "192.0.2.1", "permerror"),
        ("v=spf1 a exists:", "192.0.2.1", "permerror"),
        ("v=spf1 a exists:x.example/24", "192.0.2.1", "permerror"),
        ("v=spf1 a -all:x.example", "192.0.2.1", "permerror"),
        ("v=spf1 a all/24", "192.0.2.1", "permerror"),
        ("v=spf1 a exists:%{x}.example", "192.0.2.1", "permerror"),
        ("v=spf1 a redirect=good.example redirect=good.example", "192.0.2.1", "permerror"),
        ("v=spf1 a exp=x.example exp=y.example", "192.0.2.1", "permerror"),
        ("v=spf1", "192.0.2.1", "neutral"),
        ("v=spf10 +all", "192.0.2.1", "none"),
        ("v=spf1 +all|v=spf1 -all", "192.0.2.1", "permerror"),
    ],
)
def test_spf(record: str, peer: str, verdict: str) -> None:
    exchanges = {
        "example.org": ["mx.example.org"],
        "ten.example": ["other.example"] * 9 + ["mx.example.org"],
        "eleven.example": ["mx.example.org"] * 11,
    }
    zone = Zone({**OTHERS, "example.org": record}, HOSTS, exchanges)
    assert run(spf.check(peer, "l@example.org", "client", zone)) == verdict


def test_macros_of_addresses() -> None:
    hosts = {"7.2.0.192.in-addr.good.example": ["127.0.0.2"]}
    zone = Zone({"example.org": "v=spf1 exists:%{ir}.%{v}.good.example -all"}, hosts, {})
    assert run(spf.check("192.0.2.7", "l@example.org", "client", zone)) == "pass"
    assert run(spf.check("192.0.2.8", "l@example.org", "client", zone)) == "fail"


# -- bounces --------------------------------------------------------------------------------------

REPORT = """\
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

{fields}
--b
Content-Type: text/rfc822-headers

Subject: x
--b--
"""
GONE = """\
Final-Recipient: rfc822; a@example.org
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 no such
 user"""
LATE = "Final-Recipient: rfc822; b@example.org\nAction: delayed\nStatus: 4.4.1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (REPORT.format(fields=GONE), bounce.Bounce(True, "5.1.1 550 no such user")),
        (REPORT.format(fields=f"{LATE}\n\n{GONE}"), bounce.Bounce(True, "5.1.1 550 no such user")),
        (REPORT.format(fields=LATE), bounce.Bounce(False, "4.4.1")),
        (REPORT.format(fields="X: y"), None),
        (
            REPORT.format(fields=GONE).replace("report;", "mixed;"),
            bounce.Bounce(True, "5.1.1 550 no such user"),
        ),
        (
            REPORT.format(fields=GONE.replace("failed", "FAILED (for good)")),
            bounce.Bounce(True, "5.1.1 550 no such user"),
        ),
        (
            REPORT.format(fields=GONE.replace("smtp; ", "x-other ")),
            bounce.Bounce(True, "5.1.1 x-other 550 no such user"),
        ),
        ("Content-Type: multipart/report; boundary=b\n\nbroken", None),
    ],
)
def test_what_a_bounce_of_the_standard_says(text: str, said: bounce.Bounce | None) -> None:
    assert bounce.read(message_from_string(text)) == said


QMAIL = """From: MAILER-DAEMON@mx.example.org
Subject: failure notice

Hi. This is the qmail-send program at mx.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<owner@example.org>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 No such user here
Giving up on 192.0.2.1.
"""
EXIM = """From: Mail Delivery System <Mailer-Daemon@mx.example.org>
X-Failed-Recipients: owner@example.org
Subject: Mail delivery failed: returning message to sender

A message that you sent could not be delivered to one or more of its recipients.

  owner@example.org
    SMTP error from remote mail server after RCPT TO:<owner@example.org>:
    host mx.example.org [192.0.2.1]: 554 mailbox full, for good
"""
GERMAN = "From: postmaster@example.org\nSubject: =?utf-8?q?Unzustellbar=3A_Message?=\n\nUnbekannt.\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (QMAIL, bounce.Bounce(True, "550 5.1.1 No such user here")),
        (EXIM, bounce.Bounce(True, "554 mailbox full, for good")),
        (GERMAN, bounce.Bounce(True, "Unzustellbar: Message")),
        (QMAIL.replace("failure notice", "Warning: delivery delayed, failure notice follows"), None),
        (QMAIL.replace("MAILER-DAEMON@mx", "owner@mx"), None),
        (QMAIL.replace("failure notice", "Re: your message"), None),
        ("Subject: Out of office\n\nI am away.", None),
        ("From: postmaster@example.org\nSubject: Automatic reply: away\n\nI am away.", None),
        ("", None),
    ],
)
def test_what_old_servers_write(text: str, said: bounce.Bounce | None) -> None:
    assert bounce.read(message_from_string(text)) == said
