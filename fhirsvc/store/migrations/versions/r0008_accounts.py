"""Accounts of people and systems, with their sessions and tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the tables, empty: nobody has to sign in until there is an account."""
    op.create_table(
        "account",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("disabled_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_account"),
    )
    op.create_table(
        "account_session",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("issued_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.CheckConstraint("kind IN ('page', 'api')", name="ck_account_session_kind"),
        sa.ForeignKeyConstraint(["account"], ["account.name"], name="fk_account_session_account"),
        sa.PrimaryKeyConstraint("hash", name="pk_account_session"),
    )
    op.create_index("ix_account_session_account", "account_session", ["account"], unique=False)
    op.create_index(
        "ix_account_session_expires_at", "account_session", ["expires_at"], unique=False
    )
