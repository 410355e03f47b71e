"""SIP under load, the whole server under sipp: texts with their challenge, overload, and many registrations.

The server is pinned to one core, sipp and the SMSC to the other. A text counts when it was answered 202 after
the commit; "again" are sipp's retransmissions. The capacity is the highest rate without one, found by steps;
twice of it is offered then, and the good answers are compared with the best. CPU is user and system time of
the server for a thousand texts, so it holds on a busy machine too; rates do not.

python -m tests.bench.bench_sip_load [RATE…]
"""

import csv
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocols.sip import digest
from protocols.sip.digest import Algorithm
from storage import accounts, sip_accounts
from storage.engines import open_engine
from storage.ids import IdSource
from storage.sip_accounts import SipAccount
from tests.interop.node_smsc import NodeSMSC
from tests.interop.sip_phones import DOMAIN, HERE, PASSWORD, SipServer
from tests.provision import provision

RATES = (250, 500, 1_000, 1_500, 2_000, 2_500, 3_000)
SECONDS = 6
PHONES = 10_000
EXPIRES = 300
DID = "+12025550100"
REFRESH_SECONDS = 30.0
"""How long registrations are refreshed at the rate that they would be for ever."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of sipp: texts a second that were good, calls that failed, retransmissions, CPU of a thousand
    in milliseconds."""

    good: float
    failed: int
    again: int
    cpu_ms: float


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def running(folder: Path, smsc: NodeSMSC) -> Iterator[SipServer]:
    """A server with one phone account, on the first core; everybody else is on the others."""
    url = f"sqlite:///{folder / 'store.db'}"
    provision(url, [DID])
    limits: dict[str, Any] = {"account_messages_per_second": 100_000, "trusted": '["127.0.0.0/8"]'}
    server = SipServer(folder, url, smsc.port, **limits)
    with server:
        server.add_phone(DID)
        server.start()
        for task in Path(f"/proc/{server.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {0})
        yield server


def load(server: SipServer, rate: int, folder: Path) -> Figures:
    """One run of sipp."""
    statistics = folder / f"{rate}-{time.monotonic_ns()}.csv"
    command = ["sipp", f"127.0.0.1:{server.ports['udp']}", "-sf", str(HERE / "sipp" / "message.xml")]
    command += ["-i", "127.0.0.1", "-t", "u1", "-nostdin", "-r", str(rate), "-m", str(rate * SECONDS)]
    command += ["-l", "50000", "-timeout", "40s", "-trace_stat", "-stf", str(statistics)]
    before, began = cpu_seconds(server.pid), time.monotonic()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    took, cpu = time.monotonic() - began, cpu_seconds(server.pid) - before
    with statistics.open() as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    good = int(last["SuccessfulCall(C)"])
    return Figures(
        good / took, int(last["FailedCall(C)"]), int(last["Retransmissions(C)"]), cpu / max(good, 1) * 1e6
    )


def texts(folder: Path, smsc: NodeSMSC, rates: list[int]) -> None:
    """The table of rates; after the first that is too much, twice the best of those before."""
    sys.stdout.write(f"{'offered/s':>12}{'202/s':>10}{'failed':>10}{'again':>10}{'CPU ms/1000':>14}\n")
    with running(folder, smsc) as server:
        best, capacity = 0.0, rates[0]
        for rate in rates:
            found = load(server, rate, folder)
            _say(f"{rate:>12}", found)
            best = max(best, found.good)
            if found.again or found.failed:
                break
            capacity = rate
        found = load(server, 2 * capacity, folder)
        _say(f"{f'2 x {capacity}':>12}", found)
        sys.stdout.write(f"goodput at twice the capacity: {found.good / best:.0%} of the best\n")


def _say(name: str, found: Figures) -> None:
    cells = f"{found.good:>10.0f}{found.failed:>10}{found.again:>10}{found.cpu_ms:>14.0f}"
    sys.stdout.write(f"{name}{cells}\n")
    sys.stdout.flush()


# -- registrations ------------------------------------------------------------------------------------------


def add_phones(url: str, count: int) -> None:
    """So many accounts of one customer."""
    engine = open_engine(url)
    ids = IdSource(15, lambda: time.time_ns() // 1_000_000)
    try:
        with engine.transaction() as connection:
            owner = accounts.find_account(connection, "test")
            assert owner is not None
            for number in range(count):
                name = f"phone{number}"
                ha1 = Algorithm.MD5.ha1(name, DOMAIN, PASSWORD)
                wanted = SipAccount(0, owner.id, name, DOMAIN, ha1, ha1, "md5", (DID,), 0)
                sip_accounts.add_sip_account(connection, ids.next, wanted)
    finally:
        engine.close()


class Phones:
    """Phones that register by UDP, one after the other, from one address, each with its own contact."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(2.0)
        self._count = 0
        self.again = 0

    def register(self, number: int) -> None:
        """Register, or refresh: a challenge, an answer to it, 200."""
        answer = self._ask(number, "")
        header = answer.partition("WWW-Authenticate: ")[2].partition("\r\n")[0]
        uri = f"sip:{DOMAIN}"
        value = digest.answer(
            digest.parse_challenge(header), f"phone{number}", PASSWORD, "REGISTER", uri, "cnonce"
        )
        answer = self._ask(number, f"Authorization: {value}\r\n")
        if not answer.startswith("SIP/2.0 200"):
            raise AssertionError(answer)

    def _ask(self, number: int, more: str) -> str:
        self._count += 1
        host, port = self._socket.getsockname()
        user = f"sip:phone{number}@{DOMAIN}"
        branch = hashlib.sha256(f"{number} {self._count}".encode()).hexdigest()[:16]
        request = (
            f"REGISTER sip:{DOMAIN} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{branch};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <{user}>;tag={branch}\r\nTo: <{user}>\r\nCall-ID: {number}@bench\r\n"
            f"CSeq: {self._count} REGISTER\r\nContact: <sip:phone{number}@{host}:{port};line={number}>\r\n"
            f"Expires: {EXPIRES}\r\nUser-Agent: bench\r\n{more}Content-Length: 0\r\n\r\n"
        ).encode()
        while True:
            self._socket.send(request)
            try:
                return self._socket.recv(65_536).decode()
            except TimeoutError:
                self.again += 1

    def close(self) -> None:
        """Send no more."""
        self._socket.close()


def registrations(folder: Path, smsc: NodeSMSC) -> None:
    """So many phones register; then they refresh at the rate at which they would for ever."""
    with running(folder, smsc) as server:
        add_phones(f"sqlite:///{folder / 'store.db'}", PHONES)
        time.sleep(3.0)  # the server looks for new accounts each second
        before = memory_mib(server.pid)
        phones, cpu, began = Phones(server.ports["udp"]), cpu_seconds(server.pid), time.monotonic()
        for number in range(PHONES):
            phones.register(number)
        took, cpu = time.monotonic() - began, cpu_seconds(server.pid) - cpu
        sys.stdout.write(
            f"{PHONES:,} phones registered in {took:.0f} s, {cpu / PHONES * 1e6:.0f} µs CPU each; "
            f"memory {before:.0f} MiB before, {memory_mib(server.pid):.0f} MiB after\n"
        )
        _refresh(server, phones)
        phones.close()


def _refresh(server: SipServer, phones: Phones) -> None:
    rate = PHONES / EXPIRES
    cpu, began, done = cpu_seconds(server.pid), time.monotonic(), 0
    while (now := time.monotonic()) < began + REFRESH_SECONDS:
        if done < (now - began) * rate:
            phones.register(done % PHONES)
            done += 1
        else:
            time.sleep(0.005)
    took, cpu = time.monotonic() - began, cpu_seconds(server.pid) - cpu
    sys.stdout.write(
        f"refreshed every {EXPIRES} s ({done / took:.1f}/s): {cpu / took:.1%} of a core, "
        f"{memory_mib(server.pid):.0f} MiB, {phones.again} retransmissions\n"
    )


def main() -> None:
    """Print the tables."""
    rates = [int(word) for word in sys.argv[1:]] or list(RATES)
    sys.stdout.write(f"load average of the machine before: {os.getloadavg()[0]:.1f}\n")
    os.sched_setaffinity(0, set(range(1, os.cpu_count() or 1)) or {0})
    with NodeSMSC(system_id="trunk", password="secret") as smsc:
        for part in ("texts", "registrations"):
            with tempfile.TemporaryDirectory() as name:
                if part == "texts":
                    texts(Path(name), smsc, rates)
                else:
                    registrations(Path(name), smsc)


if __name__ == "__main__":
    main()
