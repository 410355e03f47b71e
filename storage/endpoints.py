"""Endpoints that fail: since when, and whether they are paused. One that answers well has no row."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from storage.tables import endpoint


class Endpoint(NamedTuple):
    """Where an account has something posted to, by one handler; ``url`` is without its query."""

    account_id: int
    handler: str
    url: str


class EndpointRecord(NamedTuple):
    """A failing endpoint. ``failing_since`` is the first of the failures that have come one after the other
    since; ``last_failed_at`` may be an hour behind."""

    account_id: int
    handler: str
    url: str
    failing_since: int
    paused_at: int | None
    last_outcome: str
    last_failed_at: int = 0

    @property
    def endpoint(self) -> Endpoint:
        """Its key."""
        return Endpoint(self.account_id, self.handler, self.url)


def failing(connection: Connection, account_id: int | None = None) -> list[EndpointRecord]:
    """All of them, or an account's, the longest failing first."""
    query = select(endpoint).order_by(endpoint.c.failing_since, endpoint.c.url)
    if account_id is not None:
        query = query.where(endpoint.c.account_id == account_id)
    return [EndpointRecord._make(row) for row in connection.execute(query)]


def find(connection: Connection, which: Endpoint) -> EndpointRecord | None:
    """What is known of one; None when it does not fail."""
    row = connection.execute(select(endpoint).where(_is(which))).first()
    return None if row is None else EndpointRecord._make(row)


def put(connection: Connection, record: EndpointRecord) -> None:
    """Store what is known of one now."""
    values = record._asdict()
    changed = connection.execute(update(endpoint).where(_is(record.endpoint)).values(values))
    if not changed.rowcount:
        connection.execute(insert(endpoint).values(values))


def forget(connection: Connection, which: Endpoint) -> bool:
    """It answers again, or somebody says that it will; had it failed?"""
    return bool(connection.execute(delete(endpoint).where(_is(which))).rowcount)


def forget_silent(connection: Connection, before_ms: int) -> int:
    """Those that are not paused and that nobody has asked since; how many."""
    silent = and_(endpoint.c.paused_at.is_(None), endpoint.c.last_failed_at < before_ms)
    return connection.execute(delete(endpoint).where(silent)).rowcount


def _is(which: Endpoint) -> ColumnElement[bool]:
    return and_(
        endpoint.c.account_id == which.account_id,
        endpoint.c.handler == which.handler,
        endpoint.c.url == which.url,
    )
