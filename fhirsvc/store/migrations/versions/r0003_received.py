"""What comes from EHRs: capabilities, refusals, cursors, the inbox, conflicts, what was sent."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add tables and columns; a connection may now be stopped, and authenticate in more ways.

    On SQLite that rule is changed by making the table anew. The others only get columns, because
    making ``record_version`` anew would drop the trigger that keeps it immutable.
    """
    _connections()
    for table, column in _ADDED:
        op.add_column(table, column)
    _tables()


_ADDED: tuple[tuple[str, sa.Column[Any]], ...] = (
    ("delivery", sa.Column("as_ran", sa.Boolean(), nullable=False, server_default=sa.false())),
    ("delivery", sa.Column("report", sa.Text(), nullable=True)),
    ("link", sa.Column("rung", sa.String(length=12), nullable=False, server_default="native")),
    ("link", sa.Column("standing", sa.String(length=8), nullable=False, server_default="live")),
    ("link", sa.Column("said", sa.LargeBinary(), nullable=True)),
    ("link", sa.Column("held", sa.LargeBinary(), nullable=True)),
    (
        "record_version",
        sa.Column("source", sa.String(length=64), nullable=False, server_default=""),
    ),
    (
        "record_version",
        sa.Column("is_deleted", sa.Boolean(), nullable=False, server_default=sa.false()),
    ),
)
_KEPT = (
    "id, name, base_url, auth, secret, write_mode, us_core, rate, burst, index_lag_s, concurrency, "
    "state, rest_until, failures, created_at"
)
_NEW: tuple[sa.Column[Any], ...] = (
    sa.Column("options", sa.Text(), nullable=False, server_default="{}"),
    sa.Column("tls", sa.Text(), nullable=False, server_default="{}"),
    sa.Column("rungs", sa.Text(), nullable=False, server_default="{}"),
    sa.Column("inbound", sa.Text(), nullable=False, server_default="{}"),
    sa.Column("capability", sa.Text(), nullable=True),
    sa.Column("capability_at", sa.Double(), nullable=True),
)
_AUTH = "auth IN ('none', 'basic', 'bearer', 'oauth2', 'smart')"
_STATE = "state IN ('active', 'paused', 'stopped')"


def _connections() -> None:
    if op.get_bind().dialect.name != "sqlite":
        for name, rule in (("auth", _AUTH), ("state", _STATE)):
            op.drop_constraint(f"ck_connection_{name}", "connection", type_="check")
            op.create_check_constraint(f"ck_connection_{name}", "connection", rule)
        for column in _NEW:
            op.add_column("connection", column)
        return
    op.create_table(
        "connection_new",
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
        *_NEW,
        sa.CheckConstraint(_AUTH, name="ck_connection_auth"),
        sa.CheckConstraint(
            "secret = '' OR secret LIKE 'env:%' OR secret LIKE 'file:%'",
            name="ck_connection_secret_is_a_reference",
        ),
        sa.CheckConstraint(_STATE, name="ck_connection_state"),
        sa.CheckConstraint(
            "write_mode IN ('conditional', 'create')", name="ck_connection_write_mode"
        ),
        sa.CheckConstraint("burst >= 1", name="ck_connection_burst"),
        sa.CheckConstraint("concurrency >= 1", name="ck_connection_concurrency"),
        sa.CheckConstraint("rate > 0", name="ck_connection_rate"),
        sa.PrimaryKeyConstraint("id", name="pk_connection"),
        sa.UniqueConstraint("name", name="uq_connection_name"),
    )
    op.execute(f"INSERT INTO connection_new ({_KEPT}) SELECT {_KEPT} FROM connection")  # noqa: S608 (constants)
    op.drop_table("connection")
    op.rename_table("connection_new", "connection")


