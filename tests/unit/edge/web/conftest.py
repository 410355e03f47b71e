"""A site to talk to."""

import pytest

from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.web.harness import Browser, Scene


@pytest.fixture
def scene(inline_store: InlineStore, time: Time) -> Scene:
    """Plain HTTP, no simulator."""
    return Scene(inline_store, time)


@pytest.fixture
def member(scene: Scene) -> Browser:
    """Somebody of the account `demo`, logged in."""
    return scene.member()
