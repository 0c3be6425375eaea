"""Where the source must not be named, nothing that leaves names it: not the text, not what goes along."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy.orm import Session

from coordinator.alerts import letters
from coordinator.alerts.models import Alert, Delivery
from coordinator.alerts.telling import tell
from coordinator.incidents.items import write_item
from coordinator.incidents.models import ExternalReference
from coordinator.markings import Iep, Marking
from coordinator.sharing.inputs_from_world import text_of
from coordinator.sharing.unnamed import without_source
from tests.alerting import mailbox, phone, put_contact, put_incident, put_organisation, put_system, webhook
from tests.factories import OTHER, PARTNER, World
from tests.releasing import release

SAYS = ("FI-CSIRT (Traficom Cyber Centre) saw it: call Aino Virtanen, aino@csirt.fi.example, fi-csirt@csirt.fi.example,"
        " +358401234567; their case FI-2026-77; host fi.example; seen by fi-duty.")  # fmt: skip
NAMES = ("FI-CSIRT", "Traficom", "Aino", "csirt.fi.example", "+358401234567", "FI-2026-77", "fi-duty")


@pytest.mark.parametrize(("text", "names", "left"), [
    ("Told by FI-CSIRT.", {"FI-CSIRT"}, "Told by [source withheld]."),
    ("fi-csirt's desk", {"FI-CSIRT"}, "[source withheld]'s desk"),
    ("FI-CSIRTS and XFI-CSIRT", {"FI-CSIRT"}, "FI-CSIRTS and XFI-CSIRT"),
    ("The National Centre of X", {"National Centre", "The National Centre of X"}, "[source withheld]"),
    ("a.b or axb", {"a.b"}, "[source withheld] or axb"), ("of it", {"of", "it", ""}, "of it"), ("", {"FI-CSIRT"}, ""),
    ("المركز الوطني قال", {"المركز الوطني"}, "[source withheld] قال"),
])  # fmt: skip
def test_names_are_taken_out_whole_whatever_their_case(text: str, names: set[str], left: str) -> None:
    assert without_source(text, names) == left


def put_source(tx: Session, world: World) -> Any:
    put_organisation(tx, PARTNER, name="Traficom Cyber Centre")
    put_contact(tx, mailbox("fi-csirt@csirt.fi.example"), phone("+358401234567"),
                person={"name": "Aino Virtanen", "email": "aino@csirt.fi.example"})  # fmt: skip
    incident = put_incident(tx, tlp="GREEN", source_id=world.partner_id, originator_id=world.partner_id)
    tx.add(ExternalReference(organisation_id=world.partner_id, external_id="FI-2026-77", incident_id=incident.id))
    tx.flush()
    return incident


@pytest.mark.parametrize("marking", [
    Marking(tlp="GREEN", no_attribution=True), Marking(tlp="GREEN", iep=Iep(attribution="must-not")),
])  # fmt: skip
def test_the_source_is_named_neither_in_the_text_nor_in_what_goes_along(
    tx: Session, world: World, marking: Marking
) -> None:
    incident = put_source(tx, world)
    put_organisation(tx, OTHER, kind="ministry")
    put_system(tx, "https://lv.example/hook", code=OTHER, slug="lv-out")
    put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER)
    part = write_item(
        tx, kind="note", content=SAYS, marking=marking, info_category="incident-notification", author="system",
        incident=incident, originator_id=world.partner_id,
    )  # fmt: skip
    told = tell(
        tx, incident=incident, kind="initial", title="From FI-CSIRT", body=SAYS, purpose="network-defence",
        info_category="incident-notification", requested_by="user:99", audience={"organisations": [OTHER]},
        items=[part],
    )  # fmt: skip
    title, body = text_of(tx, told.release)
    assert title == "From [source withheld]"
    assert not [name for name in NAMES if name.casefold() in body.casefold()]
    (decision,) = told.referred
    alert = Alert(release_id=told.release.id, decision_id=decision.id, public_id="alr-x", kind="initial",
                  recipient=OTHER, partner_reference="P-1", ack="", exercise="")  # fmt: skip
    delivery = Delivery(alert_id=0, webhook_id="msg_x", rung=0, kind="webhook", created_at=told.release.created_at)
    event = letters.event_for(tx, alert, delivery)
    sent = json.dumps(event.data, default=str).casefold()
    assert event.data["originator"] is None
    assert not [name for name in NAMES if name.casefold() in sent]


def test_without_such_a_caveat_the_source_stays_named(tx: Session, world: World) -> None:
    incident = put_source(tx, world)
    row = release(tx, incident, title="From FI-CSIRT")
    assert text_of(tx, row)[0] == "From FI-CSIRT"


def test_our_own_name_is_never_taken_out(tx: Session, world: World) -> None:
    row = release(tx, put_incident(tx), title="EE-MFA tells", marking=Marking(tlp="GREEN", no_attribution=True))
    assert text_of(tx, row)[0] == "EE-MFA tells"
