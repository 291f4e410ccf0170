"""The table of must-support elements is what the US Core packages say."""

from __future__ import annotations

import must_support_source
import pytest
from conftest import skip_if_absent

from fhirsvc.mapping.must_support_data import PROFILES

pytestmark = pytest.mark.interop


def test_the_table_is_what_the_packages_say():
    """Path by path, for every profile and version that a package is here for."""
    with skip_if_absent():
        derived = must_support_source.derived()
    assert derived == {name: " ".join(said.split()) for name, said in PROFILES.items()}
