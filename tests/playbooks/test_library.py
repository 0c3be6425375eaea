"""The shipped playbooks: sound by the strict measure, for people first, and each way through them ends."""

import json
from typing import Any

import pytest

from playbooks.checks import check
from playbooks.coordination import EXTENSION_ID, matches
from playbooks.document import load, parse
from playbooks.drawing import draw
from playbooks.library import shipped
from playbooks.simulate import simulate

LIBRARY = dict(shipped())
ROLES = {"duty-officer", "coordinator", "liaison-officer", "release-authority", "legal-adviser", "analyst"}
PARTNERS = ["fi-duty", "lv-cyber"]
RANSOMWARE = {
    "classification": "malicious-code/infected-system", "cross_border": "yes", "sectors": ["health"],
    "humanitarian_flags": [],
}


def named(playbook: str) -> dict[str, str]:
    return {step.name: step.id for step in load(LIBRARY[playbook]).steps.values() if step.name}


def play(playbook: str, *deeds: tuple[Any, ...], **script: Any) -> tuple[dict[str, list[str]], dict[str, Any], int]:
    """What was recorded at each named step, the last line, the exit code. A deed is (hours, step, what, by, values)."""
    ids = named(playbook)
    events = [
        {"after": f"PT{int(hours * 60)}M", "step": ids[step], "what": what, "by": by, "values": values}
        for hours, step, what, by, values in deeds
    ]
    lines, code = simulate(LIBRARY[playbook], {"start": "2026-11-23T09:00:00Z", "events": events, **script})
    seen = {name: [each["what"] for each in lines if each.get("step") == step] for name, step in ids.items()}
    assert not any(each["what"] == "unused-event" for each in lines), lines
    return seen, lines[-1], code


@pytest.mark.parametrize("name", LIBRARY)
def test_each_is_without_fault_or_warning_by_the_strict_measure(name: str) -> None:
    assert check(LIBRARY[name], strict=True) == []


@pytest.mark.parametrize("name", LIBRARY)
def test_each_step_has_an_officers_description_a_known_role_and_a_manual_command(name: str) -> None:
    playbook = load(LIBRARY[name])
    assert len(playbook.description) > 100
    for step in playbook.steps.values():
        if step.type != "action":
            continue
        assert len(step.description) > 20 and step.name, step.id
        assert {command["type"] for command in step.commands} == {"manual"}
        work: Any = step.work
        if work.kind == "set":
            continue
        assert {getattr(work, "role", "") or "coordinator", *getattr(work, "roles", ())} <= ROLES
        assert getattr(work, "attribution", "withhold") == "withhold"
        if work.kind in ("task", "decision", "approval"):
            assert work.due is not None, step.name


@pytest.mark.parametrize("name", LIBRARY)
def test_each_still_runs_for_somebody_who_does_not_know_the_extension(name: str) -> None:
    raw = parse(LIBRARY[name])
    del raw["playbook_extensions"], raw["extension_definitions"]
    for body in raw["workflow"].values():
        body.pop("step_extensions", None)
    assert [each for each in check(raw) if each.severity == "fault"] == []
    assert EXTENSION_ID not in json.dumps(raw)


@pytest.mark.parametrize("name", LIBRARY)
def test_each_tells_others_only_where_it_says_so(name: str) -> None:
    playbook = load(LIBRARY[name])
    tells = any(getattr(step.work, "kind", "") in ("alert", "share") for step in playbook.steps.values())
    assert playbook.options.internal is (not tells)


@pytest.mark.parametrize(
    ("facts", "chosen"),
    [
        (RANSOMWARE, True),
        ({**RANSOMWARE, "sectors": ["energy"]}, False),
        ({**RANSOMWARE, "sectors": ["energy"], "humanitarian_flags": ["hospital-or-medical"]}, True),
        ({**RANSOMWARE, "cross_border": "unknown"}, False),
        ({**RANSOMWARE, "classification": "fraud/phishing"}, False),
        ({}, False),
    ],
)
def test_the_ransomware_playbook_is_chosen_by_facts_and_says_why(facts: Any, chosen: bool) -> None:
    options = load(LIBRARY["ransomware-health-care"]).options
    found, why = matches(options.trigger, facts)
    assert found is chosen
    assert len(why) == 4
    assert matches(load(LIBRARY["first-hour"]).options.trigger, facts)[0]
    assert not matches(load(LIBRARY["communication-check"]).options.trigger, facts)[0]


# ------------------------------------------------------------------------------------------------------ first hour

TAKE, FACTS, CALL, OWNER = (
    "Take charge of the report", "Set down the facts of triage", "Call the head of service",
    "Set severity and name an owner",
)


