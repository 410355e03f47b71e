"""The operator's desk: accounts, users, keys and DIDs, changed in the store directly and at once.

Needs no server; one that runs sees the changes within a second. Everything may be said twice: each method
tells whether it changed anything.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection

from edge import outgoing
from edge.config import Config
from edge.errors import Refused
from edge.handlers import changing
from edge.handlers.base import Rules, SettingError
from edge.keys import EVERYTHING, PREVIOUS_MS, new_token, prefix_of, token_hash
from edge.passwords import MAX_CHARACTERS, MIN_CHARACTERS, hash_password
from edge.policy import geography
from edge.policy import numbers as spelling
from edge.wallclock import wall_ms
from storage import (
    accounts,
    endpoints,
    inventory,
    mail,
    migrate,
    numbers,
    second_factors,
    sessions,
    users,
)
from storage.endpoints import Endpoint
from storage.engines import Engine, file_of, missing_file, open_engine
from storage.errors import Conflict, NotFound
from storage.highest import highest_id
from storage.ids import IdSource
from storage.inventory import FreeNumber
from storage.records import Account, ApiKey, Did, Role, User

COMMAND_NODE = 15
"""The node of ids made by commands; servers have 0 to 14, so the two never make the same id."""

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}", re.ASCII)


class DeskError(Exception):
    """What was asked for cannot be done; one sentence for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerChange:
    """What becomes of one handler; None leaves the switch as it is, an empty text takes a setting away."""

    enabled: bool | None = None
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DidChange:
    """What `Desk.set_did` changes; what is not named stays. ``handlers`` by their names."""

    sms: bool | None = None
    handlers: Mapping[str, HandlerChange] = field(default_factory=dict)


@contextmanager
def engine_of(config: Config) -> Iterator[Engine]:
    """The engine of the configured store."""
    engine = open_engine(config.store.url, allow_non_durable=config.store.allow_non_durable)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def open_desk(config: Config, clock_ms: Callable[[], int] = wall_ms) -> Iterator["Desk"]:
    """A desk on a store that has this release's schema. Raises SchemaMismatch with the command that helps."""
    missing = missing_file(config.store.url)
    if missing is not None:
        raise DeskError(f"There is no store at {missing} yet. Run: trunkline db upgrade")
    with engine_of(config) as engine:
        migrate.check(engine)
        yield Desk(engine, outgoing.rules(config), clock_ms)


def upgrade(config: Config) -> tuple[str | None, str]:
    """Bring the store to this release's schema; the revisions before and after.

    The folder of an SQLite file is made if need be.
    """
    file = file_of(config.store.url)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(0o600)  # it holds what people wrote to each other
        except OSError as error:
            raise DeskError(f"The store's folder cannot be made: {error}") from error
    with engine_of(config) as engine:
        before = migrate.current(engine)
        migrate.upgrade(engine)
        return before, migrate.head()


