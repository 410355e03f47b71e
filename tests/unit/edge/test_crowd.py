"""A listener that turns away who is too many, and addresses as they are told."""

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from edge.crowd import AtMost, place

PEER = IPv4Address("TCP", "127.0.0.1", 40_000)


def connect(factory: AtMost) -> ProtocolWrapper | None:
    protocol = factory.buildProtocol(PEER)
    if protocol is not None:
        protocol.makeConnection(StringTransport())
    return protocol


def test_one_more_than_so_many_is_turned_away_until_one_has_gone() -> None:
    factory = AtMost(2, Factory.forProtocol(Protocol))
    first, second = connect(factory), connect(factory)
    assert first is not None
    assert second is not None
    assert connect(factory) is None
    first.connectionLost(Failure(ConnectionDone()))
    assert connect(factory) is not None
    assert connect(factory) is None


def test_an_address_is_told_with_its_port() -> None:
    assert place(PEER) == "127.0.0.1:40000"
    assert place(IPv6Address("TCP", "::1", 40_000)) == "[::1]:40000"
