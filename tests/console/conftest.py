"""Logs as structlog has them by itself, whatever a test before has configured."""

from __future__ import annotations

import pytest
import structlog


@pytest.fixture(autouse=True)
def _default_logs():
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
