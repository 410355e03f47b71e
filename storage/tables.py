"""The schema, as SQLAlchemy Core tables. `storage.migrations` builds it; a test holds the two together.

The tables of the message path carry no foreign keys among themselves: their rows are written together in
one transaction by one writer, and a check for each row costs more than the row. Settings tables have them.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from storage.schema import Id, metadata
from storage.schema import key as _id
from storage.schema import partial as _partial
from storage.tables_access import api_access, media, phonebook_entry, sub_account
from storage.tables_account import free_number, recovery_code, usage
from storage.tables_feed import conversation, event, feed, follower
from storage.tables_people import (
    audit,
    contact,
    contact_group,
    contact_membership,
    contact_number,
    draft,
    idempotency,
    opt_out,
    retention,
)

__all__ = [
    "PART_OPEN",
    "Id",
    "account",
    "api_access",
    "api_key",
    "attempt",
    "audit",
    "catalog",
    "contact",
    "contact_group",
    "contact_membership",
    "contact_number",
    "conversation",
    "delivery",
    "did",
    "draft",
    "event",
    "feed",
    "follower",
    "free_number",
    "handler_setting",
    "idempotency",
    "inbound_part",
    "media",
    "message",
    "metadata",
    "opt_out",
    "part",
    "phonebook_entry",
    "probe",
    "receipt",
    "receipt_candidate",
    "recovery_code",
    "retention",
    "session",
    "sub_account",
    "usage",
    "user",
]

account = Table(
    "account",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
)

user = Table(
    "user",
    metadata,
    _id(),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False, index=True),
    Column("login", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("language", Text, nullable=False, server_default=text("''")),
    Column("timezone", Text, nullable=False, server_default=text("''")),
    Column("enter_sends", Boolean, nullable=False, server_default=true()),
    Column("single_keys", Boolean, nullable=False, server_default=true()),
    Column("role", Text, nullable=False, server_default="owner"),
    Column("operator", Boolean, nullable=False, server_default=false()),
    Column("totp_secret", Text),
    Column("totp_step", BigInteger),
)

session = Table(
    "session",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Id, ForeignKey("user.id"), nullable=False, index=True),
    Column("csrf_token", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("pending", Boolean, nullable=False, server_default=false()),
    Column("used_at", BigInteger, nullable=False, server_default="0"),
    Column("address", Text, nullable=False, server_default=text("''")),
    Column("user_agent", Text, nullable=False, server_default=text("''")),
)

api_key = Table(
    "api_key",
    metadata,
    _id(),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("scopes", Text, nullable=False, server_default="*"),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("requests_per_minute", Integer),
    Column("previous_hash", Text),
    Column("previous_until", BigInteger),
    UniqueConstraint("account_id", "name"),
)

did = Table(
    "did",
    metadata,
    _id(),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False, index=True),
    Column("number", Text, nullable=False, unique=True),
    Column("sms_enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("sms_capable", Boolean, nullable=False, server_default=true()),
    Column("ported_at", BigInteger),
)

handler_setting = Table(
    "handler_setting",
    metadata,
    _id(),
    Column("did_id", Id, ForeignKey("did.id"), nullable=False),
    Column("handler", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("settings", Text, nullable=False),
    UniqueConstraint("did_id", "handler"),
)

catalog = Table(
    "catalog",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# One row, which says nothing: see `Store.probe`.
probe = Table(
    "probe",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("octets", LargeBinary, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

message = Table(
    "message",
    metadata,
    _id(),
    Column("account_id", Id),
    Column("did_id", Id),
    Column("direction", Text, nullable=False),
    Column("leg", Text, nullable=False),
    Column("did", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("upstream", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("parts_total", Integer, nullable=False),
    Column("encoding", Text),
    Column("flags", Integer, nullable=False),
    Column("duplicate_of", Id),
    Column("data_coding", Integer),
    Column("esm_class", Integer),
    Column("raw", LargeBinary),
    Column("fingerprint", LargeBinary),
    Column("status_callback", Text),
    Column("deletion_id", Id),
)
Index("ix_message_account", message.c.account_id, message.c.id)
Index("ix_message_conversation", message.c.account_id, message.c.did, message.c.peer, message.c.id)
_partial("ix_message_deletion", "deletion_id IS NOT NULL", message.c.deletion_id, message.c.id)

part = Table(
    "part",
    metadata,
    _id(),
    Column("message_id", Id, nullable=False, index=True),
    Column("upstream", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("esm_class", Integer, nullable=False),
    Column("data_coding", Integer, nullable=False),
    Column("user_data", LargeBinary, nullable=False),
    Column("tlvs", LargeBinary),
    Column("state", Text, nullable=False),
    Column("flags", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("smsc_message_id", Text),
    Column("command_status", BigInteger),
    Column("receipt_state", Text),
    Column("receipt_error", Text),
    Column("sent_at", BigInteger),
    Column("answered_at", BigInteger),
    Column("final_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("refused_by", Text),
)
_partial("ix_part_queued", "state = 'queued'", part.c.upstream, part.c.due_at, part.c.id)
PART_PASSING = "state = 'queued' AND expires_at IS NOT NULL"
"""As `PART_OPEN`: a query must say it in these words."""
_partial("ix_part_passing", PART_PASSING, part.c.upstream, part.c.expires_at)
PART_OPEN = "state IN ('sending', 'in_doubt', 'held')"
"""To be said in these words by a query that wants the index: SQLite compares the text."""
_partial("ix_part_open", PART_OPEN, part.c.upstream, part.c.id)
_partial("ix_part_smsc", "smsc_message_id IS NOT NULL", part.c.upstream, part.c.smsc_message_id)

inbound_part = Table(
    "inbound_part",
    metadata,
    _id(),
    Column("upstream", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reference", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("esm_class", Integer, nullable=False),
    Column("data_coding", Integer, nullable=False),
    Column("user_data", LargeBinary, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("message_id", Id),
)
_partial("ix_inbound_part_open", "message_id IS NULL", inbound_part.c.upstream, inbound_part.c.id)
_partial("ix_inbound_part_message", "message_id IS NOT NULL", inbound_part.c.message_id)

delivery = Table(
    "delivery",
    metadata,
    _id(),
    Column("message_id", Id, nullable=False, index=True),
    Column("account_id", Id, nullable=False),
    Column("did_id", Id, nullable=False),
    Column("handler", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("last_outcome", Text),
    Column("event", Text),
    Column("lane", BigInteger, nullable=False, server_default="0"),
    Column("owner", BigInteger),
    Column("lease_until", BigInteger, nullable=False, server_default="0"),
    Column("replayed_at", BigInteger),
    Column("tries_before", Integer, nullable=False, server_default="0"),
)
_partial("ix_delivery_failed", "state = 'failed'", delivery.c.account_id, delivery.c.id)
_partial("ix_delivery_lane", "state = 'pending'", delivery.c.lane, delivery.c.lease_until, delivery.c.id)
_partial(
    "uq_delivery_event",
    "event IS NOT NULL",
    delivery.c.message_id,
    delivery.c.handler,
    delivery.c.event,
    unique=True,
)

# When the links of an upstream last ended in order: see `storage.orderly`.
orderly_end = Table(
    "orderly_end",
    metadata,
    Column("upstream", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
)

# What an operator has stopped: the key of a target (see `edge.targets`), since when and why.
paused_target = Table(
    "paused_target",
    metadata,
    Column("target", Text, primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
)

attempt = Table(
    "attempt",
    metadata,
    Column("delivery_id", Id, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at", BigInteger, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status_code", Integer),
    Column("excerpt", Text),
    sqlite_with_rowid=False,
)

receipt = Table(
    "receipt",
    metadata,
    _id(),
    Column("upstream", Text, nullable=False),
    Column("smsc_message_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("error", Text),
    Column("raw", LargeBinary, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("part_id", Id),
    Column("matched_at", BigInteger),
    Column("part_state", Text),
    Column("did", Text, nullable=False, server_default=text("''")),
    Column("peer", Text, nullable=False, server_default=text("''")),
)
Index("ix_receipt_smsc", receipt.c.upstream, receipt.c.smsc_message_id)
_partial("ix_receipt_part", "part_id IS NOT NULL", receipt.c.part_id)
_partial("ix_receipt_unmatched", "part_id IS NULL", receipt.c.upstream, receipt.c.id)

# The ids under which an unmatched receipt may still find its part, and how far from what was sent each is (as
# storage/receipts.py says). A row goes when the receipt is matched.
receipt_candidate = Table(
    "receipt_candidate",
    metadata,
    Column("upstream", Text, primary_key=True),
    Column("smsc_message_id", Text, primary_key=True),
    Column("receipt_id", Id, primary_key=True, autoincrement=False, index=True),
    Column("distance", Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

# Where handlers post to and have failed since; see storage/endpoints.py.
endpoint = Table(
    "endpoint",
    metadata,
    Column("account_id", Id, primary_key=True, autoincrement=False),
    Column("handler", Text, primary_key=True),
    Column("url", Text, primary_key=True),
    Column("failing_since", BigInteger, nullable=False),
    Column("paused_at", BigInteger),
    Column("last_outcome", Text, nullable=False),
    Column("last_failed_at", BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

# The message that a forward's delivery made; see storage/forwards.py.
forward_sent = Table(
    "forward_sent",
    metadata,
    Column("delivery_id", Id, primary_key=True, autoincrement=False),
    Column("message_id", Id, nullable=False, index=True),
    Column("hops", Integer, nullable=False),
)

# Who writes to a DID that forwards, and the tag that an answer may name him by.
forward_talk = Table(
    "forward_talk",
    metadata,
    Column("did_id", Id, primary_key=True, autoincrement=False),
    Column("peer", Text, primary_key=True),
    Column("tag", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

sip_account = Table(
    "sip_account",
    metadata,
    _id(),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False, index=True),
    Column("username", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("ha1_md5", Text, nullable=False),
    Column("ha1_sha256", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("dids", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("region", Text, nullable=False, server_default=text("''")),
    Column("reports", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("username", "domain"),
)

sip_binding = Table(
    "sip_binding",
    metadata,
    _id(),
    Column("sip_account_id", Id, ForeignKey("sip_account.id"), nullable=False),
    Column("contact", Text, nullable=False),
    Column("instance", Text),
    Column("reg_id", Text),
    Column("call_id", Text, nullable=False),
    Column("cseq", BigInteger, nullable=False),
    Column("transport", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("path", Text),
    Column("user_agent", Text),
    Column("registered_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("local", Text),
    UniqueConstraint("sip_account_id", "contact"),
)

# Requests that were taken, so that a retransmission after a restart is not taken twice.
sip_transaction = Table(
    "sip_transaction",
    metadata,
    Column("key", Text, primary_key=True),
    Column("message_id", Id, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

mail_conversation = Table(
    "mail_conversation",
    metadata,
    _id(),
    Column("account_id", Id, nullable=False),
    Column("did_id", Id, nullable=False),
    Column("did", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)
_partial(
    "uq_mail_conversation_open",
    "revoked_at IS NULL",
    mail_conversation.c.account_id,
    mail_conversation.c.did,
    mail_conversation.c.peer,
    unique=True,
)

mail_seen = Table(
    "mail_seen",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("conversation_id", Id),
    Column("received_at", BigInteger, nullable=False, index=True),
    Column("outcome", Text, nullable=False),
    Column("message_id", Id),
    sqlite_with_rowid=False,
)
Index("ix_mail_seen_conversation", mail_seen.c.conversation_id, mail_seen.c.received_at)

mail_notice = Table(
    "mail_notice",
    metadata,
    _id(),
    Column("account_id", Id, nullable=False),
    Column("did", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("excerpt", Text, nullable=False),
    Column("in_reply_to", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_outcome", Text),
)
_partial("ix_mail_notice_due", "state = 'pending'", mail_notice.c.due_at, mail_notice.c.id)
