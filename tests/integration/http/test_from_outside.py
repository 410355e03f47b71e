"""The hostile URLs, asked by a process whose system calls are watched: not one connect(2) to the network."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import ROOT
from tests.sink import Sink

CONNECT = re.compile(r"connect\(\d+, \{sa_family=AF_INET6?, [^}]*\}")

CHAINS = (
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://0.0.0.0:{port}/",
    "//127.0.0.1:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://loopback.example:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://[",
    "ftp://127.0.0.1/",
    "file:///etc/passwd",
)


def test_none_opens_a_connection_as_the_kernel_sees_it(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail("strace is not installed")
        pytest.skip("strace is not installed")
    sink, trace = Sink("127.0.0.2"), tmp_path / "trace"
    sink.close_each = True
    inside = Sink("127.0.0.1")
    port = inside.url.rpartition(":")[2]
    for number, target in enumerate(CHAINS):
        way = [f"/chain/{number}/{hop}" for hop in range(2)]
        sink.redirects |= {way[0]: f"{sink.url}{way[1]}", way[1]: target.format(port=port)}
    chains = [f"{sink.url}/chain/{number}/0" for number in range(len(CHAINS))]
    rebound = f"http://rebind.example:{sink.url.rpartition(':')[2]}/rebound"
    command = [strace, "-f", "-qq", "-e", "trace=connect", "-o", str(trace)]
    asking = [sys.executable, "-m", "tests.ask_hostile", *chains, rebound, rebound, f"{sink.url}/end"]
    finished = subprocess.run(
        [*command, *asking], cwd=ROOT, capture_output=True, text=True, timeout=240, check=True
    )
    sink.close()
    inside.close()
    refused, *said = finished.stdout.splitlines()
    counts = {reason: int(count) for reason, count in (word.split("=") for word in refused.split())}
    # localhost has no address for the test's name server; it is in no hosts file here.
    assert counts.pop("no_such_host") <= 4
    assert set(counts) == {"address_refused", "url_refused"}
    assert sum(counts.values()) >= 300
    assert set(said[: len(chains)]) <= {"address_refused", "redirect_refused"}
    assert said[len(chains) :] == ["200", "address_refused", "200"]
    connections = set(CONNECT.findall(trace.read_text()))
    assert connections
    assert all('inet_addr("127.0.0.2")' in connection for connection in connections), connections
    assert inside.targets == []
    hops = [f"/chain/{number}/{hop}" for number in range(len(CHAINS)) for hop in range(2)]
    assert sink.targets == [*hops, "/rebound", "/end"]
