"""kill -9 in the middle: what was acknowledged is there, and what is there twice says so."""

import functools
import json
import re
import threading
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from storage.engines import open_engine
from storage.records import PartFlag
from storage.tables import message, part
from tests.bench.peer import MoPump, Peer
from tests.provision import KEY, provision
from tests.server import Server, free_port

pytestmark = pytest.mark.fault

DID = "+12025550100"
N = 2_000
WINDOW = 100
TOKEN = re.compile(rb"(\d{8}) ")


def test_mo_under_kill(store_url: str, tmp_path: Path) -> None:
    """2,000 MO; the server dies twice; the SMSC sends again what was not answered."""
    provision(store_url, [DID])
    smsc = free_port()
    with Peer(seconds=120) as peer, Server(tmp_path, store_url, smsc) as server:
        peer.listen(smsc, peer.smpp)
        server.start(ready=False)
        assert peer.run(lambda: peer.smsc is not None), server.log.read_text()
        pump = MoPump(peer, WINDOW, DID[1:].encode())
        pump.pump(N)
        for progress in (N // 3, 2 * N // 3):
            assert peer.run(functools.partial(_answered, pump, progress))
            server.kill()
            server.start(ready=False)
        assert peer.run(lambda: pump.answered == N), server.log.read_text()[-2000:]
    engine = open_engine(store_url)
    with engine.snapshot() as conn:
        rows = conn.execute(
            select(message.c.text, message.c.duplicate_of).where(message.c.direction == "mo")
        ).all()
    engine.close()
    first = Counter(int(row.text[:8]) for row in rows if row.duplicate_of is None)
    assert pump.acknowledged == set(range(1, N + 1))
    assert set(first) == pump.acknowledged
    assert max(first.values()) == 1
    assert len(rows) - len(first) <= 2 * WINDOW


class Senders:
    """Threads that post until each text was accepted or its answer was lost."""

    def __init__(self, server: Server, n: int, threads: int) -> None:
        self.accepted: dict[int, int] = {}
        self._server = server
        self._numbers = iter(range(1, n + 1))
        self._lock = threading.Lock()
        self._back_off = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def finished(self) -> bool:
        """Nobody posts any more."""
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            while not self._post(number):
                self._back_off.wait(0.05)

    def _post(self, number: int) -> bool:
        """False when nobody listened, so nothing can have been accepted."""
        body = {"from": DID, "to": f"+4479{number:08d}", "text": f"{number:08d} is here"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._server.http_port}/v1/messages",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                assert response.status == 202
                self.accepted[number] = json.load(response)["id"]
        except urllib.error.HTTPError as error:
            return error.code != 503
        except urllib.error.URLError as error:
            return not isinstance(error.reason, ConnectionRefusedError)
        except OSError:
            pass  # the answer is lost: it may or may not have been accepted
        return True


def test_mt_under_kill(store_url: str, tmp_path: Path) -> None:
    """2,000 MT by the API; the server dies half way; each accepted one is sent, twice only if flagged."""
    provision(store_url, [DID])
    smsc = free_port()
    sent: Counter[int] = Counter()

    def submitted(body: bytes) -> None:
        found = TOKEN.search(body)
        assert found is not None
        sent[int(found[1])] += 1

    with Peer(seconds=120) as peer, Server(tmp_path, store_url, smsc, window=WINDOW) as server:
        peer.listen(smsc, peer.smpp)
        peer.on_submit = submitted
        server.start(ready=False)
        assert peer.run(lambda: peer.smsc is not None and server.is_ready()), server.log.read_text()
        senders = Senders(server, N, threads=16)
        assert peer.run(lambda: len(senders.accepted) >= N // 3)
        server.kill()
        server.start(ready=False)
        arrived = peer.run(lambda: senders.finished and set(senders.accepted) <= set(sent))
        assert arrived, server.log.read_text()[-2000:]
        flagged = _flagged(store_url)
    twice = {number for number, times in sent.items() if times > 1}
    assert len(senders.accepted) > N // 2
    assert twice <= flagged
    assert len(twice) <= WINDOW


def _answered(pump: MoPump, progress: int) -> bool:
    return pump.answered >= progress


def _flagged(store_url: str) -> set[int]:
    engine = open_engine(store_url)
    with engine.snapshot() as conn:
        query = select(message.c.text).join(part, part.c.message_id == message.c.id)
        rows = conn.execute(query.where(part.c.flags == int(PartFlag.POSSIBLE_DUPLICATE))).all()
    engine.close()
    return {int(row.text[:8]) for row in rows}
