"""Duties and assessments in a dry run: reckoned by the clock rules, met at once or by a person of the script."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.obligations.register import shipped_rules
from coordinator.obligations.rehearsed import RehearsedDuties
from playbooks.simulate import simulate
from tests.playbooks.documents import action, document, end, sid

NAMES = ("__state__", "__due__", "__overdue__", "__late__", "__level__", "__sure__")
VARIABLES = {name: {"type": "string", "value": ""} for name in NAMES}
OUT = {"state": "__state__", "due_at": "__due__", "overdue": "__overdue__", "late": "__late__"}
START = "2026-11-23T09:00:00Z"
AWARE = {"incident.aware_at": "2026-11-23T06:30:00Z", "incident.aware_fidelity": "hour"}


def played(*works: dict[str, Any], facts: Any = None, events: Any = (), delay: int = 0) -> dict[str, Any]:
    """The last line of a dry run of these steps; `delay` (ms) comes before the last of them."""
    names = [f"s{at}" for at in range(len(works))]
    body = {
        name: action(name, work=work, on_completion=then, out_args=list(work.get("out", {}).values()))
        for name, work, then in zip(names, works, [*names[1:], "end"], strict=True)
    }
    if delay:
        body[names[-1]]["delay"] = delay
    raw = document({**body, "end": end()}, "s0", variables=VARIABLES)
    script = {"start": START, "facts": facts or {}, "events": list(events)}
    return simulate(raw, script, duties=RehearsedDuties(shipped_rules()))[0][-1]


def duty(do: str, rule: str = "EU-NIS2-EW") -> dict[str, Any]:
    return {"kind": "obligation", "do": do, "rule": rule, "out": OUT}


HOUR = 3_600_000
ROWS: list[tuple[list[Any], Any, int, tuple[str, ...]]] = [
    # steps · facts · what passes before the last of them · state, due_at, overdue, late
    ([duty("start")], AWARE, 0, ("running", "2026-11-24T06:00:00Z", "false", "false")),  # from the hour's beginning
    ([duty("start")], {}, 0, ("armed", "", "false", "false")),  # nothing to count from
    ([duty("start"), duty("check")], AWARE, 10 * HOUR, ("due-soon", "2026-11-24T06:00:00Z", "false", "false")),
    ([duty("start"), duty("check")], AWARE, 21 * HOUR, ("overdue", "2026-11-24T06:00:00Z", "true", "false")),
    ([duty("check")], AWARE, 0, ("none", "", "false", "")),
    ([duty("meet")], AWARE, 0, ("met", "2026-11-24T06:00:00Z", "false", "false")),
    ([duty("start"), duty("meet")], AWARE, 22 * HOUR, ("met-late", "2026-11-24T06:00:00Z", "false", "true")),
    ([duty("meet"), duty("meet")], AWARE, 30 * HOUR, ("met", "2026-11-24T06:00:00Z", "false", "false")),  # once is met
    ([duty("meet", "EU-NIS2-IN"), duty("start", "EU-NIS2-FR")], AWARE, 0,
     ("running", "2026-12-23T09:00:00Z", "false", "false")),  # a month after the submission
    ([duty("start", "NOBODY-KNOWS")], AWARE, 0, ("", "", "", "")),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "facts", "delay", "expected"), ROWS)
def test_a_duty_of_a_dry_run_is_reckoned_as_a_real_one(
    steps: list[Any], facts: Any, delay: int, expected: tuple[str, ...]
) -> None:
    last = played(*steps, facts=facts, delay=delay)
    assert last["state"] == "completed"
    assert tuple(last["variables"][name] for name in NAMES[:4]) == expected


@pytest.mark.parametrize(
    ("values", "state", "how"),
    [
        ({"submitted_at": "2026-11-23T10:00:00Z", "evidence": "Receipt 17"}, "completed", "met"),
        ({}, "completed", "met"),  # at the hour of the event
        ({"submitted_at": "2026-11-23T12:00:00Z"}, "needs-attention", ""),  # lies in the future then
        ({"submitted_at": "yesterday"}, "needs-attention", ""),
    ],
)
def test_a_script_may_have_a_person_submit_and_then_the_step_waits_for_them(values: Any, state: str, how: str) -> None:
    events = [{"after": "PT2H", "step": sid("s0"), "what": "succeed", "by": "legal-adviser:eve", "values": values}]
    last = played(duty("meet"), facts=AWARE, events=events)
    assert (last["state"], last["variables"]["__state__"], last["at"]) == (state, how, "2026-11-23T11:00:00Z")


ASSESS = {"kind": "assess", "role": "analyst", "out": {"severity": "__level__", "confidence": "__sure__"}}


def test_an_assessment_leaves_what_its_person_says_else_what_the_facts_say_and_makes_nothing_up() -> None:
    said = {"what": "succeed", "values": {"severity": "4", "confidence": "low", "reason": "Two hospitals."}}
    last = played(ASSESS, facts={"severity": 2}, events=[{"after": "PT1H", "step": sid("s0"), **said}])
    assert (last["variables"]["__level__"], last["variables"]["__sure__"]) == ("4", "low")
    last = played(ASSESS, facts={"severity": 2})
    assert (last["variables"]["__level__"], last["variables"]["__sure__"], last["at"]) == ("2", "", START)
    gave_up = [{"after": "PT1H", "step": sid("s0"), "what": "fail"}]
    assert played(ASSESS, events=gave_up)["state"] == "needs-attention"
