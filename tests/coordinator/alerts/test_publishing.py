"""The public exit: cleared by a release authority for exactly that text, published by a person, withdrawn openly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts import drafts, publishing, recalls
from coordinator.alerts.models import Alert, PublicNotice
from coordinator.alerts.telling import raise_approved
from coordinator.errors import Invalid, NotFound, Refused
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.references import reference_of
from coordinator.incidents.tightening import tighten
from coordinator.markings import Marking
from coordinator.sharing.approvals import approve
from coordinator.sharing.models import Approval, Release, ShareDecision
from coordinator.status import ledger, ledger_file, public_page, release_desk
from coordinator.store import Store
from coordinator.tasks.models import Task
from tests.alerting import put_incident
from tests.factories import World
from tests.owner import put_a_part_in
from tests.releasing import clearing
from workers import due


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    return sqlite_store


@pytest.fixture
def tx(store: Store, world: World) -> Iterator[Session]:
    with store.unit_of_work() as tx:
        yield tx


def drafted(tx: Session, incident: Incident, officer: Principal, *, tlp: str = "CLEAR", **more: Any) -> Release:
    return drafts.draft(tx, incident=incident, principal=officer, **{
        "kind": "initial", "title": "Mails with a loader", "body": "Do not open the file.", "marking": Marking(tlp=tlp),
        "purpose": "situational-awareness", "info_category": "mitigation-guidance", **more})  # fmt: skip


def published(tx: Session, incident: Incident, officer: Principal, **more: Any) -> PublicNotice:
    row = drafted(tx, incident, officer, **more)
    decision = publishing.ask(tx, row.id, principal=officer)
    answer = approve(tx, decision.id, principal=clearing(tx))
    assert (answer.result, answer.recipient) == ("permit", "PUBLIC")
    return publishing.publish(tx, row.id, principal=officer)


def count(tx: Session, table: Any) -> int:
    return tx.execute(select(func.count()).select_from(table)).scalar_one()


def test_nothing_is_public_before_a_release_authority_cleared_it_and_a_person_published_it(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer)
    with pytest.raises(Refused):
        publishing.publish(tx, row.id, principal=officer)
    decision = publishing.ask(tx, row.id, principal=officer)
    assert (decision.result, decision.reasons) == ("refer", ["R-TWO-PERSON"])
    for refused in (lambda: publishing.publish(tx, row.id, principal=officer),
                    lambda: approve(tx, decision.id, principal=officer)):  # fmt: skip
        with pytest.raises(Refused):
            refused()
    answer = approve(tx, decision.id, principal=clearing(tx))
    assert raise_approved(tx, answer.id) is None  # no machine publishes
    assert (count(tx, Alert), public_page.notices(tx)["items"]) == (0, [])
    assert release_desk.described(tx, [row])[0]["state"] == "approved"
    notice = publishing.publish(tx, row.id, principal=officer)
    assert publishing.publish(tx, row.id, principal=officer) is notice
    (shown,) = public_page.notices(tx)["items"]
    assert (shown["title"], shown["body"]) == ("Mails with a loader", "Do not open the file.")
    assert release_desk.described(tx, [row])[0]["state"] == "released"
    (line,) = ledger.lines(tx, principal=officer, asked=ledger.Asked(incident=reference_of(incident)))["published"]
    assert (line["recipient"], line["public_id"], line["tlp"]) == ("PUBLIC", notice.public_id, "CLEAR")
    assert len(ledger_file.as_row(line)) == len(ledger_file.COLUMNS)


@pytest.mark.parametrize("tlp", ["GREEN", "AMBER", "AMBER+STRICT", "RED"])
def test_what_is_not_clear_is_never_published(tx: Session, tlp: str) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer, tlp=tlp)
    assert "D-PUBLIC" in publishing.ask(tx, row.id, principal=officer).reasons
    with pytest.raises(Refused):
        publishing.publish(tx, row.id, principal=officer)
    assert count(tx, PublicNotice) == 0


def test_what_belongs_to_an_exercise_is_never_published(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx, exercise="EX-1")
    with pytest.raises(Refused):
        publishing.ask(tx, drafted(tx, incident, officer).id, principal=officer)


def test_a_clearance_that_ran_out_or_was_taken_back_publishes_nothing(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer)
    decision = publishing.ask(tx, row.id, principal=officer)
    approve(tx, decision.id, principal=clearing(tx))
    tx.execute(select(Approval)).scalar_one().voided_at = clock.now() - timedelta(seconds=1)
    tx.flush()
    with pytest.raises(Refused):
        publishing.publish(tx, row.id, principal=officer)


def test_a_withdrawn_notice_stays_without_its_text_and_a_correction_is_seen_from_both_sides(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    first = published(tx, incident, officer)
    second = published(tx, incident, officer, kind="correction", title="Mails with a loader: corrected")
    assert public_page.one(tx, first.public_id)["corrected_by"]["public_id"] == second.public_id
    assert public_page.one(tx, second.public_id)["corrects"]["public_id"] == first.public_id
    with pytest.raises(Invalid):
        publishing.withdraw(tx, second.public_id, principal=officer, reason=" ")
    publishing.withdraw(tx, second.public_id, principal=officer, reason="It named a victim.")
    shown = public_page.one(tx, second.public_id)
    assert (shown["title"], shown["body"]) == (None, None) and shown["withdrawn_at"]
    assert "victim" not in str(shown)
    with pytest.raises(Refused):
        publishing.withdraw(tx, second.public_id, principal=officer, reason="Again.")
    with pytest.raises(NotFound):
        public_page.one(tx, "pub-none")


def test_a_text_that_is_not_the_one_that_was_cleared_is_not_shown(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    notice = published(tx, incident, officer)
    put_a_part_in(tx, notice.release_id)
    assert public_page.one(tx, notice.public_id)["body"] is None


def test_the_database_refuses_a_notice_without_a_permit_for_the_public(store: Store, world: World) -> None:
    with store.unit_of_work() as tx:
        officer, incident = clearing(tx, "coordinator"), put_incident(tx)
        row = drafted(tx, incident, officer)
        decision = publishing.ask(tx, row.id, principal=officer)
        wanted = {"release_id": row.id, "incident_id": incident.id, "decision_id": decision.id,
                  "content_digest": row.content_digest, "public_id": "pub-x", "published_at": clock.now(),
                  "published_by": officer.user_id}  # fmt: skip
        notice = published(tx, incident, officer)
        kept = notice.id
    with pytest.raises(DatabaseError), store.unit_of_work() as tx:
        tx.add(PublicNotice(**wanted))
        tx.flush()
    with pytest.raises(DatabaseError), store.unit_of_work() as tx:
        tx.get_one(PublicNotice, kept).published_at = clock.now() - timedelta(days=1)
        tx.flush()
    with store.read() as tx:
        assert count(tx, ShareDecision) >= 2 and count(tx, PublicNotice) == 1


def test_what_is_marked_more_strictly_later_is_shown_no_more_and_a_person_is_asked_once(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx, tlp="CLEAR")
    notice = published(tx, incident, officer, of_incident=True)
    other = published(tx, put_incident(tx, tlp="CLEAR"), officer)
    assert due.published.look_again(tx) == []
    tighten(tx, incident.id, {"tlp": "AMBER"}, principal=officer, reason="Patients are named.")
    due.bound_anew(tx, incident.id)
    due.bound_anew(tx, incident.id)
    assert public_page.one(tx, notice.public_id)["body"] is None
    assert public_page.one(tx, other.public_id)["body"]
    asked = [each for each in tx.execute(select(Task)).scalars() if notice.public_id in each.title]
    assert [(each.role, each.state) for each in asked] == [("release-authority", "open")]


def test_what_is_recalled_is_taken_back_from_the_public_too(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx, tlp="CLEAR")
    notice = published(tx, incident, officer)
    item = tx.get_one(ItemVersion, tx.get_one(Release, notice.release_id).body_version_id).item
    assert recalls.recall_item(tx, item, principal=officer, reason="It was wrong.") == []
    assert public_page.one(tx, notice.public_id)["withdrawn_at"] and notice.withdraw_reason == "It was wrong."
    with pytest.raises(NotFound):
        recalls.recall_item(tx, item, principal=officer, reason="It was wrong.")
