"""No acknowledgement leaves before the sync of its commit.

That is told from the order of system calls. `kill -9` cannot see it: what was written but not synced survives
the process, though not a power cut. On SQLite, whose syncs are the server's own calls, each message is
followed by its token: written to the WAL, the WAL synced, and only then the answer, or the submit_sm, sent.
"""

import contextlib
import re
import smtplib
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.bench.peer import Peer
from tests.fault.strace_log import STRACE, Call, calls
from tests.fault.traffic import Traffic
from tests.interop import mail_peers, sip_phones
from tests.provision import provision
from tests.server import Server, free_port

pytestmark = pytest.mark.fault

DID = "+12025550100"
TOKEN = re.compile(rb"M[0-9]{8} is|[0-9]{8} the quick|S[0-9]+ from a phone|E[0-9]+ by mail")
CALL_ID = re.compile(rb"\r\nCall-ID: *([^\r]+)", re.IGNORECASE)
TEXTS_OF_PHONES = 60
HEADER = struct.Struct(">IIII")
DELIVER_SM, DELIVER_SM_RESP, SUBMIT_SM = 0x05, 0x80000005, 0x04
ACCEPTED = b"HTTP/1.1 202"
MAIL_DID, NEW, MAILS_OF_EACH = "+12025550101", f"2025550150@{mail_peers.DOMAIN}", 15
GREETING = re.compile(rb"220 \S+ (ESMTP|LMTP)\r\n")
TAKEN = b"250 2.0.0 Taken"


@dataclass
class Order:
    """What I saw of each message, as line numbers of the log."""

    hops: "Counter[str]" = field(default_factory=Counter)
    early: "Counter[str]" = field(default_factory=Counter)
    _written: dict[bytes, int] = field(default_factory=dict)
    _synced: list[tuple[int, int]] = field(default_factory=list)
    _asked: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _posted: dict[int, bytes] = field(default_factory=dict)
    _phoned: dict[bytes, bytes] = field(default_factory=dict)
    _mailed: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    _pending: dict[tuple[int, str], bytes] = field(default_factory=dict)

    def see(self, call: Call) -> None:
        """The next call in the order of their ends."""
        if call.name in ("fsync", "fdatasync"):
            if call.path.endswith(("-wal", ".db")):
                self._synced.append((call.began, call.ended))
        elif call.name in ("write", "writev", "pwrite64", "pwritev") and call.path.endswith("-wal"):
            for token in TOKEN.findall(call.data):
                self._written.setdefault(token, call.ended)
        elif call.name == "close":
            self._posted.pop(call.descriptor, None)
            self._mailed.pop(call.descriptor, None)
        elif call.path.startswith("socket:"):
            self._see_socket(call)

    def _see_socket(self, call: Call) -> None:
        inward = call.name in ("read", "recvfrom")
        greeting = GREETING.match(call.data)
        if greeting is not None and not inward:
            self._mailed[call.descriptor] = f"{greeting[1].decode()} 250", b""
        elif call.descriptor in self._mailed:
            self._see_mail(call, inward)
        elif inward and (call.data.startswith(b"POST ") or call.descriptor in self._posted):
            token = TOKEN.search(call.data)  # head and body may come one after the other
            self._posted[call.descriptor] = b"" if token is None else token[0]
        elif call.data.startswith(ACCEPTED):
            self._judge("202", self._posted[call.descriptor], call)
        elif b" SIP/2.0\r\n" in call.data or call.data.startswith(b"SIP/2.0 "):
            self._see_sip(call, inward)
        elif not call.data.startswith((b"GET ", b"HTTP/")):
            for command, status, sequence, body in self._pdus(call, inward):
                self._see_pdu(command, status, sequence, body, call)

    def _see_mail(self, call: Call, inward: bool) -> None:
        hop, said = self._mailed[call.descriptor]
        if inward:
            said += call.data
        elif call.data.startswith(TAKEN):
            self._judge(hop, self._token(said), call)
            said = b""
        self._mailed[call.descriptor] = hop, said

    def _see_sip(self, call: Call, inward: bool) -> None:
        found = CALL_ID.search(call.data)
        assert found is not None, call.data
        if inward and call.data.startswith(b"MESSAGE "):
            self._phoned[found[1]] = self._token(call.data)
        elif call.data.startswith(b"SIP/2.0 202 "):
            self._judge("SIP 202", self._phoned[found[1]], call)

    def _see_pdu(self, command: int, status: int, sequence: int, body: bytes, call: Call) -> None:
        if command == DELIVER_SM:
            self._asked[call.descriptor, sequence] = self._token(body)
        elif command == DELIVER_SM_RESP and status == 0:
            self._judge("deliver_sm_resp", self._asked[call.descriptor, sequence], call)
        elif command == SUBMIT_SM:
            self._judge("submit_sm", self._token(body), call)

    def _pdus(self, call: Call, inward: bool) -> Iterator[tuple[int, int, int, bytes]]:
        place = (call.descriptor, "in" if inward else "out")
        data = self._pending.pop(place, b"") + call.data
        while len(data) >= HEADER.size:
            length, command, status, sequence = HEADER.unpack_from(data)
            if len(data) < length:
                break
            yield command, status, sequence, data[HEADER.size : length]
            data = data[length:]
        self._pending[place] = data

    def _token(self, data: bytes) -> bytes:
        found = TOKEN.search(data)
        assert found is not None, data
        return found[0]

    def _judge(self, hop: str, token: bytes, call: Call) -> None:
        self.hops[hop] += 1
        written = self._written.get(token)
        covered = written is not None and any(
            began > written and ended < call.began for began, ended in reversed(self._synced)
        )
        self.early[hop] += not covered


