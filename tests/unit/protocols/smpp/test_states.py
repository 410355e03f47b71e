"""The table of states, and the page that shows it."""

from pathlib import Path

from protocols.smpp import states
from protocols.smpp.commands import RESPONSE, CommandId
from protocols.smpp.states import (
    BOUND,
    PERMITTED,
    REPERTOIRE,
    TRANSITIONS,
    Input,
    Role,
    SessionState,
    diagram,
)

DOCS = Path(__file__).parents[4] / "docs" / "smpp.md"


def test_the_documentation_shows_the_table() -> None:
    assert f"```mermaid\n{diagram()}```\n" in DOCS.read_text(encoding="utf-8")


def test_every_state_can_be_reached_and_left() -> None:
    reached = {SessionState.OPEN, *TRANSITIONS.values()}
    left = {state for state, _ in TRANSITIONS}
    assert reached == set(SessionState)
    assert left == set(SessionState) - {SessionState.CLOSED}


def test_every_input_is_used_and_every_state_can_close() -> None:
    assert {step for _, step in TRANSITIONS} == set(Input)
    for state in set(SessionState) - {SessionState.CLOSED}:
        assert TRANSITIONS[state, Input.CLOSE] is SessionState.CLOSED


def test_messages_pass_only_when_bound() -> None:
    for role in Role:
        assert role.peer.peer is role
        assert set(PERMITTED[role]) == set(SessionState)
        for state in SessionState:
            messages = PERMITTED[role][state] - states.BINDS - {CommandId.OUTBIND}
            assert not messages or state in BOUND
        assert not any(command & RESPONSE for command in REPERTOIRE[role])
