"""The dry run: what each line says, what a script may do, how it ends, and what is refused."""

import json
from typing import Any

import pytest

from playbooks.script import BadScript
from playbooks.simulate import simulate, simulate_files, validity_warnings
from tests.playbooks.documents import action, block, document, end, line, sid, two_branches

START = "2026-11-23T09:00:00Z"
TEXT = {"type": "string", "value": ""}


def deed(after: str, step: str, what: str, by: str = "", **values: Any) -> dict[str, Any]:
    return {"after": after, "step": sid(step), "what": what, "by": by, "values": values}


def play(raw: dict[str, Any], *deeds: dict[str, Any], others: Any = None, **script: Any) -> tuple[list[str], Any, int]:
    """Lines as "09:10 name what", the last line, the exit code."""
    lines, code = simulate(raw, {"start": START, "events": list(deeds), **script}, others)
    names = {sid(name): name for name in ("a", "b", "after", "end", "parallel:p", "while-condition:w", "c", "x")}
    shown = [
        f"{each['at'][11:16]} {names.get(each['step'], each['type'])} {each['what']}"
        for each in lines[:-1] if each["type"] != "start"
    ]
    return shown, lines[-1], code


def test_a_run_through_to_the_end() -> None:
    shown, last, code = play(line(), deed("PT10M", "a", "succeed"), deed("PT1H", "b", "succeed"))
    assert shown == [
        "09:00 a entered", "09:00 a waiting", "09:10 a succeeded", "09:10 b entered", "09:10 b waiting",
        "10:00 b succeeded", "10:00 end entered", "10:00 end succeeded",
    ]
    assert last == {"at": "2026-11-23T10:00:00Z", "what": "run", "state": "completed", "variables": {}}
    assert code == 0


@pytest.mark.parametrize(
    ("deeds", "state", "code"),
    [
        ([], "waiting", 4),
        ([deed("PT1M", "a", "fail")], "needs-attention", 3),
        ([deed("PT1M", "a", "succeed"), deed("PT2M", "b", "succeed")], "completed", 0),
    ],
)
def test_the_exit_code_tells_how_it_ended(deeds: Any, state: str, code: int) -> None:
    assert play(line(), *deeds)[1:] == (
        {"at": f"2026-11-23T09:0{len(deeds)}:00Z", "what": "run", "state": state, "variables": {}}, code
    )


def test_the_exception_route_ends_in_failed() -> None:
    _, last, code = play(line(workflow_exception=sid("end")), deed("PT1M", "a", "fail"))
    assert (last["state"], code) == ("failed", 3)


def test_branches_take_turns_in_the_order_of_the_document() -> None:
    raw = two_branches()
    shown, _, _ = play(raw, deed("PT2M", "b", "succeed"), deed("PT3M", "a", "succeed"))
    assert shown[:6] == [
        "09:00 parallel:p entered", "09:00 parallel:p waiting", "09:00 a entered", "09:00 a waiting",
        "09:00 b entered", "09:00 b waiting",
    ]
    assert shown[6:10] == ["09:02 b succeeded", "09:02 end entered", "09:02 end succeeded", "09:02 end branch-ended"]


def test_an_event_that_comes_too_early_is_kept_for_the_next_entry_and_the_rest_is_told() -> None:
    shown, last, _ = play(
        line(), deed("PT1M", "b", "succeed"), deed("PT5M", "a", "succeed"), deed("PT6M", "a", "succeed"),
        {"at": "2026-11-23T09:07:00Z", "step": "action--nowhere", "what": "succeed"},
    )
    assert "09:05 b succeeded" in shown
    assert [each for each in shown if "unused-event" in each] == ["09:05 a unused-event", "09:05 None unused-event"]
    assert last["state"] == "completed"


def test_kept_events_are_used_in_order_one_for_each_pass() -> None:
    raw = document({
        "while-condition:w": block("while-condition", condition="__n__:value < 2", on_true="a", on_completion="end"),
        "a": action(on_completion="end a", out_args=["__n__"]), "end a": end(), "end": end(),
    }, "while-condition:w", variables={"__n__": {"type": "integer", "value": "0"}})
    shown, last, code = play(
        raw, deed("PT1M", "a", "succeed", __n__="1"), deed("PT1M", "a", "succeed", __n__="2"),
    )
    assert [each for each in shown if "while" in each] == [
        "09:00 while-condition:w entered", "09:00 while-condition:w waiting", "09:01 while-condition:w loop",
        "09:01 while-condition:w succeeded",
    ]
    assert (last["variables"], code) == ({"__n__": "2"}, 0)


def test_only_out_args_are_taken_from_an_event() -> None:
    raw = line(variables={"__x__": TEXT, "__y__": TEXT})
    raw["workflow"][sid("a")]["out_args"] = ["__x__"]
    _, last, _ = play(raw, deed("PT1M", "a", "succeed", __x__="1", __y__="2", __z__="3"))
    assert last["variables"] == {"__x__": "1", "__y__": ""}


