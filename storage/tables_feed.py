"""The tables that follow the messages: conversations, the feed of events and who reads it, searched words.

``message_words`` is no table of SQLAlchemy's: on SQLite it is a virtual one (FTS5). `WORDS_DDL` makes it.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy import (
    event as listening,
)

from storage.schema import Id, metadata, transaction_number

# One row for each (account, DID, peer), written with each message. What a person did is kept as the id up to
# which it holds: read up to, archived up to. A newer message outdoes it without a word.
conversation = Table(
    "conversation",
    metadata,
    Column("account_id", Id, primary_key=True, autoincrement=False),
    Column("did", Text, primary_key=True),
    Column("peer", Text, primary_key=True),
    Column("last_message_id", Id, nullable=False),
    Column("last_inbound_id", Id, nullable=False),
    Column("read_id", Id, nullable=False, server_default=text("0")),
    Column("archived_id", Id, nullable=False, server_default=text("0")),
    Column("pinned", Boolean, nullable=False, server_default=false()),
    Column("muted", Boolean, nullable=False, server_default=false()),
    sqlite_with_rowid=False,
)
Index("ix_conversation_last", conversation.c.account_id, conversation.c.last_message_id)

event = Table(
    "event",
    metadata,
    Column("id", Id, primary_key=True),
    Column("xact", BigInteger, nullable=False, server_default=transaction_number()),
    Column("account_id", Id),
    Column("kind", Text, nullable=False),
    Column("subject_id", Id, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_event_account", event.c.account_id, event.c.xact, event.c.id)
Index("ix_event_order", event.c.xact, event.c.id).ddl_if(dialect="postgresql")

# One row: which history the cursors belong to, and up to where the feed was purged.
feed = Table(
    "feed",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("purged_xact", BigInteger, nullable=False),
    Column("purged_id", Id, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# Readers of the feed whose place is kept in the store.
follower = Table(
    "follower",
    metadata,
    Column("name", Text, primary_key=True),
    Column("xact", BigInteger, nullable=False),
    Column("event_id", Id, nullable=False),
    sqlite_with_rowid=False,
)

WORDS_DDL = {
    "sqlite": (
        "CREATE VIRTUAL TABLE message_words USING fts5"
        "(words, content='', detail=none, columnsize=0, tokenize=ascii)",
    ),
    "postgresql": (
        "CREATE TABLE message_words (message_id BIGINT NOT NULL, account_id BIGINT NOT NULL, "
        "words TSVECTOR NOT NULL, CONSTRAINT pk_message_words PRIMARY KEY (message_id))",
        "CREATE INDEX ix_message_words_account ON message_words (account_id, message_id)",
        "CREATE INDEX ix_message_words_words ON message_words USING gin (words)",
    ),
}
"""What makes the index of words, for each engine."""

for _dialect, _statements in WORDS_DDL.items():
    for _statement in _statements:
        listening.listen(metadata, "after_create", DDL(_statement).execute_if(dialect=_dialect))
    listening.listen(metadata, "before_drop", DDL("DROP TABLE message_words").execute_if(dialect=_dialect))
