"""What an action step asks for, and when it has it: the kinds of work, begun and judged.

Nothing here moves a token. `begin` and `judge_*` answer with an Outcome, or None while the work goes on.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from playbooks.coordination import (
    AUTOMATIC_KINDS,
    Alert,
    Approval,
    Assess,
    Decision,
    Obligation,
    SetValues,
    Share,
    StatusChange,
    Task,
    Wait,
    fact_name,
    filled_variables,
)
from playbooks.document import Step
from playbooks.durations import write_instant
from playbooks.effects import BeginWork, Notice
from playbooks.events import Answered, Told, Voted, WorkFinished
from playbooks.machine import Machine
from playbooks.state import Token
from playbooks.variables import INCIDENT, REFERENCE

ANSWERS = frozenset({"acknowledged", "not-for-me", "question", "refused", "failed"})
_OUT_OF_REACH = frozenset({"refused", "failed"})
#: CACAO 2.0, step `timeout`: where a document sets none, the system applies a maximum to what it does by itself.
LONGEST_UNATTENDED = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a piece of work came out: succeeded, failed or timed-out, and what it leaves in variables. `sources` says of
    each name what its value came from, where that is not the incident."""

    what: str
    values: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Iterable[str]] = field(default_factory=dict)


def units(step: Step) -> list[tuple[str, tuple[Mapping[str, Any], ...]]]:
    """The step's work in order: (kind, commands). Commands for people that follow each other are one task."""
    if step.type == "playbook-action":
        return [("playbook", ())]
    if step.work is not None:
        return [(step.work.kind, step.commands)]
    found: list[tuple[str, tuple[Mapping[str, Any], ...]]] = []
    for command in step.commands:
        kind = "http-api" if command.get("type") == "http-api" else "task"
        if kind == "task" and found and found[-1][0] == "task":
            found[-1] = ("task", (*found[-1][1], command))
        else:
            found.append((kind, (command,)))
    return found


def kind_at(step: Step, token: Token) -> str:
    """The kind of the work a token is waiting for."""
    return units(step)[token.unit][0]


def is_automatic(step: Step, token: Token) -> bool:
    """Whether the work needs nobody: it is the engine's turn, not a person's, a partner's or a clock's."""
    kind = kind_at(step, token)
    if kind == "alert":
        return not (isinstance(step.work, Alert) and step.work.ack) or "recipients" not in token.data
    return kind in AUTOMATIC_KINDS and not (token.data.get("referred") or token.data.get("handed"))


def waits_visibly(step: Step, token: Token) -> bool:
    """Whether the step's history shows it waiting."""
    kind = kind_at(step, token)
    return kind not in AUTOMATIC_KINDS and not (kind == "alert" and not getattr(step.work, "ack", None))


def begin(machine: Machine, token: Token) -> Outcome | None:
    """Ask for the work of the token's unit and set its timers. Raises VariableRefused for an unknown variable."""
    step = machine.step_of(token)
    work = step.work
    if isinstance(work, SetValues):
        return _set(machine, token, work)
    if isinstance(work, Wait):
        return _wait(machine, token, work)
    kind, commands = units(step)[token.unit]
    due_at = machine.due_at(token, getattr(work, "due", None))
    spec = _spec(machine, token, commands)
    machine.effects.append(BeginWork(token.key, token.id, step.id, kind, spec, due_at))
    _keep_due(token, due_at)
    if kind == "http-api" and not step.timeout and "timeout" not in token.timers:
        machine.set_timer(token, "timeout", machine.now + LONGEST_UNATTENDED)
    if isinstance(work, Approval) and work.on_expiry != "hold" and due_at is not None:
        machine.set_timer(token, "due", due_at)
    if isinstance(work, Alert) and work.ack and work.ack.within:
        machine.set_timer(token, "within", work.ack.within.after(machine.now))
    for at, entry in enumerate(getattr(work, "chain", ())):
        machine.set_timer(token, f"chain/{at}", entry.after.after(machine.now))
    return None


def _keep_due(token: Token, due_at: datetime | None) -> None:
    if due_at is not None:
        token.data["due_at"] = write_instant(due_at)