def _tables() -> None:
    op.create_table(
        "cursor",
        sa.Column("connection_id", Id, nullable=False),
        sa.Column("resource_type", sa.String(length=40), nullable=False),
        sa.Column("watermark", sa.Double(), nullable=True),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.Column("compared_at", sa.Double(), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name="fk_cursor_connection_id"
        ),
        sa.PrimaryKeyConstraint("connection_id", "resource_type", name="pk_cursor"),
    )

    op.create_table(
        "inbox",
        sa.Column("id", Id, nullable=False),
        sa.Column("connection_id", Id, nullable=False),
        sa.Column("resource_type", sa.String(length=40), nullable=False),
        sa.Column("remote_id", sa.String(length=120), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("etag", sa.String(length=120), nullable=True),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("record_type", sa.String(length=40), nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("correlation_id", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("resolved_by", sa.String(length=120), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'echo', 'merged', 'review', 'refused', 'passed')",
            name="ck_inbox_state",
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name="fk_inbox_connection_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_inbox"),
    )
    op.create_index(
        "ix_inbox_remote", "inbox", ["connection_id", "resource_type", "remote_id"], unique=False
    )
    op.create_index("ix_inbox_state", "inbox", ["state", "next_at"], unique=False)

    op.create_table(
        "refusal",
        sa.Column("connection_id", Id, nullable=False),
        sa.Column("resource_type", sa.String(length=40), nullable=False),
        sa.Column("interaction", sa.String(length=20), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name="fk_refusal_connection_id"
        ),
        sa.PrimaryKeyConstraint("connection_id", "resource_type", "interaction", name="pk_refusal"),
    )

    op.create_table(
        "watch",
        sa.Column("connection_id", Id, nullable=False),
        sa.Column("criteria", sa.String(length=300), nullable=False),
        sa.Column("remote_id", sa.String(length=120), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("last_event", sa.BigInteger(), nullable=False),
        sa.Column("heard_at", sa.Double(), nullable=True),
        sa.Column("heartbeat_s", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "state IN ('requested', 'active', 'error', 'off')", name="ck_watch_state"
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name="fk_watch_connection_id"
        ),
        sa.PrimaryKeyConstraint("connection_id", "criteria", name="pk_watch"),
    )

    op.create_table(
        "conflict",
        sa.Column("id", Id, nullable=False),
        sa.Column("link_id", Id, nullable=False),
        sa.Column("connection_id", Id, nullable=False),
        sa.Column("record_type", sa.String(length=40), nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("owner", sa.String(length=8), nullable=False),
        sa.Column("base", sa.Text(), nullable=True),
        sa.Column("ours", sa.Text(), nullable=True),
        sa.Column("theirs", sa.Text(), nullable=True),
        sa.Column("ours_version", sa.Integer(), nullable=False),
        sa.Column("ours_by", sa.String(length=120), nullable=False),
        sa.Column("ours_at", sa.Double(), nullable=False),
        sa.Column("theirs_version", sa.String(length=120), nullable=False),
        sa.Column("theirs_by", sa.String(length=120), nullable=False),
        sa.Column("theirs_at", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("resolved_by", sa.String(length=120), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'decided', 'settled')", name="ck_conflict_state"),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name="fk_conflict_connection_id"
        ),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name="fk_conflict_link_id"),
        sa.PrimaryKeyConstraint("id", name="pk_conflict"),
    )
    op.create_index("ix_conflict_record", "conflict", ["record_type", "record_id"], unique=False)
    op.create_index("ix_conflict_state", "conflict", ["state"], unique=False)
    op.create_index(
        "uq_conflict_one_open",
        "conflict",
        ["link_id", "path"],
        unique=True,
        sqlite_where=sa.text("state != 'settled'"),
        postgresql_where=sa.text("state != 'settled'"),
    )

    op.create_table(
        "dispatch",
        sa.Column("id", Id, nullable=False),
        sa.Column("delivery_id", Id, nullable=False),
        sa.Column("link_id", Id, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("mappings", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name="fk_dispatch_delivery_id"),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name="fk_dispatch_link_id"),
        sa.PrimaryKeyConstraint("id", name="pk_dispatch"),
        sa.UniqueConstraint("delivery_id", "link_id", name="uq_dispatch_delivery_id_link_id"),
    )
