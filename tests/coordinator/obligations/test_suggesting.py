"""What rules suggest on an incident: a severity and duties, with reasons; only a person answers."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.accounts.principal import Principal
from coordinator.assessments import queries as assessments
from coordinator.assessments import service as assessing
from coordinator.assessments.suggesting import severity_rules, suggest
from coordinator.errors import Invalid, NoRight, Refused
from coordinator.incidents.models import Incident
from coordinator.obligations import queries, register
from coordinator.obligations.suggesting import duties_that_may_apply, offered
from coordinator.store import Store
from coordinator.timeline.verify import verify
from tests.alerting import put_incident
from tests.factories import World, person


@pytest.mark.parametrize(
    ("facts", "level", "unknown"),
    [
        ({}, None, ()),
        ({"sectors": ["food"], "states_affected": ["FI"]}, None, ()),
        ({"suspected_malicious": "yes"}, 1, ("humanitarian_flags", "sectors", "states_affected")),
        ({"states_affected": ["FI", "LV"]}, 2, ("humanitarian_flags",)),
        ({"sectors": ["health"], "humanitarian_flags": ["hospital-or-medical"]}, 3, ()),
        ({"humanitarian_flags": ["life-at-risk", "elections"], "states_affected": ["FI", "LV"]}, 4, ()),
    ],
)
def test_facts_raise_the_suggested_level_and_say_why_and_what_is_unknown(
    facts: dict[str, Any], level: int | None, unknown: tuple[str, ...]
) -> None:
    found = suggest(facts)
    assert (found.level if found else None) == level
    if found:
        assert found.unknown == unknown and found.reasons[0]["level"] == level
        assert all(": " in each["text"] and each["source"] for each in found.reasons)


def test_one_more_fact_never_lowers_the_suggestion() -> None:
    facts: dict[str, Any] = {"humanitarian_flags": ["hospital-or-medical"]}
    before = suggest(facts)
    for rule in severity_rules():
        value = ["FI", "LV"] if "at_least" in rule else rule.get("in", rule.get("is"))
        facts |= {rule["fact"]: [*facts.get(rule["fact"], []), *value] if isinstance(value, list) else value}
        after = suggest(facts)
        assert before and after and after.level >= before.level
        before = after


@pytest.fixture
def incident_id(store: Store, world: World) -> int:
    with store.unit_of_work() as tx:
        register.ship_rules(tx)
        row = put_incident(tx, severity=1, severity_by="reporter")
        row.humanitarian_flags = ["hospital-or-medical"]
        return row.id


def answer(store: Store, incident_id: int, by: Principal, level: int | None, reason: str = "", mark: str = "") -> None:
    with store.unit_of_work() as tx:
        found = assessing.standing_suggestion(tx, tx.get_one(Incident, incident_id))
        assessing.answer_suggestion(tx, incident_id, principal=by, mark=mark or (found.mark if found else ""),
                                    level=level, reason=reason)  # fmt: skip


def seen(store: Store, incident_id: int) -> tuple[int | None, Any, list[Any]]:
    with store.read() as tx:
        row = tx.get_one(Incident, incident_id)
        assert not verify(tx).broken
        return row.severity, assessing.standing_suggestion(tx, row), assessments.of_incident(tx, incident_id)


@pytest.mark.parametrize(("level", "reason", "state"), [(3, "", "accepted"), (5, "More.", "accepted"),
                                                        (None, "A drill.", "rejected")])  # fmt: skip
def test_only_a_person_sets_what_the_facts_suggest_and_it_is_answered_once(
    store: Store, incident_id: int, level: int | None, reason: str, state: str
) -> None:
    coordinator, analyst = person(store, "coordinator"), person(store, "analyst")
    severity, found, _ = seen(store, incident_id)
    assert (severity, found.level) == (1, 3)  # suggested, not set
    with pytest.raises(NoRight):
        answer(store, incident_id, analyst, 3)
    with pytest.raises(Refused):
        answer(store, incident_id, coordinator, 3, mark="another")
    for without in ({"level": 5}, {"level": None}):
        with pytest.raises(Invalid):
            answer(store, incident_id, coordinator, **without)
    answer(store, incident_id, coordinator, level, reason)
    severity, found, rows = seen(store, incident_id)
    assert (severity, found) == (1 if level is None else level, None)
    assert (rows[0]["state"], rows[0]["suggested_by"], rows[0]["author"]) == (state, "rule", coordinator.actor)
    with pytest.raises(Refused):
        answer(store, incident_id, coordinator, level, reason)
    with store.unit_of_work() as tx:
        tx.get_one(Incident, incident_id).humanitarian_flags = ["life-at-risk"]
    again = seen(store, incident_id)[1]
    assert (again.level if again else None) == (None if level == 5 else 4)  # other facts, asked anew unless as high


FACTS = {"states_affected": ["FI", "LV"], "sectors": ["health"], "severity": 3, "classification": "undetermined"}


@pytest.mark.parametrize(
    ("facts", "rules"),
    [
        ({}, set()), (FACTS, {"EU-NIS2-EW", "EU-NIS2-IN", "EU-NIS2-XB"}), ({**FACTS, "severity": 2}, set()),
        ({**FACTS, "severity": None}, set()),
        ({"states_affected": ["FI"], "humanitarian_flags": ["protected-persons-data"]}, {"EU-GDPR-33"}),
        ({"states_affected": ["CH", "IN"], "sectors": ["energy"]}, {"CH-ISG", "IN-CERTIN"}),
    ],
)
def test_duties_are_offered_where_their_facts_hold_each_with_the_facts(facts: Any, rules: set[str]) -> None:
    shipped = [{**terms, "advisory": True} for terms in register.shipped_rules()]
    found = offered(facts, shipped, begun=())
    assert {each["rule"] for each in found} == rules
    assert all(each["because"] and each["advisory"] for each in found)
    assert offered(facts, shipped, begun=rules) == []


def test_an_offer_begins_nothing_and_names_only_rules_that_there_are(store: Store, incident_id: int) -> None:
    with store.unit_of_work() as tx:
        row = tx.get_one(Incident, incident_id)
        row.severity = 4
        assert [each["rule"] for each in duties_that_may_apply(tx, row)] == ["EU-NIS2-EW", "EU-NIS2-IN"]
        assert queries.of_incident(tx, incident_id) == []
        row.status = "closed"
        assert duties_that_may_apply(tx, row) == []
