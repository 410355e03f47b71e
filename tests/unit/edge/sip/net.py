"""The SIP side without sockets, with phones that speak to it in octets."""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, TypeVar, cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IUDPTransport
from twisted.internet.testing import MemoryReactorClock

from edge.config import Secret, SIPConfig, UpstreamConfig
from edge.deliveries import Outbox
from edge.dialect import Dialect
from edge.http.errors import NoAnswer
from edge.outbound import Outbound, Planner
from edge.references import References
from edge.sip.service import SipEdge
from protocols.sip import digest
from protocols.sip.answers import response_to
from protocols.sip.digest import Algorithm
from protocols.sip.locating import Naptr, Srv
from protocols.sip.message import Headers, Request, Response, parse
from protocols.sip.transport import Flow
from storage import accounts, messages, numbers, sip_accounts
from storage.deliveries import DueDelivery
from storage.records import DeliveryRecord, DeliveryState, Did, MessageRecord
from storage.sip_accounts import Digest, SipAccount
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, START_MS, Numbers, record
from tests.unit.edge.test_outbound import Carrier

DOMAIN = "sip.example.net"
HERE = ("192.0.2.1", 5060)
UPSTREAM = UpstreamConfig(name="up", port=2775, system_id="us", password=Secret("x"))
Address = tuple[str, int]
T = TypeVar("T")


class Wire:
    """One of the server's UDP sockets."""

    def __init__(self, net: "Net", here: Address) -> None:
        self._net = net
        self._here = here

    def getHost(self) -> IPv4Address:
        return IPv4Address("UDP", *self._here)

    def write(self, data: bytes, peer: Address) -> None:
        self._net.sent.append((data, peer))
        self._net.sent_from.append(self._here)
        phone = self._net.phones.get(peer)
        if phone is not None:
            phone.datagram(data)

    def stopListening(self) -> None:
        return None


class Reactor(MemoryReactorClock):
    """A reactor without a network; the wall clock goes with its time."""

    def __init__(self, net: "Net") -> None:
        super().__init__()
        self._net = net

    def wall_ms(self) -> int:
        return START_MS + round(self.seconds() * 1000)

    def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> Any:
        wire = Wire(self._net, (interface, port))
        protocol.transport = cast(IUDPTransport, wire)
        self._net.sockets[interface, port] = protocol
        self._net.socket = self._net.sockets.get(HERE, protocol)
        return wire


class StubNames:
    """DNS: what tests put into it."""

    def __init__(self) -> None:
        self.hosts: dict[str, list[str]] = {}
        self.naptrs: dict[str, list[Naptr]] = {}
        self.srvs: dict[str, list[Srv]] = {}
        self.silent = False
        self.slow = False
        self.asked: list[str] = []
        self._waiting: list[Deferred[None]] = []

    def _give(self, name: str, answer: T) -> Deferred[T]:
        self.asked.append(name)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if not self.slow:
            self.answer()
        return waiting.addCallback(lambda _: self._said(name, answer))

    def _said(self, name: str, answer: T) -> T:
        if self.silent:
            raise NoAnswer("lookup_failed", name)
        return answer

    def answer(self) -> None:
        """What was asked while I was slow is answered, and what comes after it at once."""
        self.slow = False
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    def addresses(self, host: str) -> Deferred[list[str]]:
        if host not in self.hosts:
            return fail(NoAnswer("no_such_host", host))
        return self._give(host, self.hosts[host])

    def naptr(self, name: str) -> Deferred[tuple[list[Naptr], float]]:
        return self._give(name, (self.naptrs.get(name, []), 60.0))

    def srv(self, name: str) -> Deferred[tuple[list[Srv], float]]:
        return self._give(name, (self.srvs.get(name, []), 60.0))


