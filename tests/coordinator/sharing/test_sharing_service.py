"""A release is decided for each recipient, on record; approvals are bound; nothing leaves without a permit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import rfc8785
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.accounts.service import create_user, users_with_role
from coordinator.agreements.service import record_consent
from coordinator.alerts.telling import raise_alert
from coordinator.errors import Invalid, NoRight, NotFound, Refused, SecrecyMarkingFound
from coordinator.incidents.holds import open_holds
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident
from coordinator.markings import Marking
from coordinator.sharing.addressees import Addressee, to_user
from coordinator.sharing.approvals import approve, refuse, withdraw_release
from coordinator.sharing.models import Release, ShareDecision
from coordinator.sharing.service import TextChanged, decide_share, prepare_release, redecide
from coordinator.store import Store
from coordinator.timeline import queries as timeline
from coordinator.timeline.models import Pending
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


@pytest.fixture
def tx(store: Store, world: World) -> Iterator[Session]:
    """A transaction in a world with a partner that has a system and a mailbox."""
    with store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_organisation(tx, OTHER, kind="ministry")
        put_system(tx, "https://csirt.fi.example/hook")
        yield tx


def release(tx: Session, incident: Incident | None = None, **more: Any) -> Release:
    fields = {
        "kind": "initial", "title": "Ransomware", "body": "What we saw.", "purpose": "network-defence",
        "info_category": "incident-notification", "requested_by": "user:99", "incident": incident, **more,
    }  # fmt: skip
    return prepare_release(tx, **fields)


def partner(tx: Session, *channels: dict[str, Any], **more: Any) -> Addressee:
    return addressee(tx, put_contact(tx, *(channels or (webhook(),)), **more))


def referred(tx: Session, world: World) -> ShareDecision:
    """Something FI told us as GREEN, to go on to LV: permitted but for the second person."""
    put_organisation(tx, OTHER, kind="ministry")
    put_system(tx, "https://mfa.lv.example/hook", code=OTHER, slug="lv-out")
    contact = put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER)
    incident = put_incident(tx, originator_id=world.partner_id, source_id=world.partner_id)
    decision = decide_share(tx, release(tx, incident), addressee(tx, contact))
    assert (decision.result, decision.reasons) == ("refer", ["R-TWO-PERSON"])
    return decision


# ---------------------------------------------------------------- the release


def test_the_digest_is_over_what_is_said_and_nothing_else(tx: Session) -> None:
    part = write_item(tx, kind="note", content="seen", marking=Marking(tlp="GREEN"), author="user:1",
                      info_category="incident-notification")  # fmt: skip
    reply_by = clock.now()
    row = release(tx, marking=Marking(tlp="AMBER", orcon=True), items=[part.id], reply_by=reply_by, language="fr")
    said = {
        "kind": "initial", "title": "Ransomware", "body": "What we saw.", "purpose": "network-defence",
        "marking": {"tlp": "AMBER", "orcon": True}, "handling": ["ORIGINATOR CONTROLLED"], "language": "fr",
        "reply_by": clock.rfc3339(reply_by), "exercise": "", "items": [f"{part.item}@1"],
    }  # fmt: skip
    assert row.content_digest == hashlib.sha256(rfc8785.dumps(said)).hexdigest()


def test_a_text_is_at_least_as_strict_as_what_it_was_composed_from(tx: Session) -> None:
    part = write_item(tx, kind="note", content="seen", marking=Marking(tlp="AMBER+STRICT", not_rel_to={"LV-MFA"}),
                      author="user:1", info_category="incident-notification")  # fmt: skip
    row = release(tx, marking=Marking(tlp="CLEAR"), items=[part])
    assert row.marking == {"tlp": "AMBER+STRICT", "not_rel_to": ["LV-MFA"]}


def test_a_text_of_which_nothing_is_declared_is_taken_for_the_incidents(tx: Session, world: World) -> None:
    incident = put_incident(tx, tlp="AMBER", marking=Marking(tlp="GREEN", orcon=True), originator_id=world.other_id)
    row = release(tx, incident)
    assert row.marking == {"tlp": "AMBER", "orcon": True}
    assert row.originator_id == world.other_id


def test_an_unmarked_text_without_an_incident_is_referred_and_never_clear(tx: Session) -> None:
    decision = decide_share(tx, release(tx), partner(tx))
    assert "R-UNMARKED" in decision.reasons
    assert decision.effective_tlp == "AMBER+STRICT"
    assert decision.result == "deny"  # no agreement either


def test_classified_text_is_refused_without_a_trace_of_it(tx: Session) -> None:
    with pytest.raises(SecrecyMarkingFound) as refusal:
        release(tx, title="NATO SECRET", body="canary-7d1")
    assert "canary" not in str(refusal.value) and "SECRET" not in refusal.value.detail


@pytest.mark.parametrize(("fields", "pointer"), [
    ({"kind": "rumour"}, "/kind"), ({"title": " "}, "/title"), ({"title": "x" * 121}, "/title"),
    ({"body": ""}, "/body"), ({"body": "x" * 10_001}, "/body"), ({"info_category": "gossip"}, "/info_category"),
])  # fmt: skip
def test_a_release_that_cannot_be_used_names_its_field(tx: Session, fields: dict[str, str], pointer: str) -> None:
    with pytest.raises(Invalid) as refusal:
        release(tx, **fields)
    assert [fault.pointer for fault in refusal.value.errors] == [pointer]


def test_an_item_of_an_exercise_cannot_go_into_a_real_text(tx: Session) -> None:
    part = write_item(tx, kind="note", content="seen", marking=Marking(tlp="CLEAR"), author="user:1",
                      info_category="incident-notification", exercise="EX-1")  # fmt: skip
    with pytest.raises(NotFound):
        release(tx, marking=Marking(tlp="CLEAR"), items=[part])


# ---------------------------------------------------------------- the decision


def test_a_decision_is_recorded_with_everything_it_was_made_on(tx: Session) -> None:
    incident = put_incident(tx)
    row = decide_share(tx, release(tx, incident), partner(tx))
    assert row.result == "permit"
    assert row.inputs["recipient"]["channel"] == {"kind": "webhook", "encrypted": True}
    assert row.inputs_digest == hashlib.sha256(rfc8785.dumps(row.inputs)).hexdigest()
    assert row.valid_until - row.evaluated_at == timedelta(hours=1)
    [entry] = timeline.entries(tx, incident_id=incident.id)
    assert entry["kind"] == "decision.made"
    assert entry["values"]["inputs_digest"] == row.inputs_digest


def test_what_others_told_us_binds_the_whole_text(tx: Session, world: World) -> None:
    """Our own words beside what LV told us as AMBER: to FI it is LV's to release."""
    agreement(tx)
    part = write_item(tx, kind="note", content="seen", marking=Marking(tlp="AMBER"), author="user:1",
                      info_category="incident-notification", originator_id=world.other_id)  # fmt: skip
    ours = release(tx, marking=Marking(tlp="AMBER"))
    mixed = release(tx, marking=Marking(tlp="AMBER"), items=[part])
    contact = partner(tx)
    assert decide_share(tx, ours, contact).result == "permit"
    assert decide_share(tx, mixed, contact).reasons == ["D-AMBER-ONWARD", "R-TWO-PERSON"]


