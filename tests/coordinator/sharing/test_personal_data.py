"""Personal data: said where something is written or afterwards, with its legal basis; without one it stays (R20)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts import drafts
from coordinator.alerts.reach import who_could_receive
from coordinator.errors import Invalid
from coordinator.incidents import service, tightening
from coordinator.incidents.items import marking_of, marking_of_report, newest_version
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Pap
from coordinator.sharing.models import Release
from coordinator.sharing.rules import Decision
from tests.alerting import agreement, put_contact, put_incident, put_system, webhook
from tests.factories import PARTNER, World
from tests.releasing import clearing

BASIS = "Cybersecurity Act, section 14"


@pytest.fixture
def incident(tx: Session, world: World) -> Incident:
    put_system(tx, "https://csirt.fi.example/hook")
    put_contact(tx, webhook())
    agreement(tx, personal_data="minimised")
    return put_incident(tx, tlp="AMBER")


def drafted(tx: Session, incident: Incident, *items: ItemVersion, **more: Any) -> Release:
    return drafts.draft(
        tx, incident=incident, principal=clearing(tx, "coordinator"), kind="initial", title="Ransomware", body="Text.",
        purpose="network-defence", info_category="incident-notification", items=[each.id for each in items], **more,
    )  # fmt: skip


def said(tx: Session, release: Release) -> Decision:
    (one,) = who_could_receive(tx, release, now=clock.now(), codes=[PARTNER])
    assert one.decision is not None
    return one.decision


def test_a_note_with_personal_data_goes_nowhere_until_its_basis_is_recorded(tx: Session, incident: Incident) -> None:
    officer = clearing(tx, "coordinator")
    note = service.add_note(tx, incident.id, "Ms Virtanen answers there.", principal=officer, personal_data=True,
                            info_category="incident-notification")  # fmt: skip
    assert said(tx, drafted(tx, incident, note)).reasons == ("D-PERSONAL-DATA-BASIS",)
    tightening.tighten(tx, incident.id, {"pd_basis": f" {BASIS} "}, principal=officer, item=note.item, reason="Asked.")
    newest = newest_version(tx, note.item)
    assert marking_of(newest).pd_basis == BASIS
    assert said(tx, drafted(tx, incident, newest)).result == "permit"
    agreement(tx, personal_data="none")
    refused = said(tx, drafted(tx, incident, newest))
    assert refused.reasons == ("D-NO-AGREEMENT",) and refused.agreement_problems == {"MOU": ("A-PERSONAL-DATA",)}


def test_what_is_found_to_hold_personal_data_stops_what_was_drafted_from_it(tx: Session, incident: Incident) -> None:
    officer = clearing(tx, "coordinator")
    note = service.add_note(tx, incident.id, "The desk answers.", principal=officer,
                            info_category="incident-notification")  # fmt: skip
    release = drafted(tx, incident, note)
    assert said(tx, release).result == "permit"
    tightening.tighten(tx, incident.id, {"personal_data": True, "pd_basis": BASIS, "pap": "AMBER"}, principal=officer,
                       item=note.item, reason="It names somebody.")  # fmt: skip
    assert said(tx, release).reasons == ("D-LABEL-RAISED",)
    marking = marking_of(newest_version(tx, note.item))
    assert (marking.personal_data, marking.pd_basis, marking.pap) == (True, BASIS, Pap.AMBER)
    with pytest.raises(Invalid):
        tightening.tighten(tx, incident.id, {"pd_basis": BASIS}, principal=officer, item=note.item, reason="Again.")


def test_the_author_of_a_text_says_it_with_its_label(tx: Session, incident: Incident) -> None:
    marking = drafts.declared("AMBER", personal_data=True)
    assert said(tx, drafted(tx, incident, marking=marking)).reasons == ("D-PERSONAL-DATA-BASIS",)
    assert said(tx, drafted(tx, incident, marking=drafts.declared("AMBER", pd_basis=BASIS))).result == "permit"
    with pytest.raises(Invalid) as refused:
        drafts.declared(None, personal_data=True)
    assert [fault.pointer for fault in refused.value.errors] == ["/tlp"]
    assert drafts.declared(None) is None


def test_a_report_says_it_as_a_caveat(tx: Session) -> None:
    marking = marking_of_report({"tlp": "GREEN", "caveats": {"personal_data": True, "le_sensitive": True}})
    assert (marking.personal_data, marking.pd_basis, marking.le_sensitive) == (True, None, True)
    marking = marking_of_report({"tlp": "GREEN", "caveats": {"pd_basis": BASIS}})
    assert (marking.personal_data, marking.pd_basis) == (True, BASIS)
