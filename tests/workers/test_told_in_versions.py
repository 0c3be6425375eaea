"""What an alert step tells: each recipient what they may have of it, and nobody waits for what another may not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts import versions
from coordinator.alerts.models import Alert, Delivery
from coordinator.incidents.models import ChosenFact, Incident
from coordinator.incidents.service import transition
from coordinator.markings import Marking
from coordinator.sharing.inputs_from_world import label_raised, text_of
from coordinator.sharing.models import Release, ReleaseVersion, ShareDecision
from coordinator.store import Store
from tests.alerting import agreement, mailbox, put_contact, put_organisation, settings_of
from tests.factories import OTHER, PARTNER, World, person
from tests.playbooks.documents import action, document, end
from tests.workers.drained import drain
from tests.workers.running import Running, run_of
from tests.workers.test_shared_in_versions import note
from tests.workers.test_steps_partners import ACK, ALL, answer

CATEGORY = "incident-notification"
TOLD_KINDS = ("initial", "update", "correction")


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    return sqlite_store


@pytest.fixture
def officer(store: Store, world: World) -> Iterator[Principal]:
    """Two partners by mail: with one we may share AMBER, with the other GREEN."""
    with store.unit_of_work() as tx:
        for code, ceiling in ((PARTNER, "AMBER"), (OTHER, "GREEN")):
            put_organisation(tx, code)
            put_contact(tx, mailbox(f"desk@{code.lower()}.example"), mailbox(f"second@{code.lower()}.example"),
                        code=code, organisation=code)  # fmt: skip
            agreement(tx, agreement_id=f"MOU-{code}", code=code, ceiling=ceiling)
    with settings_of(store, smtp_url="smtp://127.0.0.1:1", base_url="https://desk.example"):
        yield person(store, "coordinator")


def alerted(
    store: Store, hold: Callable[[Session, Incident], Any], officer: Principal, *, then: dict[str, Any] | None = None,
    **more: Any,
) -> Running:  # fmt: skip
    """A run that tells both partners of an incident of which `hold` put down what is known; `then` once more."""
    wait = {"kind": "wait", "event": "status", "match": {"status": "monitoring"}}
    alert = {"kind": "alert", "message": "initial", "audience": {"organisations": [PARTNER, OTHER]},
             "purpose": "incident-response", "attribution": "named", "out": {"all_acknowledged": "__all__"},
             "category": CATEGORY, **more}  # fmt: skip
    steps = {"w": action(work=wait, on_completion="a"), "end": end(),
             "a": action(work=alert, on_completion="b" if then else "end", out_args=["__all__"])}  # fmt: skip
    if then:
        steps["b"] = action(work=alert | then, on_completion="end", out_args=["__all__"])
    run = run_of(store, document(steps, "w", variables=ALL), with_incident=True)
    with store.unit_of_work() as tx:
        incident = tx.get_one(Incident, run.incident_id)
        incident.title, incident.classification = "", "availability/ddos"
        hold(tx, incident)
        transition(tx, incident.id, "monitoring", principal=officer)
    drain(store)
    return run


def known(tx: Session, incident: Incident, *, title: dict[str, Any] | None = None, **summary: Any) -> None:
    note(tx, incident, "Outage at a hospital", kind="title", category=CATEGORY, **(title or {}))
    note(tx, incident, "The mail gateway was the way in.", kind="summary", category=CATEGORY, **summary)


def told(store: Store) -> dict[str, list[str]]:
    """Recipient -> title and text of what was told them, by what went first."""
    found: dict[str, list[str]] = {}
    with store.read() as tx:
        query = select(Alert.recipient, Release).join(Release, Release.id == Alert.release_id).order_by(Alert.id)
        for code, row in tx.execute(query.where(Release.kind.in_(TOLD_KINDS))):
            found.setdefault(code, []).append("\n".join(text_of(tx, row)))
    return found


def reasons(store: Store, code: str) -> set[str]:
    """Why parts were left out for this recipient."""
    with store.read() as tx:
        rows = tx.execute(select(ReleaseVersion.left_out)).scalars()
        return {reason for row in rows for several in row.get(code, {}).values() for reason in several}


def labels(store: Store) -> dict[str, str]:
    with store.read() as tx:
        query = select(Alert.recipient, Release.marking).join(Release, Release.id == Alert.release_id)
        return {code: Marking.from_json(marking).effective.value for code, marking in tx.execute(query)}


@pytest.mark.parametrize(("bound", "why", "label"), [
    ({"tlp": "AMBER"}, "D-NO-AGREEMENT", "AMBER"), ({"not_rel_to": [OTHER]}, "D-NOT-RELEASABLE", "GREEN"),
    ({"rel_to": [PARTNER]}, "D-REL-LIST", "GREEN"),
])  # fmt: skip
def test_who_may_not_have_the_summary_is_told_the_rest_of_it_and_nobody_less_for_their_sake(
    store: Store, officer: Principal, bound: dict[str, Any], why: str, label: str
) -> None:
    run = alerted(store, lambda tx, incident: known(tx, incident, **bound), officer, ack=ACK)
    said = {code: text for code, [text] in told(store).items()}
    assert set(said) == {PARTNER, OTHER} and run.state == "waiting"
    assert "gateway" in said[PARTNER]
    assert "gateway" not in said[OTHER] and "hospital" not in said[OTHER]
    assert all("Type of incident: " in text and "tell us what you see" in text for text in said.values())
    assert why in reasons(store, OTHER) and reasons(store, PARTNER) == set()
    assert labels(store) == {PARTNER: label, OTHER: "GREEN"}


def test_answers_to_every_version_count_and_reminders_go_to_whoever_is_silent(
    store: Store, officer: Principal
) -> None:
    chain = [{"after": "PT10M", "remind": True}]
    run = alerted(store, lambda tx, incident: known(tx, incident, tlp="AMBER"), officer, ack=ACK, chain=chain)
    with store.unit_of_work() as tx:
        alerts = {each.recipient: each for each in tx.execute(select(Alert)).scalars()}
        for each in tx.execute(select(Delivery)).scalars():
            each.state = "handed-over"
    answer(store, alerts[PARTNER])
    assert run.state == "waiting" and run.variables["__all__"] == "false"
    with time_machine.travel(clock.now() + timedelta(minutes=11), tick=False):
        drain(store)
        with store.read() as tx:
            again = tx.execute(select(Delivery.alert_id).where(Delivery.state == "queued")).scalars().all()
    assert again == [alerts[OTHER].id]
    answer(store, alerts[OTHER])
    assert run.state == "completed" and run.variables["__all__"] == "true"


@pytest.mark.parametrize("attribution", ["withhold", "technical", "named"])
def test_what_attribution_withholds_is_in_no_version(
    store: Store, officer: Principal, world: World, attribution: str
) -> None:
    def hold(tx: Session, incident: Incident) -> None:
        note(tx, incident, f"{PARTNER} has an outage", kind="title", category=CATEGORY)
        note(tx, incident, f"Group X did it, says {PARTNER}.", kind="summary", category="attribution-assessment",
             originator_id=world.partner_id)  # fmt: skip
        tx.flush()
        incident.originator_id = world.partner_id

    with store.unit_of_work() as tx:  # what may be told of an attribution, so that the step alone decides
        agreement(tx, agreement_id=f"MOU-{OTHER}", code=OTHER, ceiling="GREEN",
                  info_categories_allowed=[CATEGORY, "attribution-assessment"])  # fmt: skip
    alerted(store, hold, officer, attribution=attribution)
    with store.read() as tx:
        asked = [*tx.execute(select(Release).where(Release.kind == "initial")).scalars()]
        texts = ["\n".join(text_of(tx, row)) for row in asked]
        assert {Marking.from_json(row.marking).no_attribution for row in asked} == {attribution == "withhold"}
    assert any(PARTNER in text for text in texts) == (attribution != "withhold")
    assert any("Group X" in text for text in texts) == (attribution == "named")


def test_of_a_text_of_the_playbook_only_what_may_not_go_is_left_out(store: Store, officer: Principal) -> None:
    template = "Please look at your logs.\n\n{summary}\n\n{facts}\n\nCall us."
    alerted(store, lambda tx, incident: known(tx, incident, not_rel_to=[OTHER]), officer, message="update",
            template=template)  # fmt: skip
    with store.read() as tx:
        noticed = clock.rfc3339(tx.execute(select(Incident.noticed_at)).scalar_one())
    facts = (f"Status: monitoring\nType of incident: Availability: Distributed Denial of Service\n"
             f"States affected: Finland\nNoticed: {noticed}")  # fmt: skip
    said = {code: text.partition("\n")[2] for code, [text] in told(store).items()}
    assert said[PARTNER] == f"Please look at your logs.\n\nThe mail gateway was the way in.\n\n{facts}\n\nCall us."
    assert said[OTHER] == f"Please look at your logs.\n\n{facts}\n\nCall us."


def test_a_summary_in_the_midst_of_words_takes_the_words_with_it(store: Store, officer: Principal) -> None:
    alerted(store, lambda tx, incident: known(tx, incident, not_rel_to=[OTHER]), officer,
            template="It began so: {summary}\n\n{facts}")  # fmt: skip
    said = {code: text for code, [text] in told(store).items()}
    assert "It began so: The mail" in said[PARTNER]
    assert "began" not in said[OTHER] and "States affected" in said[OTHER]


def test_words_left_out_of_one_text_do_not_keep_the_words_of_the_next_one_back(
    store: Store, officer: Principal
) -> None:
    alerted(store, lambda tx, incident: known(tx, incident, not_rel_to=[OTHER]), officer,
            template="It began so: {summary}\n\n{facts}",
            then={"message": "correction", "template": "It is over.\n\n{summary}"})  # fmt: skip
    assert told(store)[OTHER][1] == "Correction\nIt is over."


def test_a_fact_that_a_person_chose_from_one_source_is_left_out_alone(
    store: Store, officer: Principal, world: World
) -> None:
    def hold(tx: Session, incident: Incident) -> None:
        known(tx, incident)
        details = note(tx, incident, {"states_affected": ["FI"]}, kind="details", category=CATEGORY,
                       originator_id=world.partner_id, not_rel_to=[OTHER])  # fmt: skip
        tx.add(ChosenFact(incident_id=incident.id, name="states_affected", item_version_id=details.id,
                          chosen_at=clock.now(), chosen_by="user:1", exercise=""))  # fmt: skip

    alerted(store, hold, officer)
    said = told(store)[OTHER][0]
    assert "States affected" not in said and "Type of incident" in said and "gateway" in said


def test_where_nothing_may_go_the_refusal_stands_on_record_and_the_others_are_told(
    store: Store, officer: Principal
) -> None:
    def hold(tx: Session, incident: Incident) -> None:
        known(tx, incident)
        incident.marking = Marking(tlp="GREEN", not_rel_to=[OTHER]).to_json()

    alerted(store, hold, officer)
    assert set(told(store)) == {PARTNER}
    with store.read() as tx:
        said = tx.execute(select(ShareDecision).where(ShareDecision.recipient == OTHER)).scalar_one()
        assert (said.result, said.reasons) == ("deny", ["D-NOT-RELEASABLE"])


def test_who_has_nobody_that_may_be_told_one_part_is_told_the_others(store: Store, officer: Principal) -> None:
    with store.unit_of_work() as tx:
        agreement(tx, agreement_id=f"MOU-{OTHER}", code=OTHER, ceiling="AMBER")
        put_contact(tx, mailbox(f"desk@{OTHER.lower()}.example"), code=OTHER, organisation=OTHER, tlp_max="GREEN")
    alerted(store, lambda tx, incident: known(tx, incident, tlp="AMBER"), officer)
    assert "gateway" not in told(store)[OTHER][0] and reasons(store, OTHER) == {versions.NO_WAY}


def test_a_version_that_says_what_the_incident_is_holds_no_longer_once_the_incident_is_bound_more_strictly(
    store: Store, officer: Principal
) -> None:
    run = alerted(store, lambda tx, incident: known(tx, incident, not_rel_to=[OTHER]), officer)
    with store.read() as tx:
        rows = tx.execute(select(Release).where(Release.kind == "initial")).scalars().all()
        assert [label_raised(tx, row) for row in rows] == [False, False]
    with store.unit_of_work() as tx:
        tx.get_one(Incident, run.incident_id).tlp = "AMBER"
    with store.read() as tx:
        assert [label_raised(tx, tx.get_one(Release, row.id)) for row in rows] == [True, True]


def test_nothing_above_the_ceiling_of_the_step_is_told_its_title_neither(store: Store, officer: Principal) -> None:
    def hold(tx: Session, incident: Incident) -> None:
        known(tx, incident, title={"tlp": "AMBER"})

    alerted(store, hold, officer, tlp_max="GREEN")
    assert [texts[0].partition("\n")[0] for texts in told(store).values()] == ["Notification", "Notification"]
    run = alerted(store, lambda tx, incident: known(tx, incident, tlp="AMBER"), officer, tlp_max="GREEN")
    assert run.state == "needs-attention"
