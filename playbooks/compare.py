"""Two versions of a playbook, in words: what an officer has to know before the newer one is used."""

from collections.abc import Iterable, Mapping
from typing import Any

from playbooks.document import Playbook, Step

#: What of a document's top an officer is told of, beside its steps and variables.
_TOP = {
    "name": "The name", "description": "The description", "valid_from": "The start of validity",
    "valid_until": "The end of validity", "priority": "The document's priority", "revoked": "Whether it is revoked",
    "markings": "The markings", "workflow_exception": "What is done when nothing else handles a failure",
}
_OPTIONS = {
    "trigger": "The facts that choose it", "priority": "Its rank among those that match",
    "internal": "Whether it tells nobody outside", "needs": "What it needs to start", "exit": "When it is over",
}
_WORK = {
    "kind": "the kind of work", "role": "the role", "roles": "the roles", "fallback_role": "the role that stands in",
    "due": "the deadline", "until": "how long it waits", "chain": "reminders and escalation", "rule": "the rule",
    "separation": "separation of duties", "on_expiry": "what silence does", "audience": "the audience",
    "tlp_max": "the highest TLP", "ack": "the acknowledgement asked for", "message": "the kind of message",
    "template": "the template", "purpose": "the purpose", "category": "the category", "items": "what is shared",
    "agreement": "the agreement", "attribution": "attribution", "options": "the options", "checklist": "the checklist",
    "fields": "the form", "required": "whether it blocks closing", "values": "the values set", "to": "the status",
    "event": "what it waits for", "match": "which event fits", "do": "what is done about the duty",
    "fail": "how it fails",
    "need": "how many branches must succeed", "variable": "the variable", "rationale": "whether a reason is asked",
    "out": "the variables it fills", "method": "the method",
}
LONGEST = 160


def compare(old: Playbook, new: Playbook) -> list[str]:
    """A sentence for each difference, those of the whole first, then steps in the newer document's order."""
    said = [
        f"{label} changed{_from_to(old.raw.get(name), new.raw.get(name))}."
        for name, label in _TOP.items() if old.raw.get(name) != new.raw.get(name)
    ]  # fmt: skip
    said += [
        f"{label} changed{_from_to(getattr(old.options, name), getattr(new.options, name))}."
        for name, label in _OPTIONS.items() if getattr(old.options, name) != getattr(new.options, name)
    ]  # fmt: skip
    said += _variables(old, new)
    said += [f"Step added: {_name(step)}." for step in new.steps.values() if step.id not in old.steps]
    said += [f"Step removed: {_name(step)}." for step in old.steps.values() if step.id not in new.steps]
    for step in new.steps.values():
        if step.id in old.steps and (changes := list(_step(old.steps[step.id], step, old, new))):
            said.append(f"{_name(step)}: {'; '.join(changes)}.")
    return said


def _variables(old: Playbook, new: Playbook) -> Iterable[str]:
    yield from (f"Variable added: {name}." for name in new.variables if name not in old.variables)
    yield from (f"Variable removed: {name}." for name in old.variables if name not in new.variables)
    for name in new.variables:
        if name in old.variables and old.variables[name] != new.variables[name]:
            yield f"Variable changed: {name}."


def _step(before: Step, after: Step, old: Playbook, new: Playbook) -> Iterable[str]:
    for name in ("name", "description", "condition", "switch"):
        if getattr(before, name) != getattr(after, name):
            yield f"{name} changed{_from_to(getattr(before, name), getattr(after, name))}"
    if before.type != after.type:
        yield f"type changed{_from_to(before.type, after.type)}"
    if before.commands != after.commands:
        yield "what is asked changed" + _from_to(_asked(before), _asked(after))
    yield from _work(before.extension or {}, after.extension or {})
    for name in ("delay", "timeout", "agent", "targets", "in_args", "out_args", "playbook_id", "playbook_version"):
        if getattr(before, name) != getattr(after, name):
            yield f"{name.replace('_', ' ')} changed{_from_to(getattr(before, name), getattr(after, name))}"
    for name, label in (("on_success", "what follows"), ("on_failure", "what follows failure")):
        if getattr(before, name) != getattr(after, name):
            there = _from_to(_led(old, getattr(before, name)), _led(new, getattr(after, name)))
            yield f"{label} changed{there}"
    if before.branches != after.branches:
        yield "its branches changed"


def _work(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[str]:
    for name in sorted({*before, *after}, key=lambda each: list(_WORK).index(each) if each in _WORK else len(_WORK)):
        if before.get(name) != after.get(name):
            yield f"{_WORK.get(name, name)} changed{_from_to(before.get(name), after.get(name))}"


def _led(playbook: Playbook, step: str | None) -> str:
    return _name(playbook.steps[step]) if step else "nothing"


def _name(step: Step) -> str:
    return f"“{step.name}”" if step.name else f"{step.type} {step.id[-8:]}"


def _asked(step: Step) -> str:
    return " / ".join(str(each.get("command", "")) for each in step.commands)


def _from_to(before: Any, after: Any) -> str:
    return f" from {_shown(before)} to {_shown(after)}"


def _shown(value: Any) -> str:
    if value is None or value in ("", [], (), {}):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        text = ", ".join(f"{name.replace('_', ' ')} {_shown(each)}" for name, each in value.items())
    elif isinstance(value, list | tuple):
        text = "; ".join(_shown(each) for each in value)
    else:
        text = str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
