"""Whose each record is, and what scores say of goals."""

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

PAGE = 500  # bodies in memory at a time
_KEY = ("type", "id", "version")
_record = sa.table("record", *map(sa.column, (*_KEY, "client_id")))
_version = sa.table("record_version", *map(sa.column, (*_KEY, "body")))


def upgrade() -> None:
    """Add what finds a client's goals and assessments, filled in for what is there already.

    Only columns and a table are added: SQLite would have to copy a table for anything else.
    """
    op.add_column("record", sa.Column("client_id", sa.String(length=64), nullable=True))
    for table in ("record", "delivery"):
        number = sa.Column("revision", sa.Integer(), nullable=False, server_default="0")
        op.add_column(table, number)
    _name_clients(op.get_bind())
    op.create_index("ix_record_client", "record", ["client_id", "type"], unique=False)
    op.create_table(
        "judgement",
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("word", sa.String(length=20), nullable=True),
        sa.Column("scores_at", sa.Double(), nullable=False),
        sa.Column("judged_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["type", "id", "version"],
            ["record_version.type", "record_version.id", "record_version.version"],
            name="fk_judgement_type_id_version",
        ),
        sa.PrimaryKeyConstraint("type", "id", "version", "revision", name="pk_judgement"),
    )


def _name_clients(tx: sa.Connection) -> None:
    """Give each record the client that its current version names, if it names one.

    Read here and not by the database: PostgreSQL refuses JSON with ``\\u0000`` in any text.
    """
    current = sa.and_(*(_version.c[name] == _record.c[name] for name in _KEY))
    bodies = sa.select(_record.c.type, _record.c.id, _version.c.body).join(_version, current)
    key = sa.tuple_(_record.c.type, _record.c.id)
    rename = (
        sa.update(_record)
        .where(_record.c.type == sa.bindparam("of"), _record.c.id == sa.bindparam("one"))
        .values(client_id=sa.bindparam("client"))
    )
    last = ("", "")
    while page := tx.execute(
        bodies.where(key > last).order_by(_record.c.type, _record.c.id).limit(PAGE)
    ).all():
        last = (page[-1].type, page[-1].id)
        named = [
            {"of": row.type, "one": row.id, "client": client}
            for row in page
            if isinstance(client := orjson.loads(row.body).get("client_id"), str)
        ]
        if named:
            tx.execute(rename, named)
