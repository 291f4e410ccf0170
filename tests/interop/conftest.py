"""Session fixtures: one server of each kind for the whole run, started when first asked for.

A server that cannot run here skips its tests and says why, unless ``FHIRSVC_INTEROP_REQUIRE`` is
set: then a missing program fails them, so that a gate cannot pass by testing nothing. Missing US
Core packages only ever skip: ``setup.sh`` cannot install those.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import pytest
from profiles import PackagesAbsentError, us_core
from servers import HapiServer, NotAvailableError, PostgresServer, Validator


@contextlib.contextmanager
def skip_if_absent() -> Iterator[None]:
    """Skip, or fail where servers are required, when what is started here cannot be."""
    try:
        yield
    except NotAvailableError as absent:
        packages = isinstance(absent, PackagesAbsentError)
        if os.environ.get("FHIRSVC_INTEROP_REQUIRE") and not packages:
            raise
        pytest.skip(str(absent))


@pytest.fixture(scope="session", name="hapi")
def _hapi() -> Iterator[HapiServer]:
    """Return a HAPI FHIR R4 server in memory, shared: use identifiers of your own."""
    with contextlib.ExitStack() as stack:
        with skip_if_absent():
            server = stack.enter_context(HapiServer())
        yield server


@pytest.fixture(scope="session", name="validator")
def _validator() -> Iterator[Callable[[str], Validator]]:
    """Return a function from a US Core version (``"6.1.0"``) to its validator, started once.

    ``"R4"`` is the validator of base R4 alone, which needs no package. Versions share canonical
    URLs, so each has a process of its own (0.6 GB). The caller's test is skipped when the version's
    package is not on this machine.
    """
    with contextlib.ExitStack() as stack:
        started: dict[str, Validator] = {}

        def for_version(version: str) -> Validator:
            if version not in started:
                with skip_if_absent():
                    packages = [] if version == "R4" else us_core(version)
                    started[version] = stack.enter_context(Validator(packages))
            return started[version]

        yield for_version


@pytest.fixture(scope="session", name="postgres")
def _postgres() -> Iterator[PostgresServer]:
    """Return a PostgreSQL server, shared: take ``new_database()`` for a test of your own."""
    with contextlib.ExitStack() as stack:
        with skip_if_absent():
            server = stack.enter_context(PostgresServer())
        yield server
