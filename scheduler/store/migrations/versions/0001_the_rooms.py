"""The rooms.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("sha256"),
    )
    op.create_table(
        "app",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("verify_token_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("external_id"),
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "beat",
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("ran_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task"),
    )
    op.create_table(
        "policy_version",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "page",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("app_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("token_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("rate", sa.Integer(), nullable=False),
        sa.Column("stopped_reason", sa.String(), nullable=True),
        sa.Column("stopped_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_id"],
            ["app.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("channel", "external_id"),
    )
    op.create_index(op.f("ix_page_app_id"), "page", ["app_id"], unique=False)
    op.create_table(
        "business_event",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("plan_cursor", sa.BigInteger(), nullable=False),
        sa.Column("planned_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["page.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("page_id", "kind", "key"),
    )
    op.create_index(
        "business_event_open", "business_event", ["id"], unique=False, postgresql_where=sa.text("planned_at IS NULL")
    )
    op.create_table(
        "contact",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("psid", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("first_name", sa.String(), nullable=True),
        sa.Column("locale", sa.String(), nullable=True),
        sa.Column("country", sa.String(), nullable=True),
        sa.Column("region", sa.String(), nullable=True),
        sa.Column("timezones", sa.ARRAY(sa.String()), nullable=True),
        sa.Column("timezones_source", sa.String(), nullable=True),
        sa.Column("utc_offset", sa.Integer(), nullable=True),
        sa.Column("utc_offset_read_at", sa.BigInteger(), nullable=True),
        sa.Column("last_inbound_at", sa.BigInteger(), nullable=True),
        sa.Column("handover_at", sa.BigInteger(), nullable=True),
        sa.Column("handover_by", sa.String(), nullable=True),
        sa.Column("held_at", sa.BigInteger(), nullable=True),
        sa.Column(
            "attributes", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["page.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("page_id", "psid"),
    )
    op.create_index("contact_page", "contact", ["page_id", "id"], unique=False)
    op.create_index(
        "contact_waiting",
        "contact",
        ["page_id", "id"],
        unique=False,
        postgresql_where=sa.text("held_at IS NOT NULL OR handover_at IS NOT NULL"),
    )
    op.create_table(
        "kill_switch",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("engaged_at", sa.BigInteger(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["page.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "kill_switch_engaged", "kill_switch", ["id"], unique=False, postgresql_where=sa.text("released_at IS NULL")
    )
    op.create_table(
        "page_allowed",
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("psid", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("page_id", "psid"),
    )
    op.create_table(
        "platform_event",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("psid", sa.String(), nullable=True),
        sa.Column("dedupe_key", sa.String(), nullable=False),
        sa.Column("occurred_ms", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("applied_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["page.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("dedupe_key"),
    )
    op.create_index(
        "platform_event_failed", "platform_event", ["id"], unique=False, postgresql_where=sa.text("error IS NOT NULL")
    )
    op.create_table(
        "policy_activation",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("activated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["page.id"],
        ),
        sa.ForeignKeyConstraint(
            ["version"],
            ["policy_version.version"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("policy_activation_page", "policy_activation", ["page_id", "id"], unique=False)
    op.create_table(
        "template",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=True),
        sa.Column("default_locale", sa.String(), nullable=False),
        sa.Column("bodies", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("utility_name", sa.String(), nullable=True),
        sa.Column("utility_approved", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["page.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("page_id", "name", "version"),
    )
    op.create_table(
        "campaign",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("template_id", sa.BigInteger(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("plan_cursor", sa.BigInteger(), nullable=False),
        sa.Column("plan_until", sa.BigInteger(), nullable=True),
        sa.Column("planned_at", sa.BigInteger(), nullable=True),
        sa.Column("launched_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["page.id"],
        ),
        sa.ForeignKeyConstraint(
            ["template_id"],
            ["template.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("campaign_page", "campaign", ["page_id", "id"], unique=False)
    op.create_table(
        "consent_record",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.String(), nullable=True),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"],
            ["contact.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_consent_record_contact_id"), "consent_record", ["contact_id"], unique=False)
    op.create_table(
        "interest",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("served_at", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_id"],
            ["contact.id"],
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["business_event.id"],
        ),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["page.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "interest_open",
        "interest",
        ["page_id", "sku", "contact_id"],
        unique=True,
        postgresql_where=sa.text("served_at IS NULL"),
    )
    op.create_table(
        "profile_read",
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("contact_id"),
    )
    op.create_index(
        "profile_read_open", "profile_read", ["due_at"], unique=False, postgresql_where=sa.text("done_at IS NULL")
    )
    op.create_table(
        "recipe",
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("template_id", sa.BigInteger(), nullable=False),
        sa.Column("expires_after", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["page.id"],
        ),
        sa.ForeignKeyConstraint(
            ["template_id"],
            ["template.id"],
        ),
        sa.PrimaryKeyConstraint("page_id", "kind"),
    )
    op.create_table(
        "suppression",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_id"],
            ["contact.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "suppression_active",
        "suppression",
        ["contact_id", "reason", sa.literal_column("coalesce(topic, '')")],
        unique=True,
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    op.create_table(
        "audience_member",
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["contact_id"],
            ["contact.id"],
        ),
        sa.PrimaryKeyConstraint("campaign_id", "contact_id"),
    )
    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("template_id", sa.BigInteger(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("resend_of", sa.BigInteger(), nullable=True),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=True),
        sa.Column(
            "variables", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("state_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("deadline", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("wakes_on", sa.String(), nullable=True),
        sa.Column("ground", sa.String(), nullable=True),
        sa.Column("policy_version", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("mid", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"],
            ["contact.id"],
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["business_event.id"],
        ),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["page.id"],
        ),
        sa.ForeignKeyConstraint(
            ["resend_of"],
            ["message.id"],
        ),
        sa.ForeignKeyConstraint(
            ["template_id"],
            ["template.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "message_campaign_once",
        "message",
        ["campaign_id", "contact_id"],
        unique=True,
        postgresql_where=sa.text("campaign_id IS NOT NULL AND resend_of IS NULL"),
    )
    op.create_index(
        "message_campaign_open",
        "message",
        ["campaign_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('scheduled', 'due', 'sending', 'in_doubt')"),
    )
    op.create_index(
        "message_dead_letters",
        "message",
        ["state", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('refused', 'unconfirmed', 'dead')"),
    )
    op.create_index(
        "message_due",
        "message",
        ["page_id", "lane", "deadline", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'due'"),
    )
    op.create_index(
        "message_event_once",
        "message",
        ["event_id", "contact_id"],
        unique=True,
        postgresql_where=sa.text("event_id IS NOT NULL AND resend_of IS NULL"),
    )
    op.create_index(
        "message_in_flight",
        "message",
        ["state_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('sending', 'in_doubt')"),
    )
    op.create_index("message_mid", "message", ["mid"], unique=False, postgresql_where=sa.text("mid IS NOT NULL"))
    op.create_index(
        "message_parked",
        "message",
        [sa.literal_column("least(deadline, expires_at)")],
        unique=False,
        postgresql_where=sa.text("state = 'scheduled' AND due_at IS NULL"),
    )
    op.create_index(
        "message_scheduled",
        "message",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'scheduled' AND due_at IS NOT NULL"),
    )
    op.create_index(
        "message_waiting",
        "message",
        ["contact_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('scheduled', 'due')"),
    )
    op.create_table(
        "attempt",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("ground", sa.String(), nullable=True),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("subcode", sa.Integer(), nullable=True),
        sa.Column("mid", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_id"],
            ["contact.id"],
        ),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["message.id"],
        ),
        sa.ForeignKeyConstraint(
            ["page_id"],
            ["page.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "attempt_counted",
        "attempt",
        ["contact_id", "begun_at"],
        unique=False,
        postgresql_where=sa.text("outcome NOT IN ('refused', 'not_sent')"),
    )
    op.create_index("attempt_message", "attempt", ["message_id"], unique=False)
    op.create_index(
        "attempt_one_in_flight_a_contact",
        "attempt",
        ["contact_id"],
        unique=True,
        postgresql_where=sa.text("outcome = 'sending'"),
    )
    op.create_index(
        "attempt_one_live_a_message",
        "attempt",
        ["message_id"],
        unique=True,
        postgresql_where=sa.text("outcome IN ('sending', 'in_doubt', 'sent', 'unconfirmed')"),
    )
    op.create_table(
        "message_log",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=True),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("attempt_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("because", sa.ARRAY(sa.String()), nullable=True),
        sa.Column("ground", sa.String(), nullable=True),
        sa.Column("policy_version", sa.String(), nullable=True),
        sa.Column("tzdata", sa.String(), nullable=True),
        sa.Column("guard", sa.Integer(), nullable=True),
        sa.Column("facts", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["message.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "message_log_deferred",
        "message_log",
        ["reason", "message_id"],
        unique=False,
        postgresql_where=sa.text("verdict = 'defer'"),
    )
    op.create_index("message_log_message", "message_log", ["message_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("message_log_message", table_name="message_log")
    op.drop_index("message_log_deferred", table_name="message_log", postgresql_where=sa.text("verdict = 'defer'"))
    op.drop_table("message_log")
    op.drop_index(
        "attempt_one_live_a_message",
        table_name="attempt",
        postgresql_where=sa.text("outcome IN ('sending', 'in_doubt', 'sent', 'unconfirmed')"),
    )
    op.drop_index(
        "attempt_one_in_flight_a_contact", table_name="attempt", postgresql_where=sa.text("outcome = 'sending'")
    )
    op.drop_index("attempt_message", table_name="attempt")
    op.drop_index(
        "attempt_counted", table_name="attempt", postgresql_where=sa.text("outcome NOT IN ('refused', 'not_sent')")
    )
    op.drop_table("attempt")
    op.drop_index("message_waiting", table_name="message", postgresql_where=sa.text("state IN ('scheduled', 'due')"))
    op.drop_index(
        "message_scheduled",
        table_name="message",
        postgresql_where=sa.text("state = 'scheduled' AND due_at IS NOT NULL"),
    )
    op.drop_index(
        "message_parked", table_name="message", postgresql_where=sa.text("state = 'scheduled' AND due_at IS NULL")
    )
    op.drop_index("message_mid", table_name="message", postgresql_where=sa.text("mid IS NOT NULL"))
    op.drop_index(
        "message_in_flight", table_name="message", postgresql_where=sa.text("state IN ('sending', 'in_doubt')")
    )
    op.drop_index(
        "message_event_once",
        table_name="message",
        postgresql_where=sa.text("event_id IS NOT NULL AND resend_of IS NULL"),
    )
    op.drop_index("message_due", table_name="message", postgresql_where=sa.text("state = 'due'"))
    op.drop_index(
        "message_dead_letters",
        table_name="message",
        postgresql_where=sa.text("state IN ('refused', 'unconfirmed', 'dead')"),
    )
    op.drop_index(
        "message_campaign_open",
        table_name="message",
        postgresql_where=sa.text("state IN ('scheduled', 'due', 'sending', 'in_doubt')"),
    )
    op.drop_index(
        "message_campaign_once",
        table_name="message",
        postgresql_where=sa.text("campaign_id IS NOT NULL AND resend_of IS NULL"),
    )
    op.drop_table("message")
    op.drop_table("audience_member")
    op.drop_index("suppression_active", table_name="suppression", postgresql_where=sa.text("lifted_at IS NULL"))
    op.drop_table("suppression")
    op.drop_table("recipe")
    op.drop_index("profile_read_open", table_name="profile_read", postgresql_where=sa.text("done_at IS NULL"))
    op.drop_table("profile_read")
    op.drop_index("interest_open", table_name="interest", postgresql_where=sa.text("served_at IS NULL"))
    op.drop_table("interest")
    op.drop_index(op.f("ix_consent_record_contact_id"), table_name="consent_record")
    op.drop_table("consent_record")
    op.drop_index("campaign_page", table_name="campaign")
    op.drop_table("campaign")
    op.drop_table("template")
    op.drop_index("policy_activation_page", table_name="policy_activation")
    op.drop_table("policy_activation")
    op.drop_index("platform_event_failed", table_name="platform_event", postgresql_where=sa.text("error IS NOT NULL"))
    op.drop_table("platform_event")
    op.drop_table("page_allowed")
    op.drop_index("kill_switch_engaged", table_name="kill_switch", postgresql_where=sa.text("released_at IS NULL"))
    op.drop_table("kill_switch")
    op.drop_index(
        "contact_waiting",
        table_name="contact",
        postgresql_where=sa.text("held_at IS NOT NULL OR handover_at IS NOT NULL"),
    )
    op.drop_index("contact_page", table_name="contact")
    op.drop_table("contact")
    op.drop_index("business_event_open", table_name="business_event", postgresql_where=sa.text("planned_at IS NULL"))
    op.drop_table("business_event")
    op.drop_index(op.f("ix_page_app_id"), table_name="page")
    op.drop_table("page")
    op.drop_table("policy_version")
    op.drop_table("beat")
    op.drop_table("audit_entry")
    op.drop_table("app")
    op.drop_table("api_key")
