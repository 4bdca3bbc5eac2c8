"""Imports leave out bad cells, warn, and ask about columns that look like opt-outs.

Revision ID: 0022
Revises: 0021
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contact_import", sa.Column("skip_cells", sa.Boolean(), nullable=False, server_default="false"))
    op.alter_column("contact_import", "skip_cells", server_default=None)
    for name in ("suspects", "ignored"):
        column = sa.Column(name, postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default="[]")
        op.add_column("contact_import", column)
        op.alter_column("contact_import", name, server_default=None)
    op.add_column("contact_import_error", sa.Column("severity", sa.String(), nullable=False, server_default="error"))
    op.alter_column("contact_import_error", "severity", server_default=None)


def downgrade() -> None:
    op.execute("DELETE FROM contact_import_error WHERE severity <> 'error'")
    op.drop_column("contact_import_error", "severity")
    for name in ("ignored", "suspects", "skip_cells"):
        op.drop_column("contact_import", name)
