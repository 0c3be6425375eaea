"""A document's identity, durations and instants, triggers, and the shape of the extension we publish."""

import json
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from playbooks.coordination import EXTENSION_ID, PlaybookOptions, filled_variables, matches, read_options, read_work
from playbooks.document import canonical, load
from playbooks.durations import read_duration, read_instant, write_instant
from playbooks.library import shipped
from playbooks.state import State
from tests.playbooks.documents import NOW, Desk, line, sid


def test_a_document_is_the_same_whatever_its_layout_and_another_when_a_word_changes() -> None:
    raw = line()
    shuffled = json.dumps(dict(reversed(raw.items())), indent=3).encode()
    assert load(raw).digest == load(shuffled).digest == load(load(raw).canonical).digest
    assert load(raw | {"name": "Another"}).digest != load(raw).digest


def test_a_signature_makes_no_new_version() -> None:
    assert load(line() | {"signatures": [{"value": "x"}]}).digest == load(line()).digest


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    assert canonical({"b": [1.0, "é"], "a": {"z": None, "y": True}}) == '{"a":{"y":true,"z":null},"b":[1,"é"]}'.encode()


def test_a_playbook_knows_what_it_calls_and_how_it_ranks() -> None:
    other = "playbook--11110000-0000-4000-8000-000000000077"
    raw = line(priority=7)
    raw["workflow"][sid("a")] = {"type": "playbook-action", "playbook_id": other, "on_completion": sid("b")}
    assert load(raw).calls() == [(other, None)]
    ranks = [load(line(priority=number)).rank() for number in (0, 7, 1)]
    assert sorted(ranks) == [ranks[2], ranks[1], ranks[0]]


def test_a_state_is_json_and_comes_back_whole() -> None:
    desk = Desk(line())
    text = json.dumps(desk.state.to_dict())
    assert State.from_dict(json.loads(text)) == desk.state


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("PT30M", "2026-11-23T09:00:00Z", "2026-11-23T09:30:00Z"),
        ("P1DT12H", "2026-11-23T09:00:00Z", "2026-11-24T21:00:00Z"),
        ("P1M", "2026-01-31T09:00:00Z", "2026-02-28T09:00:00Z"),
        ("P1M", "2027-12-31T09:00:00Z", "2028-01-31T09:00:00Z"),
        ("P14M", "2026-12-31T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("PT90S", "2026-11-23T09:00:00Z", "2026-11-23T09:01:30Z"),
    ],
)
def test_a_deadline_lies_where_the_calendar_puts_it(text: str, start: str, end: str) -> None:
    assert write_instant(read_duration(text).after(datetime.fromisoformat(start))) == end


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("PT8H", "2026-11-20T20:00:00Z", "2026-11-23T04:00:00Z"),  # Friday evening into Monday
        ("PT1H", "2026-11-21T12:00:00Z", "2026-11-23T01:00:00Z"),  # begun on a Saturday
        ("P5D", "2026-11-23T09:00:00Z", "2026-11-30T09:00:00Z"),
        ("PT2H", "2026-11-23T09:00:00Z", "2026-11-23T11:00:00Z"),
    ],
)
def test_office_time_does_not_run_at_weekends(text: str, start: str, end: str) -> None:
    assert write_instant(read_duration(text).after_in_office_time(datetime.fromisoformat(start))) == end


@pytest.mark.parametrize("text", ["", "P", "PT", "1H", "P1Y", "P1W", "PT1H30", "-PT1H", "PT1.5H", "PT9999999999S"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_duration(text)


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1)))
def test_an_instant_is_written_and_read_again(instant: datetime) -> None:
    aware = instant.replace(tzinfo=UTC)
    assert read_instant(write_instant(aware)) == aware
    assert read_instant(instant) is None


@pytest.mark.parametrize("text", [None, 5, "", "2026-11-23", "2026-11-23T09:00:00", "soon", "2026-13-01T00:00:00Z"])
def test_what_is_no_instant_with_an_offset_is_none(text: Any) -> None:
    assert read_instant(text) is None


