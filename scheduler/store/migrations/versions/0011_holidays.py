"""Each decision names the version of the calendars of public holidays, as it does that of the time zones.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message_log", sa.Column("holidays", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("message_log", "holidays")
