"""The JSON door, under /api/v1, and what operators ask for."""

from __future__ import annotations

from flask import Blueprint, Flask

from coordinator.api import (
    agreements,
    alerts,
    changes,
    consents,
    desk_calls,
    endpoints,
    exits,
    files,
    health,
    http_hosts,
    incidents,
    intake,
    labels,
    ledger,
    markings,
    obligations,
    openapi,
    operations,
    playbooks,
    quarantine,
    released,
    releases,
    runs,
    taxii,
    waiting_changes,
    work,
)


def install(app: Flask) -> None:
    """Mount all routes of the API on `app`."""
    door = Blueprint("api", __name__, url_prefix="/api/v1")
    for part in (
        intake, incidents, changes, alerts, desk_calls, work, ledger, released, waiting_changes, playbooks, openapi,
        quarantine,
        endpoints, operations, agreements, exits, files, releases, runs, consents, obligations, markings, http_hosts,
        labels,
    ):  # fmt: skip
        door.register_blueprint(part.routes)
    app.register_blueprint(door)
    app.register_blueprint(openapi.docs)
    app.register_blueprint(taxii.routes)
    app.register_blueprint(health.routes)
