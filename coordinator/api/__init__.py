"""The JSON door, under /api/v1."""

from __future__ import annotations

from flask import Blueprint

from coordinator.api import intake


def blueprint() -> Blueprint:
    """All routes of the API; a new blueprint each time, so that several applications can live in one process."""
    api = Blueprint("api", __name__, url_prefix="/api/v1")
    for part in (intake,):
        api.register_blueprint(part.routes)
    return api
