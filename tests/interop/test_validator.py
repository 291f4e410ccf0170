"""The reference validator answers for the profiles we name, and says where a resource is wrong."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from java_build import java
from profiles import US_CORE_PACKAGES, US_CORE_PROFILES, us_core
from servers import NotAvailableError, Validator

pytestmark = pytest.mark.interop

VERSIONS = sorted(US_CORE_PACKAGES)
TYPES = {row.split("|")[0] for row in US_CORE_PROFILES}
CATEGORY = "http://terminology.hl7.org/CodeSystem/"

ForVersion = Callable[[str], Validator]


def good_patient() -> dict[str, Any]:
    """Return a patient every US Core version accepts; no profile is declared in it."""
    return {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
        "identifier": [{"system": "https://example.org/mrn", "value": "1"}],
        "name": [{"family": "Example", "given": ["Pat"]}],
        "gender": "unknown",
        "birthDate": "1990-02-28",
    }


def examples(version: str) -> Iterator[dict[str, Any]]:
    """Yield the guide's own examples of the types we profile, their declared profiles removed."""
    with tarfile.open(us_core(version)[0]) as package:
        for member in package:
            if member.name.startswith("package/example/") and member.name.endswith(".json"):
                file = package.extractfile(member)
                assert file is not None
                resource = json.load(file)
                if resource.get("resourceType") in TYPES:
                    meta = resource.pop("meta", {})
                    meta.pop("profile", None)
                    resource |= {"meta": meta} if meta else {}
                    yield resource


def example_patient(version: str) -> dict[str, Any]:
    return next(
        r for r in examples(version) if (r["resourceType"], r["id"]) == ("Patient", "example")
    )


@pytest.mark.parametrize("version", VERSIONS)
class TestUsCore:
    def test_every_profile_is_in_its_package(self, validator: ForVersion, version: str) -> None:
        """Each URL of our table resolves in this version; check() would raise LookupError."""
        assert validator(version).check([], US_CORE_PROFILES) == []

    def test_a_good_patient_passes(self, validator: ForVersion, version: str) -> None:
        """A complete patient has no errors."""
        (verdict,) = validator(version).check([good_patient()], US_CORE_PROFILES)

        assert verdict.errors == ()

    def test_the_profile_decides_what_is_missing(self, validator: ForVersion, version: str) -> None:
        """A patient without a name passes base R4 and fails US Core, which says so."""
        nameless = {k: v for k, v in good_patient().items() if k != "name"}

        (base,) = validator(version).check([nameless])
        (profiled,) = validator(version).check([nameless], US_CORE_PROFILES)

        assert base.errors == ()
        (error,) = profiled.errors
        assert error.message.startswith("Patient.name: minimum required = 1")
        assert f"us-core-patient|{version}" in error.message

    @pytest.mark.parametrize(
        ("change", "location"),
        [
            ({"birthDate": "1990-02-31"}, "Patient.birthDate"),
            ({"gender": "nonsense"}, "Patient.gender"),
            ({"nonsense": True}, "Patient"),
            ({"managingOrganization": {"reference": "Patient/1"}}, "Patient.managingOrganization"),
            ({"name": [{"use": "official"}]}, "Patient.name[0]"),
        ],
    )
    def test_a_bad_patient_is_located(
        self, validator: ForVersion, version: str, change: dict[str, Any], location: str
    ) -> None:
        """A wrong date, code, property, reference type and invariant are found where they are."""
        (verdict,) = validator(version).check([{**good_patient(), **change}], US_CORE_PROFILES)

        assert location in {error.location for error in verdict.errors}

    def test_race_codes_are_checked(self, validator: ForVersion, version: str) -> None:
        """The guide's example passes; a code that is no race is an error, even without VSAC."""
        check = validator(version).check
        patient = example_patient(version)
        broken = json.loads(json.dumps(patient))
        race = next(e for e in broken["extension"] if e["url"].endswith("/us-core-race"))
        race["extension"][0]["valueCoding"]["code"] = "0000-0"

        good, bad = check([patient, broken], US_CORE_PROFILES)

        assert good.errors == ()
        assert any("0000-0" in error.message for error in bad.errors)

    def test_race_may_be_unknown(self, validator: ForVersion, version: str) -> None:
        """The null flavours that us-core-23 speaks of are races alone, and not beside one."""
        check = validator(version).check
        patient = example_patient(version)
        race = next(e for e in patient["extension"] if e["url"].endswith("/us-core-race"))
        flavour = {"system": CATEGORY + "v3-NullFlavor", "code": "UNK", "display": "unknown"}
        others = [e for e in race["extension"] if e["url"] not in ("ombCategory", "detailed")]
        race["extension"] = [{"url": "ombCategory", "valueCoding": flavour}, *others]

        (verdict,) = check([patient], US_CORE_PROFILES)

        assert verdict.errors == ()

    def test_the_guides_own_examples_pass(self, validator: ForVersion, version: str) -> None:
        """Each example of the guide passes the profile we chose (a few types have none)."""
        verdicts = validator(version).check(examples(version), US_CORE_PROFILES)

        wrong = [(v.resource_type, v.id, v.errors) for v in verdicts if v.errors]
        assert wrong == []
        without = TYPES - {v.resource_type for v in verdicts}
        assert without <= {"PractitionerRole", "Provenance"}
        assert len(verdicts) > 100

    def test_a_survey_must_be_a_screening(self, validator: ForVersion, version: str) -> None:
        """An Observation is held to the screening profile only when its category is survey."""

        def observation(category: str) -> dict[str, Any]:
            coding = [{"system": CATEGORY + "observation-category", "code": category}]
            return {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "x"},
                "category": [{"coding": coding}],
            }

        survey, other = validator(version).check(
            [observation("survey"), observation("exam")], US_CORE_PROFILES
        )

        assert any("Observation.subject" in error.message for error in survey.errors)
        assert other.errors == ()

    def test_an_encounter_diagnosis_has_its_own_profile(
        self, validator: ForVersion, version: str
    ) -> None:
        """The category chooses between the two Condition profiles."""

        def condition(category: str) -> dict[str, Any]:
            coding = [{"system": CATEGORY + "condition-category", "code": category}]
            return {
                "resourceType": "Condition",
                "category": [{"coding": coding}],
                "subject": {"reference": "Patient/1"},
            }

        verdicts = validator(version).check(
            [condition("encounter-diagnosis"), condition("problem-list-item")], US_CORE_PROFILES
        )

        for verdict, profile in zip(
            verdicts, ("encounter-diagnosis", "problems-health-concerns"), strict=True
        ):
            assert any(f"us-core-condition-{profile}|" in e.message for e in verdict.errors)