def texting(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    """Phones that send texts, each with its token, until 202."""
    scenario = folder / "message.xml"
    sample = (sip_phones.HERE / "sipp" / "message.xml").read_text()
    words = "Meet me at the north door at half past seven"
    assert words in sample
    scenario.write_text(sample.replace(words, "S[call_number] from a phone"))
    load = ["-m", str(TEXTS_OF_PHONES), "-r", "20", "-t", "u1", "-i", "127.0.0.1", "-nostdin"]
    return subprocess.Popen(
        ["sipp", f"127.0.0.1:{port}", "-sf", str(scenario), *load],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def mailing(ports: dict[type[smtplib.SMTP], int]) -> "Future[None]":
    """The owner's server brings mails by each protocol, each with its token, until 250."""

    def bring() -> None:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(kind("127.0.0.1", port)) for kind, port in ports.items()]
            for number in range(MAILS_OF_EACH * len(clients)):
                head = f"From: {mail_peers.OWNER}\r\nTo: {NEW}\r\nMessage-ID: <{number}@example.org>\r\n"
                text = f"{head}\r\nE{number} by mail\r\n"
                clients[number % len(clients)].sendmail(mail_peers.OWNER, [NEW], text)

    pool = ThreadPoolExecutor(1)
    brought = pool.submit(bring)
    pool.shutdown(wait=False)
    return brought


def _flow(peer: Peer, server: Server, smsc: int, ports: dict[str, int]) -> None:
    """MO, the API's and the phones' texts and mails, all answered; then the server ends in good order."""
    traffic = Traffic(peer, server, smsc)
    server.start(ready=False)
    traffic.begin()
    phones = texting(server.folder, ports["sip"])
    letters = mailing({smtplib.SMTP: ports["smtp"], smtplib.LMTP: ports["lmtp"]})
    traffic.progress(mo=150, mt=100)
    traffic.until("the phones' texts", lambda: phones.poll() is not None)
    assert phones.returncode == 0
    traffic.until("the mails", letters.done, 120.0)
    letters.result()
    traffic.end()
    server.stop()


def observed(url: str, folder: Path, durable: bool) -> Order:
    """Traffic on a server under strace: the order of what it did."""
    provision(url.partition("?")[0], [DID, MAIL_DID])
    log, smsc, sip = folder / "calls.log", free_port(), free_port()
    smtp, lmtp = free_port(), free_port()
    mail_peers.set_email(url.partition("?")[0], MAIL_DID, to=mail_peers.OWNER)
    tables: dict[str, dict[str, object]] = {
        "mail": {
            "domain": mail_peers.DOMAIN,
            "reply_keys": f"1:{mail_peers.KEY}",
            "listen": [f"127.0.0.1:{smtp}"],
            "lmtp": [f"127.0.0.1:{lmtp}"],
            "new_mail": "sender",
            "per_minute": 1_000,
            "per_hour": 1_000,
        },
        "store": {"allow_non_durable": not durable},
        "sip": {
            "domain": sip_phones.DOMAIN,
            "udp": [f"127.0.0.1:{sip}"],
            "account_messages_per_second": 1_000,
        },
    }
    with Server(folder, url, smsc, (*STRACE, str(log)), tables) as server:
        sip_phones.add_phone(server, DID)
        with Peer(seconds=600) as peer:
            _flow(peer, server, smsc, {"sip": sip, "smtp": smtp, "lmtp": lmtp})
    order = Order()
    for call in calls(log):
        order.see(call)
    return order


@pytest.fixture
def sipp() -> None:
    """Skips loudly where sipp is not installed; fails with CI=true."""
    sip_phones.need_program("sipp")


@pytest.mark.usefixtures("strace", "sipp")
def test_no_acknowledgement_before_its_sync(sqlite_url: str, tmp_path: Path) -> None:
    order = observed(sqlite_url, tmp_path, durable=True)
    assert order.hops["deliver_sm_resp"] >= 150
    assert order.hops["202"] >= 100
    assert order.hops["SIP 202"] >= TEXTS_OF_PHONES
    assert (order.hops["ESMTP 250"], order.hops["LMTP 250"]) == (MAILS_OF_EACH, MAILS_OF_EACH)
    assert order.hops["submit_sm"] >= 100 + TEXTS_OF_PHONES + 2 * MAILS_OF_EACH
    assert order.early.total() == 0, order.early
    print(f"acknowledgements {dict(order.hops)}, before their sync {dict(order.early)}")


@pytest.mark.usefixtures("strace", "sipp")
def test_the_same_check_fails_on_a_store_that_does_not_sync(sqlite_url: str, tmp_path: Path) -> None:
    order = observed(f"{sqlite_url}?synchronous=normal", tmp_path, durable=False)
    assert order.hops["deliver_sm_resp"] >= 150
    assert order.early["deliver_sm_resp"] > 100
    assert order.early["202"] > 50
    assert order.early["SIP 202"] > TEXTS_OF_PHONES // 2
    assert order.early["ESMTP 250"] > MAILS_OF_EACH // 2
    assert order.early["LMTP 250"] > MAILS_OF_EACH // 2
    print(f"acknowledgements {dict(order.hops)}, before their sync {dict(order.early)}")