def one(work: dict[str, Any], **rest: Any) -> dict[str, Any]:
    variables = {"__x__": TEXT, "__all__": {"type": "bool"}}
    return document({"a": action(work=work, on_success="end", on_failure="b"), "b": action(on_completion="end"),
                     "end": end()}, "a", variables=variables, **rest)


APPROVAL = {"kind": "approval", "roles": ["legal-adviser", "release-authority"]}


@pytest.mark.parametrize(
    ("deeds", "way"),
    [
        ([("approve", "legal-adviser:ann"), ("approve", "release-authority:bob")], "09:02 a succeeded"),
        ([("approve", "legal-adviser:ann"), ("approve", "release-authority:ann")], None),
        ([("approve", ""), ("approve", "")], "09:02 a succeeded"),
        ([("approve", "legal-adviser:ann"), ("refuse", "release-authority:bob")], "09:02 a failed"),
    ],
)
def test_an_approval_is_given_and_refused_by_role_and_person(deeds: Any, way: str | None) -> None:
    votes = [deed(f"PT{at}M", "a", what, by) for at, (what, by) in enumerate(deeds, start=1)]
    shown, _, _ = play(one(APPROVAL), *votes)
    ended = [each for each in shown if each.endswith(("a succeeded", "a failed"))]
    assert ended == ([way] if way else [])


def test_a_decision_is_taken() -> None:
    work = {"kind": "decision", "role": "coordinator", "variable": "__x__", "options": ["go", "stay"]}
    _, last, code = play(one(work), deed("PT1M", "a", "decide", option="stay"))
    assert (last["variables"]["__x__"], code) == ("stay", 0)


ALERT = {"kind": "alert", "message": "check", "audience": {"directory": "all"}, "out": {"all_acknowledged": "__all__"},
         "ack": {"from": "each", "by": "person", "within": "PT1H"}, "chain": [{"after": "PT20M", "remind": True}]}


def test_contacts_acknowledge_and_an_acknowledgement_comes_before_the_time_out_of_the_same_instant() -> None:
    shown, last, _ = play(one(ALERT), deed("PT5M", "a", "acknowledge", "c1"), deed("PT1H", "a", "acknowledge", "c2"),
                          directory=["c1", "c2"])
    assert shown[:4] == ["09:00 a entered", "09:00 a waiting", "09:20 a reminded", "10:00 a succeeded"]
    assert last["variables"]["__all__"] == "true"


def test_silence_is_told_as_it_is() -> None:
    shown, last, code = play(one(ALERT), deed("PT5M", "a", "acknowledge", "stranger"), directory=["c1"])
    assert last["variables"]["__all__"] == "false"
    assert shown[-1] == "10:00 a unused-event"
    assert code == 0


def test_the_silent_ones_of_an_earlier_alert_are_the_audience_of_a_later_one() -> None:
    later = {**ALERT, "audience": {"from_step": sid("a"), "where": "not-acknowledged"}}
    raw = document({"a": action(work=ALERT, on_completion="b", out_args=["__all__"]),
                    "b": action(work=later, on_completion="end", out_args=["__all__"]), "end": end()}, "a",
                   variables={"__all__": {"type": "bool"}})
    shown, last, _ = play(raw, deed("PT5M", "a", "acknowledge", "c1"), deed("PT2H", "b", "acknowledge", "c1"),
                          deed("PT1H30M", "b", "acknowledge", "c2"), directory=["c1", "c2"])
    assert "10:30 b succeeded" in shown
    assert last["variables"]["__all__"] == "true"


@pytest.mark.parametrize(
    ("out", "result", "deeds", "expected"),
    [
        ({}, None, [], "completed"), ({}, "permit", [], "completed"),
        ({"result": "__x__"}, "deny", [], "completed"), ({"result": "__x__"}, "refer", [], "completed"),
        ({}, "deny", [], "waiting"), ({}, "refer", [], "waiting"),
        ({}, "refer", [deed("PT1M", "a", "approve")], "completed"),
    ],
)
def test_sharing_needs_nobody_but_where_it_is_referred(out: Any, result: Any, deeds: Any, expected: str) -> None:
    work = {"kind": "share", "audience": {"reporter": True}, "items": ["request"], "purpose": "incident-response",
            "out": out}
    _, last, _ = play(one(work), *deeds, shares={sid("a"): result} if result else {})
    assert last["state"] == expected
    assert last["variables"]["__x__"] == (result if out else "")


@pytest.mark.parametrize(
    "work",
    [
        {"kind": "set", "values": {"__x__": "y"}}, {"kind": "status", "to": "monitoring"},
        {"kind": "obligation", "do": "start", "rule": "r"}, {"kind": "assess", "role": "analyst"},
    ],
)
def test_what_needs_nobody_is_done_at_once(work: Any) -> None:
    shown, _, code = play(one(work))
    assert shown[:2] == ["09:00 a entered", "09:00 a succeeded"]
    assert code == 0


def test_a_report_ends_a_wait_if_it_fits() -> None:
    work = {"kind": "wait", "event": "report-update", "match": {"from": "FI"}, "until": {"within": "PT2H"},
            "out": {"text": "__x__"}}
    shown, last, _ = play(one(work), deed("PT1M", "a", "report", **{"from": "LV"}),
                          deed("PT2M", "a", "report", **{"from": "FI", "text": "news"}))
    assert "09:02 a succeeded" in shown and last["variables"]["__x__"] == "news"
    shown, _, _ = play(one(work))
    assert "11:00 a succeeded" in shown


