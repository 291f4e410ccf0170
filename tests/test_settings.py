"""Settings: arguments, environment, file, in that order; errors name the setting, not its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.settings import Settings, load, secret


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"FHIRSVC_{name.upper()}", raising=False)


def test_order(tmp_path, monkeypatch):
    """An argument wins over the environment, and that over fhirsvc.toml."""
    (tmp_path / "fhirsvc.toml").write_text("sweep_s = 3.0\nstop_s = 3.0\ndead_after_s = 3.0\n")
    monkeypatch.setenv("FHIRSVC_STOP_S", "2")
    monkeypatch.setenv("FHIRSVC_DEAD_AFTER_S", "2")

    settings = load(dead_after_s=1.0)

    assert (settings.sweep_s, settings.stop_s, settings.dead_after_s) == (3.0, 2.0, 1.0)


def test_another_worker_takes_over_within_a_quarter_of_a_minute():
    """It looks once in a sweep, and the one that died may have been heard just before."""
    settings = load()

    assert settings.dead_after_s + 2 * settings.sweep_s <= 15.0


def test_settings_do_not_change():
    """One object, read once."""
    with pytest.raises(ValueError, match="frozen"):
        load().sweep_s = 5.0


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("sweep_s = 'Zebulon'", "setting sweep_s"),
        ("sweep_s = -1", "setting sweep_s"),
        ("sweeep_s = 1", "setting sweeep_s"),
        ("sweep_s = = 1", "fhirsvc.toml"),
    ],
)
def test_a_wrong_file(tmp_path, text, where):
    """What is wrong is named; the value, which could be a password, is not shown."""
    (tmp_path / "fhirsvc.toml").write_text(text)

    with pytest.raises(FhirsvcError) as raised:
        load()

    assert (raised.value.category, raised.value.where) == (Category.INVALID, where)
    assert "Zebulon" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"database_url": "sqlite:///a.db"}, "sqlite:///a.db-engine"),
        ({"database_url": "sqlite:///a.db?timeout=3"}, "sqlite:///a.db-engine?timeout=3"),
        ({"database_url": "postgresql+psycopg://h/d"}, "postgresql+psycopg://h/d"),
        ({"database_url": "sqlite:///a.db", "engine_url": "sqlite:///b"}, "sqlite:///b"),
    ],
)
def test_where_the_engine_keeps_its_jobs(given, expected):
    """Beside an SQLite file, in the same PostgreSQL, or where it is told to."""
    assert load(**given).engine_database_url == expected


def test_every_setting_says_what_it_is():
    """Each setting has a description for the documentation."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_secrets(tmp_path, monkeypatch):
    """A secret comes from a variable or a file, as it is now."""
    (tmp_path / "token").write_text("from a file")
    monkeypatch.setenv("MY_TOKEN", "from the environment")

    assert secret("env:MY_TOKEN") == "from the environment"
    assert secret(f"file:{tmp_path / 'token'}") == "from a file"


@pytest.mark.parametrize("reference", ["env:NOT_THERE_AT_ALL", "file:/not/there", "plain", ""])
def test_a_missing_secret(reference):
    """What cannot be read is an error that names the reference."""
    with pytest.raises(FhirsvcError) as raised:
        secret(reference)

    assert (raised.value.category, raised.value.where) == (Category.UNAUTHENTICATED, reference)
