"""SIP accounts, where their phones are, and the requests that were taken."""

import sqlalchemy as sa
from alembic import op

revision = "0002_sip"
down_revision = "0002_schema"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Three new tables; nothing that is there changes."""
    op.create_table(
        "sip_account",
        sa.Column("id", _ID, nullable=False, autoincrement=False),
        sa.Column("account_id", _ID, nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("username", "domain", "ha1_md5", "ha1_sha256")
        ),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("dids", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sip_account"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_sip_account_account_id"),
        sa.UniqueConstraint("username", "domain", name="uq_sip_account_username_domain"),
    )
    op.create_index("ix_sip_account_account_id", "sip_account", ["account_id"])
    _bindings()
    op.create_table(
        "sip_transaction",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("message_id", _ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_sip_transaction"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sip_transaction_created_at", "sip_transaction", ["created_at"])


def _bindings() -> None:
    op.create_table(
        "sip_binding",
        sa.Column("id", _ID, nullable=False, autoincrement=False),
        sa.Column("sip_account_id", _ID, nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text()),
        sa.Column("reg_id", sa.Text()),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("cseq", sa.BigInteger(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text()),
        sa.Column("user_agent", sa.Text()),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sip_binding"),
        sa.ForeignKeyConstraint(["sip_account_id"], ["sip_account.id"], name="fk_sip_binding_sip_account_id"),
        sa.UniqueConstraint("sip_account_id", "contact", name="uq_sip_binding_sip_account_id_contact"),
    )
