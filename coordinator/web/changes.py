"""Changes that two persons make: what waits, old beside new; accepted or refused by another person than who asked."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator.accounts.rules import Right
from coordinator.changes import queries, service
from coordinator.errors import Invalid
from coordinator.status import people
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs, signed_in

pages = Blueprint("changes", __name__, url_prefix="/changes")


@pages.get("")
@signed_in("shows what one's role may read, and what one asked for oneself")
def waiting() -> Response:
    principal = access.required()
    with access.store().read() as tx:
        rows = queries.waiting(tx, principal=principal)
        over = queries.answered(tx, principal=principal)
        names = people.names(tx, [row[who] for row in (*rows, *over) for who in ("asked_by", "answered_by")])
    return page.show("changes/waiting.html", here="changes", rows=rows, over=over, names=names)


@pages.get("/<int:change_id>")
@signed_in("shows what one's role may read, and what one asked for oneself")
def one(change_id: int) -> Response:
    return _page(change_id, {}, {})


@pages.post("/<int:change_id>/accept")
@needs(Right.CONFIRM_CHANGE, fresh=True)
def accept(change_id: int) -> Any:
    with access.store().unit_of_work() as tx:
        service.accept(tx, change_id, principal=access.required())
    return page.after("changes.one", _("Accepted: the change is made."), change_id=change_id)


@pages.post("/<int:change_id>/refuse")
@needs(Right.CONFIRM_CHANGE, fresh=True)
def refuse(change_id: int) -> Any:
    reason = request.form.get("reason", "").replace("\r\n", "\n")
    try:
        with access.store().unit_of_work() as tx:
            service.refuse(tx, change_id, principal=access.required(), reason=reason)
    except Invalid as error:
        return _page(change_id, {"reason": reason}, page.errors_by_field(error), code=422)
    return page.after("changes.one", _("Refused: nothing is changed."), change_id=change_id)


@pages.post("/<int:change_id>/withdraw")
@signed_in("one's own request")
def withdraw(change_id: int) -> Any:
    with access.store().unit_of_work() as tx:
        service.withdraw(tx, change_id, principal=access.required())
    return page.after("changes.one", _("Withdrawn: nothing is changed."), change_id=change_id)


def _page(change_id: int, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        change = queries.one(tx, change_id, principal=access.required())
        names = people.names(tx, [change["asked_by"], change["answered_by"]])
    return page.show(
        "changes/one.html", here="changes", change=change, names=names, values=values, errors=errors, code=code
    )
