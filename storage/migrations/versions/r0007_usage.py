"""What was used stays known when the messages are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0007_usage"
down_revision = "0007_sip"
branch_labels = None
depends_on = None

_IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Of what was removed before there is no count."""
    op.create_table(
        "usage",
        sa.Column("account_id", _IDENTITY, primary_key=True, autoincrement=False),
        sa.Column("begun_at", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("did", sa.Text(), primary_key=True),
        sa.Column("leg", sa.Text(), primary_key=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("received_parts", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("sent_parts", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
