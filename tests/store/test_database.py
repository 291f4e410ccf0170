"""The schema and the transactions, on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.store import Database
from fhirsvc.store.database import HEAD, _alembic, with_idle_limit
from fhirsvc.store.tables import connection, delivery, executor, metadata, record, record_version


def test_postgresql_is_tested_too():
    """The tests of the engine run on PostgreSQL as well where there is one."""
    if not os.environ.get("FHIRSVC_TEST_POSTGRES"):
        pytest.skip("set FHIRSVC_TEST_POSTGRES to an SQLAlchemy URL to test on PostgreSQL too")

    assert sa.make_url(os.environ["FHIRSVC_TEST_POSTGRES"]).get_backend_name() == "postgresql"


def test_migrations_make_what_the_tables_say(database):
    """After all migrations there is nothing that the table definitions would still change."""
    with database.read() as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": True})

        assert compare_metadata(context, metadata) == []


def test_upgrade_twice_changes_nothing(database):
    """An upgrade of an upgraded database is fine, and the check passes."""
    database.upgrade()

    database.check()
    assert database.revision() == HEAD


def test_the_newest_revision_is_the_last_script(database):
    """What is compared without reading the scripts is what they end in."""
    assert ScriptDirectory.from_config(_alembic()).get_current_head() == HEAD


def test_check_says_what_to_run(database_url):
    """A database without the schema is refused, with the command that helps."""
    fresh = Database(database_url)

    with pytest.raises(FhirsvcError, match="fhirsvc db upgrade") as raised:
        fresh.check()

    assert raised.value.category == Category.CONFLICT
    fresh.dispose()


def test_a_version_cannot_be_changed(database):
    """The database itself refuses to change an accepted version."""
    with database.write() as tx:
        tx.execute(record.insert().values(type="client", id="c", version=1, hash="h", updated_at=1))
        tx.execute(
            record_version.insert().values(
                type="client",
                id="c",
                version=1,
                body="{}",
                hash="h",
                accepted_at=1,
                correlation_id="",
            )
        )

    with pytest.raises(sa.exc.DBAPIError, match="immutable"), database.write() as tx:
        tx.execute(sa.update(record_version).values(body="{1}"))


def test_the_schema_refuses_a_secret(database):
    """A connection's secret column holds a reference; the secret itself is refused."""
    with pytest.raises(sa.exc.IntegrityError), database.write() as tx:
        tx.execute(connection.insert().values({**_CONNECTION, "secret": "hunter2"}))


def test_the_schema_refuses_an_unknown_state(database):
    """A delivery is in one of the six states."""
    with pytest.raises(sa.exc.IntegrityError), database.write() as tx:
        tx.execute(sa.insert(delivery).values(_delivery(1, "lost")))


def test_only_one_version_of_a_record_is_sent_at_a_time(database):
    """Two deliveries of one record cannot both be in sending, even by a mistake of ours."""
    with database.write() as tx:
        _store_two_versions(tx)
        tx.execute(sa.insert(delivery).values(_delivery(1, "sending", owner="a")))

    with pytest.raises(sa.exc.IntegrityError), database.write() as tx:
        tx.execute(sa.insert(delivery).values(_delivery(2, "sending", owner="b")))


def test_what_is_sent_has_an_owner(database):
    """A delivery in sending without an owner could never be taken back."""
    with database.write() as tx:
        _store_two_versions(tx)

    with pytest.raises(sa.exc.IntegrityError), database.write() as tx:
        tx.execute(sa.insert(delivery).values(_delivery(1, "sending")))


def test_run_repeats_after_a_lost_race(database):
    """A transaction that met somebody else's row first is run again and sees it."""
    tries = []

    def work(tx):
        tries.append(1)
        name = "taken" if len(tries) == 1 else "free"
        tx.execute(executor.insert().values({**_EXECUTOR, "id": name}))
        return name

    with database.write() as tx:
        tx.execute(executor.insert().values({**_EXECUTOR, "id": "taken"}))

    assert database.run(work) == "free"


