"""JSON Schema of the files of a mappings folder, for editors: what may be written where.

Made from the same words that the reader enforces (``grammar``, ``tables``, ``instrument_grammar``),
so the two cannot part. Draft-07, which YAML editors take. A schema knows one file: what depends on
other files (a table's name, a reference's target) or on R4 is for ``map check``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from fhirsvc.fhir.definitions import definition, is_resource
from fhirsvc.mapping import grammar, instrument_grammar, overlay, tables
from fhirsvc.mapping.forward import setting
from fhirsvc.mapping.library import Library
from fhirsvc.mapping.line_schema import SAYS, WORD, Schema, line_schemas, ref
from fhirsvc.mapping.shape import Each, Keys, Named, Scalar, Shape
from fhirsvc.records import TYPES
from fhirsvc.records.shapes import SENSITIVITIES
from fhirsvc.records.site import ENUM, KINDS

DRAFT = "http://json-schema.org/draft-07/schema#"
_SCALARS: dict[str, Schema] = {
    "word": WORD,
    "whole number": {"type": "integer"},
    "true or false": {"type": "boolean"},
}
_HEAD = ("record", "resource", "version", "elements")


def mapping_schema(library: Library) -> Schema:
    """The schema of a file ``<record>/<Resource>.yaml``.

    :param library: whose resources' elements are offered; a file may make any other.
    """
    return file_schema(library, "mapping", grammar._FILE_KEYS, _HEAD)


def file_schema(
    library: Library, name: str, keys: Iterable[str], needed: tuple[str, ...]
) -> Schema:
    """The schema of a file with ``elements``, by record and by resource."""
    known = setting(library, max(grammar.US_CORE)).fields
    defs: dict[str, Schema] = {"reason": {"type": "string", "minLength": 4}}
    for record in TYPES:
        defs.update(line_schemas(record, known[record]))
    properties = {key: _file_key(key) for key in keys}
    resources = sorted(_resources(library))
    if "resource" in properties:
        other = {"type": "string", "pattern": "^[A-Z][A-Za-z]+$"}
        properties["resource"] = {"anyOf": [{"enum": resources}, other]}
    cases = [_case("record", one, _of_record(one, known[one], properties)) for one in TYPES]
    cases += [_case("resource", one, _of_resource(one)) for one in resources]
    return {
        "$schema": DRAFT,
        "$id": f"urn:fhirsvc:schema:{name}",
        "title": f"fhirsvc {name}",
        "type": "object",
        "properties": properties,
        "required": list(needed),
        "additionalProperties": False,
        "dependencies": {"each": ["key"]},
        "allOf": cases if "record" in properties else [],
        "definitions": defs,
    }


def overlay_schema(library: Library) -> Schema:
    """The schema of a site's ``overlays/<record>/<Resource>.yaml``."""
    made = file_schema(library, "overlay", grammar._OVERLAY_KEYS, ("extends", "version"))
    own = {"type": "string", "pattern": r"^/?site\.[a-z][a-z0-9_]*$"}
    for name, known in made["definitions"].items():
        if name.endswith((".field", ".row")):
            made["definitions"][name] = {"anyOf": [known, own]}
    stems = {file.file.removesuffix(".yaml"): file for file in library.files}
    made["properties"]["extends"] = {"enum": sorted(stems)}
    for stem, file in stems.items():
        of = [ref(file.record, "elements"), _of_resource(file.resource)["elements"]]
        made["allOf"].append(_case("extends", stem, {key: {"allOf": of} for key in LINED}))
    return made


LINED = ("elements", "also")  # what an overlay writes lines under


def codes_schema(library: Library) -> Schema:
    """The schema of a code table, ``codes/<name>.yaml``."""
    row = _shaped(tables._ROW)
    row["properties"]["sensitivity"] = {"enum": list(SENSITIVITIES)}
    row["anyOf"] = [{"required": [key]} for key in ("code", "codings", "text")]
    row["dependencies"] = {"system": ["code"], "code": ["system"]}
    table = _shaped(tables._TABLE)
    each = {"anyOf": [{"type": ["string", "number", "null"]}, row]}
    table["properties"]["rows"] = {"type": "object", "additionalProperties": each}
    table["properties"]["extends"] = {"description": "A table that these rows extend", **WORD}
    table["required"] = ["rows"]
    table["oneOf"] = [{"required": ["table"]}, {"required": ["extends"]}]
    return {"$schema": DRAFT, "$id": "urn:fhirsvc:schema:codes", "title": "fhirsvc codes", **table}


def systems_schema(library: Library) -> Schema:
    """The schema of ``codes/systems.yaml``."""
    system = {"anyOf": [{"type": "string"}, _shaped(tables._SYSTEM)]}
    head = {"$schema": DRAFT, "$id": "urn:fhirsvc:schema:systems", "title": "fhirsvc code systems"}
    return {**head, "type": "object", "additionalProperties": system}


