"""Checks that no write needs: evidence is written for contacts whose rows are held, a name's page is its contact's.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("place_evidence_contact_id_fkey", "place_evidence")
    op.drop_constraint("contact_identity_page_id_fkey", "contact_identity")


def downgrade() -> None:
    op.create_foreign_key(
        "place_evidence_contact_id_fkey", "place_evidence", "contact", ["contact_id"], ["id"], ondelete="CASCADE"
    )
    op.create_foreign_key("contact_identity_page_id_fkey", "contact_identity", "page", ["page_id"], ["id"])
