"""Files are read row by row; a row that cannot be read is told where, and the rest goes on."""

from __future__ import annotations

import io
import itertools
import json

import pytest
from clinic import DEMO, load, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.guard import Limits
from fhirsvc.records.reading import format_of, read


class TestNdjson:
    def test_demo_files_come_back_whole(self):
        """Every line of the demo is a record on its own line, from bytes, lines or text."""
        data = (DEMO / "care_plan.ndjson").read_bytes()
        text = data.decode("utf-8")
        records = [json.loads(line) for line in text.splitlines()]

        for source in (data, io.BytesIO(data), io.StringIO(text, newline="")):
            found = list(read(source, "ndjson"))

            assert [r.record for r in found] == records
            assert [r.line for r in found] == list(range(1, len(records) + 1))
            assert not any(r.findings for r in found)

    def test_a_broken_line_does_not_stop_the_rest(self):
        """Broken lines are told by line and column of the file; the others are read."""
        data = b'\xef\xbb\xbf{"a":1}\r\n\n{"a":1,"a":2}\n[1]\n{"b":"\xff"}\n{"c":NaN}\n{"d":1}'

        assert rows(data, "ndjson") == [
            (1, {"a": 1}, ""),
            (3, None, "3:8: this name was already used at 3:2"),
            (4, None, "4:1: expected an object"),
            (5, None, "5:7: is not UTF-8"),
            (6, None, "6:6: NaN and Infinity are not JSON"),
            (7, {"d": 1}, ""),
        ]

    def test_only_a_line_feed_ends_a_line(self):
        """U+2028, U+0085 and form feeds inside a text do not break a record in two."""
        record = {"a": "x\u2028y\u0085z"}
        data = json.dumps(record, ensure_ascii=False).encode()

        assert rows(data, "ndjson") == [(1, record, "")]

    def test_lines_are_taken_one_at_a_time(self):
        """Reading is lazy: an endless source gives its first rows."""
        endless = (b'{"n":%d}\n' % n for n in itertools.count())

        assert [r.record for r in itertools.islice(read(endless, "ndjson"), 3)] == [
            {"n": 0},
            {"n": 1},
            {"n": 2},
        ]

    def test_limits_hold_for_each_record(self):
        """A record too large or too deep is refused; the next one is read."""
        data = b'{"a":"xxxxxxxxxxxxxxxx"}\n{"a":[[[1]]]}\n{"a":1}\n'

        assert rows(data, "ndjson", limits=Limits(bytes=20, depth=3)) == [
            (1, None, "1:1: is larger than 20 bytes"),
            (2, None, "2:8: is nested deeper than 3 levels"),
            (3, {"a": 1}, ""),
        ]

    def test_a_text_reader_s_undecodable_bytes_are_refused(self):
        """Bytes a text reader kept as half surrogates are not taken for text."""
        assert rows(['{"a":"\udcff"}\n'], "ndjson") == [(1, None, "1:7: is not UTF-8")]


class TestJson:
    def test_one_object_or_a_list(self):
        """A file holds one record or a list; each element has the line it starts on."""
        assert rows(b' {"a":1}\n', "json") == [(1, {"a": 1}, "")]
        assert rows(b"[]", "json") == []
        assert rows(b'\xef\xbb\xbf[\n {"a":[1,{"b":2}]},\n {"c":"]"},{"d":1}\n]\n', "json") == [
            (2, {"a": [1, {"b": 2}]}, ""),
            (3, {"c": "]"}, ""),
            (3, {"d": 1}, ""),
        ]

    def test_the_demo_as_one_pretty_list(self):
        """All demo records in one indented list come back, each with its own line."""
        records = load()
        found = list(read(json.dumps(records, indent=1, ensure_ascii=False).encode(), "json"))

        assert [r.record for r in found] == records
        assert [r.line for r in found] == sorted({r.line for r in found})

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b"", [(1, "1:1: is empty")]),
            (b"7", [(1, "1:1: expected an object")]),
            (b'{"a":1}\n{"a":2}', [(1, "2:1: more follows after the end of the value")]),
            (b'[{"a":1}', [(1, ""), (1, "1:9: the list is not closed")]),
            (b'[{"a":1},', [(1, ""), (1, "1:10: the list is not closed")]),
            (b'[{"a":1}}', [(1, ""), (1, "1:9: expected ',' or ']'")]),
            (b'[{"a":1},]', [(1, ""), (1, "1:10: a comma stands before the end")]),
            (b'[,{"a":1}]', [(1, "1:2: expected a JSON value"), (1, "")]),
            (b'[{"a":1}]\n x', [(1, ""), (2, "2:2: more follows after the end of the value")]),
            (b'[{"a":1 "b":2},\n{"c":1}]', [(1, "1:9: expected ',' or '}'"), (2, "")]),
            ('[{"é":1},{"b":1,"b":1}]', [(1, ""), (1, "1:17: this name was already used at 1:11")]),
            (b'[{"a":"x},\n{"b":1}]', [(1, "1:11: a control character must be escaped")]),
        ],
    )
    def test_faults_are_located_in_the_file(self, data, expected):
        """Lines and columns are the file's, also inside a list and after signs of two bytes."""
        source = data if isinstance(data, bytes) else data.encode()

        assert [(line, said) for line, _, said in rows(source, "json")] == expected

    def test_a_long_list_on_one_line_takes_time_in_proportion(self):
        """Columns are counted once: twenty thousand elements on one line are read and located."""
        data = b"[" + b",".join([b'{"a":1}'] * 20_000) + b",{]"
        found = list(read(data, "json"))

        assert len(found) == 20_001
        assert found[-1].findings[0].where == f"1:{len(data)}"


def test_formats_are_known_by_the_file_s_ending():
    """.ndjson and .jsonl, .json, .csv in any case; others are refused, naming those."""
    assert [format_of(n) for n in ("a.ndjson", "b.JSONL", "c.x.json", "d.csv")] == [
        "ndjson",
        "ndjson",
        "json",
        "csv",
    ]
    with pytest.raises(FhirsvcError, match=r"\.ndjson, \.jsonl, \.json, \.csv") as caught:
        format_of("notes.txt")
    assert caught.value.category is Category.UNSUPPORTED


def test_an_unknown_format_or_type_is_the_caller_s_error():
    """Both are raised at once, before anything is read."""
    with pytest.raises(FhirsvcError, match="ndjson, json, csv"):
        read(b"", "xml")
    with pytest.raises(FhirsvcError, match="did you mean 'client'"):
        read(b"", "csv", type="cliant")


@settings(max_examples=300)
@given(
    st.one_of(st.binary(max_size=60), st.text('[]{},:"\\ \n1aé', max_size=40).map(str.encode)),
    st.sampled_from(["ndjson", "json", "csv"]),
)
def test_no_bytes_raise(data, format):
    """Whatever the bytes, reading yields rows: a record, or a reason with a place."""
    for row in read(data, format, type="client"):
        assert (row.record is None) == bool(row.findings)
        assert all(f.where for f in row.findings)
