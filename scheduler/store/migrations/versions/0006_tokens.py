"""Tokens: permissions to write outside the window, and what the paid ones are sent through.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "permission_token",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("stopped_at", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "permission_token_one",
        "permission_token",
        ["contact_id", "kind", sa.text("coalesce(topic, '')"), "digest"],
        unique=True,
    )
    op.add_column("attempt", sa.Column("token_id", sa.BigInteger(), nullable=True))
    op.create_index("attempt_token", "attempt", ["token_id"], postgresql_where=sa.text("token_id IS NOT NULL"))
    op.add_column("page", sa.Column("ad_account_id", sa.String(), nullable=True))
    op.add_column("page", sa.Column("message_campaign_id", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("page", "message_campaign_id")
    op.drop_column("page", "ad_account_id")
    op.drop_index("attempt_token", table_name="attempt")
    op.drop_column("attempt", "token_id")
    op.drop_table("permission_token")
