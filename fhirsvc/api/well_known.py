"""``/.well-known/jwks.json``: the public halves of our keys, for EHRs to check what we sign.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys
"""

from __future__ import annotations

from collections.abc import Callable

import orjson
import structlog
from flask import Blueprint, Response

from fhirsvc.ehr.keys import PUBLISH_S, KeyFolder
from fhirsvc.ehr.keys import jwks as key_set

# Well below the time a key is published before it signs: whoever keeps the set for as long knows
# every key that signs.
MAX_AGE_S = int(PUBLISH_S / 12)
log = structlog.get_logger("fhirsvc.http")


def well_known(keys: KeyFolder, clock: Callable[[], float]) -> Blueprint:
    """The blueprint; the folder is read at each request, so a new key is there at once."""
    routes = Blueprint("well_known", __name__)

    def jwks() -> Response:
        """The key set; anybody may read it."""
        found, findings = keys.read()
        for finding in findings:
            log.warning("key_not_used", rule=finding.rule, file=finding.where)
        answer = Response(orjson.dumps(key_set(found, clock())), content_type="application/json")
        answer.headers["Cache-Control"] = f"public, max-age={MAX_AGE_S}"
        return answer

    routes.add_url_rule("/.well-known/jwks.json", "jwks", jwks)
    return routes
