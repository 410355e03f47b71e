"""Which of our sockets a phone is known by."""

import sqlalchemy as sa
from alembic import op

revision = "0007_sip"
down_revision = "0006_store"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One more column, unknown until the phone's next REGISTER."""
    op.add_column("sip_binding", sa.Column("local", sa.Text()))
