"""What can go wrong with a text that a simulated phone sends."""

from protocols.smpp.errors import status_name


class NotSendable(Exception):
    """The text or a number is not such that a phone could send it; the sentence says why."""


class MessageRefused(Exception):
    """The server refused a part for good."""

    def __init__(self, command_status: int) -> None:
        super().__init__(f"the server answered {status_name(command_status)}")
        self.command_status = command_status


class SimulatorStopped(Exception):
    """The simulator went before the server had acknowledged the message."""

    def __init__(self) -> None:
        super().__init__("the simulator was stopped")
