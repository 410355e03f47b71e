"""Roles, second factors, sessions that can be told apart, numbers to order, contacts with several numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0005_account"
down_revision = "0005_portal"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NOTHING = sa.text("''")


def upgrade() -> None:
    """Whoever is there owns his account; every number can do SMS, as far as was known."""
    for column in (
        sa.Column("role", sa.Text(), nullable=False, server_default="owner"),
        sa.Column("operator", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("totp_secret", sa.Text()),
        sa.Column("totp_step", sa.BigInteger()),
    ):
        op.add_column("user", column)
    for column in (
        sa.Column("pending", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("used_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("address", sa.Text(), nullable=False, server_default=_NOTHING),
        sa.Column("user_agent", sa.Text(), nullable=False, server_default=_NOTHING),
    ):
        op.add_column("session", column)
    op.add_column("did", sa.Column("sms_capable", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("did", sa.Column("ported_at", sa.BigInteger()))
    op.execute("UPDATE session SET used_at = created_at")
    _new_tables()


def _new_tables() -> None:
    op.create_table(
        "recovery_code",
        sa.Column("user_id", _ID, nullable=False, autoincrement=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name="pk_recovery_code"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_recovery_code_user_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "free_number",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("sms", sa.Boolean(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("account_id", _ID),
        sa.Column("asked_at", sa.BigInteger()),
        sa.Column("asked_by", sa.Text()),
        sa.PrimaryKeyConstraint("number", name="pk_free_number"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_free_number_account_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_free_number_account_id", "free_number", ["account_id"])
    op.create_table(
        "contact_number",
        sa.Column("account_id", _ID, nullable=False, autoincrement=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("contact_id", _ID, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "number", name="pk_contact_number"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_contact_number_contact_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_contact_number_contact_id", "contact_number", ["contact_id"])
