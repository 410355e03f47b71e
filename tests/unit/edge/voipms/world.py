"""A server's compatible APIs over transports in memory, with two accounts, a real way out and a store."""

import itertools
import json
from typing import Any
from urllib.parse import quote, urlencode

from argon2 import PasswordHasher
from twisted.internet.defer import maybeDeferred

from edge.config import Config, HTTPConfig, MailConfig, Secret, SIPConfig, UpstreamConfig
from edge.dialect import Dialect
from edge.directory import Directory
from edge.http.errors import NoAnswer
from edge.outbound import Outbound, Planner
from edge.policy.optout import OptOuts
from edge.references import References
from edge.web.services import WebServices
from edge.web.site import make_site
from protocols.sip.digest import Algorithm
from storage import accesses, accounts, contacts, media, messages, numbers, sip_accounts
from storage.ids import EPOCH_MS
from storage.media import MediaRecord
from storage.records import Account, ApiAccess, MessageFlag, MessageRecord, PartRecord
from storage.sip_accounts import SipAccount
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unbound import Unbound
from tests.unit.edge.conftest import Time, part_of
from tests.unit.edge.web.harness import Link, Reply, request

DID, SILENT_DID, OTHER_DID, PEER = "+12025550100", "+12025550101", "+12025550177", "+12025550199"
PASSWORD = "api password"
NOW = 1_795_000_000_000  # 2026-11-18 11:06:40 UTC, 06:06:40 in New York
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
DOMAIN = "sip.example.net"
FORM = "application/x-www-form-urlencoded"


class Names:
    """A resolver that knows what it is told."""

    def __init__(self) -> None:
        self.addresses_of: dict[str, list[str]] = {}
        self.asked: list[str] = []

    def addresses(self, host: str) -> Any:
        self.asked.append(host)
        return maybeDeferred(self._find, host)

    def _find(self, host: str) -> list[str]:
        if host not in self.addresses_of:
            raise NoAnswer("no_such_host", f"{host} has no address")
        return self.addresses_of[host]


