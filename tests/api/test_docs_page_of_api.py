"""/docs is the OpenAPI document, each operation of it, for people."""

from __future__ import annotations

from html.parser import HTMLParser


class _Ids(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.leads_to: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"]] if given.get("id") else []
        href = given.get("href") or ""
        self.leads_to += [href[1:]] if href.startswith("#") else []


def test_every_operation_is_there(web):
    """With its address, its parameters and its answers; links inside lead somewhere."""
    document = web.get("/openapi.json").json
    answer = web.get("/docs")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    page = _Ids()
    page.feed(answer.text)
    told = {
        (f"{method.upper()} {path}", one["operationId"])
        for path, item in document["paths"].items()
        for method, one in item.items()
        if method != "parameters"
    }
    assert len(told) >= 13
    for where, name in told:
        assert f"<code>{where}</code>" in answer.text
        assert page.ids.count(name) == 1
    assert set(page.leads_to) <= set(page.ids)
    assert "6.1, 7, 8, 9" in answer.text  # what a parameter takes
