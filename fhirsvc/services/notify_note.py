"""Noting events: in the transaction that changes a served resource, for whoever is to hear of it.

So no change is ever made of which a Subscription does not hear, and none is heard of that was not
made. What is noted is a number, a name and a version: the worker tells it, see
:mod:`fhirsvc.services.notify`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
import structlog

from fhirsvc.errors import FhirsvcError
from fhirsvc.fhir import subscription
from fhirsvc.fhir.search_match import meets
from fhirsvc.fhir.search_values import Word, values
from fhirsvc.fhir.subscription import TOPICS, Wanted
from fhirsvc.store import subscriptions
from fhirsvc.store.serving import Change

TYPES = frozenset(TOPICS.values())
log = structlog.get_logger("fhirsvc.notify")


def note(tx: sa.Connection, changes: Sequence[Change], now: float) -> None:
    """Note the events that new versions of served resources are."""
    new = [one for one in changes if one.is_version and one.head.type in TYPES]
    if not new:
        return
    listening = subscriptions.about(tx, {one.head.type for one in new})
    if not listening:
        return
    words = [_words(one) for one in new]
    events: dict[str, list[dict[str, Any]]] = {}
    for id_, body, base in listening:
        wanted = _wanted(body, base)
        if wanted is None:
            log.error("subscription_unread", subscription=id_)
            continue
        heard = [
            _event(change)
            for change, of in zip(new, words, strict=True)
            if change.head.type == wanted.type and meets(wanted.criteria, of)
        ]
        if heard:
            events[id_] = heard
    subscriptions.happened(tx, events, now)


@lru_cache(maxsize=1000)
def _wanted(body: str, base: str) -> Wanted | None:
    """What a Subscription asks for; None where it asks for what is not offered any more."""
    try:
        return subscription.read(orjson.loads(body), base)
    except FhirsvcError:
        return None


def _words(change: Change) -> set[Word]:
    """What a resource is filtered by: of one that is deleted, what it said last."""
    if not change.head.is_deleted:
        return set(change.words)
    return values(orjson.loads(change.body))[0]


def _event(change: Change) -> dict[str, Any]:
    head = change.head
    method = "DELETE" if head.is_deleted else "POST" if change.is_first else "PUT"
    return {
        "type": head.type,
        "resource_id": head.id,
        "version": head.version,
        "method": method,
    }
