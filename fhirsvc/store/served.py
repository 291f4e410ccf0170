"""The tables of what ``/fhir`` serves: what records map to, every version, and search values.

    served ─┬─ served_version    every version with its body, deletions too; none ever changes
            ├─ served_word       what tokens, references, strings and uris search in
            └─ served_date       what dates search in: a span of time
    served_record                which version of a record was mapped, by which mappings
    served_due                   records whose current version is still to be mapped
    served_page                  a search that goes on: its next link names it and not its words

Times are seconds since the epoch in UTC, passed in by the caller: no default reads a clock.
"""

from __future__ import annotations

import sqlalchemy as sa

from fhirsvc.store.tables import Id, metadata

WORD = 200  # characters of a value that are searched in

served = sa.Table(
    "served",
    metadata,
    # Made of type and id, so that batches need not ask for the number of each row.
    sa.Column("key", Id, primary_key=True, autoincrement=False),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("id", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),  # of the current body
    sa.Column("updated_at", sa.Double, nullable=False),  # to the millisecond
    sa.Column("is_deleted", sa.Boolean, nullable=False),
    sa.Column("has_extras", sa.Boolean, nullable=False),  # a partner wrote what no line makes
    sa.Column("record_type", sa.String(40), nullable=False),
    sa.Column("record_id", sa.String(64), nullable=False),
    sa.Index("ix_served_type", "type", "key"),
    sa.Index("ix_served_record", "record_type", "record_id"),
)

served_version = sa.Table(
    "served_version",
    metadata,
    sa.Column("key", Id, sa.ForeignKey("served.key"), primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("is_deleted", sa.Boolean, nullable=False),
    sa.Column("is_first", sa.Boolean, nullable=False),  # it was created, or was again
    sa.Column("body", sa.Text, nullable=False),  # JSON without what the version says of itself
    sa.Index("ix_served_version_at", "updated_at", "key"),
)

served_word = sa.Table(
    "served_word",
    metadata,
    sa.Column("name", sa.String(60), primary_key=True),  # CarePlan.status
    sa.Column("value", sa.String(WORD), primary_key=True),  # a string: folded
    sa.Column("system", sa.String(WORD), primary_key=True),  # a string: as it is written
    sa.Column("key", Id, sa.ForeignKey("served.key"), primary_key=True, autoincrement=False),
    sa.Index("ix_served_word_key", "key"),
    sqlite_with_rowid=False,
)

served_date = sa.Table(
    "served_date",
    metadata,
    sa.Column("name", sa.String(60), primary_key=True),
    sa.Column("low", sa.Double, primary_key=True),  # low <= it < high
    sa.Column("high", sa.Double, primary_key=True),
    sa.Column("key", Id, sa.ForeignKey("served.key"), primary_key=True, autoincrement=False),
    sa.Index("ix_served_date_key", "key"),
    sqlite_with_rowid=False,
)

served_record = sa.Table(
    "served_record",
    metadata,
    sa.Column("type", sa.String(40), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("mappings", sa.String(64), nullable=False),  # their fingerprint
    sa.Column("is_served", sa.Boolean, nullable=False),  # it mapped cleanly
    sa.ForeignKeyConstraint(["type", "id"], ["record.type", "record.id"]),
)

served_due = sa.Table(
    "served_due",
    metadata,
    sa.Column("type", sa.String(40), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.ForeignKeyConstraint(["type", "id"], ["record.type", "record.id"]),
)

served_page = sa.Table(
    "served_page",
    metadata,
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("client", sa.String(200), nullable=False),  # only who searched may go on
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("query", sa.Text, nullable=False),  # JSON: the parameters
    sa.Column("expires_at", sa.Double, nullable=False, index=True),
)