@pytest.mark.parametrize(("risk", "called"), [("no", False), ("yes", True), ("unknown", True)])
def test_first_hour_calls_the_head_of_service_unless_nobody_is_known_to_be_at_risk(risk: str, called: bool) -> None:
    calls = [(0.5, CALL, "succeed", "", {})] if called else []
    seen, _, code = play(
        "first-hour", (0.1, TAKE, "succeed", "", {}), (0.3, FACTS, "succeed", "", {"__life_at_risk__": risk}), *calls,
        (0.8, OWNER, "succeed", "", {}),
    )
    assert (bool(seen[CALL]), code) == (called, 0)


def test_first_hour_escalates_silence_and_stops_for_a_person_who_could_not() -> None:
    seen, last, code = play("first-hour")
    assert seen[TAKE] == ["entered", "waiting", "reminded", "escalated"]
    assert (last["state"], code) == ("waiting", 4)
    assert play("first-hour", (0.1, TAKE, "fail", "", {}))[2] == 3


# ----------------------------------------------------------------------------------------------- communication check

COMPOSE, SEND, AGAIN, DIRECTORY = (
    "Write the check", "Send it to every contact", "Try the silent ones again", "Bring the directory up to date",
)


def test_a_check_that_everybody_answers_goes_straight_to_the_directory() -> None:
    acks = [(1.1, SEND, "acknowledge", who, {}) for who in PARTNERS]
    seen, last, code = play("communication-check", (1, COMPOSE, "succeed", "", {}), *acks,
                            (2, DIRECTORY, "succeed", "", {}), directory=PARTNERS, variables={"__round__": "2026-Q4"})
    assert seen[AGAIN] == [] and code == 0
    assert last["variables"]["__acknowledged__"] == "2"


@pytest.mark.parametrize("answers", [True, False])
def test_the_silent_are_tried_again_on_another_channel_and_through_the_deputy(answers: bool) -> None:
    late = [(4.6, AGAIN, "acknowledge", "lv-cyber", {})] if answers else []
    seen, last, code = play("communication-check", (1, COMPOSE, "succeed", "", {}),
                            (1.5, SEND, "acknowledge", "fi-duty", {}), *late, (9, DIRECTORY, "succeed", "", {}),
                            directory=PARTNERS)
    assert seen[AGAIN] == ["entered", "waiting", "escalated", "escalated", "succeeded"]
    assert (last["variables"]["__acknowledged__"], code) == ("1", 0)


# -------------------------------------------------------------------------------------------------------- ransomware

CONFIRM, HEAD, SCOPE, DUTIES, LINE = (
    "Confirm the facts and when we became aware", "Call the head of service and offer the humanitarian channel",
    "Establish scope and indicators", "Say which reporting duties apply", "Draft the holding line",
)
CLEAR, REFUSED, STATES, REPORTER, VOICE = (
    "Approve what the affected states are told", "Record why nothing is told, and what remains",
    "Alert the affected states", "Tell the reporter what is being done", "Reach the silent ones by voice",
)
SHARE, CONTAINED, NEWS, UPDATE, STILL = (
    "Share the indicators", "Is the attack contained?", "Wait for news, twelve hours at most",
    "Bring the affected states up to date", "Is it contained now?",
)
AID, ARRANGE, POSITION, REPORT, STANDS = (
    "Is assistance asked for?", "Arrange mutual aid under the agreement", "Record the position on a ransom",
    "Final report and lessons", "Does everything that was told still stand?",
)
PREPARED = (
    (0.1, CONFIRM, "succeed", "", {"__life_at_risk__": "no"}), (1, SCOPE, "succeed", "", {}),
    (1, DUTIES, "succeed", "", {}), (1, LINE, "succeed", "", {}),
)
CLEARED = (
    *PREPARED, (2, CLEAR, "approve", "legal-adviser:ann", {}), (2, CLEAR, "approve", "release-authority:bob", {}),
)
HEARD = (
    (2.2, STATES, "acknowledge", "fi-duty", {}), (2.2, STATES, "acknowledge", "lv-cyber", {}),
    (2.2, REPORTER, "acknowledge", "fi-duty", {}),
)
ENDING = (
    (29, STANDS, "decide", "", {"option": "stands"}), (30, AID, "decide", "", {"option": "none"}),
    (30, POSITION, "decide", "", {"option": "advised-against"}),
    (31, REPORT, "succeed", "", {}),
)
NOW_CONTAINED = ((3, CONTAINED, "decide", "", {"option": "contained"}),)


def ransomware(*deeds: Any, **script: Any) -> tuple[dict[str, list[str]], dict[str, Any], int]:
    return play("ransomware-health-care", *deeds, directory=PARTNERS, **script)


