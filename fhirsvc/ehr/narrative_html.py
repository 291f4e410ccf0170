"""A page as HTML that stands alone: no script, nothing fetched, for the screen and for paper."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from fhirsvc.ehr.narrative import Page, Part, Table

# Nothing in it may fetch anything: one style, no script, no picture, no address.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """\
@page{size:letter;margin:0.75in}
body{font:15px/1.45 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:#1a1a1a;
 max-width:46rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .6rem}
h2{font-size:1.15rem;margin:1.8rem 0 .5rem;padding-bottom:.2rem;border-bottom:2px solid #345}
h3{font-size:1rem;margin:1rem 0 .3rem}
dl{display:grid;grid-template-columns:minmax(9rem,13rem) 1fr;gap:.2rem 1rem;margin:0}
dt{color:#455;font-weight:600}
dd{margin:0;overflow-wrap:anywhere;white-space:pre-line}
.about{background:#f3f5f7;padding:.7rem 1rem;border-radius:4px}
table{border-collapse:collapse;width:100%;margin:.4rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .5rem;border-bottom:1px solid #ccd;
 overflow-wrap:break-word;white-space:pre-line}
th{background:#e9edf1;border-bottom:2px solid #9ab}
figure{margin:.8rem 0;break-inside:avoid}
figure svg{max-width:100%;height:auto}
figcaption{font-size:.85rem;color:#455}
footer{margin-top:2rem;font-size:.85rem;color:#556;border-top:1px solid #ccd;padding-top:.5rem}
@media (max-width:34rem){dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}}
@media print{body{font-size:10pt;margin:0;max-width:none;padding:0}h2,h3{break-after:avoid}
 tr,dt,dd{break-inside:avoid}thead{display:table-header-group}.about{border:1px solid #9ab}}
"""


def html(page: Page) -> str:
    """The page as one HTML document, every text escaped."""
    return "\n".join(_lines(page)) + "\n"


def _lines(page: Page) -> Iterator[str]:
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield '<head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(page.title)}</title>"
    yield f"<style>\n{_STYLE}</style></head>"
    yield f'<body><h1 dir="auto">{escape(page.title)}</h1>'
    yield from _rows(page.about, ' class="about"')
    for part in page.parts:
        yield from _part(part)
    if page.footer:
        yield f"<footer>{escape(page.footer)}</footer>"
    yield "</body></html>"


def _part(part: Part) -> Iterator[str]:
    yield f'<section><h2 dir="auto">{escape(part.title)}</h2>'
    yield from _rows(part.rows)
    for table in part.tables:
        yield from _table(table)
    for words, svg in part.pictures:
        yield f"<figure>{svg}<figcaption>{escape(words)}</figcaption></figure>"
    yield "</section>"


def fragment(part: Part) -> str:
    """A part without its heading, as a narrative of FHIR may hold it: pictures in words.

    https://hl7.org/fhir/R4/narrative.html#rules
    """
    lines = [*_rows(part.rows)]
    for table in part.tables:
        lines += _table(table)
    lines += [f"<p>{escape(words)}</p>" for words, _ in part.pictures]
    return "".join(lines)


def _rows(rows: tuple[tuple[str, str], ...], more: str = "") -> Iterator[str]:
    if not rows:
        return
    yield f"<dl{more}>"
    for label, value in rows:
        yield f'<dt>{escape(label)}</dt><dd dir="auto">{escape(value)}</dd>'
    yield "</dl>"


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"<h3>{escape(table.title)}</h3>"
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in table.head)
    yield f"<table><thead><tr>{heads}</tr></thead><tbody>"
    for row in table.rows:
        cells = "".join(f'<td dir="auto">{escape(cell)}</td>' for cell in row)
        yield f"<tr>{cells}</tr>"
    yield "</tbody></table>"
