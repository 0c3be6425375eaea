"""An officer leaves with 14 cases, 3 clearances given and 2 tokens: one step, nothing orphaned. A laptop is stolen: the
duty officer suspends the account; sessions, links and tokens are dead, and drafts were never on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts import service as accounts
from coordinator.accounts.models import User
from coordinator.alerts.telling import raise_approved
from coordinator.incidents.drafts import save_draft
from coordinator.incidents.models import Draft, Incident, IncidentMember, Quarantined, Report
from coordinator.incidents.references import reference_of
from coordinator.sharing import approvals
from coordinator.sharing.models import Approval, Release, ShareDecision
from coordinator.sharing.service import decide_share
from coordinator.status import task_lists
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.tasks.service import open_task
from coordinator.timeline.keys import new_key
from coordinator.timeline.models import Entry
from coordinator.timeline.verify import verify
from tests.alerting import addressee, put_contact, put_incident, put_organisation, put_system, webhook
from tests.coordinator.web.conftest import Desk, visible_text
from tests.factories import OTHER, World, person, small_world
from tests.receiving import Receiver, run_due
from tests.releasing import release


@pytest.fixture
def partner_system(httpserver: HTTPServer) -> Receiver:
    receiver = Receiver(httpserver.url_for("/hook"))
    httpserver.expect_request("/hook", method="POST").respond_with_handler(receiver.take)
    return receiver


@pytest.fixture
def desk(sqlite_store: Store, partner_system: Receiver) -> Desk:
    sqlite_store.settings = replace(sqlite_store.settings, outbound_allow_private=True)
    desk = Desk(sqlite_store, small_world(sqlite_store))
    with sqlite_store.unit_of_work() as tx:
        put_organisation(tx, OTHER, kind="ministry")
        put_system(tx, partner_system.url, code=OTHER, slug="lv-out")
        put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER)
    return desk


def test_an_officer_leaves_and_nothing_is_orphaned(desk: Desk, partner_system: Receiver) -> None:
    officer, coordinator = desk.sit("release-authority"), desk.sit("coordinator")
    leaving, successor = officer.principal, coordinator.principal
    assert leaving is not None and successor is not None
    with desk.store.unit_of_work() as tx:
        for number in range(13):
            put_incident(tx, owner_id=leaving.user_id, restricted=number == 0)
        red = put_incident(tx, tlp="RED", owner_id=leaving.user_id, restricted=True)
        tx.add(IncidentMember(incident_id=red.id, user_id=leaving.user_id, added_by="system", added_at=clock.now()))
        fits = open_task(tx, title="Look after it", role="coordinator", created_by="system",
                         assignee_id=leaving.user_id)  # fmt: skip
        other = open_task(tx, title="Clear it", role="release-authority", kind="approval", created_by="system",
                          assignee_id=leaving.user_id)  # fmt: skip
        tokens = [accounts.create_token(tx, leaving.user_id, name=f"t{place}", scopes=["read"], actor=leaving.actor)
                  for place in range(2)]  # fmt: skip
        link = accounts.create_link(tx, leaving.user_id, actor="cli:test")
        red_id, fits_id, other_id = red.id, fits.id, other.id
        waiting = in_quarantine(tx, desk.world, owner_id=leaving.user_id)
    given = [clear(desk.store, desk.world, leaving) for _ in range(3)]
    with desk.store.unit_of_work() as tx:
        raise_approved(tx, given[0])
    run_due(desk.store)
    assert len(partner_system.seen) == 1, "one of the three was used: something left on it"
    with desk.store.unit_of_work() as tx:
        for label in ("GREEN", "RED"):
            save_draft(tx, {"title": "Half written", "tlp": label}, principal=leaving)

    page = coordinator.text(f"/users/{leaving.user_id}/leave")
    assert "Incidents (14)" in page and "Tasks (2)" in page
    refused = coordinator.post(f"/users/{leaving.user_id}/leave", {"to": "", "note": ""})
    assert refused.status_code == 422, "somebody has to take over, and a note is wanted"
    answer = coordinator.post(f"/users/{leaving.user_id}/leave", {"to": successor.user_id, "note": "Call LV first."})
    assert answer.status_code == 303, visible_text(answer.text)

    with desk.store.read() as tx:
        assert tx.get_one(User, leaving.user_id).state == "deactivated"
        owners = owners_of_open(tx)
        assert owners.pop(red_id) is None, "nobody is named in a RED incident by handing it over"
        assert set(owners.values()) == {successor.user_id} and len(owners) == 13
        assert tx.execute(select(Task.title).where(Task.incident_id == red_id)).scalars().all() == [
            f"{reference(tx, red_id)} has no owner: its owner left, and the successor is not named in it"]
        assert tx.get_one(Task, fits_id).assignee_id == successor.user_id
        assert tx.get_one(Task, other_id).assignee_id is None, "only that role approves: back to it"
        assert tx.get_one(Quarantined, waiting).owner_id == successor.user_id
        voided = [row.voided_at is not None for row in tx.execute(select(Approval).order_by(Approval.id)).scalars()]
        assert voided == [False, True, True]
        for decision_id in given[1:]:
            newest = tx.execute(select(ShareDecision).where(ShareDecision.previous_id == decision_id)).scalar_one()
            assert newest.result == "refer" and tx.get_one(Release, newest.release_id).state == "awaiting-approval"
        another = person_in(desk, "release-authority")
        assert len(task_lists.clearances(tx, principal=another)["items"]) == 2
        assert tx.execute(select(Draft.user_id).order_by(Draft.id)).scalars().all() == [
            successor.user_id, leaving.user_id], "a RED draft stays closed with the account"
        assert tx.execute(select(func.count()).where(IncidentMember.user_id == leaving.user_id)).scalar_one() == 0
        assert all(accounts.token_principal(tx, token) is None for token in tokens)
        kinds = tx.execute(select(Entry.kind).where(Entry.actor == successor.actor)).scalars().all()
        assert kinds.count("incident.handed-over") == 14 and kinds.count("approval.voided") == 2
        assert {"user.deactivated", "user.handed-over"} <= set(kinds)
        assert not verify(tx).broken
    assert officer.get("/board").status_code == 302, "signed out at once"
    assert desk.visitor().get(f"/sign-in/{link}").status_code == 410
    assert coordinator.post(f"/users/{leaving.user_id}/leave", {"to": str(successor.user_id), "note": "Again."}
                            ).status_code == 409  # fmt: skip


def test_a_laptop_is_stolen_and_the_duty_officer_stops_the_account(desk: Desk) -> None:
    thief, duty = desk.sit("coordinator"), desk.sit("duty-officer")
    stolen = thief.principal
    assert stolen is not None
    with desk.store.unit_of_work() as tx:
        token = accounts.create_token(tx, stolen.user_id, name="laptop", scopes=["read"], actor=stolen.actor)
        link = accounts.create_link(tx, stolen.user_id, actor="cli:test")
    thief.get("/report")
    thief.post("/report/draft", {"title": "Half written"})
    with desk.store.read() as tx:
        assert tx.execute(select(Draft.user_id)).scalar_one() == stolen.user_id, "it is kept here, and sealed"
    poll = {"X-Live": "1"}
    assert thief.get("/board/live", headers=poll).status_code == 200
    bearer = {"Authorization": f"Bearer {token}"}
    assert thief.client.get("/api/v1/incidents", headers=bearer).status_code == 200

    duty.get("/users")
    assert duty.post(f"/users/{stolen.user_id}/suspend", {"reason": "Laptop stolen on the train"}).status_code == 303

    assert thief.get("/board/live", headers=poll).status_code in (302, 401), "an open page is told no more"
    assert thief.get("/board").status_code == 302
    assert thief.client.get("/api/v1/incidents", headers=bearer).status_code == 401
    assert desk.visitor().get(f"/sign-in/{link}").status_code == 410
    assert duty.post(f"/users/{stolen.user_id}/restore").status_code == 403, "restoring is not the duty officer's"
    administrator = desk.sit("administrator")
    administrator.get("/users")
    assert administrator.post(f"/users/{stolen.user_id}/restore", {"reason": "It was found"}).status_code == 303
    assert thief.get("/board").status_code == 302, "what ended stays ended"
    with desk.store.read() as tx:
        kinds = tx.execute(select(Entry.kind).where(Entry.object_id == stolen.user_id)).scalars().all()
        assert {"user.suspended", "user.restored"} <= set(kinds)


def clear(store: Store, world: World, officer: Any) -> int:
    """Something FI told us goes on to LV, and the officer clears it; the decision made with the approval."""
    with store.unit_of_work() as tx:
        contact = put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER)
        incident = put_incident(tx, originator_id=world.partner_id, source_id=world.partner_id)
        decision = decide_share(tx, release(tx, incident), addressee(tx, contact))
        return approvals.approve(tx, decision.id, principal=officer, until=clock.now() + timedelta(days=1)).id


def in_quarantine(tx: Session, world: World, *, owner_id: int) -> int:
    """A report that somebody has taken in hand and not decided; its id."""
    now = clock.now()
    report = Report(
        public_id="rep-1", received_at=now, via="webhook", organisation_id=world.partner_id, message_id="msg_1",
        raw_digest="0" * 64, raw_size=1, media_type="application/json", data_key_id=new_key(tx), status_hash="1" * 64,
        disposition="quarantined",
    )  # fmt: skip
    tx.add(report)
    tx.flush()
    tx.add(Quarantined(report_id=report.id, reason="exercise-unknown", owner_id=owner_id, since=now, due_at=now))
    tx.flush()
    return report.id


def owners_of_open(tx: Session) -> dict[int, int | None]:
    query = select(Incident.id, Incident.owner_id).where(Incident.originator_id.is_(None)).order_by(Incident.id)
    return {row.id: row.owner_id for row in tx.execute(query)}


def reference(tx: Session, incident_id: int) -> str:
    return reference_of(tx.get_one(Incident, incident_id))


def person_in(desk: Desk, role: str) -> Any:
    return person(desk.store, role, name="Another One")
