"""A server and a phone that has an account."""

import pytest

from storage.records import Did
from storage.testing import InlineStore
from tests.unit.edge.sip.net import Net, Phone


@pytest.fixture
def net(inline_store: InlineStore, did: Did) -> Net:
    """A server on which alice has an account."""
    made = Net(inline_store)
    made.account(did)
    return made


@pytest.fixture
def phone(net: Net) -> Phone:
    """Alice's."""
    return Phone(net)
