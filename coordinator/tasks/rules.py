"""Who may do a task, what a result must say, and when somebody is reminded. Pure: the caller brings facts and `now`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from coordinator.errors import Fault, Invalid, NoRight, Refused
from playbooks.durations import read_duration, read_instant

COORDINATOR = "coordinator"
LONGEST_TEXT = 10_000
APPROVE, REFUSE = "approve", "refuse"
ANSWER, OPTION, RATIONALE, REASON, NOTE = "answer", "option", "rationale", "reason", "note"


class Kind(StrEnum):
    TASK = "task"
    DECISION = "decision"
    APPROVAL = "approval"
    VOICE = "voice"
    NOTICE = "notice"


class State(StrEnum):
    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"
    SET_ASIDE = "set-aside"


class Outcome(StrEnum):
    SUCCESSFUL = "successful"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Given:
    """A task as the rules see it. `roles`: everybody it was given to by role, through escalation too.

    `not_by` are actors who may not do it: separation of duties.
    """

    kind: Kind
    state: State
    roles: Collection[str]
    assignee_id: int | None = None
    not_by: Collection[str] = ()


def roles_of(role: str, fallback_role: str, ladder: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The roles a task was given to: its own, the fallback, and those an escalation brought in."""
    brought_in = {str(rung["to_role"]) for rung in ladder if rung.get("done") and rung.get("to_role")}
    return frozenset({role, fallback_role} - {""}) | brought_in


def check_may_do(task: Given, *, user_id: int, role: str) -> None:
    """Returns when this person may finish the task.

    A role that fits, the assignee, or a coordinator; an approval only by the very role that was asked. Raises NoRight,
    or Refused where separation of duties stands against this person, or the task is over.
    """
    fits = role in task.roles
    if task.kind is not Kind.APPROVAL:
        fits = fits or role == COORDINATOR or user_id == task.assignee_id
    if not fits:
        raise NoRight("This task was given to another role.")
    if f"user:{user_id}" in task.not_by:
        raise Refused("Another person must do this: you took part in what it is about.")
    if task.state is not State.OPEN:
        raise Refused(closed(task.state))


def closed(state: str) -> str:
    """Why nothing can be done with a task that is not open."""
    if state == State.SET_ASIDE:
        return "The task is set aside, since its incident was marked as a duplicate: undo that first."
    return f"The task is {state} already."


# ---------------------------------------------------------------- forms and results

_FLAGS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
_WHOLE = re.compile(r"-?\d{1,18}")


def form_of(
    kind: Kind, fields: Mapping[str, Any], *, options: Sequence[str] = (), title: str = "", variable: str = OPTION,
    rationale: bool = False,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """The fields a person fills: those given, and what the kind asks for by itself. name -> {label, type, …}."""
    if kind is Kind.DECISION:
        asked: dict[str, dict[str, Any]] = {
            variable: {"label": title, "type": "choice", "options": list(options), "required": True}
        }
        if rationale:
            asked[RATIONALE] = {"label": "Why", "type": "text", "required": True}
        return asked | {name: dict(field) for name, field in fields.items()}
    if kind is Kind.APPROVAL:
        return {
            ANSWER: {"label": title, "type": "choice", "options": [APPROVE, REFUSE], "required": True},
            REASON: {"label": "Reason (needed for a refusal)", "type": "text"},
        }
    return {name: dict(field) for name, field in fields.items()}


def read_result(
    kind: Kind, fields: Mapping[str, Mapping[str, Any]], *, outcome: Outcome, result: Mapping[str, Any]
) -> dict[str, str]:
    """The result as text values, by field name, and `note`. Raises Invalid with every fault, pointers under /result.

    A task that failed needs a note and no other field; an approval is answered, it does not fail.
    """
    faults = [
        Fault(f"/result/{_pointer(name)}", "This field is not asked for: remove it.")
        for name in result
        if name not in fields and name != NOTE
    ]
    values: dict[str, str] = {}
    failed = outcome is Outcome.FAILED
    for name, field in {**fields, NOTE: {"type": "text", "required": failed}}.items():
        given = result.get(name)
        if given is None or given == "":
            if field.get("required") and (name == NOTE or not failed):
                faults.append(Fault(f"/result/{_pointer(name)}", "Fill this in."))
            continue
        value, fault = _read_field(field, given)
        if fault:
            faults.append(Fault(f"/result/{_pointer(name)}", fault))
        else:
            values[name] = value
    if kind is Kind.APPROVAL:
        faults += _approval_faults(outcome, values)
    if faults:
        raise Invalid(faults)
    return values


def _approval_faults(outcome: Outcome, values: Mapping[str, str]) -> list[Fault]:
    if outcome is Outcome.FAILED:
        return [Fault("/outcome", "An approval is answered with approve or refuse; it does not fail.")]
    if values.get(ANSWER) == REFUSE and not values.get(REASON):
        return [Fault(f"/result/{REASON}", "Give the reason for the refusal.")]
    return []


def _read_field(field: Mapping[str, Any], given: Any) -> tuple[str, str]:
    """(value, "") or ("", what is wrong)."""
    if isinstance(given, bool):
        given = "true" if given else "false"
    if isinstance(given, int | float):
        given = str(given)
    if not isinstance(given, str):
        return "", "Send text, a number, or true or false."
    if len(given) > LONGEST_TEXT:
        return "", f"Use at most {LONGEST_TEXT} characters."
    if "\0" in given or any("\ud800" <= one <= "\udfff" for one in given):
        return "", "Remove the characters that cannot be stored."
    options = field.get("options")
    if options:
        return (given, "") if given in options else ("", "Choose one of the options given.")
    kind = field.get("type", "text")
    if kind in ("bool", "boolean"):
        flag = _FLAGS.get(given.strip().lower())
        return (flag, "") if flag else ("", "Answer yes or no.")
    if kind in ("integer", "long", "number"):
        return (given.strip(), "") if _WHOLE.fullmatch(given.strip()) else ("", "Write a whole number.")
    if kind == "instant":
        return (given.strip(), "") if read_instant(given.strip()) else ("", "Write date, time and offset from UTC, "
                                                                        "like 2026-11-22T17:53:00Z.")
    return given, ""


def _pointer(name: str) -> str:
    return "".join(one if one.isalnum() or one in "_-" else "?" for one in str(name)[:40])


# ---------------------------------------------------------------- reminders


@dataclass(frozen=True)
class Rung:
    """One entry of a task's own ladder: at `at`, remind whoever has it, or bring in `to_role`."""

    index: int
    at: datetime
    to_role: str = ""


def ladder_of(chain: Sequence[Mapping[str, Any]], *, opened_at: datetime) -> list[Rung]:
    """The rungs not yet done, in time order. `after` is an ISO 8601 duration from the opening, `at` an instant."""
    rungs = []
    for index, entry in enumerate(chain):
        if entry.get("done"):
            continue
        at = read_instant(entry["at"]) if "at" in entry else read_duration(entry["after"]).after(opened_at)
        if at is None:
            continue
        rungs.append(Rung(index, at, str(entry.get("to_role", ""))))
    return sorted(rungs, key=lambda rung: (rung.at, rung.index))


def next_look(rungs: Sequence[Rung], due_at: datetime | None, *, overdue_told: bool) -> datetime | None:
    """When the task must be looked at next: the next rung or its deadline, whichever is first."""
    times = [rung.at for rung in rungs]
    if due_at is not None and not overdue_told:
        times.append(due_at)
    return min(times, default=None)
