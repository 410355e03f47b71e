"""An SMSC and phones to try everything without a carrier."""

from edge.simulator.behaviour import Behaviour, IdStyle
from edge.simulator.errors import MessageRefused, NotSendable, SimulatorStopped
from edge.simulator.phones import Direction, MessageState, Phone, PhoneMessage
from edge.simulator.service import make_service
from edge.simulator.simulator import Sent, Simulator
from edge.simulator.spool import SpoolFull

__all__ = [
    "Behaviour",
    "Direction",
    "IdStyle",
    "MessageRefused",
    "MessageState",
    "NotSendable",
    "Phone",
    "PhoneMessage",
    "Sent",
    "Simulator",
    "SimulatorStopped",
    "SpoolFull",
    "make_service",
]
