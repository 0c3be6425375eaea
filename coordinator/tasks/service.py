"""Tasks: opened, given to somebody, finished, called off. Each change is on record and places or settles its hold.

Locks are taken in one order everywhere: the incident, then the task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.accounts.staff import check_may_approve
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.incidents import holds, items, queries
from coordinator.incidents.models import Incident
from coordinator.markings import Marking, parse_tlp
from coordinator.partners.queries import duty_role
from coordinator.prepared import reserve
from coordinator.tasks import rules
from coordinator.tasks.contents import Contents, contents_of, keep_contents, keep_values
from coordinator.tasks.models import Task
from coordinator.timeline.keys import new_key

RESULT_CATEGORY = "situational-report"


def open_task(
    tx: Session,
    *,
    title: str,
    role: str,
    created_by: str,
    incident: Incident | None = None,
    instructions: str = "",
    kind: str = "task",
    fallback_role: str = "",
    assignee_id: int | None = None,
    due_at: datetime | None = None,
    blocks: str = "",
    fields: Mapping[str, Any] | None = None,
    options: Sequence[str] = (),
    checklist: Sequence[str] = (),
    ladder: Sequence[Mapping[str, Any]] = (),
    not_by: Sequence[str] = (),
    priority: int = 50,
    variable: str = rules.OPTION,
    rationale: bool = False,
    exercise: str = "",
) -> Task:
    """Give work to a role (or to one person of it), place its hold, and tell them once this is committed.

    `fields`: name -> {label, type, options?, required?}; a decision asks for `variable` with one of `options`, an
    approval for `answer`. `blocks`: resolve, close or "". `not_by`: actors who may not do it, or `task:<id>` for
    whoever does that one. A role that resolves to nobody gives way to the fallback role, then to the duty role.
    `incident` must be locked by this transaction.
    """
    stands_in = assignee_id is None and kind != rules.Kind.APPROVAL  # nobody approves in another role's stead
    given_to, passed_over = _resolve(tx, role, fallback_role) if stands_in else (role, [])
    form = rules.form_of(
        rules.Kind(kind), fields or {}, options=options, title=title, variable=variable, rationale=rationale
    )
    [[task_id]] = reserve(tx, tasks=1)
    task = Task(
        id=task_id, incident_id=incident.id if incident else None, kind=kind, title=title,
        data_key_id=incident.data_key_id if incident else new_key(tx), role=given_to,
        fallback_role=fallback_role, assignee_id=assignee_id, priority=priority, blocks=blocks,
        ladder=[dict(rung) for rung in ladder], not_by=list(not_by), due_at=due_at, created_at=clock.now(),
        created_by=created_by,
        exercise=incident.exercise if incident else exercise,
    )  # fmt: skip
    said = Contents(instructions=instructions, fields=form, options=list(options), checklist=list(checklist))
    keep_contents(tx, task, said)
    tx.add(task)
    tx.flush()
    if blocks and incident is not None:
        holds.place_hold(tx, incident, kind="task", object_id=task.id, text=title, blocks=blocks)
    values: dict[str, Any] = {"title": title, "role": given_to, "kind": kind}
    if passed_over:
        values["nobody_has"] = passed_over
    if due_at:
        values["due_at"] = clock.rfc3339(due_at)
    record(tx, "task.assigned", "A task was given out.", task, actor=created_by, incident=incident, values=values)
    timeline.pending(tx, "task.opened", task.id, exercise=task.exercise)
    look_again(tx, task)
    return task


def complete_task(
    tx: Session, task_id: int, *, principal: Principal, outcome: str, result: Mapping[str, Any], tlp: str = ""
) -> Task:
    """Finish a task. Asked twice by the same person, the second time changes nothing. `tlp`: the label of what is said,
    where it is stricter than the incident's and the form's.

    Raises NotFound, NoRight, Refused, Invalid (every fault of the result, pointers under /result).
    """
    task, incident = lock_task(tx, task_id, principal=principal)
    if task.state == rules.State.DONE and task.done_by == principal.actor and task.outcome == outcome:
        return task
    rules.check_may_do(given(tx, task), user_id=principal.user_id, role=principal.role)
    if task.kind == rules.Kind.APPROVAL:
        check_may_approve(tx, principal.user_id)
    wanted = rules.Outcome(outcome)
    form = contents_of(tx, task).fields
    values = rules.read_result(rules.Kind(task.kind), form, outcome=wanted, result=result)
    if values:
        labels = [tlp, *(form[name].get("tlp") or "" for name in values.keys() & form)]
        task.result_version_id = _keep_result(tx, task, incident, values, author=principal.actor, labels=labels)
    keep_values(tx, task, values)
    _finish(tx, task, rules.State.DONE, actor=principal.actor, outcome=wanted.value)
    text = "A task was done." if wanted is rules.Outcome.SUCCESSFUL else "A task could not be done."
    record(tx, "task.completed", text, task, actor=principal.actor, incident=incident,
            values={"title": task.title, "outcome": task.outcome})  # fmt: skip
    timeline.pending(tx, "task.completed", task.id, exercise=task.exercise)
    return task


def assign_task(
    tx: Session, task_id: int, *, assignee_id: int | None, principal: Principal, reason: str = ""
) -> Task:
    """Give an open task to one person, or back to its role with None. Whose role fits may; so may a coordinator.

    Raises NotFound, NoRight, Refused when the person's role does not fit or separation of duties stands against it,
    Invalid (/reason) where it is taken from somebody else without a reason.
    """
    task, incident = lock_task(tx, task_id, principal=principal)
    facts = given(tx, task)
    if principal.role == rules.COORDINATOR:
        _check_open(task)
    else:
        rules.check_may_do(facts, user_id=principal.user_id, role=principal.role)
    if task.assignee_id == assignee_id:
        return task
    if assignee_id is not None:
        person = tx.get(User, assignee_id)
        if person is None or person.state != "active":
            raise Refused("There is no active person with this id.")
        if person.role not in facts.roles and person.role != rules.COORDINATOR:
            raise Refused("This person's role does not fit the task.")
        if f"user:{assignee_id}" in facts.not_by:
            raise Refused("Another person must do this: that one took part in what it is about.")
    if task.assignee_id not in (None, principal.user_id) and not reason.strip():
        raise Invalid([Fault("/reason", "Somebody else has this task: give the reason for taking it from them.")])
    before, task.assignee_id = task.assignee_id, assignee_id
    task.version += 1
    record(tx, "task.assigned", "A task changed hands.", task, actor=principal.actor, incident=incident,
            values={"title": task.title, "from": before, "to": assignee_id, "reason": reason})  # fmt: skip
    if assignee_id not in (None, principal.user_id):
        timeline.pending(tx, "task.opened", task.id, exercise=task.exercise)
    return task


def give_to_role(tx: Session, task_id: int, *, role: str, principal: Principal, reason: str) -> Task:
    """Give an open task to another role, for its holders to take. Raises NotFound; Invalid (/role, /reason); Refused
    for an approval: whoever was asked answers, or nobody does."""
    task, incident = lock_task(tx, task_id, principal=principal)
    _check_open(task)
    if task.kind == rules.Kind.APPROVAL:
        raise Refused("An approval is asked of the roles that the playbook names; nobody else may give it instead.")
    held = select(User.id).where(User.role == role, User.state == "active")
    if role not in set(Role) or not may(Role(role), Right.COMPLETE_TASK):
        raise Invalid([Fault("/role", "Choose a role that does tasks.")])
    faults = [] if reason.strip() else [Fault("/reason", "Give the reason.")]
    if tx.execute(held.limit(1)).first() is None:
        faults.append(Fault("/role", "Nobody has this role: choose one that somebody has."))
    if faults:
        raise Invalid(faults)
    before = {"from_role": task.role, "from": task.assignee_id}
    task.role, task.assignee_id = role, None
    task.version += 1
    record(tx, "task.assigned", "A task was given to another role.", task, actor=principal.actor, incident=incident,
            values={"title": task.title, **before, "to_role": role, "reason": reason})  # fmt: skip
    timeline.pending(tx, "task.opened", task.id, exercise=task.exercise)
    return task


def hand_over_task(tx: Session, task_id: int, *, leaving: int, to: int, actor: str) -> bool:
    """Give a leaving person's open task to another one, or back to its role where that one may not do it. False where
    it is not that person's any more."""
    task, incident = lock(tx, task_id)
    if task is None or task.assignee_id != leaving or task.state != rules.State.OPEN:
        return False
    facts, person = given(tx, task), tx.get_one(User, to)
    fits = person.role in facts.roles or (person.role == rules.COORDINATOR and facts.kind is not rules.Kind.APPROVAL)
    task.assignee_id = to if fits and f"user:{to}" not in facts.not_by else None
    task.version += 1
    record(tx, "task.assigned", "A task changed hands.", task, actor=actor, incident=incident,
            values={"title": task.title, "from": leaving, "to": task.assignee_id})  # fmt: skip
    timeline.pending(tx, "task.opened", task.id, exercise=task.exercise)
    return True


