"""JSON from strangers is read strictly, within bounds, and errors say exactly where."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.guard import Limits, parse

WRONG = [
    ("empty", b"", "1:1", "is empty"),
    ("only white space", b" \n ", "1:1", "is empty"),
    ("repeated name", b'{"a":1,\n "b":2,\n "a":3}', "3:2", "this name was already used at 1:2"),
    ("repeated by escape", b'{"a":1,"\\u0061":2}', "1:8", "this name was already used at 1:2"),
    ("repeated, spaced", b'{"a" :1,"a":2}', "1:9", "this name was already used at 1:2"),
    ("repeated, masked", b'{"x":"\\u0022:","a":1,"a":2}', "1:22", "already used at 1:16"),
    ("repeated deep", b'[[{"k":{"x":1,"x":1}}]]', "1:15", "already used at 1:9"),
    ("NaN", b'{"a":NaN}', "1:6", "NaN and Infinity are not JSON"),
    ("Infinity", b"[1,-Infinity]", "1:4", "NaN and Infinity are not JSON"),
    ("too large a number", b"[1e999]", "1:2", "this number is too large"),
    ("escaped NUL", b'["ab\\u0000"]', "1:5", "a NUL character is not allowed"),
    ("raw NUL", b'["ab\x00"]', "1:5", "a control character must be escaped"),
    ("raw line break", b'["a\nb"]', "1:4", "a control character must be escaped"),
    ("leading half", b'["\\ud83d"]', "1:3", "half a surrogate pair"),
    ("halves swapped", b'["x\\ude00\\ud83d"]', "1:4", "half a surrogate pair"),
    ("second of two", b'["\\ud83d\\ude00\\ud83d"]', "1:15", "half a surrogate pair"),
    ("encoded half", b'["\xed\xa0\x80"]', "1:3", "is not UTF-8"),
    ("Latin-1", '{"a":"x",\n"b":"é"}'.encode("latin-1"), "2:6", "is not UTF-8"),
    ("column in characters", '["ééé" 1]'.encode(), "1:8", "expected ',' or ']'"),
    ("UTF-16", '{"a":1}'.encode("utf-16"), "1:1", "is not UTF-8"),
    ("cut short", b'{"a":[1,', "1:9", "ends too early"),
    ("open text", b'{"a":"bc', "1:6", "no closing quote"),
    ("bad escape", b'["a\\x"]', "1:4", "this escape is not JSON"),
    ("more after", b'{"a":1} {"b":2}', "1:9", "more follows after the end"),
    ("single quotes", b"{'a':1}", "1:2", "expected a name in double quotes"),
    ("trailing comma", b"[1,\n2,\n]", "3:1", "a comma stands before the end"),
    ("missing comma", b'{"a":1 "b":2}', "1:8", "expected ',' or '}'"),
    ("missing colon", b'{"a" 1}', "1:6", "expected ':'"),
    ("leading zero", b"[01]", "1:2", "expected a JSON value"),
    ("deep", b"[" * 61 + b"]" * 61, "1:61", "is nested deeper than 60 levels"),
    ("very deep", b"[" * 500_000, "1:61", "is nested deeper than 60 levels"),
    ("deep objects", b'{"a":' * 100_000, "1:301", "is nested deeper than 60 levels"),
    ("large", b'"' + b"x" * 2_000_000 + b'"', "1:1", "is larger than 2000000 bytes"),
]


@pytest.mark.parametrize(
    ("data", "where", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG]
)
def test_each_fault_is_one_located_message(data, where, message):
    """Every kind of broken JSON is INVALID, at its line and column."""
    with pytest.raises(FhirsvcError) as caught:
        parse(data)

    assert caught.value.category is Category.INVALID
    assert where == caught.value.where
    assert message in caught.value.message


def test_messages_never_repeat_what_was_written():
    """A broken body holding a name does not put the name into the error."""
    for data in (b'{"Rosalind":"Okafor","Rosalind":1}', b'["Okafor\\ud83d"]', b"[Okafor]"):
        with pytest.raises(FhirsvcError) as caught:
            parse(data)

        assert "Okafor" not in str(caught.value)
        assert "Rosalind" not in str(caught.value)


def test_good_input_is_returned_as_it_stands():
    """A byte order mark, escapes, deep but allowed nesting and text like `":` are fine."""
    assert parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert parse(b'{"a":"\\\\u0000"}') == {"a": "\\u0000"}
    assert parse(b'["\\ud83d\\ude00"]') == ["\N{GRINNING FACE}"]
    assert parse(b'{"a":"he said \\"x\\": y"}') == {"a": 'he said "x": y'}
    assert parse(b"[" * 60 + b"]" * 60)
    assert parse(b"null") is None


def test_line_shifts_what_is_reported():
    """A value that starts on line 7 of its file is reported in the file's lines."""
    with pytest.raises(FhirsvcError) as caught:
        parse(b'{"a":1,\n"a":2}', line=7)

    assert caught.value.where == "8:1"
    assert caught.value.message.endswith("already used at 7:2")


def test_limits_are_the_callers():
    """Both limits can be set by the caller."""
    with pytest.raises(FhirsvcError, match="larger than 3 bytes"):
        parse(b"1234", Limits(bytes=3))
    with pytest.raises(FhirsvcError, match="deeper than 1 levels"):
        parse(b"[[]]", Limits(depth=1))


def _strict(data: bytes) -> object:
    """Read with the standard library, refusing repeated names: slow and plainly right."""

    def pairs(items):
        if len({name for name, _ in items}) < len(items):
            raise ValueError
        return dict(items)

    def refuse(_):
        raise ValueError

    value = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # halves of pairs fail here
    if "\x00" in json.dumps(value, ensure_ascii=False).replace("\\u0000", "\x00"):
        raise ValueError
    return value


# Text made of the very bytes that could fool a byte count.
_PIECES = st.sampled_from(
    [
        '"',
        ":",
        "\\",
        "a",
        "\\u0022",
        "\\u003a",
        "\\u0061",
        " ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "1",
        "é",
        '"a"',
        '"a":',
        '"a" :',
        '":"',
        '"":',
        "\\ud83d",
        "\\ude00",
        "\t",
        "\\t",
        "null",
    ]
)
_NAMES = st.sampled_from(["a", "\\u0061", ":", " :", "", '\\":', "\\u0022:", "b"])


def _texts():
    """Return well-formed JSON texts whose objects often repeat names, spaced and escaped oddly."""
    scalar = st.sampled_from(
        ["1", "null", '"a"', '"\\":"', '"\\u0022:"', '":"', '"\\" :"', '"\\u00e9"']
    )

    def grow(inner):
        member = st.builds(
            lambda n, s, v: f'"{n}"{s}:{v}', _NAMES, st.sampled_from(["", " ", "\n"]), inner
        )
        return st.one_of(
            st.lists(inner, max_size=4).map(lambda xs: "[" + ",".join(xs) + "]"),
            st.lists(member, max_size=4).map(lambda xs: "{" + ", ".join(xs) + "}"),
        )

    return st.recursive(scalar, grow, max_leaves=12)


@settings(max_examples=400)
@given(st.one_of(_texts(), st.lists(_PIECES, max_size=12).map("".join)))
@example('{"a" :"\\":","a":"x"}')
def test_agrees_with_a_slow_strict_reader(text):
    """Whatever a plainly strict reader accepts, the fast one does, to the same value; no more."""
    data = text.encode("utf-8", "surrogatepass")
    try:
        expected = _strict(data)
    except (ValueError, UnicodeError):
        with pytest.raises(FhirsvcError):
            parse(data)
        return

    assert expected == parse(data)
