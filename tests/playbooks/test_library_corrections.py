"""The shipped playbooks when what was told turns out wrong, what the law asks for, and what a person has to judge."""

from __future__ import annotations

from typing import Any

import pytest

from playbooks.coordination import Alert, Approval, Assess, Obligation, Share
from playbooks.library import shipped
from tests.playbooks.test_diplomatic_library import FAIL, REFUSE, SILENT, playbook_of, played

CORRECTED = ("cbm-notification", "ddos-critical-infrastructure", "election-interference", "espionage-foreign-ministry",
             "ransomware-health-care", "submarine-cable-outage", "supply-chain-compromise")  # fmt: skip
WRITE, APPROVE, STANDS = "Write the correction", "Approve the correction", "Does everything that was told still stand?"
VOICE, OTHER = "Reach with the correction those who stay silent", "Tell them the correction another way"
EXPOSED = {"Whose documents were exposed?": [{"__exposed__": "yes"}]}
#: What makes each one correct itself, and who hears it last.
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "cbm-notification": ({"What follows from it": ["wrong"]}, "Correct it with the other side"),
    "ddos-critical-infrastructure": ({STANDS: ["wrong"]}, "Correct it with the affected states"),
    "election-interference": ({STANDS: ["wrong"]}, "Correct it with the affected states"),
    "espionage-foreign-ministry": ({STANDS: ["wrong"], **EXPOSED}, "Correct it with the partners"),
    "ransomware-health-care": ({STANDS: ["wrong"]}, "Correct it with the affected states"),
    "submarine-cable-outage": ({STANDS: ["wrong"], "Which word for the cause?": ["undetermined", "undetermined"]},
                               "Correct it with the affected states"),
    "supply-chain-compromise": ({STANDS: ["wrong"]}, "Correct it with the partners"),
}  # fmt: skip
#: The false alarm of each: what is decided, what is then left out, what is done.
FALSE: list[tuple[str, dict[str, Any], str, str]] = [
    ("ransomware-health-care", {"Is the attack contained?": ["false-alarm"]}, "Record the position on a ransom",
     "Tell the affected states that it is over"),
    ("ransomware-health-care", {"Is the attack contained?": ["not-contained"], "Is it contained now?": ["false-alarm"]},
     "Is assistance asked for?", "Correct it with the reporter"),
    ("ddos-critical-infrastructure", {"Does the attack go on?": ["false-alarm"]}, "Share the figures",
     "Correct it with those who got addresses"),
    ("election-interference", {"Is the result certified?": ["false-alarm"]}, "Have the authority publish it",
     "Tell the affected states that it is over"),
    ("espionage-foreign-ministry", {"Watch or evict?": ["watch", "no-intrusion"], **EXPOSED},
     "Evict at the agreed hour", "Correct it with the partners"),
    ("submarine-cable-outage", {"Is traffic back?": ["no-outage"], "Which word for the cause?": ["undetermined"]},
     "Agree on the statement of cause, or record that it is undetermined", "Correct it with those who heard of ships"),
]  # fmt: skip


@pytest.mark.parametrize("name", CORRECTED)
def test_whoever_was_told_something_wrong_is_told_so_by_the_way_they_were_told(name: str) -> None:
    wrong, last = WRONG[name]
    seen, end = played(name, wrong)
    assert end["state"] == "completed"
    assert [seen[step][-1:] for step in (WRITE, APPROVE, last, VOICE, OTHER)] == [["succeeded"]] * 3 + [[], []]
    assert end["variables"]["__correction_acknowledged__"] == "true"


@pytest.mark.parametrize("name", CORRECTED)
def test_a_correction_waits_for_two_people_and_silence_about_it_is_followed_up(name: str) -> None:
    wrong, last = WRONG[name]
    seen, end = played(name, {**wrong, APPROVE: SILENT})
    assert (seen[APPROVE][-1], seen[last], end["state"]) == ("escalated", [], "waiting")
    seen, end = played(name, {**wrong, APPROVE: REFUSE})
    assert (seen[OTHER][-1], seen[last], end["state"]) == ("succeeded", [], "completed")
    seen, end = played(name, {**wrong, last: SILENT})
    assert (seen[last].count("escalated"), seen[VOICE][-1], end["state"]) == (2, "succeeded", "completed")


@pytest.mark.parametrize(("name", "changes", "left_out", "done"), FALSE)
def test_a_false_alarm_is_called_one_and_everybody_told_hears_it(
    name: str, changes: dict[str, Any], left_out: str, done: str
) -> None:
    seen, end = played(name, changes)
    assert (end["state"], end["variables"]["__stands__"]) == ("completed", "false-alarm")
    assert (seen[STANDS], seen[left_out], seen[done][-1]) == ([], [], "succeeded")
    assert seen[WRITE][-1] == seen[APPROVE][-1] == "succeeded"


def test_where_nobody_was_told_nothing_is_corrected() -> None:
    for name, approval in (("ddos-critical-infrastructure", "Approve the request for help"),
                           ("election-interference", "Approve what partners are told and asked")):
        seen, end = played(name, {approval: REFUSE})
        assert (seen[STANDS], seen[WRITE], end["state"]) == ([], [], "completed")


