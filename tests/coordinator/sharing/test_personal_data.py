"""Personal data: said where something is written or afterwards, with its legal basis and the day by which it is
deleted; without them it stays (R20)."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts import deletion_days, drafts
from coordinator.alerts.left import keep_until
from coordinator.alerts.reach import who_could_receive
from coordinator.errors import Invalid
from coordinator.incidents import service, tightening
from coordinator.incidents.items import marking_of, marking_of_report, newest_version, with_basis
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking, Pap, Tlp, combine
from coordinator.sharing.models import Release
from coordinator.sharing.rules import Decision
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.timeline.models import Pending
from tests.alerting import agreement, put_contact, put_incident, put_system, webhook
from tests.factories import PARTNER, World
from tests.releasing import clearing

BASIS = "Cybersecurity Act, section 14"
DAY = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=300)


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
    assert said(tx, drafted(tx, incident, note)).reasons == ("D-PERSONAL-DATA-BASIS", "D-PERSONAL-DATA-DATE")
    tightening.tighten(tx, incident.id, {"pd_basis": f" {BASIS} "}, principal=officer, item=note.item, reason="Asked.")
    newest = newest_version(tx, note.item)
    assert marking_of(newest).pd_basis == BASIS
    assert said(tx, drafted(tx, incident, newest)).reasons == ("D-PERSONAL-DATA-DATE",)
    tightening.tighten(tx, incident.id, {"pd_delete_by": DAY}, principal=officer, item=note.item, reason="A year.")
    newest = newest_version(tx, note.item)
    answer = said(tx, drafted(tx, incident, newest))
    assert answer.result == "permit" and f"O-DELETE-BY-{DAY:%Y-%m-%d}" in answer.obligations
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
    assert said(tx, drafted(tx, incident, marking=marking)).reasons == ("D-PERSONAL-DATA-BASIS", "D-PERSONAL-DATA-DATE")
    dated = drafts.declared("AMBER", pd_basis=BASIS, pd_delete_by=DAY)
    assert said(tx, drafted(tx, incident, marking=dated)).result == "permit"
    with pytest.raises(Invalid) as refused:
        drafts.declared(None, personal_data=True)
    assert [fault.pointer for fault in refused.value.errors] == ["/tlp"]
    assert drafts.declared(None) is None


def test_a_report_says_it_as_a_caveat(tx: Session) -> None:
    marking = marking_of_report({"tlp": "GREEN", "caveats": {"personal_data": True, "le_sensitive": True}})
    assert (marking.personal_data, marking.pd_basis, marking.le_sensitive) == (True, None, True)
    marking = marking_of_report({"tlp": "GREEN", "caveats": {"pd_basis": BASIS}})
    assert (marking.personal_data, marking.pd_basis) == (True, BASIS)


def test_what_an_agreement_lets_them_keep_for_a_time_needs_no_day_of_its_own(tx: Session, incident: Incident) -> None:
    agreement(tx, personal_data="minimised", retention_max="P90D")
    marking = drafts.declared("AMBER", pd_basis=BASIS)
    assert said(tx, drafted(tx, incident, marking=marking)).result == "permit"


def test_they_keep_it_until_the_day_or_as_long_as_was_agreed_whichever_is_first() -> None:
    since, codes = DAY - timedelta(days=10), [f"O-DELETE-BY-{DAY:%Y-%m-%d}", "O-RETAIN-P90D"]
    assert keep_until(since, codes) == DAY
    assert keep_until(since, codes[1:]) == since + timedelta(days=90)


def test_nothing_leaves_once_its_day_is_reached_and_a_week_before_somebody_gets_a_task_once(
    tx: Session, incident: Incident
) -> None:
    officer = clearing(tx, "coordinator")
    note = service.add_note(tx, incident.id, "Ms Virtanen answers there.", principal=officer, pd_basis=BASIS,
                            pd_delete_by=DAY, info_category="incident-notification")  # fmt: skip
    waits = tx.execute(select(Pending).where(Pending.kind == "personal-data.due")).scalar_one()
    assert (waits.object_id, waits.ready_at) == (incident.id, DAY - timedelta(days=7))
    with time_machine.travel(DAY - timedelta(days=8), tick=False):
        deletion_days.look(tx, incident.id, now=clock.now())
        assert tx.execute(select(Task)).first() is None
    with time_machine.travel(DAY - timedelta(days=6), tick=False):
        for _twice in range(2):
            deletion_days.look(tx, incident.id, now=clock.now())
        task = tx.execute(select(Task)).scalar_one()
        assert task.due_at == DAY and "Delete the personal data" in task.title
    with time_machine.travel(DAY, tick=False):
        agreement(tx, personal_data="minimised", expires_on=DAY + timedelta(days=30))
        assert "D-PERSONAL-DATA-DATE" in said(tx, drafted(tx, incident, note)).reasons


def test_of_several_days_the_first_holds_and_a_later_one_is_never_looser() -> None:
    later = DAY + timedelta(days=1)
    first, second = (Marking(tlp="GREEN", personal_data=True, pd_basis=BASIS, pd_delete_by=day) for day in (DAY, later))
    assert combine([first, second]).pd_delete_by == combine([second, first]).pd_delete_by == DAY
    assert with_basis(first, "", later).pd_delete_by == DAY


def test_two_timers_at_the_same_instant_open_one_task_in_a_case_that_is_closed_too(store: Store, world: World) -> None:
    with store.unit_of_work() as tx:
        day = clock.now() + timedelta(days=1)
        marking = Marking(tlp=Tlp.GREEN, personal_data=True, pd_basis=BASIS, pd_delete_by=day)
        one = put_incident(tx, marking=marking)
        one.status, number = "closed", one.id

    def look() -> None:
        with store.unit_of_work() as tx:
            deletion_days.look(tx, number, now=clock.now())

    other = threading.Thread(target=look)
    with store.unit_of_work() as tx:
        deletion_days.look(tx, number, now=clock.now())
        other.start()
        other.join(0.5)
    other.join()
    with store.read() as tx:
        assert len(tx.execute(select(Task)).scalars().all()) == 1