def cancel_task(tx: Session, task_id: int, *, reason: str, actor: str) -> Task | None:
    """Call an open task off with a reason; one that is over stays as it is. None when there is no such task."""
    task, incident = lock(tx, task_id)
    if task is None or task.state != rules.State.OPEN:
        return task
    _finish(tx, task, rules.State.CANCELLED, actor=actor, outcome="")
    record(tx, "task.cancelled", "A task was called off.", task, actor=actor, incident=incident,
            values={"title": task.title, "reason": reason})  # fmt: skip
    timeline.pending(tx, "task.cancelled", task.id, exercise=task.exercise)
    return task


def look_again(tx: Session, task: Task) -> None:
    """Leave word for the next instant at which the task must be looked at. An earlier word does no harm."""
    rungs = rules.ladder_of(task.ladder, opened_at=task.created_at)
    at = rules.next_look(rungs, task.due_at, overdue_told=task.overdue_told_at is not None)
    if at is not None:
        timeline.pending(tx, "task.due", task.id, ready_at=at, exercise=task.exercise)


def lock_task(tx: Session, task_id: int, *, principal: Principal) -> tuple[Task, Incident | None]:
    """The task and its incident, locked. Raises NotFound, also where there is no need to know."""
    task, incident = lock(tx, task_id)
    if task is None or not may_see(tx, task, principal):
        raise NotFound()
    return task, incident


