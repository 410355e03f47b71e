"""The country of a phone's numbers, and whether it is asked for receipts."""

import sqlalchemy as sa
from alembic import op

revision = "0003_sip"
down_revision = "0003_handlers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two columns with defaults: nothing changes for the phones that are there."""
    op.add_column("sip_account", sa.Column("region", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column(
        "sip_account", sa.Column("reports", sa.Boolean(), nullable=False, server_default=sa.false())
    )
