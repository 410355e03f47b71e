"""How a user likes the portal, and what he has begun to write."""

import sqlalchemy as sa
from alembic import op

revision = "0005_portal"
down_revision = "0004_smpp"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Who was there before has chosen nothing."""
    for name in ("language", "timezone"):
        op.add_column("user", sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''")))
    for name in ("enter_sends", "single_keys"):
        op.add_column("user", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.true()))
    draft = op.create_table(
        "draft",
        sa.Column("user_id", _ID, nullable=False, autoincrement=False),
        sa.Column("did", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_draft_user_id_user"),
        sa.PrimaryKeyConstraint("user_id", "did", "peer", name="pk_draft"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_draft_account", draft.name, ["account_id", "peer"])
