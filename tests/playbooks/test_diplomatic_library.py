"""The diplomatic playbooks by simulation: the main path of each, and each refusal, silence and danger to people.

Everybody does what is asked of them at once, by the first option of each form, unless a row says otherwise.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from playbooks.coordination import Alert, Approval, Decision, Task, matches
from playbooks.document import Playbook, load
from playbooks.library import shipped
from playbooks.simulate import simulate

LIBRARY = dict(shipped())
PARTNERS = ["fi-duty", "lv-cyber"]
SILENT, REFUSE, FAIL = "silent", "refuse", "fail"
DIPLOMATIC = (
    "ransomware-health-care", "espionage-foreign-ministry", "election-interference", "ddos-critical-infrastructure",
    "supply-chain-compromise", "submarine-cable-outage", "cbm-notification", "communication-check",
)
#: What ends the loops of each, where the first option does not.
ENDS: Mapping[str, Mapping[str, Any]] = {
    "ransomware-health-care": {"Is the attack contained?": ["contained"]},
    "espionage-foreign-ministry": {"Watch or evict?": ["evict"]},
    "election-interference": {"Is the result certified?": ["no", "yes"]},
    "ddos-critical-infrastructure": {"Does the attack go on?": ["on", "over"]},
    "submarine-cable-outage": {"Is traffic back?": ["no", "yes"]},
}


def played(name: str, changes: Mapping[str, Any]) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """What was recorded at each named step, and the last line. A change is a list of answers, or one of the words."""
    playbook = load(LIBRARY[name])
    changes = {**ENDS.get(name, {}), **changes}
    names = {step.name for step in playbook.steps.values()}
    assert changes.keys() <= names, changes.keys() - names
    events = [
        {"after": "PT1M", "step": step.id, **deed}
        for step in playbook.steps.values()
        for deed in _deeds(step.work, changes.get(step.name))
    ]
    shares = {step.id: "deny" for step in playbook.steps.values() if changes.get(step.name) == "deny"}
    lines, _ = simulate(LIBRARY[name], {
        "start": "2026-11-23T09:00:00Z", "directory": PARTNERS, "events": events, "shares": shares,
    })  # fmt: skip
    lines = [each for each in lines if each["what"] != "unused-event"]  # steps that were not reached
    seen = {
        step.name: [each["what"] for each in lines if each.get("step") == step.id]
        for step in playbook.steps.values() if step.name
    }  # fmt: skip
    return seen, lines[-1]


def _deeds(work: Any, change: Any) -> list[dict[str, Any]]:
    if change == SILENT or change == "deny":
        return []
    if change == FAIL:
        return [{"what": "fail", "by": "officer:ann"}]
    match work:
        case Approval(roles=roles):
            answers = ["refuse"] if change == REFUSE else change or ["approve"]
            people = [{"by": f"{role}:{role}"} for role in roles]
            return [
                {"what": each, **who} for each in answers for who in (people[:1] if each == REFUSE else people)
            ]
        case Decision(options=options):
            return [{"what": "decide", "values": {"option": each}} for each in change or [options[0]]]
        case Task(fields=fields):
            first = {name: (each.get("options") or ["FI-MFA"])[0] for name, each in fields.items()}
            return [{"what": "succeed", "values": first | each} for each in change or [{}]]
        case Alert(ack=ack) if ack:
            return [{"what": "acknowledge", "by": each} for each in (PARTNERS if change is None else change)]
    return []


def playbook_of(name: str) -> Playbook:
    return load(LIBRARY[name])


MEASURE, COMPOSE, NOTICE = "Check that the measure is in force, and the way it names", "Write the neutral notice", (
    "Send the notice to the other side")
ROWS: list[tuple[str, dict[str, Any], dict[str, str], str]] = [
    # playbook · what differs from the main path · step -> how it ends ("" = never entered) · how the run ends
    ("cbm-notification", {}, {NOTICE: "succeeded", "Tell the other side that it is closed": "succeeded",
     "Is a third party to be asked for good offices?": "", "Record that no measure is in force": ""}, "completed"),
    ("cbm-notification", {MEASURE: [{"__in_force__": "no"}]},
     {NOTICE: "", COMPOSE: "", "Record that no measure is in force": "succeeded"}, "completed"),
    ("cbm-notification", {"Approve the notice": REFUSE},
     {NOTICE: "", "Record why the notice is not sent": "succeeded", "Tell the other side that it is closed": ""},
     "completed"),
    ("cbm-notification", {"Approve the notice": SILENT}, {"Approve the notice": "escalated", NOTICE: ""}, "waiting"),
    ("cbm-notification", {NOTICE: SILENT}, {"Reach the other side by voice or through the mission": "succeeded",
     "Is a third party to be asked for good offices?": "succeeded", "Prepare the request to the third party": ""},
     "completed"),
    ("cbm-notification", {NOTICE: SILENT, "Is a third party to be asked for good offices?": ["yes"]},
     {"Prepare the request to the third party": "succeeded"}, "completed"),
    ("cbm-notification", {"What follows from it": ["consultation"]}, {"Arrange the consultation": "succeeded"},
     "completed"),
    ("cbm-notification", {"What follows from it": ["forum"]},
     {"Bring it before the forum of the measure": "succeeded"}, "completed"),
    # ------------------------------------------------------------ denial of service
    ("ddos-critical-infrastructure", {}, {"Ask the upstream provider to filter": "succeeded",
     "Tell the affected states": "succeeded", "Ask the partner for assistance": "",
     "Raise it to a crisis": "", "Thank everybody who helped": "succeeded"}, "completed"),
    ("ddos-critical-infrastructure", {"Set down target, effect and traffic": [{"__people__": "unknown"}]},
     {"See that people are safe without the service": "succeeded"}, "completed"),
    ("ddos-critical-infrastructure", {"Approve the request for help": REFUSE},
     {"Record why nobody is asked": "succeeded", "Tell the affected states": "", "Share addresses, ports and times": "",
      "Bring those told up to date": "", "Thank everybody who helped": "", "Share the figures": ""}, "completed"),
    ("ddos-critical-infrastructure", {"Approve the request for help": SILENT},
     {"Approve the request for help": "escalated", "Tell the affected states": ""}, "waiting"),
    ("ddos-critical-infrastructure", {"Set down target, effect and traffic": [{"__from_partner__": "yes"}],
     "Ask the partner for assistance": SILENT},
     {"Ask the partner for assistance": "succeeded", "Call the same partner": "succeeded"}, "completed"),
    ("ddos-critical-infrastructure", {"Does the attack go on?": ["spill-over"]},
     {"Raise it to a crisis": "succeeded"}, "completed"),
    ("ddos-critical-infrastructure", {"Share addresses, ports and times": "deny"},
     {"Thank everybody who helped": "succeeded"}, "completed"),
    ("ddos-critical-infrastructure", {"Ask the upstream provider to filter": FAIL},
     {"Ask for help": "failed", "Ask for help another way": "succeeded"}, "completed"),
    # ------------------------------------------------------------ espionage
    ("espionage-foreign-ministry", {}, {"Evict at the agreed hour": "succeeded", "Tell the partner": "",
     "Write what is said": "", "Warn those who may come to harm": ""}, "completed"),
    ("espionage-foreign-ministry", {"Who comes to harm if this is used?": [{"__people__": "unknown"}]},
     {"Warn those who may come to harm": "succeeded"}, "completed"),
    ("espionage-foreign-ministry", {"Watch or evict?": ["watch", "evict"]},
     {"Look at it again in a week": "succeeded", "Evict at the agreed hour": "succeeded"}, "completed"),
    ("espionage-foreign-ministry", {"Watch or evict?": ["evict"], "Approve the eviction": REFUSE},
     {"Record why it is not done yet": "succeeded", "Evict at the agreed hour": ""}, "waiting"),
    ("espionage-foreign-ministry", {"Watch or evict?": ["evict", "evict"],
     "Approve the eviction": ["refuse", "approve"]}, {"Evict at the agreed hour": "succeeded"}, "completed"),
    ("espionage-foreign-ministry", {"Approve the eviction": SILENT},
     {"Approve the eviction": "escalated", "Agree on the hour": ""}, "waiting"),
    ("espionage-foreign-ministry", {"Whose documents were exposed?": [{"__exposed__": "yes"}]},
     {"Tell the partner": "succeeded", "Tell the partner in person": ""}, "completed"),
    ("espionage-foreign-ministry", {"Whose documents were exposed?": [{"__exposed__": "yes"}],
     "Tell this partner now, later, or not?": ["not"]},
     {"Tell the partner": "", "Record the reason and the date of another look": "succeeded"}, "completed"),
    ("espionage-foreign-ministry", {"Whose documents were exposed?": [{"__exposed__": "yes"}],
     "Approve what this partner is told": REFUSE},
     {"Tell the partner": "", "Record why this partner is not told now": "succeeded"}, "completed"),
    ("espionage-foreign-ministry", {"Whose documents were exposed?": [{"__exposed__": "yes"}],
     "Tell the partner": SILENT}, {"Tell the partner in person": "succeeded"}, "completed"),
    ("espionage-foreign-ministry", {"Is anything said about who did it?": ["public"]},
     {"Write what is said": "succeeded"}, "completed"),
    ("espionage-foreign-ministry", {"Is anything said about who did it?": ["public"],
     "Approve that it is said": REFUSE},
     {"Write what is said": "", "Nothing is said": "succeeded"}, "completed"),
    ("espionage-foreign-ministry", {"Is anything said about who did it?": ["public"],
     "Approve that it is said": SILENT},
     {"Write what is said": "", "Approve that it is said": "escalated"}, "waiting"),
    ("espionage-foreign-ministry", {"Secure the evidence, change nothing": FAIL},
     {"Find out what could not be done": "succeeded", "Evict at the agreed hour": ""}, "completed"),
    # ------------------------------------------------------------ elections
    ("election-interference", {}, {"Warn the affected states and ask whether they see the same": "succeeded",
     "Work out what is known, by half the time": "", "Have the authority publish it": "",
     "Bring the affected states up to date": "succeeded", "Review within thirty days": "succeeded"}, "completed"),
    ("election-interference", {"Set down what was seen, and how close the vote is": [
        {"__people__": "yes", "__close__": "yes"}]},
     {"See to the safety of people": "succeeded", "Work out what is known, by half the time": "succeeded",
      "Work out what is known": ""}, "completed"),
    ("election-interference", {"Approve what partners are told and asked": REFUSE},
     {"Warn the affected states and ask whether they see the same": "", "Share the indicators": "",
      "Bring the affected states up to date": "", "Tell the affected states that it is over": ""}, "completed"),
    ("election-interference", {"Approve what partners are told and asked": SILENT},
     {"Approve what partners are told and asked": "escalated", "Share the indicators": ""}, "waiting"),
    ("election-interference", {"Warn the affected states and ask whether they see the same": SILENT},
     {"Reach the silent ones by voice": "succeeded"}, "completed"),
    ("election-interference", {"Is a public statement wanted?": ["statement"]},
     {"Write the statement": "", "Have the authority publish it": ""}, "completed"),  # the authority keeps silent
    ("election-interference", {"Is a public statement wanted?": ["statement"],
     "Bring the electoral authority in": [{"__authority__": "agrees"}]},
     {"Have the authority publish it": "succeeded"}, "completed"),
    ("election-interference", {"Is a public statement wanted?": ["statement"],
     "Bring the electoral authority in": [{"__authority__": "agrees"}], "Approve the public statement": REFUSE},
     {"Have the authority publish it": "", "Record why nothing is said in public": "succeeded"}, "completed"),
    ("election-interference", {"Is a public statement wanted?": ["statement"],
     "Bring the electoral authority in": [{"__authority__": "agrees"}], "Approve the public statement": SILENT},
     {"Have the authority publish it": "", "Approve the public statement": "escalated"}, "waiting"),
    # ------------------------------------------------------------ supply chain
    ("supply-chain-compromise", {}, {"Warn the listed operators": "", "Ask the silent ones a second time": "",
     "Show the table to those who answered": "succeeded", "Publish the advisory": "succeeded"}, "completed"),
    ("supply-chain-compromise", {"Set down product, versions and embargo": [
        {"__people__": "unknown", "__embargo__": "yes"}],
      "Are essential operators to be warned during the embargo?": ["warn"],
      "Does the embargo still hold?": ["yes", "lifted"]},
     {"Warn the listed operators": "succeeded", "Wait for the supplier, a day at most": "succeeded"}, "completed"),
    ("supply-chain-compromise", {"Set down product, versions and embargo": [{"__people__": "yes"}],
      "Are essential operators to be warned during the embargo?": ["warn"],
      "Approve the exception from the embargo": REFUSE},
     {"Warn the listed operators": "", "Record why the embargo is kept for operators too": "succeeded"}, "completed"),
    ("supply-chain-compromise", {"Approve what partners are told": REFUSE},
     {"Tell partners known to use the product, and ask: affected?": "", "Share guidance with everybody else": "",
      "Show the table to those who answered": ""}, "completed"),
    ("supply-chain-compromise", {"Approve what partners are told": SILENT},
     {"Approve what partners are told": "escalated", "Share guidance with everybody else": ""}, "waiting"),
    ("supply-chain-compromise", {"Tell partners known to use the product, and ask: affected?": SILENT},
     {"Ask the silent ones a second time": "succeeded", "Put the answers into one table": "succeeded"}, "completed"),
    ("supply-chain-compromise", {"Is the date of disclosure agreed?": ["conflict"]},
     {"Settle the date": "succeeded", "Publish the advisory": "succeeded"}, "completed"),
    ("supply-chain-compromise", {"Is the date of disclosure agreed?": ["conflict"], "Settle the date": REFUSE},
     {"Record why there is no date": "succeeded"}, "completed"),
    ("supply-chain-compromise", {"Approve the advisory": REFUSE},
     {"Publish the advisory": "", "Record why nothing is published": "succeeded"}, "completed"),
    # ------------------------------------------------------------ submarine cable
    ("submarine-cable-outage", {}, {"See that emergency calls go through": "", "Tell the affected states": "succeeded",
     "Agree on the word for the cause": "", "Share the assessment with the capitals concerned": "",
     "Tell the affected states that it is over": "succeeded"}, "completed"),
    ("submarine-cable-outage", {"Set down the outage": [{"__people__": "unknown"}]},
     {"See that emergency calls go through": "succeeded"}, "completed"),
    ("submarine-cable-outage", {"Approve what the affected states are told": REFUSE},
     {"Tell the affected states": "", "Share what is known of ships": "", "Bring the affected states up to date": "",
      "Tell the affected states that it is over": ""}, "completed"),
    ("submarine-cable-outage", {"Approve what the affected states are told": SILENT},
     {"Approve what the affected states are told": "escalated", "Tell the affected states": ""}, "waiting"),
    ("submarine-cable-outage", {"Tell the affected states": SILENT},
     {"Reach the silent ones by telephone or satellite": "succeeded"}, "completed"),
    ("submarine-cable-outage", {"Which word for the cause?": ["suspicious", "undetermined"],
     "Is traffic back?": ["yes"]},
     {"Note the agreed word": "succeeded", "Share the assessment with the capitals concerned": "succeeded"},
     "completed"),
    ("submarine-cable-outage", {"Which word for the cause?": ["hostile-suspected"], "Is traffic back?": ["yes"],
     "Agree on the word for the cause": REFUSE},
     {"The word is not changed": "succeeded", "Share the assessment with the capitals concerned": ""}, "completed"),
    ("submarine-cable-outage", {"Which word for the cause?": ["hostile-suspected"],
     "Agree on the word for the cause": SILENT},
     {"Agree on the word for the cause": "escalated", "Note the agreed word": ""}, "waiting"),
    ("submarine-cable-outage", {"Share what is known of ships": "deny"},
     {"Bring the affected states up to date": "succeeded"}, "completed"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "ends", "state"), ROWS)
def test_each_way_through_goes_as_an_officer_expects(
    name: str, changes: dict[str, Any], ends: dict[str, str], state: str
) -> None:
    if "Which word for the cause?" in playbook_steps(name):
        changes = {"Which word for the cause?": ["undetermined", "undetermined"], **changes}
    seen, last = played(name, changes)
    assert last["state"] == state, last
    assert {step: seen[step][-1] if seen[step] else "" for step in ends} == ends


def playbook_steps(name: str) -> set[str]:
    return {step.name for step in playbook_of(name).steps.values()}


def test_the_agreed_word_is_the_one_that_was_proposed() -> None:
    words = {"Which word for the cause?": ["accident"], "Is traffic back?": ["yes"]}
    assert played("submarine-cable-outage", words)[1]["variables"]["__cause__"] == "accident"
    assert played("submarine-cable-outage", {**words, "Agree on the word for the cause": REFUSE})[1]["variables"][
        "__cause__"
    ] == "undetermined"


# ------------------------------------------------------------------------------------------ as an officer reviews them


@pytest.mark.parametrize("name", DIPLOMATIC)
def test_silence_never_approves_and_reaches_only_ourselves_or_the_same_party(name: str) -> None:
    for step in playbook_of(name).steps.values():
        if isinstance(step.work, Approval):
            assert step.work.on_expiry in ("escalate", "hold"), step.name
            assert step.work.separation
            assert step.on_failure and step.on_failure != step.on_success, step.name
        if isinstance(step.work, Alert):
            assert all(entry.remind or entry.to for entry in step.work.chain), step.name  # no third party


@pytest.mark.parametrize("name", [each for each in DIPLOMATIC if each != "communication-check"])
def test_people_are_looked_after_before_anybody_outside_is_told(name: str) -> None:
    playbook = playbook_of(name)
    order, at = [], playbook.steps[playbook.start].on_success
    while at:
        step = playbook.steps[at]
        order.append((step.name, step.work.kind if step.work else step.type, step.condition))
        at = step.on_success
    asked = [i for i, (_, _, condition) in enumerate(order) if "unknown" in condition]
    cleared = [i for i, (_, kind, _) in enumerate(order) if kind == "approval"]
    if name != "cbm-notification":  # there nobody is in danger: it is a way to talk
        assert asked and asked[0] < min(cleared, default=len(order)), order


@pytest.mark.parametrize("name", DIPLOMATIC)
def test_nothing_is_told_before_two_people_or_one_of_two_cleared_it(name: str) -> None:
    """With every approval refused nothing leaves, whatever is decided elsewhere."""
    playbook = playbook_of(name)
    refused = {step.name: REFUSE for step in playbook.steps.values() if isinstance(step.work, Approval)}
    if not refused:
        pytest.fail("no approval") if name != "communication-check" else None
        return
    extra = {"Whose documents were exposed?": [{"__exposed__": "yes"}]} if name.startswith("espionage") else {}
    seen, _ = played(name, {**refused, **extra})
    told = {step.name for step in playbook.steps.values() if isinstance(step.work, Alert) and seen[step.name]}
    assert told == set()


FACTS: list[tuple[str, dict[str, Any], bool]] = [
    ("espionage-foreign-ministry", {"suspected_malicious": "yes", "sectors": ["public-administration"],
     "classification": "intrusions/system-compromise"}, True),
    ("espionage-foreign-ministry", {"suspected_malicious": "unknown", "sectors": ["public-administration"],
     "classification": "intrusions/system-compromise"}, False),
    ("election-interference", {"humanitarian_flags": ["elections"]}, True),
    ("election-interference", {"humanitarian_flags": []}, False),
    ("ddos-critical-infrastructure", {"classification": "availability/ddos", "sectors": ["energy"]}, True),
    ("ddos-critical-infrastructure", {"classification": "availability/ddos", "sectors": ["food"], "severity": 3}, True),
    ("ddos-critical-infrastructure", {"classification": "availability/ddos", "sectors": ["food"], "severity": 1},
     False),
    ("supply-chain-compromise", {"classification": "vulnerable/vulnerable-system", "sectors": ["ict-services"]}, True),
    ("supply-chain-compromise", {"classification": "vulnerable/vulnerable-system", "sectors": ["energy"]}, False),
    ("submarine-cable-outage", {"classification": "availability/outage", "cross_border": "yes",
     "sectors": ["digital-infrastructure"]}, True),
    ("submarine-cable-outage", {"classification": "availability/outage", "cross_border": "no",
     "sectors": ["digital-infrastructure"]}, False),
    ("cbm-notification", {"cross_border": "yes", "suspected_malicious": "unknown", "states_affected": ["FI"]}, True),
    ("cbm-notification", {"cross_border": "yes", "suspected_malicious": "yes", "states_affected": ["FI"]}, False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "facts", "chosen"), FACTS)
def test_facts_choose_a_playbook_and_say_why(name: str, facts: dict[str, Any], chosen: bool) -> None:
    found, why = matches(playbook_of(name).options.trigger, facts)
    assert found is chosen
    assert why and all(sentence.endswith(".") for sentence in why)
