"""The states of an incident and their guards, severity, labels, order of instants."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator import vocabulary
from coordinator.errors import Invalid, Refused
from coordinator.incidents.rules import (
    FIDELITIES,
    INSTANTS,
    OPEN_STATUSES,
    TRANSITIONS,
    Blocks,
    Change,
    OpenHold,
    Outlook,
    Situation,
    Status,
    check_severity,
    check_tlp_change,
    check_transition,
    clock_order_flags,
    life_at_risk,
    next_statuses,
    opening_tlp,
    opens_restricted,
    suggest_severity,
    to_stix,
)
from coordinator.markings import Tlp

ALLOWED = {
    ("reported", "triage"), ("reported", "duplicate"), ("reported", "rejected"), ("triage", "active"),
    ("triage", "rejected"), ("triage", "duplicate"), ("active", "monitoring"), ("active", "resolved"),
    ("monitoring", "active"), ("monitoring", "resolved"), ("resolved", "closed"), ("resolved", "active"),
    ("closed", "active"), ("active", "duplicate"), ("monitoring", "duplicate"),
    ("duplicate", "active"),
}  # fmt: skip
TASK = OpenHold("task", "7", "Call the hospital", Blocks.RESOLVE)
REQUEST = OpenHold("request", "8", "Answer awaited", Blocks.CLOSE)


def situation(status, **facts):
    return Situation(id="INC-1", status=Status(status), **facts)


def change(target, **fields):
    complete = {"reason": "r", "note": "n", "outlook": Outlook.STABLE, "duplicate_of": "INC-2"}
    return Change(target=Status(target), actor="user:1", **(complete | fields))


def blockers(where, what):
    with pytest.raises(Refused) as refused:
        check_transition(where, what)
    return [(blocker.kind, blocker.id) for blocker in refused.value.blocked_by]


def missing(where, what):
    with pytest.raises(Invalid) as refused:
        check_transition(where, what)
    return [fault.pointer for fault in refused.value.errors]


@pytest.mark.parametrize("source, target", list(product(Status, Status)))
def test_only_the_transitions_of_the_table_happen(source, target):
    if (source, target) in ALLOWED:
        check_transition(situation(source, before=Status.ACTIVE), change(target))
    else:
        assert not [one for one in blockers(situation(source), change(target)) if one[0] != "incident"]
    assert (target in next_statuses(source, before=Status.ACTIVE)) == ((source, target) in ALLOWED)


def test_every_state_is_in_the_table_and_has_a_stix_status():
    assert set(TRANSITIONS) == set(Status)
    assert {status: to_stix(status) for status in Status} == {
        "reported": "new", "triage": "open", "active": "open", "monitoring": "open", "resolved": "open",
        "closed": "closed", "rejected": "closed", "duplicate": "closed",
    }  # fmt: skip
    assert {"reported", "triage", "active", "monitoring", "resolved"} == OPEN_STATUSES


def test_resolving_needs_the_outlook_now_or_from_before():
    assert missing(situation("active"), change("resolved", outlook=None)) == ["/outlook"]
    check_transition(situation("active", outlook=Outlook.WORSENING), change("resolved", outlook=None))


def test_resolving_waits_for_work_that_blocks_it_and_only_for_that():
    assert blockers(situation("active", holds=[REQUEST, TASK]), change("resolved")) == [("task", "7")]
    check_transition(situation("active", holds=[REQUEST]), change("resolved"))


def test_closing_waits_for_everything_open_and_lists_it():
    where = situation("resolved", holds=[REQUEST, TASK])
    assert blockers(where, change("closed")) == [("request", "8"), ("task", "7")]
    assert missing(situation("resolved"), change("closed", note=" \n")) == ["/note"]


def test_a_refusal_tells_what_is_missing_as_well():
    with pytest.raises(Refused) as refused:
        check_transition(situation("resolved", holds=[TASK]), change("closed", note=""))
    assert "closing note" in refused.value.detail


def test_rejecting_needs_a_reason():
    assert missing(situation("triage"), change("rejected", reason="")) == ["/reason"]


def test_rejecting_where_people_may_suffer_needs_a_second_person():
    flagged = {"humanitarian_flags": ["life-at-risk"]}
    assert blockers(situation("triage", **flagged), change("rejected")) == [("second-look", "INC-1")]
    again = situation("triage", rejection_asked_by="user:1", **flagged)
    assert blockers(again, change("rejected")) == [("second-look", "INC-1")], "the same person twice is one person"
    check_transition(situation("triage", rejection_asked_by="user:2", **flagged), change("rejected"))


@pytest.mark.parametrize("target", ["rejected", "duplicate"])
@pytest.mark.parametrize("source", ["reported", "triage"])
def test_no_end_of_an_incident_sweeps_a_duty_away_and_other_work_does_not_keep_it_from_ending(source, target):
    duty = OpenHold("obligation", "9", "The duty EU-NIS2-EW is not settled", Blocks.CLOSE)
    assert blockers(situation(source, holds=[TASK, duty]), change(target)) == [("obligation", "9")]
    check_transition(situation(source, holds=[TASK, REQUEST]), change(target))


def test_a_duplicate_names_the_incident_that_stays_and_makes_no_circle():
    assert missing(situation("triage"), change("duplicate", duplicate_of=None)) == ["/duplicate_of"]
    assert blockers(situation("triage"), change("duplicate", duplicate_of="INC-1")) == [("incident", "INC-1")]
    circle = situation("triage", duplicate_chain=("INC-3", "INC-1"))
    assert blockers(circle, change("duplicate")) == [("incident", "INC-2")]
    check_transition(situation("triage", duplicate_chain=("INC-3",)), change("duplicate"))


def test_a_duplicate_goes_back_to_what_it_was_and_nowhere_else_and_says_why():
    marked = situation("duplicate", before=Status.TRIAGE)
    check_transition(marked, change("triage"))
    assert missing(marked, change("triage", reason="")) == ["/reason"]
    assert blockers(marked, change("active")) == [("incident", "INC-1")]
    assert next_statuses(Status.DUPLICATE, before=Status.TRIAGE) == (Status.TRIAGE,)
    assert next_statuses(Status.DUPLICATE) == ()


def test_reopening_needs_a_reason():
    assert missing(situation("closed"), change("active", reason="")) == ["/reason"]


# ---------------------------------------------------------------- severity and labels


@pytest.mark.parametrize(
    "stated, flags, level, raised_by",
    [
        (1, [], 1, ()),
        (0, [], 0, ()),
        (None, ["life-at-risk", "elections"], 4, ("life-at-risk",)),
        (2, ["hospital-or-medical", "emergency-services"], 3, ("emergency-services", "hospital-or-medical")),
        (5, ["life-at-risk"], 5, ()),
        (3, ["hospital-or-medical"], 3, ()),
    ],
)
def test_humanitarian_flags_raise_the_suggested_severity(stated, flags, level, raised_by):
    suggestion = suggest_severity(stated, flags)
    assert (suggestion.level, suggestion.raised_by) == (level, raised_by)


def test_nothing_is_suggested_where_nothing_is_known():
    assert suggest_severity(None, ["elections"]) is None


@given(st.none() | st.integers(0, 5), st.sets(st.sampled_from(vocabulary.HUMANITARIAN_FLAGS.codes)))
def test_a_suggestion_is_never_below_what_was_stated_or_the_floor(stated, flags):
    suggestion = suggest_severity(stated, flags)
    assert (suggestion.level if suggestion else 0) == max(stated or 0, vocabulary.severity_floor(flags))


def test_a_severity_set_by_hand_needs_a_reason():
    check_severity("power is back")
    with pytest.raises(Invalid):
        check_severity("  ")


@pytest.mark.parametrize("current, new", list(product(Tlp, Tlp)))
def test_anybody_raises_a_label_and_only_its_originator_lowers_it(current, new):
    check_tlp_change(current, new, by_originator=True)
    if new.rank >= current.rank:
        check_tlp_change(current, new, by_originator=False)
    else:
        with pytest.raises(Refused):
            check_tlp_change(current, new, by_originator=False)


def test_data_on_protected_persons_raises_the_label_an_incident_opens_with():
    assert opening_tlp(Tlp.GREEN, ["protected-persons-data"]) is Tlp.AMBER_STRICT
    assert opening_tlp(Tlp.RED, ["protected-persons-data"]) is Tlp.RED
    assert opening_tlp(Tlp.GREEN, ["elections"]) is Tlp.GREEN


def test_a_red_report_or_a_restricted_endpoint_opens_restricted():
    assert [opens_restricted(tlp, False) for tlp in Tlp] == [False, False, False, False, True]
    assert all(opens_restricted(tlp, True) for tlp in Tlp)


def test_life_at_risk_is_seen():
    assert life_at_risk(["elections", "life-at-risk"]) and not life_at_risk(["elections"])


# ---------------------------------------------------------------- instants

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@given(st.dictionaries(st.sampled_from(INSTANTS), st.integers(0, 10**6)))
def test_instants_in_their_order_are_never_flagged(offsets):
    names = [name for name in INSTANTS if name in offsets]
    ordered = sorted(offsets.values())
    assert clock_order_flags({n: NOON + timedelta(seconds=s) for n, s in zip(names, ordered, strict=True)}) == []


@given(st.integers(1, 10**9), st.sampled_from(sorted(FIDELITIES)), st.sampled_from(sorted(FIDELITIES)))
def test_a_contradiction_is_flagged_beyond_the_fidelity_of_both(seconds, first, second):
    instants = {"occurred_at": NOON + timedelta(seconds=seconds), "occurred_at_fidelity": first,
                "noticed_at": NOON, "noticed_at_fidelity": second}  # fmt: skip
    beyond = timedelta(seconds=seconds) > FIDELITIES[first] + FIDELITIES[second]
    assert clock_order_flags(instants) == (["occurred_at-after-noticed_at"] if beyond else [])


def test_what_is_not_known_contradicts_nothing():
    assert clock_order_flags({"occurred_at": NOON, "noticed_at": None, "aware_at_fidelity": "day"}) == []
