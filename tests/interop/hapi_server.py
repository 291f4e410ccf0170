"""A real HAPI FHIR R4 server, started and killed at will."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import requests
from child import Child, log_file
from java_build import java, server_flags


class HapiServer:
    """A HAPI FHIR R4 JPA server over H2, as strict as a careful EHR.

    ``port`` 0 takes any free one and keeps it over a restart. ``db`` is ``"mem"`` or a folder whose
    data survives a restart, even after SIGKILL. ``validate`` refuses invalid bodies with 422,
    checking declared profiles against the packages in ``igs``.
    """

    def __init__(
        self,
        port: int = 0,
        db: str | Path = "mem",
        *,
        validate: bool = False,
        igs: Sequence[Path] = (),
    ) -> None:
        self.port = port
        self.url = ""
        self._options = ["--db", str(db), *(["--validate"] if validate else [])]
        for package in igs:
            self._options += ["--ig", str(package)]
        self._log = log_file("hapi")
        self._http = requests.Session()
        self._http.trust_env = False  # no proxy between us and loopback
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._http.close()

    def start(self) -> None:
        """Start and wait until ``/metadata`` answers; raise RuntimeError with the log if not."""
        options = ["--port", str(self.port), *self._options]
        self._child = Child(java("Server", *options, flags=server_flags()), self._log)
        try:
            ready = self._child.read_line(180).decode()
        except BaseException:
            self.kill9()
            raise
        self.url = ready.removeprefix("ready ")
        self.port = int(self.url.rsplit(":", 1)[1].split("/")[0])

    def stop(self) -> None:
        """End the server politely."""
        if self._child is not None:
            self._child.stop()

    def kill9(self) -> None:
        """End the server as a power cut would."""
        if self._child is not None:
            self._child.kill9()

    def restart(self) -> None:
        """Start again on the same port, after ``kill9`` or while running."""
        self.stop()
        self.start()

    def request(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> requests.Response:
        """Send one FHIR request; ``path`` is below the base, header names use ``_`` for ``-``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent["Content-Type"] = "application/fhir+json"
        return self._http.request(
            method,
            f"{self.url}/{path}",
            data=None if body is None else json.dumps(body),
            headers=sent,
            timeout=60,
        )

    def count(self, resource_type: str, **parameters: str) -> int:
        """Return how many resources match; parameter names use ``__`` for ``:``.

        Raises requests.HTTPError when the server refuses the search.
        """
        page = self._page(f"{self.url}/{resource_type}", _query(parameters, _summary="count"))
        return int(page["total"])

    def search(self, resource_type: str, **parameters: str) -> list[dict[str, Any]]:
        """Return the matching resources of all pages; parameters and errors as in ``count``."""
        page = self._page(f"{self.url}/{resource_type}", _query(parameters, _count="200"))
        found: list[dict[str, Any]] = []
        for _ in range(1000):
            found += [entry["resource"] for entry in page.get("entry", [])]
            following = [link["url"] for link in page.get("link", []) if link["relation"] == "next"]
            if not following:
                return found
            page = self._page(following[0], {})
        msg = f"more than 1000 pages of {resource_type}"
        raise RuntimeError(msg)

    def _page(self, url: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        headers = {"Cache-Control": "no-cache"}
        answer = self._http.get(url, params=parameters, headers=headers, timeout=60)
        answer.raise_for_status()
        bundle: dict[str, Any] = answer.json()
        return bundle


def _query(parameters: Mapping[str, str], **more: str) -> dict[str, str]:
    return {**more, **{name.replace("__", ":"): value for name, value in parameters.items()}}
