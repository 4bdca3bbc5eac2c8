"""The inbox: who has a thread, two secrets of an app, what the platform says of templates and pages.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contact", sa.Column("heard_ms", sa.BigInteger(), nullable=True))
    op.add_column("contact", sa.Column("ad_inbound_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "contact_thread",
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("taken_ms", sa.BigInteger(), nullable=True),
        sa.Column("away_ms", sa.BigInteger(), nullable=True),
        sa.Column("person_ms", sa.BigInteger(), nullable=True),
        sa.Column("spoke_ms", sa.BigInteger(), nullable=True),
        sa.Column("returned_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("contact_id"),
    )
    # Whoever has a thread now keeps it.
    op.execute(
        "INSERT INTO contact_thread (contact_id, taken_ms, away_ms) "
        "SELECT id, CASE WHEN handover_by = 'operator' THEN handover_at * 1000 END, "
        "CASE WHEN handover_by = 'platform' THEN handover_at * 1000 END FROM contact WHERE handover_at IS NOT NULL"
    )
    op.add_column("app", sa.Column("previous_secret_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("app", sa.Column("secret_changed_at", sa.BigInteger(), nullable=True))
    op.add_column("page", sa.Column("enforced_ms", sa.BigInteger(), nullable=True))
    op.create_table(
        "utility_status",
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"]),
        sa.PrimaryKeyConstraint("page_id", "name", "language"),
    )


def downgrade() -> None:
    op.drop_table("utility_status")
    op.drop_column("page", "enforced_ms")
    op.drop_column("app", "secret_changed_at")
    op.drop_column("app", "previous_secret_sealed")
    op.drop_table("contact_thread")
    op.drop_column("contact", "ad_inbound_at")
    op.drop_column("contact", "heard_ms")