def test_a_consent_of_the_originator_lifts_the_third_party_rule_only(tx: Session, world: World) -> None:
    agreement(tx)
    part = write_item(tx, kind="note", content="seen", marking=Marking(tlp="AMBER"), author="user:1",
                      info_category="incident-notification", originator_id=world.other_id)  # fmt: skip
    consent = {"from": OTHER, "to": PARTNER, "purpose": "network-defence", "item": part.item, "evidence": "mail",
               "valid_until": clock.now() + timedelta(days=1)}  # fmt: skip
    record_consent(tx, consent, actor="user:1")
    decision = decide_share(tx, release(tx, marking=Marking(tlp="AMBER"), items=[part]), partner(tx))
    assert decision.reasons == ["R-TWO-PERSON"]


def test_a_claimed_originator_needs_the_consent_of_both(tx: Session, world: World) -> None:
    """LV says that FI said it: to FI it is not "going back" before somebody confirmed that."""
    agreement(tx)
    part = write_item(tx, kind="note", content="seen", marking=Marking(tlp="AMBER"), author="user:1",
                      info_category="incident-notification", originator_id=world.partner_id,
                      source_id=world.other_id)  # fmt: skip
    decision = decide_share(tx, release(tx, marking=Marking(tlp="AMBER"), items=[part]), partner(tx))
    assert "D-AMBER-ONWARD" in decision.reasons


