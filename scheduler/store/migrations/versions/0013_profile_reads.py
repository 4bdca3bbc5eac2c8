"""Profile reads by page: no page takes more in a second than it may.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_OPEN = "done_at IS NULL"


def upgrade() -> None:
    op.add_column("profile_read", sa.Column("page_id", sa.Integer(), nullable=True))
    op.add_column("profile_read", sa.Column("claimed_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE profile_read SET page_id = contact.page_id FROM contact WHERE contact.id = contact_id")
    op.alter_column("profile_read", "page_id", nullable=False)
    op.create_foreign_key("profile_read_page_id_fkey", "profile_read", "page", ["page_id"], ["id"])
    op.drop_index("profile_read_open", table_name="profile_read")
    op.create_index(
        "profile_read_open", "profile_read", ["page_id", "due_at", "contact_id"], postgresql_where=sa.text(_OPEN)
    )
    op.create_index("profile_read_claimed", "profile_read", ["page_id", "claimed_at"])


def downgrade() -> None:
    op.drop_index("profile_read_claimed", table_name="profile_read")
    op.drop_index("profile_read_open", table_name="profile_read")
    op.create_index("profile_read_open", "profile_read", ["due_at"], postgresql_where=sa.text(_OPEN))
    op.drop_constraint("profile_read_page_id_fkey", "profile_read")
    op.drop_column("profile_read", "claimed_at")
    op.drop_column("profile_read", "page_id")
