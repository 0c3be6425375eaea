"""What must not leave does not leave, whichever way it is tried: the page, the API, the database and the worker each
refuse, and each refusal is on record.

Everything is what FI told us, for LV: it needs FI's consent, an agreement with LV, and a second person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.accounts.service import create_token
from coordinator.agreements.models import Consent
from coordinator.agreements.service import record_agreement, record_consent, withdraw_consent
from coordinator.alerts.models import Alert, Delivery
from coordinator.alerts.service import raise_approved
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking
from coordinator.sharing import approvals
from coordinator.sharing.addressees import Addressee
from coordinator.sharing.models import Approval, Release, ShareDecision
from coordinator.sharing.service import TextChanged, decide_share, redecide, settle_release
from coordinator.store import Store
from coordinator.timeline.models import Entry
from tests.alerting import addressee, due, put_contact, put_incident, put_organisation, put_system, settings_of, webhook
from tests.coordinator.web.conftest import Browser, Desk
from tests.factories import OTHER, OWN, PARTNER, small_world
from tests.owner import past_protection
from tests.receiving import Receiver, run_due
from tests.releasing import clearing, release

LAYERS = ("page", "api", "database", "worker")


@dataclass
class Case:
    """For each layer a referred decision of its own, all made before anything goes wrong."""

    desk: Desk
    receiver: Receiver
    officer: Principal
    second: Principal
    browser: Browser
    token: str
    waiting: dict[str, int] = field(default_factory=dict)
    incident: int = 0
    to: Addressee | None = None

    def ask(self, tx: Session, who: Principal) -> None:
        """For each layer a release of its own, asked for by this person, that waits for a second one."""
        incident = tx.get_one(Incident, self.incident)
        assert self.to is not None
        for layer in LAYERS:
            part = write_item(
                tx, kind="note", content=f"Told by FI, {layer}.", marking=Marking(tlp="GREEN"), author="system",
                info_category="incident-notification", incident=incident, originator_id=self.desk.world.partner_id,
            )  # fmt: skip
            row = release(tx, incident, items=[part], requested_by=who.actor)
            decision = decide_share(tx, row, self.to)
            settle_release(tx, row)
            assert (decision.result, decision.reasons) == ("refer", ["R-TWO-PERSON"])
            self.waiting[layer] = decision.id

    @property
    def store(self) -> Store:
        return self.desk.store

    def release_of(self, tx: Session, layer: str) -> Release:
        return tx.get_one(Release, tx.get_one(ShareDecision, self.waiting[layer]).release_id)


@pytest.fixture
def case(store: Store, httpserver: HTTPServer) -> Iterator[Case]:
    receiver = Receiver(httpserver.url_for("/hook"))
    httpserver.expect_request("/hook").respond_with_handler(receiver.take)
    world = small_world(store)
    with settings_of(store, outbound_allow_private=True):
        desk = Desk(store, world)
        made = Case(
            desk, receiver, desk.who("coordinator"), desk.who("release-authority"), desk.sit("release-authority"), ""
        )
        with store.unit_of_work() as tx:
            put_organisation(tx, PARTNER)
            put_organisation(tx, OTHER, kind="ministry", communities=["health"])
            put_system(tx, receiver.url, code=OTHER, slug="lv-out")
            arrangement(tx)
            record_consent(tx, {"from": PARTNER, "to": OTHER, "purpose": "*", "item": "*", "evidence": "By mail",
                                "valid_until": clock.now() + timedelta(days=9)}, actor="cli:test")  # fmt: skip
            to = addressee(tx, put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER, tlp_max="RED"))
            incident = put_incident(tx)
            made.incident, made.to = incident.id, to
            made.ask(tx, made.officer)
            made.token = create_token(tx, made.second.user_id, name="tool", scopes=["decide"], actor="cli:test")
        yield made


def arrangement(tx: Session, **more: Any) -> None:
    record_agreement(tx, {
        "agreement_id": "MOU-LV", "title": "Arrangement", "kind": "cert-cert", "legal_status": "operational",
        "parties": [{"party": each, "role": "both", "signed_on": "2025-01-10"} for each in (OWN, OTHER)],
        "info_categories_allowed": ["incident-notification"], "tlp_ceiling": "AMBER", "personal_data": "none",
        "permitted_purposes": ["network-defence"], "onward_sharing": "own-organisation",
        "effective_from": "2025-01-15T00:00:00Z", **more,
    }, actor="cli:test")  # fmt: skip


# ---------------------------------------------------------------- what goes wrong


def self_approval(case: Case) -> None:
    """Whoever asked is the one who answers."""
    with case.store.unit_of_work() as tx:
        case.ask(tx, case.second)


def expired_agreement(case: Case) -> None:
    with case.store.unit_of_work() as tx:
        arrangement(tx, expires_on="2026-01-01T00:00:00Z")


def withdrawn_consent(case: Case) -> None:
    with case.store.unit_of_work() as tx:
        consent = tx.execute(select(Consent.id)).scalar_one()
        withdraw_consent(tx, consent, actor="cli:test", reason="They asked us to.")


def raised_label(case: Case) -> None:
    with case.store.unit_of_work() as tx:
        for part in tx.execute(select(ItemVersion).where(ItemVersion.kind == "note")).scalars().all():
            write_item(
                tx, kind="note", content="The same.", marking=Marking(tlp="AMBER"), item=part.item, author="system",
                info_category="incident-notification", incident=tx.get_one(Incident, part.incident_id),
            )  # fmt: skip


def changed_bytes(case: Case) -> None:
    """By the owner of the database: the application's own role is refused, see `in_the_database`."""
    with case.store.unit_of_work() as tx:
        other = release(tx, tx.get_one(Incident, case.incident), body="Another text.").body_version_id
    past_protection(case.store, "releases", "UPDATE releases SET body_version_id = :other", other=other)


