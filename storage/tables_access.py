"""The tables of programs that log in with a name and a password, and of what only they know: media, phone
books."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from storage.schema import Id, key, metadata

# How an account's programs get in, when they cannot send a bearer key. ``allowed`` has the addresses that
# they may come from, with blanks between; 0 as a limit stands for none.
api_access = Table(
    "api_access",
    metadata,
    Column("account_id", Id, ForeignKey("account.id"), primary_key=True, autoincrement=False),
    Column("username", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("allowed", Text, nullable=False),
    Column("strict", Boolean, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("per_minute", Integer, nullable=False),
    Column("per_day", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# What was sent along with a message: octets that we serve, or the URL of somebody else's. Whoever has the
# token may have the octets.
media = Table(
    "media",
    metadata,
    key(),
    Column("message_id", Id, nullable=False, index=True),
    Column("account_id", Id, nullable=False),
    Column("position", Integer, nullable=False),
    Column("token", Text, unique=True),
    Column("content_type", Text, nullable=False),
    Column("content", LargeBinary),
    Column("url", Text),
)

# What a phone book has beside a contact's name and number.
phonebook_entry = Table(
    "phonebook_entry",
    metadata,
    Column("contact_id", Id, ForeignKey("contact.id"), primary_key=True, autoincrement=False),
    Column("account_id", Id, nullable=False),
    Column("speed_dial", Text),
    Column("callerid", Text, nullable=False),
    UniqueConstraint("account_id", "speed_dial"),
)

# What programs set of a SIP account, and we only keep (JSON).
sub_account = Table(
    "sub_account",
    metadata,
    Column("sip_account_id", Id, ForeignKey("sip_account.id"), primary_key=True, autoincrement=False),
    Column("settings", Text, nullable=False),
)
