"""The highest id in use, so that a restart with a clock that went back makes no id twice."""

from sqlalchemy import Connection, func, select

from storage.tables import metadata

_NOT_OUR_IDS = frozenset({"session", "catalog", "event", "feed", "probe"})


def highest_id(connection: Connection) -> int:
    """0 for an empty store."""
    highest = 0
    for table in metadata.tables.values():
        if "id" in table.c and table.name not in _NOT_OUR_IDS:
            highest = max(highest, connection.scalar(select(func.max(table.c.id))) or 0)
    return highest
