"""Targets that an operator has stopped: nothing is attempted there until they are resumed.

A target is named by its key: the handler's name, a space, and what the handler's `target_key` makes of the
delivery's target, such as ``callback https://shop.example``.
"""

from sqlalchemy import Connection, delete, insert, select

from storage.tables import paused_target


def pause(connection: Connection, target: str, why: str, now_ms: int) -> None:
    """Stop it, or say anew why it is stopped."""
    resume(connection, target)
    connection.execute(insert(paused_target).values(target=target, since=now_ms, why=why))


def resume(connection: Connection, target: str) -> bool:
    """Let it go on; False when it was not stopped."""
    return connection.execute(delete(paused_target).where(paused_target.c.target == target)).rowcount > 0


def paused(connection: Connection) -> dict[str, str]:
    """The keys of all that are stopped, and why."""
    return {row.target: row.why for row in connection.execute(select(paused_target))}
