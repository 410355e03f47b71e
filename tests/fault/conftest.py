"""What the fault tests share."""

from collections.abc import AsyncIterator

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
