"""The simulator's state as JSON."""

from typing import Any

from edge.simulator.callbacks import ReceivedCallback
from edge.simulator.phones import Phone, PhoneMessage
from edge.simulator.simulator import Simulator


def message(message: PhoneMessage) -> dict[str, Any]:
    """One message."""
    return {
        "id": message.id,
        "direction": message.direction,
        "peer": message.peer,
        "text": message.text,
        "at_ms": message.at_ms,
        "state": message.state,
        "parts_total": message.parts_total,
        "parts_done": message.parts_done,
        "reason": message.reason,
    }


def phone(phone: Phone) -> dict[str, Any]:
    """One phone."""
    return {"number": phone.number, "messages": [message(entry) for entry in phone.messages]}


def callback(call: ReceivedCallback) -> dict[str, Any]:
    """One call of the callback page."""
    return {
        "number": call.number,
        "at_ms": call.at_ms,
        "query": [list(pair) for pair in call.query],
        "answered": call.answered,
    }


def state(simulator: Simulator) -> dict[str, Any]:
    """Everything."""
    return {
        "version": simulator.version,
        "phones": [phone(entry) for entry in simulator.phones()],
        "binds": [{"system_id": bind.system_id, "kind": bind.kind} for bind in simulator.binds()],
        "waiting": simulator.waiting,
        "callbacks": [callback(call) for call in simulator.callbacks.all()],
        "answer": simulator.callbacks.answer,
    }
