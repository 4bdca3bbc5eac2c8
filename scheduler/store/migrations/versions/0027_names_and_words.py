"""People are found by their names, and the words of what went out are kept, sealed.

Revision ID: 0027
Revises: 0026
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("content", sa.LargeBinary(), nullable=True))
    op.execute(r"""
        CREATE FUNCTION duly_name_words(name text, first_name text) RETURNS tsvector
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT to_tsvector('pg_catalog.simple', regexp_replace(
                normalize(lower(coalesce(name, '') || ' ' || coalesce(first_name, '')), NFKD),
                U&'[\0300-\036F]', '', 'g'))
        $$
    """)
    op.execute("""
        CREATE INDEX contact_names ON contact USING gin (duly_name_words(name, first_name))
        WHERE merged_into IS NULL AND erased_at IS NULL AND (name IS NOT NULL OR first_name IS NOT NULL)
    """)
    # One way of writing a name: an event that spells it otherwise finds its person.
    op.execute("""
        UPDATE contact_identity i SET key = normalize(key, NFC)
        WHERE kind = 'crm_id' AND key IS NOT NFC NORMALIZED AND NOT EXISTS (
            SELECT 1 FROM contact_identity o
            WHERE o.page_id = i.page_id AND o.kind = i.kind AND o.key = normalize(i.key, NFC))
    """)


def downgrade() -> None:
    op.drop_index("contact_names", table_name="contact")
    op.execute("DROP FUNCTION duly_name_words(text, text)")
    op.drop_column("attempt", "content")
