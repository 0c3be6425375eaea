"""The coordination extension: what CACAO 2.0 lacks for work between people, typed.

One extension-definition carries it, on steps (task, approval, decision, alert, share, obligation, wait, set, assess,
status, and join for parallel blocks) and on the playbook (trigger, priority, internal, exit, needs). The JSON schema
beside this file (coordination.schema.json) says which shapes are lawful; here they become dataclasses. A document
without the extension must still be true: every such step carries `manual` commands that say the same to a person.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from playbooks.durations import Duration, read_duration

EXTENSION_ID = "extension-definition--93c45aca-cdb1-4181-af53-8f822de738cc"

PERSON_KINDS = frozenset({"task", "approval", "decision"})
AUTOMATIC_KINDS = frozenset({"share", "status", "obligation", "assess", "http-api"})


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline: so long after an instant. `since` is run.started_at, incident.<fact>, step:<id>, event:<name> or ""
    for "when the step is entered". Passing it is lateness, a fact on record, never by itself a failure."""

    within: Duration
    since: str = ""
    calendar: str = "elapsed"
    regime: str = ""


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """So long after the step was entered and still unanswered: remind, or bring in somebody else."""

    after: Duration
    remind: bool = False
    to_role: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True)
class Ack:
    """Which acknowledgements an alert waits for: each, any, or a number; by a person or a system; within a time."""

    needed: str | int = "each"
    by: str = "system"
    within: Duration | None = None
    on_expiry: str = "continue"


@dataclass(frozen=True, slots=True)
class Task:
    role: str
    fallback_role: str = ""
    due: Due | None = None
    chain: tuple[ChainEntry, ...] = ()
    required: bool = False
    checklist: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "task"


@dataclass(frozen=True, slots=True)
class Approval:
    roles: tuple[str, ...]
    rule: str | int = "all"
    separation: bool = True
    due: Due | None = None
    on_expiry: str = "hold"
    chain: tuple[ChainEntry, ...] = ()
    kind: str = "approval"


@dataclass(frozen=True, slots=True)
class Decision:
    role: str
    variable: str
    options: tuple[str, ...]
    rationale: bool = True
    due: Due | None = None
    chain: tuple[ChainEntry, ...] = ()
    kind: str = "decision"


@dataclass(frozen=True, slots=True)
class Alert:
    message: str
    audience: Mapping[str, Any]
    template: str = ""
    tlp_max: str = ""
    purpose: str = ""
    category: str = ""
    attribution: str = "withhold"
    ack: Ack | None = None
    chain: tuple[ChainEntry, ...] = ()
    out: Mapping[str, str] = field(default_factory=dict)
    kind: str = "alert"


@dataclass(frozen=True, slots=True)
class Share:
    audience: Mapping[str, Any]
    items: tuple[str, ...]
    purpose: str
    tlp_max: str = ""
    agreement: str = ""
    attribution: str = "withhold"
    out: Mapping[str, str] = field(default_factory=dict)
    kind: str = "share"


@dataclass(frozen=True, slots=True)
class Obligation:
    do: str
    rule: str = ""
    out: Mapping[str, str] = field(default_factory=dict)
    kind: str = "obligation"


@dataclass(frozen=True, slots=True)
class Wait:
    event: str
    match: Mapping[str, Any] = field(default_factory=dict)
    until: Due | None = None
    on_expiry: str = "continue"
    out: Mapping[str, str] = field(default_factory=dict)
    kind: str = "wait"


@dataclass(frozen=True, slots=True)
class SetValues:
    values: Mapping[str, str]
    kind: str = "set"


@dataclass(frozen=True, slots=True)
class Assess:
    role: str
    method: str = ""
    out: Mapping[str, str] = field(default_factory=dict)
    kind: str = "assess"


@dataclass(frozen=True, slots=True)
class StatusChange:
    to: str
    kind: str = "status"


@dataclass(frozen=True, slots=True)
class Join:
    """How a parallel block ends: how many branches must succeed, and whether failure is seen at once or at the end."""

    fail: str = "settled"
    need: str | int = "all"
    kind: str = "join"


@dataclass(frozen=True, slots=True)
class PlaybookOptions:
    """The extension's playbook level. Lower priority numbers come first, as in CACAO (0 = undefined)."""

    trigger: Mapping[str, Any] | None = None
    priority: int = 0
    internal: bool = False
    exit: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


Work = Task | Approval | Decision | Alert | Share | Obligation | Wait | SetValues | Assess | StatusChange
_KINDS: dict[str, type] = {
    "task": Task, "approval": Approval, "decision": Decision, "alert": Alert, "share": Share, "obligation": Obligation,
    "wait": Wait, "set": SetValues, "assess": Assess, "status": StatusChange, "join": Join,
}


def _due(raw: Mapping[str, Any]) -> Due:
    return Due(
        within=read_duration(raw["within"]), since=raw.get("from", ""), calendar=raw.get("calendar", "elapsed"),
        regime=raw.get("regime", ""),
    )


