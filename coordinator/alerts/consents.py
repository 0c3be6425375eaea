"""Asking an originator whether what it told us may go on to a third party, and what its answer brings about.

The request is an alert like any other: decided, sent, reminded, answered. It holds our own words, the originator's own
reference and what is asked, nothing else. A refusal and a withdrawal hold at once; a grant holds once a second person
of ours has confirmed it, never the one who asked for it. No answer changes nothing (R28).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.accounts.service import users_with_role
from coordinator.accounts.staff import check_may_approve
from coordinator.agreements.models import Consent
from coordinator.agreements.service import record_consent, record_refusal, withdraw_consent
from coordinator.alerts import own, rungs, telling
from coordinator.alerts.models import Acknowledgement, Alert, ConsentRequest
from coordinator.alerts.wording import CONSENT_REQUEST
from coordinator.errors import Fault, Invalid, NoRight, NotFound, Refused
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident, ItemVersion, Report
from coordinator.incidents.queries import check_visible
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking, parse_tlp
from coordinator.partners.models import Organisation
from coordinator.partners.queries import organisation_by_code
from coordinator.tasks.service import open_task
from coordinator.vocabulary import PURPOSES

CATEGORY = "request"
LONGEST_REASON = 2000
#: The request itself is between the originator and us, whatever it is about.
PURPOSE = "incident-response"


@dataclass(frozen=True)
class Asked:
    """`told` says whether the request is on its way, waits for a person, or was refused by the rules."""

    request: ConsentRequest
    told: telling.Told


def ask_consent(tx: Session, incident_id: int, wanted: Mapping[str, Any], *, principal: Principal) -> Asked:
    """Ask: `wanted` is {from, to, purpose, item (an item's key, "" for all of theirs here), valid_until, reply_by,
    reason, tlp, decision?} (requests.ConsentRequestSchema). `tlp` is the label of the request itself.

    Raises Invalid (each fault), Refused where there is nothing of theirs or it is being asked already.
    """
    incident = lock_incident(tx, incident_id)
    giver, receiver = _checked(tx, incident, wanted)
    title, body = CONSENT_REQUEST
    body = body.format(
        to=f"{receiver.name} ({receiver.code})", purpose=PURPOSES.label(wanted["purpose"]),
        until=clock.rfc3339(wanted["valid_until"]), about=_under(_their_reference(tx, incident, giver)),
        why=wanted["reason"].strip(),
    )  # fmt: skip
    told = telling.tell(
        tx, incident=incident, kind="request", title=title, body=body, purpose=PURPOSE, info_category=CATEGORY,
        requested_by=principal.actor, audience={"organisations": [giver.code]}, reply_by=wanted["reply_by"],
        marking=Marking(tlp=parse_tlp(wanted["tlp"])), ack="person",
    )  # fmt: skip
    request = ConsentRequest(
        incident_id=incident.id, release_id=told.release.id, decision_id=wanted.get("decision"), from_id=giver.id,
        to_id=receiver.id, purpose=wanted["purpose"], item=wanted.get("item") or reference_of(incident),
        valid_until=wanted["valid_until"], reply_by=wanted["reply_by"], asked_by=principal.actor, asked_at=clock.now(),
        exercise=incident.exercise,
    )  # fmt: skip
    tx.add(request)
    tx.flush()
    _record(tx, request, "consent.asked", "An originator is asked for its consent.", principal.actor, {
        "from": giver.code, "to": receiver.code, "purpose": request.purpose, "item": request.item,
        "until": clock.rfc3339(request.valid_until), "reason": wanted["reason"].strip(),
    })  # fmt: skip
    timeline.pending(tx, "consent.due", request.id, ready_at=request.reply_by, exercise=request.exercise)
    return Asked(request, told)


def take_answer(tx: Session, alert: Alert, answer: Acknowledgement, *, actor: str) -> None:
    """What follows from an answer to a request, in the transaction that takes it."""
    query = select(ConsentRequest).where(ConsentRequest.release_id == alert.release_id).with_for_update()
    request = tx.execute(query, execution_options={"populate_existing": True}).scalar_one_or_none()
    follows = {"granted": _granted, "refused": _refused, "withdrawn": _refused}.get(answer.answer)
    if request is None or follows is None:
        return
    request.acknowledgement_id, request.answered_at = answer.id, answer.at
    request.by_proxy = actor if answer.assurance == "noted-by-officer" else ""
    follows(tx, request, alert, actor)
    tx.flush()


def confirm(tx: Session, request_id: int, *, principal: Principal, until: datetime | None = None) -> ConsentRequest:
    """The second person of ours: the consent that was granted holds from now on, until `until` where that is sooner.

    Raises NotFound, NoRight, Invalid (`until`), Refused (asked or noted by oneself, nothing granted, over).
    """
    request = _open(tx, request_id, principal)
    now, ends = clock.now(), min(until or request.valid_until, request.valid_until)
    if ends <= now:
        raise Invalid([Fault("/until", "The time it was asked for is over: ask anew.")])
    giver, receiver = (tx.get_one(Organisation, each) for each in (request.from_id, request.to_id))
    record_consent(tx, {
        "from": giver.code, "to": receiver.code, "purpose": request.purpose, "item": request.item, "valid_until": ends,
        "evidence": _evidence(tx, request),
    }, actor=principal.actor)  # fmt: skip
    newest = select(func.max(Consent.id)).where(
        Consent.from_id == giver.id, Consent.to_id == receiver.id, Consent.item == request.item,
        Consent.purpose == request.purpose, Consent.answer == "granted",
    )  # fmt: skip
    request.consent_id = tx.execute(newest).scalar_one()
    request.state, request.confirmed_by, request.confirmed_at = "effective", principal.actor, now
    tx.flush()
    text = "A second person confirmed the consent of an originator."
    _record(tx, request, "consent.confirmed", text, principal.actor,
            {"consent": request.consent_id, "until": clock.rfc3339(ends)})  # fmt: skip
    _give_back(tx, request, f"{giver.code} consents that {receiver.code} has it: ask for the release again")
    return request


def decline(tx: Session, request_id: int, *, principal: Principal, reason: str) -> ConsentRequest:
    """Not confirmed: it is not sure that the answer is the originator's. Raises as `confirm`; a reason is required."""
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise Invalid([Fault("/reason", f"Say why, in at most {LONGEST_REASON} characters.")])
    request = _open(tx, request_id, principal)
    request.state, request.decline_reason = "declined", reason.strip()
    request.confirmed_by, request.confirmed_at = principal.actor, clock.now()
    tx.flush()
    text = "A person did not confirm the consent of an originator."
    _record(tx, request, "consent.declined", text, principal.actor, {"reason": reason.strip()})
    _give_back(tx, request, f"A consent of {_code(tx, request.from_id)} was not confirmed: look why, and ask anew")
    return request


def why_not(request: ConsentRequest, principal: Principal) -> str:
    """Why this person may not confirm it, in a sentence; "" where they may."""
    role = Role(principal.role)
    if not may(role, Right.CONFIRM_CHANGE) or not may(role, Right.READ_AGREEMENTS):
        return "Your role may not confirm a consent."
    if request.state != "granted":
        return "Nothing was granted that waits to be confirmed."
    if principal.actor in (request.asked_by, request.by_proxy):
        return "You asked for this consent, or noted the answer: another person has to confirm it."
    return ""


def answer_due(tx: Session, request_id: int) -> None:
    """The time to answer is over. That is no consent: whoever asked decides whether to ask again."""
    request = tx.get_one(ConsentRequest, request_id)
    if request.state == "asked":
        giver = _code(tx, request.from_id)
        _record(tx, request, "consent.overdue", "An originator has not answered a request for consent.", "system", {})
        _give_back(tx, request, f"{giver} has not answered whether {_code(tx, request.to_id)} may have it: ask again, "
                                "or do without. No answer is no consent")  # fmt: skip


# ---------------------------------------------------------------- what an answer brings about


def _granted(tx: Session, request: ConsentRequest, alert: Alert, actor: str) -> None:
    if request.state == "effective":
        return
    request.state = "granted"
    _record(tx, request, "consent.granted", "An originator grants a consent; a second person confirms it.", actor, {})
    exclude = {int(each.removeprefix("user:")) for each in (request.asked_by, request.by_proxy)
               if each.startswith("user:")}  # fmt: skip
    incident = rungs.incident_of(tx, alert)
    for role in confirming_roles(tx):
        own.tell_own(tx, key="consent-granted", role=str(role), incident=incident, exclude=exclude)


def _refused(tx: Session, request: ConsentRequest, alert: Alert, actor: str) -> None:
    """At once: what was not yet confirmed never holds, what held does so no more."""
    if request.state == "effective" and request.consent_id is not None:
        withdraw_consent(tx, request.consent_id, actor=actor, reason="withdrawn by the originator, by answer")
        request.state = "withdrawn"
    elif request.state in ("granted", "declined"):
        request.state = "withdrawn"
    elif request.state == "asked":
        request.state = "refused"
        codes = {"from": _code(tx, request.from_id), "to": _code(tx, request.to_id)}
        record_refusal(tx, {
            **codes, "purpose": request.purpose, "item": request.item, "valid_until": request.valid_until,
            "evidence": _evidence(tx, request),
        }, actor=actor)  # fmt: skip
    else:
        return
    _record(tx, request, f"consent.{request.state}-by-answer", "An originator said no.", actor, {})
    if request.asked_by.startswith("user:"):
        own.tell_own(tx, key="consent-answered", user_id=int(request.asked_by.removeprefix("user:")),
                     incident=rungs.incident_of(tx, alert))  # fmt: skip


def confirming_roles(tx: Session) -> list[Role]:
    """Whoever may confirm a consent, as far as somebody has the role."""
    may_confirm = [role for role in Role if may(role, Right.CONFIRM_CHANGE) and may(role, Right.READ_AGREEMENTS)]
    return [role for role in may_confirm if users_with_role(tx, str(role))]


def _open(tx: Session, request_id: int, principal: Principal) -> ConsentRequest:
    found = tx.execute(select(ConsentRequest.incident_id).where(ConsentRequest.id == request_id)).scalar_one_or_none()
    if found is None:
        raise NotFound()
    check_visible(tx, found, principal=principal)
    check_may_approve(tx, principal.user_id)
    lock_incident(tx, found)
    request = tx.get_one(ConsentRequest, request_id, with_for_update=True, populate_existing=True)
    sentence = why_not(request, principal)
    if sentence and not may(Role(principal.role), Right.CONFIRM_CHANGE):
        raise NoRight(sentence)
    if sentence:
        raise Refused(sentence)
    return request


def _checked(tx: Session, incident: Incident, wanted: Mapping[str, Any]) -> tuple[Organisation, Organisation]:
    faults, now = [], clock.now()
    found = {name: organisation_by_code(tx, wanted[name]) for name in ("from", "to")}
    for name, row in found.items():
        if row is None or row.is_own:
            faults.append(Fault(f"/{name}", "Choose an organisation that is not ours."))
    giver, receiver = found["from"], found["to"]
    if giver is not None and receiver is not None and giver.id == receiver.id:
        faults.append(Fault("/to", "Choose whom it is to go on to: another one than the originator."))
    if not now < wanted["reply_by"] <= wanted["valid_until"]:
        faults.append(Fault("/reply_by", "Give a time to come, before the consent would end."))
    if not wanted["reason"].strip() or len(wanted["reason"]) > LONGEST_REASON:
        faults.append(Fault("/reason", f"Say why, in at most {LONGEST_REASON} characters."))
    if giver is not None and not _is_theirs(tx, incident, giver, wanted.get("item") or ""):
        faults.append(Fault("/from", "Nothing here came from this organisation: there is nothing to ask it for."))
    if faults or giver is None or receiver is None:
        raise Invalid(faults)
    _refuse_twice(tx, incident, giver, receiver, wanted)
    return giver, receiver


def _is_theirs(tx: Session, incident: Incident, giver: Organisation, item: str) -> bool:
    """Whether something here is theirs, or was told to us by them as another's."""
    if not item and giver.id in (incident.originator_id, incident.source_id):
        return True
    query = select(ItemVersion.id).where(
        ItemVersion.incident_id == incident.id,
        (ItemVersion.originator_id == giver.id) | (ItemVersion.source_id == giver.id),
    )
    return tx.execute((query.where(ItemVersion.item == item) if item else query).limit(1)).first() is not None


def _refuse_twice(
    tx: Session, incident: Incident, giver: Organisation, receiver: Organisation, wanted: Mapping[str, Any]
) -> None:
    same = select(ConsentRequest.id).where(
        ConsentRequest.incident_id == incident.id, ConsentRequest.from_id == giver.id,
        ConsentRequest.to_id == receiver.id, ConsentRequest.purpose == wanted["purpose"],
        ConsentRequest.item == (wanted.get("item") or reference_of(incident)),
        ConsentRequest.state.in_(("asked", "granted")), ConsentRequest.reply_by > clock.now(),
    )  # fmt: skip
    if tx.execute(same.limit(1)).first() is not None:
        raise Refused("This is being asked already: wait for the answer, or until its time is over.")


def _their_reference(tx: Session, incident: Incident, giver: Organisation) -> str:
    """The name under which they told us: their own id of it."""
    query = select(Report.external_id).where(
        Report.incident_id == incident.id, Report.organisation_id == giver.id, Report.external_id.is_not(None)
    )
    return tx.execute(query.order_by(Report.id).limit(1)).scalar_one_or_none() or ""


def _under(reference: str) -> str:
    return f" under your reference {reference}" if reference else ""


def _evidence(tx: Session, request: ConsentRequest) -> str:
    """Where it is written down: the request, the answer, and how sure it is who answered."""
    answer = tx.get(Acknowledgement, request.acknowledgement_id) if request.acknowledgement_id else None
    how = f"{answer.assurance}, {clock.rfc3339(answer.at)}" if answer is not None else ""
    return f"Answer to request {request.id} ({how})"


def _give_back(tx: Session, request: ConsentRequest, title: str) -> None:
    """Whoever asked goes on with it."""
    incident = lock_incident(tx, request.incident_id)
    asker = int(request.asked_by.removeprefix("user:")) if request.asked_by.startswith("user:") else incident.owner_id
    open_task(
        tx, title=title, role="coordinator", fallback_role="duty-officer", assignee_id=asker, incident=incident,
        created_by="system", priority=70, instructions=f"Request for consent {request.id}.",
    )  # fmt: skip


def _code(tx: Session, organisation_id: int) -> str:
    return tx.get_one(Organisation, organisation_id).code


def _record(
    tx: Session, request: ConsentRequest, kind: str, text: str, actor: str, values: dict[str, Any]
) -> None:
    timeline.append(
        tx, kind, text, actor=actor, incident=tx.get_one(Incident, request.incident_id), values=values,
        about=("consent_request", request.id), exercise=request.exercise,
    )  # fmt: skip