def _set(machine: Machine, token: Token, work: SetValues) -> Outcome:
    values, sources = {}, {}
    for name, wanted in work.values.items():
        known = isinstance(wanted, str) and wanted.startswith("incident.")
        found = machine.state.facts.get(fact_name(wanted)) if known else machine.fill(token, wanted)
        values[name] = ", ".join(map(str, found)) if isinstance(found, list | tuple) else found
        sources[name] = [INCIDENT] if known else machine.sources(token, _named(wanted))
    return Outcome("succeeded", values, sources=sources)


def _wait(machine: Machine, token: Token, work: Wait) -> Outcome | None:
    due_at = machine.due_at(token, work.until)
    if due_at is not None and due_at <= machine.now:
        return expired_wait(work)
    if work.event != "time":
        spec = _spec(machine, token, machine.step_of(token).commands)
        token.data["match"] = spec["match"]
        machine.effects.append(BeginWork(token.key, token.id, token.step, "wait", spec, due_at))
    _keep_due(token, due_at)
    if due_at is not None:
        machine.set_timer(token, "until", due_at)
    return None


def _spec(machine: Machine, token: Token, commands: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    step = machine.step_of(token)
    agents = machine.playbook.agents
    targets = machine.playbook.targets
    spec = {
        "title": step.name or step.id,
        "description": step.description,
        "commands": [_command(each) for each in commands],
        "agent": agents.get(step.agent) or targets.get(step.agent),
        "targets": [targets.get(each) or agents.get(each) for each in step.targets],
        "owner": step.owner,
        "out_args": sorted({*step.out_args, *(filled_variables(step.work) if step.work else ())}),
        "foreign_extensions": list(step.foreign_extensions),
    }
    whole = spec | _own_part(machine, token, step, commands)
    told = whole["template"] if isinstance(step.work, Alert) else whole
    uses = sorted(name for name in _named(told) if not machine.declaration(token, name).constant)
    return machine.fill(token, whole) | {
        "extension": step.extension, "uses": uses, "sources": machine.sources(token, uses)
    }


def _named(asked: Any) -> set[str]:
    """The variables whose values stand in something that is asked for or told."""
    return {found.group(1) for found in REFERENCE.finditer(json.dumps(asked, default=str))}


def _command(command: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: command[name] for name in ("type", "description", "headers", "content") if name in command}
    encoded = {name: command[name] for name in ("command_b64", "content_b64") if name in command}
    return shown | encoded | {"text": command.get("command") or _decoded(command.get("command_b64"))}


def _decoded(text: Any) -> str:
    """What base64 hides, so that a person sees what they are asked to do; as it stands where it is no text."""
    if not isinstance(text, str):
        return ""
    try:
        found = base64.b64decode(text, validate=True).decode()
    except ValueError:
        return text
    return found if all(each.isprintable() or each.isspace() for each in found) else text


def _own_part(machine: Machine, token: Token, step: Step, commands: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    work = step.work
    if step.type == "playbook-action":
        return {
            "playbook_id": step.playbook_id,
            "version": step.playbook_version or machine.state.pins.get(step.playbook_id),
            "variables": {name: machine.read(token, name)[1] for name in step.in_args},
            "variable_sources": {name: machine.sources(token, [name]) for name in step.in_args},
            "callers": [*machine.state.callers, machine.playbook.id],
        }
    if work is None:
        kind = units(step)[token.unit][0]
        return _request(commands[0]) if kind == "http-api" else _task(Task(role=""))
    match work:
        case Task():
            return _task(work)
        case Approval():
            return {"roles": work.roles, "rule": work.rule, "separation": work.separation, "on_expiry": work.on_expiry}
        case Decision():
            return {"role": work.role, "variable": work.variable, "options": work.options, "rationale": work.rationale}
        case Alert():
            return _alert(work)
        case Share():
            return {
                "audience": work.audience, "items": work.items, "tlp_max": work.tlp_max, "purpose": work.purpose,
                "agreement": work.agreement, "attribution": work.attribution,
            }
        case Wait():
            until = machine.due_at(token, work.until)
            return {"event": work.event, "match": work.match, "until": write_instant(until) if until else None}
        case StatusChange():
            return {"to": work.to}
        case Obligation():
            return {"do": work.do, "rule": work.rule}
        case Assess():
            return {"role": work.role, "method": work.method}
    return {}


def _task(work: Task) -> dict[str, Any]:
    return {
        "role": work.role, "fallback_role": work.fallback_role, "checklist": work.checklist, "fields": work.fields,
        "required": work.required,
    }


def _alert(work: Alert) -> dict[str, Any]:
    ack = work.ack
    return {
        "message": work.message, "audience": work.audience, "template": work.template, "tlp_max": work.tlp_max,
        "purpose": work.purpose, "category": work.category, "attribution": work.attribution,
        "ack": ack and {
            "from": ack.needed, "by": ack.by, "within": ack.within.text if ack.within else None,
            "on_expiry": ack.on_expiry,
        },
    }


def _request(command: Mapping[str, Any]) -> dict[str, Any]:
    return {name: command.get(name) for name in ("command", "headers", "content", "content_b64")}


def due_of(machine: Machine, token: Token) -> datetime | None:
    """The deadline of the work at hand as the facts stand now."""
    work = machine.step_of(token).work
    return machine.due_at(token, getattr(work, "until", None) or getattr(work, "due", None))


def judge_finished(machine: Machine, token: Token, event: WorkFinished) -> Outcome | str | None:
    """What a finished piece of work comes to; a sentence if the event cannot be used."""
    step = machine.step_of(token)
    if event.outcome == "failed":
        return Outcome("failed", reason=event.reason or "it could not be done", detail={"by": event.by})
    if event.outcome != "successful":
        return "the outcome is successful or failed"
    outcome = _succeeded(token, step, event)
    if not isinstance(outcome, Outcome) or not event.sources:
        return outcome
    return replace(outcome, sources=dict.fromkeys(outcome.values, event.sources))


def _succeeded(token: Token, step: Step, event: WorkFinished) -> Outcome | str | None:
    detail = {"by": event.by, "reason": event.reason}
    match step.work:
        case Decision() as work:
            return _decided(work, event, detail)
        case Share() as work:
            return _shared(token, work, event, detail)
        case Wait(out=out):
            return Outcome("succeeded", _mapped(out, {"expired": "false"} | dict(event.values)), detail=detail)
        case Alert(out=out) | Obligation(out=out) | Assess(out=out):
            return Outcome("succeeded", _mapped(out, event.values) | _taken(step, event.values), detail=detail)
    return Outcome("succeeded", _taken(step, event.values), detail=detail)


def _decided(work: Decision, event: WorkFinished, detail: Mapping[str, Any]) -> Outcome | str:
    option = event.values.get("option", event.values.get(work.variable))
    if option not in work.options:
        return "that is not one of the options"
    return Outcome("succeeded", {work.variable: option}, detail={**detail, "option": option})


def _shared(token: Token, work: Share, event: WorkFinished, detail: Mapping[str, Any]) -> Outcome | None:
    """A step that reads the result goes on with any; one that does not waits for a clearance and fails on a refusal."""
    result = str(event.values.get("result", "permit"))
    detail = {**detail, "result": result}
    if "result" not in work.out and result == "refer":
        token.data["referred"] = True
        return None
    if "result" not in work.out and result == "deny":
        return Outcome("failed", reason="sharing was refused", detail=detail)
    return Outcome("succeeded", _mapped(work.out, {"result": result} | dict(event.values)), detail=detail)


def _mapped(out: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {variable: values[name] for name, variable in out.items() if name in values}


def _taken(step: Step, values: Mapping[str, Any]) -> dict[str, Any]:
    """Only the step's out_args (and what its form fills) leave it."""
    allowed = {*step.out_args, *(filled_variables(step.work) if step.work else ())}
    return {name: value for name, value in values.items() if name in allowed}


def judge_told(machine: Machine, token: Token, event: Told) -> Outcome | None:
    """Take in who is told. Without `ack` that is all the step waits for."""
    work = machine.step_of(token).work
    data = token.data
    data["recipients"] = list(dict.fromkeys([*data.get("recipients", []), *event.recipients]))
    data["refused"] = list(dict.fromkeys([*data.get("refused", []), *event.refused]))
    if not data["recipients"] and isinstance(work, Alert) and "from_step" not in work.audience:
        machine.effects.append(Notice(token.step, token.id, "This alert reaches nobody."))
    return alert_outcome(machine, token)


def judge_answered(machine: Machine, token: Token, event: Answered) -> Outcome | str | None:
    """Take in one answer. A person's acknowledgement stands above a system's; an acknowledgement is never undone."""
    if event.answer not in ANSWERS:
        return "that is not an answer"
    data = token.data
    if "recipients" in data and event.recipient not in data["recipients"]:
        return "that recipient was not told by this step"
    answers = data.setdefault("answers", {})
    before = answers.get(event.recipient)
    if before is not None and before[0] == "acknowledged" and (event.answer != "acknowledged" or before[1] == "person"):
        return "this recipient has acknowledged already"
    answers[event.recipient] = [event.answer, event.by]
    return alert_outcome(machine, token)


def alert_outcome(machine: Machine, token: Token, *, expired: bool = False) -> Outcome | None:
    """Whether an alert has what it waits for. Nobody told means nobody acknowledged: never "all of none"."""
    work = machine.step_of(token).work
    data = token.data
    if not isinstance(work, Alert) or ("recipients" not in data and not expired):
        return None
    recipients, answers = data.get("recipients", []), data.get("answers", {})
    reachable = [each for each in recipients if answers.get(each, [""])[0] not in _OUT_OF_REACH]
    by_person = work.ack is not None and work.ack.by == "person"
    acknowledged = [
        each for each in reachable
        if answers.get(each, [""])[0] == "acknowledged" and (not by_person or answers[each][1] == "person")
    ]
    refused = len(data.get("refused", [])) + sum(answers.get(each, [""])[0] == "refused" for each in recipients)
    everybody = bool(recipients) and len(acknowledged) == len(recipients)
    values = _mapped(work.out, {
        "all_acknowledged": everybody, "acknowledged_count": len(acknowledged), "refused_count": refused,
    })
    detail = {"told": len(recipients), "acknowledged": len(acknowledged), "refused": refused}
    if expired and work.ack and work.ack.on_expiry == "fail":
        return Outcome("failed", reason="not everybody acknowledged in time", detail=detail)
    if expired or work.ack is None or _enough(work.ack.needed, acknowledged, reachable):
        return Outcome("succeeded", values, detail=detail)
    return None


def _enough(needed: str | int, acknowledged: list[str], reachable: list[str]) -> bool:
    if not reachable or len(acknowledged) == len(reachable):
        return True
    return needed != "each" and len(acknowledged) >= (1 if needed == "any" else int(needed))


def judge_voted(machine: Machine, token: Token, event: Voted) -> Outcome | str | None:
    """Take in one vote. One refusal refuses, whatever the rule; silence never approves; with `separation` one person
    cannot answer for two roles."""
    work = machine.step_of(token).work
    if not isinstance(work, Approval):
        return "this step asks for no approval"
    if event.role not in work.roles:
        return "this role is not asked"
    votes = token.data.setdefault("votes", [])
    if [event.role, event.by] in votes or (work.separation and event.by and any(by == event.by for _, by in votes)):
        return "this person has answered already"
    if not event.approve:
        return Outcome("failed", reason=event.reason or "refused", detail={"by": event.by, "role": event.role})
    votes.append([event.role, event.by])
    if work.rule == "all":
        enough = {role for role, _ in votes} >= set(work.roles)
    else:
        enough = len(votes) >= (1 if work.rule == "any" else int(work.rule))
    return Outcome("succeeded", detail={"by": event.by, "role": event.role}) if enough else None


def expired_wait(work: Wait) -> Outcome:
    """A wait whose time is up: it goes on, unless the document says that silence fails."""
    if work.on_expiry == "fail" and work.event != "time":
        return Outcome("timed-out", reason="what the step waited for did not come in time")
    return Outcome("succeeded", _mapped(work.out, {"expired": "true"}), detail={"expired": True})
