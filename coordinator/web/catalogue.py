"""Keeping the catalogue: documents brought in with every fault shown, versions compared, taken out of use; whose
signatures count."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.errors import Invalid, NotFound
from coordinator.runs import activation, catalogue, signers
from coordinator.runs.models import PlaybookVersion
from coordinator.status import people
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs
from playbooks.compare import compare
from playbooks.document import MAX_BYTES
from playbooks.faults import Fault

pages = Blueprint("catalogue", __name__, url_prefix="/playbooks")

MOST_SHOWN = 50


@pages.before_request
def _room_for_a_document() -> None:
    """One limit for a document whichever way it comes; pasted text is up to three times as long in a form."""
    if request.endpoint == "catalogue.take":
        request.max_content_length = 3 * MAX_BYTES + access.store().settings.max_body_bytes
        request.max_form_memory_size = request.max_content_length


@pages.get("/import")
@needs(Right.MANAGE_PLAYBOOKS)
def form() -> Response:
    return _form([], {})


@pages.post("/import")
@needs(Right.MANAGE_PLAYBOOKS)
def take() -> Any:
    from playbooks.checks import check  # brings JSON schemas, which only an import needs

    given = request.files.get("file")
    raw = given.read() if given and given.filename else request.form.get("document", "").encode()
    if not raw.strip():
        return _form([], {"file": _("Choose a file, or paste the document.")}, code=422)
    found = check(raw, now=clock.now())
    if any(fault.severity == "fault" for fault in found):
        return _form(found, {}, code=422)
    with access.store().unit_of_work() as tx:
        catalogue.import_playbook(tx, raw, actor=access.required().actor)
        version_id = catalogue.version_of(tx, raw)
    warned = sum(fault.severity == "warning" for fault in found)
    told = _("It is in the catalogue and does nothing until two persons agree to it.")
    return page.after("playbooks.one", f"{told} {_('Warnings:')} {warned}" if warned else told, version_id=version_id)


def _form(found: list[Fault], errors: dict[str, str], *, code: int = 200) -> Response:
    values = {"document": request.form.get("document", "")}
    return page.show("playbooks/import.html", here="playbooks", found=found[:MOST_SHOWN], more=len(found) - MOST_SHOWN,
                     values=values, errors=errors, code=code)  # fmt: skip


@pages.get("/<int:version_id>/changes/<int:older_id>")
@needs(Right.READ_PLAYBOOKS)
def changes(version_id: int, older_id: int) -> Response:
    """What differs between two versions of one playbook, in words."""
    with access.store().read() as tx:
        row, older = tx.get(PlaybookVersion, version_id), tx.get(PlaybookVersion, older_id)
        if row is None or older is None or row.playbook_id != older.playbook_id:
            raise NotFound()
        said = compare(catalogue.document_of(tx, older_id), catalogue.document_of(tx, version_id))
    return page.show("playbooks/changes.html", here="playbooks", row=row, older=older, said=said)


@pages.post("/<int:version_id>/withdraw")
@needs(Right.MANAGE_PLAYBOOKS, fresh=True)
def withdraw(version_id: int) -> Any:
    with access.store().unit_of_work() as tx:
        activation.withdraw(tx, version_id, actor=access.required().actor, reason=request.form.get("reason", "")[:2000])
    return page.after("playbooks.one", _("It is out of use. Runs that go on keep it."), version_id=version_id)


@pages.get("/<int:version_id>/signed")
@needs(Right.READ_PLAYBOOKS)
def signed(version_id: int) -> Response:
    """The canonical document with our signature."""
    with access.store().read() as tx:
        raw = catalogue.export_playbook(tx, str(version_id), sign=True)
    answer = Response(raw, mimetype="application/json")
    answer.headers["Content-Disposition"] = f'attachment; filename="playbook-{version_id}-signed.json"'
    return answer


# ---------------------------------------------------------------- whose signatures count


@pages.get("/signers")
@needs(Right.READ_PLAYBOOKS)
def signer_list() -> Response:
    return _signers({}, {})


@pages.post("/signers")
@needs(Right.MANAGE_PLAYBOOKS, fresh=True)
def propose() -> Any:
    given = {name: request.form.get(name, "") for name in ("name", "key")}
    try:
        with access.store().unit_of_work() as tx:
            signers.propose(tx, **given, principal=access.required())
    except Invalid as error:
        return _signers(given, page.errors_by_field(error), code=422)
    return page.after("catalogue.signer_list", _("A second person has to agree to this key."))


@pages.post("/signers/<int:signer_id>/agree")
@needs(Right.DECIDE, fresh=True)
def agree(signer_id: int) -> Any:
    with access.store().unit_of_work() as tx:
        signers.agree(tx, signer_id, principal=access.required())
    return page.after("catalogue.signer_list", _("Signatures by this key count from now on."))


@pages.post("/signers/<int:signer_id>/revoke")
@needs(Right.DECIDE)
def revoke(signer_id: int) -> Any:
    try:
        with access.store().unit_of_work() as tx:
            signers.revoke(tx, signer_id, principal=access.required(), reason=request.form.get("reason", "")[:2000])
    except Invalid as error:
        return _signers({}, page.errors_by_field(error), code=422)
    return page.after("catalogue.signer_list", _("Signatures by this key do not count any more."))


def _signers(values: dict[str, str], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        rows = signers.listed(tx)
        who = people.names(tx, {actor for row in rows for actor in row["added_by"]})
        own = signers.own_key(tx)
    return page.show("playbooks/signers.html", here="playbooks", rows=rows, who=who, own=own, values=values,
                     errors=errors, me=access.required().actor, code=code)  # fmt: skip