def replayed_approval(case: Case) -> None:
    """Somebody else approved it already. (The same person saying the same again is answered as before.)"""
    with case.store.unit_of_work() as tx:
        for layer in ("page", "api"):
            assert approvals.approve(tx, case.waiting[layer], principal=clearing(tx)).result == "permit"


CAUSES: dict[str, Callable[[Case], None]] = {
    each.__name__: each
    for each in (self_approval, expired_agreement, withdrawn_consent, raised_label, changed_bytes, replayed_approval)
}
#: Answering is refused at once, with 409; of the others the answer is taken, and the rules refuse all the same.
AT_ONCE = ("self_approval", "changed_bytes", "replayed_approval")
#: One of each way in which a database refuses: a row, a change, what the rules answered anew.
ON_BOTH = ("self_approval", "changed_bytes", "withdrawn_consent")
#: What the database alone cannot know: the rules, asked again, refuse, and their answer is what it holds by.
BY_THE_RULES = ("expired_agreement", "withdrawn_consent", "raised_label")


@pytest.mark.parametrize(
    ("store", "cause"),
    [*(("sqlite", cause) for cause in CAUSES),
     *(pytest.param("postgresql", cause, marks=pytest.mark.postgresql) for cause in ON_BOTH)],
    indirect=["store"],
)  # fmt: skip
def test_each_layer_refuses_and_it_is_on_record(case: Case, cause: str) -> None:
    prepare(case, cause)
    CAUSES[cause](case)
    alerts, answers = count(case, Alert), count(case, Approval)
    for layer, tried in (("page", on_the_page), ("api", through_the_api), ("database", in_the_database),
                         ("worker", by_the_worker)):  # fmt: skip
        before = entries(case)
        tried(case, cause)
        assert count(case, Alert) == alerts, f"{layer}: an alert was raised"
        if layer == "database":  # who writes past the use cases leaves no entry, and no row
            assert entries(case) == before or cause in BY_THE_RULES
            assert count(case, Approval) == answers
        else:
            assert on_record(case, layer, cause, after=before), f"{layer}: nothing on record"
        answers = count(case, Approval)
    assert what_leaves_in_the_end(case) == (3 if cause == "replayed_approval" else 0)


