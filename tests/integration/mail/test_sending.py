"""Mail leaves over real sockets: to aiosmtpd, found by MX, or as the smarthost with a password."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, ensureDeferred, fail, succeed
from twisted.internet.protocol import Factory
from twisted.names import dns, server
from twisted.names.error import DNSNameError, DNSQueryTimeoutError
from twisted.protocols.basic import LineReceiver

from edge.http.addresses import PUBLIC_ONLY, AddressPolicy, policy
from edge.http.resolving import NameResolver
from edge.mail.names import LookupFailed, MailNames, NoSuchDomain
from edge.mail.sending import Sender, Way
from protocols.mail import spf
from protocols.mail.smtp import TLS, Credentials, Envelope, Verdict
from tests.interop.mail_peers import certificate, listens
from tests.server import free_port, until

reactor: Any = global_reactor
HERE = Path(__file__).parent
OURS = policy(["127.0.0.0/8"])
DEAD = ("dead.example.org", dns.Record_A("127.0.0.9"))
MAIL = b"Subject: x\r\n\r\n.begins with a dot\r\nhi\r\n"


class Zone:
    """A name server on loopback. The names of ``broken`` are answered with SERVFAIL."""

    def __init__(self, *records: tuple[str, Any], broken: tuple[str, ...] = ()) -> None:
        self._records = records
        self._broken = broken
        self.factory: Any = server.DNSServerFactory(clients=[self])
        self.port = reactor.listenUDP(0, dns.DNSDatagramProtocol(self.factory), interface="127.0.0.1")

    @property
    def servers(self) -> list[tuple[str, int]]:
        return [("127.0.0.1", self.port.getHost().port)]

    def query(self, query: Any, timeout: object = None) -> Deferred[Any]:
        """What twisted.names asks of a resolver."""
        name = query.name.name.decode().lower()
        if name in self._broken:
            return fail(DNSQueryTimeoutError(0))
        known = [payload for owner, payload in self._records if owner == name]
        if not known:
            return fail(DNSNameError(name))
        found = [
            dns.RRHeader(query.name.name, payload.TYPE, dns.IN, 0, payload)
            for payload in known
            if query.type == payload.TYPE
        ]
        return succeed((found, [], []))


class Peer:
    """aiosmtpd on a port of loopback; ``way``: "", "starttls", "auth-plain" or "auth-login"."""

    def __init__(self, folder: Path, way: str = "starttls") -> None:
        self.port, self._folder = free_port(), folder
        self.certificate, _ = certificate(folder)
        command = [sys.executable, str(HERE / "aiosmtpd_peer.py"), str(self.port), str(folder), way]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        until(lambda: listens(self.port), "aiosmtpd listens")

    @property
    def mails(self) -> list[dict[str, Any]]:
        """What it took."""
        file = self._folder / "mails"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    started: list[Peer] = []
    yield started
    for peer in started:
        peer.stop()


def send(way: Way, zone: Zone | None, allowed: AddressPolicy = OURS, to: str = "owner@example.org") -> Any:
    """One mail."""
    servers = zone.servers if zone is not None else [("127.0.0.1", 1)]
    resolver = NameResolver(reactor, servers)
    sender = Sender(way, MailNames(reactor, resolver, Random(7), servers), resolver, allowed, reactor)
    return sender.send(Envelope("sms+bounce-x@sms.example.net", to, MAIL))


async def closed(zone: Zone, result: Any) -> Verdict:
    """The verdict, and the name server is gone."""
    try:
        verdict: Verdict = await result
    finally:
        await zone.port.stopListening()
    return verdict


def mx(host: str, preference: int = 10) -> dns.Record_MX:
    return dns.Record_MX(preference, host)


@pytest_twisted.ensureDeferred
async def test_the_servers_of_a_domain_are_tried_in_their_order(tmp_path: Path, peers: list[Peer]) -> None:
    peers.append(Peer(tmp_path))
    zone = Zone(
        ("example.org", mx("backup.example.org", 20)),
        ("example.org", mx("dead.example.org", 10)),
        DEAD,
        ("backup.example.org", dns.Record_A("127.0.0.1")),
    )
    way = Way("sms.example.net", TLS.OPPORTUNISTIC, mx_port=peers[0].port)
    verdict = await closed(zone, send(way, zone))
    assert (verdict.outcome, verdict.final) == ("sent", True)
    (mail,) = peers[0].mails
    assert mail == {
        "sender": "sms+bounce-x@sms.example.net",
        "recipients": ["owner@example.org"],
        "octets": MAIL.decode(),
        "encrypted": True,  # with a certificate that nobody signed
    }


@pytest_twisted.ensureDeferred
async def test_a_domain_without_mx_is_its_own_server(tmp_path: Path, peers: list[Peer]) -> None:
    peers.append(Peer(tmp_path, ""))
    zone = Zone(("example.org", dns.Record_A("127.0.0.1")))
    way = Way("sms.example.net", TLS.OPPORTUNISTIC, mx_port=peers[0].port)
    assert (await closed(zone, send(way, zone))).outcome == "sent"
    assert [mail["encrypted"] for mail in peers[0].mails] == [False]


@pytest.mark.parametrize(
    ("records", "broken", "outcome", "final"),
    [
        ([("example.org", mx("", 0))], (), "no_such_domain", True),
        ([], (), "no_such_domain", True),
        ([], ("example.org",), "lookup_failed", False),
        ([("example.org", mx("mx.example.org"))], (), "no_such_host", False),
        ([("example.org", mx("dead.example.org")), DEAD], (), "connect_failed", False),
    ],
)
@pytest_twisted.ensureDeferred
async def test_where_no_mail_goes(
    records: list[tuple[str, Any]], broken: tuple[str, ...], outcome: str, final: bool
) -> None:
    zone = Zone(*records, broken=broken)
    way = Way("sms.example.net", TLS.OPPORTUNISTIC, mx_port=free_port())
    verdict = await closed(zone, send(way, zone))
    assert (verdict.outcome, verdict.final, verdict.stage) == (outcome, final, "connect")


@pytest_twisted.ensureDeferred
async def test_a_domain_cannot_lead_us_to_the_machines_beside_us(tmp_path: Path, peers: list[Peer]) -> None:
    peers.append(Peer(tmp_path))
    zone = Zone(("example.org", mx("mx.example.org")), ("mx.example.org", dns.Record_A("127.0.0.1")))
    way = Way("sms.example.net", TLS.OPPORTUNISTIC, mx_port=peers[0].port)
    verdict = await closed(zone, send(way, zone, PUBLIC_ONLY))
    assert (verdict.outcome, verdict.final) == ("no_address", False)
    assert peers[0].mails == []


@pytest.mark.parametrize("how", ["auth-plain", "auth-login"])
@pytest_twisted.ensureDeferred
async def test_the_smarthost_wants_a_password(tmp_path: Path, peers: list[Peer], how: str) -> None:
    peers.append(Peer(tmp_path, how))
    trusted = str(peers[0].certificate)
    for password, outcome in (("secret", "sent"), ("wrong", "refused")):
        way = Way(
            "sms.example.net",
            TLS.REQUIRED,
            ("127.0.0.1", peers[0].port),
            Credentials("me", password),
            trusted,
        )
        verdict = await send(way, None)
        assert verdict.outcome == outcome
    assert (verdict.stage, verdict.final) == ("auth", False)
    assert len(peers[0].mails) == 1


@pytest.mark.parametrize("way_of", [TLS.REQUIRED, TLS.IMPLICIT])
@pytest_twisted.ensureDeferred
async def test_required_means_a_certificate_that_is_believed(
    tmp_path: Path, peers: list[Peer], way_of: TLS
) -> None:
    peers.append(Peer(tmp_path))
    verdict = await send(Way("sms.example.net", way_of, ("127.0.0.1", peers[0].port)), None)
    assert verdict.outcome in ("tls_failed", "connection_lost")
    assert not verdict.final
    assert peers[0].mails == []


@pytest_twisted.ensureDeferred
async def test_what_the_server_says_to_a_recipient_is_the_verdict(tmp_path: Path, peers: list[Peer]) -> None:
    peers.append(Peer(tmp_path))
    way = Way("sms.example.net", TLS.OPPORTUNISTIC, ("127.0.0.1", peers[0].port))
    for code, final in ((450, False), (550, True)):
        verdict = await send(way, None, to=f"say-{code}@example.org")
        assert (verdict.outcome, verdict.stage, verdict.final) == ("refused", "rcpt", final)
        assert str(verdict.reply) == f"{code} 0.0.0 As asked"


class Server(LineReceiver):
    """A mail exchange that says this to one of RCPT, DATA and the final dot; nothing: it hangs up."""

    def __init__(self, at: str, said: str, took: list[str]) -> None:
        self._at, self._said, self._took = at, said, took
        self._name, self._mail = "", False

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self._name = transport.getHost().host
        self.sendLine(b"220 mx")

    def lineReceived(self, line: bytes) -> None:
        if self._mail and line != b".":
            return
        verb = "END" if self._mail else line[:4].decode()
        self._mail = verb == "DATA"
        said = self._said if verb == self._at else "354 go" if verb == "DATA" else "250 ok"
        if verb == "END" and said.startswith("2"):
            self._took.append(self._name)
        if said:
            self.sendLine(said.encode())
        else:
            transport: Any = self.transport
            transport.loseConnection()


@pytest.mark.parametrize(
    ("at", "said", "outcome", "took"),
    [
        ("RCPT", "451 4.7.1 Later", "sent", ["127.0.0.3"]),
        ("DATA", "452 4.3.1 Full", "sent", ["127.0.0.3"]),
        ("END", "451 4.3.0 Not now", "sent", ["127.0.0.3"]),
        ("RCPT", "", "sent", ["127.0.0.3"]),
        ("END", "", "connection_lost", []),
        ("RCPT", "550 5.1.1 Nobody", "refused", []),
        ("", "", "sent", ["127.0.0.2"]),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_one_server_does_not_take_now_the_next_one_may(
    at: str, said: str, outcome: str, took: list[str]
) -> None:
    """But for a mail that it may have, which would arrive twice, and what it refuses for good."""
    zone = Zone(
        ("example.org", mx("one.example.org", 10)), ("example.org", mx("two.example.org", 20)),
        ("one.example.org", dns.Record_A("127.0.0.2")), ("two.example.org", dns.Record_A("127.0.0.3")),
    )  # fmt: skip
    taken: list[str] = []
    first = Factory.forProtocol(lambda: Server(at, said, taken))
    second = Factory.forProtocol(lambda: Server("", "", taken))
    ports = [reactor.listenTCP(0, first, interface="127.0.0.2")]
    ports.append(reactor.listenTCP(ports[0].getHost().port, second, interface="127.0.0.3"))
    way = Way("sms.example.net", TLS.OPPORTUNISTIC, mx_port=ports[0].getHost().port)
    try:
        verdict = await closed(zone, send(way, zone))
    finally:
        for port in ports:
            await port.stopListening()
    assert (verdict.outcome, taken) == (outcome, took)


@pytest_twisted.ensureDeferred
async def test_exchanges_that_are_alike_share_the_mail() -> None:
    """RFC 5321 §5.1."""
    zone = Zone(
        *(
            ("example.org", mx(f"mx{number}.example.org", preference))
            for number, preference in enumerate((20, 10, 10, 10))
        ),
    )
    resolver = NameResolver(reactor, zone.servers)
    names = MailNames(reactor, resolver, Random(7), zone.servers)
    try:
        asked = [await names.exchanges("example.org") for _ in range(20)]
        assert {hosts[3] for hosts in asked} == {"mx0.example.org"}
        assert {hosts[0] for hosts in asked} == {f"mx{number}.example.org" for number in (1, 2, 3)}
        assert len({tuple(hosts) for hosts in asked}) > 3
    finally:
        await zone.port.stopListening()


@pytest_twisted.ensureDeferred
async def test_texts_and_spf_from_a_name_server() -> None:
    zone = Zone(
        ("k._domainkey.example.org", dns.Record_TXT(b"v=DKIM1; p=ab", b"cd")),
        ("example.org", dns.Record_TXT(b"v=spf1 mx a:host.example.org -all")),
        ("example.org", mx("mx.example.org")),
        ("mx.example.org", dns.Record_A("192.0.2.25")),
        ("host.example.org", dns.Record_A("192.0.2.7")),
        broken=("broken.example.org",),
    )
    resolver = NameResolver(reactor, zone.servers)
    names = MailNames(reactor, resolver, Random(7), zone.servers)
    try:
        assert await names.texts("k._domainkey.example.org") == [b"v=DKIM1; p=abcd"]
        assert await names.texts("none.example.org") == []
        with pytest.raises(LookupFailed):
            await names.texts("broken.example.org")
        for address, said in (("192.0.2.25", "pass"), ("192.0.2.7", "pass"), ("192.0.2.8", "fail")):
            checked = ensureDeferred(spf.check(address, "a@example.org", "me", names))
            assert await checked == said
    finally:
        await zone.port.stopListening()


# A label of 192 octets: its length says "go on at the octet that comes next", which is within the first
# label, and there is the name that is really asked for, for TXT.
THEIRS = "\x01s\x04keys\x04evil\x04test\0"
WITHIN = f"{'p' * 40}{THEIRS}." + (chr(12 + 1 + 40) + "\0\x10\0\x01").ljust(192, "z") + ".example.org"


@pytest.mark.parametrize(
    "name",
    [
        WITHIN, "ä.example.org", f"{'a' * 64}.example.org", f"{'a' * 300}.example.org", "a..example.org",
        ".example.org", "a\0b.example.org", "a b.example.org", "", ".", "x." * 140 + "example.org",
    ],
)  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_what_is_no_name_is_not_asked_for(name: str) -> None:
    """Who signs a mail writes the name of his key, which must not be anybody else's."""
    zone = Zone(("s.keys.evil.test", dns.Record_TXT(b"v=DKIM1; p=theirs")))
    asked: list[str] = []

    class Heard:
        def query(self, query: Any, timeout: object = None) -> Deferred[Any]:
            asked.append(str(query))
            return zone.query(query)

    zone.factory.resolver = Heard()
    resolver = NameResolver(reactor, zone.servers)
    names = MailNames(reactor, resolver, Random(7), zone.servers)
    try:
        assert await names.texts(name) == []
        assert await names.hosts(name) == []
        assert await names.mail_hosts(name) == []
        with pytest.raises(NoSuchDomain):
            await names.exchanges(name)
        assert asked == []
        assert await names.texts("s.keys.evil.test.") == [b"v=DKIM1; p=theirs"]
    finally:
        await zone.port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_mail_exchange_that_is_no_hosts_name_is_passed_over(
    tmp_path: Path, peers: list[Peer]
) -> None:
    peers.append(Peer(tmp_path, ""))
    zone = Zone(
        *(("example.org", mx(host, 5)) for host in ("a:b", "b b.example.org", "c/d", "x\x7f")),
        ("example.org", dns.Record_MX(5, b"\xe4.example.org")),
        ("example.org", mx("mx.example.org", 10)),
        ("mx.example.org", dns.Record_A("127.0.0.1")),
    )
    way = Way("sms.example.net", TLS.OFF, mx_port=peers[0].port)
    assert (await closed(zone, send(way, zone))).outcome == "sent"