class TestBaseR4:
    def test_it_needs_no_package(self, validator: ForVersion) -> None:
        """Base R4 alone passes a good patient and finds a wrong code where it is."""
        good, bad = validator("R4").check([good_patient(), {**good_patient(), "gender": "x"}])

        assert good.errors == ()
        assert {error.location for error in bad.errors} == {"Patient.gender"}

    @pytest.mark.parametrize(
        ("target", "wrong"),
        [
            ("Patient/1", False),
            ("https://elsewhere.example/fhir/Patient/1/_history/2", False),
            ("urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", False),
            ("Goal/1", True),
            ("https://elsewhere.example/fhir/Goal/1", True),
        ],
    )
    def test_the_type_of_a_target_is_checked(
        self, validator: ForVersion, target: str, wrong: bool
    ) -> None:
        """A reference says its target's type; one the element does not allow is an error."""
        plan = {
            "resourceType": "CarePlan",
            "status": "active",
            "intent": "plan",
            "subject": {"reference": target},
        }

        (verdict,) = validator("R4").check([plan])

        assert ("CarePlan.subject" in {error.location for error in verdict.errors}) == wrong


class TestProtocol:
    def test_a_broken_line_is_one_answer(self, validator: ForVersion) -> None:
        """Text that is no resource is fatal for that line alone; the next one is answered."""
        lines: list[Any] = [
            b'{"resourceType"',
            b"[]",
            b'{"resourceType": "Nonsense"}',
            good_patient(),
        ]

        verdicts = validator("R4").check(lines)

        severities = [[error.severity for error in verdict.errors] for verdict in verdicts]
        assert severities == [["fatal"], ["fatal"], ["fatal"], []]

    @pytest.mark.parametrize("line", [b"", b" ", b'{\n"resourceType": "Patient"}', b"{}\r{}"])
    def test_bytes_are_one_line(self, validator: ForVersion, line: bytes) -> None:
        """Bytes that would be no answer, or two, are refused instead of read out of step."""
        with pytest.raises(ValueError, match="one line"):
            validator("R4").check([line])

    def test_an_unknown_profile_is_an_error(self, validator: ForVersion) -> None:
        """A profile that is in no package is named, never skipped in silence."""
        with pytest.raises(LookupError, match=r"example\.org/no-such-profile"):
            validator("R4").check([], {"Patient": "https://example.org/no-such-profile"})

    def test_the_command_counts_and_tells_by_its_exit_code(
        self, tmp_path: Path, validator: ForVersion
    ) -> None:
        """Over a file the command ends with a summary and exits 1 on any error, 0 on none."""
        validator("6.1.0")  # skips without the package
        profiles, good, bad = (tmp_path / name for name in ("map.json", "good", "bad"))
        profiles.write_text(json.dumps(US_CORE_PROFILES))
        good.write_text(json.dumps(good_patient()) + "\n")
        bad.write_text(good.read_text() + '{"resourceType":"Patient"}\n\n')

        exits, summaries = [], []
        for file in (good, bad):
            options = ["--ig", str(us_core("6.1.0")[0]), "--profiles", str(profiles), str(file)]
            run = subprocess.run(java("Validate", *options), capture_output=True, check=False)
            exits.append(run.returncode)
            summaries.append(json.loads(run.stdout.splitlines()[-1]))

        assert exits == [0, 1]
        assert [(s["resources"], s["errors"]) for s in summaries] == [(1, 0), (2, 3)]

    def test_the_command_refuses_an_unknown_profile(self) -> None:
        """A profile that is in no package ends the command with 2 before anything is read."""
        try:
            command = java("Validate", "--profile", "https://example.org/no-such-profile")
        except NotAvailableError as absent:
            pytest.skip(str(absent))
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

        assert run.returncode == 2
        assert "no-such-profile" in run.stderr
