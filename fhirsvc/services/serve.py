"""Serving: one resource, histories and searches as Bundles, each page with a link to the next.

A next link names no word of the search: those are kept, and the link has a token and a place.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.search import Search, SearchError, parse
from fhirsvc.services.ports import Clock
from fhirsvc.store import served_read, served_search, serving
from fhirsvc.store.database import Database
from fhirsvc.store.served_read import Past
from fhirsvc.store.served_search import After, Found

BESIDE = 1000  # resources that go along with one page
Given = list[tuple[str, str]]
Resource = dict[str, Any]
# Whether somebody may see resources of a type.
Sees = Callable[[str], bool]


@dataclass(frozen=True)
class Asked:
    """Who asks, at which base URL (without a slash at its end), and what they may see."""

    client: str
    base: str
    sees: Sees


@dataclass(frozen=True)
class Server:
    """Answers reads; ``new_id`` makes tokens that nobody can guess."""

    database: Database
    clock: Clock
    new_id: Callable[[], str]

    def read(self, resource_type: str, id: str, version: int | None = None) -> Found:
        """A resource, or one version of it.

        :raises FhirsvcError: NOT_FOUND when there is none, GONE when it is deleted.
        """
        with self.database.read() as tx:
            found = served_read.one(tx, resource_type, id, version)
        if found is None:
            raise FhirsvcError(Category.NOT_FOUND, "no such resource", resource_type)
        if found.is_deleted:
            raise FhirsvcError(Category.GONE, "it is deleted", resource_type)
        return found

    def history(
        self,
        asked: Asked,
        where: str,
        types: Sequence[str],
        *,
        id: str | None,
        since: float,
        count: int,
        page: str | None,
        given: Given,
    ) -> Resource:
        """A history Bundle; ``where`` is its address below the base.

        :raises FhirsvcError: NOT_FOUND when there is no such resource.
        """
        place = None if page is None else _place(page, 3)
        with self.database.read() as tx:
            if id is not None and served_read.one(tx, types[0], id) is None:
                raise FhirsvcError(Category.NOT_FOUND, "no such resource", types[0])
            found = served_read.history(
                tx, types=types, id=id, since=since, after=place, limit=count + 1
            )
        links = [_link("self", f"{asked.base}/{where}", given)]
        shown = found[:count]
        if len(found) > count and shown:
            plain = [one for one in given if one[0] != "_page"]
            there = _told(served_read.after(shown[-1]))
            links.append(_link("next", f"{asked.base}/{where}", [*plain, ("_page", there)]))
        entries = [_past(asked.base, one) for one in shown]
        return _bundle("history", links, entries)

    def search(self, asked: Asked, resource_type: str, given: Given, *, posted: bool) -> Resource:
        """A searchset Bundle of a page, with what goes along with it.

        :raises SearchError: for what is not offered, or cannot be read.
        """
        pages = [value for name, value in given if name == "_page"]
        address = f"{asked.base}/{resource_type}"
        if not pages:
            search = parse(resource_type, given, asked.base)
            shown = _link("self", address + ("/_search" if posted else ""), [] if posted else given)
            return self._page(asked, search, given, None, "", shown)
        token, _, place = pages[0].partition(".")
        with self.database.read() as tx:
            kept = served_read.kept_page(tx, token, asked.client, resource_type, self.clock())
        if kept is None or len(pages) > 1:
            raise SearchError(Category.INVALID, "this search cannot be gone on with", "_page")
        search = parse(resource_type, kept, asked.base)
        after = _place(place, 2 if search.sort == "_lastUpdated" else 1)
        shown = _link("self", address, [("_page", pages[0])])
        return self._page(asked, search, kept, after, token, shown)

    def _page(
        self,
        asked: Asked,
        search: Search,
        given: Given,
        after: After | None,
        token: str,
        shown: Mapping[str, str],
    ) -> Resource:
        with self.database.read() as tx:
            total = None
            if search.with_total or search.only_count or search.count == 0:
                total = served_search.total(tx, search)
            is_counted = search.only_count or search.count == 0
            found = [] if is_counted else served_search.page(tx, search, after)
            page = found[: search.count]
            includes = [
                one
                for one in search.includes
                if asked.sees(one.source) and (one.target is None or asked.sees(one.target))
            ]
            due = serving.behind(tx)
            beside = served_search.beside(tx, includes, page, BESIDE + 1) if includes else []
        links = [shown]
        if len(found) > search.count:
            token = token or self._kept(asked, search.type, given)
            place = f"{token}.{_told(served_search.place(search, page[-1]))}"
            links.append(_link("next", f"{asked.base}/{search.type}", [("_page", place)]))
        entries = [_entry(asked.base, one, "match") for one in page]
        along = [one for one in beside if asked.sees(one.type)]
        entries += [_entry(asked.base, one, "include") for one in along[:BESIDE]]
        if len(along) > BESIDE:
            text = f"more than {BESIDE} resources go along with this page: some are left out"
            entries.append(_outcome("warning", "too-costly", text))
        if due:
            text = f"{due} accepted records are not served yet"
            entries.append(_outcome("information", "incomplete", text))
        bundle = _bundle("searchset", links, entries)
        return bundle if total is None else {**bundle, "total": total}

    def _kept(self, asked: Asked, resource_type: str, given: Given) -> str:
        token, now = self.new_id(), self.clock()
        keep = served_read.keep_page
        self.database.run(
            lambda tx: keep(tx, token, asked.client, resource_type, given, now), durable=False
        )
        return token


def resource_of(found: Found) -> Resource:
    """The resource with its id, version and time."""
    body: Resource = orjson.loads(found.body)
    meta = {**body.get("meta", {}), "versionId": str(found.version)}
    body["meta"] = {**meta, "lastUpdated": instant(found.updated_at)}
    return body


def instant(at: float) -> str:
    """Epoch seconds as a FHIR instant, in UTC to the millisecond."""
    text = datetime.fromtimestamp(round(at, 3), UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _entry(base: str, found: Found, mode: str) -> Resource:
    return {
        "fullUrl": f"{base}/{found.type}/{found.id}",
        "resource": resource_of(found),
        "search": {"mode": mode},
    }


def _past(base: str, past: Past) -> Resource:
    found = past.found
    name = f"{found.type}/{found.id}"
    method = "DELETE" if found.is_deleted else "POST" if past.is_first else "PUT"
    status = {"DELETE": "204", "POST": "201", "PUT": "200"}[method]
    said = {"status": status, "etag": f'W/"{found.version}"'}
    entry = {
        "fullUrl": f"{base}/{name}",
        "request": {"method": method, "url": found.type if method == "POST" else name},
        "response": {**said, "lastModified": instant(found.updated_at)},
    }
    return entry if found.is_deleted else {**entry, "resource": resource_of(found)}


def _bundle(kind: str, links: Sequence[Mapping[str, str]], entries: list[Resource]) -> Resource:
    bundle: Resource = {"resourceType": "Bundle", "type": kind, "link": list(links)}
    if entries:
        bundle["entry"] = entries
    return bundle


def _outcome(severity: str, code: str, text: str) -> Resource:
    issue = {"severity": severity, "code": code, "details": {"text": text}}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    return {"resource": outcome, "search": {"mode": "outcome"}}


def _link(relation: str, url: str, given: Given) -> dict[str, str]:
    return {"relation": relation, "url": f"{url}?{urlencode(given)}" if given else url}


def _told(place: After) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _place(text: str, length: int) -> After:
    """The place that a link names.

    :raises SearchError: no link of ours does.
    """
    try:
        read = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (ValueError, binascii.Error):
        read = None
    kinds = (int, float) if length > 1 else (int, str)
    is_place = isinstance(read, list) and len(read) == length
    if not is_place or not all(type(one) in kinds for one in read):
        raise SearchError(Category.INVALID, "expected a link of ours", "_page")
    if any(isinstance(one, int) and abs(one) >= 2**63 for one in read):
        raise SearchError(Category.INVALID, "expected a link of ours", "_page")
    return tuple(read)
