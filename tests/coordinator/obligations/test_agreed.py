"""Duties that agreements bring: begun by themselves when what they wait for happens, and once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.incidents import intake
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking
from coordinator.obligations import agreed, register
from coordinator.obligations.models import Obligation, ObligationRule
from coordinator.partners.models import Organisation
from coordinator.partners.queries import intake_endpoint
from coordinator.store import Store
from tests.alerting import agreement, put_incident
from tests.factories import World, native, small_world
from tests.workers.drained import drain

CLAUSES = {"clause_refs": {"request_answer_due": "Art. 6", "notification_duties": "Art. 5"}}


@pytest.fixture
def tx(sqlite_store: Store) -> Any:
    with sqlite_store.unit_of_work() as tx:
        register.ship_rules(tx)
        yield tx


@pytest.fixture
def world(sqlite_store: Store) -> World:
    return small_world(sqlite_store)


def duties(tx: Session, incident: Incident) -> list[tuple[Obligation, dict[str, Any]]]:
    agreed.begin(tx, incident.id)
    agreed.begin(tx, incident.id)  # a job may come twice
    of_rule = ObligationRule.id == Obligation.rule_version_id
    query = select(Obligation, ObligationRule.terms).join(ObligationRule, of_rule)
    rows = tx.execute(query.where(Obligation.incident_id == incident.id).order_by(Obligation.id))
    return [(row.Obligation, row.terms) for row in rows]


def message(tx: Session, incident: Incident, world: World, **said: Any) -> ItemVersion:
    return write_item(
        tx, kind="details", content={"tlp": "GREEN", **said}, marking=Marking(tlp="GREEN"), author="endpoint:fi-in",
        info_category="incident-notification", incident=incident, originator_id=world.partner_id,
    )  # fmt: skip


def test_what_a_party_asks_is_to_be_answered_in_the_time_of_the_agreement(world: World, tx: Session) -> None:
    incident = put_incident(tx)
    message(tx, incident, world)
    agreement(tx, request_answer_due="PT4H", **CLAUSES)
    assert duties(tx, incident) == [], "it asks for nothing"
    came = message(tx, incident, world, asks="Which servers?").created_at
    [(duty, rule)] = duties(tx, incident)
    assert (duty.state, duty.due_at, rule["to"]) == ("running", came + timedelta(hours=4), "FI-CSIRT")
    assert rule["instrument"].startswith("Agreement MOU, Art. 6")
    duty.state, duty.settled_at, duty.met_at = "met", clock.now(), clock.now()
    tx.flush()
    assert len(duties(tx, incident)) == 1, "answered"
    message(tx, incident, world, asks="And since when?")
    assert [duty.state for duty, _rule in duties(tx, incident)] == ["met", "running"]


def test_nothing_is_begun_under_an_agreement_that_is_not_in_force_or_on_an_incident_that_is_over(
    world: World, tx: Session
) -> None:
    incident = put_incident(tx)
    message(tx, incident, world, asks="Which servers?")
    agreement(tx, request_answer_due="PT4H", terminated_on=clock.rfc3339(clock.now()))
    assert duties(tx, incident) == []
    agreement(tx, request_answer_due="PT4H")
    incident.status = "closed"
    tx.flush()
    assert duties(tx, incident) == []


def test_a_party_whose_state_is_affected_is_to_be_told(world: World, tx: Session) -> None:
    tx.execute(update(Organisation).where(Organisation.id == world.partner_id).values(country="FI"))
    theirs, elsewhere, by_them = (put_incident(tx), put_incident(tx), put_incident(tx, source_id=world.partner_id))
    elsewhere.states_affected = ["LV"]
    agreement(tx, notification_duties=["AGR-NOTIFY", "AGR-BREACH", "NO-SUCH-RULE"], **CLAUSES)
    [(duty, rule)] = duties(tx, theirs)
    assert duty.rule == "AGR-NOTIFY-MOU-FI-CSIRT" and rule["instrument"].startswith("Agreement MOU, Art. 5")
    assert duty.basis_at and duty.due_at == duty.basis_at + timedelta(hours=24)
    assert duties(tx, elsewhere) == duties(tx, by_them) == []


@pytest.mark.parametrize(("agreement_key", "party"), [("mou_fi.2", "FI"), ("M" * 60, "FI-CSIRT"), ("MOU", "FI")])
def test_the_name_of_such_a_rule_is_one_the_table_takes(agreement_key: str, party: str) -> None:
    name = agreed.name_of("AGR-ACK", agreement_key, party)
    assert len(name) <= 60 and set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
    assert name != agreed.name_of("AGR-ACK", agreement_key.upper() + "X", party)


def test_a_report_that_asks_begins_the_clock_when_it_opens_an_incident_and_when_it_comes_in_later(
    sqlite_store: Store, world: World
) -> None:
    with sqlite_store.unit_of_work() as tx:
        register.ship_rules(tx)
        agreement(tx, request_answer_due="PT4H")

    def sent(number: int, **said: Any) -> list[tuple[str, str]]:
        raw = json.dumps(native(external_id="FI-7", title=f"Report {number}", **said)).encode()
        with sqlite_store.unit_of_work() as tx:
            endpoint = intake_endpoint(tx, world.endpoint)
            kept = intake.keep_raw(tx, via="webhook", media_type="application/json", raw=raw, endpoint=endpoint,
                                   message_id=f"msg-{number}")  # fmt: skip
        with sqlite_store.unit_of_work() as tx:
            intake.read_report(tx, kept.report_id)
        drain(sqlite_store)
        with sqlite_store.read() as tx:
            return [tuple(row) for row in tx.execute(select(Obligation.rule, Obligation.state))]  # type: ignore[misc]

    assert sent(1) == []
    assert sent(2, asks="Which servers?") == [("AGR-ACK-MOU-FI-CSIRT", "running")]
    assert sent(3, asks="And since when?") == [("AGR-ACK-MOU-FI-CSIRT", "running")], "the first clock runs still"
