"""Mail: conversations that reply tokens name, mail that was seen, notices that are owed."""

import sqlalchemy as sa
from alembic import op

revision = "0002_mail"
down_revision = "0002_outbox"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Three tables."""
    _conversations()
    _seen()
    _notices()


def _conversations() -> None:
    op.create_table(
        "mail_conversation",
        sa.Column("id", _ID, nullable=False, autoincrement=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("did_id", _ID, nullable=False),
        sa.Column("did", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_mail_conversation"),
    )
    still_open = sa.text("revoked_at IS NULL")
    op.create_index(
        "uq_mail_conversation_open",
        "mail_conversation",
        ["account_id", "did", "peer"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )


def _seen() -> None:
    op.create_table(
        "mail_seen",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("conversation_id", _ID),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("message_id", _ID),
        sa.PrimaryKeyConstraint("key", name="pk_mail_seen"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_mail_seen_received_at", "mail_seen", ["received_at"])
    op.create_index("ix_mail_seen_conversation", "mail_seen", ["conversation_id", "received_at"])


def _notices() -> None:
    texts = ("did", "peer", "recipient", "code", "sentence", "excerpt", "in_reply_to", "state")
    op.create_table(
        "mail_notice",
        sa.Column("id", _ID, nullable=False, autoincrement=False),
        sa.Column("account_id", _ID, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_outcome", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_mail_notice"),
    )
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_mail_notice_due",
        "mail_notice",
        ["due_at", "id"],
        sqlite_where=pending,
        postgresql_where=pending,
    )
