"""The real server with its simulator, and people with accounts of their own, for tests in a browser."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from edge.web.pages.cookies import LOG_IN
from edge.web.pages.sessions import _id_of
from storage import accounts, contacts, messages, numbers, sessions
from storage.engines import Engine, open_engine
from storage.ids import IdSource
from storage.records import Account, Did, MessageRecord, PartRecord, PartState, Session, User
from storage.statements import execute, execute_all
from tests.server import Server, free_port

PASSWORD = "correct horse battery"
PHONE = "+12025550150"
OTHER_PHONE = "+12025550151"
PEOPLE = 99
HOUR_MS = 3_600_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Person:
    """Somebody with an account of his own and two DIDs."""

    account: Account
    user: User
    dids: tuple[Did, Did]

    @property
    def did(self) -> str:
        return self.dids[0].number


class Stage:
    """The server, its store, and the people who have not played yet."""

    def __init__(self, folder: Path, template: Path) -> None:
        store = folder / "store.db"
        shutil.copy(template, store)
        self.engine: Engine = open_engine(f"sqlite:///{store}")
        self.ids = IdSource(14, now_ms)
        self._people = self._invite()
        smpp = free_port()
        simulator: dict[str, object] = {
            "smpp_listen": f"127.0.0.1:{smpp}",
            "system_id": "trunk",
            "password": "secret",
            "receipt_delay_seconds": 0.5,
            "phones": [PHONE, OTHER_PHONE],
        }
        sip: dict[str, object] = {"domain": "sip.test", "udp": [f"127.0.0.1:{free_port()}"], "tcp": []}
        mail: dict[str, object] = {"domain": "sms.test", "reply_keys": f"1:{'0a' * 32}"}
        tables: dict[str, dict[str, object]] = {"simulator": simulator, "sip": sip, "mail": mail}
        self.server = Server(folder, f"sqlite:///{store}", smpp, tables=tables)
        self.server.start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.http_port}"

    def close(self) -> None:
        self.server.stop()
        self.engine.close()

    # -- people and what they have -----------------------------------------------------------------

    def _invite(self) -> Iterator[Person]:
        hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
        people = []
        with self.engine.transaction() as conn:
            for number in range(PEOPLE):
                account = accounts.add_account(conn, self.ids.next, f"account {number}", now_ms())
                user = accounts.add_user(conn, self.ids.next, account.id, f"user{number}", hashed, now_ms())
                dids = [
                    numbers.add_did(
                        conn, self.ids.next, account.id, f"+1202556{number:02d}{tail:02d}", now_ms()
                    )
                    for tail in range(2)
                ]
                people.append(Person(account, user, (dids[0], dids[1])))
        return iter(people)

    def person(self, **preferences: Any) -> Person:
        """Somebody nobody has played with."""
        found = next(self._people)
        if preferences:
            with self.writing() as conn:
                accounts.set_preferences(conn, found.account.id, found.user.id, **preferences)
        return found

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """A transaction beside the server's."""
        with self.engine.transaction() as conn:
            yield conn

    def cookie(self, person: Person, *, pending: bool = False) -> dict[str, str]:
        """A log-in of his; ``pending``: that still wants his second factor."""
        token = f"a-log-in-of-{person.user.login}-{self.ids.next()}"
        csrf, now = "csrf-token-of-this-log-in", now_ms()
        record = Session(_id_of(token), person.user.id, csrf, now, now + HOUR_MS, pending=pending)
        with self.writing() as conn:
            sessions.add_session(conn, record)
        return {"name": LOG_IN, "value": token, "url": self.base}

    def contact(self, person: Person, name: str, number: str) -> None:
        with self.writing() as conn:
            contacts.put(conn, self.ids.next, person.account.id, number, name, now_ms())

    def history(
        self, person: Person, count: int, peer: str = PHONE, text: str = "text {}", **more: Any
    ) -> list[int]:
        """Messages that are there already, the last one a minute ago; every second one was sent."""
        with self.writing() as conn:
            return [
                self.put(
                    conn,
                    person,
                    peer,
                    text.format(number),
                    **{
                        "direction": "mt" if number % 2 else "mo",
                        "created_at": now_ms() - 60_000 * (count - number),
                        **more,
                    },
                )
                for number in range(count)
            ]

    def put(self, conn: Any, person: Person, peer: str, text: str, **more: Any) -> int:
        """One message; its id."""
        record = MessageRecord(
            id=self.ids.next(),
            account_id=person.account.id,
            did_id=person.dids[0].id,
            direction="mo",
            leg="portal" if more.get("direction") == "mt" else "smpp",
            did=person.did,
            peer=peer,
            text=text,
            upstream="carrier",
            created_at=now_ms(),
            parts_total=1,
            encoding="GSM7",
        )._replace(**more)
        execute_all(conn, messages.insert(record))
        return record.id

    def put_part(self, conn: Any, message_id: int, state: PartState) -> None:
        """The one part of a message that was sent."""
        failed = state is PartState.FAILED
        record = PartRecord(self.ids.next(), message_id, "carrier", 1, 1, 0, 0, b"text", None, state)
        record = record._replace(attempts=1, sent_at=now_ms(), final_at=now_ms())
        if failed:
            record = record._replace(command_status=0x0B)
        execute(conn, messages.INSERT_PART, [record])

    # -- phones --------------------------------------------------------------------------------------

    def text(self, did: str, text: str, phone: str = PHONE) -> None:
        """The simulated phone writes to a DID."""
        status, said = self.server.call(
            "POST", "/simulator/messages", {"phone": phone, "did": did, "text": text}
        )
        assert status in (200, 202), said

    def texts_of(self, phone: str = PHONE) -> list[str]:
        """What the phone got."""
        found = self.server.call("GET", "/simulator/phones")[1]
        (mine,) = [item for item in found if item["number"] == phone]
        return [message["text"] for message in mine["messages"]]


__all__ = ["OTHER_PHONE", "PASSWORD", "PHONE", "Person", "Stage", "now_ms"]
