"""Our own people are told again, and others in their stead, while nobody has taken something up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from coordinator import clock, timeline
from coordinator.alerts.models import Alert
from coordinator.incidents.service import transition
from coordinator.sharing.models import Release
from coordinator.store import Store
from coordinator.tasks.service import open_task
from coordinator.timeline.models import Pending
from coordinator.upkeep import doctor
from tests.alerting import MailBox, mail_server, put_incident, settings_of
from tests.factories import World, person
from tests.releasing import referred
from tests.workers.drained import drain
from workers import jobs


@pytest.fixture
def desk(store: Store, world: World) -> Iterator[Store]:
    with mail_server(MailBox()) as url, settings_of(store, smtp_url=url):
        for role in ("duty-officer", "coordinator", "release-authority"):
            person(store, role)
        yield store


def told(store: Store) -> list[tuple[str, str]]:
    """Who was told which notice, in order."""
    with store.read() as tx:
        rows = tx.execute(select(Alert, Release).join(Release, Release.id == Alert.release_id).order_by(Alert.id)).all()
        names = {each.actor: each.role for each in _people(store)}
        return [(names[alert.recipient], release.facts["notice"]) for alert, release in rows if alert.user_id]


def _people(store: Store) -> list[Any]:
    from coordinator.accounts.principal import Principal
    from coordinator.accounts.service import users

    with store.read() as tx:
        return [Principal(row.id, row.name, row.role) for row in users(tx)]


def pass_to(store: Store, at: datetime) -> None:
    with time_machine.travel(at, tick=True):
        drain(store, leave=())


def opened(store: Store, kind: str, *flags: str) -> int:
    with store.unit_of_work() as tx:
        incident = put_incident(tx)
        incident.status, incident.humanitarian_flags = "reported", list(flags)
        timeline.pending(tx, kind, incident.id)
        return incident.id


@pytest.mark.parametrize(
    ("kind", "flags", "minutes", "first", "again"),
    [("incident.opened", (), (31, 61), "new-incident", "new-incident-again"),
     ("incident.life-at-risk", ("life-at-risk",), (6, 11), "life-at-risk", "life-at-risk-again")],
)  # fmt: skip
def test_what_nobody_takes_up_is_told_again_and_then_to_coordinators(
    desk: Store, kind: str, flags: tuple[str, ...], minutes: tuple[int, int], first: str, again: str
) -> None:
    start = clock.now()
    incident_id = opened(desk, kind, *flags)
    drain(desk, leave=())
    assert told(desk) == [("duty-officer", first)]
    pass_to(desk, start + timedelta(minutes=minutes[0]))
    assert told(desk)[1:] == [("duty-officer", again)]
    pass_to(desk, start + timedelta(minutes=minutes[1]))
    assert told(desk)[2:] == [("coordinator", again)]
    assert incident_id


def test_who_has_taken_it_up_is_not_reminded(desk: Store) -> None:
    start = clock.now()
    incident_id = opened(desk, "incident.life-at-risk", "life-at-risk")
    drain(desk, leave=())
    coordinator = next(each for each in _people(desk) if each.role == "coordinator")
    with desk.unit_of_work() as tx:
        transition(tx, incident_id, "triage", principal=coordinator)
    pass_to(desk, start + timedelta(hours=2))
    assert [notice for _, notice in told(desk)] == ["life-at-risk"]


def test_a_clearance_that_nobody_answers_is_asked_for_again_and_the_duty_role_hears_of_it(
    desk: Store, world: World
) -> None:
    start = clock.now()
    with desk.unit_of_work() as tx:
        tx.get_one(Release, referred(tx, world).release_id).state = "awaiting-approval"
    drain(desk, leave=())
    assert told(desk) == [("release-authority", "clearance")]
    pass_to(desk, start + timedelta(minutes=61))
    assert told(desk)[1:] == [("release-authority", "clearance"), ("duty-officer", "clearance-waits")]


def test_a_notice_that_does_not_arrive_is_told_to_others_once(desk: Store) -> None:
    opened(desk, "incident.opened")
    with mail_server(MailBox(answer="550 No")) as url, settings_of(desk, smtp_url=url):
        drain(desk, leave=())
    assert told(desk) == [("duty-officer", "new-incident"), ("coordinator", "notice-failed")]


def test_a_job_that_was_given_up_is_told_to_the_duty_role(desk: Store) -> None:
    with desk.unit_of_work() as tx:
        row = Pending(kind="nothing.does-this", object_id=1, created_at=clock.now(), ready_at=clock.now())
        tx.add(row)
        tx.flush()
        jobs.bury(tx, row)
    drain(desk, leave=())
    assert told(desk) == [("duty-officer", "job-dead")]


def test_a_task_is_told_to_its_role_and_when_it_is_overdue_to_a_coordinator_too(desk: Store) -> None:
    start = clock.now()
    with desk.unit_of_work() as tx:
        open_task(tx, title="Look", role="release-authority", created_by="user:99", due_at=start + timedelta(hours=1))
    drain(desk, leave=())
    assert told(desk) == [("release-authority", "task")]
    pass_to(desk, start + timedelta(hours=1, seconds=1))
    assert sorted(told(desk)[1:]) == [("coordinator", "overdue"), ("release-authority", "overdue")]


def test_doctor_names_a_role_that_resolves_to_nobody(desk: Store) -> None:
    with desk.unit_of_work() as tx:
        open_task(tx, title="Say yes or no", kind="approval", role="legal-adviser", created_by="system")
    (finding,) = [each for each in doctor.examine(desk.settings) if each.name == "roles"]
    assert finding.state == "wrong" and "legal-adviser" in finding.text
