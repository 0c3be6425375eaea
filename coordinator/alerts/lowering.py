"""Lowering a label: on the word of its originator, put on record with its evidence by one person and confirmed by
another one; or back from what we had raised ourselves (R06, I3). Nothing leaves by it.

Between the two nothing changes. What was drafted or waits keeps the label it was written under; everything is put to
the rules again whenever it is looked at or sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import SYSTEM, Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.accounts.staff import check_may_approve
from coordinator.alerts import evidence
from coordinator.alerts.own import tell_own
from coordinator.alerts.versions import DRAFT
from coordinator.errors import Fault, Invalid, NoRight, NotFound, Refused
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.label_models import LabelWord, LabelWordItem
from coordinator.incidents.label_rules import Standing, after_word, taken_back
from coordinator.incidents.labels import WHOLE, Labelled, labelled, newer_word, of_item, write_label
from coordinator.incidents.models import Incident, ItemVersion, Report
from coordinator.incidents.queries import check_visible
from coordinator.incidents.references import reference_of
from coordinator.markings import Tlp, parse_tlp
from coordinator.partners.models import Organisation
from coordinator.sharing.models import AWAITING_APPROVAL, Release, ReleaseItem
from coordinator.tasks.models import Task
from coordinator.tasks.service import open_task


def record(
    tx: Session, incident_id: int, wanted: Mapping[str, Any], *, principal: Principal,
    file: evidence.Evidence | None = None,
) -> LabelWord:  # fmt: skip
    """Put on record that a label was lowered; it waits for a second person.

    `wanted`: from (code of the originator; left out: we take back what we raised), items (keys, "" is the incident
    itself; left out: everything of theirs that this lowers), tlp, and of an originator's word also channel, said_at,
    said_by (who of theirs), words (what they said), report (their message); reason. Raises NotFound, Invalid, Refused.
    """
    incident = lock_incident(tx, incident_id)
    label, now = parse_tlp(wanted["tlp"]), clock.now()
    giver = evidence.originator(tx, wanted.get("from"))
    report = evidence.report(tx, incident, giver, wanted.get("report") or "")
    evidence.check(wanted, giver, report, file)
    said_at = wanted.get("said_at") or now
    whole = {each.item: each for each in labelled(tx, incident)}
    if wanted.get("items"):
        if missing := set(wanted["items"]) - set(whole):
            raise Invalid([Fault("/items", f"Nothing here has this key: {min(missing)}.")])
        about = [whole[each] for each in dict.fromkeys(wanted["items"])]
        for one in about:
            _lowered(tx, incident, one, giver, label, said_at=said_at)
    else:
        about = [each for each in whole.values() if _fits(tx, incident, each, giver, label, said_at=said_at)]
    if not about:
        raise Refused("There is nothing here that this would lower: see who labelled it, and how.")
    word = LabelWord(
        incident_id=incident.id, from_id=giver.id if giver else None, tlp=label.value,
        channel=wanted.get("channel") or "", said_at=said_at, report_id=report.id if report else None,
        data_key_id=incident.data_key_id, sealed=evidence.sealed(tx, incident, wanted), asked_by=principal.actor,
        asked_at=now, state="waiting", exercise=incident.exercise, **evidence.kept(tx, incident, file),
    )  # fmt: skip
    tx.add(word)
    tx.flush()
    tx.add_all(LabelWordItem(word_id=word.id, item=one.item, exercise=incident.exercise) for one in about)
    tx.flush()
    _note(tx, incident, word, "label.word-recorded", _RECORDED[giver is None], principal.actor, {
        "from": giver.code if giver else "", "tlp": label.value, "items": [one.item for one in about],
        "channel": word.channel, "said_at": clock.rfc3339(said_at), "said_by": wanted.get("said_by") or "",
        "words": wanted.get("words") or "", "evidence": word.file_sha256, "reason": wanted["reason"].strip(),
        "report": report.public_id if report else "",
    })  # fmt: skip
    for role in confirming_roles():
        tell_own(tx, key="label-waits", role=str(role), incident=incident, exclude=_users(principal.actor))
    return word


def confirm(tx: Session, word_id: int, *, principal: Principal) -> LabelWord:
    """The second person: what it is about gets its next version under the label, never below what the originator said,
    nor below what another originator of it says, nor below what we raised it to.

    Raises NotFound, NoRight, Refused (one's own, over, changed meanwhile).
    """
    word, incident = _open(tx, word_id, principal)
    label, giver = parse_tlp(word.tlp), tx.get(Organisation, word.from_id) if word.from_id else None
    items = _items(tx, word)
    about = [each for each in labelled(tx, incident) if each.item in items]
    for one in about:
        _lowered(tx, incident, one, giver, label, said_at=word.said_at)
    word.state, word.answered_by, word.answered_at = "effective", principal.actor, clock.now()
    tx.flush()
    changed = _write(tx, incident, about, giver, label, author=principal.actor)
    incident.updated_at, incident.version = clock.now(), incident.version + 1
    tx.flush()
    _note(tx, incident, word, "label.lowered", _CONFIRMED[giver is None], principal.actor, {
        "from": giver.code if giver else "", "tlp": word.tlp, "changed": changed,
        "as_before": sorted(items - set(changed)), "asked_by": word.asked_by,
    })  # fmt: skip
    timeline.pending(tx, "incident.changed", incident.id, exercise=incident.exercise)
    _say_what_was_written_before(tx, incident, sorted(items), label)
    return word


def refuse(tx: Session, word_id: int, *, principal: Principal, reason: str) -> LabelWord:
    """The second person says no: nothing is lowered. Raises as `confirm`; a reason is required."""
    if not reason.strip() or len(reason) > evidence.LONGEST_REASON:
        raise Invalid([Fault("/reason", f"Say why, in at most {evidence.LONGEST_REASON} characters.")])
    word, incident = _open(tx, word_id, principal)
    _end(tx, incident, word, "refused", principal.actor, reason.strip())
    return word


def withdraw(tx: Session, word_id: int, *, principal: Principal) -> LabelWord:
    """Whoever recorded it takes it back before anybody confirmed it. Raises NotFound, Refused."""
    word, incident = _locked(tx, word_id, principal)
    if word.asked_by != principal.actor:
        raise NotFound()
    if word.state != "waiting":
        raise Refused(f"This is {word.state} already.")
    _end(tx, incident, word, "withdrawn", principal.actor, "")
    return word


def why_not(word: LabelWord, principal: Principal) -> str:
    """Why this person may not confirm or refuse it, in a sentence; "" where they may."""
    if Role(principal.role) not in confirming_roles():
        return "Your role may not confirm that a label was lowered."
    if word.state != "waiting":
        return "It does not wait any more."
    if principal.actor == word.asked_by:
        return "You recorded this yourself: another person has to confirm it."
    return ""


def confirming_roles() -> list[Role]:
    """Who may be the second person: whoever confirms changes and reads incidents."""
    return [role for role in Role if may(role, Right.CONFIRM_CHANGE) and may(role, Right.READ_INCIDENTS)]


def offer(tx: Session, report_id: int) -> Task | None:
    """A further message of an originator bears a looser label than what it told us before. That lowers nothing by
    itself: it may be about something else. A person is asked, once for each label."""
    report = tx.get_one(Report, report_id)
    giver = tx.get(Organisation, report.organisation_id) if report.organisation_id else None
    if report.incident_id is None or giver is None or giver.is_own:
        return None
    incident = lock_incident(tx, report.incident_id)
    came = [parse_tlp(one.tlp) for one in tx.execute(
        select(ItemVersion).where(ItemVersion.report_id == report.id, ItemVersion.version == 1)
    ).scalars() if one.tlp]  # fmt: skip
    label = max(came, default=None)
    if label is None or not any(
        label < one.standing.said.get(giver.id, label) and one.since < report.received_at
        for one in labelled(tx, incident)
    ):
        return None
    title = f"{giver.code} sent it again as TLP:{label.value}: has it lowered its label?"
    same = select(Task.id).where(Task.incident_id == incident.id, Task.title == title)
    if tx.execute(same.limit(1)).first() is not None:
        return None
    return open_task(
        tx, title=title, role="coordinator", fallback_role="duty-officer", assignee_id=incident.owner_id,
        incident=incident, created_by=SYSTEM, priority=50,
        instructions="What they told us before keeps its label. If they mean that the label of it is lowered, record "
        f"that under Label and caveats, Record a lowered label, of {reference_of(incident)}, with their message "
        f"{report.public_id} as evidence; a second person confirms it. If they do not say so, ask them.",
    )  # fmt: skip


_RECORDED = {
    False: "It was recorded that an originator lowered its label; a second person confirms it.",
    True: "It was asked to take back a label that we had raised; a second person confirms it.",
}
_CONFIRMED = {
    False: "A second person confirmed that an originator lowered its label.",
    True: "A second person confirmed that a label we had raised is taken back.",
}
_ENDED = {
    "refused": "A second person did not confirm that a label was lowered.",
    "withdrawn": "Whoever recorded that a label was lowered took that back.",
}


def _lowered(
    tx: Session, incident: Incident, one: Labelled, giver: Organisation | None, label: Tlp, *, said_at: datetime
) -> Standing:
    """How it is labelled after this word. Raises Refused where the word does not lower it."""
    if giver is None:
        return taken_back(one.standing, label)
    if one.since >= said_at + evidence.MINUTE:
        raise Refused("They said it before they told us this: it is not about it.")
    if newer_word(tx, one.item, incident.id, giver.id, than=said_at):
        raise Refused("They said something newer of this label.")
    return after_word(one.standing, giver.id, label)


def _fits(
    tx: Session, incident: Incident, one: Labelled, giver: Organisation | None, label: Tlp, *, said_at: datetime
) -> bool:
    try:
        _lowered(tx, incident, one, giver, label, said_at=said_at)
    except Refused:
        return False
    return True


def _write(
    tx: Session, incident: Incident, about: Sequence[Labelled], giver: Organisation | None, label: Tlp, *, author: str
) -> dict[str, list[str]]:
    """The next versions, the incident last, since it is never below what is in it: {item: [label before, after]}."""
    changed = {}
    for one in sorted(about, key=lambda each: each.item == WHOLE):
        held = of_item(tx, incident, WHOLE).standing.held if one.item == WHOLE else None
        after = taken_back(one.standing, label) if giver is None else after_word(
            one.standing, giver.id, label, held=held
        )
        if after.now is not one.standing.now:
            write_label(tx, incident, one, after.now, author=author)
            tx.flush()
            changed[one.item] = [one.standing.now.value, after.now.value]
    return changed


def _say_what_was_written_before(tx: Session, incident: Incident, items: Sequence[str], label: Tlp) -> None:
    """What is drafted or waits was written under the label of then, and says so: a person may write it anew."""
    made_from = select(ReleaseItem.release_id).join(ItemVersion, ItemVersion.id == ReleaseItem.item_version_id)
    query = select(Release.id).where(
        Release.incident_id == incident.id, Release.state.in_((DRAFT, AWAITING_APPROVAL)), Release.kind != "notice",
        Release.id.in_(made_from.where(ItemVersion.item.in_(items))),
    )  # fmt: skip
    found = list(tx.execute(query.order_by(Release.id)).scalars())
    if found:
        open_task(
            tx, title=f"A label was lowered to TLP:{label.value}: look at what was drafted before", role="coordinator",
            fallback_role="duty-officer", assignee_id=incident.owner_id, incident=incident, created_by=SYSTEM,
            priority=40, instructions="Drafts and releases that wait keep the label they were written under: "
            + ", ".join(str(each) for each in found)
            + ". Nothing leaves by itself. Where one may go further now, discard it and draft it anew.",
        )  # fmt: skip


def _locked(tx: Session, word_id: int, principal: Principal) -> tuple[LabelWord, Incident]:
    """Raises NotFound, also where this person may not know of the incident."""
    found = tx.execute(select(LabelWord.incident_id).where(LabelWord.id == word_id)).scalar_one_or_none()
    if found is None:
        raise NotFound()
    check_visible(tx, found, principal=principal)
    incident = lock_incident(tx, found)
    return tx.get_one(LabelWord, word_id, with_for_update=True, populate_existing=True), incident


def _open(tx: Session, word_id: int, principal: Principal) -> tuple[LabelWord, Incident]:
    word, incident = _locked(tx, word_id, principal)
    check_may_approve(tx, principal.user_id)
    sentence = why_not(word, principal)
    if sentence and Role(principal.role) not in confirming_roles():
        raise NoRight(sentence)
    if sentence:
        raise Refused(sentence)
    return word, incident


def _end(tx: Session, incident: Incident, word: LabelWord, state: str, actor: str, answer: str) -> None:
    word.state, word.answered_by, word.answered_at, word.answer = state, actor, clock.now(), answer
    tx.flush()
    _note(tx, incident, word, f"label.word-{state}", _ENDED[state], actor, {"reason": answer})


def _note(
    tx: Session, incident: Incident, word: LabelWord, kind: str, text: str, actor: str, values: dict[str, Any]
) -> None:
    timeline.append(
        tx, kind, text, actor=actor, incident=incident, values=values, about=("label_word", word.id)
    )  # fmt: skip


def _items(tx: Session, word: LabelWord) -> set[str]:
    return set(tx.execute(select(LabelWordItem.item).where(LabelWordItem.word_id == word.id)).scalars())


def _users(actor: str) -> set[int]:
    return {int(actor.removeprefix("user:"))} if actor.startswith("user:") else set()
