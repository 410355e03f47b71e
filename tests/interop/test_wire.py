"""The check of what passed on the wire: it finds what is wrong, and passes what is right."""

import socket
from pathlib import Path

import pytest

from protocols.smpp.codec import pack
from protocols.smpp.pdu import SubmitSm
from tests.interop import wire
from tests.interop.wire import Recorder

pytestmark = pytest.mark.interop

GOOD = pack(SubmitSm(sequence_number=1, destination_addr="12025550150", short_message=b"hello"))


def complaints(octets: bytes, tmp_path: Path) -> list[str]:
    """What is said of octets that a client sent through a recorder."""
    wire.require_tshark()
    with socket.create_server(("127.0.0.1", 0)) as server:
        recorder = Recorder(server.getsockname()[1])
        with socket.create_connection(("127.0.0.1", recorder.port)) as client:
            accepted, _ = server.accept()
            with accepted:
                client.sendall(octets)
                client.shutdown(socket.SHUT_WR)
                assert b"".join(iter(lambda: accepted.recv(65_536), b"")) == octets
        recorder.close()
    assert recorder.save(tmp_path / "wire.pcap") >= 1
    return wire.complaints(tmp_path / "wire.pcap", recorder.port)


def test_what_is_right_passes(tmp_path: Path) -> None:
    assert complaints(GOOD * 3, tmp_path) == []


@pytest.mark.parametrize(
    "octets",
    [
        GOOD[:-6] + b"\xf0hello",  # sm_length beyond the PDU
        b"\0\0\0\x08oops",  # a length that no PDU has
        b"GET / HTTP/1.1\r\n\r\n",
        GOOD[:4] + b"\0\0\7\7" + GOOD[8:],  # a command that there is not
    ],
    ids=["sm_length", "short", "http", "command"],
)
def test_what_is_wrong_is_found(octets: bytes, tmp_path: Path) -> None:
    assert complaints(octets, tmp_path)
