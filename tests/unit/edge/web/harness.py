"""The site over transports in memory, a browser with cookies and forms, and a store with people."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode, urljoin

from argon2 import PasswordHasher
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from edge.config import Config, HTTPConfig, MailConfig, Secret, ServerConfig
from edge.directory import Directory
from edge.errors import Refused
from edge.outbound import Accepted, Draft, Outcome
from edge.web.services import WebServices
from edge.web.site import make_site
from protocols.sms import LongMessageMode, SegmentOptions
from storage import accounts, endpoints, messages, numbers
from storage.endpoints import EndpointRecord
from storage.errors import Conflict
from storage.records import Account, Direction, MessageRecord, PartRecord
from storage.statements import Writes
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, START_MS, Time, part_of, record

TOKEN = "tk_test_0123456789abcdef0123456789abcdef"
OTHER_TOKEN = "tk_other_0123456789abcdef0123456789abcdef"
OTHER_DID = "+12025550177"
PASSWORD = "correct horse"
HERE = IPv4Address("TCP", "127.0.0.1", 8080)
KEPT = TemporaryDirectory(prefix="trunkline-seal-")
MAIL = MailConfig(domain="sms.example.net", reply_keys=Secret(f"1:{'0a' * 32}"))
SERVER = ServerConfig(seal_key=f"{KEPT.name}/seal_key")
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Reply:
    """One response."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.pairs = [
            (name.lower(), value) for name, _, value in (line.partition(": ") for line in lines[1:])
        ]
        self.headers = dict(self.pairs)
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Link:
    """One connection to the site."""

    def __init__(self, site: Any, peer: str = "192.0.2.1") -> None:
        address = IPv4Address("TCP", peer, 40000)
        self.transport: Any = StringTransport(HERE, address)
        self.protocol = site.buildProtocol(address)
        self.protocol.makeConnection(self.transport)

    def send(self, octets: bytes) -> None:
        self.protocol.dataReceived(octets)

    def replies(self, head_only: bool = False) -> list[Reply]:
        """Everything that was answered since the last call."""
        left, found = self.transport.value(), []
        self.transport.clear()
        while left:
            head, _, left = left.partition(b"\r\n\r\n")
            reply = Reply(head, b"")
            if reply.headers.get("transfer-encoding") == "chunked":
                reply.body, left = _unchunked(left)
            else:
                length = 0 if head_only else int(reply.headers.get("content-length", 0))
                reply.body, left = left[:length], left[length:]
            found.append(reply)
        return found

    def leave(self) -> None:
        """The client goes."""
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def closing(self) -> bool:
        """Has the server begun to close it?"""
        return bool(self.transport.disconnecting)


def _unchunked(left: bytes) -> tuple[bytes, bytes]:
    """A chunked body, which must have its end, and what follows it."""
    body = b""
    while True:
        size, _, left = left.partition(b"\r\n")
        length = int(size, 16)
        body, left = body + left[:length], left[length + 2 :]
        if not length:
            return body, left


