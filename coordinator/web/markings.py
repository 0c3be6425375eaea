"""Raising a label and adding caveats: to one thing that was said, or to the whole incident."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator import vocabulary
from coordinator.accounts.rules import Right
from coordinator.errors import Invalid
from coordinator.incidents import tightening
from coordinator.incidents.form import form_field, marking_from_form
from coordinator.incidents.queries import described_in_full, get_visible
from coordinator.incidents.requests import load_tightening
from coordinator.markings import Pap, Tlp
from coordinator.partners.queries import organisations
from coordinator.status import incident_page, labels
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

_SEVERAL = ("not_rel_to", "rel_to", "caveats", "embargo_set")

pages = Blueprint("markings", __name__, url_prefix="/incidents/<reference>/markings")


@pages.get("")
@needs(Right.CHANGE_INCIDENT)
def form(reference: str) -> Response:
    return _page(reference, {"item": request.args.get("item", "")}, {})


@pages.post("")
@needs(Right.CHANGE_INCIDENT)
def tighten(reference: str) -> Any:
    sent = request.form
    given: dict[str, Any] = {name: text.replace("\r\n", "\n") for name, text in sent.items()}
    given |= {name: sent.getlist(name) for name in _SEVERAL}
    try:
        wanted = load_tightening(marking_from_form(sent, tightening.FLAGS))
        with access.store().unit_of_work() as tx:
            row = get_visible(tx, reference, principal=access.required())
            tightening.tighten(
                tx, row.id, wanted, principal=access.required(), item=wanted.get("item") or "",
                reason=wanted["reason"],
            )  # fmt: skip
    except Invalid as error:
        errors = page.errors_by_field(error, field=_field)
        return _page(reference, given, errors, code=422)
    return page.after("incidents.incident", _("It is bound more strictly now. What was sent is being looked at again."),
                      reference=reference)  # fmt: skip


def _field(pointer: str) -> str:
    """What is wrong with the policy as a whole is told at its first field."""
    return {"": "tlp", "/iep": "iep_encrypt_in_transit"}.get(pointer) or form_field(pointer)


def _page(reference: str, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        one = described_in_full(tx, row)
        said = [each for each in incident_page.items(tx, row.id) if each["kind"] not in ("title", "task-result")]
        givers = sorted({each for one in labels.standing(tx, row) for each in one["said"]})
        partners = [(each.code, each.code) for each in organisations(tx) if each.active and not each.is_own]
    return page.show(
        "incidents/markings.html", here="board", one=one, said=said, partners=partners, givers=givers, errors=errors,
        values={"zone": page.zone()} | values,
        code=code, exercise=one["exercise"], labels_tlp=[label.value for label in Tlp],
        categories=vocabulary.INFO_CATEGORIES.choices(),
        labels_pap=[(label.value, f"PAP:{label.value}") for label in Pap],
    )  # fmt: skip
