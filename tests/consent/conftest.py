"""The maker of records stands beside the tests of mapping."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "mapping")]
