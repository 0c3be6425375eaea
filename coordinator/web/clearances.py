"""Releases the rules referred to a second person: what is to leave, to whom, why it waits; approved or refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts import rules as rights
from coordinator.accounts.rules import Right, Role
from coordinator.errors import CoordinatorError, Invalid, NoRight, NotFound, Refused
from coordinator.incidents import queries as incidents
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.sharing import approvals
from coordinator.sharing.models import Release, ShareDecision
from coordinator.status import labels, leaving_files, outgoing, task_lists
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("clearances", __name__, url_prefix="/clearances")

#: How long an approval may last, as offered on the page (hours).
LIVES = (1, 24, 72, 168)


@pages.get("")
@needs(Right.DECIDE)
def waiting() -> Response:
    with access.store().read() as tx:
        shown = task_lists.clearances(tx, principal=access.required(), cursor=request.args.get("cursor", ""))
        for one in shown["items"]:
            one["title"] = outgoing.title_of(tx, tx.get_one(Release, one["release"]))
            one["by"] = outgoing.people.names(tx, [one["requested_by"]])[one["requested_by"]]
        lowered = labels.waiting(tx, principal=access.required())
    return page.show(
        "clearances/waiting.html", here="clearances", shown=shown, lowered=lowered, first=not request.args.get("cursor")
    )


@pages.get("/<int:decision_id>")
@needs(Right.DECIDE, fresh=True)
def one(decision_id: int) -> Response:
    return _page(decision_id, {}, {})


@pages.post("/<int:decision_id>/approve")
@needs(Right.DECIDE, fresh=True)
def approve(decision_id: int) -> Any:
    hours = request.form.get("hours", 72, type=int)
    until = clock.now() + timedelta(hours=hours if hours in LIVES else 72)
    try:
        with access.store().unit_of_work() as tx:
            _seen(tx, decision_id)
            made = approvals.approve(tx, decision_id, principal=access.required(), until=until)
    except (Refused, NoRight) as refusal:
        _note(decision_id, refusal)
        raise
    if made.result == "permit":
        return page.after("clearances.waiting", _("Approved: it is on its way."))
    return page.after("clearances.waiting", _("Your approval is on record; something else still stands in the way."))


@pages.post("/<int:decision_id>/refuse")
@needs(Right.DECIDE, fresh=True)
def refuse(decision_id: int) -> Any:
    reason = request.form.get("reason", "").replace("\r\n", "\n")
    try:
        with access.store().unit_of_work() as tx:
            _seen(tx, decision_id)
            approvals.refuse(tx, decision_id, principal=access.required(), reason=reason)
    except Invalid as error:
        return _page(decision_id, {"reason": reason}, page.errors_by_field(error), code=422)
    except (Refused, NoRight) as refusal:
        _note(decision_id, refusal)
        raise
    return page.after("clearances.waiting", _("Refused. Whoever asked sees your reason."))


def _note(decision_id: int, refusal: CoordinatorError) -> None:
    with access.store().unit_of_work() as tx:
        approvals.note_refused(tx, decision_id, principal=access.required(), refusal=refusal)


def _seen(tx: Session, decision_id: int) -> ShareDecision:
    """Need-to-know of a decision is that of its incident. Raises NotFound."""
    row = tx.get(ShareDecision, decision_id)
    if row is None:
        raise NotFound()
    if row.incident_id is not None:
        incidents.check_visible(tx, row.incident_id, principal=access.required())
    return row


def _page(decision_id: int, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    principal = access.required()
    with access.store().read() as tx:
        row = _seen(tx, decision_id)
        release = tx.get_one(Release, row.release_id)
        decision = outgoing.decision(tx, decision_id, principal=access.required())
        title, body = outgoing.texts_of(tx, release)
        files = leaving_files.of_release(tx, release)
        incident = tx.get(Incident, row.incident_id) if row.incident_id else None
    reaches = rights.may_approve(Role(principal.role), row.reasons, row.effective_tlp, release.info_category)
    roles = rights.approvers(row.reasons, row.effective_tlp, release.info_category)
    return page.show(
        "clearances/one.html", here="clearances", decision=decision, release=release, title=title, body=body,
        reference=reference_of(incident) if incident else None, own=row.requested_by == principal.actor, lives=LIVES,
        reaches=reaches, roles=sorted(str(role) for role in roles), values=values, errors=errors, code=code,
        exercise=release.exercise, files=files,
    )  # fmt: skip