def test_ransomware_main_path() -> None:
    seen, last, code = ransomware(*CLEARED, *HEARD, *NOW_CONTAINED, *ENDING)
    assert code == 0
    assert seen[HEAD] == seen[VOICE] == seen[NEWS] == seen[ARRANGE] == seen[REFUSED] == []
    assert last["variables"]["__all_acknowledged__"] == "true"
    assert last["variables"]["__indicators_shared__"] == "permit"


def test_ransomware_patients_at_risk_come_first() -> None:
    at_risk = ((0.1, CONFIRM, "succeed", "", {"__life_at_risk__": "unknown"}), (0.2, HEAD, "succeed", "", {}))
    seen, _, code = ransomware(*at_risk, *CLEARED[1:], *HEARD, *NOW_CONTAINED, *ENDING)
    assert (seen[HEAD][-1], code) == ("succeeded", 0)


def test_ransomware_one_refusal_tells_nobody_and_the_run_goes_on_to_its_end() -> None:
    seen, _, code = ransomware(
        *PREPARED, (2, CLEAR, "approve", "legal-adviser:ann", {}), (2.1, CLEAR, "refuse", "release-authority:bob", {}),
        (3, REFUSED, "succeed", "", {}), *ENDING[2:],
    )
    assert seen[STATES] == seen[SHARE] == seen[REPORTER] == []
    assert code == 0


def test_ransomware_silence_approves_nothing_and_escalates() -> None:
    seen, last, code = ransomware(*PREPARED)
    assert seen[CLEAR] == ["entered", "waiting", "reminded", "escalated"]
    assert (seen[STATES], last["state"], code) == ([], "waiting", 4)


def test_ransomware_a_silent_state_is_called() -> None:
    seen, last, code = ransomware(*CLEARED, HEARD[0], HEARD[2], (4, VOICE, "succeed", "", {}),
                                  (5, CONTAINED, "decide", "", {"option": "contained"}), *ENDING)
    assert seen[STATES] == ["entered", "waiting", "reminded", "escalated", "escalated", "succeeded"]
    assert (seen[VOICE][-1], last["variables"]["__acknowledged__"], code) == ("succeeded", "1", 0)


@pytest.mark.parametrize("result", ["deny", "refer"])
def test_ransomware_goes_on_when_the_indicators_may_not_be_shared(result: str) -> None:
    step = named("ransomware-health-care")[SHARE]
    _, last, code = ransomware(*CLEARED, *HEARD, *NOW_CONTAINED, *ENDING, shares={step: result})
    assert (last["variables"]["__indicators_shared__"], code) == (result, 0)


def test_ransomware_partners_are_kept_informed_until_it_is_contained() -> None:
    seen, _, code = ransomware(
        *CLEARED, *HEARD, (3, CONTAINED, "decide", "", {"option": "not-contained"}),
        (4, NEWS, "report", "", {"title": "more"}), (5, STILL, "decide", "", {"option": "not-contained"}),
        (18, STILL, "decide", "", {"option": "contained"}), *ENDING,
    )
    assert seen[UPDATE].count("succeeded") == 2  # after the report, and twelve hours later without one
    assert code == 0


def test_ransomware_assistance_rests_on_an_agreement() -> None:
    seen, _, code = ransomware(*CLEARED, *HEARD, *NOW_CONTAINED, (5, STANDS, "decide", "", {"option": "stands"}),
                               (6, AID, "decide", "", {"option": "mutual-aid"}), (20, ARRANGE, "succeed", "", {}),
                               *ENDING[2:])
    assert (seen[ARRANGE][-1], code) == ("succeeded", 0)


# ----------------------------------------------------------------------------------------------------------- drawing


@pytest.mark.parametrize("name", LIBRARY)
def test_each_is_drawn_whole_without_boxes_over_each_other(name: str) -> None:
    playbook = load(LIBRARY[name])
    first = playbook.steps[playbook.start].on_success or ""
    picture = draw(LIBRARY[name], {first: "waiting"})
    boxes = picture["nodes"]
    assert {box["id"] for box in boxes} == set(playbook.steps) == {each["id"] for each in picture["list"]}
    assert {box["id"]: box["state"] for box in boxes}[first] == "waiting"
    for at, one in enumerate(boxes):
        assert one["x"] >= 0 and one["x"] + one["w"] <= picture["width"] and one["y"] + one["h"] <= picture["height"]
        for other in boxes[at + 1:]:
            apart = (one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
                     or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"])
            assert apart, (one["label"], other["label"])
    wanted = {(step.id, way) for step in playbook.steps.values()
              for way in (step.on_success, step.on_failure, *(branch.step for branch in step.branches)) if way}
    assert {(edge["source"], edge["target"]) for edge in picture["edges"]} == wanted
    assert all(len(edge["points"]) >= 2 for edge in picture["edges"])
