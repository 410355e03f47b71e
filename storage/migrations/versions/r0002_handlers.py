"""What handlers keep: endpoints that fail, forwards, who talks through a DID; dead letters by account."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002_handlers"
down_revision = "0002_smpp"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Three tables, and an index that makes the dead letters of an account quick to find."""
    failed = sa.text("state = 'failed'")
    op.create_index(
        "ix_delivery_failed", "delivery", ["account_id", "id"], sqlite_where=failed, postgresql_where=failed
    )
    op.create_table(
        "endpoint",
        _id("account_id"),
        sa.Column("handler", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=False),
        sa.Column("paused_at", sa.BigInteger()),
        sa.Column("last_outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "handler", "url", name="pk_endpoint"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "forward_sent",
        _id("delivery_id"),
        _id("message_id"),
        sa.Column("hops", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_forward_sent"),
    )
    op.create_index("ix_forward_sent_message_id", "forward_sent", ["message_id"])
    op.create_table(
        "forward_talk",
        _id("did_id"),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("tag", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("did_id", "peer", name="pk_forward_talk"),
        sqlite_with_rowid=False,
    )


def _id(name: str) -> sa.Column[Any]:
    return sa.Column(name, _ID, nullable=False, autoincrement=False)
