"""Duties on an incident: what is written, who may, what closing asks, who is told when."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts.models import Alert
from coordinator.errors import NoRight, NotFound, Refused
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.incidents.service import change_incident, transition
from coordinator.obligations import queries, register, service
from coordinator.obligations.models import Obligation, ObligationRule
from coordinator.store import Store
from coordinator.timeline.models import Pending
from coordinator.timeline.verify import verify
from tests.alerting import put_incident, settings_of
from tests.factories import World, person
from tests.workers.drained import drain

HOUR = timedelta(hours=1)


@pytest.fixture
def incident_id(store: Store, world: World) -> int:
    with store.unit_of_work() as tx:
        register.ship_rules(tx)
        row = put_incident(tx, aware_at=clock.now() - HOUR, aware_fidelity="second")
        return row.id


@pytest.fixture
def lawyer(store: Store, world: World) -> Principal:
    return person(store, "legal-adviser")


@pytest.fixture
def coordinator(store: Store, world: World) -> Principal:
    return person(store, "coordinator")


def begin(store: Store, incident_id: int, rule: str = "EU-NIS2-EW", **more: datetime) -> int:
    with store.unit_of_work() as tx:
        return service.start(tx, lock_incident(tx, incident_id), rule, actor="system", **more).id


def duty(store: Store, number: int) -> Obligation:
    with store.read() as tx:
        return tx.get_one(Obligation, number)


def test_a_duty_runs_from_the_incidents_facts_and_begins_once(store: Store, incident_id: int) -> None:
    first, again = begin(store, incident_id), begin(store, incident_id)
    row = duty(store, first)
    assert first == again and row.state == "running" and row.basis == "aware_at"
    assert row.due_at == row.basis_at + 24 * HOUR
    with store.read() as tx:
        assert queries.of_incident(tx, incident_id)[0]["binding"] is False
    with pytest.raises(NotFound):
        begin(store, incident_id, "NO-SUCH-RULE")


def test_what_counts_from_another_submission_waits_for_it_and_then_counts_from_it_late_or_not(
    store: Store, incident_id: int, coordinator: Principal
) -> None:
    final, notice = begin(store, incident_id, "EU-NIS2-FR"), begin(store, incident_id, "EU-NIS2-IN")
    assert duty(store, final).state == "armed"
    submitted = clock.now() - timedelta(minutes=5)
    with store.unit_of_work() as tx:
        service.meet(tx, notice, principal=coordinator, at=submitted, evidence="Receipt 17")
    row = duty(store, final)
    assert (row.state, row.basis, row.basis_at) == ("running", "submitted_at:EU-NIS2-IN", submitted)


def test_closing_waits_for_every_duty_and_waiving_needs_right_and_reason(
    store: Store, incident_id: int, lawyer: Principal, coordinator: Principal
) -> None:
    number = begin(store, incident_id)
    with store.unit_of_work() as tx:
        transition(tx, incident_id, "resolved", principal=coordinator, outlook="stable")
    with pytest.raises(Refused) as blocked, store.unit_of_work() as tx:
        transition(tx, incident_id, "closed", principal=coordinator, note="Over.")
    assert [each.kind for each in blocked.value.blocked_by] == ["obligation"]
    officer = person(store, "duty-officer")
    with pytest.raises(NoRight), store.unit_of_work() as tx:
        service.set_aside(tx, number, principal=officer, state="waived", reason="Why not")
    with store.unit_of_work() as tx:
        service.set_aside(tx, number, principal=lawyer, state="not-applicable", reason="No essential entity.")
        transition(tx, incident_id, "closed", principal=coordinator, note="Over.")
    with store.read() as tx:
        one = queries.one(tx, number, principal=coordinator)
        assert (one["status"], one["said"]) == ("not-applicable", "No essential entity.")
        assert [each["kind"] for each in one["history"]][-1] == "obligation.not-applicable"
        assert not verify(tx).broken


def test_a_duplicate_is_marked_once_its_duties_are_settled_and_one_set_aside_may_begin_anew(
    store: Store, incident_id: int, lawyer: Principal, coordinator: Principal
) -> None:
    number = begin(store, incident_id)
    with store.unit_of_work() as tx:
        stays = reference_of(put_incident(tx))
    with pytest.raises(Refused) as blocked, store.unit_of_work() as tx:
        transition(tx, incident_id, "duplicate", principal=coordinator, duplicate_of=stays)
    assert [(each.kind, each.id) for each in blocked.value.blocked_by] == [("obligation", str(number))]
    with store.unit_of_work() as tx:
        service.set_aside(tx, number, principal=lawyer, state="superseded", reason="It runs on the one that stays.")
        transition(tx, incident_id, "duplicate", principal=coordinator, duplicate_of=stays)
    with pytest.raises(Refused):
        begin(store, incident_id, "EU-NIS2-IN")
    with store.unit_of_work() as tx:
        transition(tx, incident_id, "active", principal=coordinator, reason="Another one after all.")
    assert begin(store, incident_id) == number  # a playbook does not overrule who set it aside
    with store.unit_of_work() as tx:
        row = service.start(tx, lock_incident(tx, incident_id), "EU-NIS2-EW", actor=lawyer.actor, anew=True)
        again = service.start(tx, lock_incident(tx, incident_id), "EU-NIS2-EW", actor=lawyer.actor, anew=True)
        assert row.id == again.id != number and row.state == "running"


def test_a_deadline_moves_to_earlier_by_itself_and_to_later_only_by_a_person_who_may(
    store: Store, incident_id: int, coordinator: Principal
) -> None:
    number, now = begin(store, incident_id, "CH-ISG"), clock.now()
    assert duty(store, number).state == "armed"
    for instant in (now - HOUR, now - 3 * HOUR, now - 2 * HOUR):
        with store.unit_of_work() as tx:
            change_incident(tx, incident_id, {"detected_at": instant}, principal=coordinator)
        drain(store)
    row = duty(store, number)
    assert row.due_at == now + 21 * HOUR and row.later_at == now + 22 * HOUR
    officer = person(store, "duty-officer")
    with pytest.raises(Refused), store.unit_of_work() as tx:
        service.give_basis(tx, number, principal=officer, reason="The log says so.")
    with store.unit_of_work() as tx:
        service.give_basis(tx, number, principal=coordinator, reason="The log says so.")
    row = duty(store, number)
    assert (row.due_at, row.later_at) == (now + 22 * HOUR, None)


def test_the_owner_and_the_duty_role_are_warned_once_for_each_mark_and_of_lateness(
    store: Store, incident_id: int, coordinator: Principal
) -> None:
    person(store, "duty-officer")
    with settings_of(store, smtp_url="smtp://127.0.0.1:1"):
        with store.unit_of_work() as tx:
            tx.get_one(Incident, incident_id).owner_id = coordinator.user_id
        number = begin(store, incident_id, "SG-CII-2H")  # half of its two hours is over
        drain(store)
        assert duty(store, number).told == ["50%", "1h"]
        with store.read() as tx:
            told = tx.execute(select(Alert.user_id).where(Alert.kind == "notice")).scalars().all()
            assert len(told) == 2 and coordinator.user_id in told
            waits = tx.execute(select(Pending.ready_at).where(Pending.kind == "obligation.due")).scalars().all()
        assert min(waits) == duty(store, number).basis_at + timedelta(minutes=90)
        with store.unit_of_work() as tx:
            service.give_basis(tx, number, principal=coordinator, at=clock.now() - 3 * HOUR, reason="Earlier.")
        drain(store)
        assert duty(store, number).told[-1] == "overdue"
    with store.unit_of_work() as tx:
        service.meet(tx, number, principal=coordinator, at=clock.now(), evidence="By phone, then in writing.")
    with store.read() as tx:
        assert queries.of_incident(tx, incident_id)[0]["status"] == "met-late"


def test_a_rule_is_advisory_until_a_legal_reviewer_signs_that_very_version(
    store: Store, incident_id: int, lawyer: Principal, coordinator: Principal
) -> None:
    with store.read() as tx:
        rule = tx.execute(select(ObligationRule).where(ObligationRule.rule == "EU-NIS2-EW")).scalar_one()
    with pytest.raises(NoRight), store.unit_of_work() as tx:
        register.sign_rule(tx, rule.id, principal=coordinator, note="Looks right.")
    with store.unit_of_work() as tx:
        register.sign_rule(tx, rule.id, principal=lawyer, note="Read against the Official Journal.")
        assert register.ship_rules(tx) == []
    assert begin(store, incident_id) and queries_of(store, incident_id)["binding"] is True
    with store.unit_of_work() as tx:
        line = register.put_rule(tx, {**rule.terms, "note": "As transposed."}, actor="cli:test")
    assert line == "clock rule EU-NIS2-EW: version 2, advisory"
    assert queries_of(store, incident_id)["version"] == 1  # what runs keeps its version


def queries_of(store: Store, incident_id: int) -> dict:
    with store.read() as tx:
        return queries.of_incident(tx, incident_id)[0]
