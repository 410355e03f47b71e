"""Programs that log in with a name and a password; media; phone books; settings of sub-accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0003_access"
down_revision = "0003_sip"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Four new tables; nothing that is there changes."""
    op.create_table(
        "api_access",
        sa.Column("account_id", _ID, nullable=False, autoincrement=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("allowed", sa.Text(), nullable=False),
        sa.Column("strict", sa.Boolean(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("per_day", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_api_access"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_api_access_account_id"),
        sa.UniqueConstraint("username", name="uq_api_access_username"),
    )
    op.create_table(
        "media",
        sa.Column("id", _ID, nullable=False, autoincrement=False),
        sa.Column("message_id", _ID, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("token", sa.Text()),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary()),
        sa.Column("url", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_media"),
        sa.UniqueConstraint("token", name="uq_media_token"),
    )
    op.create_index("ix_media_message_id", "media", ["message_id"])
    _of_people()


def _of_people() -> None:
    op.create_table(
        "phonebook_entry",
        sa.Column("contact_id", _ID, nullable=False, autoincrement=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("speed_dial", sa.Text()),
        sa.Column("callerid", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", name="pk_phonebook_entry"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_phonebook_entry_contact_id"),
        sa.UniqueConstraint("account_id", "speed_dial", name="uq_phonebook_entry_account_id_speed_dial"),
    )
    op.create_table(
        "sub_account",
        sa.Column("sip_account_id", _ID, nullable=False, autoincrement=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sip_account_id", name="pk_sub_account"),
        sa.ForeignKeyConstraint(["sip_account_id"], ["sip_account.id"], name="fk_sub_account_sip_account_id"),
    )
