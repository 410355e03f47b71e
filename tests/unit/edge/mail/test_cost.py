"""Nobody can keep the server busy with one mail: each way to read it ends soon, whatever is in it.

`costs` has for each way what takes the square or the cube of its length where it is done badly: 64 KiB of
that are minutes or days. It runs in a process of its own, with far more of a processor's time than all of it
takes and far less than one of them took.
"""

import resource
import subprocess
import sys

CPU_SECONDS = 240


def test_each_way_of_reading_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.edge.mail.costs"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS)),
    )
    assert done.stdout.endswith("done\n"), (done.returncode, done.stdout[-50:], done.stderr[-2_000:])
