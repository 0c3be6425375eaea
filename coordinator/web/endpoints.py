"""Endpoints of partner systems and their secrets: made here, shown once, rotated with overlap, revoked at once."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from coordinator.accounts.rules import Right
from coordinator.changes import service as changes
from coordinator.changes.rules import Kind
from coordinator.errors import Invalid, NotFound
from coordinator.markings import Tlp
from coordinator.outside.faults import load
from coordinator.partners import queries, service
from coordinator.partners.models import Endpoint, Organisation
from coordinator.partners.schema import EndpointSchema, StixAsksSchema
from coordinator.partners.signing import generate_secret
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("endpoints", __name__)

_ENDPOINT, _STIX = EndpointSchema(), StixAsksSchema()
#: Days for which a replaced secret still works beside the new one.
OVERLAPS = ("1", "7", "30")


@pages.get("/partners/<code>/endpoints/new")
@needs(Right.MANAGE_ENDPOINTS, fresh=True)
def new(code: str) -> Response:
    return _form(code, {"direction": "in"}, {})


@pages.post("/partners/<code>/endpoints/new")
@needs(Right.MANAGE_ENDPOINTS, fresh=True)
def make(code: str) -> Any:
    """The secret is shown in this one answer: there is nothing to redirect to."""
    said = {name: request.form.get(name, "").strip() for name in ("id", "direction", "url", "tlp_max")}
    given = said | {"stix_asks": request.form.getlist("stix_asks"), "stix_without": request.form.get("stix_without")}
    secret = generate_secret()
    data = said | {"organisation": code, "secret": secret, "restricted": bool(request.form.get("restricted"))}
    data |= {"stix_asks": _asks()} if said["direction"] == "in" else {}
    try:
        wanted = load(_ENDPOINT, data)
        with access.store().unit_of_work() as tx:
            if _by_slug(tx, wanted["id"]) is not None:
                return _form(code, given, {"id": _("There is an endpoint with this name: choose another.")}, status=422)
            asked = changes.ask(
                tx, Kind.ENDPOINT, wanted, actor=access.required().actor, reason=request.form.get("reason", "")
            )
    except Invalid as error:
        return _form(code, given, page.errors_by_field(error), status=422)
    return _secret_page(code, wanted["id"], secret, rotated=False, waits=asked.change is not None)


@pages.post("/endpoints/<int:endpoint_id>/rotate")
@needs(Right.MANAGE_ENDPOINTS, fresh=True)
def rotate(endpoint_id: int) -> Any:
    secret = generate_secret()
    with access.store().unit_of_work() as tx:
        row = _endpoint(tx, endpoint_id)
        code = tx.get_one(Organisation, row.organisation_id).code
        chosen = request.form.get("overlap_days", "")
        days = int(chosen) if chosen in OVERLAPS else service.OVERLAP.days
        wanted = {"endpoint": row.slug, "secret": secret, "overlap_days": days}
        asked = changes.ask(tx, Kind.KEY, wanted, actor=access.required().actor, reason=_reason())
        slug, waits = row.slug, asked.change is not None
    return _secret_page(code, slug, secret, rotated=True, waits=waits, days=days)


@pages.post("/endpoints/<int:endpoint_id>/stix")
@needs(Right.MANAGE_ENDPOINTS, fresh=True)
def hold_to_stix(endpoint_id: int) -> Any:
    asks = load(_STIX, {"asks": _asks()})["asks"]
    with access.store().unit_of_work() as tx:
        row = _endpoint(tx, endpoint_id)
        service.hold_to_stix(tx, row, asks, actor=access.required().actor)
        code = tx.get_one(Organisation, row.organisation_id).code
    return page.after("partners.one", _("Reports from there are held to this from now on."), code=code)


@pages.post("/endpoints/<int:endpoint_id>/disable")
@needs(Right.MANAGE_ENDPOINTS, fresh=True)
def disable(endpoint_id: int) -> Any:
    with access.store().unit_of_work() as tx:
        row = _endpoint(tx, endpoint_id)
        service.disable_endpoint(tx, endpoint_id, actor=access.required().actor, reason=_reason())
        code = tx.get_one(Organisation, row.organisation_id).code
    return page.after("partners.one", _("The endpoint is no longer used."), code=code)


def _secret_page(code: str, slug: str, secret: str, *, rotated: bool, waits: bool, days: int = 7) -> Response:
    return page.show(
        "partners/secret.html", here="partners", org_code=code, slug=slug, secret=secret, rotated=rotated,
        waits=waits, days=days,
    )  # fmt: skip


def _asks() -> list[str]:
    """The ticked words, and the numbers of checks that are left out, however they are parted."""
    without = request.form.get("stix_without", "").replace(",", " ").split()
    return [*request.form.getlist("stix_asks"), *(f"without-{number}" for number in without)]


def asks_in_words() -> list[tuple[str, str]]:
    """What a system may be held to beside what STIX demands, in words."""
    return [
        ("recommended", _("What STIX recommends")), ("types", _("Only types of objects that STIX defines")),
        ("properties", _("Only properties that STIX defines")),
        ("references", _("Both ends of a relationship in the same bundle")),
        ("interoperability", _("The interoperability profile")),
    ]


def _reason() -> str:
    return request.form.get("reason", "").strip()[:500] or _("by hand")


def _endpoint(tx: Session, endpoint_id: int) -> Endpoint:
    row = tx.get(Endpoint, endpoint_id)
    if row is None:
        raise NotFound()
    return row


def _by_slug(tx: Session, slug: str) -> Endpoint | None:
    return next((row for row in queries.endpoints(tx) if row.slug == slug), None)


def _form(code: str, values: dict[str, Any], errors: dict[str, str], *, status: int = 200) -> Response:
    with access.store().read() as tx:
        row = queries.organisation_by_code(tx, code)
        if row is None:
            raise NotFound()
    return page.show(
        "partners/endpoint.html", here="partners", org=row, values=values, errors=errors, code=status,
        labels_tlp=[label.value for label in Tlp], asks=asks_in_words(),
    )  # fmt: skip
