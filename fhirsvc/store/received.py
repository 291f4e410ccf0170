"""The tables of what comes from EHRs: how far each was read, what came, where both sides differ.

Times are seconds since the epoch in UTC, passed in by the caller: no default reads a clock.

What becomes of something that came (``inbox.state``)::

    waiting ──▶ echo     our own write, seen again
       │   ──▶ merged    into a record, or found to say nothing new
       │   ──▶ review    whose it is, or whether it is wanted, only a person can say
       │   ──▶ refused   it is not valid, or does not read as a record
       └───────▶ passed  nothing here reads it, or newer has come

An element that both sides changed is a conflict: open, decided by somebody, settled when both
sides hold the same again.
"""

from __future__ import annotations

import sqlalchemy as sa

from fhirsvc.store.tables import Id, metadata, one_of

cursor = sa.Table(
    "cursor",
    metadata,
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id"), primary_key=True),
    sa.Column("resource_type", sa.String(40), primary_key=True),
    sa.Column("watermark", sa.Double),  # the EHR's own time up to which all was read
    sa.Column("next_at", sa.Double, nullable=False),
    sa.Column("compared_at", sa.Double),  # the last full comparison
    sa.Column(
        "reason", sa.String(300), nullable=False
    ),  # why the last reading failed; '': it did not
)

watch = sa.Table(
    "watch",
    metadata,
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id"), primary_key=True),
    sa.Column("criteria", sa.String(300), primary_key=True),
    sa.Column("remote_id", sa.String(120)),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("last_event", sa.BigInteger, nullable=False),
    sa.Column("heard_at", sa.Double),
    sa.Column("heartbeat_s", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    one_of("state", ("requested", "active", "error", "off")),
)

INBOX_STATES = ("waiting", "echo", "merged", "review", "refused", "passed")

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id"), nullable=False),
    sa.Column("resource_type", sa.String(40), nullable=False),
    sa.Column("remote_id", sa.String(120), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),  # of what it holds, '' where it has gone
    sa.Column("etag", sa.String(120)),
    sa.Column("source", sa.String(8), nullable=False),  # poll, compare, hook, post, write
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("category", sa.String(20), nullable=False),
    sa.Column("reason", sa.String(1000), nullable=False),
    sa.Column("record_type", sa.String(40), nullable=False),  # '' while it is nobody's
    sa.Column("record_id", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer),  # of the record that it made
    sa.Column("body", sa.LargeBinary),  # zlib over JSON; kept while somebody has to look at it
    sa.Column("correlation_id", sa.String(64), nullable=False),
    sa.Column("received_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("next_at", sa.Double, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("resolved_by", sa.String(120), nullable=False),
    one_of("state", INBOX_STATES),
    sa.Index("ix_inbox_remote", "connection_id", "resource_type", "remote_id"),
    sa.Index("ix_inbox_state", "state", "next_at"),
)

conflict = sa.Table(
    "conflict",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("link_id", Id, sa.ForeignKey("link.id"), nullable=False),
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id"), nullable=False),
    sa.Column("record_type", sa.String(40), nullable=False),
    sa.Column("record_id", sa.String(64), nullable=False),
    sa.Column("path", sa.String(500), nullable=False),
    sa.Column("owner", sa.String(8), nullable=False),
    # JSON values; NULL where the element is not there
    sa.Column("base", sa.Text),
    sa.Column("ours", sa.Text),
    sa.Column("theirs", sa.Text),
    sa.Column("ours_version", sa.Integer, nullable=False),
    sa.Column("ours_by", sa.String(120), nullable=False),
    sa.Column("ours_at", sa.Double, nullable=False),
    sa.Column("theirs_version", sa.String(120), nullable=False),
    sa.Column("theirs_by", sa.String(120), nullable=False),
    sa.Column("theirs_at", sa.Double, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("resolution", sa.Text),  # ours, theirs, or a JSON value after value:
    sa.Column("resolved_by", sa.String(120), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    one_of("state", ("open", "decided", "settled")),
    sa.Index("ix_conflict_state", "state"),
    sa.Index("ix_conflict_record", "record_type", "record_id"),
)
sa.Index(
    "uq_conflict_one_open",
    conflict.c.link_id,
    conflict.c.path,
    unique=True,
    sqlite_where=conflict.c.state != "settled",
    postgresql_where=conflict.c.state != "settled",
)
