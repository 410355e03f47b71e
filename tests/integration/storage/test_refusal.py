"""Who is not let in by PostgreSQL is told so by SQLSTATE, whatever language the server speaks."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import make_url

from storage.engines import open_engine
from storage.errors import StoreUnavailable
from tests import postgresql

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


def error_response(code: str, sentence: str) -> bytes:
    fields = {"S": "SCHWERWIEGEND", "V": "FATAL", "C": code, "M": sentence, "F": "x.c", "L": "1", "R": "y"}
    body = "".join(f"{key}{value}\0" for key, value in fields.items()).encode() + b"\0"
    return b"E" + (len(body) + 4).to_bytes(4) + body


@contextmanager
def server_that_says(answer: bytes) -> Iterator[int]:
    """A PostgreSQL that answers every start-up like this; empty: it hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            with peer, peer.makefile("rwb") as file:
                start = file.read(8)
                if start == SSL_REQUEST:
                    file.write(b"N")
                    file.flush()
                    start = file.read(8)
                if len(start) == 8:
                    file.read(int.from_bytes(start[:4]) - 8)
                    file.write(answer)
                    file.flush()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def may_return(url: str) -> bool:
    engine = open_engine(url)
    try:
        with pytest.raises(StoreUnavailable) as caught:
            engine.check_durable()
        return engine.may_return(caught.value)
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("code", "sentence", "returns"),
    [
        ("28P01", "Passwort-Authentifizierung für Benutzer »trunkline« fehlgeschlagen", False),
        ("28000", "Rolle »trunkline« existiert nicht", False),
        ("3D000", "Datenbank »trunkline« existiert nicht", False),
        ("42501", "keine Berechtigung für Datenbank »trunkline«", False),
        ("57P03", "das Datenbanksystem startet", True),
        ("53300", "tut mir leid, schon zu viele Verbindungen: does not exist", True),
        ("57P03", 'authentication failed C "28P01" ', True),
    ],
)
def test_a_server_that_speaks_german(code: str, sentence: str, returns: bool) -> None:
    with server_that_says(error_response(code, sentence)) as port:
        for host in ("127.0.0.1", "localhost"):
            assert may_return(f"postgresql://trunkline@{host}:{port}/trunkline") is returns


def test_a_server_that_is_away_may_return() -> None:
    with server_that_says(b"") as port:
        assert may_return(f"postgresql://trunkline@127.0.0.1:{port}/trunkline"), "it hangs up"
    assert may_return(f"postgresql://trunkline@127.0.0.1:{port}/trunkline"), "nobody listens"
    assert may_return(f"postgresql://trunkline@nowhere.invalid:{port}/trunkline"), "the DNS may be away too"


def test_a_server_that_wants_a_password_that_nobody_gave() -> None:
    cleartext = b"R\x00\x00\x00\x08\x00\x00\x00\x03"
    with server_that_says(cleartext) as port:
        assert not may_return(f"postgresql://trunkline@127.0.0.1:{port}/trunkline")


def test_what_a_real_server_refuses() -> None:
    with postgresql.database() as url:
        there = make_url(url)
        for wrong in (there.set(database="nowhere"), there.set(username="nobody_here")):
            assert not may_return(wrong.render_as_string())
