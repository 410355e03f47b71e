"""Hot statements: writes that run for every message, compiled once an engine and run with plain tuples."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, Insert, Table, Update, bindparam, insert
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.visitors import iterate

from storage.tables import metadata

ENGINE_OPTION = "storage_engine"
"""The execution option under which a connection knows its `storage.engines.Engine`."""

_ORDER = {table.name: order for order, table in enumerate(metadata.sorted_tables)}
_UPSERTS_AFTER_INSERTS = len(_ORDER)
_UPDATES_AFTER_UPSERTS = _UPSERTS_AFTER_INSERTS + 1
_FENCES_FIRST = -1

Row = tuple[Any, ...]


class Parameter(NamedTuple):
    """One place of the row tuple."""

    name: str
    type: Any


class Statement:
    """An INSERT or UPDATE whose parameters are the members of one tuple, in a fixed order.

    ``order`` decides which statements of a batch run first: inserts, by the dependencies of their tables,
    before upserts, before updates. An ``exact`` one runs before them all; a row that it does not find fails
    its unit. ``greatest`` names the columns that an upsert raises where the row is there.
    """

    __slots__ = ("clause", "exact", "greatest", "order", "parameters", "table")

    def __init__(
        self,
        clause: Insert | Update,
        parameters: tuple[Parameter, ...],
        order: int,
        exact: bool = False,
        greatest: tuple[str, ...] = (),
    ) -> None:
        self.clause = clause
        self.parameters = parameters
        self.order = order
        self.exact = exact
        self.greatest = greatest
        self.table: Table = clause.table  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Statement {type(self.clause).__name__} {self.table.name}>"

    @property
    def of_values(self) -> bool:
        """An INSERT of the parameters themselves; the others read them as the rows of a relation."""
        return isinstance(self.clause, Insert) and self.clause.select is None


Write = tuple[Statement, Row]
"""A statement and the tuple that it runs with."""

Writes = Sequence[Write]


def hot_insert(table: Table, *left_to_the_store: str) -> Statement:
    """INSERT of whole rows; the tuple is a record of the table, without the columns that the store fills."""
    parameters = tuple(
        Parameter(column.name, column.type)
        for column in table.columns
        if column.name not in left_to_the_store
    )
    return Statement(insert(table), parameters, _ORDER[table.name])


def hot_upsert(table: Table, *greatest: str) -> Statement:
    """INSERT of the key and the columns ``greatest``; where the row is there, each of them grows to the new
    value or stays. So it does not matter how often, or in which order, the rows of a key are written.
    """
    names = [column.name for column in table.primary_key] + list(greatest)
    parameters = tuple(Parameter(name, table.c[name].type) for name in names)
    return Statement(insert(table), parameters, _UPSERTS_AFTER_INSERTS, greatest=greatest)


def hot_update(clause: Update, *names: str, exact: bool = False) -> Statement:
    """UPDATE with the bind parameters ``names``, which make the tuple in this order.

    Within one batch a row may be touched once by such a statement. With ``exact`` each tuple must find one
    row, or its unit fails with `storage.errors.Stale`: what its condition says is a fence.
    """
    order = _FENCES_FIRST if exact else _UPDATES_AFTER_UPSERTS
    return Statement(clause, _found(clause, names), order, exact)


def hot_insert_from(clause: Insert, *names: str) -> Statement:
    """INSERT of what a query finds (`Insert.from_select`) with the bind parameters ``names``, which make the
    tuple in this order. It runs with the inserts, so it finds what the updates of its batch are to change.
    """
    return Statement(clause, _found(clause, names), _ORDER[clause.table.name])


def given(name: str, type_: Any) -> BindParameter[Any]:
    """A bind parameter for `hot_update`."""
    return bindparam(name, type_=type_)


def _found(clause: Insert | Update, names: Sequence[str]) -> tuple[Parameter, ...]:
    """The bind parameters of a clause that have these names."""
    found: dict[str, BindParameter[Any]] = {
        element.key: element for element in iterate(clause) if isinstance(element, BindParameter)
    }
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"the statement has no parameters {missing}")
    return tuple(Parameter(name, found[name].type) for name in names)


class _Runs(Protocol):
    def run(self, connection: Connection, rows: Sequence[Row]) -> int: ...


class _Compiles(Protocol):
    def hot(self, statement: Statement) -> _Runs: ...


def execute_all(connection: Connection, writes: Iterable[Write]) -> None:
    """Run these one after another, inside a function that the writer calls."""
    for statement, row in writes:
        execute(connection, statement, [row])


def execute(connection: Connection, statement: Statement, rows: Sequence[Row]) -> None:
    """Run a hot statement for each row, inside a function that the writer calls. No rows, no statement."""
    if rows:
        engine: _Compiles = connection.get_execution_options()[ENGINE_OPTION]
        engine.hot(statement).run(connection, rows)
