"""A real PostgreSQL, started by hand as an unprivileged user and killed at will."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Self

import psycopg
from child import Child, log_file, wait_until
from java_build import NotAvailableError
from psycopg import sql

_SETTINGS = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200")
_databases = itertools.count(1)


class PostgresServer:
    """Debian's PostgreSQL on a free loopback port, in a temporary folder of its own."""

    def __init__(self) -> None:
        self.port = 0
        self._bin = _postgres_programs()
        self._account = _unprivileged() if os.geteuid() == 0 else None
        self._log = log_file("postgres")
        self._folder: Path | None = None
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Return the SQLAlchemy URL of the database ``fhirsvc``."""
        return self._url("fhirsvc")

    def __enter__(self) -> Self:
        # Not under .interop: the unprivileged account must be able to reach it.
        self._folder = Path(tempfile.mkdtemp(prefix="fhirsvc-postgres-"))
        if self._account is not None:
            os.chown(self._folder, *self._account)
        try:
            self._initialise()
            self.port = _free_port()
            self.start()
            self.new_database("fhirsvc")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start and wait for the first connection; raise RuntimeError with the log if none."""
        command = [str(self._bin / "postgres"), "-D", str(self._data()), "-p", str(self.port)]
        for setting in _SETTINGS:
            command += ["-c", setting]
        self._child = Child(
            command, self._log, lines=False, on_orphaned="QUIT", account=self._account
        )
        self._await_connection()

    def is_running(self) -> bool:
        """Tell whether the server runs."""
        return self._child is not None and self._child.running()

    def stop(self) -> None:
        """End the server politely, disconnecting whoever is still there."""
        if self._child is not None:
            self._child.stop(signal.SIGINT)

    def kill9(self) -> None:
        """End the server and all its backends with SIGKILL, as a power cut would."""
        if self._child is None or not self._child.running():
            return
        # Each backend leads a session of its own, so the process group does not reach it.
        backends = _children(self._child.pid)
        self._child.kill9()
        for pid in backends:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(_runs, backends)), "backends outlive SIGKILL", 10)

    def restart(self) -> None:
        """Start again on the same port and data, after ``kill9`` or while running."""
        self.stop()
        self.start()

    def new_database(self, name: str | None = None) -> str:
        """Create an empty database and return its SQLAlchemy URL."""
        name = name or f"test_{next(_databases)}"
        with psycopg.connect(self._dsn(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://fhirsvc@127.0.0.1:{self.port}/{database}"

    def _dsn(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=fhirsvc dbname=postgres connect_timeout=5"

    def _data(self) -> Path:
        if self._folder is None:
            msg = "use the server as a context manager"
            raise RuntimeError(msg)
        return self._folder / "data"

    def _initialise(self) -> None:
        command = [str(self._bin / "initdb"), "-D", str(self._data()), "-U", "fhirsvc"]
        command += ["--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        child = Child(command, self._log, lines=False, account=self._account)
        wait_until(lambda: not child.running(), f"initdb does not end; see {self._log}", 120)
        child.kill9()
        if not (self._data() / "PG_VERSION").exists():
            msg = f"initdb failed:\n{self._log.read_text(errors='replace')[-1500:]}"
            raise RuntimeError(msg)

    def _await_connection(self) -> None:
        def connects() -> bool:
            if self._child is None or not self._child.running():
                msg = f"PostgreSQL ended:\n{self._log.read_text(errors='replace')[-1500:]}"
                raise RuntimeError(msg)
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self._dsn()).close()
                return True
            return False

        wait_until(connects, f"PostgreSQL does not answer; see {self._log}")


def _postgres_programs() -> Path:
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(installed, key=lambda path: int(path.parts[-3]), default=None)
    if newest is None:
        msg = "PostgreSQL is not installed: run tests/interop/setup.sh"
        raise NotAvailableError(msg)
    return newest.parent


def _unprivileged() -> tuple[int, int]:
    """Return (uid, gid) of whom PostgreSQL runs as: it refuses to be root."""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            return account.pw_uid, account.pw_gid
    msg = "no account postgres or nobody to run PostgreSQL as"
    raise NotAvailableError(msg)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid: int) -> bool:
    """Tell whether ``pid`` runs; one that ended but nobody has waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
