"""The share step: for each category of information and each recipient a sharing decision, and sending where it permits.

A step waits while a person is still asked; when the last referred decision is answered, the result is final.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import SYSTEM
from coordinator.agreements.queries import standing
from coordinator.agreements.rules import LIVE
from coordinator.alerts import service as alerts
from coordinator.alerts.pieces import KIND, Made, text_of_parts
from coordinator.alerts.telling import said_before
from coordinator.alerts.versions import FILES_ONLY, with_versions
from coordinator.alerts.wording import KINDS
from coordinator.errors import Refused
from coordinator.incidents import queries as incidents
from coordinator.incidents.holds import lock_incident_row
from coordinator.incidents.items import marking_of, read_item, write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking, Tlp, parse_tlp
from coordinator.runs.arms import Begun
from coordinator.runs.models import StepAttempt
from coordinator.runs.saved import spec_of
from coordinator.sharing import parts as names
from coordinator.sharing.files import ready_files
from coordinator.sharing.models import Approval, Release, ShareDecision
from coordinator.sharing.service import prepare_release
from coordinator.sharing.unnamed import agreed_unnamed, is_withheld, sources_of
from playbooks.events import Event, WorkFinished
from workers.audiences import audience_of
from workers.texts import LONGEST_TITLE

CLEAR = Marking(tlp=Tlp.CLEAR)
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
    lock_incident_row(tx, work.incident.id)
    attribution = work.spec.get("attribution") or NAMED
    for category in work.spec["items"]:
        if category == ASSESSMENT and attribution != NAMED:
            continue
        draft = _draft(tx, work, work.incident, category, unnamed=attribution == WITHHOLD)
        if draft is None:
            continue
        told = alerts.tell_each(tx, draft, audience=audience_of(tx, work))
        part = part_of(tx, work.attempt, f"{PART}/{category}", kind=PART, values={"category": category})
        part.release_id = told.release.id
    tx.flush()
    return [result_of(tx, work.attempt)]


def _draft(tx: Session, work: Begun, incident: Incident, category: str, *, unnamed: bool) -> Release | None:
    """What the incident holds of this category, each item and file a part of its own; None where that is nothing.

    Raises Refused where an item is above the step's `tlp_max`. A title above it is not used, a file above it stays.
    """
    said = newest_of(tx, incident.id, category)
    ceiling = parse_tlp(work.spec["tlp_max"]) if work.spec.get("tlp_max") else Tlp.RED
    _check_ceiling(said, ceiling)
    made, along = Made(), list[int]()
    title = incidents.told_of(tx, incident).get("title")
    if title is not None and title not in said and marking_of(title).effective <= ceiling:
        made.add(title, names.TITLE)
    for version in said:
        content = read_item(tx, version)
        if isinstance(content, str):
            made.add(version, names.ITEM)
        elif lines := _indicators(content):
            made.add(version, names.OBSERVABLES)
            made.add(write_item(
                tx, kind=KIND, content=lines, marking=marking_of(version), info_category=category, incident=incident,
                author=work.run.started_by, originator_id=version.originator_id, source_id=version.source_id,
            ), names.OBSERVABLES)  # fmt: skip
            along.append(version.id)
    withheld = (
        unnamed or any(is_withheld(marking_of(each)) for each in made.versions)
        or agreed_unnamed(tx, sources_of(made.versions))
    )  # fmt: skip
    files = _files(tx, work, incident, category, ceiling, withheld=withheld)
    for version in files:
        made.add(version, names.ITEM)
    named = title is not None and title.id in made.fields
    if not set(made.fields.values()) - {names.TITLE}:
        return None
    body = text_of_parts(tx, made.versions, made.fields)
    return prepare_release(
        tx, kind="update", title=incidents.title_of(tx, incident)[:LONGEST_TITLE] if named else KINDS["update"],
        body=body or FILES_ONLY, purpose=work.spec["purpose"], info_category=category,
        requested_by=work.run.started_by, incident=incident, items=made.versions, fields=made.fields,
        enclosed=[*along, *(each.id for each in files)], unnamed=unnamed,
        in_reply_to=said_before(tx, incident, "update"),
    )  # fmt: skip


def _check_ceiling(versions: Sequence[ItemVersion], ceiling: Tlp) -> None:
    label = max((marking_of(each).effective for each in versions), default=Tlp.CLEAR)
    if label > ceiling:
        raise Refused(f"What is to be shared is {label.label}, and at most TLP:{ceiling.value} may be shared here.")


def _indicators(content: Any) -> str:
    """The indicators of what a report said besides, a line each; nothing else of it."""
    found = content.get("observables") if isinstance(content, dict) else None
    return "\n".join(f"{each['type']}: {each['value']}" for each in found or ())


def _files(
    tx: Session, work: Begun, incident: Incident, category: str, ceiling: Tlp, *, withheld: bool
) -> list[ItemVersion]:
    """The files of this category that go along by themselves; a person is told of those that do not."""
    ready, stay = ready_files(tx, incident.id, category, withheld=withheld)
    below = [each for each in ready if marking_of(each).effective <= ceiling]
    stay += [each.item for each in ready if each not in below]
    if stay:
        timeline.append(
            tx, "run.notice", "Files did not go along with what a playbook shares: a person has to look at them first.",
            actor=SYSTEM, incident=incident, values={"items": stay, "category": category}, about=("run", work.run.id),
            exercise=work.run.exercise,
        )  # fmt: skip
        timeline.pending(tx, "run.notice", work.run.id, exercise=work.run.exercise)
    return below


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
    asked = with_versions(tx, (each for each in tx.execute(parts).scalars() if each is not None))
    results = newest_results(tx, asked)
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
