"""Security labels of what goes out: one confidentiality code, the policy, the sensitivities.

Systems and codes as in the DS4P guide (https://hl7.org/fhir/uv/security-label-ds4p/) and HL7
v3-ActCode. A Bundle carries the highest confidentiality of what is in it and nothing else: its
other tags would tell of every entry what holds for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
BASIS = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-basis"
POLICY = {"system": ACT_CODE, "code": "42CFRPart2"}
LEVELS = "ULMNRV"  # v3-Confidentiality, lowest first
RESTRICTED = "R"

# What 42 CFR part 2 protects, and what nobody may have at all.
PART2 = frozenset({"SUD", "ETH", "ETHUD", "OPIOIDUD"})
NEVER = frozenset({"PSYTHPN"})
# Which labels a consent covers that names one: substance use includes its kinds, of which ETH is
# the older word; behavioral health does not include substance use, which is named by itself.
COVERS: dict[str, frozenset[str]] = {
    "SUD": PART2,
    "ETH": PART2,
    "BH": frozenset({"BH", "MH", "PSY"}),
    "MH": frozenset({"MH", "PSY"}),
}
# Codes of mappings/codes/purpose.yaml in v3-ActReason; the house's own purposes have none.
PURPOSES = {
    "treatment": "TREAT",
    "payment": "HPAYMT",
    "operations": "HOPERAT",
    "care_coordination": "COC",
    "family_involvement": "FAMRQT",
    "benefits": "ELIGDTRM",
    "legal": "HLEGAL",
    "research": "HRESCH",
}

Coding = dict[str, Any]


def covered(sensitivities: Iterable[str]) -> frozenset[str]:
    """All labels that a consent covers which names these."""
    return frozenset().union(*(COVERS.get(one, frozenset({one})) for one in sensitivities))


def security(labels: Iterable[str], why: str) -> list[Coding]:
    """The ``meta.security`` of a resource whose elements carry these labels; none without any.

    The confidentiality tag of what part 2 protects says that policy as its basis.
    """
    found = frozenset(labels)
    if not found:
        return []
    level: Coding = {"system": CONFIDENTIALITY, "code": RESTRICTED}
    tags = [level]
    if found & PART2:
        level["extension"] = [{"url": BASIS, "valueCoding": dict(POLICY)}]
        tags.append(dict(POLICY))
    finer = found - ({"SUD", "ETH"} if found & {"ETHUD", "OPIOIDUD"} else set())
    tags += [{"system": ACT_CODE, "code": one} for one in sorted(finer)]
    if found & PART2:
        tags.append({"system": ACT_CODE, "code": "NORDSCLCD"})
        tags.append({"system": ACT_CODE, "code": "CPLYCD"})
    tags.append({"system": ACT_CODE, "code": "PERSISTLABEL"})
    if why in PURPOSES:
        tags.append({"system": ACT_REASON, "code": PURPOSES[why]})
    return tags


def labelled(resource: Mapping[str, Any], labels: Iterable[str], why: str) -> Mapping[str, Any]:
    """The resource with its labels; itself where it needs none. Tags it has already stay.

    Of several confidentiality codes the highest stays alone.
    """
    tags = security(labels, why)
    if not tags:
        return resource
    meta = dict(resource.get("meta") or {})
    for one in meta.get("security") or ():
        if one.get("system") == CONFIDENTIALITY:
            if LEVELS.find(one.get("code", "")) > LEVELS.find(tags[0]["code"]):
                tags[0] = {**tags[0], "code": one["code"]}
        elif not any(_same(one, tag) for tag in tags):
            tags.append(one)
    meta["security"] = tags
    head = {name: resource[name] for name in ("resourceType", "id") if name in resource}
    return {**head, "meta": meta, **{k: v for k, v in resource.items() if k not in (*head, "meta")}}


def high_water(resources: Iterable[Mapping[str, Any]]) -> list[Coding]:
    """The ``meta.security`` of a Bundle: the highest confidentiality inside, and nothing else."""
    highest = "N"
    for resource in resources:
        for one in (resource.get("meta") or {}).get("security") or ():
            code = str(one.get("code", ""))
            if one.get("system") == CONFIDENTIALITY and LEVELS.find(code) > LEVELS.find(highest):
                highest = code
    return [{"system": CONFIDENTIALITY, "code": highest}]


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (one.get("system"), one.get("code")) == (other.get("system"), other.get("code"))
