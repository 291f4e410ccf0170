"""Which US Core profile each of our resources is checked against, and where the packages are."""

from __future__ import annotations

import os
from pathlib import Path

from java_build import NotAvailableError

_US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"

#: ``Type`` or ``Type|category code`` to profile URL. The names are the same in 6.1.0, 7.0.0 and
#: 8.0.0 (``test_every_profile_is_in_its_package``). Types not named here are checked against base
#: R4 only, and so is an Observation that is not a survey: US Core has no profile that fits all.
US_CORE_PROFILES: dict[str, str] = {
    "Patient": _US_CORE + "patient",
    "Practitioner": _US_CORE + "practitioner",
    "PractitionerRole": _US_CORE + "practitionerrole",
    "Organization": _US_CORE + "organization",
    "RelatedPerson": _US_CORE + "relatedperson",
    "CarePlan": _US_CORE + "careplan",
    "CareTeam": _US_CORE + "careteam",
    "Goal": _US_CORE + "goal",
    "ServiceRequest": _US_CORE + "servicerequest",
    "QuestionnaireResponse": _US_CORE + "questionnaireresponse",
    "Condition": _US_CORE + "condition-problems-health-concerns",
    "Condition|encounter-diagnosis": _US_CORE + "condition-encounter-diagnosis",
    "Observation|survey": _US_CORE + "observation-screening-assessment",
    "MedicationRequest": _US_CORE + "medicationrequest",
    "Provenance": _US_CORE + "provenance",
}

#: US Core version to the file that holds it.
US_CORE_PACKAGES: dict[str, str] = {
    "6.1.0": "us_core_610.tgz",
    "7.0.0": "us_core_700.tgz",
    "8.0.0": "us_core_800.tgz",
}

#: R4's published extensions, so that those we use are checked and not only tolerated.
EXTENSIONS_PACKAGE = "hl7.fhir.uv.extensions.r4#5.3.0.tgz"


class PackagesAbsentError(NotAvailableError):
    """The US Core packages are not here, and setup.sh has nowhere to install them from."""


def packages_folder() -> Path:
    """Return the folder of the packages: ``FHIRSVC_IGS``, or ``shared/igs`` beside the checkout.

    Raises PackagesAbsentError when there is no such folder.
    """
    checkout = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("FHIRSVC_IGS") or checkout.parent / "shared" / "igs")
    if not folder.is_dir():
        msg = f"no US Core packages: set FHIRSVC_IGS to the folder of {us_core_files()}"
        raise PackagesAbsentError(msg)
    return folder


def us_core_files() -> str:
    """Return the names of the package files, for messages."""
    return ", ".join([*US_CORE_PACKAGES.values(), EXTENSIONS_PACKAGE])


def us_core(version: str) -> list[Path]:
    """Return the packages to load for a US Core ``version``; raise PackagesAbsentError if none."""
    package = packages_folder() / US_CORE_PACKAGES[version]
    if not package.is_file():
        msg = f"{package.name} is not in the folder of packages"
        raise PackagesAbsentError(msg)
    extensions = packages_folder() / EXTENSIONS_PACKAGE
    return [package, extensions] if extensions.is_file() else [package]
