"""An exchange policy (FIRST IEP 2.0) added here: it decides what leaves, travels with it, and is only made stricter."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts import drafts
from coordinator.alerts.letters import event_for, said_in
from coordinator.alerts.models import Delivery
from coordinator.alerts.reach import who_could_receive
from coordinator.errors import Invalid, Refused
from coordinator.incidents import service, tightening
from coordinator.incidents.items import marking_of, newest_version
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Iep, Tlp
from coordinator.sharing.rules import Decision
from tests.alerting import agreement, put_contact, put_incident, put_system, webhook
from tests.factories import PARTNER, World
from tests.releasing import clearing

LATER, SOONER = clock.now() + timedelta(days=30), clock.now() - timedelta(days=1)


@pytest.fixture
def incident(tx: Session, world: World) -> Incident:
    put_system(tx, "https://csirt.fi.example/hook")
    put_contact(tx, webhook())
    agreement(tx)
    return put_incident(tx, tlp="AMBER")


@pytest.fixture
def note(tx: Session, incident: Incident) -> ItemVersion:
    return service.add_note(tx, incident.id, "The desk answers.", principal=clearing(tx, "coordinator"),
                            info_category="incident-notification")  # fmt: skip


def bind(tx: Session, incident: Incident, note: ItemVersion | None, **wanted: Any) -> ItemVersion | None:
    tightening.tighten(tx, incident.id, wanted, principal=clearing(tx, "coordinator"), reason="They asked for it.",
                       item=note.item if note else "")  # fmt: skip
    return newest_version(tx, note.item) if note else None


def decided(tx: Session, incident: Incident, note: ItemVersion) -> Decision:
    release = drafts.draft(
        tx, incident=incident, principal=clearing(tx, "coordinator"), kind="initial", title="Ransomware", body="",
        purpose="network-defence", info_category="incident-notification", items=[note.id],
    )  # fmt: skip
    (one,) = who_could_receive(tx, release, now=clock.now(), codes=[PARTNER])
    assert one.decision is not None
    return one.decision


STATED: list[tuple[dict[str, Any], set[str], set[str]]] = [
    ({"encrypt_in_transit": "must"}, set(), {"O-ENCRYPT"}),
    ({"permitted_actions": "none"}, set(), {"O-ACTIONS-none"}),
    ({"affected_party_notifications": "must-not"}, set(), {"O-NO-VICTIM-NOTIFICATION"}),
    ({"attribution": "must-not"}, set(), {"O-NO-ATTRIBUTION"}),
    ({"attribution": "must"}, set(), {"O-ATTRIBUTE"}),
    ({"start_date": LATER}, {"R-IEP-DATES"}, set()),
    ({"end_date": SOONER}, {"R-IEP-DATES"}, set()),
    ({"start_date": SOONER, "end_date": LATER}, set(), set()),
]


@pytest.mark.parametrize(("policy", "reasons", "obligations"), STATED)
def test_a_policy_added_to_what_was_said_decides_what_is_made_of_it(
    tx: Session, incident: Incident, note: ItemVersion, policy: dict[str, Any], reasons: set[str], obligations: set[str]
) -> None:
    before = decided(tx, incident, note)
    assert before.result == "permit"
    bound = bind(tx, incident, note, iep=policy)
    assert bound is not None
    after = decided(tx, incident, bound)
    assert reasons <= set(after.reasons) and bool(after.reasons) == bool(reasons)
    assert obligations <= set(after.obligations)


def test_a_policy_is_only_made_stricter(tx: Session, incident: Incident, note: ItemVersion) -> None:
    bind(tx, incident, note, iep={"permitted_actions": "contact-for-instruction", "attribution": "must"})
    for looser in ({"permitted_actions": "externally-visible-direct-actions"}, {"attribution": "may"}):
        with pytest.raises(Invalid):
            bind(tx, incident, note, iep=looser)
    bound = bind(tx, incident, note, iep={"permitted_actions": "none", "tlp": "green"})
    assert bound is not None and marking_of(bound).iep == Iep(tlp="green", permitted_actions="none", attribution="must")
    assert marking_of(bound).effective is Tlp.AMBER, "the stricter label counts"
    with pytest.raises(Refused):
        bind(tx, incident, note, tlp="GREEN", iep={"tlp": "red"})


def test_names_and_who_may_have_it_during_an_embargo(tx: Session, incident: Incident, note: ItemVersion) -> None:
    bound = bind(tx, incident, note, embargo_until=LATER, embargo_set=["FI-CSIRT", "LV-MFA"])
    assert bound is not None and marking_of(bound).embargo_set == {"FI-CSIRT", "LV-MFA"}
    bound = bind(tx, incident, note, tlp="RED", named_recipients=["a@fi.example", "b@fi.example"])
    assert bound is not None and marking_of(bound).named_recipients == {"a@fi.example", "b@fi.example"}
    bound = bind(tx, incident, note, orcon=True)
    assert bound is not None and marking_of(bound).named_recipients == {"a@fi.example", "b@fi.example"}
    assert marking_of(bound).embargo_set == {"FI-CSIRT", "LV-MFA"}
    bound = bind(tx, incident, note, named_recipients=["a@fi.example", "c@fi.example"])
    assert bound is not None and marking_of(bound).named_recipients == {"a@fi.example"}, "nobody is added"


def test_a_policy_goes_out_with_the_event_and_in_words(tx: Session, incident: Incident, note: ItemVersion) -> None:
    policy = {"encrypt_in_transit": "must", "unmodified_resale": "must-not", "external_reference": "https://a.example/b"}
    bound = bind(tx, incident, note, iep=policy)
    assert bound is not None
    officer = clearing(tx, "coordinator")
    release = drafts.draft(
        tx, incident=incident, principal=officer, kind="initial", title="Ransomware", body="",
        purpose="network-defence", info_category="incident-notification", items=[bound.id],
    )  # fmt: skip
    (alert,) = drafts.submit(tx, release.id, codes=[PARTNER], principal=officer).permitted
    delivery = tx.execute(select(Delivery).where(Delivery.alert_id == alert.id)).scalar_one()
    assert event_for(tx, alert, delivery).data["iep"] == policy
    words = "IEP 2.0: ENCRYPT IN TRANSIT MUST; UNMODIFIED RESALE MUST-NOT; REFERENCE https://a.example/b"
    assert said_in(tx, alert, delivery).handling == (words,)


def test_what_is_called_another_kind_of_information_is_written_anew(
    tx: Session, incident: Incident, note: ItemVersion
) -> None:
    release = drafts.draft(
        tx, incident=incident, principal=clearing(tx, "coordinator"), kind="initial", title="Ransomware", body="",
        purpose="network-defence", info_category="incident-notification", items=[note.id],
    )  # fmt: skip
    bound = bind(tx, incident, note, info_category="attribution-assessment")
    assert bound is not None and bound.info_category == "attribution-assessment"
    (one,) = who_could_receive(tx, release, now=clock.now(), codes=[PARTNER])
    assert one.decision is not None and one.decision.reasons == ("D-LABEL-RAISED",)
    assert {"D-NO-AGREEMENT", "R-TWO-PERSON"} <= set(decided(tx, incident, bound).reasons)
    with pytest.raises(Refused):
        bind(tx, incident, note, info_category="incident-notification")
    with pytest.raises(Invalid):
        bind(tx, incident, None, info_category="incident-notification")


@pytest.mark.parametrize(("wanted", "pointer"), [
    ({"embargo_set": ["FI-CSIRT"]}, "/embargo_set"), ({"named_recipients": ["a@fi.example"]}, "/named_recipients"),
    ({"iep": {"start_date": LATER, "end_date": LATER}}, "/iep/end_date"),
])  # fmt: skip
def test_what_would_bind_nothing_is_told_where_it_stands(
    tx: Session, incident: Incident, note: ItemVersion, wanted: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(Invalid) as refused:
        bind(tx, incident, note, **wanted)
    assert [fault.pointer for fault in refused.value.errors] == [pointer]
