"""The ledger: only the arrows of the table; evidence that is never fenced; doubts by their age; what was sent again.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REFUSE = """
    CREATE FUNCTION refuse_arrow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'message % may not go from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', HINT = 'the arrows are in scheduler/outbox/arrows.py';
    END $$
"""
_ARROWS = """
    CREATE TRIGGER message_arrow AFTER UPDATE OF state ON message FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state AND OLD.state || '>' || NEW.state NOT IN (
        'cancelled>sent', 'dead>sent', 'delivered>read', 'denied>sent', 'due>cancelled', 'due>denied',
        'due>expired', 'due>refused', 'due>scheduled', 'due>sending', 'due>sent', 'expired>sent',
        'in_doubt>due', 'in_doubt>refused', 'in_doubt>scheduled', 'in_doubt>sent', 'in_doubt>unconfirmed',
        'refused>sent', 'scheduled>cancelled', 'scheduled>due', 'scheduled>expired', 'scheduled>sent',
        'sending>dead', 'sending>due', 'sending>in_doubt', 'sending>refused', 'sending>scheduled',
        'sending>sent', 'sent>delivered', 'sent>read', 'unconfirmed>sent'
    ))
    EXECUTE FUNCTION refuse_arrow()
"""
_REFUSE_EDIT = """
    CREATE FUNCTION refuse_log_edit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'rows of message_log are only ever added' USING ERRCODE = 'check_violation';
    END $$
"""
_APPEND_ONLY = """
    CREATE TRIGGER message_log_append_only BEFORE UPDATE ON message_log FOR EACH ROW EXECUTE FUNCTION refuse_log_edit()
"""


def upgrade() -> None:
    op.drop_index("attempt_one_live_a_message", table_name="attempt")
    op.create_index(
        "attempt_one_live_a_message",
        "attempt",
        ["message_id"],
        unique=True,
        postgresql_where=sa.text("outcome IN ('sending', 'in_doubt', 'unconfirmed')"),
    )
    op.drop_index("attempt_counted", table_name="attempt")
    op.create_index("attempt_contact", "attempt", ["contact_id", "begun_at"])
    op.create_index(
        "attempt_in_doubt",
        "attempt",
        [sa.literal_column("coalesce(settled_at, begun_at)")],
        postgresql_where=sa.text("outcome = 'in_doubt'"),
    )
    op.create_index("message_resend", "message", ["resend_of"], postgresql_where=sa.text("resend_of IS NOT NULL"))
    for statement in (_REFUSE, _ARROWS, _REFUSE_EDIT, _APPEND_ONLY):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER message_log_append_only ON message_log")
    op.execute("DROP FUNCTION refuse_log_edit()")
    op.execute("DROP TRIGGER message_arrow ON message")
    op.execute("DROP FUNCTION refuse_arrow()")
    op.drop_index("message_resend", table_name="message")
    op.drop_index("attempt_in_doubt", table_name="attempt")
    op.drop_index("attempt_contact", table_name="attempt")
    op.create_index(
        "attempt_counted",
        "attempt",
        ["contact_id", "begun_at"],
        postgresql_where=sa.text("outcome NOT IN ('refused', 'not_sent')"),
    )
    op.drop_index("attempt_one_live_a_message", table_name="attempt")
    # Several attempts of a message that arrived fit into no such index: the newest keeps its outcome.
    op.execute("""
        UPDATE attempt a SET outcome = 'not_sent' WHERE outcome = 'sent' AND EXISTS (
            SELECT 1 FROM attempt b WHERE b.message_id = a.message_id AND b.id > a.id
            AND b.outcome IN ('sending', 'in_doubt', 'sent', 'unconfirmed'))
    """)
    op.create_index(
        "attempt_one_live_a_message",
        "attempt",
        ["message_id"],
        unique=True,
        postgresql_where=sa.text("outcome IN ('sending', 'in_doubt', 'sent', 'unconfirmed')"),
    )
