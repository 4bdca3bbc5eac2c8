"""Checks that no webhook needs: its page was just read, its contacts' rows are held, and neither is ever deleted.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("platform_event_page_id_fkey", "platform_event")
    op.drop_constraint("profile_read_contact_id_fkey", "profile_read")
    op.drop_constraint("profile_read_page_id_fkey", "profile_read")
    op.drop_constraint("contact_activity_contact_id_fkey", "contact_activity")


def downgrade() -> None:
    op.create_foreign_key("platform_event_page_id_fkey", "platform_event", "page", ["page_id"], ["id"])
    op.create_foreign_key(
        "profile_read_contact_id_fkey", "profile_read", "contact", ["contact_id"], ["id"], ondelete="CASCADE"
    )
    op.create_foreign_key("profile_read_page_id_fkey", "profile_read", "page", ["page_id"], ["id"])
    op.create_foreign_key(
        "contact_activity_contact_id_fkey", "contact_activity", "contact", ["contact_id"], ["id"], ondelete="CASCADE"
    )