def _chain(raw: list[Mapping[str, Any]]) -> tuple[ChainEntry, ...]:
    return tuple(
        ChainEntry(read_duration(each["after"]), each.get("remind", False), each.get("to_role", ""), each.get("to", ""))
        for each in raw
    )


def _ack(raw: Mapping[str, Any]) -> Ack:
    within = read_duration(raw["within"]) if "within" in raw else None
    return Ack(raw.get("from", "each"), raw.get("by", "system"), within, raw.get("on_expiry", "continue"))


_READERS: dict[str, Callable[[Any], Any]] = {
    "due": _due, "until": _due, "chain": _chain, "ack": _ack, "roles": tuple, "options": tuple, "items": tuple,
    "checklist": tuple,
}


def read_work(raw: Mapping[str, Any]) -> Any:
    """The typed model of a step's extension data. Raises ValueError, KeyError or TypeError for what the schema refuses;
    documents are checked before they are run."""
    kind = _KINDS[raw["kind"]]
    values = {name: _READERS.get(name, lambda same: same)(value) for name, value in raw.items() if name != "kind"}
    return kind(**values)


def read_options(raw: Mapping[str, Any]) -> PlaybookOptions:
    """The typed model of the playbook-level extension data; the defaults when there is none."""
    return PlaybookOptions(
        trigger=raw.get("trigger"), priority=raw.get("priority", 0), internal=raw.get("internal", False),
        exit=raw.get("exit", {}), needs=tuple(raw.get("needs", ())),
    )


def filled_variables(work: Any) -> frozenset[str]:
    """The playbook variables that this kind of work fills by itself, besides the step's out_args."""
    match work:
        case Task(fields=fields):
            return frozenset(fields)
        case Decision(variable=variable):
            return frozenset({variable})
        case SetValues(values=values):
            return frozenset(values)
        case Alert(out=out) | Share(out=out) | Obligation(out=out) | Wait(out=out) | Assess(out=out):
            return frozenset(out.values())
        case _:
            return frozenset()


def fact_name(name: str) -> str:
    """`incident.severity` and `severity` are the same fact."""
    return name.removeprefix("incident.")


def mentioned_facts(work: Any) -> frozenset[str]:
    """Names of the incident facts that a step's deadlines and values look at."""
    found = {due.since for due in (getattr(work, "due", None), getattr(work, "until", None)) if due is not None}
    if isinstance(work, SetValues):
        found |= {value for value in work.values.values() if isinstance(value, str)}
    return frozenset(fact_name(each) for each in found if each.startswith("incident."))


def matches(trigger: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Whether the facts choose the playbook, and a sentence for each fact looked at.

    `all` must hold to the last, of `any` at least one. {"all": []} chooses every incident; no trigger chooses none.
    """
    if not trigger:
        return False, ["This playbook has no trigger: a person starts it."]
    known = {fact_name(name): value for name, value in facts.items()}
    every = [_judge(rule, known) for rule in trigger.get("all", [])]
    some = [_judge(rule, known) for rule in trigger.get("any", [])]
    held = all(met for met, _ in every) and (not some or any(met for met, _ in some))
    if not every and not some:
        return True, ["This playbook is for every incident."]
    return held, [sentence for _, sentence in every] + [f"One of these is enough: {sentence}" for _, sentence in some]


def trigger_words(trigger: Mapping[str, Any] | None) -> list[str]:
    """The facts that choose a playbook, a sentence for each, without an incident to judge."""
    if not trigger:
        return ["A person starts it."]
    if not trigger.get("all") and not trigger.get("any"):
        return ["Every incident."]
    said = [f"Needed: {_wanted(rule)}." for rule in trigger.get("all", [])]
    return said + [f"One of these is enough: {_wanted(rule)}." for rule in trigger.get("any", [])]


def _wanted(rule: Mapping[str, Any]) -> str:
    name = fact_name(str(rule.get("fact", ""))).replace("_", " ")
    if "is" in rule:
        return f"{name} is {rule['is']}"
    if "in" in rule:
        return f"{name} is one of {', '.join(map(str, rule['in']))}"
    return f"{name} is at least {rule.get('at_least')}"


def _judge(rule: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[bool, str]:
    name = fact_name(str(rule.get("fact", "")))
    value = facts.get(name)
    readable = name.replace("_", " ")
    if value is None or value == "" or value == []:
        return False, f"{readable} is not known."
    met, wanted = _test(rule, value)
    shown = ", ".join(str(each) for each in value) if isinstance(value, list | tuple) else str(value)
    return met, f"{readable} is {shown[:200]}; {wanted}: {'yes' if met else 'no'}."


def _test(rule: Mapping[str, Any], value: Any) -> tuple[bool, str]:
    values = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
    if "is" in rule:
        return rule["is"] in values, f"{rule['is']} is asked for"
    if "in" in rule:
        return any(each in rule["in"] for each in values), f"one of {', '.join(map(str, rule['in']))} is asked for"
    least = _number(rule.get("at_least"))
    many = isinstance(value, list | tuple | set | frozenset)
    size = len(values) if many else _number(value)
    met = size is not None and least is not None and size >= least
    return met, f"at least {rule.get('at_least')}{' in number' if many else ''} is asked for"


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
