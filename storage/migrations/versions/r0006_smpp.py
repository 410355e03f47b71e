"""When upstreams ended in order."""

import sqlalchemy as sa
from alembic import op

revision = "0006_smpp"
down_revision = "0005_account"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Before this nobody wrote it down: the first start after the upgrade is as careful as all were."""
    op.create_table(
        "orderly_end",
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("upstream", name="pk_orderly_end"),
    )
