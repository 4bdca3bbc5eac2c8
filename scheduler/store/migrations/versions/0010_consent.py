"""Consent: a ledger that nobody can rewrite, wordings, grants, scopes, near-misses, and the confirmation of an opt-out.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_REFUSE = """
    CREATE FUNCTION refuse_consent_edit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        -- Erasing a person is the one reason to take rows out, and whoever does it says so.
        IF TG_OP = 'DELETE' AND current_setting('duly.erasing', true) = 'on' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME USING ERRCODE = 'check_violation';
    END $$
"""
_RECORDS = """
    CREATE TRIGGER consent_record_append_only BEFORE UPDATE OR DELETE ON consent_record
    FOR EACH ROW EXECUTE FUNCTION refuse_consent_edit()
"""
_WORDINGS = """
    CREATE TRIGGER consent_wording_append_only BEFORE UPDATE OR DELETE ON consent_wording
    FOR EACH ROW EXECUTE FUNCTION refuse_consent_edit()
"""


def upgrade() -> None:
    op.create_table(
        "consent_wording",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("locale", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("consent_wording_once", "consent_wording", ["version", "locale"], unique=True)
    for column in (
        sa.Column("category", sa.String(), nullable=True),
        sa.Column("scope", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("wording_id", sa.BigInteger(), nullable=True),
        sa.Column("evidence", sa.String(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
    ):
        op.add_column("consent_record", column)
    op.create_foreign_key("consent_record_wording_id_fkey", "consent_record", "consent_wording", ["wording_id"], ["id"])
    op.execute("""
        UPDATE consent_record SET scope = CASE WHEN topic IS NULL THEN 'everything' ELSE 'topic' END
        WHERE action IN ('opt_out', 'opt_in')
    """)
    op.execute("UPDATE consent_record SET kind = 'blocked' WHERE action = 'block'")
    # Of people who cannot be reached nothing was recorded until now.
    op.execute("""
        INSERT INTO consent_record (contact_id, action, kind, source, occurred_at, recorded_at)
        SELECT contact_id, 'block', reason, 'send_error', since, since FROM suppression
        WHERE lifted_at IS NULL AND reason IN ('unreachable', 'erased')
    """)
    op.create_table(
        "consent",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "consent_one",
        "consent",
        ["contact_id", sa.text("coalesce(topic, '')"), "kind", sa.text("coalesce(expires_at, -1)")],
        unique=True,
    )
    op.add_column("suppression", sa.Column("category", sa.String(), nullable=True))
    op.add_column("suppression", sa.Column("said_by", sa.String(), server_default="person", nullable=False))
    op.execute("UPDATE suppression SET said_by = 'platform' WHERE reason <> 'opted_out'")
    op.drop_index("suppression_active", table_name="suppression")
    op.create_index(
        "suppression_active",
        "suppression",
        ["contact_id", "reason", sa.text("coalesce(topic, '')"), sa.text("coalesce(category, '')"), "said_by"],
        unique=True,
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    op.create_table(
        "consent_review",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("meaning", sa.String(), nullable=False),
        sa.Column("phrase", sa.String(), nullable=False),
        sa.Column("said_at", sa.BigInteger(), nullable=False),
        sa.Column("suggested_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decision", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "consent_review_event",
        "consent_review",
        ["event_id"],
        unique=True,
        postgresql_where=sa.text("event_id IS NOT NULL"),
    )
    op.create_index(
        "consent_review_waiting",
        "consent_review",
        ["contact_id"],
        postgresql_where=sa.text("decided_at IS NULL AND meaning = 'opt_out'"),
    )
    op.create_index("consent_review_open", "consent_review", ["id"], postgresql_where=sa.text("decided_at IS NULL"))
    op.create_table(
        "consent_setting",
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("confirmation_template", sa.String(), nullable=True),
        sa.Column("opt_out_scope", sa.String(), server_default="everything", nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("page_id"),
    )
    op.add_column("message", sa.Column("confirms_record_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "message_confirms_once",
        "message",
        ["confirms_record_id"],
        unique=True,
        postgresql_where=sa.text("confirms_record_id IS NOT NULL"),
    )
    op.add_column("attempt", sa.Column("confirms_opt_out", sa.Boolean(), server_default="false", nullable=False))
    for statement in (_REFUSE, _RECORDS, _WORDINGS):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER consent_wording_append_only ON consent_wording")
    op.execute("DROP TRIGGER consent_record_append_only ON consent_record")
    op.execute("DROP FUNCTION refuse_consent_edit()")
    op.drop_column("attempt", "confirms_opt_out")
    op.drop_index("message_confirms_once", table_name="message")
    op.drop_column("message", "confirms_record_id")
    op.drop_table("consent_setting")
    op.drop_table("consent_review")
    op.drop_index("suppression_active", table_name="suppression")
    # One of several people's words for the same: the newest stays.
    op.execute("""
        UPDATE suppression s SET lifted_at = s.since WHERE lifted_at IS NULL AND (category IS NOT NULL OR EXISTS (
            SELECT 1 FROM suppression o WHERE o.contact_id = s.contact_id AND o.reason = s.reason
            AND o.lifted_at IS NULL AND o.category IS NULL AND o.topic IS NOT DISTINCT FROM s.topic
            AND (o.since, o.id) > (s.since, s.id)))
    """)
    op.drop_column("suppression", "said_by")
    op.drop_column("suppression", "category")
    op.create_index(
        "suppression_active",
        "suppression",
        ["contact_id", "reason", sa.text("coalesce(topic, '')")],
        unique=True,
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    op.drop_table("consent")
    for column in ("expires_at", "evidence", "wording_id", "kind", "scope", "category"):
        op.drop_column("consent_record", column)
    op.drop_table("consent_wording")
