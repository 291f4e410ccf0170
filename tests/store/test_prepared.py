"""Statements that are compiled once answer as SQLAlchemy's own do, on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from fhirsvc.store import pairs
from fhirsvc.store.prepared import MOST, Prepared
from fhirsvc.store.tables import connection, executor, record, record_version

KEY = (record_version.c.type, record_version.c.id)
HEAD = {"hash": "h", "updated_at": 1.0, "version": 1}
VERSION = {"version": 1, "body": "{}", "hash": "h", "accepted_at": 1.5, "correlation_id": ""}
EXECUTOR = {"place": "", "pid": 1, "pid_started": "", "started_at": 0, "heartbeat_at": 0}
ADD = Prepared(sa.insert(executor))


def _versions(tx, names):
    for number, name in enumerate(names):
        tx.execute(sa.insert(record), {"type": "client", "id": name, **HEAD})
        is_deleted = number % 2 == 1
        row = {"type": "client", "id": name, "is_deleted": is_deleted, **VERSION}
        tx.execute(sa.insert(record_version), row)


def test_rows_are_those_of_sqlalchemy(database):
    """Every value has the type that its column says, whatever the driver makes of it."""
    once = Prepared(
        sa.select(record_version)
        .where(record_version.c.type == sa.bindparam("of_type"), record_version.c.version >= 1)
        .order_by(record_version.c.id)
    )
    with database.write() as tx:
        _versions(tx, "abc")
    with database.read() as tx:
        plain = tx.execute(sa.select(record_version).order_by(record_version.c.id)).all()
        rows = once.rows(tx, {"of_type": "client"})
        named = once.mappings(tx, {"of_type": "client"})

    assert rows == [tuple(row) for row in plain]
    assert [row[-1] for row in rows] == [False, True, False]
    assert all(type(row[-1]) is bool for row in rows)
    assert named == [dict(row._mapping) for row in plain]


def test_lists_of_any_length_are_looked_for(database):
    """A list is as long as it is, and more lengths than are kept are no matter."""
    once = Prepared(sa.select(*KEY).where(pairs.bound(KEY, "wanted")).order_by(*KEY))
    names = [f"n{number:03d}" for number in range(MOST + 5)]
    with database.write() as tx:
        _versions(tx, names[:3])
    with database.read() as tx:
        for count in (1, 2, 3, *range(4, MOST + 5), 2):
            wanted = [("client", name) for name in names[:count]]
            found = once.rows(tx, pairs.values("wanted", wanted))
            assert found == wanted[:3]
    assert len(once._texts) <= MOST


def test_what_is_set_is_what_is_named(database):
    """Of an UPDATE without values the names say what is set; what is not named stays."""
    change = Prepared(sa.update(executor).where(executor.c.id == sa.bindparam("changed")))
    with database.write() as tx:
        ADD.run(tx, {"id": "a", **EXECUTOR})
        change.run(tx, {"changed": "a", "place": "here"})
        change.run(tx, {"changed": "a", "pid": 7})
    with database.read() as tx:
        row = tx.execute(sa.select(executor.c.place, executor.c.pid)).one()

    assert tuple(row) == ("here", 7)


def test_it_is_part_of_the_transaction(database):
    """What it wrote is gone when the transaction is rolled back; its reads are of one moment."""
    count = Prepared(sa.select(sa.func.count()).select_from(executor))

    def fail():
        with database.write() as tx:
            ADD.run(tx, {"id": "a", **EXECUTOR})
            assert count.first(tx, {}) == (1,)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.read() as tx:
        assert count.first(tx, {}) == (0,)
        assert tx.in_transaction()


@pytest.mark.parametrize("name", ["taken", "secret"])
def test_errors_are_those_of_sqlalchemy(database, name):
    """A broken rule is an IntegrityError, and its text has no parameters in it."""
    add, values = ADD, {"id": "a", **EXECUTOR}
    if name == "secret":
        add, values = Prepared(sa.insert(connection)), {"secret": "Zebulon", "name": "a"}
    else:
        with database.write() as tx:
            ADD.run(tx, values)
    with pytest.raises(sa.exc.IntegrityError) as raised, database.write() as tx:
        add.run(tx, values)

    assert "[SQL parameters hidden" in str(raised.value)
    assert "Zebulon" not in str(raised.value).split("DETAIL")[0]
