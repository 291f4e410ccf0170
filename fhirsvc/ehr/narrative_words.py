"""A page in plain words, a value a line: what a message or a note says."""

from __future__ import annotations

from fhirsvc.ehr.narrative import Page


def as_text(page: Page) -> str:
    """The page as text without markup."""
    lines = [page.title, *(f"{label}: {value}" for label, value in page.about)]
    for part in page.parts:
        lines += ["", part.title, *(f"{label}: {_inline(value)}" for label, value in part.rows)]
        for table in part.tables:
            lines += [table.title] if table.title else []
            for row in table.rows:
                pairs = zip(table.head, row, strict=True)
                lines.append("- " + "; ".join(f"{head}: {_inline(v)}" for head, v in pairs if v))
    return "\n".join([*lines, "", page.footer] if page.footer else lines).strip()


def _inline(value: str) -> str:
    return value.replace("\n", "; ")
