"""Every rule that ``map check`` and ``codes lint`` can name, and what each one holds.

``docs/mapping-rules.md`` is made of this table, and so are the rule descriptions in SARIF. A test
reads the source of the checkers: a rule that is told and not listed here fails it.
"""

from __future__ import annotations

# Asked by ``map check``, in the order of docs/mapping-rules.md.
MAPPING: dict[str, str] = {
    # the text
    "yaml": "The file is YAML 1.2, not empty, with words as keys.",
    "duplicate-key": "No key stands twice in one place; no linkId stands twice in one form.",
    "grammar": "Everything has the shape the language gives it: a word, a list, a set of keys.",
    "unknown-key": "Only keys that the language has.",
    "missing-key": "Every key that is needed, and every column of sources.csv.",
    "line-kind": "A line is of one kind; a question has something that answers it.",
    "when": "A condition is one that the language has.",
    # names
    "unknown-record": "The record type exists.",
    "unknown-field": "The field exists where the line stands.",
    "unknown-resource": "The resource type exists in R4.",
    "unknown-element": "The element exists in R4.",
    "unknown-table": "The code table exists.",
    "unknown-system": "The code system has a name in systems.yaml, or is a URL.",
    "unknown-form": "The form exists.",
    "unknown-as": "The transform exists.",
    "unknown-owner": "The owner is us, ehr or both.",
    "unknown-sensitivity": "The label is one of the house's.",
    "unknown-type": "The type of a question exists.",
    "unknown-band": "The band of an instrument is one that records have.",
    "unknown-word": "A word of an instrument's closed lists (scoring, sex, …) is one of them.",
    "unknown-item": "The items, answers and subscales that an instrument's parts name exist.",
    "unknown-instrument": "The instrument that a wording is for exists.",
    "duplicate-name": "No two files make the same thing.",
    "unknown-kind": "The kind of a site's field exists.",
    "unknown-mapping": "An overlay extends a mapping that is there.",
    # the path and its value
    "choice": "An element of several types is written as one, and says which.",
    "cardinality": "Lists fill what repeats, and one value what does not.",
    "each-source": "'each' walks a list.",
    "each-key": "Items are met by key.",
    "duplicate-path": "No two lines write one place.",
    "indistinct": "Items of one element that two lines write can be told apart when read back.",
    "type": "The field's kind and the element's type agree.",
    "binding": "Codes are in the element's required binding.",
    "enum-value": "A condition asks for a word that the field can have.",
    "table-coverage": "A table has a row for every word of the field, and no other.",
    "inverse": "A table can be read back: where words share a code, 'prefer' names one.",
    "target": "A reference leads to a type that the element accepts.",
    "reference": "A reference leads to a resource that some file makes.",
    "required": "What R4 makes mandatory is always there.",
    "invariant": "The lines together can keep R4's invariants.",
    "instrument": "An instrument's range, bands, items, answers and alerts agree.",
    "version": "The version of an instrument or form is semver: responses name it.",
    "overlay-version": "An overlay was written for the version of the mapping that is there.",
    "one-way": "What an overlay makes one-way says so.",
    # completeness
    "not-mapped": "Every field of the record is read by a line or skipped.",
    "must-support": "What the US Core profile asks for is written, or absent with a reason "
    "(a warning).",
    "absent": "A reason under 'absent' is for what US Core asks for and no line writes.",
    "skip-reason": "What is skipped or absent has a reason.",
    "skipped-and-mapped": "What is skipped is not mapped as well.",
    "never-leaves": "Psychotherapy notes are mapped nowhere.",
    "unlabelled": "A line that reads a sensitive field carries its label.",
}
# Asked by ``codes lint``.
CODES: dict[str, str] = {
    "check-digit": "A LOINC or SNOMED CT code ends in its check digit.",
    "no-source": "A standard code has a row in sources.csv.",
    "unverified": "Its source is at level A or B.",
    "unused-source": "A row of sources.csv is used by a mapping (a warning).",
}
# What reading resources back tells. "error": the input is no resource; "warning": something was not
# understood and is left as it was; "information": what the reader may want to know.
BACK: dict[str, str] = {
    "type": "A value has the type that its element and the record's field want.",
    "cardinality": "An element that does not repeat has one value.",
    "constant": "An element has the constant that the mapping writes.",
    "not-understood": "Some line can read the value of an element that has lines.",
    "unknown-code": "A code is in the line's code table.",
    "enum-value": "A form's answer is one that the field may have.",
    "unknown-answer": "An instrument's answer is one of its item's answers.",
    "unknown-instrument": "Answers belong to an instrument that is known.",
    "unknown-system": "An identifier is of the system that the line writes.",
    "unit": "A quantity is in the unit that the line reads.",
    "comparator": "A score is a number, not a bound.",
    "precision": "A date or time is as precise as the field.",
    "id": "An id is one that the house can have.",
    "unresolved": "A reference names something known here; nothing is guessed.",
    "disagrees": "Two elements that tell of one field agree.",
    "ambiguous": "A code that stands for several words has a preferred one.",
    "not-mapped": "A mapping reads the resource.",
    "identity": "A resource has an identifier of this house (information).",
    "not-carried": "Every element is read by a line (information).",
    "removed": "A field that is gone at the other side is gone here, and said (information).",
    "derived": "What follows from a record is not read back (information).",
}
# What ``instrument add`` tells of a Questionnaire.
TAKEN: dict[str, str] = {
    "questionnaire": "It has what an instrument needs: a panel, answers, ordinal values, a name.",
    "left-out": "Every question and answer of it is taken over (a warning).",
}
RULES: dict[str, str] = {**BACK, **TAKEN, **CODES, **MAPPING}
