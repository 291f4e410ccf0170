"""Kill -9 over workers, servers and the database: nothing lost, doubled or older over newer.

``make interop`` runs a share of at most three minutes; with ``FHIRSVC_KILLS=200`` that many are
made on each kind of database, or as many as ``FHIRSVC_KILLS_S`` seconds allow.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from servers import PostgresServer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kill_scenario import Found, Installation, Scenario, told
from remembering_ehr import RememberingFhir, remembering
from started_house import House

from fhirsvc import settings, wiring
from fhirsvc.store.connections import NewConnection
from fhirsvc.wiring import Wiring

pytestmark = pytest.mark.interop
KILLS = int(os.environ.get("FHIRSVC_KILLS", "12"))
LONGEST_S = float(
    os.environ.get("FHIRSVC_KILLS_S", "inf" if "FHIRSVC_KILLS" in os.environ else "60")
)
MODES = ("conditional", "create")  # how each of the EHRs is written to
ENGINE_SCHEMA = "dbos"


def test_on_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One ``serve`` with its worker beside it: each of its processes, and all of them."""
    database = tmp_path / "fhirsvc.sqlite"
    with _started(f"sqlite:///{database}", tmp_path) as (house, wired, ehrs):
        url = house.add_server("serve")

        def wipe() -> None:
            for path in tmp_path.glob(f"{database.name}-engine*"):
                path.unlink()

        kinds = {
            "worker": lambda _: house.kill_below("serve", " worker "),
            "server": lambda _: house.kill("serve"),
            "answering process": lambda _: house.kill_below("serve", "spawn_main"),
            "all": lambda _: house.kill_everything(),
        }
        installation = Installation(house, wired, [url], kinds, lambda: None, wipe)
        found = Scenario(installation, ehrs, seed=1).run(KILLS, LONGEST_S)
    _judge(found, "SQLite, one serve", capsys)


@pytest.mark.usefixtures("postgres")  # skips where PostgreSQL is not installed
def test_on_postgresql(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two servers and two workers, each of these on a host of its own, and the database itself."""
    with (
        PostgresServer() as server,
        _started(server.url, tmp_path) as (house, wired, ehrs),
    ):
        urls = [house.add_server(f"serve-{n}", "--no-delivery") for n in range(2)]
        workers = [f"worker-{n}" for n in range(2)]
        for name in workers:
            house.add(name, "worker", host=f"host-{name}")

        def kill_all(_: random.Random) -> None:
            house.kill_everything()
            server.kill9()

        def wipe() -> None:
            with wired.database.write() as tx:
                tx.execute(sa.text(f"DROP SCHEMA {ENGINE_SCHEMA} CASCADE"))

        def heal() -> None:
            if not server.is_running():
                server.start()

        kinds = {
            "worker": lambda dice: house.kill(dice.choice(workers)),
            "server": lambda dice: house.kill(f"serve-{dice.randrange(2)}"),
            "database": lambda _: server.kill9(),
            "all": kill_all,
        }
        installation = Installation(house, wired, urls, kinds, heal, wipe, workers)
        found = Scenario(installation, ehrs, seed=2).run(KILLS, LONGEST_S)
    _judge(found, "PostgreSQL, two servers and two workers", capsys)


@contextmanager
def _started(
    database_url: str, folder: Path
) -> Iterator[tuple[House, Wiring, list[RememberingFhir]]]:
    """A house on a new database with two EHRs; its processes are added and tended by the test."""
    given: Mapping[str, str] = {
        "database_url": database_url,
        "keys": str(folder / "keys"),
        "exports": str(folder / "exports"),
    }
    wired = wiring.product(settings.load(**given))
    wired.database.upgrade()
    with ExitStack() as stack:
        stack.callback(wired.database.dispose)
        ehrs = []
        for number, mode in enumerate(MODES):
            fhir, url = stack.enter_context(remembering(number))
            ehrs.append(fhir)
            options = {"rate": 1000.0, "burst": 1000, "index_lag_s": 0.3, "write_mode": mode}
            wired.operator.add_connection(NewConnection(mode, url, **options))
        house = House({f"FHIRSVC_{name.upper()}": value for name, value in given.items()})
        stack.callback(house.stop)
        yield house, wired, ehrs


def _judge(found: Found, title: str, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("\n" + "\n".join(told(found, title)))
    assert len(found.kills) >= 3
    assert found.wrong == []
    assert found.lost == []
    assert found.doubled == []
    assert found.backwards == []
    assert found.repeated == []
    assert found.unfinished == []
    assert found.tracebacks == []
