"""The API under kill -9: an Idempotency-Key sends once; a reader of events that comes back misses none."""

import contextlib
import http.client
import json
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from storage.engines import open_engine
from storage.tables import idempotency, message
from tests.bench.peer import Peer
from tests.provision import KEY, provision
from tests.server import Server, free_port, until

pytestmark = pytest.mark.fault

DID = "+12025550100"
N = 400
THREADS = 8


def post(server: Server, key: str, body: object, path: str = "/v1/messages") -> tuple[int, dict[str, Any]]:
    """One request; status 0 when the answer was lost."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http_port}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}", "Idempotency-Key": key},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except (OSError, http.client.HTTPException):
        return 0, {}


def draft(number: int) -> dict[str, str]:
    return {"from": DID, "to": f"+4479{number:08d}", "text": f"{number:08d} is here"}


class Senders:
    """Threads that post each draft under a key of its own, again and again until it is accepted."""

    def __init__(self, server: Server, numbers: Iterator[int]) -> None:
        self.accepted: dict[int, int] = {}
        self.tries: Counter[int] = Counter()
        self._server = server
        self._numbers = numbers
        self._lock = threading.Lock()
        self._pause = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    @property
    def finished(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def have_sent(self, count: int) -> bool:
        """Were so many accepted?"""
        return len(self.accepted) >= count

    def _work(self) -> None:
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            while number not in self.accepted:
                self.tries[number] += 1
                status, answer = post(self._server, f"key-{number}", draft(number))
                if status == 202:
                    self.accepted[number] = answer["id"]
                else:
                    assert status in (0, 503), answer
                    self._pause.wait(0.05)


def test_an_idempotency_key_sends_once_whatever_dies(store_url: str, tmp_path: Path) -> None:
    """The server dies twice; each request is sent until it is answered; each is one message."""
    provision(store_url, [DID])
    smsc = free_port()
    with Peer(seconds=120) as peer, Server(tmp_path, store_url, smsc) as server:
        peer.listen(smsc, peer.smpp)
        server.start(ready=False)
        assert peer.run(lambda: peer.smsc is not None), server.log.read_text()
        senders = Senders(server, iter(range(1, N + 1)))
        for progress in (N // 3, 2 * N // 3):
            assert peer.run(partial(senders.have_sent, progress))
            server.kill()
            server.start(ready=False)
        assert peer.run(lambda: senders.finished), server.log.read_text()[-2000:]
        assert peer.run(server.is_ready)
        for number in range(1, N + 1, 7):
            assert post(server, f"key-{number}", draft(number)) == (202, answer_of(server, senders, number))
        status, problem = post(server, "key-1", draft(2))
        assert (status, problem["code"]) == (422, "idempotency_key_reused")
    engine = open_engine(store_url)
    with engine.snapshot() as conn:
        texts = Counter(conn.scalars(select(message.c.text)))
        kept = len(conn.execute(select(idempotency.c.key)).all())
        ids = {row.text: row.id for row in conn.execute(select(message.c.text, message.c.id))}
    engine.close()
    assert texts == Counter({f"{number:08d} is here": 1 for number in range(1, N + 1)})
    assert {number: ids[f"{number:08d} is here"] for number in senders.accepted} == senders.accepted
    assert kept == N


def answer_of(server: Server, senders: Senders, number: int) -> dict[str, Any]:
    """What the first answer must have been."""
    view = server.call("GET", f"/v1/messages/{senders.accepted[number]}", key=KEY)[1]
    names = ("id", "from", "to", "encoding", "created_at")
    return {**{name: view[name] for name in names}, "status": "queued", "parts": view["parts_total"]}


def test_fifty_equal_requests_at_once_are_one_message(store_url: str, tmp_path: Path) -> None:
    provision(store_url, [DID])
    with Server(tmp_path, store_url, free_port()) as server:
        server.start(ready=False)
        until(lambda: post(server, "warm", draft(9))[0] == 202, "the server takes messages")
        answers: list[tuple[int, dict[str, Any]]] = []
        barrier = threading.Barrier(50)

        def send() -> None:
            barrier.wait(30)
            answers.append(post(server, "one", draft(1)))

        threads = [threading.Thread(target=send) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [status for status, _ in answers] == [202] * 50
        assert len({answer["id"] for _, answer in answers}) == 1
        batch = {"messages": [draft(2), draft(3)]}
        answers.clear()
        threads = [
            threading.Thread(target=lambda: answers.append(post(server, "two", batch, "/v1/messages/batch")))
            for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert all(answer == answers[0] for answer in answers)
        assert answers[0][1]["accepted"] == 2
        listed = server.call("GET", "/v1/messages?limit=1000", key=KEY)[1]["messages"]
        assert Counter(item["text"] for item in listed) == Counter(draft(n)["text"] for n in (9, 1, 2, 3))


class Reader:
    """Follows the events in a thread; comes back with the last id that it saw."""

    def __init__(self, server: Server) -> None:
        self.queued: list[int] = []
        self.gaps = 0
        self.connections = 0
        self.stop = threading.Event()
        self._server = server
        self._last = ""
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while not self.stop.wait(0.02):
            try:
                self._listen()
            except (OSError, http.client.HTTPException):
                continue

    def _listen(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.http_port, timeout=20)
        headers = {"Authorization": f"Bearer {KEY}"}
        if self._last:
            headers["Last-Event-ID"] = self._last
        with contextlib.closing(connection):
            connection.request("GET", "/v1/events?types=message.queued", headers=headers)
            with connection.getresponse() as response:
                if response.status == 200:
                    self._read(response)

    def _read(self, response: http.client.HTTPResponse) -> None:
        self.connections += 1
        kind, data = "", ""
        while line := response.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                self._last = value
            elif name == "event":
                kind = value
            elif name == "data":
                data = value
            elif not name and data:
                self._take(kind, json.loads(data))
                kind, data = "", ""

    def _take(self, kind: str, event: dict[str, Any]) -> None:
        self.gaps += kind == "gap"
        if kind == "message.queued":
            self.queued.append(event["message"]["id"])


def test_a_reader_of_events_that_comes_back_misses_nothing(store_url: str, tmp_path: Path) -> None:
    """The server dies twice under it; every message's event comes, once and in the order of the commits."""
    provision(store_url, [DID])
    smsc = free_port()
    with Peer(seconds=120) as peer, Server(tmp_path, store_url, smsc) as server:
        peer.listen(smsc, peer.smpp)
        server.start(ready=False)
        assert peer.run(lambda: peer.smsc is not None), server.log.read_text()
        reader = Reader(server)
        assert peer.run(lambda: reader.connections == 1)
        senders = Senders(server, iter(range(1, N + 1)))
        for progress in (N // 3, 2 * N // 3):
            assert peer.run(partial(senders.have_sent, progress))
            server.kill()
            server.start(ready=False)
        assert peer.run(lambda: senders.finished), server.log.read_text()[-2000:]
        assert peer.run(lambda: len(reader.queued) >= N), (len(reader.queued), server.log.read_text()[-2000:])
        reader.stop.set()
    assert sorted(reader.queued) == sorted(senders.accepted.values())
    assert reader.gaps == 0
    assert reader.connections >= 3
