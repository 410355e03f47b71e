"""The receipts of a part are found by it; conversations of which no message is left go."""

import sqlalchemy as sa
from alembic import op

revision = "0006_store"
down_revision = "0006_smpp"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Conversations are taken away with their last message from now on; these were left by earlier purges."""
    matched = sa.text("part_id IS NOT NULL")
    op.create_index("ix_receipt_part", "receipt", ["part_id"], sqlite_where=matched, postgresql_where=matched)
    op.execute(
        "DELETE FROM conversation WHERE last_message_id = 0 AND NOT EXISTS (SELECT 1 FROM message "
        "WHERE message.account_id = conversation.account_id AND message.did = conversation.did "
        "AND message.peer = conversation.peer)"
    )
