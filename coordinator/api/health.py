"""For the operator: alive, ready, and figures. Figures come from SQL, so they stay right when Redis was emptied."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, jsonify, request
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from coordinator import clock, migrations
from coordinator.alerts.models import Delivery
from coordinator.api.access import open_to, store
from coordinator.errors import NotSignedIn
from coordinator.incidents.models import Incident, Report
from coordinator.store import Store
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Heartbeat, Pending

routes = Blueprint("health", __name__)

#: A worker must have been seen within this time.
SEEN = timedelta(seconds=60)
#: More than this between our clock and the database's, or behind the record, and nothing is sent.
SKEW = timedelta(seconds=60)


@routes.get("/healthz")
@open_to("says only that the process answers")
def healthz() -> Response:
    """Alive."""
    return jsonify({"status": "alive"})


@routes.get("/readyz")
@open_to("says only which part is away, never why")
def readyz() -> Response:
    """Ready to serve: database, migrations, broker, clock, and a worker seen within a minute."""
    parts = {name: _holds(check) for name, check in CHECKS.items()}
    response = jsonify({"ready": all(parts.values()), "parts": parts})
    response.status_code = 200 if all(parts.values()) else 503
    return response


@routes.get("/metrics")
@open_to("asks for the metrics token itself, or for a caller on this machine where none is set")
def metrics() -> Response:
    """Figures in the Prometheus text format."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    _check_caller()
    registry = CollectorRegistry()
    with store().read() as tx:
        for name, help_text, label, read in FIGURES:
            gauge = Gauge(f"coordinator_{name}", help_text, [label] if label else [], registry=registry)
            for value, number in read(tx):
                (gauge.labels(value) if label else gauge).set(number)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _check_caller() -> None:
    wanted = store().settings.metrics_token
    if wanted:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode()):
            raise NotSignedIn("Send Authorization: Bearer and the metrics token.")
        return
    try:
        near = ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        near = not request.remote_addr  # a unix socket has no address
    if not near:
        raise NotSignedIn("Set COORDINATOR_METRICS_TOKEN to read this from another machine.")


def _holds(check: Callable[[Store], bool]) -> bool:
    try:
        return check(store())
    except (SQLAlchemyError, OSError):
        return False


def _database(held: Store) -> bool:
    with held.read() as tx:
        return tx.execute(text("SELECT 1")).scalar_one() == 1


def _migrated(held: Store) -> bool:
    return not migrations.pending_revisions(held.engine)


def _clock(held: Store) -> bool:
    """No clock is doubted, and ours is within SKEW of the database's and of the newest entry, or a person said so."""
    now = clock.now()
    with held.read() as tx:
        if sending_hold.CLOCK in sending_hold.kinds(tx) or sending_hold.behind_record(tx) > SKEW.total_seconds():
            return False
        theirs = None if held.one_machine else tx.execute(select(func.now())).scalar_one()
    return theirs is None or abs(theirs - now) <= SKEW


def _worker(held: Store) -> bool:
    with held.read() as tx:
        query = select(func.max(Heartbeat.at)).where(Heartbeat.kind == "worker")
        seen = tx.execute(query).scalar_one_or_none()
    return seen is not None and abs(clock.now() - seen) <= SEEN  # one from the future was written by another clock


CHECKS: dict[str, Callable[[Store], bool]] = {
    "database": _database, "migrations": _migrated, "broker": lambda held: held.live.answers(), "clock": _clock,
    "worker": _worker,
}  # fmt: skip

Figures = list[tuple[str, float]]


def _since(instant: datetime | None) -> float:
    return max(0.0, (clock.now() - instant).total_seconds()) if instant else 0.0


def _oldest_pending(tx: Session) -> Figures:
    query = select(func.min(Pending.ready_at)).where(Pending.ready_at <= clock.now(), Pending.dead.is_(False))
    return [("", _since(tx.execute(query).scalar_one_or_none()))]


def _pending(tx: Session) -> Figures:
    now = clock.now()
    counted = {
        "ready": select(func.count()).where(Pending.ready_at <= now, Pending.dead.is_(False)),
        "timers": select(func.count()).where(Pending.ready_at > now),
        "dead": select(func.count()).where(Pending.dead.is_(True)),
        "leases-over": select(func.count()).where(Pending.lease_until < now, Pending.dead.is_(False)),
    }
    return [(name, tx.execute(query).scalar_one()) for name, query in counted.items()]


def _grouped(column: Any) -> Callable[[Session], Figures]:
    return lambda tx: [(row[0], row[1]) for row in tx.execute(select(column, func.count()).group_by(column))]


def _heartbeats(tx: Session) -> Figures:
    query = select(Heartbeat.kind, func.max(Heartbeat.at)).group_by(Heartbeat.kind)
    return [(kind, _since(at)) for kind, at in tx.execute(query)]


#: (name, help, label or "", how it is read)
FIGURES: list[tuple[str, str, str, Callable[[Session], Figures]]] = [
    ("oldest_pending_seconds", "How long the oldest ready row has waited.", "", _oldest_pending),
    ("pending_rows", "Rows of the outbox.", "state", _pending),
    ("deliveries", "Deliveries by state.", "state", _grouped(Delivery.state)),
    ("incidents", "Incidents by status.", "status", _grouped(Incident.status)),
    ("reports", "Reports by disposition.", "disposition", _grouped(Report.disposition)),
    ("heartbeat_seconds", "Since a process of this kind was seen.", "kind", _heartbeats),
]
