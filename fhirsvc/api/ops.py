"""``/healthz``, ``/readyz`` and ``/metrics``: ids and counts only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fhirsvc.store.database import Database


@dataclass(frozen=True)
class Counts:
    """What is counted: (connection, state), (connection, outcome of a write), record type."""

    deliveries: Mapping[tuple[str, str], int]
    attempts: Mapping[tuple[str, str], int]
    records: Mapping[str, int]
    unserved: int = 0  # records that did not map
    unserved_yet: int = 0  # records that are still to be mapped


class _Figures(Collector):
    """Counts from the tables, read when asked: they are true for all processes together."""

    def __init__(self, database: Database, counts: Callable[[sa.Connection], Counts]) -> None:
        self._database = database
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        with self._database.read() as tx:
            counts = self._counts(tx)
        deliveries = GaugeMetricFamily(
            "fhirsvc_deliveries", "Deliveries in a state.", labels=["connection", "state"]
        )
        for labels, number in sorted(counts.deliveries.items()):
            deliveries.add_metric(list(labels), number)
        yield deliveries
        attempts = CounterMetricFamily(
            "fhirsvc_attempts", "Writes to EHRs by outcome.", labels=["connection", "outcome"]
        )
        for labels, number in sorted(counts.attempts.items()):
            attempts.add_metric(list(labels), number)
        yield attempts
        records = GaugeMetricFamily("fhirsvc_records", "Records.", labels=["type"])
        for name, number in sorted(counts.records.items()):
            records.add_metric([name], number)
        yield records
        unserved = GaugeMetricFamily("fhirsvc_records_unserved", "Records that did not map.")
        unserved.add_metric([], counts.unserved)
        yield unserved
        due = GaugeMetricFamily("fhirsvc_records_due", "Records that /fhir does not serve yet.")
        due.add_metric([], counts.unserved_yet)
        yield due


def ops(database: Database, counts: Callable[[sa.Connection], Counts]) -> Blueprint:
    """The blueprint of the three."""
    routes = Blueprint("ops", __name__)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(database, counts))

    def healthz() -> Response:
        """Whether this process answers."""
        return Response("ok\n", content_type="text/plain")

    def readyz() -> Response:
        """Whether the database is there with the schema this version needs; else 409 or 500."""
        database.check()
        return Response("ok\n", content_type="text/plain")

    def metrics() -> Response:
        """Prometheus text."""
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    for view in (healthz, readyz, metrics):
        routes.add_url_rule(f"/{view.__name__}", view.__name__, view)
    return routes
