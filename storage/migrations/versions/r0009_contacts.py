"""The first number of a contact has a label too."""

import sqlalchemy as sa
from alembic import op

revision = "0009_contacts"
down_revision = "0008_probe"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What the file said of those that came with one is not known any more."""
    op.add_column("contact", sa.Column("label", sa.Text(), nullable=False, server_default=sa.text("''")))