@pytest.mark.parametrize(
    ("trigger", "chosen"),
    [
        (None, False), ({}, False), ({"all": []}, True),
        ({"all": [{"fact": "severity", "at_least": 3}]}, True),
        ({"all": [{"fact": "incident.severity", "at_least": 5}]}, False),
        ({"all": [{"fact": "states_affected", "at_least": 2}]}, True),
        ({"all": [{"fact": "states_affected", "at_least": 3}]}, False),
        ({"all": [{"fact": "sectors", "is": "health"}]}, True),
        ({"all": [{"fact": "sectors", "in": ["energy", "health"]}]}, True),
        ({"all": [{"fact": "tlp", "is": "RED"}]}, False),
        ({"all": [{"fact": "unheard_of", "is": "x"}]}, False),
        ({"any": [{"fact": "tlp", "is": "RED"}, {"fact": "tlp", "is": "GREEN"}]}, True),
        ({"any": [{"fact": "tlp", "is": "RED"}]}, False),
        ({"all": [{"fact": "severity", "at_least": 3}], "any": [{"fact": "tlp", "is": "RED"}]}, False),
        ({"all": [{"fact": "tlp", "at_least": 3}]}, False),
        ({"all": [{"fact": "severity", "at_least": "many"}]}, False),
    ],
)
def test_facts_choose_a_playbook_and_say_why(trigger: Any, chosen: bool) -> None:
    facts = {"severity": 4, "incident.states_affected": ["EE", "FI"], "sectors": ["health"], "tlp": "GREEN"}
    found, why = matches(trigger, facts)
    assert found is chosen
    rules = len((trigger or {}).get("all", [])) + len((trigger or {}).get("any", []))
    assert len(why) == max(rules, 1) and all(sentence.endswith(".") for sentence in why)


def test_the_extension_is_read_into_types() -> None:
    work = read_work({
        "kind": "alert", "message": "initial", "audience": {"reporter": True}, "out": {"acknowledged_count": "__n__"},
        "ack": {"from": 2, "by": "person", "within": "PT1H", "on_expiry": "fail"},
        "chain": [{"after": "PT30M", "to": "deputy"}],
    })
    assert (work.ack.needed, work.ack.by, work.ack.within.seconds, work.ack.on_expiry) == (2, "person", 3600, "fail")
    assert work.chain[0].to == "deputy" and work.attribution == "withhold"
    assert filled_variables(work) == {"__n__"}
    assert read_options({}) == PlaybookOptions()
    assert read_work({"kind": "approval", "roles": ["a"]}).separation is True


def test_the_published_schema_accepts_the_extension_of_every_shipped_playbook() -> None:
    schema = json.loads(files("playbooks").joinpath("coordination.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for _, data in shipped():
        raw = json.loads(data)
        used = [raw["playbook_extensions"], *(body.get("step_extensions", {}) for body in raw["workflow"].values())]
        for each in used:
            assert EXTENSION_ID not in each or validator.is_valid(each[EXTENSION_ID])
    assert not validator.is_valid({"kind": "task"})


def test_now_is_never_asked_of_the_machine() -> None:
    desk = Desk(line())
    assert desk.state.started_at == write_instant(NOW)


@pytest.mark.parametrize(
    ("playbook", "approval", "written"),
    [
        ("cbm-notification", "Approve the notice", {"Write the neutral notice"}),
        ("espionage-foreign-ministry", "Approve the eviction", {"Watch or evict?"}),
        ("espionage-foreign-ministry", "Approve what this partner is told", {"Tell this partner now, later, or not?"}),
        ("election-interference", "Approve the public statement", {"Write the statement"}),
        ("submarine-cable-outage", "Agree on the word for the cause",
         {"Which word for the cause?", "Assess the proposed word"}),
        ("ransomware-health-care", "Approve what the affected states are told", set()),
    ],
)
def test_an_approval_knows_who_wrote_what_it_is_about(playbook: str, approval: str, written: set[str]) -> None:
    found = load(dict(shipped())[playbook])
    step = next(each.id for each in found.steps.values() if each.name == approval)
    assert {found.steps[each].name for each in found.written_by(step)} == written
