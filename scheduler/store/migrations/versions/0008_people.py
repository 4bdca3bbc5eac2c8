"""People: evidence of places as rows, identities, merged contacts, activity, signals of interest.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# What the contacts' own columns told so far becomes evidence.
_BACKFILL = """
    INSERT INTO place_evidence (contact_id, kind, source, value, confidence, observed_at, recorded_at)
    SELECT id, 'zone', coalesce(timezones_source, 'api'), timezones, 1, created_at, created_at
    FROM contact WHERE timezones IS NOT NULL
    UNION ALL SELECT id, 'country', 'api', ARRAY[country], 1, created_at, created_at
    FROM contact WHERE country IS NOT NULL
    UNION ALL SELECT id, 'region', 'api', ARRAY[region], 1, created_at, created_at
    FROM contact WHERE region IS NOT NULL
    UNION ALL SELECT id, 'locale', 'profile', ARRAY[locale], 0.5, created_at, created_at
    FROM contact WHERE locale IS NOT NULL
    UNION ALL SELECT id, 'offset', 'profile', ARRAY[utc_offset::text], 0.5,
        coalesce(utc_offset_read_at, created_at), coalesce(utc_offset_read_at, created_at)
    FROM contact WHERE utc_offset IS NOT NULL
"""


def upgrade() -> None:
    op.add_column("contact", sa.Column("merged_into", sa.BigInteger(), nullable=True))
    op.create_foreign_key("contact_merged_into_fkey", "contact", "contact", ["merged_into"], ["id"])
    op.create_index("contact_merged", "contact", ["merged_into"], postgresql_where=sa.text("merged_into IS NOT NULL"))
    op.create_table(
        "place_evidence",
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("value", postgresql.ARRAY(sa.String()), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("observed_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("contact_id", "kind", "source"),
    )
    op.execute(_BACKFILL)
    op.create_table(
        "contact_identity",
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"]),
        sa.PrimaryKeyConstraint("page_id", "kind", "key"),
    )
    op.create_index("contact_identity_contact", "contact_identity", ["contact_id"])
    op.create_table(
        "contact_activity",
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("local", sa.Boolean(), nullable=False),
        sa.Column("hour", sa.SmallInteger(), nullable=False),
        sa.Column("weight", sa.Numeric(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("contact_id", "local", "hour"),
    )
    op.create_table(
        "profile_pause",
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"]),
        sa.PrimaryKeyConstraint("page_id"),
    )
    op.add_column("business_event", sa.Column("contact_id", sa.BigInteger(), nullable=True))
    op.add_column("business_event", sa.Column("person_kind", sa.String(), nullable=True))
    op.add_column("business_event", sa.Column("person_key", sa.String(), nullable=True))
    op.create_foreign_key("business_event_contact_id_fkey", "business_event", "contact", ["contact_id"], ["id"])
    op.create_index(
        "business_event_contact",
        "business_event",
        ["contact_id", "id"],
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    )
    op.create_index(
        "business_event_unmatched",
        "business_event",
        ["page_id", "person_kind", "person_key"],
        postgresql_where=sa.text("contact_id IS NULL AND person_key IS NOT NULL"),
    )
    op.create_table(
        "product_signal",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["event_id"], ["business_event.id"]),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("product_signal_contact", "product_signal", ["contact_id", "at"])
    op.create_index("interest_contact", "interest", ["contact_id", "asked_at"])


def downgrade() -> None:
    op.drop_index("interest_contact", table_name="interest")
    op.drop_table("product_signal")
    op.drop_index("business_event_unmatched", table_name="business_event")
    op.drop_index("business_event_contact", table_name="business_event")
    op.drop_constraint("business_event_contact_id_fkey", "business_event")
    op.drop_column("business_event", "person_key")
    op.drop_column("business_event", "person_kind")
    op.drop_column("business_event", "contact_id")
    op.drop_table("profile_pause")
    op.drop_table("contact_activity")
    op.drop_table("contact_identity")
    op.drop_table("place_evidence")
    op.drop_index("contact_merged", table_name="contact")
    op.drop_constraint("contact_merged_into_fkey", "contact")
    op.drop_column("contact", "merged_into")
