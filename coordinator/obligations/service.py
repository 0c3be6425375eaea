"""Duties on an incident: started, reckoned from facts, met with evidence, or set aside with a reason and a right.

Every change is an entry of the record, which is the duty's history. A deadline moves to an earlier instant by itself
and never to a later one (I7): then the facts and the deadline stand side by side until a person says so. Locks are
taken in one order everywhere: the incident, then the duty.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import SYSTEM, Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.alerts.own import tell_own
from coordinator.errors import Fault, Invalid, NoRight, NotFound, Refused
from coordinator.incidents import holds, items
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import visible
from coordinator.incidents.rules import INSTANTS, Status
from coordinator.markings import Marking
from coordinator.obligations import rules
from coordinator.obligations.calendars import calendar_of, holidays
from coordinator.obligations.models import Obligation, ObligationRule
from coordinator.obligations.register import current_rule
from coordinator.obligations.rules import OPEN, OVERDUE, SET_ASIDE, Reckoned, State
from coordinator.partners.queries import duty_role

HOLD, NOTE = "obligation", "obligation-note"


def start(
    tx: Session, incident: Incident, rule: str, *, actor: str, basis_at: datetime | None = None,
    fidelity: str = "second", anew: bool = False, again: bool = False,
) -> Obligation:  # fmt: skip
    """Begin a duty under the newest version of a rule; the same rule again gives the duty there is, settled or not.

    `basis_at`: the instant it counts from, where a person knows it and the incident does not hold it. `anew`: a person
    asks, so one that was set aside begins again, beside the one that was; `again`: so does
    one that was met, for it is owed once more. `incident` is locked by this transaction.
    Raises NotFound for an unknown rule, Refused where the incident is rejected or a duplicate.
    """
    known = of_rule(tx, incident.id, rule)
    ended = SET_ASIDE | {State.MET} if again else SET_ASIDE
    if known is not None and not (anew and known.state in ended):
        return known
    if incident.status in (Status.REJECTED, Status.DUPLICATE):
        raise Refused(f"This incident is {incident.status}: a duty belongs to one that is worked on.")
    version = current_rule(tx, rule)
    if version is None:
        raise NotFound("There is no clock rule of this name.")
    given = {version.terms["clocks"][0]["basis"]: [clock.rfc3339(basis_at), fidelity]} if basis_at else {}
    row = Obligation(
        incident_id=incident.id, rule_version_id=version.id, rule=rule, state=State.ARMED, given=given, told=[],
        started_at=clock.now(), started_by=actor, exercise=incident.exercise,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    holds.place_hold(tx, incident, kind=HOLD, object_id=row.id, text=f"The duty {rule} is not settled", blocks="close")
    _record(tx, row, incident, "started", "A duty was begun.", actor=actor, values={
        "version": version.version, "advisory": version.signed_by is None,
    })  # fmt: skip
    _reckon(tx, row, incident, actor=actor, reason="")
    return row


def reckon_again(tx: Session, incident_id: int) -> None:
    """Facts of the incident changed: reckon its open duties anew, earlier at once, later only by a person."""
    incident = holds.lock_incident(tx, incident_id)
    for row in open_of(tx, incident_id):
        _reckon(tx, row, incident, actor=SYSTEM, reason="The facts it counts from were corrected.")


def give_basis(
    tx: Session, obligation_id: int, *, principal: Principal, reason: str, at: datetime | None = None,
    fidelity: str = "second",
) -> Obligation:  # fmt: skip
    """A person gives the instant a duty counts from, or (without `at`) takes over what the facts say now.

    Both values go on record. To a later instant only whoever may set a duty aside. Raises NotFound, NoRight, Refused.
    """
    row, incident = _open(tx, obligation_id, principal)
    if not reason.strip():
        raise Invalid([Fault("/reason", "Say why.")])
    if at is not None:
        terms = tx.get_one(ObligationRule, row.rule_version_id).terms
        row.given = {**row.given, terms["clocks"][0]["basis"]: [clock.rfc3339(at), fidelity]}
    _reckon(tx, row, incident, actor=principal.actor, reason=reason, by=principal)
    return row


def meet(
    tx: Session, obligation_id: int, *, principal: Principal, at: datetime, evidence: str
) -> Obligation:
    """A submission was made at this instant, and this shows it. Late stays late. Duties that count from it begin.

    The same again by the same person changes nothing. Raises NotFound, NoRight, Refused, Invalid.
    """
    row, incident = locked(tx, obligation_id, principal)
    if not may(Role(principal.role), Right.MEET_OBLIGATION):
        raise NoRight()
    if row.state == State.MET and row.settled_by == principal.actor and row.met_at == at:
        return row
    rules.check_open(row.state)
    rules.check_met(at, now=clock.now(), evidence=evidence)
    row.met_at = at
    _settle(tx, row, incident, State.MET, actor=principal.actor, said=evidence)
    for other in open_of(tx, incident.id):
        _reckon(tx, other, incident, actor=principal.actor, reason=f"{row.rule} was submitted.")
    return row


def set_aside(
    tx: Session, obligation_id: int, *, principal: Principal, state: str, reason: str
) -> Obligation:
    """Waive a duty, or say that it does not apply or that another one took its place: with a reason, by those who may.

    Raises NotFound, NoRight, Refused, Invalid.
    """
    row, incident = locked(tx, obligation_id, principal)
    if not may(Role(principal.role), Right.SET_OBLIGATION_ASIDE):
        raise NoRight()
    if state not in SET_ASIDE:
        raise Invalid([Fault("/state", f"Choose one of: {', '.join(sorted(SET_ASIDE))}.")])
    if not reason.strip():
        raise Invalid([Fault("/reason", "Say why this duty is not to be met.")])
    if row.state == state and row.settled_by == principal.actor:
        return row
    rules.check_open(row.state)
    _settle(tx, row, incident, State(state), actor=principal.actor, said=reason)
    return row


def look(tx: Session, obligation_id: int) -> None:
    """A warning of a running duty came due: the incident's owner and the duty role hear of it, once for each mark."""
    incident_id = tx.execute(select(Obligation.incident_id).where(Obligation.id == obligation_id)).scalar_one_or_none()
    if incident_id is None:
        return
    incident = holds.lock_incident(tx, incident_id)
    row = tx.get_one(Obligation, obligation_id, with_for_update=True, populate_existing=True)
    if row.state != State.RUNNING or row.basis_at is None or row.target_at is None:
        return
    passed, following = rules.what_to_tell(row.basis_at, row.target_at, told=row.told, now=clock.now())
    if passed:
        row.told = [*row.told, *passed]
        over = OVERDUE in passed
        _record(tx, row, incident, "overdue" if over else "due-soon", _WARNED[over], actor=SYSTEM, values={
            "marks": passed, "due_at": clock.rfc3339(row.target_at), "soft": row.due_at is None,
        })  # fmt: skip
        _tell(tx, incident, "duty-overdue" if over else "duty-due")
    if following is not None:
        timeline.pending(tx, "obligation.due", row.id, ready_at=following, exercise=row.exercise)


