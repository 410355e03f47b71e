"""What a test needs and may not find on this machine."""

import os

import pytest


def need(lacking: str | None) -> None:
    """Skip the test, loudly, when something is ``lacking``; with CI=true that is a failure."""
    if lacking is None:
        return
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(lacking)
    pytest.skip(lacking)
