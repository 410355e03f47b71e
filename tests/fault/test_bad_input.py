"""An SMSC that sends rubbish.

Each PDU is answered as SMPP 3.4 says, or the link is closed with a reason in the log; and the server binds
again, loses nothing and grows by nothing.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.peer import deliver_sm
from tests.provision import provision
from tests.server import Server, until

pytestmark = pytest.mark.fault

DID = "+12025550100"
HEADER = struct.Struct(">IIII")
GENERIC_NACK, BIND_TRANSCEIVER, DELIVER_SM, DELIVER_SM_RESP, ENQUIRE_LINK = (
    0x80000000,
    0x09,
    0x05,
    0x80000005,
    0x15,
)
ROK, RINVMSGLEN, RINVCMDLEN, RINVCMDID, RSYSERR = 0, 0x01, 0x02, 0x03, 0x08


class RawSMSC:
    """A listening socket and the one link that is bound on it."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(20)
        self.port: int = self._server.getsockname()[1]
        self._link: socket.socket | None = None

    def accept_bind(self) -> None:
        """Take the next connection and bind it."""
        self.drop()
        self._link = self._server.accept()[0]
        self._link.settimeout(20)
        _, command, _, sequence, _ = self.read()
        assert command == BIND_TRANSCEIVER
        self.send(HEADER.pack(21, BIND_TRANSCEIVER | 0x80000000, 0, sequence) + b"smsc\0")

    def send(self, octets: bytes) -> None:
        """Whatever it is."""
        assert self._link is not None
        self._link.sendall(octets)

    def read(self) -> tuple[int, int, int, int, bytes]:
        """The next PDU: length, command_id, command_status, sequence_number, body."""
        head = self._exactly(16)
        length, command, status, sequence = HEADER.unpack(head)
        return length, command, status, sequence, self._exactly(length - 16)

    def closed(self) -> bool:
        """Wait for the end of the link."""
        assert self._link is not None
        try:
            return self._link.recv(1) == b""
        except ConnectionResetError:
            return True

    def drop(self) -> None:
        """Close the link, if there is one."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def close(self) -> None:
        """Everything."""
        self.drop()
        self._server.close()

    def _exactly(self, count: int) -> bytes:
        assert self._link is not None
        data = b""
        while len(data) < count:
            piece = self._link.recv(count - len(data))
            if not piece:
                raise EOFError(f"the link ended after {len(data)} of {count} octets")
            data += piece
        return data


@contextmanager
def bound(url: str, folder: Path) -> Iterator[tuple[RawSMSC, Server]]:
    provision(url, [DID])
    smsc = RawSMSC()
    with Server(folder, url, smsc.port) as server:
        try:
            server.start(ready=False)
            smsc.accept_bind()
            yield smsc, server
        finally:
            smsc.close()


def resident_kib(server: Server) -> int:
    for line in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def alive(smsc: RawSMSC, sequence: int) -> None:
    """A good MO is still taken on this very link."""
    smsc.send(deliver_sm(sequence, sequence, DID[1:].encode()))
    _, command, status, answered, _ = smsc.read()
    assert (command, status, answered) == (DELIVER_SM_RESP, ROK, sequence)


def test_a_bad_body_is_answered_and_the_bind_lives(sqlite_url: str, tmp_path: Path) -> None:
    good = deliver_sm(1, 1, DID[1:].encode())
    body = good[16:]
    endless = b"\0\1\1" + b"4" * 60 + body[12:]
    at = body.index(b"00000001 ") - 1
    longer = body[:at] + bytes([200]) + body[at + 1 :]
    cases = [b"", body[:10], body[:-20], endless, longer, body + b"\x02\x04\x00\xff12"]
    with bound(sqlite_url, tmp_path) as (smsc, server):
        for number, bad in enumerate(cases, 10):
            smsc.send(HEADER.pack(16 + len(bad), DELIVER_SM, 0, number) + bad)
            _, command, status, sequence, _ = smsc.read()
            assert command in (DELIVER_SM_RESP, GENERIC_NACK), number
            assert status != ROK, number
            assert sequence == number
        alive(smsc, 99)
        log = server.log.read_text()
        assert log.count('"pdu_refused"') == len(cases)


def test_an_unknown_command_is_nacked_and_the_bind_lives(sqlite_url: str, tmp_path: Path) -> None:
    with bound(sqlite_url, tmp_path) as (smsc, _):
        for number, command_id in enumerate((0x0000FFFF, 0x00010200, 0x7FFFFFFF), 5):
            smsc.send(HEADER.pack(20, command_id, 0, number) + b"\1\2\3\4")
            assert smsc.read()[1:4] == (GENERIC_NACK, RINVCMDID, number)
        smsc.send(HEADER.pack(16, ENQUIRE_LINK, 0, 8))
        assert smsc.read()[1:4] == (ENQUIRE_LINK | 0x80000000, ROK, 8)
        alive(smsc, 9)


@pytest.mark.parametrize("length", [0, 15, 70_001, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_impossible_length_is_nacked_and_the_link_closed_and_bound_again(
    sqlite_url: str, tmp_path: Path, length: int
) -> None:
    with bound(sqlite_url, tmp_path) as (smsc, server):
        smsc.send(HEADER.pack(length, DELIVER_SM, 0, 7) + b"\0" * 100)
        _, command, status, _, _ = smsc.read()
        assert (command, status) == (GENERIC_NACK, RINVCMDLEN)
        assert smsc.closed()
        smsc.accept_bind()
        alive(smsc, 1)
        assert '"bind_down"' in server.log.read_text()
        assert "command_length" in server.log.read_text()


def test_a_pdu_that_never_ends_and_a_link_cut_in_the_middle(sqlite_url: str, tmp_path: Path) -> None:
    with bound(sqlite_url, tmp_path) as (smsc, _):
        for cut in (1, 15, 16, 40):
            smsc.send(deliver_sm(1, 1, DID[1:].encode())[:cut])
            smsc.accept_bind()
        alive(smsc, 2)


def test_memory_stays_flat_under_rubbish(sqlite_url: str, tmp_path: Path) -> None:
    bad = b"".join(HEADER.pack(16 + 64, DELIVER_SM, 0, number) + b"\xff" * 64 for number in range(1, 501))
    with bound(sqlite_url, tmp_path) as (smsc, server):

        def flood() -> None:
            smsc.send(bad)
            for _ in range(500):
                smsc.read()

        for _ in range(120):  # until the garbage collector has had its first round
            flood()
        before = resident_kib(server)
        for _ in range(80):
            flood()
        assert resident_kib(server) - before < 4096
        alive(smsc, 1)
        assert until(server.is_ready, "ready")