class Net:
    """One server on a store, and whoever writes to it."""

    def __init__(self, store: InlineStore, **config: Any) -> None:
        self.store = store
        self.sent: list[tuple[bytes, Address]] = []
        self.sent_from: list[Address] = []
        self.sockets: dict[Address, Any] = {}
        self.phones: dict[Address, Phone] = {}
        self.socket: Any = None
        self.names = StubNames()
        self.spent = 0.0
        self.boots = 0
        self.config = SIPConfig(**{"domain": DOMAIN, "udp": ("192.0.2.1:5060",), "tcp": (), **config})
        self.boot()

    def boot(self) -> None:
        """Start the server, or start it again: what is in memory is gone."""
        self.reactor = Reactor(self)
        self.boots += 1
        chance = Random(self.boots)  # no key outlives a process
        numbers_ = Numbers(self.store)
        self.sip = SipEdge(
            self.config,
            "US",
            self.store,  # type: ignore[arg-type]
            lambda: self.outbound,
            self.reactor,
            self.reactor.wall_ms,
            chance.randbytes,
            self.look,
            numbers_.did,
            self.names,
            lambda: 0.0,
            lambda: self.spent,
        )
        planner = Planner({"up": Dialect(UPSTREAM, "US")}, "US", numbers_.did, References(lambda: 1))
        self.carrier = Carrier()
        self.outbound = Outbound(
            planner,
            self.store,  # type: ignore[arg-type]
            {"up": self.carrier},
            self.reactor.wall_ms,
            lambda due: due,
        )
        self.outbox = Outbox(
            self.sip.handlers(),
            numbers_.did,
            self.store,  # type: ignore[arg-type]
            self.reactor,
            self.reactor.wall_ms,
        )
        success(Deferred.fromCoroutine(self.sip.start()))
        self.outbox.start()

    def look(self) -> None:
        self.outbox.look()

    def put(self, data: bytes, peer: Address) -> list[Response]:
        """One datagram to the server; the responses that came back at once."""
        before = len(self.sent)
        self.socket.datagramReceived(data, peer)
        return list(self.answers(before, peer))

    def answers(self, since: int, peer: Address) -> Iterator[Response]:
        for data, to in self.sent[since:]:
            if to == peer and data.startswith(b"SIP/2.0"):
                found = parse(data)
                assert isinstance(found, Response)
                yield found

    def account(self, did: Did, username: str = "alice", how: Digest = "md5", **changes: Any) -> SipAccount:
        """A phone's account, which the server sees at once."""
        wanted = SipAccount(
            id=0,
            account_id=did.account_id,
            username=username,
            domain=DOMAIN,
            ha1_md5=Algorithm.MD5.ha1(username, DOMAIN, "secret"),
            ha1_sha256=Algorithm.SHA256.ha1(username, DOMAIN, "secret"),
            digest=how,
            dids=changes.get("dids", (did.number,)),
            created_at=START_MS,
            region=changes.get("region", ""),
            reports=changes.get("reports", False),
        )
        with self.store.engine.transaction() as connection:
            made = sip_accounts.add_sip_account(connection, self.store.ids.next, wanted)
        self.reactor.advance(1)
        return made

    def stored(self, did: Did) -> list[MessageRecord]:
        """What the account sent, oldest first."""
        views = success(self.store.read(messages.search, did.account_id, since_id=0))
        return [view.message for view in views if view.message.direction == "mt"]

    def arrives(
        self, did: Did, text: str, aor: str = f"sip:alice@{DOMAIN}", handler: str = "sip", **more: Any
    ) -> DeliveryRecord:
        """An MO for the phone (or another target), committed and offered."""
        now_ms = self.reactor.wall_ms()
        message = record(self.store, did, now_ms, "mo", text=text, **more)
        delivery = DeliveryRecord(
            id=self.store.ids.next(),
            message_id=message.id,
            account_id=did.account_id,
            did_id=did.id,
            handler=handler,
            target=aor,
            state=DeliveryState.PENDING,
            attempts=0,
            due_at=now_ms,
            created_at=now_ms,
            updated_at=now_ms,
        )
        self.commit(DueDelivery(delivery, message))
        return delivery

    def commit(self, due: DueDelivery) -> None:
        """Store a message that owes a delivery, as the pipelines do."""
        expected = self.outbox.expect([due])
        owed = [item.delivery for item in expected]
        success(self.store.writer.write(messages.insert(due.message, (), owed)))
        self.outbox.offer(expected)

    def state(self, delivery: DeliveryRecord) -> tuple[str, str | None]:
        """(state, last outcome) of a delivery."""
        from sqlalchemy import select

        from storage.tables import delivery as table

        with self.store.engine.snapshot() as connection:
            row = connection.execute(select(table).where(table.c.id == delivery.id)).one()
        return row.state, row.last_outcome


