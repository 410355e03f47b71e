"""The outgoing client over real sockets: a scripted peer, TLS, redirects, and a name server that lies."""

import gzip
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor as global_reactor
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from edge.http.addresses import policy
from edge.http.agent import treq_over
from edge.http.answer import Answer
from edge.http.client import HTTPClient, HTTPSettings
from edge.http.errors import NoAnswer
from edge.http.resolving import NameResolver
from tests.hostile import Names

reactor: Any = global_reactor
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPBACK = "127.0.0.1"


class Talk(Protocol):
    """One connection to the peer: every request is answered from its script."""

    def connectionMade(self) -> None:
        """Counted."""
        self.peer: Peer = cast(Any, self.factory).peer
        self.peer.connections += 1
        self.pending = b""

    def dataReceived(self, data: bytes) -> None:
        """A whole head is a request; bodies are short and come with it."""
        self.pending += data
        if b"\r\n\r\n" in self.pending:
            self.peer.requests.append(self.pending)
            self.pending = b""
            transport: Any = self.transport
            script = self.peer.script
            (script.pop(0) if len(script) > 1 else script[0])(transport)


class Peer:
    """A server on loopback that follows a script; the last item goes on for ever."""

    def __init__(self, *script: Callable[[Any], None], address: str = LOOPBACK, tls: Any = None) -> None:
        self.script = list(script)
        self.requests: list[bytes] = []
        self.connections = 0
        factory = Factory.forProtocol(Talk)
        cast(Any, factory).peer = self
        if tls is None:
            self.port = reactor.listenTCP(0, factory, interface=address)
        else:
            self.port = reactor.listenSSL(0, factory, tls, interface=address)
        self.number = self.port.getHost().port
        self.url = f"{'http' if tls is None else 'https'}://{address}:{self.number}"


def say(octets: bytes, close: bool = False) -> Callable[[Any], None]:
    """Answer with these octets."""

    def do(transport: Any) -> None:
        transport.write(octets)
        if close:
            transport.loseConnection()

    return do


def body(octets: bytes, status: str = "200 OK", *headers: str) -> Callable[[Any], None]:
    """A response with a length."""
    lines = "".join(f"{line}\r\n" for line in headers)
    return say(f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(octets)}\r\n\r\n".encode() + octets)


def silence(_: Any) -> None:
    """No answer."""


def reset(octets: bytes) -> Callable[[Any], None]:
    """Some octets, then a reset."""

    def do(transport: Any) -> None:
        transport.write(octets)
        reactor.callLater(0, transport.abortConnection)

    return do


def endless(transport: Any) -> None:
    """A body without an end, as fast as it is taken."""
    transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    class Producer:
        def resumeProducing(self) -> None:
            transport.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")

        def stopProducing(self) -> None:
            """The other side has closed."""

        def pauseProducing(self) -> None:
            """Never asked of a pull producer."""

    transport.registerProducer(Producer(), False)