class Desk:
    """I work on one store; each method is one transaction.

    Raises Conflict (it belongs to another account), NotFound, DeskError; Refused for a number that is none.
    """

    def __init__(self, engine: Engine, rules: Rules, clock_ms: Callable[[], int]) -> None:
        self.engine = engine
        self.ids = IdSource(COMMAND_NODE, clock_ms)
        self.clock_ms = clock_ms
        self._rules = rules

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction in which `ids` are above all that are in the store."""
        with self.engine.transaction() as conn:
            self.ids.raise_floor(highest_id(conn))
            yield conn

    # -- accounts and users -----------------------------------------------------------------------

    def add_account(self, name: str) -> tuple[Account, bool]:
        """The account, and whether it is new."""
        if not _NAME.fullmatch(name):
            raise DeskError("An account's name has 1 to 100 characters and no control characters.")
        with self.transaction() as conn:
            known = accounts.find_account(conn, name)
            return known or accounts.add_account(conn, self.ids.next, name, self.clock_ms()), known is None

    def account(self, name: str) -> Account:
        """The one of this name. Raises NotFound."""
        with self.engine.snapshot() as conn:
            return _account(conn, name)

    def accounts(self) -> list[Account]:
        """All of them."""
        with self.engine.snapshot() as conn:
            return accounts.list_accounts(conn)

    def find_user(self, account: str, login: str) -> User | None:
        """The user, if there is one; Conflict when the login is another account's."""
        if not _LOGIN.fullmatch(login.lower()):
            raise DeskError("A login has 1 to 100 of the characters a-z 0-9 . _ @ + -")
        with self.engine.snapshot() as conn:
            owner = _account(conn, account)
            known = accounts.find_user(conn, login)
        if known is not None and known.account_id != owner.id:
            raise Conflict(f"The login {login} belongs to another account.")
        return known

    def set_user(self, account: str, login: str, password: str, role: Role | None = None) -> User:
        """Make the user, or give him this password and log him out everywhere. ``role`` None: an owner, if he
        is new."""
        if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
            raise DeskError(f"A password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters.")
        known = self.find_user(account, login)
        hashed = hash_password(password)
        with self.transaction() as conn:
            owner = _account(conn, account)
            if known is not None:
                sessions.end_sessions_of(conn, known.id)
            return accounts.add_user(conn, self.ids.next, owner.id, login, hashed, self.clock_ms(), role=role)

    def change_user(
        self,
        account: str,
        login: str,
        *,
        role: Role | None = None,
        operator: bool | None = None,
        no_second_factor: bool = False,
    ) -> User:
        """What is None stays. Raises NotFound, Conflict when nobody would own the account any more."""
        known = self.find_user(account, login)
        if known is None:
            raise NotFound(f"There is no user {login} in the account {account}.")
        with self.transaction() as conn:
            if role is not None:
                users.set_role(conn, known.account_id, known.id, role)
            if operator is not None:
                users.set_operator(conn, known.login, operator)
            if no_second_factor:
                second_factors.end(conn, known.account_id, known.id)
            return users.get(conn, known.account_id, known.id) or known

    def remove_user(self, account: str, login: str) -> User:
        """He may log in no more. Raises NotFound, Conflict for the only owner."""
        known = self.find_user(account, login)
        if known is None:
            raise NotFound(f"There is no user {login} in the account {account}.")
        with self.transaction() as conn:
            return users.remove(conn, known.account_id, known.id)

    def users(self, account: str) -> list[User]:
        """Those of one account."""
        with self.engine.snapshot() as conn:
            return accounts.list_users(conn, _account(conn, account).id)

    # -- keys -------------------------------------------------------------------------------------

    def add_key(
        self,
        account: str,
        name: str,
        scopes: Sequence[str] = (),
        days: float | None = None,
        requests_per_minute: int | None = None,
    ) -> tuple[ApiKey, str | None]:
        """The key, and its token if it is new: the store keeps only its hash, so now or never.

        ``scopes`` empty: good for everything; ``days`` None: without an end; ``requests_per_minute`` None:
        limited as the server limits all.
        """
        if not _NAME.fullmatch(name):
            raise DeskError("A key's name has 1 to 100 characters and no control characters.")
        token = new_token()
        expires_at = None if days is None else self.clock_ms() + round(days * DAY_MS)
        key = self.put_key(account, name, token, scopes, expires_at, requests_per_minute)
        return key, token if key.key_hash == token_hash(token) else None

    def put_key(
        self,
        account: str,
        name: str,
        token: str,
        scopes: Sequence[str] = (),
        expires_at: int | None = None,
        requests_per_minute: int | None = None,
    ) -> ApiKey:
        """The key with this token, unless there is a valid one of this name."""
        with self.transaction() as conn:
            owner = _account(conn, account)
            return accounts.add_key(
                conn,
                self.ids.next,
                owner.id,
                name,
                prefix_of(token),
                token_hash(token),
                self.clock_ms(),
                scopes=" ".join(sorted(scopes)) or EVERYTHING,
                expires_at=expires_at,
                requests_per_minute=requests_per_minute,
            )

    def rotate_key(self, account: str, name: str, hours: float | None = None) -> tuple[ApiKey, str]:
        """The key with a new token, and that; the one before is good for so many hours more (24)."""
        token, now_ms = new_token(), self.clock_ms()
        kept_ms = PREVIOUS_MS if hours is None else round(hours * HOUR_MS)
        with self.transaction() as conn:
            owner = _account(conn, account)
            known = accounts.find_key(conn, owner.id, name)
            if known is None:
                raise NotFound(f"There is no key {name}.")
            digest = token_hash(token)
            key = accounts.rotate_key(conn, owner.id, known.id, prefix_of(token), digest, now_ms + kept_ms)
        return key, token

    def revoke_key(self, account: str, name: str) -> tuple[ApiKey, bool]:
        """The key, and whether it was valid until now."""
        with self.transaction() as conn:
            owner = _account(conn, account)
            valid = any(
                key.name == name and key.revoked_at is None for key in accounts.list_keys(conn, owner.id)
            )
            return accounts.revoke_key(conn, owner.id, name, self.clock_ms()), valid

    def keys(self, account: str) -> list[ApiKey]:
        """Those of one account, revoked ones too."""
        with self.engine.snapshot() as conn:
            return accounts.list_keys(conn, _account(conn, account).id)

    # -- DIDs -------------------------------------------------------------------------------------

    def add_did(self, account: str, number: str) -> tuple[Did, bool]:
        """The DID, and whether it is new. One that was on offer is so no more."""
        e164 = self.did_number(number)
        with self.transaction() as conn:
            owner = _account(conn, account)
            known = numbers.find_did(conn, e164)
            inventory.withdraw(conn, e164)
            return numbers.add_did(conn, self.ids.next, owner.id, e164, self.clock_ms()), known is None

    def set_carriage(self, number: str, sms: bool, ported_at: int | None) -> Did:
        """Whether its carrier brings messages for the DID, and when it was ported in."""
        e164 = self.did_number(number)
        with self.transaction() as conn:
            return numbers.set_carriage(conn, e164, sms, ported_at)

    # -- numbers to order -------------------------------------------------------------------------

    def offer(self, number: str, region: str, sms: bool) -> tuple[FreeNumber, bool]:
        """Let customers order a number; and whether that is new. ``region`` "": as its prefix says."""
        e164 = self.did_number(number)
        place = region or geography.region_of(e164)
        wanted = FreeNumber(e164, geography.country_of(e164), place, sms, self.clock_ms())
        with self.transaction() as conn:
            known = inventory.find(conn, e164)
            return inventory.add(conn, wanted), known is None

    def withdraw(self, number: str) -> tuple[str, bool]:
        """The number, and whether it was on offer."""
        e164 = self.did_number(number)
        with self.transaction() as conn:
            return e164, inventory.withdraw(conn, e164)

    def offers(self) -> list[FreeNumber]:
        """All that are on offer or asked for."""
        with self.engine.snapshot() as conn:
            return inventory.everything(conn, limit=inventory.MAX_LIMIT)

    def set_did(self, number: str, change: DidChange) -> tuple[Did, Did]:
        """The DID before and after the change. Each handler judges its own settings."""
        e164 = self.did_number(number)
        with self.transaction() as conn:
            before = numbers.find_did(conn, e164)
            after = numbers.set_did(conn, self.ids.next, e164, sms_enabled=change.sms)
            for name, wanted in change.handlers.items():
                after = self._set_handler(conn, after, name, wanted)
            return before or after, after

    def _set_handler(self, conn: Connection, did: Did, name: str, change: HandlerChange) -> Did:
        try:
            return changing.change(
                conn, self.ids.next, did, name, change.settings, change.enabled, self._rules
            )
        except SettingError as error:
            raise DeskError(f"{error.field}: {error.sentence}") from error

    def forget_replies(self, number: str, peer: str) -> tuple[str, str, bool]:
        """Both numbers as they are kept, and whether there were reply tokens of the two."""
        e164, other = self.did_number(number), self.peer_number(peer)
        with self.transaction() as conn:
            did = numbers.find_did(conn, e164)
            if did is None:
                raise NotFound(f"There is no DID {e164}.")
            return e164, other, mail.revoke_conversation(conn, did.account_id, e164, other, self.clock_ms())

    def paused(self) -> set[Endpoint]:
        """Endpoints that are asked no more."""
        with self.engine.snapshot() as conn:
            return {record.endpoint for record in endpoints.failing(conn) if record.paused_at is not None}

    def dids(
        self, account: str | None = None, after: str = "", limit: int | None = None
    ) -> list[tuple[Did, str]]:
        """Those of one account, or all, by number, each with its account's name; those after one, so many."""
        with self.engine.snapshot() as conn:
            owners = [_account(conn, account)] if account is not None else accounts.list_accounts(conn)
            names = {owner.id: owner.name for owner in owners}
            only = owners[0].id if account is not None else None
            return [(did, names[did.account_id]) for did in numbers.listed(conn, only, after, limit)]

    def peer_number(self, peer: str) -> str:
        """Who is at the other end, as the store has it: a number, a short code, or a name as it is."""
        with contextlib.suppress(Refused):
            return spelling.destination(peer, self._rules.region, "peer")
        return peer

    def did_number(self, number: str) -> str:
        """A DID's number in E.164 with "+". Raises Refused or DeskError."""
        e164 = spelling.destination(number, self._rules.region, "did")
        if not e164.startswith("+"):
            raise DeskError(f"{number} is a short code; a DID is a whole number such as +12025550100.")
        if not spelling.is_possible(e164):
            raise DeskError(f"{e164} has no country's code, or not the length of that country's numbers.")
        return e164


def _account(conn: Connection, name: str) -> Account:
    found = accounts.find_account(conn, name)
    if found is None:
        raise NotFound(f"There is no account {name}. Add it with: trunkline account add")
    return found
