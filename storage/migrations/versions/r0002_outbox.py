"""Deliveries get a lane, an owner and a lease; targets can be paused."""

import sqlalchemy as sa
from alembic import op

revision = "0002_outbox"
down_revision = "0002_handlers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is pending keeps its due time, in a lane for each DID."""
    for column in (
        sa.Column("lane", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("owner", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=False, server_default="0"),
    ):
        op.add_column("delivery", column)
    op.execute("UPDATE delivery SET lane = did_id, lease_until = due_at WHERE state = 'pending'")
    op.drop_index("ix_delivery_due", "delivery")
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_delivery_lane",
        "delivery",
        ["lane", "lease_until", "id"],
        sqlite_where=pending,
        postgresql_where=pending,
    )
    op.create_table(
        "paused_target",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("target", name="pk_paused_target"),
    )
