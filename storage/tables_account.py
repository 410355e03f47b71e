"""The tables behind a customer's account: the second factor's spare codes, numbers that nobody has yet, and
what was used."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Table, Text

from storage.schema import Id, metadata

# What lets somebody in once who has lost his second factor; only the SHA-256 (hex) of a code is kept.
recovery_code = Table(
    "recovery_code",
    metadata,
    Column("user_id", Id, ForeignKey("user.id"), primary_key=True, autoincrement=False),
    Column("code_hash", Text, primary_key=True),
    Column("used_at", BigInteger),
    sqlite_with_rowid=False,
)

# The numbers that customers can order. ``account_id`` has asked for it, and waits for the operator's yes.
free_number = Table(
    "free_number",
    metadata,
    Column("number", Text, primary_key=True),
    Column("country", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("sms", Boolean, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("account_id", Id, ForeignKey("account.id"), index=True),
    Column("asked_at", BigInteger),
    Column("asked_by", Text),
    sqlite_with_rowid=False,
)

# What the messages that were removed had been: how many in the time that begins then.
usage = Table(
    "usage",
    metadata,
    Column("account_id", Id, primary_key=True, autoincrement=False),
    Column("begun_at", BigInteger, primary_key=True, autoincrement=False),
    Column("did", Text, primary_key=True),
    Column("leg", Text, primary_key=True),
    Column("received", BigInteger, nullable=False),
    Column("received_parts", BigInteger, nullable=False),
    Column("sent", BigInteger, nullable=False),
    Column("sent_parts", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