def instruments_schema(library: Library) -> Schema:
    """The schema of a file of ``instruments/``: an instrument, a form, or a clinic's wording."""
    defs: dict[str, Schema] = {}
    kinds = [_shaped(shape, defs) for shape in instrument_grammar.KINDS.values()]
    labelled = defs[_def(instrument_grammar.INSTRUMENT)]["properties"]
    labelled["sensitivity"] = {"enum": list(SENSITIVITIES)}
    question = defs[_def(instrument_grammar.QUESTION)]
    question["properties"]["type"] = {"enum": list(instrument_grammar.QUESTION_TYPES)}
    question["anyOf"] = [{"required": [key]} for key in ("from", "each", "items")]
    cases = [
        {"if": {"required": [name]}, "then": kind}
        for name, kind in zip(instrument_grammar.KINDS, kinds, strict=True)
    ]
    return {
        "$schema": DRAFT,
        "$id": "urn:fhirsvc:schema:instruments",
        "title": "fhirsvc instruments",
        "type": "object",
        "anyOf": [{"required": [name]} for name in instrument_grammar.KINDS],
        "allOf": cases,
        "definitions": defs,
    }


SCHEMAS: dict[str, Callable[[Library], Schema]] = {
    "mapping": mapping_schema,
    "overlay": overlay_schema,
    "codes": codes_schema,
    "systems": systems_schema,
    "instruments": instruments_schema,
}


# ---- a file -----------------------------------------------------------------------------------


def _file_key(key: str) -> Schema:
    reasons = {"type": "object", "additionalProperties": {"$ref": "#/definitions/reason"}}
    special: dict[str, Schema] = {
        "record": {"enum": list(TYPES)},
        "elements": {"type": "object"},
        "also": {"type": "object"},
        "fields": {"type": "object", "additionalProperties": _site_field()},
        "skipped": reasons,
        "absent": reasons,
        "when": {"type": "object"},
        "sensitivity": {"enum": list(SENSITIVITIES)},
        "tag": WORD,
    }
    found = special.get(key, WORD)
    return {"description": SAYS[key], "allOf": [found]} if key in SAYS else found


def _site_field() -> Schema:
    found = _shaped(overlay.FIELD)
    found["properties"]["kind"] = {"enum": [*KINDS, ENUM]}
    found["properties"]["sensitivity"] = {"enum": list(SENSITIVITIES)}
    return found


def _of_record(record: str, known: Iterable[str], keys: Iterable[str]) -> Schema:
    plain = sorted({path.replace("[]", "") for path in known})
    found: Schema = {
        "elements": ref(record, "elements"),
        "skipped": {"propertyNames": {"enum": plain}},
        "each": ref(record, "field"),
        "key": ref(record, "field"),
        "when": ref(record, "when"),
    }
    return {name: shape for name, shape in found.items() if name in keys}


def _of_resource(resource: str) -> Schema:
    names = "|".join(map(re.escape, definition(resource).elements))
    return {"elements": {"propertyNames": {"pattern": rf"^({names})(\.|$)"}}}


def _case(key: str, value: str, properties: Schema) -> Schema:
    asked = {"properties": {key: {"const": value}}, "required": [key]}
    return {"if": asked, "then": {"properties": properties}}


def _resources(library: Library) -> set[str]:
    made = {f.resource for f in library.files if is_resource(f.resource)}
    reached = {t for name in made for e in definition(name).elements.values() for t in e.targets}
    return made | {name for name in reached if is_resource(name)}


# ---- shapes -----------------------------------------------------------------------------------


def _def(shape: Keys) -> str:
    return shape.what.split(" ", 1)[1].replace(" ", "-")


def _shaped(shape: Shape, defs: dict[str, Schema] | None = None) -> Schema:
    """The schema of a shape; with ``defs``, sets of keys are defined there once and referred to."""
    if isinstance(shape, Scalar):
        return _SCALARS[shape.kind]
    if isinstance(shape, Each):
        length: Schema = {"minItems": shape.length, "maxItems": shape.length}
        items = {"type": "array", "items": _shaped(shape.item, defs)}
        return items | length if shape.length else items
    if isinstance(shape, Named):
        return {"type": "object"} | (
            {"additionalProperties": _shaped(shape.item, defs)} if shape.item else {}
        )
    name = _def(shape)
    if defs is not None and name in defs:
        return {"$ref": f"#/definitions/{name}"}
    found: Schema = {} if defs is None else defs.setdefault(name, {})
    found |= {
        "type": "object",
        "properties": {k: _shaped(s, defs) for k, s in {**shape.needed, **shape.also}.items()},
        "required": list(shape.needed),
    }
    found["additionalProperties"] = False
    return found if defs is None else {"$ref": f"#/definitions/{name}"}