class Phone:
    """A user agent at an address; ``answer`` is what it says to a MESSAGE, None for nothing."""

    def __init__(self, net: Net, username: str = "alice", password: str = "secret", port: int = 5070) -> None:
        self.net, self.username, self.password = net, username, password
        self.address: Address = ("192.0.2.7", port)
        self.received: list[Request] = []
        self.answer: Callable[[Request], int | None] = lambda request: 200
        self.count = 0
        self.call_id = f"call-{username}-{port}"
        net.phones[self.address] = self

    @property
    def aor(self) -> str:
        return f"sip:{self.username}@{DOMAIN}"

    @property
    def contact(self) -> str:
        return f"<sip:{self.username}@{self.address[0]}:{self.address[1]}>"

    @property
    def texts(self) -> list[str]:
        return [request.body.decode() for request in self.received]

    def datagram(self, data: bytes) -> None:
        message = parse(data)
        if isinstance(message, Request):
            self.received.append(message)
            status = self.answer(message)
            if status is not None:
                self.net.socket.datagramReceived(
                    response_to(message, status, "phone", "Said").serialise(), self.address
                )

    def request(
        self, method: str, uri: str, fields: Mapping[str, str | list[str]], body: bytes = b""
    ) -> Request:
        """A request that lacks only credentials; ``fields`` may replace every field."""
        self.count += 1
        host, port = self.address
        values: dict[str, str | list[str]] = {
            "Via": f"SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{self.username}{port}x{self.count}",
            "Max-Forwards": "70",
            "From": f"<{self.aor}>;tag=t{self.count}",
            "To": f"<{uri if method == 'MESSAGE' else self.aor}>",
            "Call-ID": self.call_id,
            "CSeq": f"{self.count} {method}",
            "User-Agent": "Phone/1.0 (as long as such names are, with a version and a platform)",
            **fields,
        }
        headers = Headers()
        for name, value in values.items():
            for item in value if isinstance(value, list) else [value]:
                headers.add(name, item)
        return Request(method, uri, headers, body)

    def send(self, request: Request) -> list[Response]:
        return self.net.put(request.serialise(), self.address)

    def ask(
        self, method: str, uri: str, fields: Mapping[str, str | list[str]], body: bytes = b""
    ) -> Response:
        """Send, answer the challenge, and give the final answer."""
        [first] = self.send(self.request(method, uri, fields, body))
        if first.status != 401:
            return first
        [second] = self.send(self.authorised(first, method, uri, fields, body))
        return second

    def authorised(
        self,
        challenged: Response,
        method: str,
        uri: str,
        fields: Mapping[str, Any],
        body: bytes = b"",
        **how: Any,
    ) -> Request:
        """The request again, with credentials for the (last) challenge of a 401."""
        challenge = digest.parse_challenge(challenged.headers.all("WWW-Authenticate")[how.get("which", -1)])
        if how.get("legacy"):
            challenge = digest.Challenge(challenge.realm, challenge.nonce, challenge.algorithm, None)
        value = digest.answer(
            challenge, self.username, self.password, method, uri, "cnonce", how.get("count", 1)
        )
        return self.request(method, uri, {**fields, "Authorization": value}, body)

    def register(self, contact: str | list[str] | None = None, **fields: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        return self.ask("REGISTER", f"sip:{DOMAIN}", {"Contact": contact or self.contact, **named})

    def message(self, to: str = f"sip:{PEER}@{DOMAIN}", text: str | bytes = "hi", **fields: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        body = text if isinstance(text, bytes) else text.encode()
        return self.ask("MESSAGE", to, {"Content-Type": "text/plain;charset=UTF-8", **named}, body)


class Stream:
    """A connection of a phone."""

    kind, reliable, local = "TCP", True, ("192.0.2.1", 5060)

    def __init__(self, net: Net, phone: Phone) -> None:
        self.net, self.phone, self.peer = net, phone, phone.address
        self.open = True

    def send(self, data: bytes) -> None:
        message = parse(data)
        if isinstance(message, Request):
            self.phone.received.append(message)
            status = self.phone.answer(message)
            if status is not None:
                self.net.sip.agent.received(response_to(message, status, "t", "Said").serialise(), self)
        else:
            self.net.sent.append((data, self.peer))

    def toward(self, peer: tuple[str, int]) -> Flow:
        return self


__all__ = ["DID", "DOMAIN", "PEER", "Net", "Phone", "Stream", "accounts", "numbers"]
