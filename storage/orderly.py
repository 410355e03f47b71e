"""When an upstream's links last ended in order, so that the SMSC has every answer that was given on them.

What came after that and was answered on a link that nobody closed may come again (`edge.repeats`).
"""

from sqlalchemy import Connection, delete, insert, select

from storage.tables import orderly_end


def put(connection: Connection, upstream: str, now_ms: int) -> None:
    """It is so now."""
    connection.execute(delete(orderly_end).where(orderly_end.c.upstream == upstream))
    connection.execute(insert(orderly_end).values(upstream=upstream, at=now_ms))


def last(connection: Connection, upstream: str) -> int:
    """When it was (milliseconds); 0 if never."""
    found = connection.scalar(select(orderly_end.c.at).where(orderly_end.c.upstream == upstream))
    return found or 0