def test_our_own_code_in_a_list_means_our_own_people(tx: Session) -> None:
    user = create_user(tx, email="a@ee.example", name="A", role="coordinator", actor="cli:test")
    row = release(tx, marking=Marking(tlp="CLEAR", not_rel_to={"EE-MFA"}))
    assert decide_share(tx, row, to_user(user, exercise="")).reasons == ["D-NOT-RELEASABLE"]


def test_plain_mail_is_never_taken_for_encrypted_and_http_neither(tx: Session) -> None:
    agreement(tx)
    row = release(tx, marking=Marking(tlp="AMBER"))
    assert decide_share(tx, row, partner(tx, mailbox())).reasons == ["D-CHANNEL-CLEAR-TEXT"]
    put_system(tx, "http://csirt.fi.example/hook", slug="fi-plain")
    assert decide_share(tx, row, partner(tx, webhook("fi-plain"), code="fi-2")).reasons == ["D-CHANNEL-CLEAR-TEXT"]


def test_red_goes_to_a_named_person_and_never_to_a_desk_or_a_system(tx: Session) -> None:
    agreement(tx, ceiling="RED")
    row = release(tx, marking=Marking(tlp="RED", named_recipients={"aino@fi.example"}))
    desk = partner(tx, {"kind": "voice", "number": "+358"}, code="fi-desk", tlp_max="RED")
    named = partner(tx, {"kind": "voice", "number": "+358"}, code="fi-aino", tlp_max="RED",
                    person={"name": "Aino", "email": "aino@fi.example"})  # fmt: skip
    system = partner(tx, webhook(), code="fi-sys", person={"name": "Aino", "email": "aino@fi.example"})
    assert decide_share(tx, row, desk).reasons == ["D-RED-ORGANISATION", "R-TWO-PERSON"]
    assert decide_share(tx, row, named).reasons == ["R-TWO-PERSON"]
    assert "D-RED-ORGANISATION" in decide_share(tx, row, system).reasons


# ---------------------------------------------------------------- again, at the send


def test_the_same_decision_holds_while_nothing_changed(tx: Session) -> None:
    decision = decide_share(tx, release(tx, marking=Marking(tlp="GREEN")), partner(tx))
    assert redecide(tx, decision.id, now=clock.now()).id == decision.id


def test_an_expired_decision_is_made_anew(tx: Session) -> None:
    decision = decide_share(tx, release(tx, marking=Marking(tlp="GREEN")), partner(tx))
    after = decision.valid_until
    again = redecide(tx, decision.id, now=after)
    assert (again.previous_id, again.result) == (decision.id, "permit")
    assert redecide(tx, decision.id, now=after - timedelta(seconds=1)).id == decision.id