class Rig:
    """A client and its peers."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.clients: list[HTTPClient] = []

    def peer(self, *script: Callable[[Any], None], **more: Any) -> Peer:
        """A new one."""
        self.peers.append(Peer(*script, **more))
        return self.peers[-1]

    def client(
        self,
        *allowed: str,
        servers: Any = (),
        hosts: Path = Path("/dev/null"),
        tls: Any = None,
        **settings: Any,
    ) -> HTTPClient:
        """A new one."""
        limits = HTTPSettings(addresses=policy(allowed or (LOOPBACK,)), **settings)
        resolver = NameResolver(reactor, servers, hosts)
        more = {} if tls is None else {"tls": tls}
        self.clients.append(HTTPClient(reactor, limits, resolver, **more))
        return self.clients[-1]


@pytest_twisted.async_yield_fixture
async def rig() -> AsyncIterator[Rig]:
    """Closed in the end."""
    made = Rig()
    yield made
    for client in made.clients:
        client.close()
    for peer in made.peers:
        await peer.port.stopListening()


async def reason(asked: Deferred[Answer]) -> str:
    """Why there was no answer."""
    with pytest.raises(NoAnswer) as caught:
        await asked
    return caught.value.reason


ANSWERS = {
    "ok": (body(b"ok"), (200, b"ok", False)),
    "OK and a line end": (body(b"OK\n"), (200, b"OK\n", False)),
    "okay": (body(b"okay"), (200, b"okay", False)),
    "empty": (body(b""), (200, b"", False)),
    "no content": (say(b"HTTP/1.1 204 No Content\r\n\r\n"), (204, b"", False)),
    "500": (body(b"oops", "500 Internal Server Error"), (500, b"oops", False)),
    "302": (body(b"", "302 Found", "Location: http://169.254.169.254/"), (302, b"", False)),
    "chunks": (
        say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"),
        (200, b"ok", False),
    ),
    "until the end": (say(b"HTTP/1.1 200 OK\r\n\r\nok", close=True), (200, b"ok", False)),
    "HTTP/1.0": (say(b"HTTP/1.0 200 OK\r\n\r\nok", close=True), (200, b"ok", False)),
    "100 first": (say(b"HTTP/1.1 100 Continue\r\n\r\n" + OK), (200, b"ok", False)),
    "endless": (endless, (200, b"x" * 65536, True)),
    "a huge length": (
        say(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 70000),
        (200, b"x" * 65536, True),
    ),
}
SILENCES = {
    "reset in mid-body": (reset(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok"), "connection_lost"),
    "closed in mid-body": (
        say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok", close=True),
        "connection_lost",
    ),
    "closed in mid-chunk": (
        say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", close=True),
        "connection_lost",
    ),
    "reset at once": (reset(b""), "connection_lost"),
    "no HTTP": (say(b"SSH-2.0-OpenSSH_9.2\r\n"), "answer_invalid"),
    "endless head": (say(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20_000), "answer_invalid"),
    "another protocol": (
        say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        "answer_invalid",
    ),
    "silence": (silence, "timeout"),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest_twisted.ensureDeferred
async def test_what_a_peer_may_answer(rig: Rig, name: str) -> None:
    script, expected = ANSWERS[name]
    answer = await rig.client().get(rig.peer(script).url + "/")
    assert (answer.status, answer.body, answer.cut) == expected


@pytest.mark.parametrize("name", SILENCES)
@pytest_twisted.ensureDeferred
async def test_what_is_no_answer(rig: Rig, name: str) -> None:
    script, expected = SILENCES[name]
    peer = rig.peer(script)
    client = rig.client(timeout=0.3 if name == "silence" else 30.0)
    assert await reason(client.get(peer.url + "/")) == expected
    assert (len(peer.requests), client.pool.connections) == (1, 0)


@pytest_twisted.ensureDeferred
async def test_a_compressed_body_stays_compressed(rig: Rig) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    peer = rig.peer(body(bomb, "200 OK", "Content-Encoding: gzip"))
    answer = await rig.client().get(peer.url + "/")
    assert answer.body == bomb
    assert b"Accept-Encoding: identity\r\n" in peer.requests[0]


@pytest_twisted.ensureDeferred
async def test_a_connection_is_kept_and_one_that_died_is_not_asked_again(rig: Rig) -> None:
    peer = rig.peer(body(b"ok"), body(b"ok"), reset(b""), body(b"ok"))
    client = rig.client(connections_per_host=1)
    for _ in range(2):
        assert (await client.get(peer.url + "/")).body == b"ok"
    assert peer.connections == 1
    assert await reason(client.get(peer.url + "/")) == "connection_lost"
    assert len(peer.requests) == 3
    assert (await client.get(peer.url + "/")).body == b"ok"
    assert (peer.connections, len(peer.requests)) == (2, 4)


@pytest.mark.parametrize(
    ("head", "close"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\n", False),
        (b"HTTP/1.0 200 OK\n\n", True),
    ],
)
@pytest_twisted.ensureDeferred
async def test_old_servers_are_understood(rig: Rig, head: bytes, close: bool) -> None:
    peer = rig.peer(say(head + b"ok", close=close))
    answer = await rig.client().get(peer.url + "/")
    assert (answer.status, answer.body) == (200, b"ok")


@pytest_twisted.ensureDeferred
async def test_a_peer_is_the_one_asked_however_its_address_is_spelled(rig: Rig) -> None:
    peer = rig.peer(body(b"ok"))
    client = rig.client("127.0.0.0/8")
    for spelled in ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]"):
        assert (await client.get(f"http://{spelled}:{peer.number}/")).body == b"ok"


@pytest_twisted.ensureDeferred
async def test_a_server_that_closes_without_a_word_loses_no_request(rig: Rig) -> None:
    peer = rig.peer(say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", close=True))
    client = rig.client(connections_per_host=3)
    for asked in [client.get(f"{peer.url}/{number}") for number in range(60)]:
        assert (await asked).body == b"ok"
    assert peer.connections == len(peer.requests) == 60


@pytest_twisted.ensureDeferred
async def test_one_origin_gets_no_more_connections_than_allowed(rig: Rig) -> None:
    peer = rig.peer(body(b"ok"))
    client = rig.client(connections_per_host=3)
    for asked in [client.get(f"{peer.url}/{number}") for number in range(30)]:
        assert (await asked).body == b"ok"
    assert peer.connections == 3
    assert sorted(line.split(b" ")[1] for line in peer.requests) == sorted(b"/%d" % n for n in range(30))


@pytest_twisted.ensureDeferred
async def test_a_post_arrives_whole(rig: Rig) -> None:
    peer = rig.peer(body(b"{}"))
    await rig.client().post_json(peer.url + "/hook?x=1", b'{"a": 1}', {"webhook-id": "evt_7"})
    head, _, octets = peer.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /hook?x=1 HTTP/1.1"
    assert {b"webhook-id: evt_7", b"Content-Type: application/json", b"Content-Length: 8"} <= set(lines)
    assert b"Host: 127.0.0.1:%d" % peer.number in lines
    assert octets == b'{"a": 1}'


# -- redirects ------------------------------------------------------------------------------------


def to(url: str, status: str = "302 Found") -> Callable[[Any], None]:
    """A redirect."""
    return body(b"", status, f"Location: {url}")


@pytest_twisted.ensureDeferred
async def test_redirects_are_followed_as_far_as_allowed(rig: Rig) -> None:
    end = rig.peer(body(b"ok"))
    two = rig.peer(to(f"{end.url}/c"))
    one = rig.peer(to(f"{two.url}/b"))
    assert (await rig.client().get(f"{one.url}/a")).status == 302
    assert (await rig.client(max_redirects=1).get(f"{one.url}/a")).status == 302
    answer = await rig.client(max_redirects=2).get(f"{one.url}/a")
    assert (answer.status, answer.body, end.requests[0].split(b" ")[1]) == (200, b"ok", b"/c")


@pytest_twisted.ensureDeferred
async def test_a_chain_of_redirects_ends(rig: Rig) -> None:
    peer = rig.peer(to("/again"))
    assert (await rig.client(max_redirects=3).get(f"{peer.url}/")).status == 302
    assert len(peer.requests) == 4


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2:8080/",
        "http://169.254.169.254/latest/",
        "http://[::1]/",
        "http://127.1/",
        "ftp://x/",
        "http://u@127.0.0.1/",
        "//127.0.0.2/",
    ],
)
@pytest_twisted.ensureDeferred
async def test_each_hop_is_vetted(rig: Rig, target: str) -> None:
    client = rig.client(max_redirects=3)
    assert await reason(client.get(rig.peer(to(target)).url + "/")) in ("address_refused", "redirect_refused")


@pytest_twisted.ensureDeferred
async def test_a_post_is_sent_on_only_as_a_post(rig: Rig) -> None:
    end = rig.peer(body(b"ok"))
    client = rig.client(max_redirects=3)
    found = await client.post_json(rig.peer(to(end.url + "/")).url + "/", b"{}")
    assert (found.status, end.requests) == (302, [])
    same = await client.post_json(rig.peer(to(end.url + "/", "307 Temporary Redirect")).url + "/", b"{}")
    assert (same.status, end.requests[0][:4]) == (200, b"POST")


# -- names ----------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_bound_anew_reaches_nothing(rig: Rig) -> None:
    good = rig.peer(body(b"ok", "200 OK", "Connection: close"), address="127.0.0.2")
    inside = Peer(body(b"secret"))
    names = Names(
        reactor,
        {
            "rebind.example": [["127.0.0.2"], [LOOPBACK]],
            "mixed.example": [["127.0.0.2", LOOPBACK]],
            "six.example": [["127.0.0.2", "::1"]],
            "alias.example": [["localhost.example", LOOPBACK]],
            "metadata.example": [["169.254.169.254"]],
        },
    )
    client = rig.client("127.0.0.2", servers=[names.start()])
    assert (await client.get(f"http://rebind.example:{good.number}/")).body == b"ok"
    for name in ("rebind", "mixed", "six", "alias", "metadata"):
        for port in (good.number, inside.number):
            assert await reason(client.get(f"http://{name}.example:{port}/")) == "address_refused", name
    assert await reason(client.get("http://nobody.example/")) == "no_such_host"
    assert (good.connections, inside.connections) == (1, 0)
    await names.stop()
    await inside.port.stopListening()


@pytest_twisted.ensureDeferred
async def test_the_hosts_file_is_asked_first(rig: Rig, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("# comment\n127.0.0.1 here other # and more\n10.0.0.1 there\n")
    peer = rig.peer(body(b"ok"))
    client = rig.client(hosts=hosts)
    assert (await client.get(f"http://OTHER:{peer.number}/")).body == b"ok"
    assert b"Host: other:%d\r\n" % peer.number in peer.requests[0]
    assert await reason(client.get("http://there/")) == "address_refused"


@pytest_twisted.ensureDeferred
async def test_a_peer_that_is_this_machine_is_dropped_before_a_request(rig: Rig) -> None:
    """As if our own public address had been vetted: the policy lets it through, the sockets tell."""
    peer = rig.peer(body(b"ok"))
    client = rig.client()
    connector: Any = client.pool._connector

    class Lenient:
        def refusal(self, _: str) -> None:
            return None

        def is_allowed(self, _: str) -> bool:
            return False

    connector.policy = Lenient()
    assert await reason(client.get(f"{peer.url}/")) == "address_refused"
    assert peer.requests == []


@pytest_twisted.ensureDeferred
async def test_nobody_listens(rig: Rig) -> None:
    peer = rig.peer(silence)
    rig.peers.clear()
    await peer.port.stopListening()
    assert await reason(rig.client().get(f"{peer.url}/")) == "connection_refused"


# -- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """A file with key and certificate for good.example, its own authority; and what is in it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "good.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("good.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "good.pem"
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return str(path), path.read_bytes()


