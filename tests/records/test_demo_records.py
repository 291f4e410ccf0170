"""The demo records pass, resolve, and are as fictional and well sourced as they must be."""

from __future__ import annotations

import json
import re
from collections import defaultdict

from clinic import CLIENTS, DEMO, of, values

from fhirsvc.records import TYPES, check, fields
from fhirsvc.records.instruments import RANGES, SUMMED

# Diagnosis codes with a verified source (VSAC, HL7 examples); anything else must be text.
SOURCED = {
    "icd10": {"F33.1", "F60.3", "F31.9", "F32.A", "F10.20", "F11.20", "F43.10", "Z56.0"},
    "snomed": {
        "66590003", "75544000", "85005007", "31956009", "21897009", "47505003", "370143000",
        "20010003", "32911000", "73438004",
    },
}  # fmt: skip


class TestEveryRecord:
    def test_passes_the_checker(self, demo):
        """No record of the demo has a finding."""
        findings = [(r["id"], str(f)) for r in demo for f in check(r)]

        assert findings == []

    def test_files_hold_one_type_sorted_by_id(self):
        """Each file is named for its type and in stable order, so diffs stay readable."""
        for path in DEMO.glob("*.ndjson"):
            records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

            assert path.stem in TYPES
            assert {r["type"] for r in records} == {path.stem}
            assert [r["id"] for r in records] == sorted(r["id"] for r in records)

    def test_all_types_and_a_clinic_of_the_right_size(self, demo):
        """All ten types occur, twelve clients, 150 to 250 records, no id twice."""
        assert {r["type"] for r in demo} == set(TYPES)
        assert [r["id"] for r in demo if r["type"] == "client"] == CLIENTS
        assert 150 <= len(demo) <= 250
        assert len({r["id"] for r in demo}) == len(demo)

    def test_references_resolve_to_the_right_type(self, demo, by_id):
        """Every reference names a record of the type its field says, of the same client."""
        wrong = [
            (record["id"], field.path)
            for record in demo
            for field in fields(record["type"]).values()
            if field.refers_to
            for target in values(record, field.path)
            if by_id.get(target, {}).get("type") != field.refers_to
            or by_id[target].get("client_id", record.get("client_id")) != record.get("client_id")
        ]

        assert wrong == []

    def test_keys_that_point_into_other_records_resolve(self, demo, by_id):
        """Diagnoses, contacts and modalities named by key exist for that client."""
        for client in CLIENTS:
            plans = of(demo, "care_plan", client)
            episodes = of(demo, "episode", client)
            diagnoses = {d["diagnosis_id"] for e in episodes for d in e["diagnoses"]}
            modalities = {m["modality_id"] for p in plans for m in p["modalities"]}
            contacts = {k["contact_id"] for k in by_id[client].get("contacts", [])}
            for record in [*of(demo, "goal", client), *of(demo, "referral", client)]:
                assert set(record.get("diagnosis_ids", [])) <= diagnoses
                assert set(values(record, "objectives[].interventions[].modality_id")) <= modalities
            for plan in plans:
                assert {d["diagnosis_id"] for d in plan["diagnoses"]} <= diagnoses
                assert set(values(plan, "care_team[].contact_id")) <= contacts
                assert set(values(plan, "family_involvement.members[].contact_id")) <= contacts

    def test_codes_have_a_source(self, demo):
        """Coded diagnoses use only codes with a verified source."""
        for record in demo:
            for diagnosis in record.get("diagnoses", []):
                if "code" in diagnosis:
                    assert diagnosis["code"] in SOURCED[diagnosis["code_system"]]

    def test_nothing_happens_after_october_2026(self, demo):
        """Records were written, scores taken and visits held in 2026 before November."""
        for record in demo:
            moments = [record["updated_at"], *values(record, "instruments[].administered_at")]
            moments += values(record, "appointments[].start_at") + values(record, "history[].at")

            assert all("2026-01-01" <= m < "2026-11" for m in moments), record["id"]

    def test_phone_numbers_and_addresses_are_fictional(self, demo):
        """Phones are 555-01xx (or 988), e-mail addresses end in .example."""
        for record in demo:
            for field in fields(record["type"]).values():
                name = field.path.rpartition(".")[2]
                if name in ("phone", "fax"):
                    for number in values(record, field.path):
                        assert number == "988" or re.search(r"\b555-01\d\d$", number)
                if name == "email":
                    assert all(v.endswith(".example") for v in values(record, field.path))


class TestInstruments:
    def test_totals_are_the_sums_of_the_answers(self, demo):
        """Every PHQ-9, GAD-7 and PCL-5 has all its answers, and they add up."""
        seen = set()
        for record in demo:
            for result in record.get("instruments", []):
                name = result["instrument"]
                if name in ("phq-9", "gad-7", "pcl-5"):
                    seen.add(name)
                    numbers = [str(n) for n in range(1, RANGES[name].scored + 1)]

                    assert [i["n"] for i in result["items"]] == numbers
                    assert sum(i["value"] for i in result["items"]) == result["total"]

        assert seen == {"phq-9", "gad-7", "pcl-5"} < set(SUMMED)

    def test_licensed_instruments_are_scores_only(self, demo):
        """AUDIT-C and DAST-10 carry no answers."""
        licensed = [
            result
            for record in demo
            for result in record.get("instruments", [])
            if result["instrument"] in ("audit-c", "dast-10")
        ]

        assert len(licensed) >= 8
        assert not any("items" in result for result in licensed)

    def test_severity_is_the_band_of_the_total(self, demo):
        """PHQ-9 bands at 5/10/15/20, GAD-7 at 5/10/15, PCL-5 at 33."""
        bands = {
            "phq-9": [(20, "severe"), (15, "moderately_severe"), (10, "moderate"), (5, "mild")],
            "gad-7": [(15, "severe"), (10, "moderate"), (5, "mild")],
            "pcl-5": [(33, "above_cutoff"), (0, "below_cutoff")],
        }
        for record in demo:
            for result in record.get("instruments", []):
                if result["instrument"] in bands:
                    steps = bands[result["instrument"]]
                    band = next((b for low, b in steps if result["total"] >= low), "minimal")

                    assert result["severity"] == band

    def test_two_people_do_not_answer_alike(self, demo):
        """Answers are each person's own: no two clients share a whole set of PHQ-9 answers."""
        sets = defaultdict(set)
        for record in demo:
            for result in record.get("instruments", []):
                if result["instrument"] == "phq-9" and result["total"] >= 8:
                    sets[tuple(i["value"] for i in result["items"])].add(record["client_id"])

        assert [clients for clients in sets.values() if len(clients) > 1] == []
