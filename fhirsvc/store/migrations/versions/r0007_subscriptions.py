"""Partners' Subscriptions, and the events that they are to hear of."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the tables, empty."""
    op.create_table(
        "subscription",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("partner", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("base", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("error", sa.String(length=200), nullable=False),
        sa.Column("last_event", sa.Integer(), nullable=False),
        sa.Column("sent_event", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.Column("claim", sa.String(length=64), nullable=False),
        sa.Column("claimed_until", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "state IN ('requested', 'active', 'error', 'off', 'deleted')",
            name="ck_subscription_state",
        ),
        sa.ForeignKeyConstraint(["partner"], ["partner.name"], name="fk_subscription_partner"),
        sa.PrimaryKeyConstraint("id", name="pk_subscription"),
    )
    op.create_index("ix_subscription_partner", "subscription", ["partner", "state"], unique=False)
    op.create_index("ix_subscription_due", "subscription", ["state", "next_at"], unique=False)
    op.create_table(
        "subscription_event",
        sa.Column("subscription", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(length=6), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription"], ["subscription.id"], name="fk_subscription_event_subscription"
        ),
        sa.PrimaryKeyConstraint("subscription", "number", name="pk_subscription_event"),
    )
    op.create_index("ix_subscription_event_at", "subscription_event", ["at"], unique=False)
