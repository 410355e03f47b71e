"""What passed between two programs, octet for octet, and what tshark says about it.

A `Recorder` stands between an ESME and an SMSC as a TCP proxy and writes down what it passes on. That needs
no right to capture, and shows what a capture on the loopback interface would: `save` writes the octets as the
TCP segments of a pcap file.
"""

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from struct import Struct

from tests.interop.needs import need

PCAP_HEADER = Struct("<IHHiIII")
PCAP_RECORD = Struct("<IIII")
IPV4 = Struct(">BBHHHBBH4s4s")
TCP = Struct(">HHIIBBHHH")
RAW_IP = 101  # the link type of packets that begin with their IP header
LOOPBACK = "127.0.0.1"
ADDRESS = socket.inet_aton(LOOPBACK)
PSH_ACK = 0x18
SEGMENT = 32_768
MALFORMED = "_ws.malformed || _ws.expert.severity >= 0x600000"  # an expert warning or worse
NOT_SMPP = "tcp.len > 0 && !smpp"  # a bad length or an unknown command falls back to plain TCP


def require_tshark() -> None:
    """Skip the test, loudly, where there is no tshark; with CI=true that is a failure."""
    need(None if shutil.which("tshark") else "tshark is not installed")


class Recorder:
    """I listen on ``port`` and connect each client to ``target``; an end of either is passed on as well."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._record: list[tuple[float, int, bool, bytes]] = []  # time, client's port, to the target?, octets
        self._sockets: list[socket.socket] = []
        self._passing: list[threading.Thread] = []
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def drain(self, seconds: float = 5.0) -> None:
        """Wait until both sides of every connection have ended and all that they sent is written down."""
        deadline = time.monotonic() + seconds
        for passing in list(self._passing):
            passing.join(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Stop listening, and end what is connected."""
        self._listening.close()
        for opened in self._sockets:
            _end(opened)

    def save(self, path: Path) -> int:
        """Write everything as a pcap file; the number of segments."""
        with self._lock:
            record = list(self._record)
        passed: dict[tuple[int, bool], int] = {}
        count = 0
        with path.open("wb") as file:
            file.write(PCAP_HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF, RAW_IP))
            for at, client, outward, octets in record:
                for start in range(0, len(octets), SEGMENT):
                    piece = octets[start : start + SEGMENT]
                    ours, theirs = passed.get((client, outward), 1), passed.get((client, not outward), 1)
                    packet = _packet(client, self.port, outward, ours, theirs, piece)
                    file.write(
                        PCAP_RECORD.pack(int(at), int(at % 1 * 1e6), len(packet), len(packet)) + packet
                    )
                    passed[client, outward] = ours + len(piece)
                    count += 1
        return count

    def _accept(self) -> None:
        while True:
            try:
                client, (_, port) = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((LOOPBACK, self._target))
            except OSError:
                client.close()
                continue
            self._sockets += (client, server)
            for source, sink, outward in ((client, server, True), (server, client, False)):
                passing = threading.Thread(target=self._pass, args=(source, sink, port, outward), daemon=True)
                passing.start()
                self._passing.append(passing)

    def _pass(self, source: socket.socket, sink: socket.socket, port: int, outward: bool) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(65_536):
                with self._lock:
                    self._record.append((time.time(), port, outward, octets))
                sink.sendall(octets)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)  # the other direction may have more to say


def complaints(pcap: Path, port: int) -> list[str]:
    """What tshark finds wrong in a capture of SMPP on ``port``: one line a packet, with the reason."""
    found = []
    for wanted in (MALFORMED, NOT_SMPP):
        command = ["tshark", "-r", str(pcap), "-d", f"tcp.port=={port},smpp", "-Y", wanted]
        command += ["-T", "fields", "-e", "frame.number", "-e", "_ws.col.Info", "-e", "_ws.expert.message"]
        finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        found += finished.stdout.splitlines()
    return found


def commands(pcap: Path, port: int) -> set[int]:
    """The command_ids that tshark reads in a capture: that it read it at all."""
    command = ["tshark", "-r", str(pcap), "-d", f"tcp.port=={port},smpp"]
    command += ["-T", "fields", "-e", "smpp.command_id"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return {int(number, 16) for number in finished.stdout.replace(",", " ").split()}


def _packet(client: int, server: int, outward: bool, sequence: int, acknowledged: int, data: bytes) -> bytes:
    source, destination = (client, server) if outward else (server, client)
    tcp = TCP.pack(source, destination, sequence, acknowledged, 0x50, PSH_ACK, 0xFFFF, 0, 0)
    length = IPV4.size + len(tcp) + len(data)
    return IPV4.pack(0x45, 0, length, 0, 0x4000, 64, 6, 0, ADDRESS, ADDRESS) + tcp + data


def _end(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)
    opened.close()
