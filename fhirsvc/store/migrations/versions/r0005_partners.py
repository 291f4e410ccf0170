"""Partners that come with an access token: clients, tokens, and assertions that were used."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the tables, empty: clients are registered by hand."""
    op.create_table(
        "partner",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("jwks", sa.Text(), nullable=True),
        sa.Column("jwks_url", sa.String(length=500), nullable=True),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.CheckConstraint("(jwks IS NULL) <> (jwks_url IS NULL)", name="ck_partner_keys"),
        sa.PrimaryKeyConstraint("name", name="pk_partner"),
    )
    op.create_table(
        "partner_token",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("partner", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["partner"], ["partner.name"], name="fk_partner_token_partner"),
        sa.PrimaryKeyConstraint("hash", name="pk_partner_token"),
    )
    op.create_index("ix_partner_token_partner", "partner_token", ["partner"], unique=False)
    op.create_index("ix_partner_token_expires_at", "partner_token", ["expires_at"], unique=False)
    op.create_table(
        "partner_assertion",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_partner_assertion"),
    )
    op.create_index(
        "ix_partner_assertion_expires_at", "partner_assertion", ["expires_at"], unique=False
    )
