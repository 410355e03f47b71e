"""Whether the store takes a message is found out by writing as much as one."""

import sqlalchemy as sa
from alembic import op

revision = "0008_probe"
down_revision = "0007_usage"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Its one row comes with the first probe."""
    op.create_table(
        "probe",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("octets", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_probe_one_row")),
    )
