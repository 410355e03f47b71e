"""A world to call."""

import pytest

from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.voipms.world import World


@pytest.fixture
def world(inline_store: InlineStore, time: Time) -> World:
    """As it is configured by default, with SIP."""
    return World(inline_store, time)
