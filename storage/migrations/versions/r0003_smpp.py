"""How far a reading of a receipt's id is from what was sent."""

import sqlalchemy as sa
from alembic import op

revision = "0003_smpp"
down_revision = "0002_sip"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What waits already was to be matched by any reading, and still is."""
    op.add_column(
        "receipt_candidate", sa.Column("distance", sa.Integer(), nullable=False, server_default="0")
    )
