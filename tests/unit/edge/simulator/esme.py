"""The other end of the simulator's links, in memory: PDUs in, PDUs out, the clock by hand."""

from typing import Any, TypeVar

from twisted.internet.error import ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from edge.config import Secret, SimulatorConfig
from edge.simulator import Behaviour, Simulator
from protocols.smpp.codec import Framer, pack, unpack
from protocols.smpp.pdu import (
    BindTransceiver,
    DeliverSm,
    DeliverSmResp,
    Pdu,
    SubmitSm,
)
from protocols.smpp.transport import SMPPProtocol

P = TypeVar("P", bound=Pdu)

DID = "+12025550100"
PHONE = "+12025550150"
AT_MS = 1_700_000_000_000
BIND = BindTransceiver(sequence_number=1, system_id="trunk", password="secret")
DEFAULT = Behaviour()


class Link:
    """One connection of an ESME."""

    def __init__(self, protocol: SMPPProtocol, reactor: Any) -> None:
        self.transport: Any = StringTransport()
        self._protocol = protocol
        self._reactor = reactor
        self._framer = Framer()
        protocol.makeConnection(self.transport)

    def send(self, *pdus: Pdu) -> list[Pdu]:
        """Send, and what comes back in this turn."""
        self._protocol.dataReceived(b"".join(pack(pdu) for pdu in pdus))
        return self.read()

    def read(self) -> list[Pdu]:
        """What came since the last reading."""
        self._reactor.advance(0)
        octets = self.transport.value()
        self.transport.clear()
        return [unpack(pdu) for pdu in self._framer.feed(octets)]

    def only(self, kind: type[P]) -> list[P]:
        """`read`, those of this class."""
        return [pdu for pdu in self.read() if isinstance(pdu, kind)]

    def answer(self, *pdus: DeliverSm, status: int = 0) -> list[Pdu]:
        """Answer deliver_sm."""
        return self.send(
            *(DeliverSmResp(sequence_number=pdu.sequence_number, command_status=status) for pdu in pdus)
        )

    def lose(self) -> None:
        """The connection breaks."""
        self._protocol.connectionLost(Failure(ConnectionLost()))


class Scene:
    """A simulator on a reactor in memory."""

    def __init__(self, behaviour: Behaviour | None = DEFAULT, **changes: object) -> None:
        self.reactor: Any = MemoryReactorClock()
        settings: dict[str, object] = {
            "system_id": "trunk",
            "password": Secret("secret"),
            "phones": (PHONE,),
            "receipt_delay_seconds": 2.0,
            **changes,
        }
        self.simulator = Simulator(
            SimulatorConfig(**settings),  # type: ignore[arg-type]
            self.reactor,
            lambda: AT_MS + int(self.reactor.seconds() * 1000),
            behaviour,
        )

    def connect(self) -> Link:
        """A connection that is not bound."""
        return Link(self.simulator.smsc.build(), self.reactor)

    def bind(self, pdu: Pdu = BIND) -> Link:
        """A connection that is."""
        link = self.connect()
        link.send(pdu)
        return link

    def bind_again(self) -> tuple[Link, list[DeliverSm]]:
        """Another connection that is bound, and the deliver_sm that came with the answer to its bind."""
        link = self.connect()
        answers = link.send(BIND)
        return link, [pdu for pdu in answers if isinstance(pdu, DeliverSm)]

    def bubbles(self, number: str = PHONE) -> list[tuple[str, str, str]]:
        """Direction, text and state of a phone's messages."""
        phone = self.simulator.phone(number)
        assert phone is not None
        return [(str(entry.direction), entry.text, str(entry.state)) for entry in phone.messages]


def submit_sm(sequence: int, octets: bytes = b"hello", **fields: object) -> SubmitSm:
    """A text from the DID to the phone."""
    settings: dict[str, object] = {
        "source_addr_ton": 1,
        "source_addr_npi": 1,
        "source_addr": DID,
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": PHONE,
        "short_message": octets,
        **fields,
    }
    return SubmitSm(sequence_number=sequence, **settings)  # type: ignore[arg-type]
