"""CSV files: dotted headers, cells typed by the schema, faults told by row or once by header."""

from __future__ import annotations

import csv
import io

import pytest
from clinic import load, rows

from fhirsvc.fhir.guard import Limits
from fhirsvc.records import TYPES, check
from fhirsvc.records.reading import read

HEAD = "type,id,name.family,name.given[0],name.given[1],interpreter_needed,contacts[0].contact_id\n"
QUOTE = "2:1: a quote is not closed or out of place (read to line "


class TestCsv:
    def test_cells_become_what_the_schema_asks(self):
        """Dotted headers, list items, quoted cells over lines, numbers and truth values."""
        data = HEAD + 'client,c1,"Doe, Jr.",Ana,"María\nLuz",TRUE,k1\nclient,c2,Roe,,,,\n'

        assert rows(data.encode(), "csv") == [
            (
                2,
                {
                    "type": "client",
                    "id": "c1",
                    "name": {"family": "Doe, Jr.", "given": ["Ana", "María\nLuz"]},
                    "interpreter_needed": True,
                    "contacts": [{"contact_id": "k1"}],
                },
                "",
            ),
            (4, {"type": "client", "id": "c2", "name": {"family": "Roe"}}, ""),
        ]

    def test_a_cell_that_is_not_what_the_schema_asks_is_left_for_the_checker(self):
        """Text in a number's column stays text, and check() says where and what it expected."""
        header = b"id,modalities[0].modality_id,modalities[0].minutes,schedule.hours_per_week\n"
        (row,) = read(header + b"p1,m1,fifty,9.5", "csv", type="care_plan")

        assert row.record["schedule"] == {"hours_per_week": 9.5}
        assert ("$.modalities[0].minutes", "expected a whole number from 5 to 600") in [
            (f.where, f.message) for f in check(row.record)
        ]

    def test_gaps_in_a_list_close(self):
        """An item whose cells are all empty is left out; those after it move up."""
        data = b"id,goal_ids[0],goal_ids[2]\np1,,g3\np2,g1,g3\n"

        assert [r.record["goal_ids"] for r in read(data, "csv", type="care_plan")] == [
            ["g3"],
            ["g1", "g3"],
        ]

    @pytest.mark.parametrize("type", TYPES)
    def test_the_demo_as_csv_comes_back(self, type):
        """Written as CSV with one column per value, every demo record reads back the same."""
        records = [r for r in load() if r["type"] == type]
        flat = [dict(_flat(record)) for record in records]
        header = list(dict.fromkeys(name for cells in flat for name in cells))
        out = io.StringIO()
        writer = csv.DictWriter(out, header, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(flat)

        assert [r.record for r in read(out.getvalue().encode(), "csv")] == records

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ("name.famly", "column 2: unknown field; did you mean 'name.family'?"),
            ("given[0]", "column 2: unknown field"),
            ("name", "column 2: holds fields; write one column for each of them"),
            ("name.given", "column 2: name.given is a list; write name.given[0]"),
            ("mrn[0]", "column 2: mrn is no list"),
            ("mrn.x", "column 2: mrn has no fields inside"),
            ("name.given[1000]", "column 2: name.given may have at most 1000 items"),
            ("name..x", "column 2: expected a path such as name.family or modalities[0].kind"),
            ("id", "column 2: the same header stands before"),
            ("", "column 2: expected a path such as name.family or modalities[0].kind"),
        ],
    )
    def test_a_wrong_header_is_said_once(self, header, message):
        """A wrong header makes every row wrong, so it is said once and nothing is read."""
        data = f"id,{header}\nc1,x\nc2,x\n".encode()

        assert rows(data, "csv", type="client") == [(1, None, f"1:1: {message}")]

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b"", (1, None, "1:1: is empty")),
            (b"id,mrn\n", None),
            (b"id,mrn\nc1\n", (2, None, "2:1: has 1 cells; the header has 2")),
            (b"id,mrn\nc1,a,b\n", (2, None, "2:1: has 3 cells; the header has 2")),
            (b"id,mrn\nc1,a\xff\n", (2, None, "2:1: is not UTF-8 at 2:5")),
            (b'id,mrn\nc1,"a\nb\n', (2, None, QUOTE + "3)")),
            (b'id,mrn\nc1,"a"b\n', (2, None, QUOTE + "2)")),
            (b"id,mrn\n" + b"c1," + b"x" * 90 + b"\n", (2, None, "2:1: is larger than 80 bytes")),
        ],
    )  # fmt: skip
    def test_a_broken_row_is_located(self, data, expected):
        """Rows with the wrong number of cells, bad quotes, bytes or size say so at their line."""
        found = rows(data, "csv", type="client", limits=Limits(bytes=80))

        assert found == ([expected] if expected else [])

    def test_broken_rows_do_not_stop_the_rest(self):
        """After each kind of broken row the next good one is read."""
        data = b'id,mrn\nc1,"a"b\nc2,x\nc3\nc4,x\nc5,\xff\nc6,x\n'
        found = list(read(data, "csv", type="client"))

        assert [(r.line, r.record and r.record["id"]) for r in found] == [
            (2, None),
            (3, "c2"),
            (4, None),
            (5, "c4"),
            (6, None),
            (7, "c6"),
        ]

    def test_the_type_comes_from_a_column_or_beside_the_file(self):
        """Without either it is said; two types in one file, or one unknown, are refused by row."""
        assert rows(b"id\nc1\n", "csv") == [
            (2, None, "2:1: the file needs a column 'type', or its type named beside it")
        ]
        assert rows(b"type,id\nclient,c1\nstaff,s1\nclent,c2\n", "csv") == [
            (2, {"type": "client", "id": "c1"}, ""),
            (3, None, "3:1: all rows of the file must be of one type; expected 'client'"),
            (
                4,
                None,
                f"4:1: expected one of the types: {', '.join(TYPES)}; did you mean 'client'?",
            ),
        ]
        assert rows(b"type,id\nstaff,s1\n", "csv", type="client")[0][1] is None

    def test_messages_never_repeat_a_cell(self):
        """What stands in a cell is a person's; it is in no message."""
        data = b'type,id,mrn\nOkafor,Okafor,Okafor\nclient,"Okafor"x,1\nclient,Okafor\n'

        assert "Okafor" not in str(rows(data, "csv"))


def _flat(node, path=""):
    """Yield (header, cell) for every value of a record."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _flat(value, f"{path}.{name}" if path else name)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _flat(value, f"{path}[{index}]")
    else:
        yield path, str(node).lower() if isinstance(node, bool) else str(node)
