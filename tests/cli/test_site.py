"""A site's folder on the command line: ``--site`` and the setting."""

from __future__ import annotations

import orjson
import pytest
from clinic_site import PLAN, TEXTS

from fhirsvc import shipped

SITE = {"track": "evening", "case_number": "C-77"}


@pytest.fixture(name="site")
def _site(shell):
    """A site's folder."""
    for name, text in TEXTS.items():
        path = shell.folder / name.replace("site/", "clinic/", 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return shell.folder / "clinic"


@pytest.fixture(name="plan")
def _plan(shell):
    """A file with a care plan that has the site's fields."""
    record = orjson.loads(shipped.demo()["care_plan.ndjson"].splitlines()[0])
    return shell.file("plan.ndjson", {**record, "site": SITE})


def identifiers(stdout):
    made = [orjson.loads(line) for line in stdout.splitlines()]
    return [i["system"] for r in made if r["resourceType"] == "CarePlan" for i in r["identifier"]]


def test_map_check_and_run_take_the_folder(shell, site, plan):
    """With it the plan has the county's number; without it the field is unknown."""
    assert shell("map", "check", "--site", site).exit_code == 0
    result = shell("map", "run", plan, "--site", site)
    assert result.exit_code == 0
    assert "https://county.example/case" in identifiers(result.stdout)
    assert "$.site: error: unknown field" in shell("map", "run", plan).stderr


def test_the_setting_names_it_for_every_command(shell, site, plan, monkeypatch):
    """Checking, loading, mapping, several processes, the way back, settings shown."""
    monkeypatch.setenv("FHIRSVC_SITE", str(site))
    assert shell("records", "check", plan).exit_code == 0
    assert shell("load", plan).exit_code == 0
    result = shell("map", "run", plan, "--jobs", 2)
    assert "https://county.example/case" in identifiers(result.stdout)
    back = shell("map", "back", "-", "--onto", plan, input=result.stdout)
    assert orjson.loads(back.stdout)["site"] == SITE
    (shown,) = shell.json("config", "show")
    assert shown["site"] == str(site)


def test_without_the_setting_the_fields_are_refused_at_loading(shell, plan):
    """Nothing undeclared is stored."""
    result = shell("load", plan)
    assert result.exit_code == 1
    assert "$.site" in result.output


def test_a_finding_names_the_file_as_the_caller_knows_it(shell, site):
    """The site's folder in front; in SARIF too."""
    file = site / PLAN.removeprefix("site/")
    file.write_text(TEXTS[PLAN].replace("1.0.0", "0.9.0"), encoding="utf-8")
    result = shell("map", "check", "--site", site)
    assert result.exit_code == 1
    assert f"{file}:2:1: error: written for version 0.9.0" in result.stdout
    log = orjson.loads(shell("map", "check", "--site", site, "--format", "sarif").stdout)
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": str(file)}


def test_a_folder_that_is_not_there_is_said(shell, plan):
    """Exit 2, one line."""
    result = shell("map", "run", plan, "--site", "nowhere")
    assert result.exit_code == 2
    assert "no such folder of a site" in result.stderr