def test_a_delay_delays_the_entry_and_a_timeout_fails() -> None:
    raw = line()
    raw["workflow"][sid("a")] |= {"delay": 60_000, "timeout": 120_000}
    shown, last, _ = play(raw)
    assert shown == ["09:01 a entered", "09:01 a waiting", "09:03 a timed-out"]
    assert last["state"] == "needs-attention"


def callee(**rest: Any) -> dict[str, Any]:
    raw = document({"c": action(on_completion="end", out_args=["__x__"]), "end": end()}, "c",
                   variables={"__x__": {"type": "string", "external": True}}, **rest)
    return raw | {"id": "playbook--11110000-0000-4000-8000-000000000077"}


def caller(**call: Any) -> dict[str, Any]:
    return document({"playbook-action:k": {
        "type": "playbook-action", "playbook_id": callee()["id"], "in_args": ["__x__"], "out_args": ["__x__"],
        "on_completion": sid("end"), **call}, "end": end()}, "playbook-action:k",
        variables={"__x__": {"type": "string", "value": "in"}})


def test_a_called_playbook_runs_inside_and_gives_its_values_back() -> None:
    shown, last, code = play(caller(), deed("PT5M", "c", "succeed", __x__="out"), others={"callee.json": callee()})
    assert "09:05 c succeeded" in shown
    assert (last["variables"]["__x__"], code) == ("out", 0)


def test_a_call_that_is_called_off_ends_what_was_called() -> None:
    shown, last, _ = play(caller(timeout=60_000), deed("PT5M", "c", "succeed"), others={"callee.json": callee()})
    assert "09:01 c skipped" in shown and "09:05 c succeeded" not in shown
    assert last["state"] == "needs-attention"


def test_the_newest_version_is_called_unless_one_is_named() -> None:
    newer = callee() | {"modified": "2026-02-01T00:00:00.000Z", "name": "newer"}
    newer["workflow"][sid("c")]["timeout"] = 1000
    both = {"1": newer, "2": callee()}
    assert play(caller(), others=both)[1]["state"] == "needs-attention"
    assert play(caller(playbook_version="2026-01-15T09:00:00.000Z"), others=both)[1]["state"] == "waiting"
    assert play(caller())[1]["state"] == "needs-attention"


@pytest.mark.parametrize(
    ("script", "pointer"),
    [
        ([], ""),
        ({}, "/start"),
        ({"start": "2026-11-23T09:00:00"}, "/start"),
        ({"start": START, "colour": 1}, "/colour"),
        ({"start": START, "events": {}}, "/events"),
        ({"start": START, "directory": [1]}, "/directory"),
        ({"start": START, "shares": {"s": "maybe"}}, "/shares/s"),
        ({"start": START, "variables": {"__x__": "1"}}, "/variables/__x__"),
        ({"start": START, "events": [1]}, "/events/0"),
        ({"start": START, "events": [{"after": "PT1M", "step": "s", "what": "dance"}]}, "/events/0/what"),
        ({"start": START, "events": [{"after": "1m", "step": "s", "what": "fail"}]}, "/events/0/after"),
        ({"start": START, "events": [{"at": "9:00", "step": "s", "what": "fail"}]}, "/events/0/at"),
        ({"start": START, "events": [{"step": "s", "what": "fail"}]}, "/events/0"),
        ({"start": START, "events": [{"after": "PT1M", "at": START, "step": "s", "what": "fail"}]}, "/events/0"),
        ({"start": START, "events": [{"after": "PT1M", "what": "fail"}]}, "/events/0/step"),
        ({"start": START, "events": [{"after": "PT1M", "step": "s", "what": "fail", "who": 1}]}, "/events/0/who"),
    ],
)
def test_a_script_that_cannot_be_used_names_the_place(script: Any, pointer: str) -> None:
    with pytest.raises(BadScript) as bad:
        simulate(line(), script)
    assert pointer in [place for place, _ in bad.value.faults]


def test_files_that_cannot_be_used_are_exit_code_one() -> None:
    good, script = json.dumps(line()).encode(), json.dumps({"start": START}).encode()
    assert simulate_files(good, script, [])[1] == 4
    for document_bytes, script_bytes in ((b"{", script), (good, b"{"), (b"{}", script), (good, b"{}")):
        lines, code = simulate_files(document_bytes, script_bytes, [])
        assert code == 1 and all(each["sentence"] for each in lines)
    assert simulate_files(good, script, [b"{}"])[0][0]["pointer"].startswith("/with/0")


def test_a_validity_that_has_passed_is_a_warning_here() -> None:
    raw = line(valid_until="2026-02-01T00:00:00.000Z")
    assert play(raw)[1]["state"] == "waiting"
    assert len(validity_warnings(raw, {"start": START})) == 1
    assert validity_warnings(line(), {"start": START}) == []
