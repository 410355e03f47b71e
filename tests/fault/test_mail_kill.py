"""kill -9 while a reply comes in: before its commit, between the commit and the 250, and after the 250.

The sender's server tries again until it has its 250. Whatever happened, the reply is sent once; a part that
the carrier may have got twice is flagged.
"""

import re
import smtplib
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from storage.engines import open_engine
from storage.records import PartFlag
from storage.tables import mail_seen, message, part
from tests.bench.peer import Peer
from tests.interop.mail_peers import DOMAIN, OWNER, MailServer
from tests.server import free_port, until

pytestmark = pytest.mark.fault

NEW = f"2025550150@{DOMAIN}"


class Carrier:
    """An SMSC that lives through the server's deaths and counts the texts."""

    def __init__(self, port: int) -> None:
        self.texts: Counter[str] = Counter()
        self._over = threading.Event()
        self._peer = Peer(seconds=300)
        self._peer.on_submit = self._submitted
        self._peer.listen(port, self._peer.smpp)
        self._thread = threading.Thread(target=self._peer.run, args=(self._over.is_set,), daemon=True)
        self._thread.start()

    def _submitted(self, body: bytes) -> None:
        found = re.search(rb"reply-[a-z]+", body)
        assert found is not None
        self.texts[found[0].decode()] += 1

    def stop(self) -> None:
        self._over.set()
        self._thread.join(10)
        self._peer.__exit__()


@pytest.fixture
def carrier() -> Iterator[tuple[Carrier, int]]:
    port = free_port()
    running = Carrier(port)
    yield running, port
    running.stop()


def mail_of(text: str) -> str:
    return f"From: {OWNER}\r\nTo: {NEW}\r\nMessage-ID: <{text}@example.org>\r\n\r\n{text}\r\n"


def begin(port: int, text: str) -> socket.socket:
    """A session up to the final dot; the answer to that is not read."""
    sock = socket.create_connection(("127.0.0.1", port), 30)
    file = sock.makefile("rb")
    sock.sendall(f"EHLO me\r\nMAIL FROM:<{OWNER}>\r\nRCPT TO:<{NEW}>\r\nDATA\r\n".encode())
    while not file.readline().startswith(b"354 "):
        pass
    sock.sendall(f"{mail_of(text)}.\r\n".encode())
    return sock


def sends(port: int, text: str) -> bool:
    """As a server that tries again: did it get its 250?"""
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
            client.sendmail(OWNER, [NEW], mail_of(text))
    except (OSError, smtplib.SMTPException):
        return False
    return True


def seen(url: str) -> int:
    engine = open_engine(url)
    try:
        with engine.snapshot() as conn:
            return len(conn.execute(select(mail_seen.c.key)).all())
    finally:
        engine.close()


def more_seen(url: str, known: int) -> bool:
    return seen(url) > known


def stored(url: str) -> tuple[Counter[str], set[str]]:
    """How often each text was stored, and which have a part that is flagged as a possible duplicate."""
    engine = open_engine(url)
    with engine.snapshot() as conn:
        texts = conn.scalars(select(message.c.text).where(message.c.direction == "mt")).all()
        query = select(message.c.text).join(part, part.c.message_id == message.c.id)
        flagged = conn.scalars(query.where(part.c.flags == int(PartFlag.POSSIBLE_DUPLICATE))).all()
    engine.close()
    return Counter(texts), set(flagged)


def test_a_reply_is_sent_once_whenever_the_server_dies(
    store_url: str, tmp_path: Path, carrier: tuple[Carrier, int]
) -> None:
    smsc, port = carrier
    server = MailServer(tmp_path, store_url, smsc=port, per_minute=100, per_hour=100)
    wanted = []
    with server:
        for moment in ("before", "between", "after"):
            text = f"reply-{moment}"
            wanted.append(text)
            server.start()
            known = seen(store_url)
            if moment == "after":
                assert sends(server.smtp_port, text)
            else:
                sock = begin(server.smtp_port, text)
                if moment == "between":
                    until(partial(more_seen, store_url, known), "the commit")
                server.kill()
                sock.close()
                server.start()
                until(partial(sends, server.smtp_port, text), "the sender has its 250")
            server.kill()
        server.start()
        for text in wanted:
            assert sends(server.smtp_port, text), "once more, after everything"
        until(lambda: set(smsc.texts) == set(wanted), "the carrier has every text")
        assert server.stop() == 0
    times, flagged = stored(store_url)
    assert times == Counter(wanted), "each text is one message"
    assert {text for text, count in smsc.texts.items() if count > 1} <= flagged
