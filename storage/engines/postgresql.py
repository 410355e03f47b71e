"""PostgreSQL through psycopg 3: COPY for inserts, one `unnest` join for the updates of a batch."""

import time
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from storage.engines.base import READERS, CommitOutcome, Engine, Hot, driver_error, sql_from_rows
from storage.engines.refusal import refused
from storage.errors import StoreUnavailable
from storage.statements import ENGINE_OPTION, Row, Statement

_ROWS_WORTH_A_COPY = 3
_CONNECT_SECONDS = 5

# Connection exception, insufficient resources, operator intervention, system error, internal error.
_STORE_FAILURE_CLASSES = frozenset({"08", "53", "57", "58", "XX"})
# Serialisation failure, deadlock, read-only transaction (a standby after fail-over), lock not available.
_STORE_FAILURE_CODES = frozenset({"40001", "40P01", "25006", "55P03"})


class PostgreSQLEngine(Engine):
    """A PostgreSQL database, 14 or later."""

    name = "postgresql"

    def __init__(self, url: URL, allow_non_durable: bool, lock_wait: float) -> None:
        super().__init__(url, allow_non_durable, lock_wait)
        self._numbers: WeakKeyDictionary[Connection, str] = WeakKeyDictionary()
        self._address = url.set(drivername="postgresql+psycopg")
        common = {"connect_timeout": _CONNECT_SECONDS, "keepalives_idle": 10, "tcp_user_timeout": 15_000}
        self.writing = create_engine(
            self._address,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args=common,
            execution_options={ENGINE_OPTION: self},
        )
        self.reading = create_engine(
            self._address,
            poolclass=QueuePool,
            hide_parameters=True,
            pool_size=READERS,
            max_overflow=READERS,
            connect_args=common,
            isolation_level="REPEATABLE READ",
        )
        event.listen(self.writing, "connect", self._set_up_writer)
        event.listen(self.writing, "begin", self._begin)
        event.listen(self.reading, "connect", _set_up_reader)

    def commit_outcome(self, connection: Connection) -> CommitOutcome:
        """Ask the server, on a new connection, what became of the transaction's number."""
        number = self._numbers.get(connection)
        give_up = time.monotonic() + self.lock_wait
        while number is not None and time.monotonic() < give_up:
            try:
                with self.writing.connect() as asking:
                    status = asking.exec_driver_sql("SELECT pg_xact_status(%s::xid8)", (number,)).scalar()
            except Exception:
                time.sleep(0.1)
                continue
            if status == "committed":
                return CommitOutcome.COMMITTED
            if status == "aborted":
                return CommitOutcome.ROLLED_BACK
            time.sleep(0.05)
        return CommitOutcome.UNKNOWN

    def may_return(self, error: StoreUnavailable) -> bool:
        """A server that is not reached, or starts, comes by itself; one that does not let us in does not.

        May connect once more to tell.
        """
        cause = error if error.__cause__ is None else driver_error(error.__cause__)
        if not isinstance(cause, psycopg.Error) or cause.sqlstate is not None or cause.pgconn is None:
            return True
        return not refused(cause.pgconn)

    def _set_up_writer(self, driver: Any, _: object) -> None:
        # The engine says BEGIN itself, in one round trip with the question for the transaction's number.
        driver.autocommit = True
        milliseconds = int(self.lock_wait * 1000)
        # Every statement of the writer goes by a key; a plan made while a table was empty must not scan it.
        driver.execute(
            f"SET lock_timeout = {milliseconds}; SET jit = off; SET enable_seqscan = off; "
            "SET enable_hashjoin = off; SET enable_mergejoin = off"
        )

    def _begin(self, connection: Connection) -> None:
        cursor: Any = connection.connection.cursor()
        with cursor:
            cursor.execute("BEGIN; SELECT pg_current_xact_id()::text")
            cursor.nextset()
            self._numbers[connection] = cursor.fetchone()[0]

    def _compile(self, statement: Statement) -> Hot:
        if statement.greatest:
            return _HotUpsert(statement, self)
        return _HotInsert(statement, self) if statement.of_values else _HotFromRows(statement, self)

    def _durability_problem(self, connection: Connection) -> str | None:
        for setting in ("fsync", "synchronous_commit"):
            if connection.exec_driver_sql(f"SHOW {setting}").scalar() == "off":
                return (
                    f"The PostgreSQL store {self.url.database} is not durable: {setting} is off, "
                    "and a power cut could take back what was acknowledged. Set it to on."
                )
        return None

    def _is_store_failure(self, error: BaseException) -> bool:
        if not isinstance(error, psycopg.Error):
            return False
        code = error.sqlstate
        if code is None:
            return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
        return code in _STORE_FAILURE_CODES or code[:2] in _STORE_FAILURE_CLASSES


