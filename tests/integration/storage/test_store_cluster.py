"""The cluster of a test run goes with the run, however it went."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import postgresql

RUN = """
import sys, time
from tests import postgresql
postgresql.begin_run()
with postgresql.database() as url:
    print(postgresql.folder(), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.skipif(postgresql.CONFIGURED in os.environ, reason="the server is not ours")
@pytest.mark.usefixtures("engine_name")
def test_a_run_that_is_killed_leaves_no_server(request: pytest.FixtureRequest) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_TEST")}
    run = subprocess.Popen(
        [sys.executable, "-c", RUN], cwd=request.config.rootpath, env=environment, stdout=subprocess.PIPE
    )
    assert run.stdout is not None
    folder = Path(run.stdout.readline().decode().strip())
    assert (folder / "keeper.pid").exists()
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    give_up = time.monotonic() + 20
    while folder.exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not folder.exists()
    assert not folder.with_suffix(".lock").exists()
