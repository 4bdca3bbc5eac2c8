"""When a delivery last did anything for a page is found by the page.

Revision ID: 0028
Revises: 0027
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message_log", sa.Column("page_id", sa.Integer(), nullable=True))
    op.create_index(
        "message_log_page", "message_log", ["page_id", "at"], postgresql_where=sa.text("page_id IS NOT NULL")
    )
    op.create_index("attempt_page", "attempt", ["page_id", "begun_at"])


def downgrade() -> None:
    op.drop_index("attempt_page", table_name="attempt")
    op.drop_index("message_log_page", table_name="message_log")
    op.drop_column("message_log", "page_id")
