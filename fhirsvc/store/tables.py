"""The tables: what is wanted, what is on its way, and what the other side is known to hold.

    record ─┬─ record_version            what we want the world to know; a version never changes
            ├─ judgement per revision    how a goal's version is going, as its client's scores say
            └─ delivery per connection   one row per version and connection; the state machine
                 ├─ delivery_event       every transition, kept for ever
                 ├─ delivery_wait        what it waits for: a link, or a record not yet loaded
                 └─ dispatch per link    what was sent, by which mappings: a replay is pinned to it
    connection ─┬─ link ─┬─ attempt      one remote resource each; a row written before every write
                │        └─ conflict     an element that both sides changed, with both values
                ├─ refusal               what it was learned not to take, whatever it declares
                ├─ cursor, watch         how far it was read; where it promised to notify
                └─ inbox                 what came from it, and what became of that
    executor                             who is alive

Times are seconds since the epoch in UTC, passed in by the caller: no default reads a clock. It is
over 300 lines because tables that refer to each other are read together.

The states of a delivery (the transitions are :data:`TRANSITIONS`)::

    pending ──claim──▶ sending ──▶ delivered
       ▲                  ├─retry, wait──▶ pending
       │                  ├──────────────▶ held   conflict, gone, no rung, a record not loaded
       ├─release, retry───┤
       │                  └──────────────▶ dead   refused by the EHR, or does not map
       ├─scores── delivered, held, dead          a goal's scores came to say something else
    superseded ◀── any but delivered, when a newer version of the record is accepted
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers only INTEGER PRIMARY KEY by itself; PostgreSQL gets the wide one.
Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")

STATES = ("pending", "sending", "delivered", "held", "dead", "superseded")

TRANSITIONS: frozenset[tuple[str, str]] = frozenset(
    {
        ("", "pending"),
        ("pending", "sending"),
        ("pending", "superseded"),
        ("sending", "delivered"),
        ("sending", "pending"),
        ("sending", "held"),
        ("sending", "dead"),
        ("sending", "superseded"),
        ("held", "pending"),
        ("held", "superseded"),
        ("dead", "pending"),
        ("dead", "superseded"),
    }
)
# What was delivered goes again when its scores came to say something else, and only then.
REOPENING = ("delivered", "pending")

OUTCOMES = ("unknown", "done", "adopted", "absent", "refused", "not_sent")


def one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    """A column takes these words and no others."""
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


record = sa.Table(
    "record",
    metadata,
    sa.Column("type", sa.String(40), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("client_id", sa.String(64)),  # whose it is; NULL for what belongs to no client
    sa.Column("revision", sa.Integer, nullable=False, server_default="0"),  # of its judgement
    sa.Index("ix_record_client", "client_id", "type"),
)

record_version = sa.Table(
    "record_version",
    metadata,
    sa.Column("type", sa.String(40), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("accepted_at", sa.Double, nullable=False),
    sa.Column("correlation_id", sa.String(64), nullable=False),
    sa.Column("source", sa.String(64), nullable=False, server_default=""),  # connection; '': here
    sa.Column("is_deleted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.ForeignKeyConstraint(["type", "id"], ["record.type", "record.id"]),
    sa.CheckConstraint("version >= 1", name="version"),
)

judgement = sa.Table(
    "judgement",
    metadata,
    sa.Column("type", sa.String(40), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("word", sa.String(20)),  # the house word; NULL where nothing says any
    sa.Column("scores_at", sa.Double, nullable=False),  # newest acceptance it rests on; 0: none
    sa.Column("judged_at", sa.Double, nullable=False),
    sa.ForeignKeyConstraint(
        ["type", "id", "version"],
        ["record_version.type", "record_version.id", "record_version.version"],
    ),
)

connection = sa.Table(
    "connection",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("base_url", sa.String(500), nullable=False),
    sa.Column("auth", sa.String(10), nullable=False),
    sa.Column("secret", sa.String(300), nullable=False),  # env:NAME or file:PATH, never the secret
    sa.Column("write_mode", sa.String(12), nullable=False),
    sa.Column("us_core", sa.Integer, nullable=False),
    sa.Column("rate", sa.Double, nullable=False),  # writes and reads per second
    sa.Column("burst", sa.Integer, nullable=False),
    sa.Column("index_lag_s", sa.Double, nullable=False),
    sa.Column("concurrency", sa.Integer, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("rest_until", sa.Double, nullable=False),  # asked to wait, or not answering
    sa.Column("failures", sa.Integer, nullable=False),  # in a row
    sa.Column("created_at", sa.Double, nullable=False),
    # JSON objects: how it authenticates, its certificates, chosen rungs, how it is read.
    sa.Column("options", sa.Text, nullable=False, server_default="{}"),
    sa.Column("tls", sa.Text, nullable=False, server_default="{}"),
    sa.Column("rungs", sa.Text, nullable=False, server_default="{}"),
    sa.Column("inbound", sa.Text, nullable=False, server_default="{}"),
    sa.Column("capability", sa.Text),  # its CapabilityStatement, when last read
    sa.Column("capability_at", sa.Double),
    one_of("auth", ("none", "basic", "bearer", "oauth2", "smart")),
    one_of("write_mode", ("conditional", "create")),
    one_of("state", ("active", "paused", "stopped")),
    sa.CheckConstraint("rate > 0", name="rate"),
    sa.CheckConstraint("burst >= 1", name="burst"),
    sa.CheckConstraint("concurrency >= 1", name="concurrency"),
    sa.CheckConstraint(
        "secret = '' OR secret LIKE 'env:%' OR secret LIKE 'file:%'", name="secret_is_a_reference"
    ),
)

delivery = sa.Table(
    "delivery",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id"), nullable=False),
    sa.Column("record_type", sa.String(40), nullable=False),
    sa.Column("record_id", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("next_at", sa.Double, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),  # failures so far; waiting is none
    sa.Column("category", sa.String(20), nullable=False),
    sa.Column("reason", sa.String(1000), nullable=False),
    sa.Column("owner", sa.String(120), nullable=False),  # the executor while sending, else ''
    sa.Column("correlation_id", sa.String(64), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False, server_default="0"),  # the judgement to send
    sa.Column("as_ran", sa.Boolean, nullable=False, server_default=sa.false()),  # a pinned replay
    sa.Column("report", sa.Text),  # JSON: the rung of each resource, and what it could not carry
    sa.ForeignKeyConstraint(
        ["record_type", "record_id", "version"],
        ["record_version.type", "record_version.id", "record_version.version"],
    ),
    sa.UniqueConstraint("connection_id", "record_type", "record_id", "version"),
    one_of("state", STATES),
    sa.CheckConstraint("(state = 'sending') = (owner <> '')", name="sending_has_an_owner"),
)
# The two rules that keep a record's versions in order at an EHR.
sa.Index(
    "uq_delivery_one_sending",
    delivery.c.connection_id,
    delivery.c.record_type,
    delivery.c.record_id,
    unique=True,
    sqlite_where=delivery.c.state == "sending",
    postgresql_where=delivery.c.state == "sending",
)
sa.Index(
    "uq_delivery_one_pending",
    delivery.c.connection_id,
    delivery.c.record_type,
    delivery.c.record_id,
    unique=True,
    sqlite_where=delivery.c.state == "pending",
    postgresql_where=delivery.c.state == "pending",
)
# What is due next stands at the head of this one: PostgreSQL would sort all that waits.
sa.Index(
    "ix_delivery_next",
    delivery.c.connection_id,
    delivery.c.next_at,
    delivery.c.id,
    sqlite_where=delivery.c.state == "pending",
    postgresql_where=delivery.c.state == "pending",
)
sa.Index("ix_delivery_due", delivery.c.connection_id, delivery.c.state, delivery.c.next_at)
sa.Index("ix_delivery_owner", delivery.c.state, delivery.c.owner)
sa.Index("ix_delivery_record", delivery.c.record_type, delivery.c.record_id)

delivery_event = sa.Table(
    "delivery_event",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("delivery_id", Id, sa.ForeignKey("delivery.id"), nullable=False, index=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("from_state", sa.String(10), nullable=False),  # '' when it begins
    sa.Column("to_state", sa.String(10), nullable=False),
    sa.Column("category", sa.String(20), nullable=False),
    sa.Column("reason", sa.String(1000), nullable=False),
    sa.Column("executor", sa.String(120), nullable=False),
)

delivery_wait = sa.Table(
    "delivery_wait",
    metadata,
    sa.Column(
        "delivery_id", Id, sa.ForeignKey("delivery.id"), primary_key=True, autoincrement=False
    ),
    sa.Column("kind", sa.String(6), primary_key=True),
    sa.Column("type", sa.String(40), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    one_of("kind", ("link", "record")),
    sa.Index("ix_delivery_wait_target", "kind", "type", "id"),
)

link = sa.Table(
    "link",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id"), nullable=False),
    sa.Column("resource_type", sa.String(40), nullable=False),
    sa.Column("local_id", sa.String(64), nullable=False),  # client.c-001, care-plan.cp-001.dx1
    sa.Column("identifier_system", sa.String(300), nullable=False),
    sa.Column("identifier_value", sa.String(300), nullable=False),
    sa.Column("record_type", sa.String(40), nullable=False),
    sa.Column("record_id", sa.String(64), nullable=False),
    sa.Column("remote_type", sa.String(40), nullable=False),
    sa.Column("remote_id", sa.String(120)),
    sa.Column("etag", sa.String(120)),
    sa.Column("acked_hash", sa.String(64)),  # of our own form, references local
    sa.Column("acked_version", sa.Integer),  # of the record
    sa.Column("remote_hash", sa.String(64)),  # of what the EHR answered it holds
    sa.Column("acked_at", sa.Double),
    sa.Column("rung", sa.String(12), nullable=False, server_default="native"),
    sa.Column("standing", sa.String(8), nullable=False, server_default="live"),
    # The last agreement, zlib over JSON: what our mapping said, and what the EHR held then.
    sa.Column("said", sa.LargeBinary),
    sa.Column("held", sa.LargeBinary),
    sa.UniqueConstraint("connection_id", "resource_type", "local_id"),
    sa.Index("ix_link_record", "connection_id", "record_type", "record_id"),
)
sa.Index(
    "uq_link_remote",
    link.c.connection_id,
    link.c.remote_type,
    link.c.remote_id,
    unique=True,
    sqlite_where=link.c.remote_id.is_not(None),
    postgresql_where=link.c.remote_id.is_not(None),
)

attempt = sa.Table(
    "attempt",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("link_id", Id, sa.ForeignKey("link.id"), nullable=False, index=True),
    sa.Column("delivery_id", Id, sa.ForeignKey("delivery.id"), nullable=False, index=True),
    sa.Column("executor", sa.String(120), nullable=False),
    sa.Column("method", sa.String(6), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("body", sa.Text),  # what was sent, kept only while the outcome is unknown
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("settle_at", sa.Double, nullable=False),  # a read-back before this may miss it
    sa.Column("ended_at", sa.Double),
    sa.Column("outcome", sa.String(10), nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("response", sa.Text),  # the OperationOutcome of a refusal; may hold PHI
    one_of("outcome", OUTCOMES),
)
sa.Index(
    "uq_attempt_one_open",
    attempt.c.link_id,
    unique=True,
    sqlite_where=attempt.c.outcome == "unknown",
    postgresql_where=attempt.c.outcome == "unknown",
)

dispatch = sa.Table(
    "dispatch",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("delivery_id", Id, sa.ForeignKey("delivery.id"), nullable=False),
    sa.Column("link_id", Id, sa.ForeignKey("link.id"), nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("mappings", sa.String(64), nullable=False),  # fingerprint of those that made it
    sa.Column("hash", sa.String(64), nullable=False),  # of our own form
    sa.Column("body", sa.LargeBinary, nullable=False),  # what was sent, zlib over JSON
    sa.UniqueConstraint("delivery_id", "link_id"),
)

refusal = sa.Table(
    "refusal",
    metadata,
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id"), primary_key=True),
    sa.Column("resource_type", sa.String(40), primary_key=True),
    sa.Column("interaction", sa.String(20), primary_key=True),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)

executor = sa.Table(
    "executor",
    metadata,
    sa.Column("id", sa.String(120), primary_key=True),
    sa.Column("place", sa.String(200), nullable=False),  # host, boot and pid namespace
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("pid_started", sa.String(40), nullable=False),  # tells a reused pid from ours
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("heartbeat_at", sa.Double, nullable=False),
    sa.Column("stopped_at", sa.Double),
)
