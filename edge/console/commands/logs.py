"""The log: its level, its last lines."""

from edge import log
from edge.console.answers import choice, done, number
from edge.console.language import Answer, Command, Given, Parameter
from edge.console.server import Server

LEVELS = ("debug", "info", "warning", "error")
LINES = 20


def level(server: Server, given: Given) -> Answer:
    """Show the level or change it, until the configuration is read again."""
    if "level" in given:
        log.output.level = log.LEVELS[choice(given, "level", LEVELS)]
    now = next(name for name in LEVELS if log.LEVELS[name] == log.output.level)
    return done(f"The log has what is {now} and above.", level=now)


def tail(server: Server, given: Given) -> Answer:
    """The last lines that were written."""
    lines = log.output.last(number(given, "lines", LINES, log.KEPT_LINES, 1))
    return Answer("\n".join(lines) or "Nothing was logged yet.", lines)


COMMANDS = (
    Command(
        ("log", "level"),
        "show the level, or change it until the next reload",
        level,
        (Parameter("level", ", ".join(LEVELS), required=False, values=lambda server: LEVELS),),
    ),
    Command(
        ("log", "tail"),
        "the last lines",
        tail,
        (Parameter("lines", f"how many, {LINES} if not said", named=True),),
    ),
)
