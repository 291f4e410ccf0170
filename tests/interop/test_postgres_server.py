"""PostgreSQL is real, private to the test run, ends with it, and survives kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from child import wait_until
from servers import PostgresServer

pytestmark = pytest.mark.interop


class TestPostgres:
    def test_committed_rows_survive_kill_9(self, postgres: PostgresServer) -> None:
        """After SIGKILL and a restart the committed row is there, the uncommitted one is not."""
        url = postgres.new_database()
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("create table t (n integer)"))
            connection.execute(sqlalchemy.text("insert into t values (1)"))
        cut_off = engine.connect()
        cut_off.execute(sqlalchemy.text("insert into t values (2)"))
        postgres.kill9()
        with pytest.raises(sqlalchemy.exc.OperationalError):
            cut_off.commit()
        cut_off.close()

        postgres.restart()

        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("select n from t")).scalars().all() == [1]

    def test_databases_are_separate(self, postgres: PostgresServer) -> None:
        """Each ``new_database`` is empty and another than ``url``'s."""
        names = {url.rsplit("/", 1)[1] for url in (postgres.url, postgres.new_database())}

        assert len(names) == 2

    def test_it_listens_on_loopback_only(self, postgres: PostgresServer) -> None:
        """The server names 127.0.0.1 as the one address it listens on, and no socket file."""
        dsn = postgres.url.replace("+psycopg", "")
        with psycopg.connect(dsn) as connection:
            settings = [
                connection.execute(f"show {name}").fetchone()
                for name in ("listen_addresses", "unix_socket_directories")
            ]

        assert settings == [("127.0.0.1",), ("",)]


@pytest.mark.usefixtures("postgres")  # skips where PostgreSQL is not installed
def test_no_server_outlives_its_test_run() -> None:
    """PostgreSQL ends by itself when the run that started it is killed with SIGKILL."""
    script = (
        "import time\n"
        "from servers import PostgresServer\n"
        "with PostgresServer() as server:\n"
        "    print(server.port, flush=True)\n"
        "    time.sleep(600)\n"
    )
    # Whoever is killed leaves the data folder behind; here it goes where this test removes it.
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=Path(__file__).parent,
            env={**os.environ, "TMPDIR": folder},
            stdout=subprocess.PIPE,
            text=True,
        ) as run,
    ):
        Path(folder).chmod(0o755)  # PostgreSQL's account must get through
        assert run.stdout is not None
        line = run.stdout.readline()
        os.kill(run.pid, signal.SIGKILL)
        assert line, "the script did not start its server"
        wait_until(lambda: _refuses(int(line)), "PostgreSQL outlives its test run")


def _refuses(port: int) -> bool:
    """Tell whether nobody listens on ``port``; a server on its way down is not gone yet."""
    try:
        psycopg.connect(f"host=127.0.0.1 port={port} user=fhirsvc dbname=postgres").close()
    except psycopg.OperationalError as failure:
        return "refused" in str(failure)
    return False
