"""The console script: what must be done before anything that takes time is imported."""

import signal
import sys

SERVER = "run"


def main() -> None:
    """Run the `trunkline` command."""
    if sys.argv[1:2] == [SERVER]:
        # A SIGHUP while modules are loaded, which takes a second, would end the process. What it asks for is
        # done: the configuration is not read yet. `edge.tap` goes on from here.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from edge.cli import trunkline

    trunkline()
