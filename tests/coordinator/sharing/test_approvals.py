"""A second person's word is bound to the text, the recipient and a time; and nobody answers for themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.accounts.service import restore_user, suspend_user
from coordinator.alerts.service import raise_approved
from coordinator.errors import Invalid, NoRight, NotFound, Refused
from coordinator.incidents.holds import open_holds
from coordinator.incidents.models import Incident
from coordinator.markings import Marking, Tlp
from coordinator.sharing.addressees import PUBLIC, Addressee
from coordinator.sharing.approvals import approve, refuse, void, withdraw_release
from coordinator.sharing.models import Approval, Release
from coordinator.sharing.service import TextChanged, decide_share, redecide, settle_release
from coordinator.timeline import queries as timeline
from coordinator.timeline.models import Pending
from tests.alerting import (
    addressee,
    agreement,
    phone,
    put_contact,
    put_organisation,
    put_system,
    webhook,
)
from tests.factories import OTHER, World
from tests.owner import put_a_part_in
from tests.releasing import clearing, partner, referred, release


def test_an_approval_makes_a_new_decision_and_says_so(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    second = clearing(tx)
    answer = approve(tx, decision.id, principal=second)
    assert (answer.result, answer.previous_id) == ("permit", decision.id)
    assert answer.inputs["approvals"] == [second.actor]
    assert tx.get_one(Release, decision.release_id).state == "released"
    kinds = [entry["kind"] for entry in timeline.entries(tx, incident_id=decision.incident_id)]
    assert kinds == ["decision.made", "decision.approved", "decision.made"]
    waiting = tx.execute(select(Pending.kind, Pending.object_id)).all()
    assert ("decision.approved", answer.id) in waiting and ("decision.referred", decision.id) in waiting


def test_an_approval_said_again_is_answered_as_before_and_not_written_again(tx: Session, world: World) -> None:
    """An answer that got lost on its way back; by the page the end is counted anew, by the API it is the same."""
    decision, second, now = referred(tx, world), clearing(tx), clock.now()
    first = approve(tx, decision.id, principal=second, until=now + timedelta(hours=72))
    entries = len(timeline.entries(tx, incident_id=decision.incident_id))
    with time_machine.travel(now + timedelta(hours=5), tick=False):
        for until in (None, now + timedelta(hours=72), clock.now() + timedelta(hours=72, seconds=2)):
            assert approve(tx, decision.id, principal=second, until=until).id == first.id
        assert len(timeline.entries(tx, incident_id=decision.incident_id)) == entries
        assert tx.execute(select(func.count()).select_from(Approval)).scalar_one() == 1
        assert tx.execute(select(func.count()).where(Pending.kind == "decision.approved")).scalar_one() == 1


@pytest.mark.parametrize("what", ["by another", "for another time", "after it was taken back", "the other answer"])
def test_anything_else_after_an_approval_is_refused(tx: Session, world: World, what: str) -> None:
    decision, second = referred(tx, world), clearing(tx)
    approve(tx, decision.id, principal=second)
    who, until = second, None
    if what == "by another":
        who = clearing(tx)
    elif what == "for another time":
        until = clock.now() + timedelta(hours=24)
    elif what == "after it was taken back":
        void(tx, tx.execute(select(Approval)).scalar_one(), actor="user:1", under_way=False)
    else:
        with pytest.raises(Refused):
            refuse(tx, decision.id, principal=who, reason="No.")
        return
    with pytest.raises(Refused):
        approve(tx, decision.id, principal=who, until=until)


def test_a_text_that_was_changed_is_not_approved_again(tx: Session, world: World) -> None:
    decision, second = referred(tx, world), clearing(tx)
    approve(tx, decision.id, principal=second)
    put_a_part_in(tx, decision.release_id)
    with pytest.raises(TextChanged):
        approve(tx, decision.id, principal=second)


def test_nobody_approves_what_they_asked_for(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    asked = Principal(99, "Asker", "release-authority")
    with pytest.raises(Refused):
        approve(tx, decision.id, principal=asked)


@pytest.mark.parametrize("role", ["coordinator", "duty-officer", "administrator", "auditor", "legal-adviser"])
def test_a_role_that_may_not_clear_this_is_refused(tx: Session, world: World, role: str) -> None:
    decision = referred(tx, world)
    with pytest.raises(NoRight):
        approve(tx, decision.id, principal=clearing(tx, role))


LEGAL = Marking(tlp="GREEN", le_sensitive=True)


@pytest.mark.parametrize(
    ("tlp", "roles", "left"),
    [
        ("GREEN", ["legal-adviser"], []),
        ("AMBER", ["legal-adviser"], []),
        ("AMBER+STRICT", ["release-authority"], ["R-LEGAL"]),
        ("AMBER+STRICT", ["release-authority", "legal-adviser"], []),
    ],
)
def test_what_touches_law_enforcement_is_cleared_by_a_legal_adviser_and_once_is_enough(
    tx: Session, world: World, tlp: str, roles: list[str], left: list[str]
) -> None:
    agreement(tx, tlp_ceiling="AMBER+STRICT")
    row = release(tx, marking=replace(LEGAL, tlp=Tlp(tlp)))
    answer = decide_share(tx, row, partner(tx))
    for role in roles:
        assert answer.result == "refer"
        answer = approve(tx, answer.id, principal=clearing(tx, role))
    assert answer.reasons == left and answer.result == ("refer" if left else "permit")
    again = redecide(tx, answer.id, now=clock.now(), anew=True)
    assert again.reasons == left  # as each look right before a send does


@pytest.mark.parametrize("role", ["coordinator", "release-authority", "duty-officer"])
def test_nobody_else_clears_what_is_for_the_legal_adviser(tx: Session, world: World, role: str) -> None:
    agreement(tx)
    decision = decide_share(tx, release(tx, marking=LEGAL), partner(tx))
    assert decision.reasons == ["R-LEGAL"]
    with pytest.raises(NoRight):
        approve(tx, decision.id, principal=clearing(tx, role))


def test_the_word_of_a_legal_adviser_is_for_that_text_that_recipient_and_its_time(tx: Session, world: World) -> None:
    agreement(tx)
    adviser, to = clearing(tx, "legal-adviser"), partner(tx)
    row = release(tx, marking=LEGAL)
    answer = approve(tx, decide_share(tx, row, to).id, principal=adviser, until=clock.now() + timedelta(hours=1))
    assert answer.result == "permit"
    put_organisation(tx, OTHER)
    put_system(tx, "https://mfa.lv.example/hook", code=OTHER, slug="lv-out")
    other = addressee(tx, put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER))
    assert "R-LEGAL" in decide_share(tx, row, other).reasons
    assert decide_share(tx, release(tx, marking=LEGAL, body="Another text."), to).reasons == ["R-LEGAL"]
    over = redecide(tx, answer.id, now=clock.now() + timedelta(hours=2))
    assert over.reasons == ["R-LEGAL"]
    own = release(tx, marking=LEGAL, requested_by=adviser.actor)
    with pytest.raises(Refused):
        approve(tx, decide_share(tx, own, to).id, principal=adviser)


def test_who_may_not_know_of_the_incident_finds_no_decision(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    tx.get_one(Incident, decision.incident_id).restricted = True
    tx.flush()
    outsider = clearing(tx)
    for answer in (lambda: approve(tx, decision.id, principal=outsider),
                   lambda: refuse(tx, decision.id, principal=outsider, reason="No.")):  # fmt: skip
        with pytest.raises(NotFound):
            answer()


def test_an_approval_that_ran_out_counts_no_more(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    until = clock.now() + timedelta(minutes=10)
    answer = approve(tx, decision.id, principal=clearing(tx), until=until)
    assert answer.valid_until == until
    again = redecide(tx, answer.id, now=until)
    assert (again.result, again.reasons) == ("refer", ["R-TWO-PERSON"])


def test_an_approval_lasts_three_days_unless_said_otherwise(tx: Session, world: World) -> None:
    answer = approve(tx, referred(tx, world).id, principal=clearing(tx))
    assert redecide(tx, answer.id, now=clock.now() + timedelta(hours=71)).result == "permit"
    assert redecide(tx, answer.id, now=clock.now() + timedelta(hours=73)).result == "refer"


@pytest.mark.parametrize("days", [-1, 0, 31])
def test_an_approval_ends_in_the_future_and_within_a_month(tx: Session, world: World, days: int) -> None:
    decision, until = referred(tx, world), clock.now() + timedelta(days=days)
    with pytest.raises(Invalid):
        approve(tx, decision.id, principal=clearing(tx), until=until)


def test_an_approval_does_not_carry_over_to_another_text(tx: Session, world: World) -> None:
    first = referred(tx, world)
    approve(tx, first.id, principal=clearing(tx))
    incident = tx.get_one(Incident, first.incident_id)
    contact = addressee(tx, put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER))
    other_text = decide_share(tx, release(tx, incident, body="Something else."), contact)
    same_text = decide_share(tx, release(tx, incident), contact)
    assert [other_text.result, same_text.result] == ["refer", "refer"]


def test_an_approval_for_one_person_is_for_that_person_alone(tx: Session) -> None:
    """Named as the originator wrote it, whatever the case of the letters, or by the contact's code."""
    agreement(tx, ceiling="RED")
    named = Marking(tlp="RED", named_recipients={"Aino@FI.example", "fi-eero"})
    row = release(tx, marking=named)
    people = {
        name: partner(tx, phone(), code=f"fi-{name}", tlp_max="RED",
                      person={"name": name, "email": f"{name}@fi.example"})
        for name in ("aino", "eero")
    }  # fmt: skip
    waiting = {name: decide_share(tx, row, way) for name, way in people.items()}
    assert {each.result for each in waiting.values()} == {"refer"}
    assert approve(tx, waiting["aino"].id, principal=clearing(tx)).result == "permit"
    assert redecide(tx, waiting["eero"].id, now=clock.now(), anew=True).reasons == ["R-TWO-PERSON"]
    assert redecide(tx, waiting["aino"].id, now=clock.now(), anew=True).result == "permit"


