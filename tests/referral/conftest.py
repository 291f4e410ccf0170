"""Referrals at each state, and the tables that tests hold the code to, stand beside these tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
