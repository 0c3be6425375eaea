"""The services that playbooks may call by themselves, as a page: looked at, asked for, stopped."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator.accounts.rules import Right
from coordinator.changes import service as changes
from coordinator.changes.rules import Kind
from coordinator.errors import Invalid
from coordinator.outside.faults import load
from coordinator.partners import http_hosts
from coordinator.partners.queries import organisations
from coordinator.partners.schema import METHODS, HttpHostSchema
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("http_hosts", __name__, url_prefix="/services")

_HOST = HttpHostSchema()


@pages.get("")
@needs(Right.READ_PARTNERS)
def listed() -> Response:
    return _page({}, {})


@pages.post("")
@needs(Right.MANAGE_ENDPOINTS, fresh=True)
def put() -> Any:
    """The credential is taken and never shown again."""
    names = ("id", "organisation", "origin", "auth_header")
    given: dict[str, Any] = {name: request.form.get(name, "").strip() for name in names}
    given["methods"] = request.form.getlist("methods")
    try:
        wanted = load(_HOST, given | {"credential": request.form.get("credential", "").strip()})
        with access.store().unit_of_work() as tx:
            asked = changes.ask(
                tx, Kind.HTTP_HOST, wanted, actor=access.required().actor, reason=request.form.get("reason", "")
            )
    except Invalid as error:
        return _page(given, page.errors_by_field(error), code=422)
    return page.after("http_hosts.listed", page.waits() if asked.change is not None else _("Saved."))


@pages.post("/<code>/disable")
@needs(Right.MANAGE_ENDPOINTS, fresh=True)
def disable(code: str) -> Any:
    with access.store().unit_of_work() as tx:
        http_hosts.disable_http_host(tx, code, actor=access.required().actor, reason=_("by hand"))
    return page.after("http_hosts.listed", _("It is no longer called."))


def _page(values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        rows = http_hosts.http_hosts(tx)
        names = [(row.code, row.name) for row in organisations(tx)]
    return page.show(
        "partners/services.html", here="partners", rows=rows, organisations=names, methods=METHODS, values=values,
        errors=errors, code=code,
    )  # fmt: skip
