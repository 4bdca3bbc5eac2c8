"""A secret that was mistyped stops nobody: which of two proves our requests.

Revision ID: 0025
Revises: 0024
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("app", sa.Column("proves_with_previous", sa.Boolean(), nullable=False, server_default="false"))
    op.add_column("app", sa.Column("proof_turned_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("app", "proof_turned_at")
    op.drop_column("app", "proves_with_previous")
