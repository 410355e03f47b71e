"""Where one session is in its life, and what that permits."""

from protocols.smpp.errors import SMPPError
from protocols.smpp.states import BINDS, PERMITTED, TRANSITIONS, Input, Role, SessionState


class Lifecycle:
    """I hold the state of one session and move it by the table, never otherwise.

    `deadline` is when the present state must have ended, `may_send` and `may_receive` are the messages
    that may pass in it (binds, enquire_link and unbind apart), `reason` and `error` say why it is closed,
    `orderly` that it is so by an unbind, with nothing left to be answered.
    """

    def __init__(self, role: Role, deadline: float | None) -> None:
        self.role = role
        self.state = SessionState.OPEN
        self.deadline = deadline
        self.reason = ""
        self.error: SMPPError | None = None
        self.orderly = False
        self.may_send = PERMITTED[role][SessionState.OPEN] - BINDS
        self.may_receive = PERMITTED[role.peer][SessionState.OPEN] - BINDS

    @property
    def closed(self) -> bool:
        """Whether this life is over."""
        return self.state is SessionState.CLOSED

    def move(self, step: Input, deadline: float | None) -> None:
        """Enter the next state, to be left by `deadline`."""
        self.state = TRANSITIONS[self.state, step]
        self.deadline = deadline
        self.may_send = PERMITTED[self.role][self.state] - BINDS
        if self.state is not SessionState.UNBINDING:  # the peer may not know yet that we are unbinding
            self.may_receive = PERMITTED[self.role.peer][self.state] - BINDS

    def close(self, reason: str, error: SMPPError | None = None, orderly: bool = False) -> None:
        """Enter CLOSED, for the first reason given."""
        if not self.closed:
            self.reason = reason
            self.error = error
            self.orderly = orderly
            self.move(Input.CLOSE, None)

    def postpone(self, seconds: float) -> None:
        """Give the present state more time."""
        if self.deadline is not None:
            self.deadline += seconds
