"""The next delivery of a connection is found at the head of an index, however many wait."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the index."""
    waiting = sa.text("state = 'pending'")
    op.create_index(
        "ix_delivery_next",
        "delivery",
        ["connection_id", "next_at", "id"],
        unique=False,
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
