"""Each migration on a database that is in use: nothing is lost, and what is new is filled in."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
import sqlalchemy as sa

from fhirsvc.store import Database
from fhirsvc.store.tables import connection, delivery, executor, link, record, record_version

BODIES = {
    ("client", "c-1"): [{}],
    ("goal", "g-1"): [{"client_id": "c-9"}, {"client_id": "c-1", "statement": "Größe \u0000 \"'"}],
    ("assessment", "a-1"): [{"client_id": "c-1", "status": "completed"}],
    ("staff", "s-1"): [{"client_id": None}],
}
ADDED = (
    "client_id",
    "revision",
    "source",
    "is_deleted",
    "as_ran",
    "report",
    "options",
    "tls",
    "rungs",
    "inbound",
    "capability",
    "capability_at",
    "rung",
    "standing",
    "said",
    "held",
)


@pytest.fixture(name="first")
def _first(database_url: str) -> Iterator[Database]:
    """A database of the first revision with records, a delivery, its history and a link."""
    database = Database(database_url)
    database.upgrade("0001")
    with database.write() as tx:
        _fill(tx)
    yield database
    database.dispose()


def _fill(tx: sa.Connection) -> None:
    for (kind, id_), bodies in BODIES.items():
        head = {"type": kind, "id": id_, "version": len(bodies), "hash": "h", "updated_at": 7}
        _insert(tx, "record", head)
        for number, body in enumerate(bodies, start=1):
            one = {"type": kind, "id": id_, "version": number, "hash": "h", "accepted_at": 7}
            text = orjson.dumps({"type": kind, "id": id_, **body}).decode()
            _insert(tx, "record_version", {**one, "body": text, "correlation_id": "x"})
    rates = {"rate": 1, "burst": 1, "index_lag_s": 1, "concurrency": 1, "us_core": 8}
    how = {"base_url": "https://ehr.example", "auth": "none", "secret": "", "state": "active"}
    now = {"rest_until": 0, "failures": 0, "created_at": 1, "write_mode": "create"}
    _insert(tx, "connection", {"id": 1, "name": "ehr", **rates, **how, **now})
    what = {"record_type": "goal", "record_id": "g-1", "version": 2, "connection_id": 1}
    when = {"next_at": 1, "attempts": 3, "created_at": 1, "updated_at": 1}
    said = {"category": "", "reason": "", "owner": "", "correlation_id": "x"}
    _insert(tx, "delivery", {"id": 5, **what, **when, **said, "state": "delivered"})
    moved = {"from_state": "", "to_state": "pending", "category": "", "reason": ""}
    _insert(tx, "delivery_event", {"id": 1, "delivery_id": 5, "at": 1, **moved, "executor": ""})


def _insert(tx: sa.Connection, name: str, values: dict[str, object]) -> None:
    """As the first revision has it: today's tables have columns that it lacks."""
    tx.execute(sa.insert(sa.table(name, *map(sa.column, values))).values(values))


def _rows(database: Database, table: sa.Table) -> list[dict[str, object]]:
    """What was there before: the rows without the columns that came later."""
    names = [column for column in table.c if column.name not in ADDED]
    with database.read() as tx:
        return [dict(row) for row in tx.execute(sa.select(*names).order_by(*names)).mappings()]


def test_nothing_is_lost(first: Database):
    """Every row of the first revision is there after the newest, as it was."""
    tables = (record, record_version, delivery, connection, link, executor)
    before = [_rows(first, table) for table in tables]

    first.upgrade()

    first.check()
    assert [_rows(first, table) for table in tables] == before
    assert [len(rows) for rows in before[:4]] == [4, 5, 1, 1]


def test_each_record_knows_its_client(first: Database):
    """Existing records get the client of their current version, and nobody's get none."""
    first.upgrade()

    with first.read() as tx:
        found = tx.execute(sa.select(record.c.id, record.c.client_id, record.c.revision))
        known = {row.id: (row.client_id, row.revision) for row in found}
        assert tx.execute(sa.select(delivery.c.revision)).scalars().all() == [0]
    assert known == {"c-1": (None, 0), "g-1": ("c-1", 0), "a-1": ("c-1", 0), "s-1": (None, 0)}


def test_more_records_than_a_page(first: Database):
    """Records are read in pages, and none is passed over."""
    with first.write() as tx:
        for number in range(1100):
            key = {"type": "goal", "id": f"many-{number}", "version": 1, "hash": "h"}
            body = {"body": f'{{"client_id":"c-{number}"}}', "accepted_at": 1}
            _insert(tx, "record", {**key, "updated_at": 1})
            _insert(tx, "record_version", {**key, **body, "correlation_id": "x"})

    first.upgrade()

    with first.read() as tx:
        query = sa.select(record.c.id, record.c.client_id).where(record.c.id.like("many-%"))
        found = {row.id: row.client_id for row in tx.execute(query)}
    assert found == {f"many-{number}": f"c-{number}" for number in range(1100)}


def test_a_clients_records_are_found_by_an_index(first: Database):
    """Finding them does not read every record."""
    first.upgrade()
    if not first.is_sqlite:
        pytest.skip("PostgreSQL plans by statistics, which four rows do not give it")
    query = "EXPLAIN QUERY PLAN SELECT id FROM record WHERE client_id = 'c-1' AND type = 'goal'"

    with first.read() as tx:
        plan = str(tx.execute(sa.text(query)).all())

    assert "ix_record_client" in plan


def test_versions_stay_immutable(first: Database):
    """The first revision's rule outlives the second."""
    first.upgrade()

    with pytest.raises(sa.exc.DBAPIError, match="immutable"), first.write() as tx:
        tx.execute(sa.update(record_version).values(body="{}"))


def test_a_connection_may_be_stopped_after_the_third(first: Database):
    """The rule of the table is the new one, and its rows and those that refer to it are there."""
    first.upgrade()

    with first.write() as tx:
        tx.execute(sa.update(connection).values(state="stopped", auth="smart"))
    with pytest.raises(sa.exc.IntegrityError), first.write() as tx:
        tx.execute(sa.update(connection).values(state="asleep"))
    with first.read() as tx:
        kept = tx.execute(
            sa.select(delivery.c.connection_id, connection.c.options).join(connection)
        )
        assert kept.all() == [(1, "{}")]
