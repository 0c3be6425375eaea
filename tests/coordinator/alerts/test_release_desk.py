"""The release desk: a draft from items, who could receive it and why not, and submitting it to those chosen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.agreements.service import record_agreement
from coordinator.alerts import drafts
from coordinator.alerts.models import Alert
from coordinator.alerts.reach import who_could_receive
from coordinator.errors import Invalid, NotFound, Refused
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking, Tlp
from coordinator.sharing.models import Release, ShareDecision
from coordinator.sharing.remedies import CHANGED_BY, RESTS_ON
from coordinator.sharing.rules import Result, preferred
from coordinator.sharing.service import TextChanged, decide_share, forecast
from coordinator.sharing.wording import AGREEMENT_PROBLEMS, REASONS
from coordinator.status import outgoing, release_desk
from coordinator.store import Store
from tests.alerting import addressee, phone, put_contact, put_incident, put_organisation, put_system, webhook
from tests.factories import OTHER, OWN, PARTNER, World
from tests.owner import put_a_part_in
from tests.releasing import clearing

LATER = "DE-BSI"


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    """Nothing here asks the database for more than rows; what it refuses is tested on both elsewhere."""
    return sqlite_store


@pytest.fixture
def tx(store: Store, world: World) -> Any:
    """FI has an agreement, LV one that is over, DE nobody who could be reached."""
    with store.unit_of_work() as tx:
        for code in (PARTNER, OTHER, LATER):
            put_organisation(tx, code)
        put_system(tx, "https://fi.example/hook")
        put_system(tx, "https://lv.example/hook", code=OTHER, slug="lv-out")
        put_contact(tx, webhook(), tlp_max="RED")
        put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER, tlp_max="RED")
        terms(tx, "MOU-FI", PARTNER)
        terms(tx, "MOU-LV", OTHER, expires_on="2026-02-01T00:00:00Z")
        yield tx


def terms(tx: Session, key: str, code: str, **more: Any) -> None:
    record_agreement(tx, {
        "agreement_id": key, "title": f"Arrangement with {code}", "kind": "cert-cert", "legal_status": "operational",
        "parties": [{"party": each, "role": "both", "signed_on": "2025-01-10"} for each in (OWN, code)],
        "info_categories_allowed": ["incident-notification"], "tlp_ceiling": "RED", "personal_data": "none",
        "permitted_purposes": ["incident-response"], "onward_sharing": "own-organisation",
        "effective_from": "2025-01-15T00:00:00Z", "clause_refs": {"tlp_ceiling": "4.2", "expires_on": "12.1"}, **more,
    }, actor="cli:test")  # fmt: skip


def note(tx: Session, incident: Incident, text: str = "Servers stand still.", *, tlp: str = "AMBER",
         originator_id: int | None = None) -> ItemVersion:  # fmt: skip
    return write_item(
        tx, kind="note", content=text, marking=Marking(tlp=tlp), info_category="incident-notification", author="user:1",
        incident=incident, originator_id=originator_id,
    )  # fmt: skip


def drafted(tx: Session, incident: Incident, officer: Principal, *parts: ItemVersion, **more: Any) -> Release:
    return drafts.draft(tx, incident=incident, principal=officer, items=[part.id for part in parts], **{
        "kind": "initial", "title": "Ransomware", "body": "", "purpose": "incident-response",
        "info_category": "incident-notification", **more})  # fmt: skip


def count(tx: Session, table: Any) -> int:
    return tx.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_draft_says_what_its_items_say_and_nothing_else_and_asks_nobody(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    first, second = note(tx, incident, "One."), note(tx, incident, "Two.", tlp="GREEN")
    note(tx, incident, "Not chosen.")
    row = drafted(tx, incident, officer, first, second)
    shown = release_desk.in_full(tx, row, principal=officer)
    assert (row.state, shown["body"], shown["tlp"]) == ("draft", "One.\n\nTwo.", "AMBER")
    assert [part["item"] for part in shown["parts"]] == [first.item, second.item]
    assert count(tx, ShareDecision) == count(tx, Alert) == 0


def test_where_the_first_way_is_refused_and_another_may_be_cleared_a_person_is_asked_about_that_one(
    tx: Session,
) -> None:
    put_system(tx, "http://de.example/hook", code=LATER, slug="de-out")
    put_contact(tx, webhook("de-out"), phone(), code="de-cyber", organisation=LATER, tlp_max="RED")
    terms(tx, "MOU-DE", LATER)
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer, note(tx, incident, tlp="AMBER+STRICT"))
    groups = release_desk.recipients(tx, row, principal=officer)
    (found,) = (each for each in groups["refer"] if each["code"] == LATER)
    assert (found["channel"], [each["code"] for each in found["reasons"]]) == ("voice", ["R-TWO-PERSON"])
    told = drafts.submit(tx, row.id, codes=[LATER], principal=officer)
    assert [(each.recipient, each.channel_kind) for each in told.referred] == [(LATER, "voice")]


@given(st.lists(st.sampled_from(list(Result)), min_size=1, max_size=6))
def test_the_way_to_go_by_is_the_first_of_the_best_answers(results: list[Result]) -> None:
    place, order = preferred(results), [Result.PERMIT, Result.REFER, Result.DENY]
    assert results[place] == min(results, key=order.index) and results[place] not in results[:place]


def test_every_partner_stands_in_one_group_with_reason_agreement_clause_and_who_can_change_it(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    groups = release_desk.recipients(tx, drafted(tx, incident, officer, note(tx, incident)), principal=officer)
    assert {name: [each["code"] for each in group] for name, group in groups.items()} == {
        "permit": [PARTNER], "refer": [], "deny": [OTHER], "unreachable": [LATER]}  # fmt: skip
    (permit,), (deny,) = groups["permit"], groups["deny"]
    assert permit["agreement"] == {
        "key": "MOU-FI", "version": 1, "title": f"Arrangement with {PARTNER}", "clauses": {"tlp_ceiling": "4.2"}
    }
    assert [each["code"] for each in deny["reasons"]] == ["D-NO-AGREEMENT"]
    assert "agreement manager" in deny["reasons"][0]["changed_by"]
    (problem,) = deny["problems"]
    assert (problem["agreement"], problem["code"], problem["clause"]) == ("MOU-LV", "A-EXPIRED", "12.1")
    assert count(tx, ShareDecision) == 0


def test_a_refusal_names_the_clause_that_demands_it_and_a_permit_those_on_encryption_and_personal_data(
    tx: Session
) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    refs = {"encryption_in_transit": "8.1", "personal_data": "8.2", "attribution_rule": "8.3"}
    terms(tx, "MOU-FI", PARTNER, encryption_in_transit="must", attribution_rule="must", clause_refs=refs)
    withheld = write_item(
        tx, kind="note", content="Servers.", marking=Marking(tlp="AMBER", no_attribution=True), author="user:1",
        info_category="incident-notification", incident=incident,
    )  # fmt: skip
    row = drafted(tx, incident, officer, withheld)
    (deny,) = [each for each in release_desk.recipients(tx, row, principal=officer)["deny"] if each["code"] == PARTNER]
    assert {each["code"]: each["clause"] for each in deny["reasons"]} == {"D-SOURCE-WITHHELD": "8.3"}
    assert deny["agreement"]["clauses"] == refs
    reached = addressee(tx, put_contact(tx, webhook(), code="fi-2"))
    shown = outgoing.decision(tx, decide_share(tx, row, reached).id, principal=officer)
    assert shown is not None and [each["clause"] for each in shown["why"]] == ["8.3"]


def test_who_reads_no_agreements_is_told_which_one_and_not_what_is_in_it(tx: Session) -> None:
    incident = put_incident(tx)
    row = drafted(tx, incident, clearing(tx, "coordinator"), note(tx, incident))
    groups = release_desk.recipients(tx, row, principal=clearing(tx, "analyst"))
    (permit,), (deny,) = groups["permit"], groups["deny"]
    assert permit["agreement"] == {"key": "MOU-FI", "version": 1, "title": "", "clauses": {}}
    assert [(each["agreement"], each["title"], each["clause"]) for each in deny["problems"]] == [("MOU-LV", "", "")]


def test_what_came_from_a_partner_needs_the_release_authority_and_says_so(tx: Session, world: World) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    part = note(tx, incident, tlp="GREEN", originator_id=world.partner_id)
    groups = release_desk.recipients(tx, drafted(tx, incident, officer, part), principal=officer)
    (refer,) = groups["refer"]
    assert (refer["code"], refer["approvers"]) == (OTHER, ["release-authority"])
    assert [each["code"] for each in groups["permit"]] == [PARTNER]  # back to whom it came from


@pytest.mark.parametrize("tlp", ["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"])
def test_the_desk_says_of_everybody_what_a_decision_says(tx: Session, world: World, tlp: str) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    parts = [note(tx, incident, tlp=tlp), note(tx, incident, tlp="GREEN", originator_id=world.partner_id)]
    row = drafted(tx, incident, officer, *parts)
    asked = [each for each in who_could_receive(tx, row, now=clock.now()) if each.addressee]
    assert asked
    for each in asked:
        assert each.decision == forecast(tx, row, each.addressee)
        made = decide_share(tx, row, each.addressee)
        assert (made.result, made.reasons) == (each.decision.result, list(each.decision.reasons))
        assert (made.agreement, made.agreement_version) == (each.decision.agreement, each.agreement_version)


def test_submitting_sends_what_is_permitted_and_records_what_is_refused(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer, note(tx, incident))
    told = drafts.submit(tx, row.id, codes=[PARTNER, OTHER], principal=officer)
    assert [alert.recipient for alert in told.permitted] == [PARTNER]
    assert [decision.recipient for decision in told.denied] == [OTHER]
    assert (row.state, release_desk.described(tx, [row])[0]["state"]) == ("released", "approved")  # nothing has left
    with pytest.raises(Refused):
        drafts.submit(tx, row.id, codes=[PARTNER], principal=officer)
    assert count(tx, Alert) == 1


def test_only_whoever_drafted_it_submits_it(tx: Session) -> None:
    officer, other, incident = clearing(tx, "coordinator"), clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer, note(tx, incident))
    with pytest.raises(Refused):
        drafts.submit(tx, row.id, codes=[PARTNER], principal=other)
    assert (row.state, count(tx, ShareDecision)) == ("draft", 0)


@pytest.mark.parametrize("codes", [[], [LATER], ["XX-NONE"], [PARTNER, OWN]])
def test_a_draft_goes_only_to_partners_that_can_be_reached(tx: Session, codes: list[str]) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer, note(tx, incident))
    with pytest.raises(Invalid):
        drafts.submit(tx, row.id, codes=codes, principal=officer)
    assert (row.state, count(tx, ShareDecision)) == ("draft", 0)


def test_a_draft_whose_bytes_were_changed_is_not_submitted(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer, note(tx, incident))
    put_a_part_in(tx, row.id)
    with pytest.raises(TextChanged):
        drafts.submit(tx, row.id, codes=[PARTNER], principal=officer)


def test_an_item_of_another_incident_is_none_of_this_draft(tx: Session) -> None:
    officer, incident, other = clearing(tx, "coordinator"), put_incident(tx), put_incident(tx)
    with pytest.raises(NotFound):
        drafted(tx, incident, officer, note(tx, other))


def test_a_discarded_draft_is_withdrawn_and_told_nobody_anything(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafts.discard(tx, drafted(tx, incident, officer, note(tx, incident)).id, principal=officer)
    assert row.state == "withdrawn"
    with pytest.raises(Refused):
        drafts.submit(tx, row.id, codes=[PARTNER], principal=officer)
    follow_up = drafted(tx, incident, officer, note(tx, incident), kind="update")
    assert follow_up.in_reply_to_id is None


@pytest.mark.parametrize(("stored", "left", "cleared", "lapsed", "shown"), [
    ("draft", False, False, False, "draft"), ("evaluated", False, False, False, "evaluated"),
    ("awaiting-approval", False, False, False, "awaiting-approval"),
    ("awaiting-approval", False, False, True, "expired"), ("released", False, True, False, "approved"),
    ("awaiting-approval", False, True, False, "awaiting-approval"),
    ("awaiting-approval", True, False, True, "awaiting-approval"),
    ("released", True, False, True, "released"), ("refused", False, False, False, "refused"),
    ("withdrawn", False, False, False, "withdrawn"),
])  # fmt: skip
def test_the_state_that_is_shown(stored: str, left: bool, cleared: bool, lapsed: bool, shown: str) -> None:
    assert release_desk.stage(stored, left=left, cleared=cleared, lapsed=lapsed) == shown


def test_every_reason_says_who_can_change_it_and_every_problem_its_field() -> None:
    assert set(CHANGED_BY) == set(REASONS) | set(AGREEMENT_PROBLEMS)
    assert set(RESTS_ON) == set(AGREEMENT_PROBLEMS)


def test_a_label_is_never_looser_than_a_part(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer, note(tx, incident, tlp="AMBER"), marking=Marking(tlp=Tlp.GREEN))
    assert Marking.from_json(row.marking).effective is Tlp.AMBER
    assert row.created_at <= clock.now() + timedelta(seconds=1)
