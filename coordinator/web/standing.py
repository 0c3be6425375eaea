"""Texts cleared beforehand: proposed by one person, cleared by another, revoked by any who may clear."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.alerts.wording import CALL_OUR_DESK
from coordinator.errors import Invalid, SecrecyMarkingFound
from coordinator.sharing import standing
from coordinator.status.standing import standing_clearances
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("standing", __name__, url_prefix="/clearances/standing")

#: How long a clearance may last, as offered on the page (days).
LIVES = (180, 30, 90, 365)


@pages.get("")
@needs(Right.DECIDE)
def listed() -> Response:
    return _page({}, {})


@pages.post("")
@needs(Right.DECIDE, fresh=True)
def propose() -> Any:
    given = {name: request.form.get(name, "").replace("\r\n", "\n") for name in ("title", "body", "language", "days")}
    days = int(given["days"]) if given["days"] in map(str, LIVES) else LIVES[0]
    try:
        with access.store().unit_of_work() as tx:
            standing.propose(
                tx, title=given["title"], body=given["body"], language=given["language"] or "en",
                until=clock.now() + timedelta(days=days), principal=access.required(),
            )  # fmt: skip
    except SecrecyMarkingFound:
        raise
    except Invalid as error:
        return _page(given, page.errors_by_field(error), code=422)
    return page.after("standing.listed", _("Proposed. Another person has to clear it."))


@pages.post("/<int:number>/confirm")
@needs(Right.DECIDE, fresh=True)
def confirm(number: int) -> Any:
    with access.store().unit_of_work() as tx:
        standing.confirm(tx, number, principal=access.required())
    return page.after("standing.listed", _("Cleared: one signature releases this text from now on."))


@pages.post("/<int:number>/revoke")
@needs(Right.DECIDE, fresh=True)
def revoke(number: int) -> Any:
    try:
        with access.store().unit_of_work() as tx:
            standing.revoke(tx, number, principal=access.required(), reason=request.form.get("reason", ""))
    except Invalid as error:
        return _page({}, page.errors_by_field(error), code=422)
    return page.after("standing.listed", _("Revoked. What was under way with this text is held back."))


def _page(values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        shown = standing_clearances(tx, principal=access.required())
    title, body = CALL_OUR_DESK
    began = {"title": title, "body": body, "language": "en"}
    return page.show(
        "clearances/standing.html", here="clearances", shown=shown, lives=LIVES, values=began | values, errors=errors,
        code=code,
    )  # fmt: skip
