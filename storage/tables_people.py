"""The tables of people (contacts, opt-outs), of drafts, requests, rules and changes."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.schema import Id, key, metadata

EVERY_ACCOUNT = 0
"""Stands for every account in ``opt_out`` and ``retention``; no account has this id."""

EVERY_DID = ""
"""Stands for every DID in ``opt_out``."""

contact = Table(
    "contact",
    metadata,
    key(),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False),
    Column("number", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("folded", Text, nullable=False),
    Column("notes", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("label", Text, nullable=False, server_default=text("''")),
    UniqueConstraint("account_id", "number"),
)
Index("ix_contact_folded", contact.c.account_id, contact.c.folded, contact.c.id)

contact_group = Table(
    "contact_group",
    metadata,
    key(),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("account_id", "name"),
)

contact_membership = Table(
    "contact_membership",
    metadata,
    Column("group_id", Id, ForeignKey("contact_group.id"), primary_key=True, autoincrement=False),
    Column("contact_id", Id, ForeignKey("contact.id"), primary_key=True, autoincrement=False, index=True),
    sqlite_with_rowid=False,
)

# The numbers that a contact has beside the one in ``contact``. A number is in one of the two, once.
contact_number = Table(
    "contact_number",
    metadata,
    Column("account_id", Id, primary_key=True, autoincrement=False),
    Column("number", Text, primary_key=True),
    Column("contact_id", Id, ForeignKey("contact.id"), nullable=False, index=True),
    Column("label", Text, nullable=False),
    sqlite_with_rowid=False,
)

# What a user has begun to write in a conversation.
draft = Table(
    "draft",
    metadata,
    Column("user_id", Id, ForeignKey("user.id"), primary_key=True, autoincrement=False),
    Column("did", Text, primary_key=True),
    Column("peer", Text, primary_key=True),
    Column("account_id", Id, nullable=False),
    Column("text", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("ix_draft_account", draft.c.account_id, draft.c.peer)

opt_out = Table(
    "opt_out",
    metadata,
    key(),
    Column("account_id", Id, nullable=False),
    Column("did", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("account_id", "did", "peer"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("api_key_id", Id, primary_key=True, autoincrement=False),
    Column("method", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("account_id", Id, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("response", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

retention = Table(
    "retention",
    metadata,
    Column("account_id", Id, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("keep_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    key(),
    Column("account_id", Id),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("address", Text),
)
Index("ix_audit_account", audit.c.account_id, audit.c.id)
