"""The register of agreements: each in plain words, with the terms the sharing decision reads."""

from __future__ import annotations

from flask import Blueprint, Response
from sqlalchemy import select

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.agreements import queries
from coordinator.agreements.models import Consent
from coordinator.errors import NotFound
from coordinator.partners.models import Organisation
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("agreements", __name__, url_prefix="/agreements")


@pages.get("")
@needs(Right.READ_AGREEMENTS)
def listed() -> Response:
    with access.store().read() as tx:
        rows = queries.standing(tx, clock.now())
        codes = {row.id: row.code for row in tx.execute(select(Organisation.id, Organisation.code))}
        consents = [
            (codes.get(row.from_id), codes.get(row.to_id), row)
            for row in tx.execute(select(Consent).order_by(Consent.id.desc()).limit(200)).scalars()
        ]
    return page.show("agreements/list.html", here="agreements", rows=rows, consents=consents)


@pages.get("/<path:key>")
@needs(Right.READ_AGREEMENTS)
def one(key: str) -> Response:
    with access.store().read() as tx:
        found = next((row for row in queries.standing(tx, clock.now()) if row["key"] == key), None)
        if found is None:
            raise NotFound()
        versions = queries.versions_of(tx, key)
    return page.show("agreements/one.html", here="agreements", agreement=found, terms=found["terms"], versions=versions)
