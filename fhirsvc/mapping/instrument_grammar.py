"""The words of a file of ``instruments/``, as shapes: an instrument, a form, a clinic's wording."""

from __future__ import annotations

from typing import Any

from fhirsvc.mapping.shape import TRUTH, WHOLE, WORD, Each, Keys, Named

BASE = "urn:fhirsvc:Questionnaire:"
_HEAD = {"version": WORD, "title": WORD}
_CODE = Keys("a code", {"code": WORD}, {"system": WORD, "display": WORD})
_CODED = {**_CODE.needed, **_CODE.also}
_BANDS = Each(Keys("a band", {"from": WHOLE, "is": WORD}))
_ANSWERS = Each(
    Keys("an answer", {"value": WHOLE, **_CODE.needed}, {**_CODE.also, "also": Each(_CODE)})
)
_PART = {"key": WORD, "text": WORD}
INSTRUMENT = Keys(
    "an instrument",
    {"instrument": WORD, **_HEAD, "panel": _CODE},
    {
        "total": _CODE,
        "scoring": WORD,
        "range": Each(WHOLE, 2),
        "bands": _BANDS,
        "variants": Each(Keys("a variant", {"bands": _BANDS}, {"sex": WORD, "setting": WORD})),
        "rules": Each(Keys("a rule", {"is": WORD}, {"any": Each(WORD), "from": WHOLE})),
        "skips": Each(Keys("a skip", {"when": Named(WHOLE), "items": Each(WORD), "value": WHOLE})),
        "missing": Keys("a rule for missing answers", {"most": WHOLE, "then": WORD}),
        "subscales": Each(Keys("a subscale", {**_PART, "items": Each(WORD)}, _CODED)),
        "criteria": Each(Keys("a criterion", {**_PART, "rated": WHOLE, "needs": Named(WHOLE)})),
        "change": Each(Keys("a threshold", {"points": WHOLE, "is": WORD, "source": WORD})),
        "better": WORD,
        "alerts": Each(Keys("an alert", _PART, {"item": WORD, "from": WHOLE, "severity": WORD})),
        "copyright": WORD,
        "sensitivity": WORD,
        "derivedFrom": WORD,
        "answers": _ANSWERS,
        "items": Each(
            Keys(
                "an item",
                {"n": WORD},
                {
                    **_CODED,
                    "text": WORD,
                    "scored": TRUTH,
                    "reversed": TRUTH,
                    "weight": WHOLE,
                    "answers": _ANSWERS,
                },
            )
        ),
    },
)
_ASKS: dict[str, Any] = {"linkId": WORD, "text": WORD}
_QUESTION_ALSO: dict[str, Any] = {"type": WORD, "from": WORD, "each": WORD}
QUESTION = Keys("a question", _ASKS, _QUESTION_ALSO)
_QUESTION_ALSO["items"] = Each(QUESTION)  # questions below a question
FORM = Keys("a form", {"form": WORD, **_HEAD, "items": Each(QUESTION)})
QUESTION_TYPES = ("group", "string", "text", "integer", "decimal", "boolean", "date", "dateTime")
WORDING = Keys(
    "a wording",
    {"wording": WORD, "items": Named(WORD)},
    {"answers": Named(WORD), "copyright": WORD},
)
KINDS = {"instrument": INSTRUMENT, "form": FORM, "wording": WORDING}
