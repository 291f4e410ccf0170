"""Whatever is answered with yes has every value that was written: looked at without a merge."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "fhir"))

from mutations import mutate

from fhirsvc.fhir.validate import validate
from fhirsvc.services.submission import WRITABLE

COUNT = int(os.environ.get("FHIRSVC_EXAMPLES", "300"))
WORDS = ("Walk every evening", "2026-04-01", "https://partner.example/x", "partner-1", "B")


def _leaves(node, path=""):
    """Every value with the names that lead to it, without places in lists."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _leaves(value, f"{path}.{name}")
    elif isinstance(node, list):
        for one in node:
            yield from _leaves(one, path)
    else:
        yield path, repr(node)


def _said(resource):
    """What a resource says beyond its version and narrative; displays are their codes' own."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k in ("tag", "security")}
    said = set(_leaves({**resource, "meta": meta, "text": None}))
    return {(path, value) for path, value in said if not path.endswith("oding.display")}


def _changed(resource, rng):
    """A change that is R4: a word for a text or a date, one element less, one more."""
    for _ in range(20):
        found = mutate(resource, rng)
        if rng.random() < 0.5:
            names = [k for k, v in found.items() if isinstance(v, str)] or ["language"]
            found[rng.choice(names)] = rng.choice(WORDS)
        if rng.random() < 0.3:
            found["note"] = [*resource.get("note", []), {"text": "Called back"}]
        if not validate(found) and found.get("resourceType") == resource["resourceType"]:
            return found
    return resource


@pytest.mark.parametrize("kind", WRITABLE)
def test_nothing_that_was_written_is_lost(clinic, kind):
    """An update: 2xx has all of it, anything else leaves what was there; then it is quiet."""
    rng = random.Random(f"{kind}")
    entries = clinic.get(f"/fhir/{kind}?_count=1000").json["entry"]
    names = [one["resource"]["id"] for one in entries]
    statuses: Counter[int] = Counter()
    for _ in range(COUNT // len(WRITABLE)):
        path = f"/fhir/{kind}/{rng.choice(names)}"
        before = clinic.get(path).json
        wrote = {**_changed(before, rng), "id": before["id"]}
        answer = clinic.put(path, json=wrote)
        statuses[answer.status_code] += 1
        after = clinic.get(path).json
        if answer.status_code == 200:
            assert after == answer.json
            lost = _said(wrote) - _said(after)
            assert not lost, path
            again = clinic.put(path, json=after)
            assert (again.status_code, again.json) == (200, after)
        else:
            assert (answer.status_code, after) == (422, before)
    assert statuses[200] > COUNT / len(WRITABLE) / 5, statuses


@pytest.mark.parametrize("kind", ["Goal", "QuestionnaireResponse", "ServiceRequest"])
def test_nothing_of_what_is_new_is_lost(clinic, kind):
    """A create of what is like something that is there, without our names."""
    rng = random.Random(f"new {kind}")
    entries = clinic.get(f"/fhir/{kind}?_count=1000").json["entry"]
    made = 0
    for _ in range(COUNT // 10):
        like = rng.choice(entries)["resource"]
        new = {
            k: v for k, v in _changed(like, rng).items() if k not in ("id", "identifier", "meta")
        }
        if rng.random() < 0.5:
            mine = {"system": "https://partner.example/n", "value": str(rng.random())}
            new["identifier"] = mine if kind == "QuestionnaireResponse" else [mine]
        answer = clinic.post(f"/fhir/{kind}", json=new)
        assert answer.status_code in (201, 422)
        if answer.status_code == 201:
            made += 1
            own = new.pop("identifier", None)
            lost = _said(new) - _said(answer.json)
            assert not lost
            if own is not None:
                value = (own if isinstance(own, dict) else own[0])["value"]
                found = clinic.get(f"/fhir/{kind}?identifier={value}").json["entry"]
                assert [one["resource"]["id"] for one in found] == [answer.json["id"]]
    assert made > COUNT / 60
