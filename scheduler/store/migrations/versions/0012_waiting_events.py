"""Events that wait for their person are not among those to be planned.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_OPEN = "planned_at IS NULL AND (contact_id IS NOT NULL OR person_key IS NULL)"


def upgrade() -> None:
    op.drop_index("business_event_open", table_name="business_event")
    op.create_index("business_event_open", "business_event", ["id"], postgresql_where=sa.text(_OPEN))


def downgrade() -> None:
    op.drop_index("business_event_open", table_name="business_event")
    op.create_index("business_event_open", "business_event", ["id"], postgresql_where=sa.text("planned_at IS NULL"))