_WARNED = {True: "A duty is overdue.", False: "The deadline of a duty comes near."}


def _tell(tx: Session, incident: Incident, key: str) -> None:
    owner = incident.owner_id
    if owner is not None:
        tell_own(tx, key=key, user_id=owner, incident=incident)
    tell_own(tx, key=key, role=duty_role(tx), incident=incident, exclude={owner} if owner else ())


def of_rule(tx: Session, incident_id: int, rule: str) -> Obligation | None:
    """The newest duty of an incident under a rule."""
    query = select(Obligation).where(Obligation.incident_id == incident_id, Obligation.rule == rule)
    return tx.execute(query.order_by(Obligation.id.desc()).limit(1)).scalar_one_or_none()


def open_of(tx: Session, incident_id: int) -> list[Obligation]:
    """The duties of an incident that are not settled, oldest first, locked."""
    query = select(Obligation).where(Obligation.incident_id == incident_id, Obligation.state.in_(OPEN))
    return list(tx.execute(query.order_by(Obligation.id).with_for_update()).scalars())


def locked(tx: Session, obligation_id: int, principal: Principal) -> tuple[Obligation, Incident]:
    """The duty and its incident, locked. Raises NotFound, also without need to know."""
    seen = select(Incident.id).join(Obligation, Obligation.incident_id == Incident.id)
    incident_id = tx.execute(seen.where(Obligation.id == obligation_id, visible(principal))).scalar_one_or_none()
    if incident_id is None:
        raise NotFound()
    incident = holds.lock_incident(tx, incident_id)
    return tx.get_one(Obligation, obligation_id, with_for_update=True, populate_existing=True), incident


def _open(tx: Session, obligation_id: int, principal: Principal) -> tuple[Obligation, Incident]:
    row, incident = locked(tx, obligation_id, principal)
    if not may(Role(principal.role), Right.MEET_OBLIGATION):
        raise NoRight()
    rules.check_open(row.state)
    return row, incident


