"""What the store has for upstreams, whoever carries them: so that one without a server is noticed."""

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, select, text

from storage.tables import PART_OPEN, inbound_part, part, receipt

_QUEUED = part.c.state == literal_column("'queued'")
_OPEN = text(PART_OPEN)
_INCOMPLETE = inbound_part.c.message_id.is_(None)
_UNMATCHED = receipt.c.part_id.is_(None)


def upstreams(connection: Connection) -> set[str]:
    """The names of the upstreams for which parts are not done, of whose long messages some are missing, or
    whose receipts found no part.

    One step into an index for each name, however much waits.
    """
    names = set()
    for column, wanted in (
        (part.c.upstream, _QUEUED),
        (part.c.upstream, _OPEN),
        (inbound_part.c.upstream, _INCOMPLETE),
        (receipt.c.upstream, _UNMATCHED),
    ):
        after = ""
        while (name := _next(connection, column, wanted, after)) is not None:
            names.add(name)
            after = name
    return names


def count(connection: Connection, upstream: str) -> tuple[int, int, int]:
    """How many parts of MT messages are not done for this upstream, how many of MO messages wait for others,
    and how many receipts found no part."""
    queued, opened, incomplete, unmatched = (
        connection.scalar(select(func.count()).where(column == upstream, wanted)) or 0
        for column, wanted in (
            (part.c.upstream, _QUEUED),
            (part.c.upstream, _OPEN),
            (inbound_part.c.upstream, _INCOMPLETE),
            (receipt.c.upstream, _UNMATCHED),
        )
    )
    return queued + opened, incomplete, unmatched


def oldest_incomplete(connection: Connection, upstream: str) -> int | None:
    """When the first of its parts of MO messages came that still waits for others (milliseconds)."""
    oldest = select(func.min(inbound_part.c.received_at)).where(
        inbound_part.c.upstream == upstream, _INCOMPLETE
    )
    found: int | None = connection.scalar(oldest)
    return found


def _next(connection: Connection, column: ColumnElement[str], wanted: object, after: str) -> str | None:
    return connection.scalar(select(func.min(column)).where(and_(wanted, column > after)))  # type: ignore[arg-type]
