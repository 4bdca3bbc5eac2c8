"""Privacy: erasure that leaves hashes alone, retention, keys that outlive the encryption key.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Erasing a person takes the facts (and the platform's id of the message) out of a row; retention takes whole rows. Whoever does either says
# so, for the transaction.
_REFUSE_EDIT = """
    CREATE OR REPLACE FUNCTION refuse_log_edit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            IF current_setting('duly.pruning', true) = 'on' THEN
                RETURN OLD;
            END IF;
        ELSIF current_setting('duly.erasing', true) = 'on'
            AND NEW.facts IS NULL AND (NEW.reason IS NOT DISTINCT FROM OLD.reason OR OLD.reason LIKE 'early_delivery:%')
            AND to_jsonb(NEW) - 'facts' - 'reason' = to_jsonb(OLD) - 'facts' - 'reason' THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'rows of message_log are only ever added' USING ERRCODE = 'check_violation';
    END $$
"""
_REFUSE_EDIT_BEFORE = """
    CREATE OR REPLACE FUNCTION refuse_log_edit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'rows of message_log are only ever added' USING ERRCODE = 'check_violation';
    END $$
"""


def _trigger(events: str) -> str:
    return (
        f"CREATE OR REPLACE TRIGGER message_log_append_only BEFORE {events} ON message_log "
        "FOR EACH ROW EXECUTE FUNCTION refuse_log_edit()"
    )


def upgrade() -> None:
    op.add_column("contact", sa.Column("erased_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "platform_event_person", "platform_event", ["psid", "page_id"], postgresql_where=sa.text("psid IS NOT NULL")
    )
    op.create_index(
        "dead_letter_act_resent",
        "dead_letter_act",
        ["resent_as"],
        postgresql_where=sa.text("resent_as IS NOT NULL"),
    )
    op.create_index("audit_entry_subject", "audit_entry", ["subject", "id"])
    op.create_index(
        "message_ended",
        "message",
        ["contact_id"],
        postgresql_where=sa.text("state IN ('denied', 'expired', 'cancelled', 'refused')"),
    )
    op.create_table(
        "suppression_key",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=True),
        sa.Column("category", sa.String(), nullable=True),
        sa.Column("said_by", sa.String(), server_default="person", nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "suppression_key_one",
        "suppression_key",
        [
            "page_id", "key_hash", "reason", sa.text("coalesce(topic, '')"), sa.text("coalesce(category, '')"),
            "said_by",
        ],
        unique=True,
    )  # fmt: skip
    op.create_table(
        "erasure",
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"]),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"]),
        sa.PrimaryKeyConstraint("contact_id"),
    )
    op.create_index("erasure_open", "erasure", ["contact_id"], postgresql_where=sa.text("finished_at IS NULL"))
    op.create_table(
        "stable_key",
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("purpose"),
    )
    op.create_table(
        "retention_mark",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ran_at", sa.BigInteger(), nullable=False),
        sa.Column("pruned", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.execute(_REFUSE_EDIT)
    op.execute(_trigger("UPDATE OR DELETE"))


def downgrade() -> None:
    op.execute(_REFUSE_EDIT_BEFORE)
    op.execute(_trigger("UPDATE"))
    for table in ("retention_mark", "stable_key", "erasure", "suppression_key"):
        op.drop_table(table)
    op.drop_index("audit_entry_subject", table_name="audit_entry")
    op.drop_index("message_ended", table_name="message")
    op.drop_index("dead_letter_act_resent", table_name="dead_letter_act")
    op.drop_index("platform_event_person", table_name="platform_event")
    op.drop_column("contact", "erased_at")
