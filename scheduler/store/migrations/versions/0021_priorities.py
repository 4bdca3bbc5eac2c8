"""Messages have a priority: what a person asked for goes before service, and that before promotions.

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("message", "campaign"):
        op.add_column(table, sa.Column("priority", sa.SmallInteger(), nullable=False, server_default="0"))
    # Only what may still go, now or sent again: of the rest nothing reads it.
    open_ = "state IN ('scheduled', 'due', 'sending', 'in_doubt', 'refused', 'unconfirmed', 'dead')"
    op.execute(f"UPDATE message SET priority = 1000 WHERE category <> 'promotional' AND {open_}")  # noqa: S608 - our own words
    op.execute(f"UPDATE message SET priority = 2000 WHERE confirms_record_id IS NOT NULL AND {open_}")  # noqa: S608
    op.execute(f"""
        UPDATE message SET priority = 2000 FROM business_event e
        WHERE e.id = event_id AND e.kind = 'product.back_in_stock' AND {open_}
    """)  # noqa: S608


def downgrade() -> None:
    for table in ("message", "campaign"):
        op.drop_column(table, "priority")
