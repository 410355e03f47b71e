"""URLs that must be refused, whatever program reads them, and a name server that lies.

`urls` gives more than three hundred: spellings of addresses that are not public, in every way that some
library reads one; user names, schemes, ports, and hosts that are none.
"""

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.names import dns, server
from twisted.names.error import DomainError

DENIED_V4 = (
    "127.0.0.1", "127.255.255.254", "127.0.1.1", "0.0.0.0", "0.0.0.1", "10.0.0.1", "10.255.255.255",
    "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255", "169.254.169.254", "169.254.0.1",
    "100.64.0.1", "100.127.255.254", "100.100.100.200", "192.0.0.1", "192.0.0.192", "192.0.2.1",
    "192.31.196.1", "192.52.193.1", "192.175.48.1", "192.175.48.255",
    "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16",
)  # fmt: skip
DENIED_V6 = (
    "::", "::1", "::2", "fe80::1", "febf::1", "fec0::1", "fc00::1", "fd00:ec2::254", "fdff::1", "ff02::1",
    "ff05::2", "2001:db8::1", "2001:10::1", "2001:20::1", "3fff::1", "100::1", "5f00::1", "4000::1",
    "64:ff9b:1::1", "100:0:0:1::1", "2001:1::1", "2001:1::3", "2001:2::1", "2001:3::1", "2001:4:112::1",
    "2001:30::1", "2001:1ff:ffff::1", "2620:4f:8000::1", "2620:4f:8000:ffff::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1",
)  # fmt: skip
WRAPPINGS = ("::ffff:{}", "::{}", "::ffff:0:{}", "64:ff9b::{}")
SCHEMES = (
    "file:///etc/passwd", "ftp://192.0.2.1/", "gopher://127.0.0.1:70/_x", "dict://127.0.0.1:11211/",
    "ldap://127.0.0.1/",
    "data:text/plain,x", "javascript:alert(1)", "jar:http://127.0.0.1!/", "ws://127.0.0.1/",
    "wss://127.0.0.1/",
    "unix:///var/run/docker.sock", "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "tftp://127.0.0.1/",
    "sftp://127.0.0.1/",
    "netdoc:///etc/passwd", "//127.0.0.1/", "/etc/passwd", "", "http", "http:", "http:/127.0.0.1/",
    "http:127.0.0.1",
    "http:\\\\127.0.0.1/", "http:///127.0.0.1/", "https:///", "http://", "http://?x", "http://#x",
    "url:http://127.0.0.1/",
)  # fmt: skip
HOSTS = (
    # What some read as 127.0.0.1, 0.0.0.0 or 169.254.169.254.
    "127.1", "127.0.1", "127.000.000.001", "0177.0.0.1", "0177.1", "0177.0.0.01", "00000177.0.0.1",
    "0x7f.0.0.1", "0x7f.1",
    "0x7f000001", "0X7F000001", "0x7F.0x0.0x0.0x1", "2130706433", "017700000001", "127.0.0.1.",
    "127.0.0.1..", "127.0.0.0x1",
    "0", "0.", "00", "0x0", "0x", "0.0", "0.0.0", "00.00.00.00", "4294967295", "4294967296",
    "0251.0376.0251.0376", "0xa9fea9fe",
    "0xa9.0xfe.0xa9.0xfe", "2852039166", "025177524776", "169.254.43518", "169.16689662", "10.1",
    "10.0.1", "0xa.0.0.1",
    "012.0.0.1", "167772161", "192.168.1", "192.168.257", "0xc0a80001", "3232235521", "1.2.3.4.5",
    "256.0.0.1", "1.2.3.256",
    "127.0.0.1%00", "127.0.0.1%2f", "%31%32%37.0.0.1", "127%2e0%2e0%2e1", "0x7f.0.0.0x1", "127.0.0.1_.1",
    # Full-width and other digits, ideographic full stops.
    "１２７.０.０.１", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "①②⑦.⓪.⓪.①",
    "１６９.２５４.１６９.２５４", "⑩.⓪.⓪.①",
    "0ₓ7f.1",
    # Names of this machine and its kind, as the hosts file or the test's name server has them.
    "localhost", "LOCALHOST", "localhost.", "ｌｏｃａｌｈｏｓｔ",
    # IPv6 in other spellings.
    "[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::1%25lo]", "[::1%lo]", "[fe80::1%25eth0]", "[::]",
    "[::ffff:7f00:1]",
    "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:0001]", "[::FFFF:169.254.169.254]", "[::7f00:1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2002:0a00:0001::1]",
    "[2002:c0a8:0001::]",
    "[::ffff:0:7f00:1]", "[v1.x]", "[127.0.0.1]", "[::1", "::1]", "::1", "[]", "[[::1]]", "[::1]x",
    "[:::1]",
    # No hosts at all.
    ".", "..", "a..b", ".a", "-", "a b", "a\tb", "a\nb", "a\rb", "a\x00b", "a\\b", "a%20b", "a|b", "a<b",
    "a^b", "a`b", "a{b}",
    "*.example.org", "a,b", "a;b", "a'b", "a\"b", "x" * 64, ".".join(["x" * 60] * 5), "exa mple.org",
    "a\u200bb\u00a0c",
)  # fmt: skip
USERS = (
    "user@127.0.0.1", "user:secret@127.0.0.1", "@127.0.0.1", ":@127.0.0.1", "example.org@127.0.0.1",
    "example.org:80@127.0.0.1",
    "127.0.0.1@example.org", "user@example.org", "user:p@ss@example.org", "example.org%40127.0.0.1",
    "example.org\\@127.0.0.1",
    "127.0.0.1\\@example.org", "127.0.0.1:80\\@example.org:80", "a:b@[::1]", "0@example.org",
)  # fmt: skip
PORTS = (
    "0", "00", "22", "25", "110", "143", "445", "6", "1", "79", "81", "444", "1023", "65536", "99999",
    "-1", "+80", "80x",
    "0x50", "８０", "80 ", "80:80", "٨٠", "1e2", "080808",
)  # fmt: skip


