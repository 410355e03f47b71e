"""API keys with scopes, an end, a last use, a limit of their own, and a token before that still works."""

import sqlalchemy as sa
from alembic import op

revision = "0004_api"
down_revision = "0003_access"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The keys that are there may do everything, as they could."""
    op.add_column("api_key", sa.Column("scopes", sa.Text(), nullable=False, server_default="*"))
    op.add_column("api_key", sa.Column("expires_at", sa.BigInteger()))
    op.add_column("api_key", sa.Column("last_used_at", sa.BigInteger()))
    op.add_column("api_key", sa.Column("requests_per_minute", sa.Integer()))
    op.add_column("api_key", sa.Column("previous_hash", sa.Text()))
    op.add_column("api_key", sa.Column("previous_until", sa.BigInteger()))
