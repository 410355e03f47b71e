"""An account's messages, or a conversation's, as JSONL or CSV: in pieces, each read by itself.

    head(format), then batch(connection, account_id, format, wanted, after_id) until ``next_id`` is None

Oldest first. Give the filter ``up_to_id`` (the newest id at the beginning), so that an export ends.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Connection, func, select

from storage import messages
from storage.history import EVERYTHING, Filter
from storage.records import MessageFlag, MessageView
from storage.tables import message

Format = Literal["jsonl", "csv"]
BATCH = 200
COLUMNS = (
    "id",
    "time",
    "direction",
    "did",
    "peer",
    "text",
    "status",
    "leg",
    "parts",
    "encoding",
    "incomplete",
    "possible_duplicate",
    "erased",
)

# Spreadsheets take a cell that begins so for a formula; a text from a stranger must not be one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBERS = ("did", "peer")


@dataclass(frozen=True, slots=True)
class Piece:
    """Text to be written as it is (UTF-8), and after which id the next piece begins; None: that was all."""

    text: str
    next_id: int | None


def newest_id(connection: Connection, account_id: int) -> int:
    """The newest message of this account; 0 if there is none."""
    query = select(func.max(message.c.id)).where(*EVERYTHING.conditions(account_id))
    return connection.scalar(query) or 0


def head(form: Format) -> str:
    """What comes before the first piece."""
    return _csv([dict(zip(COLUMNS, COLUMNS, strict=True))]) if form == "csv" else ""


def batch(
    connection: Connection,
    account_id: int,
    form: Format,
    wanted: Filter = EVERYTHING,
    after_id: int = 0,
    limit: int = BATCH,
) -> Piece:
    """The next piece of an export of this account."""
    query = select(message).where(*wanted.conditions(account_id), message.c.id > after_id)
    views = messages.views(connection, query.order_by(message.c.id).limit(limit))
    rows = [_row(view) for view in views]
    written = _csv(rows) if form == "csv" else "".join(f"{_json(row)}\n" for row in rows)
    return Piece(written, views[-1].message.id if len(views) == limit else None)


def _row(view: MessageView) -> dict[str, object]:
    record = view.message
    at = datetime.fromtimestamp(record.created_at / 1000, UTC)
    values = (
        record.id,
        at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        record.direction,
        record.did,
        record.peer,
        record.text,
        messages.status_of(record, view.parts).value,
        record.leg,
        record.parts_total,
        record.encoding or "",
        bool(record.flags & MessageFlag.INCOMPLETE),
        bool(record.flags & MessageFlag.POSSIBLE_DUPLICATE),
        bool(record.flags & MessageFlag.ERASED),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _json(row: Mapping[str, object]) -> str:
    return json.dumps(row, ensure_ascii=False)


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, COLUMNS, lineterminator="\r\n")
    for row in rows:
        writer.writerow({name: _cell(name, value) for name, value in row.items()})
    return written.getvalue()


def _cell(name: str, value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.startswith(_FORMULA) and name not in _NUMBERS:
        return f"'{value}"
    return value
