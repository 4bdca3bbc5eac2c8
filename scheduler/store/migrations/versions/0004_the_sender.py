"""The sender: windows that the platform holds shut, looks at stopped pages.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contact", sa.Column("window_closed_at", sa.BigInteger(), nullable=True))
    op.add_column("page", sa.Column("probe_at", sa.BigInteger(), nullable=True))
    op.add_column("page", sa.Column("probes", sa.Integer(), server_default="0", nullable=False))
    # Those that stopped before are looked at soon.
    op.execute("UPDATE page SET probe_at = stopped_at WHERE stopped_at IS NOT NULL")


def downgrade() -> None:
    op.drop_column("page", "probes")
    op.drop_column("page", "probe_at")
    op.drop_column("contact", "window_closed_at")
