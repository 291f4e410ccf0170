"""The version that a request means: If-Match, read the same way everywhere.

https://www.rfc-editor.org/rfc/rfc9110#field.if-match
"""

from __future__ import annotations

import re

from fhirsvc.api.outcomes import StatusError

_ETAG = re.compile(r'(?:W/)?"([1-9][0-9]{0,8})"')


def version_of(given: str | None) -> int | None:
    """The number of the version that the header names; None without one.

    :raises StatusError: 400, where it is not one version.
    """
    if given is None:
        return None
    match = _ETAG.fullmatch(given.strip())
    if match is None:
        raise StatusError(400, 'expected one version, as W/"3"', "If-Match")
    return int(match[1])
