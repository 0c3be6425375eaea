"""A release is decided for each recipient, on record, and again at every send."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
import rfc8785
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.service import create_user
from coordinator.agreements.service import record_consent
from coordinator.errors import Invalid, NotFound, SecrecyMarkingFound
from coordinator.incidents.items import write_item
from coordinator.markings import Marking
from coordinator.sharing.addressees import to_user
from coordinator.sharing.models import ReleaseItem
from coordinator.sharing.service import TextChanged, decide_share, redecide
from coordinator.timeline import queries as timeline
from tests.alerting import (
    agreement,
    mailbox,
    put_incident,
    put_system,
    webhook,
)
from tests.factories import OTHER, PARTNER, World
from tests.owner import put_a_part_in
from tests.releasing import partner, release

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
    listed = select(ReleaseItem.item_version_id).where(ReleaseItem.release_id == row.id)
    assert tx.execute(listed).scalars().all() == [part.id]


def test_a_text_of_which_nothing_is_declared_is_taken_for_the_incidents(tx: Session, world: World) -> None:
    incident = put_incident(tx, tlp="AMBER", marking=Marking(tlp="GREEN", orcon=True), originator_id=world.other_id)
    row = release(tx, incident)
    assert row.marking == {"tlp": "AMBER", "orcon": True}
    assert row.originator_id == world.other_id


@pytest.mark.parametrize(("tlp", "restricted", "goes_along"), [
    ("GREEN", False, False), ("AMBER", False, True), ("RED", False, True), ("AMBER", True, False),
])  # fmt: skip
def test_facts_of_the_incident_go_along_only_with_a_text_as_strict_as_it(
    tx: Session, tlp: str, restricted: bool, goes_along: bool
) -> None:
    incident = put_incident(tx, tlp="AMBER", restricted=restricted)
    facts = release(tx, incident, marking=Marking(tlp=tlp)).facts
    assert (facts["states_affected"] == ["FI"]) is goes_along
    assert (facts["noticed_at"] == clock.rfc3339(incident.noticed_at)) is goes_along


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


def test_an_incident_told_as_anothers_needs_the_consent_of_both_too(tx: Session, world: World) -> None:
    agreement(tx)
    claimed = put_incident(tx, tlp="AMBER", originator_id=world.partner_id, source_id=world.other_id)
    assert "D-AMBER-ONWARD" in decide_share(tx, release(tx, claimed), partner(tx)).reasons
    claimed.originator_confirmed_by = "user:1"
    tx.flush()
    assert decide_share(tx, release(tx, claimed), partner(tx)).result == "permit"


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
    put_a_part_in(tx, decision.release_id)
    tx.flush()
    with pytest.raises(TextChanged):
        redecide(tx, decision.id, now=clock.now())
