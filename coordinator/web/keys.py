"""A key in wrong hands: stopped now, and what came in under it looked through, on a page or as a table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.errors import Fault, Invalid, NotFound
from coordinator.incidents import received_under as received
from coordinator.partners import service
from coordinator.partners.models import Endpoint, EndpointKey, Organisation
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs
from coordinator.web.tables import csv_file

pages = Blueprint("keys", __name__, url_prefix="/keys")

ROWS = 50
COLUMNS = ("report", "received_at", "disposition", "reason", "tlp", "incident", "external_id", "message_id", "digest",
           "in_doubt")  # fmt: skip


@pages.get("/<int:key_id>/revoke")
@needs(Right.REVOKE_KEY)
def ask(key_id: int) -> Response:
    return _revoke_page(key_id, {}, {})


@pages.post("/<int:key_id>/revoke")
@needs(Right.REVOKE_KEY)
def revoke(key_id: int) -> Any:
    """At once, and by one person: waiting for a second one would leave the door open."""
    reason = request.form.get("reason", "").strip()[:500]
    if not reason:
        return _revoke_page(key_id, {}, {"reason": _("Say why.")}, code=422)
    with access.store().unit_of_work() as tx:
        service.revoke_key(tx, key_id, actor=access.required().actor, reason=reason)
        code = _about(tx, key_id)["organisation"]
    said = _("The key is revoked: nothing signed with it is taken any more.")
    if access.may(Right.HANDLE_QUARANTINE):
        return page.after("keys.reports", said, key_id=key_id)
    return page.after("partners.one", said, code=code)


@pages.get("/<int:key_id>/reports")
@needs(Right.HANDLE_QUARANTINE)
def reports(key_id: int) -> Response:
    return _reports_page(key_id, {}, {})


@pages.post("/<int:key_id>/reports/file")
@needs(Right.EXPORT, fresh=True)
@needs(Right.HANDLE_QUARANTINE)
def file(key_id: int) -> Response:
    """The same as a table without content. It leaves the system: asked for by a form, and that goes on record."""
    with access.store().unit_of_work() as tx:
        rows = received.export(tx, key_id, principal=access.required(), since=_since())
    return csv_file(f"key-{key_id}-reports.csv", COLUMNS, ([row[name] for name in COLUMNS] for row in rows))


@pages.post("/<int:key_id>/doubt")
@needs(Right.HANDLE_QUARANTINE)
def doubt(key_id: int) -> Any:
    """Those that were ticked, or everything since then."""
    principal, reason, since = access.required(), request.form.get("reason", ""), _since()
    chosen = request.form.getlist("report")
    try:
        if not chosen and not request.form.get("all"):
            raise Invalid([Fault("/report", _("Tick the reports that are in doubt."))])
        with access.store().unit_of_work() as tx:
            if request.form.get("all"):
                received.doubt_all(tx, key_id, principal=principal, since=since, reason=reason)
            for each in chosen if not request.form.get("all") else ():
                received.doubt(tx, each, principal=principal, reason=reason)
    except Invalid as error:
        return _reports_page(key_id, {"reason": reason, "report": chosen}, page.errors_by_field(error), code=422)
    return page.after("keys.reports", _("Marked. It shows on each incident."), key_id=key_id, since=_day(since))


def _since() -> datetime:
    """The day in the address, else Monday of this week."""
    try:
        return datetime.strptime(request.values.get("since", ""), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return received.monday(clock.now())


def _day(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d}"


def _about(tx: Session, key_id: int) -> dict[str, Any]:
    key = tx.get(EndpointKey, key_id)
    if key is None:
        raise NotFound()
    endpoint = tx.get_one(Endpoint, key.endpoint_id)
    organisation = tx.get_one(Organisation, endpoint.organisation_id)
    return {"key": key, "endpoint": endpoint, "organisation": organisation.code}


def _revoke_page(key_id: int, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        about = _about(tx, key_id)
    return page.show(
        "partners/revoke.html", here="partners", values=values, errors=errors, code=code, **about
    )


def _reports_page(key_id: int, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    since, after = _since(), request.args.get("after", 0, type=int)
    with access.store().read() as tx:
        about = _about(tx, key_id)
        rows = received.received_under(
            tx, key_id, principal=access.required(), since=since, after=min(max(after, 0), 2**53), limit=ROWS + 1
        )
    return page.show(
        "partners/received.html", here="partners", rows=rows[:ROWS], since=_day(since), errors=errors, code=code,
        following=rows[ROWS - 1]["number"] if len(rows) > ROWS else None, first=not after,
        values=values | {"since": _day(since)}, **about,
    )  # fmt: skip
