"""A page as a PDF of letter size with its fonts inside; the same bytes for the same page and date.

DejaVu Sans covers Latin, Greek, Cyrillic, Hebrew and Arabic, among others. A character that it
lacks (Chinese, Japanese, Korean, most emoji) is printed as a box and the last page says so; other
fonts may be given for them. Right-to-left text needs ``uharfbuzz`` to be set in its order and to be
joined. Needs the extra ``pdf``: without it :data:`AVAILABLE` is false.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhirsvc.ehr.narrative import Page, Part, Table

if TYPE_CHECKING:
    from fpdf import FPDF

AVAILABLE = find_spec("fpdf") is not None
_SHAPES = find_spec("uharfbuzz") is not None
_FAMILY = "DejaVu"
_MISSING = "\u25a1"
_LACKING = f"{_MISSING} stands for a character that this print has no letter for."
_TALLEST = 700  # characters of a cell: a row of a table is not broken over pages
_SHAPED = frozenset(("R", "AL", "AN"))  # bidirectional classes of text that runs right to left
_MARGIN, _LINE, _WIDTH = 19.0, 4.9, 177.9  # mm
_PICTURE = 120.0  # mm
_SPOKEN = re.compile(r"<(title|desc)>.*?</\1>", re.DOTALL)
_LONGEST_WORD = 18  # letters of a word that a column makes room for
_DARK, _GREY, _SHADE = (26, 26, 26), (69, 85, 85), (233, 237, 241)


def pdf(page: Page, date: str, fonts: Sequence[str] = ()) -> bytes:
    """The page as a PDF; ``date`` is the ISO moment it is said to be made at.

    ``fonts`` are files of further fonts, for characters that DejaVu lacks.
    """
    return _Printer(page, _moment(date), tuple(fonts)).print()


def _moment(date: str) -> datetime:
    try:
        at = datetime.fromisoformat(date)
    except ValueError:
        return datetime(2000, 1, 1, tzinfo=UTC)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _codes(font: Any) -> list[int]:
    """The characters that a font has letters for."""
    return list(getattr(font, "cmap", ()))


def _font(name: str) -> Path:
    return Path(str(files("fhirsvc.ehr") / "fonts" / name))


class _Printer:
    """Prints one page; ``lacks`` tells whether a character had no letter."""

    def __init__(self, page: Page, at: datetime, fonts: tuple[str, ...]) -> None:
        self._page = page
        self._letters: frozenset[int] = frozenset()
        self.lacks = False
        self._pdf = self._paper(at, fonts)

    def print(self) -> bytes:
        """All of it."""
        self._head()
        for part in self._page.parts:
            self._part(part)
        notes = [self._page.footer, _LACKING if self.lacks else ""]
        self._pdf.ln(4)
        for note in filter(None, notes):
            self._write(note, size=8, color=_GREY)
        return bytes(self._pdf.output())

    def _paper(self, at: datetime, fonts: tuple[str, ...]) -> FPDF:
        from fpdf import FPDF  # noqa: PLC0415 - of the extra

        title = self._page.title

        class Paper(FPDF):
            def footer(self) -> None:
                """Number the page."""
                self.set_y(-14)
                self.set_font(_FAMILY, size=8)
                self.set_text_color(*_GREY)
                self.cell(0, 6, f"{title[:90]}   {self.page_no()} / {{nb}}", align="R")

        paper = Paper(format="letter", unit="mm")
        paper.set_margins(_MARGIN, _MARGIN, _MARGIN)
        paper.set_auto_page_break(True, margin=20)
        paper.add_font(_FAMILY, "", _font("DejaVuSans.ttf"))
        paper.add_font(_FAMILY, "B", _font("DejaVuSans-Bold.ttf"))
        for number, name in enumerate(fonts):
            paper.add_font(f"further{number}", "", name)
        if fonts:
            paper.set_fallback_fonts([f"further{n}" for n in range(len(fonts))], exact_match=False)
        self._letters = frozenset(code for font in paper.fonts.values() for code in _codes(font))
        title = self._clean(title)
        if _SHAPES and _runs_left(self._page):
            paper.set_text_shaping(use_shaping_engine=True)
        paper.set_creation_date(at)
        paper.set_title(title)
        paper.set_lang("en-US")
        paper.set_creator("fhirsvc")
        paper.add_page()
        return paper

    def _head(self) -> None:
        self._write(self._page.title, size=17, style="B")
        self._pdf.ln(1.5)
        self._rows(self._page.about)

    def _part(self, part: Part) -> None:
        self._pdf.ln(4)
        if self._pdf.will_page_break(22):
            self._pdf.add_page()
        self._write(part.title, size=12.5, style="B")
        self._pdf.set_draw_color(51, 68, 85)
        y = self._pdf.get_y() + 0.6
        self._pdf.line(_MARGIN, y, self._pdf.w - _MARGIN, y)
        self._pdf.ln(2.4)
        self._rows(part.rows)
        for table in part.tables:
            self._table(table)
        for words, svg in part.pictures:
            self._picture(words, svg)

    def _picture(self, words: str, svg: str) -> None:
        if self._pdf.will_page_break(_PICTURE * 0.33 + 3 * _LINE):
            self._pdf.add_page()
        self._pdf.ln(1.5)
        drawn = _SPOKEN.sub("", svg)  # the printer knows no title; the words are the alternative
        self._pdf.image(BytesIO(drawn.encode()), w=_PICTURE, alt_text=words)
        self._write(words, size=8, color=_GREY)

    def _rows(self, rows: Sequence[tuple[str, str]]) -> None:
        for label, value in rows:
            if self._pdf.will_page_break(2 * _LINE):
                self._pdf.add_page()
            top = self._pdf.get_y()
            self._write(label, style="B", color=_GREY, width=48)
            below, page = self._pdf.get_y(), self._pdf.page
            self._pdf.set_xy(_MARGIN + 50, top)
            self._write(value, width=0)
            if self._pdf.page == page:
                self._pdf.set_y(max(below, self._pdf.get_y()))
            self._pdf.ln(0.8)

    def _table(self, table: Table) -> None:
        if table.title:
            self._pdf.ln(1.5)
            self._write(table.title, size=10.5, style="B")
            self._pdf.ln(0.5)
        tall = [row for row in table.rows if any(len(cell) > _TALLEST for cell in row)]
        fitting = [row for row in table.rows if row not in tall]
        if fitting:
            self._grid(table.head, fitting)
        for row in tall:
            self._rows([pair for pair in zip(table.head, row, strict=True) if pair[1]])
            self._pdf.ln(1)

    def _grid(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from fpdf.fonts import FontFace  # noqa: PLC0415 - of the extra

        self._pdf.set_font(_FAMILY, size=8.5)
        self._pdf.set_text_color(*_DARK)
        self._pdf.set_draw_color(187, 190, 205)
        style: Any = FontFace(emphasis="BOLD", fill_color=_SHADE)
        with self._pdf.table(
            col_widths=tuple(_widths(head, rows)),
            line_height=4.3,
            text_align="LEFT",
            v_align="TOP",
            borders_layout="HORIZONTAL_LINES",
            headings_style=style,
            padding=1,
        ) as grid:
            for cells in (head, *rows):
                line = grid.row()
                for cell in cells:
                    line.cell(self._clean(cell))
        self._pdf.ln(1.5)

    def _write(
        self,
        text: str,
        *,
        size: float = 9.5,
        style: str = "",
        color: tuple[int, int, int] = _DARK,
        width: float = 0,
    ) -> None:
        self._pdf.set_font(_FAMILY, style=style, size=size)
        self._pdf.set_text_color(*color)
        height = max(_LINE, size * 0.46)
        self._pdf.multi_cell(
            width, height, self._clean(text), align="LEFT", new_x="LMARGIN", new_y="NEXT"
        )

    def _clean(self, text: str) -> str:
        """The text with a box for each character that no font has, and no control characters."""
        found = []
        for character in unicodedata.normalize("NFC", text):
            if character == "\n" or ord(character) in self._letters:
                found.append(character)
            elif unicodedata.category(character) in ("Zs", "Zl", "Zp"):
                found.append(" ")
            elif unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Mn", "Me"):
                self.lacks = True
                found.append(_MISSING)
        return "".join(found)


def _widths(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[float]:
    """Widths in mm: each column's longest word, and of the rest what its texts are long."""
    columns = [[title, *(row[at] for row in rows)] for at, title in enumerate(head)]
    words = [max(len(word) for text in texts for word in text.split() or [""]) for texts in columns]
    least = [min(word, _LONGEST_WORD) * 1.85 + 3.5 for word in words]
    wishes = [min(160, max(map(len, texts))) ** 0.75 for texts in columns]
    rest = max(0.0, _WIDTH - sum(least))
    return [mm + rest * wish / sum(wishes) for mm, wish in zip(least, wishes, strict=True)]


def _runs_left(page: Page) -> bool:
    texts = [page.title, *(value for _, value in page.about)]
    for part in page.parts:
        texts += [part.title, *(value for _, value in part.rows)]
        texts += [cell for table in part.tables for row in table.rows for cell in row]
    return any(unicodedata.bidirectional(c) in _SHAPED for text in texts for c in text)
