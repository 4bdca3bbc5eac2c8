"""The index of the platform's message ids is one of hashes: an id of any length fits.

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_NAMED = sa.text("mid IS NOT NULL")


def upgrade() -> None:
    op.drop_index("message_mid", table_name="message")
    op.create_index("message_mid", "message", ["mid"], postgresql_using="hash", postgresql_where=_NAMED)


def downgrade() -> None:
    op.drop_index("message_mid", table_name="message")
    # What is longer than an index of whole ids can hold stays as it is, and is not found by its id.
    short = sa.text("mid IS NOT NULL AND octet_length(mid) <= 2600")
    op.create_index("message_mid", "message", ["mid"], postgresql_where=short)