def what_leaves_in_the_end(case: Case) -> int:
    """Everything that was left to follow is done, twice: how often something reached the partner, ever."""
    for _ in range(2):
        for decision_id in due(case.store, "decision.approved"):
            with case.store.unit_of_work() as tx:
                raise_approved(tx, decision_id)
        run_due(case.store)
    with case.store.read() as tx:
        told = list(tx.execute(select(Alert.release_id)).scalars())
    assert len(told) == len(set(told)), "one release was sent twice"
    return len(case.receiver.seen)


def prepare(case: Case, cause: str) -> None:
    """What the worker and the database are asked about was cleared while all was well; nobody clears their own."""
    if cause == "self_approval":
        return
    with case.store.unit_of_work() as tx:
        for layer in ("worker", "database"):
            answer = approvals.approve(tx, case.waiting[layer], principal=case.second)
            assert answer.result == "permit"
            case.waiting[layer] = answer.id
    due(case.store, "decision.approved")  # this one is raised by hand
    if cause == "replayed_approval":
        return
    with case.store.unit_of_work() as tx:
        assert raise_approved(tx, case.waiting["worker"]) is not None


# ---------------------------------------------------------------- the layers


def on_the_page(case: Case, cause: str) -> None:
    path = f"/clearances/{case.waiting['page']}"
    case.browser.get(path)
    answer = case.browser.post(f"{path}/approve", {"hours": "72"})
    assert answer.status_code == (409 if cause in AT_ONCE else 303)
    newest_refuses(case, "page", cause)


def through_the_api(case: Case, cause: str) -> None:
    said = {"headers": {"Authorization": f"Bearer {case.token}"}}
    path = f"/api/v1/decisions/{case.waiting['api']}/approve"
    answer = case.desk.app.test_client().post(path, json={}, **said)
    if cause in AT_ONCE:
        assert answer.status_code == 409
    else:
        assert (answer.status_code, answer.json["result"]) == (200, "deny")
    newest_refuses(case, "api", cause)


def newest_refuses(case: Case, layer: str, cause: str) -> None:
    """No permit came of it; after a replay the one that was given stays the only one."""
    with case.store.read() as tx:
        release_id = case.release_of(tx, layer).id
        query = select(ShareDecision.result).where(ShareDecision.release_id == release_id)
        results = list(tx.execute(query.order_by(ShareDecision.id)).scalars())
    assert results.count("permit") == (1 if cause == "replayed_approval" else 0)


def in_the_database(case: Case, cause: str) -> None:
    """Written past the use cases, as somebody would who has the database password of the application."""
    with case.store.unit_of_work() as tx:
        held = tx.get_one(ShareDecision, case.waiting["database"])
        row = {"release": held.release_id, "recipient": OTHER, "decision": held.id, "digest": held.content_digest,
               "at": clock.now().isoformat(sep=" "), "user": case.second.user_id}  # fmt: skip
        if cause in BY_THE_RULES:
            assert redecide(tx, held.id, now=clock.now()).result == "deny"
        if cause == "changed_bytes":
            row["digest"] = "0" * 64
            with pytest.raises(TextChanged):
                redecide(tx, held.id, now=clock.now())
    tried = [APPROVAL if cause in ("self_approval", "replayed_approval") else ALERT]
    if cause == "changed_bytes":
        tried += [text("UPDATE item_versions SET digest = 'x'"), text("UPDATE releases SET body_version_id = 1")]
    if cause == "self_approval":
        tried += [text("UPDATE releases SET requested_by = 'user:0'"),
                  text("UPDATE share_decisions SET requested_by = 'user:0'")]  # fmt: skip
    if cause == "withdrawn_consent":
        tried += [text("UPDATE consents SET withdrawn_at = NULL"), text("UPDATE consents SET purpose = '*'")]
    if cause == "expired_agreement":
        tried += [text("UPDATE agreements SET current = (version = 1)")]
    for statement in tried:
        with pytest.raises(DatabaseError), case.store.unit_of_work() as tx:
            tx.execute(statement, row if statement in (ALERT, APPROVAL) else {})