def test_a_decision_ends_with_the_agreement_it_stands_on(tx: Session) -> None:
    ends = clock.now() + timedelta(minutes=20)
    agreement(tx, expires_on=ends)
    decision = decide_share(tx, release(tx, marking=Marking(tlp="AMBER")), partner(tx))
    assert (decision.result, decision.agreement, decision.agreement_version) == ("permit", "MOU", 1)
    assert decision.valid_until == ends
    again = redecide(tx, decision.id, now=ends)
    assert "D-NO-AGREEMENT" in again.reasons


def test_a_changed_agreement_changes_the_answer_within_the_hour(tx: Session) -> None:
    agreement(tx)
    decision = decide_share(tx, release(tx, marking=Marking(tlp="AMBER")), partner(tx))
    agreement(tx, ceiling="GREEN")
    again = redecide(tx, decision.id, now=clock.now())
    assert again.agreement_problems == {"MOU": ["A-TLP-CEILING"]}
    assert again.result == "deny"


def test_a_text_that_was_altered_is_not_sent(tx: Session) -> None:
    decision = decide_share(tx, release(tx, marking=Marking(tlp="GREEN")), partner(tx))
    tx.get_one(Release, decision.release_id).purpose = "commercial"
    tx.flush()
    with pytest.raises(TextChanged):
        redecide(tx, decision.id, now=clock.now())


# ---------------------------------------------------------------- approvals


