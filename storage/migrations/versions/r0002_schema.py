"""People, conversations, the feed of events, searched words, soft deletion."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002_schema"
down_revision = "0002_mail"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """What is there already gets its conversations; its words are indexed by the server that starts next."""
    op.add_column("message", sa.Column("deletion_id", _ID))
    condition = sa.text("deletion_id IS NOT NULL")
    op.create_index(
        "ix_message_deletion",
        "message",
        ["deletion_id", "id"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
    _contacts()
    _opt_outs()
    _requests()
    _conversations()
    _feed()
    _words()


def _contacts() -> None:
    op.create_table(
        "contact",
        _column("id"),
        _column("account_id"),
        _text("number"),
        _text("name"),
        _text("folded"),
        _text("notes"),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_contact"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_contact_account_id"),
        sa.UniqueConstraint("account_id", "number", name="uq_contact_account_id_number"),
    )
    op.create_index("ix_contact_folded", "contact", ["account_id", "folded", "id"])
    op.create_table(
        "contact_group",
        _column("id"),
        _column("account_id"),
        _text("name"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_contact_group"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_contact_group_account_id"),
        sa.UniqueConstraint("account_id", "name", name="uq_contact_group_account_id_name"),
    )
    op.create_table(
        "contact_membership",
        _column("group_id"),
        _column("contact_id"),
        sa.PrimaryKeyConstraint("group_id", "contact_id", name="pk_contact_membership"),
        sa.ForeignKeyConstraint(["group_id"], ["contact_group.id"], name="fk_contact_membership_group_id"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_contact_membership_contact_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_contact_membership_contact_id", "contact_membership", ["contact_id"])


def _opt_outs() -> None:
    op.create_table(
        "opt_out",
        _column("id"),
        _column("account_id"),
        _text("did"),
        _text("peer"),
        _text("source"),
        _time("at"),
        sa.PrimaryKeyConstraint("id", name="pk_opt_out"),
        sa.UniqueConstraint("account_id", "did", "peer", name="uq_opt_out_account_id_did_peer"),
    )


def _requests() -> None:
    op.create_table(
        "idempotency",
        _column("api_key_id"),
        _text("method"),
        _text("path"),
        _text("key"),
        _column("account_id"),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        _text("response"),
        _time("created_at"),
        _time("expires_at"),
        sa.PrimaryKeyConstraint("api_key_id", "method", "path", "key", name="pk_idempotency"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_idempotency_expires_at", "idempotency", ["expires_at"])
    op.create_table(
        "retention",
        _column("account_id"),
        _text("kind"),
        _time("keep_ms"),
        sa.PrimaryKeyConstraint("account_id", "kind", name="pk_retention"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit",
        _column("id"),
        _column("account_id", null=True),
        _time("at"),
        _text("actor"),
        _text("action"),
        _text("subject"),
        _text("detail"),
        _text("address", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_account", "audit", ["account_id", "id"])


def _conversations() -> None:
    op.create_table(
        "conversation",
        _column("account_id"),
        _text("did"),
        _text("peer"),
        _column("last_message_id"),
        _column("last_inbound_id"),
        _column("read_id", server_default=sa.text("0")),
        _column("archived_id", server_default=sa.text("0")),
        sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("muted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("account_id", "did", "peer", name="pk_conversation"),
        sqlite_with_rowid=False,
    )
    # What was there before unread counts began counts as read.
    op.execute(
        "INSERT INTO conversation (account_id, did, peer, last_message_id, last_inbound_id, read_id) "
        "SELECT account_id, did, peer, max(id), coalesce(max(CASE WHEN direction = 'mo' THEN id END), 0), "
        "max(id) FROM message WHERE account_id IS NOT NULL GROUP BY account_id, did, peer"
    )
    op.create_index("ix_conversation_last", "conversation", ["account_id", "last_message_id"])


def _feed() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    number = "pg_current_xact_id()::text::bigint" if postgresql else "0"
    op.create_table(
        "event",
        sa.Column("id", _ID, nullable=False, autoincrement=True),
        sa.Column("xact", sa.BigInteger(), nullable=False, server_default=sa.text(number)),
        _column("account_id", null=True),
        _text("kind"),
        _column("subject_id"),
        _time("at"),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_event_account", "event", ["account_id", "xact", "id"])
    if postgresql:
        op.create_index("ix_event_order", "event", ["xact", "id"])
    op.create_table(
        "feed",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        _time("epoch"),
        _time("purged_xact"),
        _column("purged_id"),
        sa.PrimaryKeyConstraint("id", name="pk_feed"),
        sa.CheckConstraint("id = 1", name=op.f("ck_feed_one_row")),
    )
    op.execute("INSERT INTO feed (id, epoch, purged_xact, purged_id) VALUES (1, 1, 0, 0)")
    op.create_table(
        "follower",
        _text("name"),
        _time("xact"),
        _column("event_id"),
        sa.PrimaryKeyConstraint("name", name="pk_follower"),
        sqlite_with_rowid=False,
    )


def _words() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TABLE message_words (message_id BIGINT NOT NULL, account_id BIGINT NOT NULL, "
            "words TSVECTOR NOT NULL, CONSTRAINT pk_message_words PRIMARY KEY (message_id))"
        )
        op.execute("CREATE INDEX ix_message_words_account ON message_words (account_id, message_id)")
        op.execute("CREATE INDEX ix_message_words_words ON message_words USING gin (words)")
    else:
        op.execute(
            "CREATE VIRTUAL TABLE message_words USING fts5"
            "(words, content='', detail=none, columnsize=0, tokenize=ascii)"
        )
    op.execute("INSERT INTO follower (name, xact, event_id) VALUES ('search', 0, 0)")
    op.execute(
        "INSERT INTO follower (name, xact, event_id) "
        "SELECT 'search history', 0, coalesce(max(id), 0) + 1 FROM message"
    )


def _column(name: str, null: bool = False, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, _ID, nullable=null, autoincrement=False, **options)


def _text(name: str, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def _time(name: str, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=null)