@pytest_twisted.ensureDeferred
async def test_the_certificate_must_be_that_of_the_name(
    rig: Rig, certificate: tuple[str, bytes], tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 good.example wrong.example\n")
    path, pem = certificate
    peer = rig.peer(body(b"ok"), tls=ssl.DefaultOpenSSLContextFactory(path, path))
    authority = ssl.Certificate.loadPEM(pem)
    trusting = rig.client(hosts=hosts, tls=lambda host: ssl.optionsForClientTLS(host, trustRoot=authority))
    assert (await trusting.get(f"https://good.example:{peer.number}/")).body == b"ok"
    assert await reason(trusting.get(f"https://wrong.example:{peer.number}/")) == "tls_failed"
    assert await reason(trusting.get(f"https://127.0.0.1:{peer.number}/")) == "tls_failed"
    assert await reason(rig.client(hosts=hosts).get(f"https://good.example:{peer.number}/")) == "tls_failed"
    assert len(peer.requests) == 1


# -- treq -----------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_treq_speaks_through_our_agent(rig: Rig) -> None:
    peer = rig.peer(body(b'{"a": 1}', "200 OK", "Set-Cookie: a=b"))
    treq = treq_over(rig.client(connections_per_host=1))
    response = await treq.post(f"{peer.url}/x", params={"q": "é"}, json={"b": 2})
    assert (response.code, await response.json()) == (200, {"a": 1})
    await treq.get(f"{peer.url}/y")
    assert peer.requests[0].startswith(b"POST /x?q=%C3%A9 HTTP/1.1\r\n")
    assert peer.requests[0].endswith(b'\r\n\r\n{"b":2}')
    assert b"Cookie" not in peer.requests[1]
    assert peer.connections == 1
    with pytest.raises(NoAnswer, match="address_refused"):
        await treq.get("http://10.0.0.1/")
    with pytest.raises(ValueError, match="HEAD"):
        await treq.head(f"{peer.url}/")