def _reckon(
    tx: Session, row: Obligation, incident: Incident, *, actor: str, reason: str, by: Principal | None = None
) -> None:
    terms = tx.get_one(ObligationRule, row.rule_version_id).terms
    calendar = calendar_of(terms, holidays(tx))
    found = rules.reckon(terms["clocks"], _known(tx, row, incident), holidays=calendar.days if calendar else ())
    if found is None:
        return
    way = rules.moved(row.target_at, found.target_at)
    if way == "later":
        if by is None:
            _facts_say_later(tx, row, incident, found)
            return
        if not may(Role(by.role), Right.SET_OBLIGATION_ASIDE):
            raise Refused("This makes the deadline later: a legal adviser or a coordinator may do so.")
    row.later_at = None
    if way:
        _move(tx, row, incident, found, actor=actor, reason=reason)


def _move(
    tx: Session, row: Obligation, incident: Incident, found: Reckoned, *, actor: str, reason: str
) -> None:
    before = row.due_at or row.target_at
    row.state, row.basis, row.basis_at = State.RUNNING, found.basis, found.basis_at
    row.due_at, row.target_at, row.version = found.due_at, found.target_at, row.version + 1
    now = clock.now()
    row.told = [name for name, at in rules.warnings(found.basis_at, found.target_at) if at <= now and name in row.told]
    _record(tx, row, incident, "reckoned", "The deadline of a duty was reckoned.", actor=actor, values={
        "basis": found.basis, "basis_at": clock.rfc3339(found.basis_at), "reason": reason, "soft": found.soft,
        "from": clock.rfc3339(before) if before else None, "to": clock.rfc3339(found.target_at),
    })  # fmt: skip
    timeline.pending(tx, "obligation.due", row.id, exercise=row.exercise)


def _facts_say_later(tx: Session, row: Obligation, incident: Incident, found: Reckoned) -> None:
    if row.later_at == found.target_at:
        return
    row.later_at = found.target_at
    _record(tx, row, incident, "kept", "Corrected facts would make a deadline later; it stands until a person says so.",
            actor=SYSTEM, values={"stands": clock.rfc3339(row.target_at) if row.target_at else None,
                                  "facts_say": clock.rfc3339(found.target_at)})  # fmt: skip


def _known(tx: Session, row: Obligation, incident: Incident) -> dict[str, tuple[datetime, str]]:
    """Every instant a clock of this duty may count from: the incident's, those of its other duties, those given."""
    known: dict[str, tuple[datetime, str]] = {"received_at": (incident.created_at, "second")}
    for name in INSTANTS:
        at = getattr(incident, name)
        if at is not None:
            known[name] = (at, getattr(incident, name.replace("_at", "_fidelity")))
    query = select(Obligation).where(Obligation.incident_id == incident.id).order_by(Obligation.id)
    for other in tx.execute(query).scalars():
        if other.met_at is not None:
            known[f"submitted_at:{other.rule}"] = (other.met_at, "second")
        if other.due_at is not None:
            known[f"due_at:{other.rule}"] = (other.due_at, "second")
    return known | {name: (clock.parse(text), fidelity) for name, (text, fidelity) in row.given.items()}


def _settle(
    tx: Session, row: Obligation, incident: Incident, state: State, *, actor: str, said: str
) -> None:
    note = items.write_item(
        tx, kind=NOTE, content={"duty": row.id, "rule": row.rule, "state": state.value, "said": said.strip()},
        marking=Marking.from_json(incident.marking), info_category="situational-report", author=actor,
        incident=incident,
    )  # fmt: skip
    row.state, row.settled_at, row.settled_by = state, clock.now(), actor
    row.note_version_id, row.version = note.id, row.version + 1
    tx.flush()
    late = row.met_at is not None and row.due_at is not None and row.met_at > row.due_at
    values: dict[str, Any] = {"said": said.strip()}
    if row.met_at is not None:
        values |= {"submitted_at": clock.rfc3339(row.met_at), "late": late}
    _record(tx, row, incident, state.value, _SENTENCES[state], actor=actor, values=values)
    holds.settle_hold(tx, kind=HOLD, object_id=row.id)
    timeline.pending(tx, "obligation.settled", row.id, exercise=row.exercise)


_SENTENCES: Mapping[State, str] = {
    State.MET: "A duty was met.",
    State.WAIVED: "A duty was waived.",
    State.NOT_APPLICABLE: "A duty was found not to apply.",
    State.SUPERSEDED: "Another duty took the place of this one.",
}


def _record(
    tx: Session, row: Obligation, incident: Incident, what: str, text: str, *, actor: str, values: dict[str, Any]
) -> None:
    timeline.append(tx, f"obligation.{what}", text, actor=actor, incident=incident,
                    values={"rule": row.rule, **values}, about=("obligation", row.id))  # fmt: skip
