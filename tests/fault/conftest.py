"""What the fault tests need of the machine."""

import os
import shutil

import pytest


@pytest.fixture
def strace() -> None:
    """Skips loudly where strace is not installed; fails with CI=true."""
    if shutil.which("strace") is None:
        reason = "NOT TESTED: strace is not installed (Debian: strace)"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
