"""What agreements do beside letting something flow: what they demand, what they were used for, what none covers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.agreements.calendar import destroyed_by
from coordinator.agreements.queries import uncovered, version
from coordinator.agreements.service import record_consent
from coordinator.alerts import destruction
from coordinator.alerts import telling as alerts
from coordinator.alerts.models import Delivery
from coordinator.incidents.items import write_item
from coordinator.markings import Marking
from coordinator.partners.models import Contact
from coordinator.sharing.approvals import approve
from coordinator.sharing.inputs_from_world import text_of
from coordinator.sharing.models import Release
from coordinator.sharing.service import decide_share, forecast, redecide
from coordinator.sharing.unnamed import WITHHELD
from coordinator.status import ledger
from coordinator.status.agreement_page import used
from coordinator.tasks.contents import contents_of
from coordinator.tasks.models import Task
from tests.alerting import (
    addressee,
    agreement,
    mailbox,
    put_contact,
    put_incident,
    put_organisation,
    put_system,
    webhook,
)
from tests.factories import OTHER, PARTNER, World
from tests.releasing import clearing, release

SOONER, END = "2026-02-01T00:00:00Z", "2027-02-01T00:00:00Z"


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


@pytest.mark.parametrize(("tlp", "way", "reasons"), [
    ("CLEAR", mailbox(), ()), ("GREEN", mailbox(), ("D-ENCRYPT",)), ("GREEN", webhook(), ()), ("AMBER", webhook(), ()),
])  # fmt: skip
def test_where_an_agreement_demands_encryption_nothing_goes_under_it_in_clear_text(
    tx: Session, world: World, tlp: str, way: dict[str, Any], reasons: tuple[str, ...]
) -> None:
    put_system(tx, "https://csirt.fi.example/hook")
    contact = put_contact(tx, way)
    agreement(tx)
    prepared = release(tx, put_incident(tx, tlp=tlp))
    assert forecast(tx, prepared, addressee(tx, contact)).reasons == ()
    agreement(tx, encryption_in_transit="must")
    said = forecast(tx, prepared, addressee(tx, contact))
    assert said.reasons == reasons
    assert ("O-ENCRYPT" in said.obligations) == (tlp != "CLEAR")


def test_the_third_party_rule_of_an_agreement_keeps_what_they_told_us_here(tx: Session, world: World) -> None:
    put_organisation(tx, OTHER)
    put_system(tx, "https://mfa.lv.example/hook", code=OTHER, slug="lv-out")
    put_system(tx, "https://csirt.fi.example/hook")
    back, onward = put_contact(tx, webhook()), put_contact(tx, webhook("lv-out"), code="lv", organisation=OTHER)
    prepared = release(tx, put_incident(tx, originator_id=world.partner_id, source_id=world.partner_id))

    def reasons(contact: Contact) -> tuple[str, ...]:
        return forecast(tx, prepared, addressee(tx, contact)).reasons

    agreement(tx)
    assert reasons(onward) == ("R-TWO-PERSON",), "GREEN, within the community"
    agreement(tx, third_party_rule=True)
    assert (reasons(onward), reasons(back)) == (("D-ORCON", "R-TWO-PERSON"), ())
    ended: dict[str, Any] = {"third_party_rule": True, "terminated_on": clock.rfc3339(clock.now())}
    agreement(tx, **ended, survives_termination=["third-party-rule"])
    assert reasons(onward) == ("D-ORCON", "R-TWO-PERSON")
    record_consent(tx, {
        "from": PARTNER, "to": OTHER, "purpose": "*", "item": "*", "evidence": "Note 7/2026",
        "valid_until": clock.now() + timedelta(days=9),
    }, actor="user:1")  # fmt: skip
    assert reasons(onward) == ("R-TWO-PERSON",)
    agreement(tx, **ended)
    assert reasons(onward) == ("R-TWO-PERSON",)


@pytest.mark.parametrize(("ours", "theirs", "withheld", "reasons", "duty"), [
    ("may", "may", False, (), ""), ("must", "may", False, (), "O-ATTRIBUTE"),
    ("must-not", "may", False, (), "O-NO-ATTRIBUTION"), ("may", "must", False, (), "O-ATTRIBUTE"),
    ("must-not", "must", False, (), "O-NO-ATTRIBUTION"), ("may", "must-not", True, (), "O-NO-ATTRIBUTION"),
    ("must", "must-not", True, ("D-SOURCE-WITHHELD",), "O-NO-ATTRIBUTION"),
])  # fmt: skip
def test_an_agreement_says_whether_a_source_is_named(
    tx: Session, world: World, ours: str, theirs: str, withheld: bool, reasons: tuple[str, ...], duty: str
) -> None:
    """`ours`: the agreement with whom it goes to; `theirs`: the one with whom it came from."""
    put_organisation(tx, OTHER)
    put_system(tx, "https://mfa.lv.example/hook", code=OTHER, slug="lv-out")
    contact = put_contact(tx, webhook("lv-out"), code="lv", organisation=OTHER)
    agreement(tx, attribution_rule=theirs)
    agreement(tx, agreement_id="LV", code=OTHER, attribution_rule=ours)
    told = put_incident(tx, originator_id=world.partner_id, source_id=world.partner_id)
    prepared = release(tx, told, body=f"{PARTNER} saw it.")
    said = forecast(tx, prepared, addressee(tx, contact))
    assert said.reasons == (*reasons, "R-TWO-PERSON")
    assert [each for each in said.obligations if "ATTRIB" in each] == ([duty] if duty else [])
    assert text_of(tx, prepared)[1] == (f"{WITHHELD} saw it." if withheld else f"{PARTNER} saw it.")


def test_a_text_that_names_a_source_stops_when_an_agreement_comes_to_forbid_it(tx: Session, world: World) -> None:
    put_organisation(tx, OTHER)
    put_system(tx, "https://mfa.lv.example/hook", code=OTHER, slug="lv-out")
    put_system(tx, "https://csirt.fi.example/hook")
    back, onward = put_contact(tx, webhook()), put_contact(tx, webhook("lv-out"), code="lv", organisation=OTHER)
    told = put_incident(tx, originator_id=world.partner_id, source_id=world.partner_id)
    before = release(tx, told, body=f"{PARTNER} saw it.")

    def reasons(prepared: Release, contact: Contact) -> tuple[str, ...]:
        return forecast(tx, prepared, addressee(tx, contact)).reasons

    agreement(tx, attribution_rule="must-not")
    assert (reasons(before, onward), reasons(before, back)) == (("D-SOURCE-NAMED", "R-TWO-PERSON"), ())
    assert reasons(release(tx, told, body=f"{PARTNER} saw it."), onward) == ("R-TWO-PERSON",), "written anew"
    ended: dict[str, Any] = {"attribution_rule": "must-not", "terminated_on": clock.rfc3339(clock.now())}
    agreement(tx, **ended, survives_termination=["confidentiality"])
    assert reasons(before, onward) == ("D-SOURCE-NAMED", "R-TWO-PERSON")
    agreement(tx, **ended)
    assert reasons(before, onward) == ("R-TWO-PERSON",)


@pytest.mark.parametrize(("on", "more", "after", "day"), [
    ("expiry", {"expires_on": END}, None, END), ("expiry", {"expires_on": END, "terminated_on": SOONER}, None, SOONER),
    ("termination", {"expires_on": END}, None, None), ("termination", {"terminated_on": SOONER}, None, SOONER),
    ("request", {"expires_on": END}, None, None), ("none", {"expires_on": END}, None, None),
    ("expiry", {"expires_on": END}, END, None), ("expiry", {}, None, None),
])  # fmt: skip
def test_when_what_was_given_is_destroyed_follows_from_the_dates(
    on: str, more: dict[str, str], after: str | None, day: str | None
) -> None:
    at = destroyed_by({"destruction_on": on, **more}, superseded_at=clock.parse(after) if after else None)
    assert (clock.rfc3339(at) if at else None) == day


def test_when_an_agreement_is_over_what_was_given_is_asked_for_and_what_we_hold_is_destroyed(
    tx: Session, world: World
) -> None:
    put_system(tx, "https://csirt.fi.example/hook")
    contact = put_contact(tx, webhook())
    terms: dict[str, Any] = {"destruction_on": "termination", "destruction_certificate": True,
                             "clause_refs": {"destruction_on": "Art. 12"}}  # fmt: skip
    agreement(tx, **terms)
    decision = decide_share(tx, release(tx, put_incident(tx, tlp="AMBER")), addressee(tx, contact))
    assert {"O-DESTROY-termination", "O-DESTROY-certificate"} <= set(decision.obligations)

    def tasks() -> list[Task]:
        destruction.look(tx, version(tx, "MOU").id, now=clock.now())
        return list(tx.execute(select(Task).order_by(Task.id)).scalars())

    assert tasks() == []
    ends = clock.now().replace(microsecond=0) + timedelta(days=60)
    agreement(tx, **terms, terminated_on=clock.rfc3339(ends))
    assert tasks() == [], "nothing left under it, and nothing of theirs is here"
    alerts.tell(
        tx, kind="initial", title="Ransomware", body="What we saw.", purpose="network-defence",
        info_category="incident-notification", requested_by="user:99", incident=put_incident(tx, tlp="AMBER"), ack="",
        audience={"organisations": [PARTNER]},
    )  # fmt: skip
    tx.execute(update(Delivery).values(lease_until=clock.now()))  # a worker has it in hand
    write_item(
        tx, kind="note", content="What they saw.", marking=Marking(tlp="AMBER"), author="user:1",
        info_category="incident-notification", incident=put_incident(tx), originator_id=world.partner_id,
    )  # fmt: skip
    assert tasks() and len(tasks()) == 2, "once, however often it is looked at"
    out, here = tasks()
    assert out.title == "Agreement MOU: have what we gave under it destroyed"
    assert here.title == "Agreement MOU: destroy what was given to us under it"
    assert [each.due_at for each in (out, here)] == [ends, ends]
    asked = contents_of(tx, out)
    assert "Art. 12" in asked.instructions and "certificate" in asked.fields
    with tx.begin_nested():
        [line] = ledger.lines(tx, principal=clearing(tx, "coordinator"), asked=ledger.Asked(agreement="MOU"))["items"]
    assert line["destroy_by"] == ends
