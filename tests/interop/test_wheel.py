"""What is installed works without the checkout: mappings, demo and pages are in the wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.interop  # building fetches setuptools

ROOT = Path(__file__).parents[2]


def test_the_wheel_carries_what_commands_need(tmp_path):
    """Unpacked in an empty folder, run from another: everything is found there."""
    # A copy: what earlier builds left in the checkout would get into this one.
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(ROOT, source, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", tmp_path, source]
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
