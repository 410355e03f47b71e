"""The offices that mail comes to."""

import pytest

from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.mail.office import Office


@pytest.fixture
def office(inline_store: InlineStore, time: Time) -> Office:
    return Office(inline_store, time)


@pytest.fixture
def strict(inline_store: InlineStore, time: Time) -> Office:
    return Office(inline_store, time, replies="authenticated", authserv_id="mx.here", trusted=("10.0.0.0/8",))
