"""What the fault tests share, and what they need of the machine."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet import reactor

from edge.testing import FakeSMSC


@pytest_twisted.async_yield_fixture
async def smsc() -> AsyncIterator[FakeSMSC]:
    """It listens, and answers what the test says."""
    running = FakeSMSC(reactor)
    running.start()
    yield running
    await running.stop()


@pytest.fixture
def strace() -> None:
    """Skips loudly where strace is not installed; fails with CI=true."""
    if shutil.which("strace") is None:
        reason = "NOT TESTED: strace is not installed (Debian: strace)"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