class World:
    """With the accounts `demo` and `other`, whose programs log in as such and may come from anywhere."""

    def __init__(self, store: InlineStore, time: Time, **config: Any) -> None:
        self.store = store
        self.time = time
        self.now_ms = NOW
        self.names = Names()
        self._count = itertools.count(1)
        self.account = self._account("demo", DID, SILENT_DID)
        self.other = self._account("other", OTHER_DID)
        self.alter(SILENT_DID, sms_enabled=False)
        self.directory = Directory(store, time)  # type: ignore[arg-type]
        success(self.directory.refresh())
        upstream = UpstreamConfig(name="up", port=1, system_id="x", password=Secret("x"))
        self.opt_outs = OptOuts(store, time, time.wall_ms)  # type: ignore[arg-type]
        planner = Planner(
            {"up": Dialect(upstream, "US")},
            "US",
            self.directory.did,
            References(lambda: 0),
            opted_out=self.opt_outs.forbids,
        )
        self.outbound = Outbound(
            planner,
            store,  # type: ignore[arg-type]
            {"up": Unbound()},
            lambda: self.now_ms,
            lambda due: due,
        )
        mail = MailConfig(domain="sms.example.net", reply_keys=Secret(f"1:{'0a' * 32}"))
        settings = {"http": HTTPConfig(), "sip": SIPConfig(domain=DOMAIN), "mail": mail, **config}
        services: Any = WebServices(
            store=store,  # type: ignore[arg-type]
            directory=self.directory,
            outbound=self.outbound,
            config=Config(**settings),
            simulator=None,
            ready=lambda: (True, {}),
            wall_ms=lambda: self.now_ms,
            reactor=time,
            resolver=self.names,
            opt_outs=self.opt_outs,
        )
        self.services = services
        self.site = make_site(services, in_thread=maybeDeferred)

    def _account(self, name: str, *dids: str) -> Account:
        ids = self.store.ids.next
        with self.store.engine.transaction() as conn:
            owner = accounts.add_account(conn, ids, name, NOW)
            for number in dids:
                numbers.add_did(conn, ids, owner.id, number, NOW)
            access = ApiAccess(owner.id, name, CHEAP.hash(PASSWORD), allowed="0.0.0.0", created_at=NOW)
            accesses.put_access(conn, access)
        return owner

    # -- setting things up ------------------------------------------------------------------------

    def access(self, **changes: Any) -> None:
        """Change the access of `demo`."""
        with self.store.engine.transaction() as conn:
            before = accesses.access_of(conn, self.account.id)
            assert before is not None
            values = {name: getattr(before, name) for name in ApiAccess.__dataclass_fields__}
            accesses.put_access(conn, ApiAccess(**{**values, **changes}))
        success(self.directory.refresh())

    def alter(self, number: str, **changes: Any) -> None:
        """Change a DID."""
        with self.store.engine.transaction() as conn:
            numbers.set_did(conn, self.store.ids.next, number, **changes)

    def message(self, direction: Any = "mo", at_ms: int = NOW - 1000, **more: Any) -> MessageRecord:
        """One in the store, with an id of its time."""
        owner = more.pop("owner", self.account)
        values = {
            "id": ((at_ms - EPOCH_MS) << 12) | next(self._count) % 256,
            "account_id": owner.id,
            "did_id": 1,
            "direction": direction,
            "leg": "test",
            "did": OTHER_DID if owner is self.other else DID,
            "peer": PEER,
            "text": "hi",
            "upstream": "up",
            "created_at": at_ms,
            "parts_total": 1,
        }
        state = more.pop("state", None)
        found = MessageRecord(**{**values, **more})
        parts: list[PartRecord] = []
        if direction == "mt":
            parts = [part_of(found, self.store.ids.next(), 1, **({"state": state} if state else {}))]
        success(self.store.writer.write(messages.insert(found, parts)))
        return found

    def mms(self, **more: Any) -> MessageRecord:
        """A multimedia message without media."""
        return self.message(flags=int(MessageFlag.MMS), **more)

    def attach(self, message: MessageRecord, *urls: str) -> None:
        """Somebody else's media."""
        assert message.account_id is not None
        records = [
            MediaRecord(self.store.ids.next(), message.id, message.account_id, position, None, "", None, url)
            for position, url in enumerate(urls, 1)
        ]
        success(self.store.writer.write(media.insert(records)))

    def contact(self, name: str, number: str, owner: Account | None = None) -> int:
        with self.store.engine.transaction() as conn:
            account_id = (owner or self.account).id
            return contacts.put(conn, self.store.ids.next, account_id, number, name, NOW).id

    def group(self, name: str, *members: int, owner: Account | None = None) -> int:
        with self.store.engine.transaction() as conn:
            account_id = (owner or self.account).id
            made = contacts.add_group(conn, self.store.ids.next, account_id, name, NOW)
            contacts.set_members(conn, account_id, made.id, members)
            return made.id

    def phone(self, username: str, *dids: str, owner: Account | None = None) -> SipAccount:
        hashes = [kind.ha1(username, DOMAIN, "secret") for kind in (Algorithm.MD5, Algorithm.SHA256)]
        account_id = (owner or self.account).id
        wanted = SipAccount(0, account_id, username, DOMAIN, hashes[0], hashes[1], "md5", dids, NOW)
        with self.store.engine.transaction() as conn:
            return sip_accounts.add_sip_account(conn, self.store.ids.next, wanted)

    # -- asking -----------------------------------------------------------------------------------

    def send(self, octets: bytes, head_only: bool = False, peer: str = "192.0.2.1") -> Reply:
        link = Link(self.site, peer)
        link.send(octets)
        (reply,) = link.replies(head_only)
        return reply

    def get(self, path: str, peer: str = "192.0.2.1", **parameters: Any) -> Reply:
        """GET without a single header that need not be."""
        query = urlencode(parameters, quote_via=quote)
        return self.send(request("GET", f"{path}?{query}", b"", {}), peer=peer)

    def post(self, path: str, **parameters: Any) -> Reply:
        body = urlencode(parameters).encode()
        return self.send(request("POST", path, body, {"Content-Type": FORM}))

    def call(self, method: str, *, login: str = "demo", **parameters: Any) -> dict[str, Any]:
        """The document that a call is answered; ``from_`` stands for the parameter `from`."""
        parameters = {name.rstrip("_"): value for name, value in parameters.items()}
        credentials = {"api_username": login, "api_password": PASSWORD, "method": method}
        reply = self.get("/api/v1/rest.php", **credentials, **parameters)
        assert reply.status == 200, (reply.status, reply.body)
        assert reply.headers["content-type"] == "application/json"
        found: dict[str, Any] = json.loads(reply.body)
        return found