def test_an_error_rolls_everything_back(database):
    """Nothing of a transaction that raised is left."""

    def fail():
        with database.write() as tx:
            tx.execute(executor.insert().values({**_EXECUTOR, "id": "a"}))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    with database.read() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(executor)).scalar() == 0


def test_errors_do_not_carry_parameters(database):
    """The text of a database error shows no values: they could be a record's body."""
    with pytest.raises(sa.exc.IntegrityError) as raised, database.write() as tx:
        tx.execute(connection.insert().values({**_CONNECTION, "secret": "Zebulon"}))

    assert "[SQL parameters hidden" in str(raised.value)


def test_writers_queue_on_sqlite(tmp_path: Path):
    """Writing transactions that read first never fail with 'database is locked'."""
    database = Database(f"sqlite:///{tmp_path / 'f.sqlite'}")
    database.upgrade()
    failed: list[BaseException] = []

    def add(name: str) -> None:
        try:
            for turn in range(20):
                with database.write() as tx:
                    tx.execute(sa.select(executor)).all()
                    tx.execute(executor.insert().values({**_EXECUTOR, "id": f"{name}{turn}"}))
        except sa.exc.DBAPIError as error:
            failed.append(error)

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    with database.read() as tx:
        assert len(tx.execute(sa.select(executor)).all()) == 80
    database.dispose()


def test_sqlite_is_durable_and_private(tmp_path: Path):
    """WAL, synchronous=FULL and foreign keys on every connection; the file is the owner's alone."""
    database = Database(f"sqlite:///{tmp_path / 'sub' / 'f.sqlite'}")

    with database.read() as tx:
        got = [
            tx.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]

    assert got == ["wal", 2, 1, 30000]
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600
    database.dispose()


def test_a_database_in_memory_is_refused():
    """Nothing accepted may be lost, so there is no database that ends with the process."""
    with pytest.raises(FhirsvcError, match="must be a file"):
        Database("sqlite://")


_CONNECTION = {
    "name": "a",
    "base_url": "http://127.0.0.1/fhir",
    "auth": "none",
    "secret": "",
    "write_mode": "create",
    "us_core": 8,
    "rate": 1,
    "burst": 1,
    "index_lag_s": 0,
    "concurrency": 1,
    "state": "active",
    "rest_until": 0,
    "failures": 0,
    "created_at": 0,
}
_EXECUTOR = {"place": "", "pid": 1, "pid_started": "", "started_at": 0, "heartbeat_at": 0}


def _delivery(version: int, state: str, owner: str = "") -> dict:
    return {
        "connection_id": 1,
        "record_type": "client",
        "record_id": "c",
        "version": version,
        "state": state,
        "next_at": 0,
        "attempts": 0,
        "category": "",
        "reason": "",
        "owner": owner,
        "correlation_id": "",
        "created_at": 0,
        "updated_at": 0,
    }


def _store_two_versions(tx: sa.Connection) -> None:
    tx.execute(connection.insert().values(_CONNECTION))
    tx.execute(record.insert().values(type="client", id="c", version=2, hash="", updated_at=0))
    for number in (1, 2):
        tx.execute(
            record_version.insert().values(
                type="client",
                id="c",
                version=number,
                body="{}",
                hash="",
                accepted_at=0,
                correlation_id="",
            )
        )


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("postgresql+psycopg://h/d", "-c idle_in_transaction_session_timeout=6000"),
        (
            "postgresql+psycopg://h/d?options=-c%20search_path%3Dclinic",
            "-c search_path=clinic -c idle_in_transaction_session_timeout=6000",
        ),
        (
            "postgresql+psycopg://h/d?options=-c%20idle_in_transaction_session_timeout%3D60000",
            "-c idle_in_transaction_session_timeout=60000",
        ),
    ],
)
def test_what_an_operator_says_of_sessions_holds(url, options):
    """Other options are kept, and so is a limit of their own."""
    assert with_idle_limit(sa.make_url(url)).query["options"] == options
