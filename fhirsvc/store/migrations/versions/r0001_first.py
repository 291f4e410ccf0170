"""Records, connections, deliveries, links and executors."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table of the first version."""
    op.create_table(
        "connection",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("base_url", sa.String(length=500), nullable=False),
        sa.Column("auth", sa.String(length=10), nullable=False),
        sa.Column("secret", sa.String(length=300), nullable=False),
        sa.Column("write_mode", sa.String(length=12), nullable=False),
        sa.Column("us_core", sa.Integer(), nullable=False),
        sa.Column("rate", sa.Double(), nullable=False),
        sa.Column("burst", sa.Integer(), nullable=False),
        sa.Column("index_lag_s", sa.Double(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("rest_until", sa.Double(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("auth IN ('none', 'basic', 'bearer')", name="ck_connection_auth"),
        sa.CheckConstraint(
            "secret = '' OR secret LIKE 'env:%' OR secret LIKE 'file:%'",
            name="ck_connection_secret_is_a_reference",
        ),
        sa.CheckConstraint("state IN ('active', 'paused')", name="ck_connection_state"),
        sa.CheckConstraint(
            "write_mode IN ('conditional', 'create')", name="ck_connection_write_mode"
        ),
        sa.CheckConstraint("burst >= 1", name="ck_connection_burst"),
        sa.CheckConstraint("concurrency >= 1", name="ck_connection_concurrency"),
        sa.CheckConstraint("rate > 0", name="ck_connection_rate"),
        sa.PrimaryKeyConstraint("id", name="pk_connection"),
        sa.UniqueConstraint("name", name="uq_connection_name"),
    )
    op.create_table(
        "executor",
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("pid_started", sa.String(length=40), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("heartbeat_at", sa.Double(), nullable=False),
        sa.Column("stopped_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_executor"),
    )
    op.create_table(
        "record",
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("type", "id", name="pk_record"),
    )
    op.create_table(
        "link",
        sa.Column("id", Id, nullable=False),
        sa.Column("connection_id", Id, nullable=False),
        sa.Column("resource_type", sa.String(length=40), nullable=False),
        sa.Column("local_id", sa.String(length=64), nullable=False),
        sa.Column("identifier_system", sa.String(length=300), nullable=False),
        sa.Column("identifier_value", sa.String(length=300), nullable=False),
        sa.Column("record_type", sa.String(length=40), nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("remote_type", sa.String(length=40), nullable=False),
        sa.Column("remote_id", sa.String(length=120), nullable=True),
        sa.Column("etag", sa.String(length=120), nullable=True),
        sa.Column("acked_hash", sa.String(length=64), nullable=True),
        sa.Column("acked_version", sa.Integer(), nullable=True),
        sa.Column("remote_hash", sa.String(length=64), nullable=True),
        sa.Column("acked_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name="fk_link_connection_id"),
        sa.PrimaryKeyConstraint("id", name="pk_link"),
        sa.UniqueConstraint(
            "connection_id",
            "resource_type",
            "local_id",
            name="uq_link_connection_id_resource_type_local_id",
        ),
    )
    op.create_index(
        "ix_link_record", "link", ["connection_id", "record_type", "record_id"], unique=False
    )
    op.create_index(
        "uq_link_remote",
        "link",
        ["connection_id", "remote_type", "remote_id"],
        unique=True,
        sqlite_where=sa.text("remote_id IS NOT NULL"),
        postgresql_where=sa.text("remote_id IS NOT NULL"),
    )
    op.create_table(
        "record_version",
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("accepted_at", sa.Double(), nullable=False),
        sa.Column("correlation_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint("version >= 1", name="ck_record_version_version"),
        sa.ForeignKeyConstraint(
            ["type", "id"], ["record.type", "record.id"], name="fk_record_version_type_id"
        ),
        sa.PrimaryKeyConstraint("type", "id", "version", name="pk_record_version"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", Id, nullable=False),
        sa.Column("connection_id", Id, nullable=False),
        sa.Column("record_type", sa.String(length=40), nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("owner", sa.String(length=120), nullable=False),
        sa.Column("correlation_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "(state = 'sending') = (owner <> '')", name="ck_delivery_sending_has_an_owner"
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'sending', 'delivered', 'held', 'dead', 'superseded')",
            name="ck_delivery_state",
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name="fk_delivery_connection_id"
        ),
        sa.ForeignKeyConstraint(
            ["record_type", "record_id", "version"],
            ["record_version.type", "record_version.id", "record_version.version"],
            name="fk_delivery_record_type_record_id_version",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sa.UniqueConstraint(
            "connection_id",
            "record_type",
            "record_id",
            "version",
            name="uq_delivery_connection_id_record_type_record_id_version",
        ),
    )
    op.create_index(
        "ix_delivery_due", "delivery", ["connection_id", "state", "next_at"], unique=False
    )
    op.create_index("ix_delivery_owner", "delivery", ["state", "owner"], unique=False)
    op.create_index("ix_delivery_record", "delivery", ["record_type", "record_id"], unique=False)
    op.create_index(
        "uq_delivery_one_pending",
        "delivery",
        ["connection_id", "record_type", "record_id"],
        unique=True,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "uq_delivery_one_sending",
        "delivery",
        ["connection_id", "record_type", "record_id"],
        unique=True,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_table(
        "attempt",
        sa.Column("id", Id, nullable=False),
        sa.Column("link_id", Id, nullable=False),
        sa.Column("delivery_id", Id, nullable=False),
        sa.Column("executor", sa.String(length=120), nullable=False),
        sa.Column("method", sa.String(length=6), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("settle_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("response", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('unknown', 'done', 'adopted', 'absent', 'refused', 'not_sent')",
            name="ck_attempt_outcome",
        ),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name="fk_attempt_delivery_id"),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name="fk_attempt_link_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
    )
    op.create_index("ix_attempt_delivery_id", "attempt", ["delivery_id"], unique=False)
    op.create_index("ix_attempt_link_id", "attempt", ["link_id"], unique=False)
    op.create_index(
        "uq_attempt_one_open",
        "attempt",
        ["link_id"],
        unique=True,
        sqlite_where=sa.text("outcome = 'unknown'"),
        postgresql_where=sa.text("outcome = 'unknown'"),
    )
    op.create_table(
        "delivery_event",
        sa.Column("id", Id, nullable=False),
        sa.Column("delivery_id", Id, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("from_state", sa.String(length=10), nullable=False),
        sa.Column("to_state", sa.String(length=10), nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("executor", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name="fk_delivery_event_delivery_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_delivery_event"),
    )
    op.create_index(
        "ix_delivery_event_delivery_id", "delivery_event", ["delivery_id"], unique=False
    )
    op.create_table(
        "delivery_wait",
        sa.Column("delivery_id", Id, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.CheckConstraint("kind IN ('link', 'record')", name="ck_delivery_wait_kind"),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name="fk_delivery_wait_delivery_id"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "kind", "type", "id", name="pk_delivery_wait"),
    )
    op.create_index(
        "ix_delivery_wait_target", "delivery_wait", ["kind", "type", "id"], unique=False
    )
    _forbid_changes("record_version")


def _forbid_changes(table: str) -> None:
    """What was accepted stays as it was accepted, whatever code a later version brings."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER {table}_is_immutable BEFORE UPDATE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is immutable'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {table}_is_immutable() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is immutable'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_is_immutable BEFORE UPDATE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_is_immutable()"
    )