class Outbox:
    """An outbound pipeline that does as it is told: `result` now, or later by `waiting`."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.waiting: list[Deferred[Accepted]] = []
        self.error: Exception | None = None
        self.hold = False
        self.refuses: set[str] = set()
        self.store: InlineStore | None = None

    def submit(self, draft: Draft) -> Deferred[Accepted]:
        self.drafts.append(draft)
        answer: Deferred[Accepted] = Deferred()
        self.waiting.append(answer)
        if not self.hold:
            self.release()
        return answer

    def submit_many(
        self, drafts: Sequence[Draft], also: Any = None, whole: bool = False
    ) -> Deferred[list[Outcome]]:
        """Each number of `refuses` is refused; what `also` writes is stored."""
        self.drafts += drafts
        outcomes: list[Outcome] = [self._outcome(number, draft) for number, draft in enumerate(drafts)]
        refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
        if self.error is not None:
            return fail(self.error)
        if len(refused) == len(outcomes) or (whole and refused):
            return succeed([outcome if isinstance(outcome, Refused) else None for outcome in outcomes])
        writes = () if also is None else also(outcomes)
        assert self.store is not None
        return self.store.writer.write(writes).addCallbacks(lambda _: outcomes, self._contradicted)

    def _contradicted(self, failure: Failure) -> list[Outcome]:
        assert self.store is not None
        assert failure.value is not None
        if self.store.engine.contradicted(failure.value):
            raise Conflict("It is there already.")
        raise failure.value

    def _outcome(self, number: int, draft: Draft) -> Outcome:
        if draft.destination in self.refuses:
            return Refused("invalid_number", "It is no number.", "to")
        return Accepted(42 + number, 1, "GSM7", START_MS, draft.source, draft.destination)

    @property
    def planner(self) -> "Outbox":
        return self

    def segmentation(self, peer: str, did: str, account_id: int) -> SegmentOptions:
        return SegmentOptions(LongMessageMode.UDH16 if peer == PEER else LongMessageMode.UDH8)

    def release(self) -> None:
        for draft, answer in zip(self.drafts[-len(self.waiting) :], self.waiting, strict=True):
            if self.error is not None:
                answer.errback(Failure(self.error))
            else:
                answer.callback(Accepted(42, 1, "GSM7", START_MS, draft.source, draft.destination))
        self.waiting.clear()


class Blind:
    """A store whose first reads see nothing: as if what they look for came a moment later."""

    def __init__(self, store: InlineStore, reads: int) -> None:
        self._store = store
        self._reads = reads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        self._reads -= 1
        return succeed([None]) if self._reads >= 0 else self._store.read(fn, *args, **kwargs)


class Scene:
    """A site on a store with two accounts: `demo` (user, key, DID) and `other` (the same)."""

    def __init__(
        self,
        store: InlineStore,
        time: Time,
        public_url: str = "",
        simulator: Any = None,
        deliveries: Any = None,
        http: HTTPConfig | None = None,
        **more: Any,
    ) -> None:
        self.store = store
        self.time = time
        self.outbox = Outbox()
        self.outbox.store = store
        self.ready: tuple[bool, dict[str, object]] = (True, {"binds": {}})
        self.account = self._account("demo", TOKEN, DID)
        self.other = self._account("other", OTHER_TOKEN, OTHER_DID)
        directory = Directory(store, time)  # type: ignore[arg-type]
        success(directory.refresh())
        self.threads: list[Callable[[], bool]] = []
        self.hold_threads = False
        services: Any = WebServices(
            store=store,  # type: ignore[arg-type]
            directory=directory,
            outbound=self.outbox,  # type: ignore[arg-type]
            config=Config(server=SERVER, http=http or HTTPConfig(public_url=public_url), mail=MAIL),
            simulator=simulator,
            ready=lambda: self.ready,
            wall_ms=time.wall_ms,
            reactor=time,
            deliveries=deliveries,
            **more,
        )
        self.services = services
        self.site = make_site(services, in_thread=self._in_thread)

    def configure(self, **tables: Any) -> None:
        """The same with other tables of the configuration."""
        self.services = replace(self.services, config=replace(self.services.config, **tables))
        self.site = make_site(self.services, in_thread=self._in_thread)

    def restart(self, blind: int = 0) -> None:
        """A server that knows only what is in the store; the first ``blind`` reads find nothing there."""
        store = self.store if not blind else Blind(self.store, blind)
        self.site = make_site(replace(self.services, store=store), in_thread=self._in_thread)

    def _in_thread(self, fn: Callable[[], bool]) -> "Deferred[bool]":
        if self.hold_threads:
            self.threads.append(fn)
            return Deferred()
        return maybeDeferred(fn)

    def _account(self, name: str, token: str, number: str) -> Account:
        ids, digest = self.store.ids.next, hashlib.sha256(token.encode()).hexdigest()
        with self.store.engine.transaction() as conn:
            owner = accounts.add_account(conn, ids, name, START_MS)
            accounts.add_user(conn, ids, owner.id, name, CHEAP.hash(PASSWORD), START_MS)
            accounts.add_key(conn, ids, owner.id, "key", token[:8], digest, START_MS)
            numbers.add_did(conn, ids, owner.id, number, START_MS)
        return owner

    def link(self, peer: str = "192.0.2.1") -> Link:
        return Link(self.site, peer)

    def browser(self, peer: str = "192.0.2.1") -> "Browser":
        return Browser(self, peer)

    def member(self, login: str = "demo") -> "Browser":
        """A browser that is logged in."""
        browser = self.browser()
        reply = browser.log_in(login)
        assert reply.status == 303, reply.text
        return browser

    def call(self, method: str, target: str, body: object = None, token: str = TOKEN, **more: str) -> Reply:
        """One API request."""
        octets = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **more}
        link = self.link()
        link.send(request(method, target, octets, headers))
        (reply,) = link.replies(method == "HEAD")
        return reply

    def message(
        self, direction: Direction = "mo", owner: Account | None = None, **more: Any
    ) -> MessageRecord:
        """A message in the store."""
        account = owner or self.account
        with self.store.engine.snapshot() as conn:
            (did,) = numbers.list_dids(conn, account.id)
        found = record(self.store, did, self.time.wall_ms(), direction, **more)
        parts = [self.part(found)] if direction == "mt" else []
        self.write(messages.insert(found, parts))
        return found

    def part(self, message: MessageRecord, **more: Any) -> PartRecord:
        return part_of(message, self.store.ids.next(), 1, **more)

    def put(self, record: EndpointRecord) -> None:
        """An endpoint that fails."""
        with self.store.engine.transaction() as conn:
            endpoints.put(conn, record)

    def write(self, writes: Writes) -> None:
        success(self.store.writer.write(writes))


def request(method: str, target: str, body: bytes, headers: dict[str, str]) -> bytes:
    """In the octets of the wire."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1:8080"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Form(HTMLParser):
    """The fields of the form with this action, as the page gives them."""

    def __init__(self, action: str, html: str) -> None:
        super().__init__()
        self.found = False
        self.fields: dict[str, str] = {}
        self._action = action
        self._inside = False
        self._area: str | None = None
        self._select: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = given.get("action") == self._action
            self.found |= self._inside
        if not self._inside:
            return
        if tag == "input":
            if "name" in given:
                self.fields[given["name"]] = given.get("value", "")
        elif tag == "textarea":
            self._area = given["name"]
            self.fields[self._area] = ""
        elif tag == "select":
            self._select = given["name"]
        elif tag == "option" and self._select and (self._select not in self.fields or "selected" in given):
            self.fields[self._select] = given["value"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = None
        elif tag == "form":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside and self._area:
            self.fields[self._area] += data.removeprefix("\n")


class Browser:
    """One person at one address."""

    def __init__(self, scene: Scene, peer: str) -> None:
        self._scene = scene
        self._peer = peer
        self.cookies: dict[str, str] = {}
        self.headers: dict[str, str] = {}

    def get(self, target: str, method: str = "GET") -> Reply:
        return self._send(method, target, b"", {})

    def post(self, target: str, **fields: str) -> Reply:
        body = urlencode({name.rstrip("_"): value for name, value in fields.items()}).encode()
        return self._send("POST", target, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def fill(self, page: str, action: str, **fields: str) -> Reply:
        """Get a page, fill its form, send it."""
        form = Form(action, self.get(page).text)
        assert form.found, f"no form for {action} on {page}"
        given = {name.rstrip("_"): value for name, value in fields.items()}
        return self.post(action, **{**form.fields, **given})

    def log_in(self, login: str = "demo", password: str = PASSWORD, page: str = "/login") -> Reply:
        return self.fill(page, "/login", login=login, password=password)

    def follow(self, reply: Reply) -> Reply:
        """Where the reply leads to."""
        assert reply.status == 303, reply.status
        return self.get(urljoin("/", reply.headers["location"]).partition("#")[0])

    def _send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Reply:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        link = self._scene.link(self._peer)
        link.send(request(method, target, body, {**headers, "Cookie": cookie, **self.headers}))
        (reply,) = link.replies(method == "HEAD")
        for name, value in reply.pairs:
            if name == "set-cookie":
                key, _, rest = value.partition("=")
                if "Max-Age=0" in rest:
                    self.cookies.pop(key, None)
                else:
                    self.cookies[key] = rest.partition(";")[0]
        return reply


__all__ = ["DID", "OTHER_DID", "OTHER_TOKEN", "PASSWORD", "PEER", "TOKEN", "Browser", "Form", "Link", "Scene"]
