"""Parts that expire, and messages that go from one upstream to another."""

import sqlalchemy as sa
from alembic import op

revision = "0002_smpp"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Both columns are empty for what is there."""
    op.add_column("part", sa.Column("expires_at", sa.BigInteger()))
    op.add_column("part", sa.Column("refused_by", sa.Text()))
    condition = sa.text("state = 'queued' AND expires_at IS NOT NULL")
    op.create_index(
        "ix_part_passing",
        "part",
        ["upstream", "expires_at"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
