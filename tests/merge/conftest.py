"""The makers of records and of broken resources stand beside the tests of mapping and FHIR."""

from __future__ import annotations

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS / "mapping"), str(_TESTS / "fhir")]
