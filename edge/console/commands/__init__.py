"""What can be asked for, by subject."""

from edge.console.commands import (
    binds,
    deliveries,
    inventory,
    life,
    logs,
    messages,
    people,
    phones,
    queue,
)
from edge.console.language import Language


def language() -> Language:
    """Every command there is."""
    commands = (
        *life.COMMANDS,
        *binds.COMMANDS,
        *queue.COMMANDS,
        *messages.COMMANDS,
        *deliveries.COMMANDS,
        *phones.COMMANDS,
        *people.COMMANDS,
        *inventory.COMMANDS,
        *logs.COMMANDS,
    )
    made = Language((*commands, life.help_command(lambda: made)))
    return made
