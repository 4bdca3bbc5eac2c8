"""Which database this is, and what one that was restored does not know; a message may become unconfirmed or sent then.

Revision ID: 0023
Revises: 0022
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_BEFORE = (
    "'cancelled>sent', 'dead>sent', 'delivered>read', 'denied>sent', 'due>cancelled', 'due>denied', "
    "'due>expired', 'due>refused', 'due>scheduled', 'due>sending', 'due>sent', 'expired>sent', 'in_doubt>due', "
    "'in_doubt>refused', 'in_doubt>scheduled', 'in_doubt>sent', 'in_doubt>unconfirmed', 'refused>sent', "
    "'scheduled>cancelled', 'scheduled>due', 'scheduled>expired', 'scheduled>sent', 'sending>dead', "
    "'sending>due', 'sending>in_doubt', 'sending>refused', 'sending>scheduled', 'sending>sent', "
    "'sent>delivered', 'sent>read', 'unconfirmed>sent'"
)
_AFTER = (
    "'cancelled>sent', 'dead>sent', 'delivered>read', 'denied>sent', 'due>cancelled', 'due>denied', "
    "'due>expired', 'due>refused', 'due>scheduled', 'due>sending', 'due>sent', 'due>unconfirmed', "
    "'expired>sent', 'in_doubt>due', 'in_doubt>refused', 'in_doubt>scheduled', 'in_doubt>sent', "
    "'in_doubt>unconfirmed', 'refused>sent', 'scheduled>cancelled', 'scheduled>due', 'scheduled>expired', "
    "'scheduled>sent', 'scheduled>unconfirmed', 'sending>dead', 'sending>due', 'sending>in_doubt', "
    "'sending>refused', 'sending>scheduled', 'sending>sent', 'sending>unconfirmed', 'sent>delivered', "
    "'sent>read', 'unconfirmed>sent'"
)


def _arrows(moves: str) -> str:
    return f"""
        CREATE OR REPLACE TRIGGER message_arrow AFTER UPDATE OF state ON message FOR EACH ROW
        WHEN (OLD.state IS DISTINCT FROM NEW.state AND OLD.state || '>' || NEW.state NOT IN ({moves}))
        EXECUTE FUNCTION refuse_arrow()
    """


def upgrade() -> None:
    op.create_table(
        "lineage",
        sa.Column("generation", sa.String(), nullable=False),
        sa.Column("lineage", sa.String(), nullable=False),
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("held_at", sa.BigInteger(), nullable=True),
        sa.Column("held_why", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("generation"),
    )
    op.create_index(
        "lineage_one_open",
        "lineage",
        [sa.literal_column("(closed_at IS NULL)")],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "mark_site",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("handed_in_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("site"),
    )
    op.create_table(
        "restored_attempt",
        sa.Column("attempt", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("message", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("contact", sa.BigInteger(), nullable=True),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("template", sa.BigInteger(), nullable=True),
        sa.Column("campaign", sa.BigInteger(), nullable=True),
        sa.Column("event", sa.BigInteger(), nullable=True),
        sa.Column("category", sa.String(), nullable=True),
        sa.Column("lane", sa.String(), nullable=True),
        sa.Column("topic", sa.String(), nullable=True),
        sa.Column("ground", sa.String(), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=True),
        sa.Column("begun_at", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.String(), nullable=True),
        sa.Column("mid", sa.String(), nullable=True),
        sa.Column("became", sa.String(), nullable=True),
        sa.Column("target", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("attempt", "message"),
    )
    op.create_table(
        "restored_choice",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("person", sa.LargeBinary(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=True),
        sa.Column("category", sa.String(), nullable=True),
        sa.Column("said_at", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.Boolean(), server_default="false", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("restored_choice_open", "restored_choice", ["settled"], postgresql_where=sa.text("NOT settled"))
    op.create_table(
        "restored_act",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute(_arrows(_AFTER))


def downgrade() -> None:
    op.execute(_arrows(_BEFORE))
    op.drop_table("restored_act")
    op.drop_index("restored_choice_open", table_name="restored_choice")
    op.drop_table("restored_choice")
    op.drop_table("restored_attempt")
    op.drop_table("mark_site")
    op.drop_index("lineage_one_open", table_name="lineage")
    op.drop_table("lineage")
