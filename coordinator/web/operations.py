"""Operations: what doctor says, what waits, what was given up. For administrators and auditors; nothing of a case."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from flask_babel import gettext as _

from coordinator.accounts.rules import Right
from coordinator.upkeep import doctor, given_up
from coordinator.upkeep.operations import overview
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("operations", __name__, url_prefix="/operations")


@pages.get("")
@needs(Right.READ_OPERATIONS)
def now() -> Response:
    findings = doctor.look(access.store(), patience=2)
    with access.store().read() as tx:
        found = overview(tx)
    return page.show("operations/operations.html", here="operations", findings=findings, found=found)


@pages.post("/given-up/<int:pending_id>/retry")
@needs(Right.RETRY_JOBS)
def retry(pending_id: int) -> Any:
    with access.store().unit_of_work() as tx:
        given_up.revive(tx, pending_id, actor=access.required().actor)
    return page.after("operations.now", _("It is tried again."))


@pages.post("/given-up/retry")
@needs(Right.RETRY_JOBS)
def retry_all() -> Any:
    with access.store().unit_of_work() as tx:
        given_up.revive_all(tx, actor=access.required().actor)
    return page.after("operations.now", _("Everything that was given up is tried again."))
