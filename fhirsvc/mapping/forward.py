"""Records to resources: the compiled mappings of a library, with errors and traces that locate.

``Mappings.load`` proves everything first; ``forward`` then only runs generated code. A record that
does not fit is run once more through the traced form of the same code, which says where.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.fhir.instruments import Form, Instrument
from fhirsvc.mapping import derived
from fhirsvc.mapping.compiled import Compiled, Shapes, compile_plan
from fhirsvc.mapping.coverage import unmapped
from fhirsvc.mapping.explained import Explained, Traced, followed
from fhirsvc.mapping.grammar import US_CORE
from fhirsvc.mapping.labels import unlabelled
from fhirsvc.mapping.library import Library, read_library
from fhirsvc.mapping.lines import MappingFile
from fhirsvc.mapping.must_support import unsupported
from fhirsvc.mapping.plan import Plan
from fhirsvc.mapping.resolve import Resolved, resolve
from fhirsvc.mapping.runtime import Fault
from fhirsvc.mapping.setting import Setting
from fhirsvc.records import TYPES, fields
from fhirsvc.records import check as check_record

Resource = dict[str, Any]
QUESTIONNAIRE = "questionnaire"  # a form as a record; nobody sends it, it goes with its answers
_MISFITS = (Fault, KeyError, TypeError, AttributeError, ValueError)
_END: Any = orjson.Fragment(b"")  # the last line ends too


class MappingsError(FhirsvcError):
    """A mappings folder with mistakes; ``findings`` has them all."""

    def __init__(self, findings: list[Finding]) -> None:
        first = findings[0]
        message = first.message if len(findings) == 1 else f"{first.message} (and more)"
        super().__init__(Category.INVALID, message, first.where)
        self.findings = findings


class Mappings:
    """The mappings of a folder, compiled for one US Core version at a time, on first use."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._compiled: dict[tuple[str, int], list[Compiled]] = {}
        self._shapes: dict[int, dict[str, Shapes]] = {version: {} for version in US_CORE}

    @classmethod
    def load(cls, texts: Mapping[str, str]) -> Mappings:
        """Read and prove a folder.

        :raises MappingsError: it has mistakes.
        """
        library, findings = read_library(texts)
        findings += check(library)
        errors = [f for f in findings if f.severity == "error"]
        if errors:
            raise MappingsError(errors)
        return cls(library)

    def check(self, record: object) -> list[Finding]:
        """What is wrong with a record: as its type is checked, with the site's fields, and what it
        says of instruments. Warnings stop nothing.
        """
        findings = check_record(record, self.library.site.schemas)
        if findings or not isinstance(record, dict):
            return findings
        return derived.judged(record, self.library.instruments)

    def records(self) -> tuple[str, ...]:
        """The record types that have a mapping."""
        return tuple(t for t in TYPES if any(f.record == t for f in self.library.files))

    def forward(self, record: Mapping[str, Any], us_core: int = 8) -> list[Resource]:
        """The resources of one record. They share constants: treat them as frozen.

        :raises FhirsvcError: INVALID with the JSON path of the value that does not fit, or
            UNSUPPORTED where the record type has no mapping.
        """
        if isinstance(record, dict) and record.get("type") == QUESTIONNAIRE:
            return self._questionnaire(record)
        out: list[Resource] = []
        record = self._whole(record)
        try:
            for compiled in self._for(record, us_core):
                compiled.fast(record, out, None)
        except _MISFITS:
            self.locate(record, us_core)
            raise
        return out

    def ndjson(self, record: Mapping[str, Any], us_core: int = 8) -> bytes:
        """The resources of one record as NDJSON, a line each; the same checks, less work.

        :raises FhirsvcError: as ``forward``.
        """
        out: list[Resource] = []
        try:
            if record["type"] == "assessment":
                record = self._whole(record)
            shapes = self._shapes[us_core].get(record["type"])
            if shapes is None:
                shapes = self._prepare(record, us_core)
            makers = shapes.hot.get(tuple(record)) or shapes.met(record)
            for make in makers:
                make(record, out, None)
        except _MISFITS:
            self.locate(record, us_core)
            raise
        out.append(_END)
        return b"\n".join(map(orjson.dumps, out))

    def _prepare(self, record: Mapping[str, Any], us_core: int) -> Shapes:
        found = Shapes(self._for(record, us_core))
        self._shapes[us_core][record["type"]] = found
        return found

    def explain(self, record: Mapping[str, Any], us_core: int = 8) -> list[Traced]:
        """As ``forward``, with the origin of every element (a form has none: it is a file)."""
        if isinstance(record, dict) and record.get("type") == QUESTIONNAIRE:
            return [Traced(resource, ()) for resource in self._questionnaire(record)]
        return [traced for _, traced in self.traced(record, us_core)]

    def plans(self, record_type: str, us_core: int = 8) -> tuple[Plan, ...]:
        """What makes the resources of a record type, in the order in which they are made.

        :raises FhirsvcError: UNSUPPORTED where the record type has no mapping.
        """
        return tuple(one.plan for one in self._for({"type": record_type}, us_core))

    def traced(self, record: Mapping[str, Any], us_core: int = 8) -> list[tuple[Plan, Traced]]:
        """As ``explain`` for a record of the house, each resource with the plan that made it."""
        found = []
        whole = self._whole(record)
        for compiled in self._for(whole, us_core):
            out: list[Resource] = []
            traces: list[list[Explained]] = []
            try:
                compiled.noted(whole, out, traces)
            except _MISFITS:
                self.locate(record, us_core)
                raise
            for resource, steps in zip(out, traces, strict=True):
                said = steps if whole is record else followed(steps, whole)
                found.append((compiled.plan, Traced(resource, tuple(said))))
        return found

    def locate(self, record: Mapping[str, Any], us_core: int = 8) -> None:
        """Say what of a record does not fit, and where; nothing where all of it does.

        :raises FhirsvcError: INVALID with the JSON path, as ``forward``.
        """
        record = self._whole(record)
        for compiled in self._for(record, us_core):
            try:
                compiled.located(record, [], None)
            except Fault as fault:
                raise self._error(compiled.plan, fault) from None

    def _whole(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """The record and what follows from it (``derived``)."""
        if not isinstance(record, dict):
            return record
        return derived.derive(record, self.library.instruments)

    def companions(self, record: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The forms that a record answers, each as a record of its own (``questionnaire``).

        A response names its form by canonical URL; where it arrives, the form should be there.
        """
        if record.get("type") != "assessment":
            return []
        try:
            made = self.forward(record)
        except FhirsvcError:
            return []
        named = {r["questionnaire"] for r in made if r["resourceType"] == "QuestionnaireResponse"}
        return [
            {"type": QUESTIONNAIRE, "id": asked.name, "version": asked.version}
            for asked in self._asked()
            if asked.canonical in named
        ]

    def questionnaires(self) -> list[Resource]:
        """Every instrument and form as a Questionnaire."""
        return [asked.questionnaire() for asked in self._asked()]

    def _asked(self) -> list[Instrument | Form]:
        return [*self.library.instruments.values(), *self.library.forms.values()]

    def _questionnaire(self, record: Mapping[str, Any]) -> list[Resource]:
        for asked in self._asked():
            if asked.name == record.get("id"):
                return [asked.questionnaire()]
        raise FhirsvcError(Category.INVALID, "no such instrument or form", "$.id")

    def _for(self, record: Mapping[str, Any], us_core: int) -> list[Compiled]:
        if not isinstance(record, dict):
            raise FhirsvcError(Category.INVALID, "a record is an object", "$")
        kind = record.get("type")
        if not isinstance(kind, str) or kind not in TYPES:
            raise FhirsvcError(Category.INVALID, "no such record type", "$.type")
        key = (kind, us_core)
        if key not in self._compiled:
            self._compiled[key] = self._compile(kind, us_core)
        return self._compiled[key]

    def _compile(self, record_type: str, us_core: int) -> list[Compiled]:
        found = []
        # What is derived comes last: a value that does not fit is refused where it stands.
        for file in sorted(self.library.files, key=_is_derived):
            if file.record == record_type:
                plan = resolve(file, setting(self.library, us_core)).plan
                if plan is not None:
                    found.append(compile_plan(plan))
        if not found:
            message = f"no mapping makes FHIR of {record_type} records"
            raise FhirsvcError(Category.UNSUPPORTED, message, "$.type")
        return found

    @staticmethod
    def _error(plan: Plan, fault: Fault) -> FhirsvcError:
        place = plan.lines[fault.n].mark if fault.n >= 0 else plan.file.mark
        return FhirsvcError(Category.INVALID, f"{fault.problem} (mapped at {place})", fault.path)


def check(library: Library) -> list[Finding]:
    """Every mistake in a library's mapping files, for every US Core version they can run under."""
    findings: dict[Finding, None] = {}
    used: dict[str, set[str]] = {}
    done: dict[int, Resolved] = {}  # by the place of the file in the library
    for us_core in US_CORE:
        context = setting(library, us_core)
        for number, file in enumerate(library.files):
            if number not in done or done[number].depends:
                done[number] = resolve(file, context)
            resolved = done[number]
            findings.update(dict.fromkeys(resolved.findings))
            if resolved.plan is not None:
                findings.update(
                    dict.fromkeys(unlabelled(resolved.plan, context.fields[file.record]))
                )
                findings.update(dict.fromkeys(unsupported(resolved.plan, us_core)))
            used.setdefault(file.record, set()).update(resolved.used)
    stated = {t: {**fields(t), **library.site.fields.get(t, {})} for t in TYPES}
    findings.update(dict.fromkeys(unmapped(library.files, used, stated)))
    return list(findings)


def setting(library: Library, us_core: int) -> Setting:
    """What the files of a library may name."""
    return Setting(
        fields={t: {**derived.known_fields(t), **library.site.fields.get(t, {})} for t in TYPES},
        tables=library.tables,
        systems=library.systems,
        files=library.files,
        forms=library.forms,
        instruments=library.instruments,
        us_core=us_core,
    )


def _is_derived(file: MappingFile) -> bool:
    return derived.is_derived(file.record, file.each or "")
