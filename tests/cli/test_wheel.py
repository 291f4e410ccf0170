"""What is installed works without the checkout: mappings, demo and pages are in the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    not os.environ.get("FHIRSVC_TEST_WHEEL"),
    reason="builds a wheel, which fetches setuptools: set FHIRSVC_TEST_WHEEL=1",
)
def test_the_wheel_carries_what_commands_need(tmp_path):
    """Unpacked in an empty folder, run from another: everything is found there."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", tmp_path, ROOT]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    zipfile.ZipFile(wheel).extractall(installed)
    code = (
        "import sys, fhirsvc\n"
        "from fhirsvc.cli import main\n"
        "assert fhirsvc.__file__.startswith(sys.argv[1]), fhirsvc.__file__\n"
        "main(sys.argv[2:])"
    )
    for args in (["map", "check"], ["codes", "lint"], ["demo", "--once", "--json"]):
        run = subprocess.run(
            [sys.executable, "-c", code, str(installed), *args],
            cwd=elsewhere,
            env={"PYTHONPATH": str(installed), "PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
    names = {path.name for path in (installed / "fhirsvc" / "console").rglob("*")}
    assert {"console.css", "home.html", "record.html"} <= names