ALERT = text(
    "INSERT INTO alerts (release_id, kind, recipient, decision_id, decision_result, content_digest, public_id,"
    " partner_reference, state, ack, rung, ladder_step, created_at, exercise) VALUES (:release, 'initial', :recipient,"
    " :decision, 'permit', :digest, 'alr-x', '', 'queued', '', 0, 0, :at, '')"
)
APPROVED = (
    "INSERT INTO approvals (decision_id, user_id, role, answer, reason, at, until, content_digest, exercise)"
    " VALUES (:decision, :user, 'release-authority', 'approve', '', '2026-01-01 00:00:00', '2999-01-01 00:00:00',"
    " :digest, '')"
)
APPROVAL = text(APPROVED)


def by_the_worker(case: Case, cause: str) -> None:
    if cause == "replayed_approval":
        for _ in range(3):  # the same message again and again
            with case.store.unit_of_work() as tx:
                raise_approved(tx, case.waiting["worker"])
        run_due(case.store)
        run_due(case.store)
        assert len(case.receiver.seen) == 1
        return
    if cause == "self_approval":
        by_the_worker_on_a_forged_answer(case)
        return
    run_due(case.store)
    assert case.receiver.seen == []
    with case.store.read() as tx:
        assert tx.execute(select(Delivery.state)).scalars().all() == ["withheld"]


def by_the_worker_on_a_forged_answer(case: Case) -> None:
    """The owner of the database wrote the requester's own approval in: it counts for nothing."""
    with case.store.read() as tx:
        asked = tx.get_one(ShareDecision, case.waiting["worker"])
        values = {"decision": asked.id, "user": case.second.user_id, "digest": asked.content_digest}
        assert asked.requested_by == case.second.actor
    past_protection(case.store, "approvals", APPROVED, **values)
    with case.store.unit_of_work() as tx:
        made = redecide(tx, case.waiting["worker"], now=clock.now(), anew=True)
        assert (made.result, made.reasons) == ("refer", ["R-TWO-PERSON"])
        assert raise_approved(tx, made.id) is None


# ---------------------------------------------------------------- what is there afterwards


def count(case: Case, table: Any) -> int:
    with case.store.read() as tx:
        return len([row for row in tx.execute(select(table)).scalars() if not _lawful(case, row)])


def _lawful(case: Case, row: Any) -> bool:
    """The one alert that the approval was given for is no second one."""
    return bool(row.decision_id == case.waiting["worker"])


def entries(case: Case) -> int:
    with case.store.read() as tx:
        return max(tx.execute(select(Entry.id)).scalars(), default=0)


def on_record(case: Case, layer: str, cause: str, *, after: int) -> bool:
    """An entry that says so, of this very decision or alert, in the name of whoever tried."""
    with case.store.read() as tx:
        found = list(tx.execute(select(Entry).where(Entry.id > after)).scalars())
        by = {entry.kind: entry for entry in found}
        if layer == "worker":
            kind = {"replayed_approval": "alert.raised", "self_approval": "decision.made"}.get(cause, "alert.withheld")
            return kind in by
        if cause in AT_ONCE:
            entry = by.get("decision.answer-refused")
            tried = entry is not None and (entry.actor, entry.object_id) == (case.second.actor, case.waiting[layer])
            return tried and by.keys() <= {"decision.answer-refused", "incident.opened", "incident.read"}
        made = tx.get_one(ShareDecision, by["decision.made"].object_id)
        return (made.result, made.previous_id) == ("deny", case.waiting[layer])
