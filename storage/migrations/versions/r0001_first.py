"""The first schema."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Everything that carries SMS between one upstream and its DIDs."""
    _customers()
    _numbers()
    _messages()
    _inbound_parts()
    _deliveries()
    _receipts()


def _customers() -> None:
    _table(
        "account",
        _key("id"),
        _text("name"),
        _time("created_at"),
        sa.UniqueConstraint("name", name="uq_account_name"),
    )
    _table(
        "user",
        _key("id"),
        _reference("account_id"),
        _text("login"),
        _text("password_hash"),
        _time("created_at"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_user_account_id"),
        sa.UniqueConstraint("login", name="uq_user_login"),
    )
    op.create_index("ix_user_account_id", "user", ["account_id"])
    _table(
        "session",
        sa.Column("id", sa.Text(), nullable=False, primary_key=True),
        _reference("user_id"),
        _text("csrf_token"),
        _time("created_at"),
        _time("expires_at"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_session_user_id"),
    )
    op.create_index("ix_session_user_id", "session", ["user_id"])
    op.create_index("ix_session_expires_at", "session", ["expires_at"])
    _table(
        "api_key",
        _key("id"),
        _reference("account_id"),
        _text("name"),
        _text("prefix"),
        _text("key_hash"),
        _time("created_at"),
        _time("revoked_at", null=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_api_key_account_id"),
        sa.UniqueConstraint("key_hash", name="uq_api_key_key_hash"),
        sa.UniqueConstraint("account_id", "name", name="uq_api_key_account_id_name"),
    )


def _numbers() -> None:
    _table(
        "did",
        _key("id"),
        _reference("account_id"),
        _text("number"),
        sa.Column("sms_enabled", sa.Boolean(), nullable=False),
        _time("created_at"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_did_account_id"),
        sa.UniqueConstraint("number", name="uq_did_number"),
    )
    op.create_index("ix_did_account_id", "did", ["account_id"])
    _table(
        "handler_setting",
        _key("id"),
        _reference("did_id"),
        _text("handler"),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        _text("settings"),
        sa.ForeignKeyConstraint(["did_id"], ["did.id"], name="fk_handler_setting_did_id"),
        sa.UniqueConstraint("did_id", "handler", name="uq_handler_setting_did_id_handler"),
    )
    _table(
        "catalog",
        sa.Column("id", sa.Integer(), nullable=False, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_catalog_one_row")),
    )
    op.execute("INSERT INTO catalog (id, version) VALUES (1, 1)")


def _messages() -> None:
    _table(
        "message",
        _key("id"),
        _reference("account_id", null=True),
        _reference("did_id", null=True),
        _text("direction"),
        _text("leg"),
        _text("did"),
        _text("peer"),
        _text("text"),
        _text("upstream", null=True),
        _time("created_at"),
        _number("parts_total"),
        _text("encoding", null=True),
        _number("flags"),
        _reference("duplicate_of", null=True),
        _number("data_coding", null=True),
        _number("esm_class", null=True),
        _octets("raw", null=True),
        _octets("fingerprint", null=True),
        _text("status_callback", null=True),
    )
    op.create_index("ix_message_account", "message", ["account_id", "id"])
    op.create_index("ix_message_conversation", "message", ["account_id", "did", "peer", "id"])
    _table(
        "part",
        _key("id"),
        _reference("message_id"),
        _text("upstream"),
        _number("number"),
        _number("total"),
        _number("esm_class"),
        _number("data_coding"),
        _octets("user_data"),
        _octets("tlvs", null=True),
        _text("state"),
        _number("flags"),
        _number("attempts"),
        _time("due_at"),
        _text("smsc_message_id", null=True),
        sa.Column("command_status", sa.BigInteger()),
        _text("receipt_state", null=True),
        _text("receipt_error", null=True),
        _time("sent_at", null=True),
        _time("answered_at", null=True),
        _time("final_at", null=True),
    )
    op.create_index("ix_part_message_id", "part", ["message_id"])
    _partial_index("ix_part_queued", "part", ["upstream", "due_at", "id"], "state = 'queued'")
    _partial_index("ix_part_open", "part", ["upstream", "id"], "state IN ('sending', 'in_doubt', 'held')")
    _partial_index("ix_part_smsc", "part", ["upstream", "smsc_message_id"], "smsc_message_id IS NOT NULL")


def _inbound_parts() -> None:
    _table(
        "inbound_part",
        _key("id"),
        _text("upstream"),
        _text("source"),
        _text("destination"),
        _text("kind"),
        _number("reference"),
        _number("total"),
        _number("number"),
        _number("esm_class"),
        _number("data_coding"),
        _octets("user_data"),
        _time("received_at"),
        _reference("message_id", null=True),
    )
    _partial_index("ix_inbound_part_open", "inbound_part", ["upstream", "id"], "message_id IS NULL")
    _partial_index("ix_inbound_part_message", "inbound_part", ["message_id"], "message_id IS NOT NULL")


def _deliveries() -> None:
    _table(
        "delivery",
        _key("id"),
        _reference("message_id"),
        _reference("account_id"),
        _reference("did_id"),
        _text("handler"),
        _text("target"),
        _text("state"),
        _number("attempts"),
        _time("due_at"),
        _time("created_at"),
        _time("updated_at"),
        _text("last_outcome", null=True),
        _text("event", null=True),
    )
    op.create_index("ix_delivery_message_id", "delivery", ["message_id"])
    _partial_index("ix_delivery_due", "delivery", ["due_at", "id"], "state = 'pending'")
    _partial_index(
        "uq_delivery_event", "delivery", ["message_id", "handler", "event"], "event IS NOT NULL", unique=True
    )
    _table(
        "attempt",
        _key("delivery_id"),
        sa.Column("number", sa.Integer(), nullable=False, primary_key=True, autoincrement=False),
        _time("started_at"),
        _number("duration_ms"),
        _text("outcome"),
        _number("status_code", null=True),
        _text("excerpt", null=True),
        sqlite_with_rowid=False,
    )


def _receipts() -> None:
    _table(
        "receipt",
        _key("id"),
        _text("upstream"),
        _text("smsc_message_id"),
        _text("state"),
        _text("error", null=True),
        _octets("raw"),
        _time("received_at"),
        _reference("part_id", null=True),
        _time("matched_at", null=True),
        _text("part_state", null=True),
    )
    op.create_index("ix_receipt_smsc", "receipt", ["upstream", "smsc_message_id"])
    _partial_index("ix_receipt_unmatched", "receipt", ["upstream", "id"], "part_id IS NULL")
    _table(
        "receipt_candidate",
        sa.Column("upstream", sa.Text(), nullable=False, primary_key=True),
        sa.Column("smsc_message_id", sa.Text(), nullable=False, primary_key=True),
        _key("receipt_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_receipt_candidate_receipt_id", "receipt_candidate", ["receipt_id"])


def _table(name: str, *columns: Any, **options: Any) -> None:
    keys = [column.name for column in columns if isinstance(column, sa.Column) and column.primary_key]
    for column in columns:
        if isinstance(column, sa.Column):
            column.primary_key = False
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*keys, name=f"pk_{name}"), **options)


def _partial_index(name: str, table: str, columns: list[str], where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _key(name: str) -> sa.Column[Any]:
    return sa.Column(name, _ID, nullable=False, primary_key=True, autoincrement=False)


def _reference(name: str, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _ID, nullable=null)


def _text(name: str, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def _number(name: str, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=null)


def _time(name: str, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _octets(name: str, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=null)
