"""Nothing leaves without a permit for that recipient and that text: the use case and the database each refuse (R01)."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.orm import Session

from coordinator.alerts.telling import raise_alert
from coordinator.errors import Refused
from coordinator.markings import Marking
from coordinator.sharing.models import Release
from coordinator.sharing.service import decide_share
from coordinator.store import Store
from tests.alerting import (
    addressee,
    put_contact,
    put_organisation,
    put_system,
    webhook,
)
from tests.factories import OTHER, PARTNER, World
from tests.releasing import partner, referred, release


def test_the_use_case_refuses_an_alert_without_a_permit(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    row = tx.get_one(Release, decision.release_id)
    contact = addressee(tx, put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER))
    with pytest.raises(Refused):
        raise_alert(tx, decision, release=row, addressee=contact)


def test_the_use_case_refuses_a_permit_for_another_recipient_or_text(tx: Session) -> None:
    row, other = release(tx, marking=Marking(tlp="GREEN")), release(tx, marking=Marking(tlp="GREEN"), body="Other.")
    contact = partner(tx)
    permit = decide_share(tx, row, contact)
    with pytest.raises(Refused):
        raise_alert(tx, permit, release=other, addressee=contact)
    put_system(tx, "https://mfa.lv.example/hook", code=OTHER, slug="lv-out")
    elsewhere = addressee(tx, put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER))
    with pytest.raises(Refused):
        raise_alert(tx, permit, release=row, addressee=elsewhere)


RAW = text(
    "INSERT INTO alerts (release_id, kind, recipient, decision_id, decision_result, content_digest, public_id,"
    " partner_reference, state, ack, rung, ladder_step, created_at, exercise) VALUES (:release, 'initial', :recipient,"
    " :decision, :result, :digest, 'alr-x', '', 'queued', '', 0, 0, :at, '')"
)


@pytest.mark.parametrize(
    "case", ["refer as itself", "refer called permit", "another text", "another recipient", "none"]
)
def test_the_database_refuses_an_alert_without_a_permit(store: Store, world: World, case: str) -> None:
    with store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_system(tx, "https://csirt.fi.example/hook")
        refer, permit = referred(tx, world), decide_share(tx, release(tx, marking=Marking(tlp="GREEN")), partner(tx))
        good = {"release": permit.release_id, "recipient": PARTNER, "decision": permit.id, "result": "permit",
                "digest": permit.content_digest, "at": "2026-11-22 00:00:00+00:00"}  # fmt: skip
        bad = {
            "refer as itself": {"release": refer.release_id, "recipient": OTHER, "decision": refer.id,
                                "result": "refer", "digest": refer.content_digest},
            "refer called permit": {"release": refer.release_id, "recipient": OTHER, "decision": refer.id,
                                    "digest": refer.content_digest},
            "another text": {"digest": "0" * 64}, "another recipient": {"recipient": OTHER}, "none": {"decision": 999},
        }[case]  # fmt: skip
        assert permit.result == "permit"
    with pytest.raises(IntegrityError), store.unit_of_work() as tx:
        tx.execute(RAW, good | bad)
    with store.unit_of_work() as tx:
        tx.execute(RAW, good)  # the same statement with the permit it needs


def test_a_decision_is_never_changed_into_a_permit(store: Store, world: World) -> None:
    with store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        decision_id = referred(tx, world).id
    with pytest.raises(DatabaseError), store.unit_of_work() as tx:
        tx.execute(text("UPDATE share_decisions SET result = 'permit' WHERE id = :id"), {"id": decision_id})