def may_see(tx: Session, task: Task, principal: Principal) -> bool:
    """Need-to-know of a task is that of its incident; who reads no incidents sees the tasks given to them."""
    if not (may(Role(principal.role), Right.READ_INCIDENTS) or _is_theirs(task, principal)):
        return False
    if task.incident_id is None:
        return True
    seen = select(Incident.id).where(Incident.id == task.incident_id, queries.visible(principal))
    return tx.execute(seen).first() is not None


def _is_theirs(task: Task, principal: Principal) -> bool:
    roles = rules.roles_of(task.role, task.fallback_role, task.ladder)
    return task.assignee_id == principal.user_id or principal.role in roles


def given(tx: Session, task: Task) -> rules.Given:
    """The task as the rules see it; `task:<id>` in not_by becomes whoever did that task."""
    not_by = {actor for actor in task.not_by or () if not actor.startswith("task:")}
    others = [int(actor.removeprefix("task:")) for actor in task.not_by or () if actor.startswith("task:")]
    if others:
        done_by = select(Task.done_by).where(Task.id.in_(others), Task.state == rules.State.DONE)
        not_by |= set(tx.execute(done_by).scalars())
    return rules.Given(
        kind=rules.Kind(task.kind), state=rules.State(task.state), assignee_id=task.assignee_id,
        roles=rules.roles_of(task.role, task.fallback_role, task.ladder), not_by=not_by - {""},
    )  # fmt: skip


def lock(tx: Session, task_id: int) -> tuple[Task | None, Incident | None]:
    """The task and its incident, locked in this order; (None, …) when there is no such task."""
    incident_id = tx.execute(select(Task.incident_id).where(Task.id == task_id)).scalar_one_or_none()
    incident = holds.lock_incident(tx, incident_id) if incident_id is not None else None
    return tx.get(Task, task_id, with_for_update=True, populate_existing=True), incident


def _check_open(task: Task) -> None:
    if task.state != rules.State.OPEN:
        raise Refused(rules.closed(task.state))


def _resolve(tx: Session, role: str, fallback_role: str) -> tuple[str, list[str]]:
    """The first of role, fallback and duty role that somebody active has, and the roles passed over."""
    wanted = [each for each in dict.fromkeys((role, fallback_role, duty_role(tx))) if each]
    held = select(User.role).where(User.role.in_(wanted), User.state == "active").distinct()
    somebody = set(tx.execute(held).scalars())
    for index, each in enumerate(wanted):
        if each in somebody:
            return each, wanted[:index]
    return wanted[0], wanted


def _finish(tx: Session, task: Task, state: rules.State, *, actor: str, outcome: str) -> None:
    task.state, task.outcome = state.value, outcome
    task.done_at, task.done_by = clock.now(), actor
    task.version += 1
    if task.blocks and task.incident_id is not None:
        holds.settle_hold(tx, kind="task", object_id=task.id)


def _keep_result(
    tx: Session, task: Task, incident: Incident | None, values: Mapping[str, str], *, author: str,
    labels: Sequence[str],
) -> int:  # fmt: skip
    """The result as an item version under the incident's own marking (unmarked where there is no incident), or the
    strictest label of its form's fields and of its author, where that is stricter."""
    marking = Marking.from_json(incident.marking) if incident is not None else Marking()
    said = [parse_tlp(each) for each in labels if each]
    if said and max(said) > marking.effective:
        marking = replace(marking, tlp=max(said))
    version = items.write_item(
        tx, kind="task-result", content={"task": task.id, "values": dict(values)}, marking=marking,
        info_category=RESULT_CATEGORY, author=author, incident=incident, exercise=task.exercise,
    )  # fmt: skip
    return version.id


def record(
    tx: Session, kind: str, text: str, task: Task, *, actor: str, incident: Incident | None, values: dict[str, Any]
) -> None:
    timeline.append(
        tx, kind, text, actor=actor, incident=incident, values=values, about=("task", task.id), exercise=task.exercise
    )
