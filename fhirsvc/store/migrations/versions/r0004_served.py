"""What /fhir serves: resources with their versions, search values, and searches that go on."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables, empty: the sweep fills them from the records that are there."""
    op.create_table(
        "served",
        sa.Column("key", Id, autoincrement=False, nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("has_extras", sa.Boolean(), nullable=False),
        sa.Column("record_type", sa.String(length=40), nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_served"),
    )
    op.create_index("ix_served_type", "served", ["type", "key"], unique=False)
    op.create_index("ix_served_record", "served", ["record_type", "record_id"], unique=False)
    op.create_table(
        "served_version",
        sa.Column("key", Id, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("is_first", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["key"], ["served.key"], name="fk_served_version_key"),
        sa.PrimaryKeyConstraint("key", "version", name="pk_served_version"),
    )
    op.create_index("ix_served_version_at", "served_version", ["updated_at", "key"], unique=False)
    _values()
    op.create_table(
        "served_record",
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("mappings", sa.String(length=64), nullable=False),
        sa.Column("is_served", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["type", "id"], ["record.type", "record.id"], name="fk_served_record_type"
        ),
        sa.PrimaryKeyConstraint("type", "id", name="pk_served_record"),
    )
    op.create_table(
        "served_due",
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["type", "id"], ["record.type", "record.id"], name="fk_served_due_type"
        ),
        sa.PrimaryKeyConstraint("type", "id", name="pk_served_due"),
    )
    op.create_table(
        "served_page",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("client", sa.String(length=200), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_served_page"),
    )
    op.create_index("ix_served_page_expires_at", "served_page", ["expires_at"], unique=False)


def _values() -> None:
    op.create_table(
        "served_word",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("system", sa.String(length=200), nullable=False),
        sa.Column("key", Id, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["key"], ["served.key"], name="fk_served_word_key"),
        sa.PrimaryKeyConstraint("name", "value", "system", "key", name="pk_served_word"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_served_word_key", "served_word", ["key"], unique=False)
    op.create_table(
        "served_date",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("key", Id, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["key"], ["served.key"], name="fk_served_date_key"),
        sa.PrimaryKeyConstraint("name", "low", "high", "key", name="pk_served_date"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_served_date_key", "served_date", ["key"], unique=False)
