"""What an agreement is said to have been used for, and what none covers: as it is decided."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.agreements.queries import uncovered
from coordinator.sharing.approvals import approve
from coordinator.sharing.service import decide_share, redecide
from coordinator.status.agreement_page import used
from tests.alerting import addressee, agreement, put_contact, put_incident, put_system, webhook
from tests.factories import PARTNER, World
from tests.releasing import clearing, release


def test_what_was_cleared_by_a_second_person_went_under_it_too_and_once(tx: Session, world: World) -> None:
    officer = clearing(tx)
    put_system(tx, "https://csirt.fi.example/hook")
    contact = put_contact(tx, webhook(), tlp_max="RED")
    agreement(tx, ceiling="AMBER+STRICT")
    at_once = decide_share(tx, release(tx, put_incident(tx, tlp="AMBER")), addressee(tx, contact))
    waits = decide_share(tx, release(tx, put_incident(tx, tlp="AMBER+STRICT")), addressee(tx, contact))
    assert (at_once.result, waits.result) == ("permit", "refer")
    assert used(tx, "MOU", principal=officer)["count"] == 1, "what waits for a clearance has not gone"
    cleared = approve(tx, waits.id, principal=officer)
    later = clock.now() + timedelta(hours=2)
    for decision in (at_once, cleared):  # asked again for the next attempt: the same release
        assert redecide(tx, decision.id, now=later, anew=True).result == "permit"
    said = used(tx, "MOU", principal=officer)
    assert said["count"] == 2
    assert [(each["decision"], each["tlp"]) for each in said["releases"]] == [
        (cleared.id, "AMBER+STRICT"), (at_once.id, "AMBER")]  # fmt: skip


def test_what_one_agreement_excludes_no_other_covers(tx: Session, world: World) -> None:
    def gap() -> list[str]:
        return uncovered(tx, clock.now())[PARTNER]

    wide: dict[str, Any] = {"info_categories_allowed": ["incident-notification", "technical-indicators"]}
    agreement(tx, **wide)
    assert "technical-indicators" not in gap()
    agreement(tx, agreement_id="NDA", info_categories_excluded=["technical-indicators"])
    assert "technical-indicators" in gap() and "incident-notification" not in gap()
    agreement(tx, agreement_id="NDA", info_categories_excluded=["technical-indicators"], expires_on=clock.now())
    assert "technical-indicators" not in gap(), "it binds only while it is in force"
