"""Alerts and acknowledgements, approvals, decisions, shares, waits, called playbooks."""

from datetime import timedelta
from typing import Any

import pytest

from playbooks.effects import (
    Ignored,
    Notice,
    SetTimer,
    WorkSettled,
)
from playbooks.events import (
    Answered,
    Happened,
    TimerFired,
    Told,
    Voted,
    WorkFinished,
)
from tests.playbooks.documents import Desk, action, document, end, sid

HOUR = timedelta(hours=1)
TEXT = {"type": "string", "value": ""}


def alert(**ack: Any) -> Desk:
    work: dict[str, Any] = {
        "kind": "alert", "message": "initial", "audience": {"directory": "all"},
        "out": {"all_acknowledged": "__all__", "acknowledged_count": "__count__", "refused_count": "__refused__"},
    }
    if ack:
        work["ack"] = {name.rstrip("_"): value for name, value in ack.items()}
    variables = {"__all__": {"type": "bool"}, "__count__": {"type": "integer"}, "__refused__": {"type": "integer"}}
    raw = document({"a": action(work=work, on_completion="b"), "b": action(on_completion="end"), "end": end()}, "a",
                   variables=variables)
    return Desk(raw)


def numbers(desk: Desk) -> tuple[Any, ...]:
    return tuple(desk.state.variables[name] for name in ("__all__", "__count__", "__refused__"))


def answer(desk: Desk, who: str, what: str = "acknowledged", by: str = "person") -> list[Any]:
    return desk.send(Answered(desk.key("a"), who, what, by))


def test_an_alert_without_acknowledgement_is_over_when_it_is_told() -> None:
    desk = alert()
    assert desk.state.status == "running"
    desk.send(Told(desk.key("a"), ("x", "y"), ("z",)))
    assert numbers(desk) == ("false", "0", "1")
    assert desk.last(WorkSettled).outcome == "successful"
    assert desk.key("b")


@pytest.mark.parametrize(
    ("needed", "answers", "over"),
    [
        ("each", ["x"], False), ("each", ["x", "y", "z"], True), ("any", ["y"], True),
        (2, ["x"], False), (2, ["x", "z"], True), (9, ["x", "y", "z"], True),
    ],
)
def test_an_alert_waits_for_each_any_or_a_number(needed: Any, answers: list[str], over: bool) -> None:
    desk = alert(from_=needed)
    desk.send(Told(desk.key("a"), ("x", "y", "z")))
    for who in answers:
        answer(desk, who)
    assert bool(desk.history("b")) is over


def test_five_contacts_at_one_instant_are_one_join_and_none_is_lost() -> None:
    desk = alert(from_="each")
    desk.send(Told(desk.key("a"), tuple("vwxyz")))
    for who in "zvyxw":
        answer(desk, who)
        answer(desk, who)
    assert desk.history("b") == ["entered", "waiting"]
    assert numbers(desk) == ("true", "5", "0")


def test_an_answer_that_overtakes_the_telling_is_not_lost() -> None:
    desk = alert(from_="each")
    answer(desk, "x")
    desk.send(Told(desk.key("a"), ("x",)))
    assert numbers(desk) == ("true", "1", "0")


def test_where_a_person_is_asked_a_system_does_not_do() -> None:
    desk = alert(from_="each", by="person")
    desk.send(Told(desk.key("a"), ("x",)))
    answer(desk, "x", by="system")
    assert not desk.history("b")
    answer(desk, "x", by="person")
    assert desk.history("b")


@pytest.mark.parametrize(("on_expiry", "way"), [("continue", "succeeded"), ("fail", "failed")])
def test_silence_goes_on_with_the_truth_or_fails_as_the_document_says(on_expiry: str, way: str) -> None:
    desk = alert(from_="each", within="PT1H", on_expiry=on_expiry)
    desk.send(Told(desk.key("a"), ("x", "y")))
    answer(desk, "x")
    desk.send(TimerFired(desk.key("a") + "/within"), after=HOUR)
    assert desk.history("a")[-1] == way
    if way == "succeeded":
        assert numbers(desk) == ("false", "1", "0")


def test_an_alert_that_reaches_nobody_goes_on_and_a_coordinator_is_told() -> None:
    desk = alert(from_="each", within="PT1H")
    desk.send(Told(desk.key("a"), ()))
    assert numbers(desk) == ("false", "0", "0")
    assert desk.last(Notice)


def test_who_cannot_be_told_is_not_waited_for_and_not_counted_as_having_acknowledged() -> None:
    desk = alert(from_="each")
    desk.send(Told(desk.key("a"), ("x", "y")))
    answer(desk, "x")
    answer(desk, "y", "refused")
    assert numbers(desk) == ("false", "1", "1")


@pytest.mark.parametrize("said", ["not-for-me", "question"])
def test_another_answer_is_no_acknowledgement(said: str) -> None:
    desk = alert(from_="each")
    desk.send(Told(desk.key("a"), ("x",)))
    answer(desk, "x", said)
    assert not desk.history("b")
    answer(desk, "x")
    assert desk.history("b")


def approval(**work: Any) -> Desk:
    found = {"kind": "approval", "roles": ["legal-adviser", "release-authority"], **work}
    return Desk(document({
        "a": action(work=found, on_success="end", on_failure="no"), "no": action(on_completion="end"), "end": end(),
    }, "a"))


