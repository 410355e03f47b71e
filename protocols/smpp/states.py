"""The states of a session and who may send what in each (SMPP 3.4 §2.2, §2.3).

Everything that moves a session from one state to another is in `TRANSITIONS`; what is not in the table cannot
happen. The table does not know which side we are: an input is a PDU that passed, in either direction.
"""

from enum import Enum

from protocols.smpp.commands import CommandId


class Role(Enum):
    """Which end of the link we are."""

    ESME = "esme"
    SMSC = "smsc"

    @property
    def peer(self) -> "Role":
        """The role at the other end."""
        return Role.SMSC if self is Role.ESME else Role.ESME


class SessionState(Enum):
    """Where a session is in its life."""

    OPEN = "open"
    BINDING = "binding"
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBINDING = "unbinding"
    CLOSED = "closed"


class Input(Enum):
    """What can move a session; the value is how the diagram names it."""

    BIND = "bind_* sent or received"
    BOUND_TX = "bind_transmitter_resp ESME_ROK"
    BOUND_RX = "bind_receiver_resp ESME_ROK"
    BOUND_TRX = "bind_transceiver_resp ESME_ROK"
    REFUSE = "bind refused"
    UNBIND = "unbind sent or received"
    CLOSE = "unbound, timeout, fault or link lost"


_S, _I = SessionState, Input

TRANSITIONS: dict[tuple[SessionState, Input], SessionState] = {
    (_S.OPEN, _I.BIND): _S.BINDING,
    (_S.OPEN, _I.CLOSE): _S.CLOSED,
    (_S.BINDING, _I.BOUND_TX): _S.BOUND_TX,
    (_S.BINDING, _I.BOUND_RX): _S.BOUND_RX,
    (_S.BINDING, _I.BOUND_TRX): _S.BOUND_TRX,
    (_S.BINDING, _I.REFUSE): _S.OPEN,
    (_S.BINDING, _I.CLOSE): _S.CLOSED,
    (_S.BOUND_TX, _I.UNBIND): _S.UNBINDING,
    (_S.BOUND_TX, _I.CLOSE): _S.CLOSED,
    (_S.BOUND_RX, _I.UNBIND): _S.UNBINDING,
    (_S.BOUND_RX, _I.CLOSE): _S.CLOSED,
    (_S.BOUND_TRX, _I.UNBIND): _S.UNBINDING,
    (_S.BOUND_TRX, _I.CLOSE): _S.CLOSED,
    (_S.UNBINDING, _I.CLOSE): _S.CLOSED,
}

BIND_INPUTS: dict[CommandId, Input] = {
    CommandId.BIND_TRANSMITTER: _I.BOUND_TX,
    CommandId.BIND_RECEIVER: _I.BOUND_RX,
    CommandId.BIND_TRANSCEIVER: _I.BOUND_TRX,
}
"""What a bind leads to when it is accepted."""

BOUND = frozenset((_S.BOUND_TX, _S.BOUND_RX, _S.BOUND_TRX))
"""The states in which messages pass."""

_NONE: frozenset[CommandId] = frozenset()
BINDS = frozenset(BIND_INPUTS)
"""The three binds."""

_FROM_ESME = frozenset(
    (
        CommandId.SUBMIT_SM,
        CommandId.SUBMIT_MULTI,
        CommandId.DATA_SM,
        CommandId.QUERY_SM,
        CommandId.CANCEL_SM,
        CommandId.REPLACE_SM,
    )
)
_FROM_SMSC = frozenset((CommandId.DELIVER_SM, CommandId.DATA_SM, CommandId.ALERT_NOTIFICATION))

PERMITTED: dict[Role, dict[SessionState, frozenset[CommandId]]] = {
    Role.ESME: {
        _S.OPEN: BINDS,
        _S.BINDING: _NONE,
        _S.BOUND_TX: _FROM_ESME,
        _S.BOUND_RX: _NONE,
        _S.BOUND_TRX: _FROM_ESME,
        _S.UNBINDING: _NONE,
        _S.CLOSED: _NONE,
    },
    Role.SMSC: {
        _S.OPEN: frozenset((CommandId.OUTBIND,)),
        _S.BINDING: _NONE,
        _S.BOUND_TX: _NONE,
        _S.BOUND_RX: _FROM_SMSC,
        _S.BOUND_TRX: _FROM_SMSC,
        _S.UNBINDING: _NONE,
        _S.CLOSED: _NONE,
    },
}
"""The requests that each role may send, but for enquire_link and unbind: those are both sides' when bound."""

REPERTOIRE: dict[Role, frozenset[CommandId]] = {
    role: frozenset().union(*by_state.values()) for role, by_state in PERMITTED.items()
}
"""All that a role ever sends. What a peer sends beyond it is answered as unknown, not as untimely."""


def diagram() -> str:
    """The transition table as a Mermaid state diagram, the form in which the documentation shows it."""
    lines = ["stateDiagram-v2", f"    [*] --> {SessionState.OPEN.name}"]
    lines += [f"    {old.name} --> {new.name}: {step.value}" for (old, step), new in TRANSITIONS.items()]
    lines.append(f"    {SessionState.CLOSED.name} --> [*]")
    return "\n".join(lines) + "\n"
