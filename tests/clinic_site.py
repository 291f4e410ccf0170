"""A site's folder over the shipped mappings, as tests change it."""

from __future__ import annotations

PLAN = "site/overlays/care_plan/CarePlan.yaml"
TRACK, SYSTEMS = "site/codes/site_track.yaml", "site/codes/systems.yaml"
WELLNESS = "site/codes/wellness.yaml"
TEXTS = {
    PLAN: """\
extends: care_plan/CarePlan
version: 1.0.0
fields:
  track: {kind: enum, values: [day, evening], doc: The track the person is in}
  case_number: {kind: code, doc: Number of the county case}
  languages: {kind: string, doc: Languages of the group, many: true}
  intake_score: {kind: code, doc: Score at intake, sensitivity: SUD}
elements:
  description: {from: site.track, as: labels, codes: site_track, one_way: said by the track}
also:
  identifier: {from: site.case_number, as: identifier, system: county-case}
  category: {from: site.track, codes: site_track}
  extension:
    each: site.languages
    key: .
    elements: {url: {value: "https://county.example/language"}, valueString: {from: .}}
skipped:
  site.intake_score: stays with the house
""",
    TRACK: """\
table: site_track
rows:
  day: {system: county-track, code: day, display: Day track}
  evening: {system: county-track, code: evening, display: Evening track}
""",
    SYSTEMS: """\
county-case: {url: "https://county.example/case", local: true}
county-track: {url: "https://county.example/track", local: true}
""",
    WELLNESS: """\
extends: wellness
rows:
  other: {system: county-track, code: fresh-air, display: Fresh air}
""",
}
# Rule, file, line, words, and what is changed: one text of the file that the name stands for.
MISTAKES = [
    ("overlay-version", PLAN, 2, "written for version 0.9.0; the shipped is 1.0.0",
     {"plan": ("version: 1.0.0", "version: 0.9.0")}),
    ("unknown-mapping", PLAN, 1, "did you mean 'care_plan/CarePlan'?",
     {"plan": ("care_plan/CarePlan", "care_plan/CarPlan")}),
    ("unknown-field", PLAN, 11, "did you mean 'site.case_number'?",
     {"plan": ("from: site.case_number", "from: site.case_numbr")}),
    ("unknown-system", PLAN, 11, "did you mean 'county-case'?",
     {"plan": ("system: county-case}", "system: county-cas}")}),
    ("unknown-kind", PLAN, 5, "did you mean 'code'?", {"plan": ("{kind: code", "{kind: cod")}),
    ("unknown-table", PLAN, 12, "did you mean 'site_track'?",
     {"plan": ("{from: site.track, codes: site_track}", "{from: site.track, codes: site_trak}")}),
    ("one-way", PLAN, 9, "'description' was read back and is no longer",
     {"plan": ("{from: site.track, as: labels, codes: site_track, one_way: said by the track}",
               "{value: A plan}")}),
    ("grammar", PLAN, 4, "'values' go with kind enum", {"plan": ("kind: enum", "kind: string")}),
    ("unknown-key", PLAN, 10, "did you mean 'also'?", {"plan": ("also:", "alos:")}),
    ("missing-key", PLAN, 1, "'version' is missing", {"plan": ("version: 1.0.0\n", "")}),
    ("unlabelled", PLAN, 11, "labelled SUD",
     {"plan": ("{from: site.case_number, as: identifier, system: county-case}",
               "{from: site.intake_score, as: identifier, system: county-case}")}),
    ("duplicate-name", TRACK, 1, "say 'extends' to change its rows",
     {"track": ("table: site_track", "table: wellness")}),
    ("table-coverage", TRACK, 5, "never 'night'",
     {"track": ("  evening:", "  evening: {system: county-track, code: e}\n  night:")}),
    ("unknown-table", WELLNESS, 1, "did you mean 'wellness'?",
     {"wellness": ("wellness", "welness")}),
    ("duplicate-name", SYSTEMS, 1, "'loinc' is shipped", {"systems": ("county-case:", "loinc:")}),
]  # fmt: skip
