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


def test_none_opens_a_connection_as_the_kernel_sees_it(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail("strace is not installed")
        pytest.skip("strace is not installed")
    sink, trace = Sink("127.0.0.2"), tmp_path / "trace"
    command = [strace, "-f", "-qq", "-e", "trace=connect", "-o", str(trace)]
    asking = [sys.executable, "-m", "tests.ask_hostile", f"{sink.url}/end"]
    finished = subprocess.run(
        [*command, *asking], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    sink.close()
    refused, end = finished.stdout.splitlines()
    counts = {reason: int(count) for reason, count in (word.split("=") for word in refused.split())}
    # localhost has no address for the test's name server; it is in no hosts file here.
    assert counts.pop("no_such_host") <= 4
    assert set(counts) == {"address_refused", "url_refused"}
    assert sum(counts.values()) >= 300
    assert end == "200"
    (connection,) = set(CONNECT.findall(trace.read_text()))
    assert 'inet_addr("127.0.0.2")' in connection
    assert sink.targets == ["/end"]