def urls() -> Iterator[str]:
    """Every one of them must be refused by a client that may reach public addresses only."""
    for address in DENIED_V4:
        yield f"http://{address}/"
        yield f"https://{address}:8443/x?y=1"
        for wrapping in WRAPPINGS:
            yield f"http://[{wrapping.format(address)}]/"
    for address in DENIED_V6:
        yield f"http://[{address}]/"
        yield f"https://[{address}]:8443/"
    yield from SCHEMES
    for host in (*HOSTS, *USERS):
        yield f"http://{host}/"
    for port in PORTS:
        yield f"http://8.8.8.8:{port}/"


class Names:
    """A name server on loopback. ``answers``: for each name, what is said the first time, the second, …
    and then again and again; a word that is no address is a CNAME."""

    def __init__(self, reactor: Any, answers: dict[str, list[list[str]]]) -> None:
        self._reactor = reactor
        self._answers = answers
        self._asked: dict[str, int] = {}
        self._port: Any = None

    def start(self) -> tuple[str, int]:
        """Listen; where."""
        factory = server.DNSServerFactory(clients=[self])
        self._port = self._reactor.listenUDP(0, dns.DNSDatagramProtocol(factory), interface="127.0.0.1")
        return "127.0.0.1", self._port.getHost().port

    def stop(self) -> Deferred[None]:
        """Listen no more."""
        stopping: Deferred[None] = self._port.stopListening()
        return stopping

    def query(self, query: Any, timeout: object = None) -> Deferred[Any]:
        """What twisted.names asks of a resolver. The A query counts; AAAA follows it."""
        name = query.name.name.decode().lower()
        said = self._answers.get(name)
        if said is None:
            return fail(DomainError(name))
        turn = self._asked.get(name, 0)
        if query.type == dns.A:
            self._asked[name] = turn + 1
        elif turn:
            turn -= 1
        records = [self._record(query.name.name, item) for item in said[min(turn, len(said) - 1)]]
        wanted = [record for record in records if record.type in (query.type, dns.CNAME)]
        return succeed((wanted, [], []))

    @staticmethod
    def _record(name: bytes, said: str) -> dns.RRHeader:
        if ":" in said:
            payload: Any = dns.Record_AAAA(said, 0)
        elif said[0].isdigit():
            payload = dns.Record_A(said, 0)
        else:
            payload = dns.Record_CNAME(said.encode(), 0)
        return dns.RRHeader(name, payload.TYPE, dns.IN, 0, payload)