@pytest.mark.parametrize(
    ("work", "votes", "expected"),
    [
        ({}, [("legal-adviser", "ann", True)], "waiting"),
        ({}, [("legal-adviser", "ann", True), ("release-authority", "bob", True)], "completed"),
        ({}, [("legal-adviser", "ann", True), ("release-authority", "ann", True)], "waiting"),
        ({"separation": False}, [("legal-adviser", "ann", True), ("release-authority", "ann", True)], "completed"),
        ({}, [("legal-adviser", "ann", True), ("legal-adviser", "bea", True)], "waiting"),
        ({}, [("analyst", "cem", True)], "waiting"),
        ({"rule": "any"}, [("release-authority", "bob", True)], "completed"),
        ({"rule": 2}, [("release-authority", "bob", True), ("release-authority", "bea", True)], "completed"),
        ({"rule": "any"}, [("release-authority", "bob", False)], "refused"),
        ({}, [("legal-adviser", "ann", True), ("release-authority", "bob", False)], "refused"),
    ],
)
def test_an_approval_counts_roles_and_persons_and_one_refusal_refuses(work: Any, votes: Any, expected: str) -> None:
    desk = approval(**work)
    for role, by, approve in votes:
        desk.send(Voted(desk.key("a"), role, by, approve))
    assert ("refused" if desk.history("no") else desk.state.status) == expected


@pytest.mark.parametrize(("on_expiry", "last"), [("hold", "waiting"), ("escalate", "escalated"), ("refuse", "failed")])
def test_silence_never_approves(on_expiry: str, last: str) -> None:
    desk = approval(due={"within": "PT1H"}, on_expiry=on_expiry)
    desk.send(TimerFired(desk.key("a") + "/due"), after=HOUR)
    assert desk.history("a")[-1] == last
    assert desk.state.status != "completed"


def test_a_decision_is_one_of_its_options() -> None:
    work = {"kind": "decision", "role": "coordinator", "variable": "__x__", "options": ["go", "stay"]}
    desk = Desk(document({"a": action(work=work, on_completion="end"), "end": end()}, "a", variables={"__x__": TEXT}))
    assert isinstance(desk.done("a", option="run")[0], Ignored)
    desk.done("a", option="go")
    assert desk.state.variables == {"__x__": "go"}


@pytest.mark.parametrize(
    ("out", "results", "expected"),
    [
        ({}, ["permit"], "completed"), ({}, ["deny"], "needs-attention"), ({}, ["refer"], "waiting"),
        ({}, ["refer", "permit"], "completed"), ({}, ["refer", "deny"], "needs-attention"),
        ({"result": "__x__"}, ["deny"], "completed"), ({"result": "__x__"}, ["refer"], "completed"),
    ],
)
def test_a_share_waits_for_a_clearance_unless_its_result_is_read(out: Any, results: Any, expected: str) -> None:
    work = {
        "kind": "share", "audience": {"reporter": True}, "items": ["request"], "purpose": "incident-response",
        "out": out,
    }
    desk = Desk(document({"a": action(work=work, on_completion="end"), "end": end()}, "a", variables={"__x__": TEXT}))
    for result in results:
        desk.done("a", result=result)
    assert desk.state.status == expected
    assert desk.state.variables["__x__"] == (results[-1] if out else "")


def waiting_for(**work: Any) -> Desk:
    found = {"kind": "wait", "event": "partner-reply", "out": {"text": "__x__", "expired": "__late__"}, **work}
    return Desk(document({"a": action(work=found, on_completion="end"), "end": end()}, "a",
                         variables={"__x__": TEXT, "__late__": {"type": "bool"}}))


def test_a_wait_is_over_when_something_that_fits_happens() -> None:
    desk = waiting_for(match={"from": "FI"})
    for event in (Happened("report-update", {"from": "FI"}), Happened("partner-reply", {"from": "LV"})):
        assert isinstance(desk.send(event)[0], Ignored)
    desk.send(Happened("partner-reply", {"from": "FI", "text": "yes"}))
    assert desk.state.status == "completed"
    assert desk.state.variables == {"__x__": "yes", "__late__": "false"}


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        ({}, "completed"), ({"on_expiry": "fail"}, "needs-attention"),
        ({"event": "time", "on_expiry": "fail"}, "completed"),
    ],
)
def test_a_wait_whose_time_is_up_goes_on_or_fails(work: Any, expected: str) -> None:
    desk = waiting_for(until={"within": "PT2H", "from": "run.started_at"}, **work)
    desk.send(TimerFired(desk.last(SetTimer).key), after=2 * HOUR)
    assert desk.state.status == expected
    assert desk.state.variables["__late__"] == ("true" if expected == "completed" else None)


def test_a_called_playbook_gets_its_in_args_and_the_pinned_version_and_gives_out_args() -> None:
    other = "playbook--11110000-0000-4000-8000-000000000077"
    raw = document({"playbook-action:c": {
        "type": "playbook-action", "playbook_id": other, "in_args": ["__x__"], "out_args": ["__y__"],
        "on_completion": sid("end"),
    }, "end": end()}, "playbook-action:c", variables={"__x__": {"type": "string", "value": "v"}, "__y__": TEXT})
    desk = Desk(raw, pins={other: "2026-01-01T00:00:00.000Z"})
    spec = desk.work("playbook-action:c").spec
    assert (spec["playbook_id"], spec["version"]) == (other, "2026-01-01T00:00:00.000Z")
    assert spec["variables"] == {"__x__": "v"}
    assert spec["callers"] == [raw["id"]]
    desk.send(WorkFinished(desk.key("playbook-action:c"), "successful", {"__x__": "no", "__y__": "from there"}))
    assert desk.state.variables == {"__x__": "v", "__y__": "from there"}
    assert Desk(raw, callers=(other,)).state.status == "needs-attention"
