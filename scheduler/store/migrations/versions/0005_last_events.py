"""The last event of each page is found at once.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("platform_event_page", "platform_event", ["page_id", "id"])


def downgrade() -> None:
    op.drop_index("platform_event_page", table_name="platform_event")
