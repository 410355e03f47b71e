"""Deliveries know when their schedule began anew; failing endpoints, when they last failed."""

import sqlalchemy as sa
from alembic import op

revision = "0003_handlers"
down_revision = "0003_smpp"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing was replayed yet, as far as anybody knows; an endpoint failed last when it began to."""
    op.add_column("delivery", sa.Column("replayed_at", sa.BigInteger(), nullable=True))
    op.add_column("delivery", sa.Column("tries_before", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(
        "endpoint", sa.Column("last_failed_at", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.execute("UPDATE endpoint SET last_failed_at = failing_since")
