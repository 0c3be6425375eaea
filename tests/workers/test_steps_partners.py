"""Steps that tell partners or wait for them: alerts with acknowledgements, sharing, waiting, time, called playbooks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select, update

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, Delivery
from coordinator.alerts.rungs import ack_token
from coordinator.incidents.holds import open_holds
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident
from coordinator.incidents.service import change_incident, transition
from coordinator.markings import Marking
from coordinator.runs.models import Run, Timer
from coordinator.sharing.approvals import approve, refuse
from coordinator.sharing.inputs_from_world import label_raised, text_of
from coordinator.sharing.models import Release, ShareDecision
from coordinator.store import Store
from tests.alerting import agreement, mailbox, put_contact, put_organisation, put_system, settings_of, webhook
from tests.factories import OTHER, PARTNER, World, person
from tests.playbooks.documents import action, document, end, line, sid
from tests.workers.drained import drain
from tests.workers.running import Running, keep, run_of

ALERT: dict[str, Any] = {
    "kind": "alert", "message": "initial", "audience": {"organisations": [PARTNER]}, "purpose": "incident-response",
    "category": "incident-notification", "out": {"all_acknowledged": "__all__"},
}  # fmt: skip
ACK = {"from": "each", "by": "person", "within": "PT1H", "on_expiry": "continue"}
ALL = {"__all__": {"type": "bool", "value": "false"}}


@pytest.fixture
def people(store: Store, world: World) -> Iterator[dict[str, Principal]]:
    with store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_contact(tx, mailbox(), mailbox("second@fi.example"))
        agreement(tx)
    roles = ("duty-officer", "coordinator", "release-authority", "legal-adviser")
    with settings_of(store, smtp_url="smtp://127.0.0.1:1"):  # mail can be raised here; nothing is sent in these tests
        yield {role: person(store, role) for role in roles}


def telling(work: dict[str, Any], **rest: Any) -> dict[str, Any]:
    step = action("Tell them", work=work, on_completion="end", out_args=["__all__"])
    return document({"a": step, "end": end()}, "a", variables=ALL, **rest)


def answer(store: Store, alert: Alert, what: str = "acknowledged", kind: str = "person") -> None:
    """The contact answers by the link of the newest delivery."""
    with store.unit_of_work() as tx:
        query = select(Delivery).where(Delivery.alert_id == alert.id).order_by(Delivery.id.desc())
        token = ack_token(tx, tx.execute(query).scalars().first())
        alerts.acknowledge(tx, token=token, kind=kind, by="Duty desk", answer=what, assurance="link")
    drain(store)


def raised(store: Store) -> list[Alert]:
    with store.read() as tx:
        return list(tx.execute(select(Alert).where(Alert.user_id.is_(None)).order_by(Alert.id)).scalars())


def test_an_alert_step_raises_what_is_permitted_and_ends_when_all_acknowledged(
    store: Store, people: dict[str, Principal]
) -> None:
    run = run_of(store, telling(ALERT | {"ack": ACK}), with_incident=True, started_by=people["coordinator"].actor)
    assert run.state == "waiting"
    alert = raised(store)[0]
    assert (alert.recipient, alert.ack) == (PARTNER, "person")
    answer(store, alert)
    assert run.state == "completed" and run.variables["__all__"] == "true"


def test_without_an_acknowledgement_asked_for_the_step_ends_when_they_are_told(
    store: Store, people: dict[str, Principal]
) -> None:
    run = run_of(store, telling(ALERT), with_incident=True)
    assert run.state == "completed" and len(raised(store)) == 1


def test_nobody_is_alerted_before_a_person_accepts_triage(store: Store, people: dict[str, Principal]) -> None:
    run = run_of(store, telling(ALERT), incident_status="triage")
    assert raised(store) == [] and [attempt.state for attempt in run.attempts()] == ["held"]
    with store.unit_of_work() as tx:
        transition(tx, run.incident_id, "active", principal=people["coordinator"])
    drain(store)
    assert len(raised(store)) == 1 and run.state == "completed"


def test_silence_ends_the_step_after_its_time_and_says_so(store: Store, people: dict[str, Principal]) -> None:
    run = run_of(store, telling(ALERT | {"ack": ACK}), with_incident=True)
    with time_machine.travel(clock.now() + timedelta(minutes=61), tick=False):
        drain(store)
    assert run.state == "completed" and run.variables["__all__"] == "false"


def test_the_chain_of_an_alert_reminds_and_goes_on_to_the_next_channel(
    store: Store, people: dict[str, Principal]
) -> None:
    chain = [{"after": "PT10M", "remind": True}, {"after": "PT20M", "to": "next-channel"}]
    run = run_of(store, telling(ALERT | {"ack": ACK, "chain": chain}), with_incident=True)
    with store.unit_of_work() as tx:  # as if the first mail had gone out
        tx.execute(select(Delivery)).scalars().one().state = "handed-over"
    now = clock.now()
    for minutes, deliveries in ((11, 2), (21, 3)):
        with time_machine.travel(now + timedelta(minutes=minutes), tick=False):
            drain(store)
            with store.unit_of_work() as tx:
                found = tx.execute(select(Delivery).order_by(Delivery.id)).scalars().all()
                assert len(found) == deliveries
                found[-1].state = "handed-over"
    assert len({found.channel_id for found in _deliveries(store)}) == 2
    assert {step["what"] for step in run.said("run.step")} >= {"reminded", "escalated"}


def test_a_refused_clearance_counts_as_refused(store: Store, people: dict[str, Principal]) -> None:
    waiting = referred(store, people)
    run = waiting[0]
    with store.unit_of_work() as tx:
        refuse(tx, waiting[1], principal=people["release-authority"], reason="Not now.")
    drain(store)
    assert run.variables["__all__"] == "false" and run.state == "completed" and raised(store) == []


def test_a_cleared_release_is_told_and_then_waits_for_its_acknowledgement(
    store: Store, people: dict[str, Principal]
) -> None:
    run, decision_id = referred(store, people)
    with store.unit_of_work() as tx:
        approve(tx, decision_id, principal=people["release-authority"])
    drain(store)
    assert run.state == "waiting" and len(raised(store)) == 1
    answer(store, raised(store)[0])
    assert run.state == "completed" and run.variables["__all__"] == "true"


def referred(store: Store, people: dict[str, Principal]) -> tuple[Running, int]:
    """A run whose alert waits for clearance by a second person, because of its label; and the decision."""
    with store.unit_of_work() as tx:
        put_system(tx, "https://csirt.fi.example/hook")
        put_contact(tx, webhook(), tlp_max="AMBER+STRICT")
        agreement(tx, ceiling="AMBER+STRICT")
    run = run_of(store, telling(ALERT | {"ack": ACK}), tlp="AMBER+STRICT", started_by=people["coordinator"].actor)
    assert run.state == "waiting" and raised(store) == []
    with store.read() as tx:
        return run, tx.execute(select(ShareDecision.id).where(ShareDecision.result == "refer")).scalar_one()


def test_a_second_alert_goes_to_those_who_stayed_silent(store: Store, people: dict[str, Principal]) -> None:
    with store.unit_of_work() as tx:
        put_organisation(tx, "SE-CSIRT")
        put_contact(tx, mailbox("se@se.example"), code="se", organisation="SE-CSIRT")
    first = ALERT | {"message": "check", "category": "contact-check", "purpose": "situational-awareness",
                     "audience": {"organisations": [PARTNER, "SE-CSIRT"]}, "ack": ACK}  # fmt: skip
    again = first | {"audience": {"from_step": sid("a"), "where": "not-acknowledged"}}
    steps = {
        "a": action("First", work=first, on_completion="b"), "b": action("Again", work=again, on_completion="end"),
        "end": end(),
    }  # fmt: skip
    run = run_of(store, document(steps, "a", variables=ALL))
    told = raised(store)
    assert {alert.recipient for alert in told} == {PARTNER, "SE-CSIRT"}
    answer(store, next(alert for alert in told if alert.recipient == PARTNER))
    with time_machine.travel(clock.now() + timedelta(minutes=61), tick=False):
        drain(store)
    assert [alert.recipient for alert in raised(store)[2:]] == ["SE-CSIRT"] and run.state == "waiting"


def test_sharing_nothing_is_nothing_refused_and_a_mapped_result_says_so(
    store: Store, people: dict[str, Principal]
) -> None:
    work = {"kind": "share", "audience": {"organisations": [PARTNER]}, "items": ["technical-indicators"],
            "purpose": "network-defence", "out": {"result": "__shared__"}}  # fmt: skip
    step = action(work=work, on_completion="end", out_args=["__shared__"])
    variables = {"__shared__": {"type": "string", "value": ""}}
    run = run_of(store, document({"a": step, "end": end()}, "a", variables=variables), with_incident=True)
    assert run.state == "completed" and run.variables["__shared__"] == "deny"


@pytest.mark.parametrize(("attribution", "categories", "withheld"), [
    ("withhold", {"mitigation-guidance"}, True), ("technical", {"mitigation-guidance"}, False),
    ("named", {"mitigation-guidance", "attribution-assessment"}, False),
])  # fmt: skip
def test_a_share_step_leaves_out_what_its_attribution_withholds(
    store: Store, people: dict[str, Principal], attribution: str, categories: set[str], withheld: bool
) -> None:
    wait = {"kind": "wait", "event": "status", "match": {"status": "monitoring"}}
    share = {"kind": "share", "audience": {"organisations": [PARTNER]}, "purpose": "network-defence",
             "items": ["mitigation-guidance", "attribution-assessment"], "attribution": attribution}  # fmt: skip
    steps = {"w": action(work=wait, on_completion="a"), "a": action(work=share, on_completion="end"), "end": end()}
    run = run_of(store, document(steps, "w"), with_incident=True)
    with store.unit_of_work() as tx:
        incident = tx.get_one(Incident, run.incident_id)
        for category in ("mitigation-guidance", "attribution-assessment"):
            write_item(tx, kind="note", content=category, marking=Marking(tlp="GREEN"), info_category=category,
                       author="user:1", incident=incident)  # fmt: skip
        transition(tx, run.incident_id, "monitoring", principal=people["coordinator"])
    drain(store)
    with store.read() as tx:
        rows = list(tx.execute(select(Release).where(Release.kind == "update")).scalars())
    assert {row.info_category for row in rows} == categories
    assert {Marking.from_json(row.marking).no_attribution for row in rows} == {withheld}


# ---------------------------------------------------------------- waiting and time


def test_a_wait_goes_on_when_its_event_happens_and_not_before(store: Store, people: dict[str, Principal]) -> None:
    work = {"kind": "wait", "event": "status", "match": {"status": "monitoring"}}
    run = run_of(store, line_with(work), with_incident=True)
    assert run.state == "waiting"
    with store.unit_of_work() as tx:
        transition(tx, run.incident_id, "monitoring", principal=people["coordinator"])
    drain(store)
    assert run.state == "completed"


def test_a_wait_that_nothing_ends_is_told_each_week_and_goes_on_waiting(
    store: Store, people: dict[str, Principal]
) -> None:
    run = run_of(store, line_with({"kind": "wait", "event": "status"}), with_incident=True)
    for weeks in (1, 2):
        with time_machine.travel(clock.now() + timedelta(days=7 * weeks, minutes=1), tick=False):
            drain(store)
        assert [each["days"] for each in run.said("run.notice")] == [7, 14][:weeks] and run.state == "waiting"
    with store.unit_of_work() as tx:
        transition(tx, run.incident_id, "monitoring", principal=people["coordinator"])
    drain(store)
    with store.read() as tx:
        assert tx.execute(select(Timer.cancelled_at)).scalar_one() is not None
    assert run.state == "completed"


def test_a_delay_is_a_row_that_wakes_the_run_once(store: Store, people: dict[str, Principal]) -> None:
    steps = {"a": action(on_completion="end") | {"delay": 60_000}, "end": end()}
    run = run_of(store, document(steps, "a"))
    assert run.tasks() == []
    with time_machine.travel(clock.now() + timedelta(seconds=61), tick=False):
        drain(store)
        with store.unit_of_work() as tx:  # the same wake-up once more
            timer = tx.execute(select(Timer)).scalars().first()
            assert timer.fired_at is not None
            timeline.pending(tx, "timer", timer.id)
        drain(store)
    assert len(run.tasks()) == 1


def test_a_corrected_fact_moves_the_deadline_and_both_values_are_on_record(
    store: Store, people: dict[str, Principal]
) -> None:
    aware = clock.now().replace(microsecond=0)
    work = {"kind": "task", "role": "duty-officer", "due": {"within": "PT24H", "from": "incident.aware_at"}}
    run = run_of(store, line_with(work), aware_at=aware)
    assert run.tasks()[0].due_at == aware + timedelta(hours=24)
    with store.unit_of_work() as tx:
        earlier = {"aware_at": aware - timedelta(hours=2)}
        change_incident(tx, run.incident_id, earlier, principal=people["coordinator"])
    drain(store)
    assert run.tasks()[0].due_at == aware + timedelta(hours=22)
    moved = run.said("task.changed")[0]
    assert (moved["from"], moved["to"]) == tuple(clock.rfc3339(aware + timedelta(hours=h)) for h in (24, 22))


def test_a_paused_run_begins_nothing_and_goes_on_where_it_was(store: Store, people: dict[str, Principal]) -> None:
    run = run_of(store, line(), with_incident=True)
    run.ask("pause", people["coordinator"])
    run.done(people["duty-officer"])
    assert run.state == "paused" and run.tasks() == []
    run.ask("resume", people["coordinator"])
    assert run.state == "waiting" and len(run.tasks()) == 1


def test_a_cancelled_run_calls_its_tasks_off_and_lets_the_incident_go(
    store: Store, people: dict[str, Principal]
) -> None:
    run = run_of(store, line(), with_incident=True)
    run.ask("cancel", people["coordinator"])
    assert run.state == "cancelled" and run.tasks() == [] and len(run.tasks("cancelled")) == 1
    with store.read() as tx:
        assert open_holds(tx, run.incident_id) == []


def test_a_cancelled_run_takes_back_what_has_not_left_and_leaves_what_has(
    store: Store, people: dict[str, Principal]
) -> None:
    run = run_of(store, telling(ALERT | {"ack": ACK}), with_incident=True)
    run.ask("cancel", people["coordinator"])
    assert [alert.state for alert in raised(store)] == ["withdrawn"]
    with store.read() as tx:
        assert open_holds(tx, run.incident_id) == []

    again = run_of(store, telling(ALERT | {"ack": ACK}), with_incident=True)
    with store.unit_of_work() as tx:
        tx.execute(update(Delivery).where(Delivery.state == "queued").values(state="handed-over"))
        tx.execute(update(Alert).where(Alert.state == "queued").values(state="handed-over"))
    again.ask("cancel", people["coordinator"])
    assert [alert.state for alert in raised(store)] == ["withdrawn", "handed-over"]


def test_a_cancelled_run_asks_nobody_to_clear_any_more(
    store: Store, world: World, people: dict[str, Principal]
) -> None:
    with store.unit_of_work() as tx:
        put_organisation(tx, OTHER)
        put_contact(tx, mailbox("desk@lv.example"), code="lv", organisation=OTHER)
    step = ALERT | {"ack": ACK, "audience": {"organisations": [OTHER]}}
    run = run_of(store, telling(step), originator_id=world.partner_id, source_id=world.partner_id)
    with store.read() as tx:
        assert {hold.kind for hold in open_holds(tx, run.incident_id)} == {"run", "clearance"}
    run.ask("cancel", people["coordinator"])
    with store.read() as tx:
        assert open_holds(tx, run.incident_id) == []
        assert tx.execute(select(Release.state).where(Release.kind == "initial")).scalar_one() == "withdrawn"


def test_the_text_of_a_step_is_bound_by_the_incident_and_by_what_it_was_made_from(
    store: Store, people: dict[str, Principal]
) -> None:
    run = run_of(store, telling(ALERT | {"template": "{title}: see {unknown}.\n{facts}"}), with_incident=True)
    with store.unit_of_work() as tx:
        release = tx.execute(select(Release).where(Release.kind == "initial")).scalar_one()
        assert text_of(tx, release)[1].startswith("Ransomware at a hospital: see {unknown}.\n")
        assert not label_raised(tx, release)
        tx.get_one(Incident, run.incident_id).tlp = "AMBER"
        tx.flush()
        assert label_raised(tx, release)


# ---------------------------------------------------------------- playbooks that call playbooks


def test_a_called_playbook_runs_as_a_run_of_its_own_and_gives_its_values_back(
    store: Store, people: dict[str, Principal]
) -> None:
    fields = {"__all__": {"label": "All?", "type": "bool", "required": True}}
    called = telling({"kind": "task", "role": "duty-officer", "fields": fields}) | {"id": CALLED}
    keep(store, called)
    step = {"type": "playbook-action", "name": "Call", "playbook_id": CALLED, "out_args": ["__all__"],
            "on_completion": sid("end")}  # fmt: skip
    run = run_of(store, document({"playbook-action:a": step, "end": end()}, "playbook-action:a", variables=ALL))
    with store.read() as tx:
        child = tx.execute(select(Run).where(Run.once_key.startswith("attempt:"))).scalar_one()
    Running(store, child.id, None).done(people["duty-officer"], __all__="yes")
    assert run.state == "completed" and run.variables["__all__"] == "true"


def test_cancelling_a_run_cancels_the_run_it_called(store: Store, people: dict[str, Principal]) -> None:
    keep(store, line() | {"id": CALLED})
    step = {"type": "playbook-action", "name": "Call", "playbook_id": CALLED, "on_completion": sid("end")}
    run = run_of(store, document({"playbook-action:a": step, "end": end()}, "playbook-action:a"))
    run.ask("cancel", people["coordinator"])
    with store.read() as tx:
        assert set(tx.execute(select(Run.state)).scalars()) == {"cancelled"}


CALLED = "playbook--8d5493cf-27e6-4591-a895-0aa842644b3e"


def line_with(work: dict[str, Any]) -> dict[str, Any]:
    return document({"a": action(work=work, on_completion="end"), "end": end()}, "a")


def _deliveries(store: Store) -> list[Delivery]:
    with store.read() as tx:
        return list(tx.execute(select(Delivery)).scalars())




@pytest.mark.parametrize(("key", "state"), [("MOU", "completed"), ("GONE", "needs-attention")])
def test_a_share_step_that_rests_on_an_agreement_fails_where_it_is_not_in_force(
    store: Store, people: dict[str, Principal], key: str, state: str
) -> None:
    work = {"kind": "share", "audience": {"organisations": [PARTNER]}, "items": ["technical-indicators"],
            "purpose": "network-defence", "agreement": key}  # fmt: skip
    run = run_of(store, document({"a": action(work=work, on_completion="end"), "end": end()}, "a"), with_incident=True)
    assert run.state == state
