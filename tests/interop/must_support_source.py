"""What US Core's packages say must be supported, in the notation of ``must_support_data``.

``python tests/interop/must_support_source.py`` prints the table that
``fhirsvc/mapping/must_support_data.py`` holds; ``test_must_support.py`` compares the two.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from profiles import US_CORE_PACKAGES, packages_folder

PROFILES = (
    "patient practitioner practitionerrole organization relatedperson careplan careteam goal "
    "servicerequest questionnaireresponse condition-problems-health-concerns "
    "condition-encounter-diagnosis observation-screening-assessment "
    "observation-sexual-orientation treatment-intervention-preference care-experience-preference "
    "medicationrequest documentreference provenance encounter location"
).split()


def _elements(package: Path, profile: str) -> list[dict[str, Any]]:
    with tarfile.open(package) as files:
        try:
            source = files.extractfile(f"package/StructureDefinition-us-core-{profile}.json")
        except KeyError:  # the profile is newer than this version
            return []
        assert source is not None, profile
        found: list[dict[str, Any]] = json.load(source)["snapshot"]["element"]
        return found


def _path(element: dict[str, Any]) -> str | None:
    """The element's path below the resource; None for the root and for slices."""
    path = str(element["id"]).partition(".")[2]
    if re.fullmatch(r"extension:\w+", path):
        return f"extension({element['type'][0]['profile'][0]})"
    return None if ":" in path or not path else path


def derived() -> dict[str, str]:
    """Profile to ``Type: path path!@67 …``; ``!`` is mandatory, ``@`` the versions if not all."""
    seen: dict[str, dict[str, dict[str, bool]]] = defaultdict(lambda: defaultdict(dict))
    types = {}
    versions = "".join(version[0] for version in US_CORE_PACKAGES)
    for version, package in US_CORE_PACKAGES.items():
        for profile in PROFILES:
            for element in _elements(packages_folder() / package, profile):
                types[profile] = str(element["id"]).partition(".")[0]
                path = _path(element)
                if path is not None and element.get("mustSupport"):
                    seen[profile][path][version[0]] = element["min"] > 0
    return {
        f"us-core-{profile}": f"{types[profile]}: " + " ".join(_tokens(seen[profile], versions))
        for profile in PROFILES
    }


def _tokens(paths: dict[str, dict[str, bool]], versions: str) -> list[str]:
    found = []
    for path, by_version in paths.items():
        for needed in (True, False):
            those = "".join(v for v in versions if by_version.get(v) is needed)
            if those:
                mark = "!" if needed else ""
                found.append(path + mark + ("" if those == versions else f"@{those}"))
    return found


if __name__ == "__main__":
    for name, said in derived().items():
        print(f'"{name}": "{said}",')
