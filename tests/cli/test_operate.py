"""``connect``, ``sync``, ``db``, ``worker`` and ``config`` against a real simulated EHR."""

from __future__ import annotations


def test_from_nothing_to_delivered(shell, ehr, client_record):
    """Add, load, deliver, look: the states agree at every step."""
    (added,) = shell.json("connect", "add", "ehr", "--url", ehr.url, "--index-lag", "0")
    assert (added["name"], added["deliveries"]) == ("ehr", {})
    (loaded,) = shell.json("load", shell.file("c.ndjson", client_record))
    assert loaded["queued"] == 1
    (before,) = shell.json("sync", "status")
    assert (before["pending"], before["delivered"]) == (1, 0)
    assert shell.json("worker", "--until-idle") == [{"idle": True}]
    (after,) = shell.json("sync", "status")
    # Its own clinician was never loaded: it is held until it is.
    assert after["held"] == 1
    assert "ehr (active): 1 held" in shell("sync", "status").stdout


def test_pause_resume_now_and_retry(shell, ehr, client_record):
    """Each does what it says; a paused connection is left alone by the worker."""
    shell("connect", "add", "ehr", "--url", ehr.url)
    shell("load", shell.file("c.ndjson", client_record))
    assert shell.json("sync", "pause", "ehr") == [{"connection": "ehr", "state": "paused"}]
    assert shell("worker", "--until-idle").exit_code == 0
    (paused,) = shell.json("sync", "status")
    assert (paused["state"], paused["pending"]) == ("paused", 1)
    assert shell.json("sync", "resume", "ehr") == [{"connection": "ehr", "state": "active"}]
    shell("worker", "--until-idle")
    assert shell("sync", "retry", "1").stdout == "delivery 1: pending\n"
    (due,) = shell.json("sync", "now", "ehr")
    assert due["connection"] == "ehr"


def test_listing_without_and_with_connections(shell):
    """Says how to add one; then a line each."""
    assert "fhirsvc connect add" in shell("connect", "list").stdout
    assert shell.json("connect", "list") == []
    shell("connect", "add", "ehr", "--url", "http://127.0.0.1:9/fhir/")
    assert shell("connect", "list").stdout.startswith("ehr  http://127.0.0.1:9/fhir  none")
    again = shell("connect", "add", "ehr", "--url", "http://127.0.0.1:9/fhir/")
    assert (again.exit_code, again.stderr) == (1, "error: connection ehr: this name is taken\n")


def test_the_schema_is_upgraded_once(shell):
    """The second time there is nothing to do, and check agrees."""
    (first,) = shell.json("db", "upgrade")
    (second,) = shell.json("db", "upgrade")
    assert first["before"] is None
    assert second["before"] == second["revision"] == first["revision"]
    assert shell("db", "check").exit_code == 0


def test_settings_are_shown_without_passwords(shell, monkeypatch):
    """Where the value is from, FHIRSVC_… or fhirsvc.toml, does not matter."""
    monkeypatch.setenv("FHIRSVC_DATABASE_URL", "postgresql+psycopg://u:hunter2@db/x")
    result = shell("config", "show")
    assert "hunter2" not in result.stdout
    assert 'database_url = "postgresql+psycopg://u:***@db/x"' in result.stdout
    (shell.folder / "fhirsvc.toml").write_text("sweep_s = 2.5\n")
    (shown,) = shell.json("config", "show")
    assert shown["sweep_s"] == 2.5