class _HotInsert(Hot):
    def __init__(self, statement: Statement, engine: Engine) -> None:
        quote = engine.writing.dialect.identifier_preparer.quote
        target = quote(statement.table.name)
        names = ", ".join(quote(parameter.name) for parameter in statement.parameters)
        places = ", ".join(["%s"] * len(statement.parameters))
        self._copy = f"COPY {target} ({names}) FROM STDIN"
        self._insert = f"INSERT INTO {target} ({names}) VALUES ({places})"

    def run(self, connection: Connection, rows: Sequence[Row]) -> int:
        cursor: Any = connection.connection.cursor()
        with cursor:
            if len(rows) < _ROWS_WORTH_A_COPY:
                for row in rows:
                    cursor.execute(self._insert, row, prepare=True)
                return len(rows)
            with cursor.copy(self._copy) as copy:
                for row in rows:
                    copy.write_row(row)
        return len(rows)


class _FromArrays(Hot):
    """Runs once for all rows, which come as one array a parameter."""

    _sql: str

    def run(self, connection: Connection, rows: Sequence[Row]) -> int:
        cursor: Any = connection.connection.cursor()
        with cursor:
            cursor.execute(self._sql, [list(values) for values in zip(*rows, strict=True)], prepare=True)
            return int(cursor.rowcount)


class _HotFromRows(_FromArrays):
    def __init__(self, statement: Statement, engine: Engine) -> None:
        sql = sql_from_rows(statement, engine.writing.dialect)
        self._sql = f"WITH v ({_names(statement)}) AS (SELECT * FROM {_unnest(statement, engine)}) {sql}"


class _HotUpsert(_FromArrays):
    """One row a key, in the order of the keys: two processes that raise the same rows do not deadlock."""

    def __init__(self, statement: Statement, engine: Engine) -> None:
        names, greatest = _names(statement), statement.greatest
        key = ", ".join(item.name for item in statement.parameters if item.name not in greatest)
        highest = ", ".join(f"max({name})" for name in greatest)
        table = statement.table.name
        raised = ", ".join(f"{name} = greatest({table}.{name}, excluded.{name})" for name in greatest)
        self._sql = (
            f"INSERT INTO {table} ({names}) SELECT {key}, {highest} FROM {_unnest(statement, engine)} "
            f"AS v ({names}) GROUP BY {key} ORDER BY {key} ON CONFLICT ({key}) DO UPDATE SET {raised}"
        )


def _names(statement: Statement) -> str:
    return ", ".join(parameter.name for parameter in statement.parameters)


def _unnest(statement: Statement, engine: Engine) -> str:
    dialect = engine.writing.dialect
    arrays = ", ".join(f"%s::{parameter.type.compile(dialect)}[]" for parameter in statement.parameters)
    return f"unnest({arrays})"


def _set_up_reader(driver: Any, _: object) -> None:
    driver.read_only = True
    driver.autocommit = True
    driver.execute("SET jit = off")
    driver.autocommit = False
