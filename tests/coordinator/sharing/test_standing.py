"""A text cleared beforehand by two persons goes out on one signature, and only that text, while the clearance holds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts import service as accounts
from coordinator.accounts import staff
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.errors import Invalid, NoRight, Refused
from coordinator.sharing import standing
from coordinator.sharing.models import Release, ShareDecision, StandingClearance
from coordinator.sharing.service import decide_share, prepare_release, redecide
from coordinator.status.standing import standing_clearances
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.timeline import queries as timeline
from tests.alerting import put_incident
from tests.factories import World
from tests.releasing import clearing, partner
from workers import due

TITLE, BODY = "Please call our duty desk", "Call us on the number you have."


def cleared(tx: Session) -> StandingClearance:
    row = standing.propose(tx, title=TITLE, body=BODY, language="en", principal=clearing(tx, "coordinator"))
    return standing.confirm(tx, row.id, principal=clearing(tx))


def call(tx: Session, **more: object) -> Release:
    fields = {"kind": standing.KIND, "title": TITLE, "body": BODY, "purpose": standing.PURPOSE, **more}
    return prepare_release(
        tx, info_category=standing.CATEGORY, requested_by="user:99", incident=put_incident(tx, tlp="AMBER"),
        marking=standing.MARKING, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def decided(tx: Session, **more: object) -> ShareDecision:
    return decide_share(tx, call(tx, **more), partner(tx))


def test_one_signature_is_enough_for_the_cleared_text(tx: Session, world: World) -> None:
    row = cleared(tx)
    decision = decided(tx)
    assert (decision.result, decision.reasons) == ("permit", [])
    assert decision.inputs["approvals"] == sorted({f"user:{row.proposed_by}", f"user:{row.confirmed_by}"})


@pytest.mark.parametrize(
    "change", [{"body": BODY + " It is about the hospitals."}, {"title": "Call"}, {"language": "fi"},
               {"purpose": "network-defence"}, {"reply_by": clock.now()}],
)  # fmt: skip
def test_another_text_waits_for_a_second_person(tx: Session, world: World, change: dict[str, object]) -> None:
    cleared(tx)
    assert decided(tx, **change).reasons == ["R-TWO-PERSON"]


def test_without_a_clearance_it_waits_for_a_second_person(tx: Session, world: World) -> None:
    standing.propose(tx, title=TITLE, body=BODY, language="en", principal=clearing(tx, "coordinator"))
    assert decided(tx).reasons == ["R-TWO-PERSON"]


def test_it_holds_until_its_end_and_not_when_it_was_revoked(tx: Session, world: World) -> None:
    row = cleared(tx)
    decision = decided(tx)
    assert redecide(tx, decision.id, now=row.until - timedelta(seconds=1)).result == "permit"
    assert redecide(tx, decision.id, now=row.until).reasons == ["R-TWO-PERSON"]
    standing.revoke(tx, row.id, principal=clearing(tx), reason="The number changed.")
    assert redecide(tx, decision.id, now=clock.now()).reasons == ["R-TWO-PERSON"]


@pytest.mark.parametrize("which", ["proposed_by", "confirmed_by"])
@pytest.mark.parametrize("what", ["leaves", "is suspended", "gets another role"])
def test_it_rests_while_one_who_cleared_it_may_not_any_more(tx: Session, world: World, which: str, what: str) -> None:
    row = cleared(tx)
    watcher = Principal(99, "Watcher", "auditor", None)
    decision, signer = decided(tx), tx.get_one(User, getattr(row, which))
    if what == "leaves":
        staff.deactivate(tx, signer.id, actor="user:1", note="Leaves.")
    elif what == "is suspended":
        accounts.suspend_user(tx, signer.id, actor="user:1", reason="Stolen.")
    else:
        staff.put_user(tx, {"email": signer.email, "name": signer.name, "role": "analyst"}, actor="user:1")
    tx.flush()
    assert redecide(tx, decision.id, now=clock.now()).reasons == ["R-TWO-PERSON"]
    shown = standing_clearances(tx, principal=watcher)
    assert [each["state"] for each in shown] == ["resting"]
    due.signer_changed(tx, signer.id)
    [task] = tx.execute(select(Task)).scalars()
    assert task.role in ("release-authority", "coordinator") and task.state == "open"  # whichever somebody has
    if what == "is suspended":
        accounts.restore_user(tx, signer.id, actor="user:1", reason="Found.")
        tx.flush()
        assert redecide(tx, decision.id, now=clock.now()).result == "permit"


def test_a_person_who_leaves_with_nothing_cleared_leaves_no_task(tx: Session, world: World) -> None:
    cleared(tx)
    due.signer_changed(tx, clearing(tx, "legal-adviser").user_id)
    assert list(tx.execute(select(Task)).scalars()) == []


def test_a_proposal_of_one_who_left_is_not_confirmed(tx: Session, world: World) -> None:
    first = clearing(tx, "coordinator")
    row = standing.propose(tx, title=TITLE, body=BODY, language="en", principal=first)
    staff.deactivate(tx, first.user_id, actor="user:1", note="Leaves.")
    with pytest.raises(Refused):
        standing.confirm(tx, row.id, principal=clearing(tx))


def test_two_persons_are_two_and_one_of_them_a_release_authority(tx: Session, world: World) -> None:
    first, second = clearing(tx, "coordinator"), clearing(tx, "coordinator")
    row = standing.propose(tx, title=TITLE, body=BODY, language="en", principal=first)
    with pytest.raises(Refused):
        standing.confirm(tx, row.id, principal=first)
    with pytest.raises(NoRight):
        standing.confirm(tx, row.id, principal=second)
    authority = clearing(tx)
    assert standing.confirm(tx, row.id, principal=authority) is standing.confirm(tx, row.id, principal=authority)
    with pytest.raises(Refused):
        standing.confirm(tx, row.id, principal=clearing(tx))


def test_what_is_over_is_not_cleared_any_more(tx: Session, world: World) -> None:
    row = standing.propose(tx, title=TITLE, body=BODY, language="en", principal=clearing(tx, "coordinator"))
    standing.revoke(tx, row.id, principal=clearing(tx), reason="A slip.")
    with pytest.raises(Refused):
        standing.confirm(tx, row.id, principal=clearing(tx))
    with pytest.raises(Refused):
        standing.revoke(tx, row.id, principal=clearing(tx), reason="Again.")


@pytest.mark.parametrize(
    ("field", "value"),
    [("title", ""), ("title", "a\x00b"), ("language", "<script>"), ("language", "x" * 21), ("body", " "),
     ("body", "x" * 1001), ("body", "See INC-2026-000001."), ("until", timedelta(0)), ("until", timedelta(days=400))],
)  # fmt: skip
def test_a_text_that_cannot_be_fixed_names_its_field(tx: Session, world: World, field: str, value: object) -> None:
    given = {"title": TITLE, "body": BODY, "language": "en"}
    given |= {field: clock.now() + value if isinstance(value, timedelta) else value}  # type: ignore[dict-item]
    with pytest.raises(Invalid) as refused:
        standing.propose(tx, principal=clearing(tx), **given)  # type: ignore[arg-type]
    assert [each.pointer for each in refused.value.errors] == [f"/{field}"]


def test_each_word_is_on_record_with_the_digest_of_the_text(tx: Session, world: World) -> None:
    row = cleared(tx)
    standing.revoke(tx, row.id, principal=clearing(tx), reason="The number changed.")
    said = [each for each in timeline.entries(tx, incident_id=None, limit=100) if each["kind"].startswith("standing.")]
    assert [each["kind"] for each in said] == ["standing.proposed", "standing.confirmed", "standing.revoked"]
    assert {each["values"]["content_digest"] for each in said} == {row.content_digest}


@pytest.mark.parametrize(
    "change", ["UPDATE standing_clearances SET body = 'Other'", "DELETE FROM standing_clearances",
               "UPDATE standing_clearances SET confirmed_by = proposed_by"],
)  # fmt: skip
def test_the_database_refuses_to_change_what_was_cleared(store: Store, world: World, change: str) -> None:
    with store.unit_of_work() as tx:
        cleared(tx)
    with pytest.raises(DBAPIError), store.unit_of_work() as tx:
        tx.execute(text(change))


def test_the_facts_of_the_incident_do_not_ride_along(tx: Session, world: World) -> None:
    assert call(tx).facts["states_affected"] == []
