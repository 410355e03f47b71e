"""The start, as far as it can be seen without a server."""

import signal
from pathlib import Path

import pytest

from edge.tap import Options, makeService


def test_sighup_does_not_end_a_start(tmp_path: Path) -> None:
    """Whoever has just put a configuration there and says so may be early."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    options = Options()
    options["config"] = str(tmp_path / "none.toml")
    try:
        with pytest.raises(SystemExit):
            makeService(options)
        signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