def test_an_approval_makes_a_new_decision_and_says_so(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    second = _principal(tx, "release-authority")
    answer = approve(tx, decision.id, principal=second)
    assert (answer.result, answer.previous_id) == ("permit", decision.id)
    assert answer.inputs["approvals"] == [second.actor]
    assert tx.get_one(Release, decision.release_id).state == "released"
    kinds = [entry["kind"] for entry in timeline.entries(tx, incident_id=decision.incident_id)]
    assert kinds == ["decision.made", "decision.approved", "decision.made"]
    waiting = tx.execute(select(Pending.kind, Pending.object_id)).all()
    assert ("decision.approved", answer.id) in waiting and ("decision.referred", decision.id) in waiting


def test_nobody_approves_what_they_asked_for(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    asked = Principal(99, "Asker", "release-authority")
    with pytest.raises(Refused):
        approve(tx, decision.id, principal=asked)


@pytest.mark.parametrize("role", ["coordinator", "duty-officer", "administrator", "auditor", "legal-adviser"])
def test_a_role_that_may_not_clear_this_is_refused(tx: Session, world: World, role: str) -> None:
    decision = referred(tx, world)
    with pytest.raises(NoRight):
        approve(tx, decision.id, principal=_principal(tx, role))


def test_an_approval_that_ran_out_counts_no_more(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    until = clock.now() + timedelta(minutes=10)
    answer = approve(tx, decision.id, principal=_principal(tx, "release-authority"), until=until)
    assert answer.valid_until == until
    again = redecide(tx, answer.id, now=until)
    assert (again.result, again.reasons) == ("refer", ["R-TWO-PERSON"])


def test_an_approval_lasts_three_days_unless_said_otherwise(tx: Session, world: World) -> None:
    answer = approve(tx, referred(tx, world).id, principal=_principal(tx, "release-authority"))
    assert redecide(tx, answer.id, now=clock.now() + timedelta(hours=71)).result == "permit"
    assert redecide(tx, answer.id, now=clock.now() + timedelta(hours=73)).result == "refer"


@pytest.mark.parametrize("days", [-1, 0, 31])
def test_an_approval_ends_in_the_future_and_within_a_month(tx: Session, world: World, days: int) -> None:
    decision, until = referred(tx, world), clock.now() + timedelta(days=days)
    with pytest.raises(Invalid):
        approve(tx, decision.id, principal=_principal(tx, "release-authority"), until=until)


def test_an_approval_does_not_carry_over_to_another_text(tx: Session, world: World) -> None:
    first = referred(tx, world)
    approve(tx, first.id, principal=_principal(tx, "release-authority"))
    incident = tx.get_one(Incident, first.incident_id)
    contact = addressee(tx, put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER))
    other_text = decide_share(tx, release(tx, incident, body="Something else."), contact)
    same_text = decide_share(tx, release(tx, incident), contact)
    assert [other_text.result, same_text.result] == ["refer", "refer"]


def test_an_approval_does_not_carry_over_to_another_recipient(tx: Session, world: World) -> None:
    first = referred(tx, world)
    approve(tx, first.id, principal=_principal(tx, "release-authority"))
    put_organisation(tx, "SE-CSIRT")
    put_system(tx, "https://se.example/hook", code="SE-CSIRT", slug="se-out")
    contact = put_contact(tx, webhook("se-out"), code="se", organisation="SE-CSIRT")
    decision = decide_share(tx, tx.get_one(Release, first.release_id), addressee(tx, contact))
    assert decision.reasons == ["R-TWO-PERSON"]


def test_a_text_altered_after_it_was_referred_cannot_be_approved(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    tx.get_one(Release, decision.release_id).language = "fr"
    tx.flush()
    with pytest.raises(TextChanged):
        approve(tx, decision.id, principal=_principal(tx, "release-authority"))


def test_a_decision_is_answered_once(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    approve(tx, decision.id, principal=_principal(tx, "release-authority"))
    with pytest.raises(Refused):
        approve(tx, decision.id, principal=_principal(tx, "release-authority"))


def test_what_was_refused_stays_refused(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    refuse(tx, decision.id, principal=_principal(tx, "release-authority"), reason="Not now.")
    assert tx.get_one(Release, decision.release_id).state == "refused"
    with pytest.raises(Refused):
        approve(tx, decision.id, principal=_principal(tx, "release-authority"))


def test_a_deny_cannot_be_approved_and_a_permit_need_not_be(tx: Session) -> None:
    row = release(tx, marking=Marking(tlp="GREEN"))
    permit = decide_share(tx, row, partner(tx))
    deny = decide_share(tx, release(tx, marking=Marking(tlp="AMBER")), partner(tx))
    assert (permit.result, deny.result) == ("permit", "deny")
    for decision in (permit, deny):
        with pytest.raises(Refused):
            approve(tx, decision.id, principal=_principal(tx, "release-authority"))


def test_an_approval_does_not_make_a_stale_contact_fresh(tx: Session) -> None:
    stale = partner(tx, verified_on=clock.now() - timedelta(days=400))
    decision = decide_share(tx, release(tx, marking=Marking(tlp="GREEN")), stale)
    assert decision.reasons == ["R-STALE-POC"]
    answer = approve(tx, decision.id, principal=_principal(tx, "coordinator"))
    assert answer.reasons == ["R-STALE-POC"]


def test_a_waiting_clearance_keeps_the_incident_from_closing_until_it_is_answered(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    [hold] = open_holds(tx, decision.incident_id)
    assert (hold.kind, hold.id, hold.blocks) == ("clearance", str(decision.id), "close")
    approve(tx, decision.id, principal=_principal(tx, "release-authority"))
    assert open_holds(tx, decision.incident_id) == []


def test_a_release_that_was_withdrawn_cannot_be_approved_any_more(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    row = tx.get_one(Release, decision.release_id)
    row.state = "awaiting-approval"
    withdraw_release(tx, row.id, principal=_principal(tx, "coordinator"), reason="Asked by mistake.")
    assert open_holds(tx, decision.incident_id) == []
    with pytest.raises(Refused):
        approve(tx, decision.id, principal=_principal(tx, "release-authority"))


# ---------------------------------------------------------------- no alert without a permit


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


# ---------------------------------------------------------------- small parts


def _principal(tx: Session, role: str) -> Principal:
    number = len(users_with_role(tx, role))
    user = create_user(tx, email=f"{role}-{number}@ee.example", name=role, role=role, actor="cli:test")
    return Principal(user.id, user.name, role)
