"""Everything by which mail is read, given the worst that is known for each; run by `test_cost`."""

import asyncio
from contextlib import suppress

from edge.mail import authentication
from edge.mail.reading import Intricate, read
from protocols.mail import address, charsets, html, reply, results, spf, wire
from protocols.mail.pictures import Pictures
from protocols.mail.smtp_server import _PATH
from protocols.mail.token import find, within

K64 = 65_536


def long(unit: str, end: str = "") -> str:
    """64 KiB of it, then the end."""
    return unit * (K64 // len(unit)) + end


def mail(body: str, kind: str = "text/plain") -> None:
    """A mail with this body is read, or is too intricate."""
    octets = f"From: a@b.example\r\nContent-Type: {kind}\r\n\r\n{body}\r\n".encode()
    with suppress(Intricate):
        read(octets, "a@b.example")


def nested(depth: int) -> str:
    """Multiparts, each in the one before."""
    kind = 'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n'
    return "".join(kind % (number, number) for number in range(depth))


class Names:
    """A domain with this record."""

    def __init__(self, record: str) -> None:
        self.record = record

    async def texts(self, name: str) -> list[bytes]:
        """See `protocols.mail.spf.Names`."""
        return [f"v=spf1 {self.record} -all".encode()]

    async def hosts(self, name: str) -> list[str]:
        """See `protocols.mail.spf.Names`."""
        return []

    mail_hosts = hosts


MULTIPARTS = [long(" ", "x"), long(" \n", "x"), "a" + long("   \n", "b")]
REPLIES = [
    long("-", "x"),
    long("=", "x"),
    long("_ ", "x"),
    long(" ", "x"),
    long(">", "x"),
    long("--", ":x"),
    long("-" * 399 + "x\n"),
    long("-" * 399 + "x\n") + "From: a\nSubject: b\n",
    long("Am  schrieb "),
    long("Am" + " schrieb" * 45 + "x\n"),
    long("2024/1/1 " + " <@" * 120 + "\n"),
    long("2024/1/1 " + " <a@" + " @" * 180 + "\n"),
    long("Op " + "heeft " * 60 + "\n"),
    long("##-"),
    long("##-\n", " -##"),
    long("@ 12:12 <>()") + "\n##- -##",
    long("From: x\n"),
    long("a: b\n"),
    long("From: <a@b> 2024 12:30\n"),
    long("From:\n\n"),
    long("On 2024 12:30 <a@b> wrote:\n"),
    long("On 2024 12:30 <a@b> wrote: x\n"),
    long("On 2024 12:30 a wrote\n", ":"),
    long("> 2024 12:30 <a@b> wrote:\n"),
    long("2024 12:30 " + "[a@" * 120 + ":\n"),
    long("-----Original Message-----\n"),
    long("---- " + "a-" * 180 + "----\n"),
    long("##--##"),
    long("##--##\n"),
    long("\u20602024:\n"),
    long("From:" + " " * 390 + "\n"),
    long("gesendet von "),
    long("sent from my \n"),
    "hi\n\naz iphone" + "-a" * 90 + "!",
    "hi\n\nenvoyé de " + "a'" * 90 + "!",
    "hi\n\nsent from my " + "iphone " * 26 + "!",
    long("\n--\n"),
    long("\n"),
    long("> a\n"),
    long("a\n", "On a wrote:\n> b"),
    long("_" * 300 + "\n"),
    long("- " * 199 + "\n"),
    long("-----BEGIN PGP SIGNED MESSAGE-----\n\n"),
    long("-----BEGIN PGP SIGNED MESSAGE-----\nA: b\n"),
    "-----BEGIN PGP SIGNED MESSAGE-----\n" + long("A: b\n"),
    "-----BEGIN PGP SIGNED MESSAGE-----\n\n" + long("- "),
]
PAGES = [
    long(unit)
    for unit in (
        "<a ",
        "<!--",
        "<",
        "<![",
        "<?",
        "</",
        "<blockquote>a",
        "<i>a",
        "&#1",
        '<a a="',
        "a&amp;",
        "<a\"'>'\"",
        "<p>a",
        "<img alt=a>",
        "<pre>a\n",
        "<script>",
        "<table><tr><td>",
        "<a b=c d=e>",
        "<a style=;; hidden>",
        "<param>",
        "<<",
    )
] + [
    "&#" + long("1"),
    "<a " + " ".join(f"a{n}=1" for n in range(9_000)) + ">",
    "<i>" * 10_000 + "</b>" * 9_000,
    "<i>" * 499 + "</b>" * 15_000,
    "<div>" * 6_000 + "</div>" * 6_000,
    long("<table><tr><td>", "</i>" * 9_000),
    long("<i "),
    long("<i style=font-size:0>"),
    "<i style='" + long("font-size:0;") + "'>",
    "<img src='" + long("data:image/a;base64,") + "'>",
    "<img src='" + long("data:image/a"),
    long("<img src=cid:a>"),
    "".join(f"<img src=cid:{number}>" for number in range(4_000)),
    "<img src='cid:" + long("%") + "'>",
    "<img src=cid:a style='" + long(";width:") + "' width='" + long(" ") + "'>",
    "a<p class='" + long("Signature ") + "'>",
    "a" + long("<p class=Signature>"),
]
HEADERS = [
    long("("),
    "(a" * 16_000 + ")" * 16_000,
    long("a"),
    long('a="\\"'),
    "a" + long(" "),
    long("a="),
    long('"'),
    long("(\\"),
    long(";"),
]
FROMS = [
    long('"'),
    long('"" '),
    long("a"),
    "a" + long(" ", "b"),
    long('"\\a'),
    long("<"),
    long("\r"),
    long("a."),
]

for number, text in enumerate(REPLIES):
    print("reply", number, flush=True)
    reply.strip(text)
    mail(text)
    mail(text, "text/plain; format=flowed; delsp=yes")
    mail(text, "text/enriched")
    mail(text, "multipart/mixed")
for number, text in enumerate(PAGES):
    print("page", number, flush=True)
    html.to_text(text, Pictures())
    mail(text, "text/html")
    picture = "Content-Type: image/png\r\nContent-ID: <a>"
    mail(
        f"--b\r\nContent-Type: text/html\r\n\r\n{text}\r\n--b\r\n{picture}\r\n\r\nx\r\n",
        "multipart/related; boundary=b",
    )
for number, text in enumerate(
    [long("a"), long("[a "), long("@"), long("http://"), long("["), long("a b@c ")]
):
    print("versions", number, flush=True)
    both = f"--b\r\n\r\n{text}\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>{text}</p>html\r\n"
    mail(both, "multipart/alternative; boundary=b")
    list(within(text, range(256))), charsets.is_charset(text[:2_000])
for number, text in enumerate(HEADERS):
    print("header", number, flush=True)
    results.believed(["x; " + text], "y", "example.org")
    authentication._signature(0, text[: authentication.MAX_HEADER], [text])
    mail("x", f"text/plain; {text}")
for number, text in enumerate(FROMS):
    print("from", number, flush=True)
    for written in (text, text + "@example.org"):
        with suppress(address.NotAnAddress):
            address.sole_author([written])
        with suppress(address.NotAnAddress):
            address.parse(written)
    address.one_line(written), address.decoded(written[:2_000]), list(find([written]))
for number, text in enumerate([long(" a"), long(" "), long("a"), long("<"), long("a=")]):
    print("path", number, flush=True)
    _PATH.fullmatch(f"<a>{text}\0"), _PATH.fullmatch(f"<{text}"), wire.bare(text.encode())
    wire.canonical(long("\r").encode()), wire.stuffed(long(".\r\n").encode())
for number, text in enumerate(
    [long("a"), long("%{s1"), long("/1"), "exists:" + long("%{h}"), "ip4:" + long("1.")]
):
    print("spf", number, flush=True)
    assert asyncio.run(spf.check("192.0.2.1", "a@example.org", long("h"), Names(text))) != "pass"
for charset in ("punycode", "idna", "unicode_escape", "utf-7", "utf-16", "hz", "iso2022_jp", "zip", "base64"):
    print("charset", charset, flush=True)
    mail(long("a.&-\\"), f"text/plain; charset={charset}")
    mail(long("é-"), f"text/plain; charset={charset}")
    mail(long("\x1b$B!"), f"text/plain; charset={charset}")
    mail(long("é-"), f"application/x; charset*=utf-8''{charset}")
    mail("x", f"text/plain; name*={charset}''{long('%61')}")
for number, text in enumerate(
    [
        nested(300) + "a\n" * 90_000,
        "--b\r\n\r\n" * 500_000,
        "--b\r\n" + "a:\n" * 90_000,
        ("--b\r\nContent-Type: text/html\r\n\r\n" + "<i>x</i>" * 5_000 + "\r\n") * 100,
        ("--b\r\nContent-Type: text/plain\r\n\r\n" + "a: b\n" * 5_000 + "\r\n") * 30,
        *MULTIPARTS,
    ]
):
    print("parts", number, flush=True)
    mail(text, "multipart/mixed; boundary=b")
    mail(text, "multipart/mixed")
for number, head in enumerate([b"X:" + b" a\r\n" * 90_000, b"X: y\r\n" * 90_000]):
    print("head", number, flush=True)
    with suppress(Intricate):
        read(head + b"\r\nhi", "a@b.example")
for number, text in enumerate([long("("), "(" * 200 + "a)" * 200, "Auto reply " * 50, "read:" + " " * 490]):
    print("automatic", number, flush=True)
    with suppress(Intricate):
        read(
            f"From: a@b.example\r\nAuto-Submitted: {text}\r\nSubject: {text}\r\n\r\nhi".encode(),
            "a@b.example",
        )
for number, octets in enumerate(
    [
        b"From: a@b.example\r\n\r\n" + (b" " * K64 + b"x\r\n") * 4,
        b"From: a@b.example\r\nX:" + b" a\r\n" * 900_000 + b"\r\nhi",
    ]
):
    print("signed", number, flush=True)
    for c in ("relaxed/relaxed", "simple/simple"):
        value = f"v=1; a=rsa-sha256; c={c}; d=b.example; s=s; h=From; bh=AAAA; b=AAAA"
        signature = authentication._signature(0, value, [])
        signed = f"DKIM-Signature: {value}\r\n".encode() + octets
        assert not authentication._verified(signed, signature, b"v=DKIM1; p=AAAA")
print("done", flush=True)
