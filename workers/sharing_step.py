"""The share step: for each category of information and each recipient a sharing decision, and sending where it permits.

A step waits while a person is still asked; when the last referred decision is answered, the result is final.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.agreements.queries import standing
from coordinator.agreements.rules import LIVE
from coordinator.alerts import service as alerts
from coordinator.errors import Refused
from coordinator.incidents import queries as incidents
from coordinator.incidents.items import read_item
from coordinator.incidents.models import ItemVersion
from coordinator.markings import Marking, Tlp
from coordinator.runs.arms import Begun
from coordinator.runs.models import StepAttempt
from coordinator.runs.saved import spec_of
from coordinator.sharing.models import Approval, Release, ShareDecision
from playbooks.events import Event, WorkFinished
from workers.audiences import audience_of
from workers.texts import LONGEST_TITLE

CLEAR = Marking(tlp=Tlp.CLEAR)
LONGEST_BODY = 10_000
PART = "share"
WITHHOLD, NAMED, ASSESSMENT = "withhold", "named", "attribution-assessment"
_NO_TEXT_OF_ITS_OWN = (
    "alert-title", "alert-body", "alert-field", "task-result", "http-answer", "attachment", "obligation-note",
)  # fmt: skip


def begin(tx: Session, work: Begun, part_of: Callable[..., StepAttempt]) -> Sequence[Event]:
    """Release what the incident holds of each category. Where it holds nothing of them, nothing is shared.

    `attribution`: withhold leaves out who is said to have done it and whose information it is; technical leaves out the
    first only; named, or nothing said, leaves out nothing.
    """
    if work.incident is None:
        raise Refused("This run belongs to no incident.")
    check_agreement(tx, work.spec.get("agreement") or "")
    title = incidents.title_of(tx, work.incident)[:LONGEST_TITLE]
    attribution = work.spec.get("attribution") or NAMED
    for category in work.spec["items"]:
        if category == ASSESSMENT and attribution != NAMED:
            continue
        versions = newest_of(tx, work.incident.id, category)
        if not versions:
            continue
        body = "\n\n".join(str(read_item(tx, version)) for version in versions)[:LONGEST_BODY]
        told = alerts.tell(
            tx, incident=work.incident, kind="update", title=title, body=body, purpose=work.spec["purpose"],
            info_category=category, requested_by=work.run.started_by, audience=audience_of(tx, work), items=versions,
            originator_id=versions[0].originator_id, tlp_max=work.spec.get("tlp_max") or "", ack="", ladder=(),
            unnamed=attribution == WITHHOLD,
        )  # fmt: skip
        part = part_of(tx, work.attempt, f"{PART}/{category}", kind=PART, values={"category": category})
        part.release_id = told.release.id
    tx.flush()
    return [result_of(tx, work.attempt)]


def check_agreement(tx: Session, key: str) -> None:
    """A step that names an agreement rests on it: without it in force nothing is shared. Raises Refused."""
    if not key:
        return
    known = {each["key"]: each["status"] for each in standing(tx, clock.now())}
    if known.get(key) not in LIVE:
        status = known.get(key, "not in the register")
        raise Refused(f"The agreement that this step rests on is not in force ({status}).")


def newest_of(tx: Session, incident_id: int, category: str) -> list[ItemVersion]:
    """The newest version of each of an incident's items of this category."""
    newest = (
        select(func.max(ItemVersion.id))
        .where(ItemVersion.incident_id == incident_id, ItemVersion.info_category == category,
               ItemVersion.kind.not_in(_NO_TEXT_OF_ITS_OWN))
        .group_by(ItemVersion.item)
    )  # fmt: skip
    return list(tx.execute(select(ItemVersion).where(ItemVersion.id.in_(newest)).order_by(ItemVersion.id)).scalars())


def result_of(tx: Session, attempt: StepAttempt) -> WorkFinished:
    """refer while a person is asked, permit if anybody may have it, else deny; and how many."""
    parts = select(StepAttempt.release_id).where(
        StepAttempt.run_id == attempt.run_id, StepAttempt.key.startswith(f"{attempt.key}/{PART}/", autoescape=True),
        StepAttempt.release_id.is_not(None),
    )  # fmt: skip
    results = newest_results(tx, [release_id for release_id in tx.execute(parts).scalars() if release_id is not None])
    permitted, waiting = results.count("permit"), results.count("refer")
    said = "refer" if waiting else "permit" if permitted else "deny"
    maps_result = "result" in ((spec_of(tx, attempt).get("extension") or {}).get("out") or {})
    if said == "deny" and not results and not maps_result:
        said = "permit"  # nothing was refused to anybody: there was nothing to share
    values = {"result": said, "permitted_count": permitted, "refused_count": results.count("deny")}
    return WorkFinished(attempt.key, "successful", values)


def newest_results(tx: Session, release_ids: Iterable[int], recipient: str = "") -> list[str]:
    """What holds now for each recipient of each release (or for one of them): permit, refer, deny.

    What a person refused, or what was withdrawn while it waited, is denied.
    """
    refused = exists().where(Approval.decision_id == ShareDecision.id, Approval.answer == "refuse")
    query = (
        select(ShareDecision.release_id, ShareDecision.recipient, ShareDecision.result, refused, Release.state)
        .join(Release, Release.id == ShareDecision.release_id)
        .where(ShareDecision.release_id.in_(list(release_ids)))
        .order_by(ShareDecision.id)
    )
    if recipient:
        query = query.where(ShareDecision.recipient == recipient)
    newest = {}
    for release_id, code, result, was_refused, state in tx.execute(query):
        over = result == "refer" and (was_refused or state == "withdrawn")
        newest[release_id, code] = "deny" if over else result
    return list(newest.values())