def test_an_approval_does_not_carry_over_to_another_recipient(tx: Session, world: World) -> None:
    first = referred(tx, world)
    approve(tx, first.id, principal=clearing(tx))
    put_organisation(tx, "SE-CSIRT")
    put_system(tx, "https://se.example/hook", code="SE-CSIRT", slug="se-out")
    contact = put_contact(tx, webhook("se-out"), code="se", organisation="SE-CSIRT")
    decision = decide_share(tx, tx.get_one(Release, first.release_id), addressee(tx, contact))
    assert decision.reasons == ["R-TWO-PERSON"]


def test_a_text_altered_after_it_was_referred_cannot_be_approved(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    put_a_part_in(tx, decision.release_id)
    tx.flush()
    with pytest.raises(TextChanged):
        approve(tx, decision.id, principal=clearing(tx))


def test_a_decision_is_answered_once(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    approve(tx, decision.id, principal=clearing(tx))
    with pytest.raises(Refused):
        approve(tx, decision.id, principal=clearing(tx))


def test_what_was_refused_stays_refused(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    refuse(tx, decision.id, principal=clearing(tx), reason="Not now.")
    assert tx.get_one(Release, decision.release_id).state == "refused"
    with pytest.raises(Refused):
        approve(tx, decision.id, principal=clearing(tx))


def test_a_deny_cannot_be_approved_and_a_permit_need_not_be(tx: Session) -> None:
    row = release(tx, marking=Marking(tlp="GREEN"))
    permit = decide_share(tx, row, partner(tx))
    deny = decide_share(tx, release(tx, marking=Marking(tlp="AMBER")), partner(tx))
    assert (permit.result, deny.result) == ("permit", "deny")
    for decision in (permit, deny):
        with pytest.raises(Refused):
            approve(tx, decision.id, principal=clearing(tx))


def test_an_approval_does_not_make_a_stale_contact_fresh(tx: Session) -> None:
    stale = partner(tx, verified_on=clock.now() - timedelta(days=400))
    decision = decide_share(tx, release(tx, marking=Marking(tlp="GREEN")), stale)
    assert decision.reasons == ["R-STALE-POC"]
    answer = approve(tx, decision.id, principal=clearing(tx, "coordinator"))
    assert answer.reasons == ["R-STALE-POC"]


def test_a_waiting_clearance_keeps_the_incident_from_closing_until_it_is_answered(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    [hold] = open_holds(tx, decision.incident_id)
    assert (hold.kind, hold.id, hold.blocks) == ("clearance", str(decision.id), "close")
    approve(tx, decision.id, principal=clearing(tx))
    assert open_holds(tx, decision.incident_id) == []


def test_a_release_that_was_withdrawn_cannot_be_approved_any_more(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    row = tx.get_one(Release, decision.release_id)
    row.state = "awaiting-approval"
    withdraw_release(tx, row.id, principal=clearing(tx, "coordinator"), reason="Asked by mistake.")
    assert open_holds(tx, decision.incident_id) == []
    with pytest.raises(Refused):
        approve(tx, decision.id, principal=clearing(tx))


def test_a_release_that_was_withdrawn_stays_so_whatever_becomes_of_what_was_cleared_of_it(
    tx: Session, world: World
) -> None:
    """One of its recipients was cleared, and the worker comes late: neither goes out, and nothing waits anew."""
    decision = referred(tx, world)
    row = tx.get_one(Release, decision.release_id)
    permit = approve(tx, decision.id, principal=clearing(tx))
    row.state = "awaiting-approval"  # for another recipient
    withdraw_release(tx, row.id, principal=clearing(tx, "coordinator"), reason="Asked by mistake.")
    assert raise_approved(tx, permit.id) is None
    settle_release(tx, row)
    assert row.state == "withdrawn"


def test_the_approval_of_a_suspended_account_counts_for_nothing_until_it_is_restored(tx: Session, world: World) -> None:
    """A laptop is stolen: what was cleared in that person's name does not go out."""
    decision, thief = referred(tx, world), clearing(tx)
    permit = approve(tx, decision.id, principal=thief)
    suspend_user(tx, thief.user_id, actor="user:1", reason="The laptop was stolen.")
    again = redecide(tx, permit.id, now=clock.now())
    assert (again.result, again.reasons) == ("refer", ["R-TWO-PERSON"])
    restore_user(tx, thief.user_id, actor="user:1", reason="It was found.")
    assert redecide(tx, again.id, now=clock.now()).result == "permit"


def test_who_waits_for_a_withdrawn_release_is_told_that_there_is_no_answer(tx: Session, world: World) -> None:
    decision = referred(tx, world)
    row = tx.get_one(Release, decision.release_id)
    row.state = "awaiting-approval"
    withdraw_release(tx, row.id, principal=clearing(tx, "coordinator"), reason="Asked by mistake.")
    told = tx.execute(select(Pending.object_id).where(Pending.kind == "decision.refused")).scalars().all()
    assert told == [decision.id]


def test_a_public_exit_is_cleared_by_the_release_authority_for_that_text_whatever_its_label(tx: Session) -> None:
    public = Addressee(recipient=PUBLIC, channel_kind="portal", encrypted=True)
    row = release(tx, marking=Marking(tlp="CLEAR"))
    decision = decide_share(tx, row, public)
    assert (decision.result, decision.reasons) == ("refer", ["R-TWO-PERSON"])
    with pytest.raises(NoRight):
        approve(tx, decision.id, principal=clearing(tx, "coordinator"))
    assert approve(tx, decision.id, principal=clearing(tx)).result == "permit"
    other = decide_share(tx, release(tx, marking=Marking(tlp="CLEAR"), body="Another text."), public)
    assert other.result == "refer"
    assert "D-PUBLIC" in decide_share(tx, release(tx, marking=Marking(tlp="GREEN")), public).reasons