@pytest.mark.parametrize("name", CORRECTED)
def test_the_correction_goes_to_all_that_any_first_message_went_to(name: str) -> None:
    steps = playbook_of(name).steps
    first = {step.id for step in steps.values() if isinstance(step.work, Alert) and step.work.message == "initial"}
    works = [step.work for step in steps.values() if isinstance(step.work, Alert)]
    corrected = {work.audience["from_step"] for work in works if work.message == "correction"}
    assert first and first <= corrected, (first, corrected)
    ids = {step.id for step in steps.values() if isinstance(step.work, Alert | Share)}
    assert corrected <= ids


# ------------------------------------------------------------------------------------------------- duties

OWED = {"__reports__": "unknown", "__personal_data__": "yes"}
EARLY, NOTICE, FINAL, DATA = (
    "Have the early warning given", "Have the notification submitted", "Begin the clock of the final report",
    "Have the data protection authority told",
)
DUTIES = ("ransomware-health-care", "ddos-critical-infrastructure", "espionage-foreign-ministry",
          "submarine-cable-outage")  # fmt: skip


def owing(name: str, **more: Any) -> dict[str, Any]:
    extra = {"Which word for the cause?": ["undetermined", "undetermined"]} if name.startswith("submarine") else {}
    return {"Say which reporting duties apply": [OWED], **extra, **more}


@pytest.mark.parametrize("name", DUTIES)
def test_what_is_owed_or_may_be_runs_and_is_submitted_beside_the_rest(name: str) -> None:
    seen, end = played(name, owing(name))
    assert end["state"] == "completed"
    assert [seen[step][-1] for step in (EARLY, NOTICE, FINAL, DATA)] == ["succeeded"] * 4
    assert (end["variables"]["__early_warning__"], end["variables"]["__notification__"]) == ("met", "met")
    none = {"__reports__": "no", "__personal_data__": "no"}
    seen, end = played(name, owing(name) | {"Say which reporting duties apply": [none]})
    assert [seen[step] for step in (EARLY, NOTICE, FINAL, DATA)] == [[]] * 4


@pytest.mark.parametrize("name", [each for each in DUTIES if not each.startswith("espionage")])
def test_a_refusal_to_tell_partners_stops_no_clock(name: str) -> None:
    steps = playbook_of(name).steps.values()
    refused = {step.name: REFUSE for step in steps if isinstance(step.work, Approval)}
    seen, _ = played(name, {**owing(name), **refused})
    assert seen[EARLY][-1] == seen[NOTICE][-1] == "succeeded"


def test_a_submission_that_could_not_be_made_stops_the_run_for_a_person() -> None:
    seen, end = played("ransomware-health-care", owing("ransomware-health-care", **{EARLY: FAIL}))
    assert (seen[EARLY][-1], seen[NOTICE], end["state"]) == ("failed", [], "needs-attention")


def test_every_duty_and_every_judgement_is_said_to_be_a_persons() -> None:
    """A duty is met, an attribution or a severity assessed, by people: each step of these kinds says who."""
    found = [(name, step) for name, _ in shipped() for step in playbook_of(name).steps.values()
             if isinstance(step.work, Obligation | Assess)]  # fmt: skip
    assert {step.work.kind for _, step in found} == {"obligation", "assess"}
    for name, step in found:
        if isinstance(step.work, Assess):
            assert step.work.role == "analyst" and "confidence" in step.work.out, (name, step.name)
        else:
            assert step.work.do != "start" or "Art. " in step.description, (name, step.name)


# -------------------------------------------------------------------------------------------------- judgement

JUDGED = [
    ("election-interference", "Assess what the statement would say", "Write the statement",
     {"Is a public statement wanted?": ["statement"], "Bring the electoral authority in": [
         {"__authority__": "agrees"}]}),
    ("espionage-foreign-ministry", "Assess what could be said about who did it", "Is anything said about who did it?",
     {}),
    ("submarine-cable-outage", "Assess the proposed word", "Agree on the word for the cause",
     {"Which word for the cause?": ["suspicious", "undetermined"], "Is traffic back?": ["yes"]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "judged", "then", "changes"), JUDGED)
def test_how_sure_we_are_is_judged_before_anything_is_said(
    name: str, judged: str, then: str, changes: dict[str, Any]
) -> None:
    seen, _ = played(name, changes)
    assert (seen[judged][-1], seen[then][-1]) == ("succeeded", "succeeded")
    seen, _ = played(name, {**changes, judged: FAIL})
    assert (seen[judged][-1], seen[then]) == ("failed", []), "without a judgement nothing is said"


def test_a_severity_that_cannot_be_judged_yet_keeps_nobody_from_being_warned() -> None:
    seen, end = played("ransomware-health-care", {"Assess severity and outlook": FAIL})
    assert (seen["Assess severity and outlook"][-1], seen["Alert the affected states"][-1]) == ("failed", "succeeded")
    assert end["state"] == "completed"


@pytest.mark.parametrize("name", [name for name, _ in shipped()])
def test_each_step_can_be_read_on_the_graph(name: str) -> None:
    for step in playbook_of(name).steps.values():
        if step.type not in ("start", "end"):
            assert step.name and len(step.description) > 20, (step.id, step.name)
