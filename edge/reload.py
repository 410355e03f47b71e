"""What reading the configuration again came to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reloaded:
    """``changed`` upstreams bind again (or are new, or gone); the tables of ``needs_restart`` stay as they
    were; with ``problems`` nothing was changed at all."""

    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
