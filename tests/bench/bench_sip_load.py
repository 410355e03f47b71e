"""Texts that phones send, each with its challenge, until 202 after the commit: the whole server under sipp.

Offered rates go up; for each: texts a second that were answered 202, failures, retransmissions of sipp, and
the CPU milliseconds of the server for a thousand texts. sipp and the SMSC use the same machine.

python -m tests.bench.bench_sip_load [RATE…]
"""

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.interop.node_smsc import NodeSMSC
from tests.interop.sip_phones import HERE, SipServer
from tests.provision import provision

RATES = (200, 400, 800, 1_600)
SECONDS = 8


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def load(server: SipServer, rate: int, folder: Path) -> dict[str, float]:
    """One run of sipp."""
    statistics = folder / f"{rate}.csv"
    command = ["sipp", f"127.0.0.1:{server.ports['udp']}", "-sf", str(HERE / "sipp" / "message.xml")]
    command += ["-i", "127.0.0.1", "-t", "u1", "-nostdin", "-r", str(rate), "-m", str(rate * SECONDS)]
    command += ["-l", "20000", "-timeout", "40s", "-trace_stat", "-stf", str(statistics)]
    before, began = cpu_seconds(server.pid), time.monotonic()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    took, cpu = time.monotonic() - began, cpu_seconds(server.pid) - before
    with statistics.open() as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    good = int(last["SuccessfulCall(C)"])
    return {
        "ok": good / took,
        "failed": int(last["FailedCall(C)"]),
        "retransmitted": int(last["Retransmissions(C)"]),
        "cpu": cpu / max(good, 1) * 1e6,
    }


def main() -> None:
    """Print the table."""
    rates = [int(word) for word in sys.argv[1:]] or list(RATES)
    sys.stdout.write(f"{'offered/s':>10}{'ok/s':>10}{'failed':>10}{'again':>10}{'ms/1000':>10}\n")
    with tempfile.TemporaryDirectory() as name, NodeSMSC(system_id="trunk", password="secret") as smsc:
        folder = Path(name)
        url = f"sqlite:///{folder / 'store.db'}"
        provision(url, ["+12025550100"])
        server = SipServer(
            folder, url, smsc.port, account_messages_per_second=100_000, trusted='["127.0.0.0/8"]'
        )
        with server:
            server.add_phone("+12025550100")
            server.start()
            for rate in rates:
                found = load(server, rate, folder)
                sys.stdout.write(
                    f"{rate:>10}" + "".join(f"{value:>10.0f}" for value in found.values()) + "\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
