"""Words that count by their arrival, and whose clock is wrong.

Revision ID: 0030
Revises: 0029
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A constant default: no row is written anew, and what was said before is put in order as it was.
    op.add_column("consent_record", sa.Column("by_arrival", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("clock_skew", sa.Column("web", sa.Boolean(), server_default="false", nullable=False))


def downgrade() -> None:
    op.drop_column("clock_skew", "web")
    op.drop_column("consent_record", "by_arrival")
