"""The mappings that commands work with: the settings' folder, and a site's overlays over it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import click
from marshmallow import Schema

from fhirsvc import shipped
from fhirsvc.settings import load

site_option = click.option(
    "--site", metavar="DIR", help="A site's folder of overlays; the setting 'site' if not given."
)


def house_texts(folder: str | None = None, site: str | None = None) -> dict[str, str]:
    """The texts of a mappings folder by relative path; what is None comes from the settings."""
    settings = load()
    return shipped.mappings(
        folder if folder is not None else settings.mappings,
        site if site is not None else settings.site,
    )


def site_schemas() -> Mapping[str, Schema]:
    """By record type, the schema of the fields that the site of the settings adds.

    :raises MappingsError: its overlays cannot be read.
    """
    return _schemas(load().site)


@cache
def _schemas(folder: str) -> Mapping[str, Schema]:
    if not folder:
        return {}
    # Slow to import, and only a site has them.
    from fhirsvc.mapping.forward import MappingsError  # noqa: PLC0415
    from fhirsvc.mapping.overlay import of_site, read_site  # noqa: PLC0415

    site, findings = read_site(of_site(shipped.mappings(site=folder)))
    if findings:
        raise MappingsError(findings)
    return site.schemas
