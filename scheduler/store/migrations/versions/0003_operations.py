"""Operations: dead letters dealt with, switches over campaigns and categories, ids that follow a request.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OPEN = "state IN ('refused', 'unconfirmed', 'dead') AND handled_at IS NULL"
_PARKED = "state = 'scheduled' AND due_at IS NULL AND wakes_on = 'resume'"


def upgrade() -> None:
    op.add_column("kill_switch", sa.Column("campaign_id", sa.BigInteger(), nullable=True))
    op.add_column("kill_switch", sa.Column("category", sa.String(), nullable=True))
    op.create_foreign_key("kill_switch_campaign_id_fkey", "kill_switch", "campaign", ["campaign_id"], ["id"])
    op.add_column("campaign", sa.Column("request_id", sa.String(), nullable=True))
    op.add_column("business_event", sa.Column("request_id", sa.String(), nullable=True))
    op.add_column("message", sa.Column("handled_at", sa.BigInteger(), nullable=True))
    op.create_index("message_dead_letters_open", "message", ["id"], postgresql_where=sa.text(_OPEN))
    op.create_index("message_parked_resume", "message", ["id"], postgresql_where=sa.text(_PARKED))
    op.create_table(
        "dead_letter_act",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("was", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("resent_as", sa.BigInteger(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"]),
        sa.ForeignKeyConstraint(["resent_as"], ["message.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("dead_letter_act_message", "dead_letter_act", ["message_id"])
    op.create_table(
        "wake_order",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=True),
        sa.Column("campaign_id", sa.BigInteger(), nullable=True),
        sa.Column("category", sa.String(), nullable=True),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("ordered_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"]),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"]),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("wake_order")
    op.drop_table("dead_letter_act")
    op.drop_index("message_parked_resume", table_name="message")
    op.drop_index("message_dead_letters_open", table_name="message")
    op.drop_column("message", "handled_at")
    op.drop_column("business_event", "request_id")
    op.drop_column("campaign", "request_id")
    op.drop_column("kill_switch", "category")
    op.drop_column("kill_switch", "campaign_id")
