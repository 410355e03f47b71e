"""The numbers of a receipt."""

import sqlalchemy as sa
from alembic import op

revision = "0004_smpp"
down_revision = "0004_api"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of those that came before they are not known, and so do not count."""
    for name in ("did", "peer"):
        op.add_column("receipt", sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''")))
