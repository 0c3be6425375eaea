"""The partner view: what was released to the reader's organisation, its answers and its duties, and nothing else."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator.accounts.rules import Right
from coordinator.alerts import released
from coordinator.errors import Invalid
from coordinator.interchange import exits, files_out
from coordinator.outside import filenames
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs
from coordinator.web.release_files import as_download

pages = Blueprint("released", __name__, url_prefix="/released")


@pages.get("")
@needs(Right.SEE_PARTNER_VIEW)
def listed() -> Response:
    q, before = request.args.get("q", "").strip()[:200], request.args.get("before", "")[:40]
    only = request.args.get("show", "") == "waiting"
    with access.store().read() as tx:
        shown = released.released(tx, reader=access.required(), q=q, before=before, waiting=only)
        waiting = released.waiting(tx, reader=access.required())
    return page.show(
        "released/list.html", here="released", shown=shown, q=q, first=not before, only=only, waiting=waiting,
        base_url=access.store().settings.base_url,
    )  # fmt: skip


@pages.get("/<public_id>")
@needs(Right.SEE_PARTNER_VIEW)
def one(public_id: str) -> Response:
    return _page(public_id, {}, {})


@pages.get("/<public_id>/file")
@needs(Right.SEE_PARTNER_VIEW)
def file(public_id: str) -> Response:
    """It is saved, never shown; that it was taken goes on record."""
    form = exits.check_form(request.args.get("as", ""))
    with access.store().unit_of_work() as tx:
        given = exits.take(tx, public_id, reader=access.required(), form=form, way="page")
    made = exits.render(form, given, data_dir=access.store().settings.data_dir)
    answer = Response(made.body, content_type=made.media_type)
    answer.headers["Content-Disposition"] = filenames.attachment(made.name)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@pages.get("/<public_id>/files/<int:number>")
@needs(Right.SEE_PARTNER_VIEW)
def enclosed(public_id: str, number: int) -> Response:
    """A file that goes along: decided again, saved and never shown, on record."""
    with access.store().unit_of_work() as tx:
        file = files_out.take(tx, public_id, number, reader=access.required(), way="page")
    return as_download(file.name, file.body)


@pages.post("/<public_id>/answer")
@needs(Right.SEE_PARTNER_VIEW)
def answer(public_id: str) -> Any:
    given = {name: request.form.get(name, "").strip()[:5000] for name in ("answer", "note")}
    try:
        with access.store().unit_of_work() as tx:
            released.answer_released(
                tx, public_id, reader=access.required(), answer=given["answer"], note=given["note"] or None
            )
    except Invalid as error:
        return _page(public_id, given, page.errors_by_field(error), code=422)
    return page.after("released.one", _("Your answer is recorded."), public_id=public_id)


def _page(public_id: str, values: dict[str, str], errors: dict[str, str], *, code: int = 200) -> Response:
    """Reading is on record, so that this looks in a transaction that may write."""
    with access.store().unit_of_work() as tx:
        shown = released.one_released(tx, public_id, reader=access.required())
    return page.show(
        "released/one.html", here="released", alert=shown, values=values, errors=errors, code=code,
        exercise=shown["exercise"], forms=_forms(shown),
    )  # fmt: skip


def _forms(shown: dict[str, Any]) -> list[tuple[str, str]]:
    """(form, its name) in which this one may be taken."""
    names = {"pdf": "PDF", "stix": "STIX 2.1", "misp": "MISP", "json": "JSON"}
    return [(form, name) for form, name in names.items() if form != "misp" or shown["tlp"] != "RED"]
