"""What every table is made with: the metadata, the type of ids, partial indexes, a transaction's number."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Only a column of type INTEGER is SQLite's own row key; a BIGINT key would be a second tree beside the table.
Id = BigInteger().with_variant(Integer(), "sqlite")


def key() -> Column[int]:
    """The primary key of a table whose ids we make ourselves."""
    return Column("id", Id, primary_key=True, autoincrement=False)


def partial(name: str, where: str, *columns: Column[Any], unique: bool = False) -> Index:
    """An index of the rows for which the condition holds."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


class transaction_number(FunctionElement[int]):
    """The number of the running transaction; 0 on SQLite, whose one writer at a time needs none."""

    inherit_cache = True
    type = BigInteger()


@compiles(transaction_number)
def _no_number(element: transaction_number, compiler: Any, **_: Any) -> str:
    return "0"


@compiles(transaction_number, "postgresql")
def _xid8(element: transaction_number, compiler: Any, **_: Any) -> str:
    return "pg_current_xact_id()::text::bigint"
