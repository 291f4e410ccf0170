"""One database, SQLite or PostgreSQL: connections, transactions and migrations."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.store.group_commit import GroupCommit
from fhirsvc.store.prepared import ask

if TYPE_CHECKING:
    from alembic.config import Config

T = TypeVar("T")
HEAD = "0009"  # the newest revision that this version knows
RACES = 5  # how often a transaction that lost a race is tried again
# A process that stands still inside a transaction would keep its locks from all others: PostgreSQL
# ends its session. Well before others take over what it has in hand.
# https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-IN-TRANSACTION-SESSION-TIMEOUT
IDLE_S = 6.0
LEADERS = 4  # transactions run together at a time, where several can write
MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """Transactions on one database; safe to share between threads.

    ``url`` is an SQLAlchemy URL: ``sqlite:///file.db`` or ``postgresql+psycopg://…``. On SQLite
    every connection is WAL with ``synchronous=FULL`` (a commit survives a loss of power), and a
    write takes its lock at BEGIN, so that two writers queue instead of failing half-way:
    https://www.sqlite.org/lang_transaction.html
    """

    def __init__(self, url: str, *, idle_s: float = IDLE_S) -> None:
        self.url = sa.make_url(url)
        self._idle_s = idle_s
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            _make_private(self.path)
        self.engine = self._make_engine("FULL")
        self._writer = self.engine.execution_options(writes=True)
        # On PostgreSQL the same connections serve both: there it is set per transaction.
        self._hasty = self._make_engine("NORMAL") if self.is_sqlite else self.engine
        self._hasty_writer = self._hasty.execution_options(writes=True)
        # SQLite's own way to wait for another writer is to sleep and look again.
        self._queue = threading.Lock() if self.is_sqlite else nullcontext()
        leaders = 1 if self.is_sqlite else LEADERS
        self._group = GroupCommit(self.write, self.run, _is_race, leaders)

    def _make_engine(self, synchronous: str, foreign_keys: str = "ON") -> sa.Engine:
        # Parameters hold record bodies: never in an error's text.
        options: dict[str, Any] = {"hide_parameters": True, "pool_size": 20, "max_overflow": 40}
        if not self.is_sqlite:
            return sa.create_engine(
                with_idle_limit(self.url, self._idle_s), pool_pre_ping=True, **options
            )
        engine = sa.create_engine(self.url, **options)

        @sa.event.listens_for(engine, "connect")
        def _tune(dbapi: Any, _record: object) -> None:
            _tune_sqlite(dbapi, synchronous, foreign_keys)

        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    @property
    def path(self) -> Path:
        """The SQLite file; an error (INVALID) for other databases and for ``:memory:``."""
        if not self.is_sqlite or self.url.database in (None, "", ":memory:"):
            raise FhirsvcError(Category.INVALID, "an SQLite database must be a file", "database")
        return Path(str(self.url.database))

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sa.Connection]:
        """A transaction that commits at the end of the block, or rolls back on an exception.

        One that is not ``durable`` survives the end of the process like any other, but the last
        of them may be undone by a loss of power, in the order they were made: for what is found
        out again by itself. https://www.sqlite.org/pragma.html#pragma_synchronous and
        https://www.postgresql.org/docs/current/wal-async-commit.html
        """
        writer = self._writer if durable else self._hasty_writer
        with self._queue, writer.begin() as connection:
            if not durable and not self.is_sqlite:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection

    def run(self, work: Callable[[sa.Connection], T], *, durable: bool = True) -> T:
        """Run ``work`` in a writing transaction, again when it lost a race to another one.

        ``work`` must do nothing but read and write the database, because it may run more than
        once. Races are what PostgreSQL reports as deadlocks and serialization failures, and a
        unique rule that another transaction filled first.
        """
        for remaining in range(RACES, -1, -1):
            try:
                with self.write(durable=durable) as connection:
                    return work(connection)
            except sa.exc.DBAPIError as error:
                if not remaining or not _is_race(error):
                    raise
        raise AssertionError("the last round returns or raises")

    def run_together(self, work: Callable[[sa.Connection], T], *, durable: bool = True) -> T:
        """The same in a transaction that ``work`` may share with what other threads run together.

        For what many threads do often and is done soon: :mod:`fhirsvc.store.group_commit`.
        """
        return self._group.run(work, durable=durable)

    def upgrade(self, revision: str = "head") -> None:
        """Bring the schema to ``revision``; does nothing when it is there already."""
        if revision == "head" and self.revision() == HEAD:
            return
        if not self.is_sqlite:
            with self.write() as connection:
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                # Two processes starting together must not both create the tables.
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(7033116)"))
                _migrate(connection, revision)
            return
        # SQLite changes a rule of a table by making the table anew, and cannot while others refer
        # to it: https://www.sqlite.org/lang_altertable.html#otheralter
        engine = self._make_engine("FULL", foreign_keys="OFF")
        try:
            with self._queue, engine.execution_options(writes=True).begin() as connection:
                _migrate(connection, revision)
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if broken is not None:
                    message = "a migration left rows that refer to nothing"
                    raise FhirsvcError(Category.FAULT, message, f"table {broken[0]}")
        finally:
            engine.dispose()

    def revision(self) -> str | None:
        """The revision the schema is at; None for an empty database."""
        with self.read() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            found = connection.execute(sa.text("SELECT version_num FROM alembic_version"))
            revision: str | None = found.scalar()
            return revision

    def check(self) -> None:
        """Raise CONFLICT unless the schema is at the newest revision this version knows."""
        current = self.revision()
        if current != HEAD:
            raise FhirsvcError(
                Category.CONFLICT,
                f"the schema is at {current or 'nothing'}, this version needs {HEAD}: "
                "run `fhirsvc db upgrade`",
                "database",
            )

    def prepare(self) -> None:
        """See to the newest schema: an SQLite file is brought up to it, others have to have it.

        :raises FhirsvcError: CONFLICT, as ``check``: PostgreSQL is its operator's to upgrade.
        """
        if self.is_sqlite:
            self.upgrade()
        else:
            self.check()

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
        self._hasty.dispose()


def with_idle_limit(url: sa.URL, idle_s: float = IDLE_S) -> sa.URL:
    """A PostgreSQL URL whose sessions end when a transaction is idle for so many seconds.

    Options that the URL has are kept; where they set this limit, theirs holds.
    """
    given = url.query.get("options", ())
    options = [given] if isinstance(given, str) else list(given)
    if any("idle_in_transaction_session_timeout" in one for one in options):
        return url
    options.append(f"-c idle_in_transaction_session_timeout={int(idle_s * 1000)}")
    return url.update_query_dict({"options": " ".join(options)})


def _migrate(connection: sa.Connection, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 - most commands migrate nothing

    config = _alembic()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _is_race(error: BaseException) -> bool:
    if isinstance(error, sa.exc.IntegrityError):
        return True
    return getattr(getattr(error, "orig", None), "sqlstate", None) in (
        "40001",
        "40P01",
    )  # PostgreSQL, appendix A


def _alembic() -> Config:
    from alembic.config import Config  # noqa: PLC0415 - most commands migrate nothing

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _make_private(path: Path) -> None:
    """Create the file readable by its owner alone: it holds health records."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise FhirsvcError(
            Category.UNAVAILABLE, f"cannot open the file: {error.strerror}", str(path)
        ) from error


def _tune_sqlite(dbapi: Any, synchronous: str, foreign_keys: str) -> None:
    dbapi.isolation_level = None  # BEGIN is ours, see _begin_sqlite
    for pragma in (
        "busy_timeout=30000",
        "journal_mode=WAL",
        f"synchronous={synchronous}",
        f"foreign_keys={foreign_keys}",
    ):
        dbapi.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    ask(connection, "BEGIN IMMEDIATE" if writes else "BEGIN", (), lambda _: None)
