"""Who may lower a label, and how far: only its originator, never further than it said; what we raised is ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import Refused
from coordinator.incidents.label_rules import Standing, after_word, relabelled, taken_back
from coordinator.markings import Iep, Marking, Tlp

CLEAR, GREEN, AMBER, STRICT, RED = Tlp.CLEAR, Tlp.GREEN, Tlp.AMBER, Tlp.AMBER_STRICT, Tlp.RED
A, B = 1, 2


@pytest.mark.parametrize(
    ("now", "said", "held", "who", "label", "after"),
    [
        (STRICT, {A: STRICT}, CLEAR, A, GREEN, GREEN),  # as far as it says, and no further
        (STRICT, {A: STRICT}, CLEAR, A, AMBER, AMBER),
        (STRICT, {A: AMBER}, CLEAR, A, GREEN, STRICT),  # what we raised it to stays until we take it back
        (RED, {A: RED, B: RED}, CLEAR, A, GREEN, RED),  # the other one's word is needed too
        (RED, {A: GREEN, B: RED}, CLEAR, B, AMBER, AMBER),  # both have spoken: the strictest of the two
        (STRICT, {A: STRICT}, AMBER, A, GREEN, AMBER),  # an incident is not below what somebody else said in it
    ],
)
def test_a_word_of_the_originator(
    now: Tlp, said: dict[int, Tlp], held: Tlp, who: int, label: Tlp, after: Tlp
) -> None:
    found = after_word(Standing(now, said, held), who, label)
    assert found.now is after and found.said[who] is label


@pytest.mark.parametrize(
    ("standing", "who", "label"),
    [
        (Standing(AMBER, {A: AMBER}), B, GREEN),  # somebody else's word
        (Standing(AMBER, {}), A, GREEN),  # it is ours
        (Standing(AMBER, {A: AMBER}), A, AMBER),  # no lower label
        (Standing(AMBER, {A: AMBER}), A, RED),
    ],
)
def test_a_word_that_lowers_nothing_is_refused(standing: Standing, who: int, label: Tlp) -> None:
    with pytest.raises(Refused):
        after_word(standing, who, label)


@pytest.mark.parametrize(
    ("standing", "label", "after"),
    [
        (Standing(STRICT, {A: GREEN}), AMBER, AMBER),
        (Standing(STRICT, {A: GREEN}), GREEN, GREEN),
        (Standing(STRICT, {A: GREEN}), CLEAR, None),  # below what its originator says
        (Standing(STRICT, {A: STRICT}), GREEN, None),  # we raised nothing
        (Standing(STRICT, {A: GREEN, B: AMBER}), GREEN, None),
        (Standing(STRICT, {A: GREEN}), STRICT, None),
        (Standing(AMBER, {}), CLEAR, CLEAR),  # our own
        (Standing(STRICT, {}, AMBER), GREEN, None),  # an incident of ours that holds something of somebody's
    ],
)
def test_what_we_raised_is_ours_to_take_back(standing: Standing, label: Tlp, after: Tlp | None) -> None:
    if after is None:
        with pytest.raises(Refused):
            taken_back(standing, label)
    else:
        assert taken_back(standing, label).now is after


LABELS = st.sampled_from(list(Tlp))


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    said = draw(st.dictionaries(st.integers(1, 3), LABELS, max_size=3))
    held = draw(LABELS) if not said else Tlp.CLEAR
    floor = max([held, *said.values()])
    return Standing(draw(st.sampled_from([each for each in Tlp if each >= floor])), said, held)


@given(standings(), st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 4)), LABELS), max_size=8))
def test_whatever_is_said_it_is_never_below_any_originators_last_word(
    standing: Standing, words: list[tuple[int | None, Tlp]]
) -> None:
    for who, label in words:
        before = standing
        try:
            standing = taken_back(standing, label) if who is None else after_word(standing, who, label)
        except Refused:
            continue
        assert standing.now <= before.now
        assert standing.now >= standing.floor
        if who is not None:
            assert standing.said == before.said | {who: label}
            assert standing.now >= min(label, before.now)
            assert before.raised is None or standing.now is max(before.raised, standing.floor)
        else:
            assert standing.said == before.said and standing.now is label


def test_caveats_stay_and_a_stricter_policy_is_not_undercut() -> None:
    marking = Marking(tlp=STRICT, orcon=True, embargo_until=datetime(2027, 1, 1, tzinfo=UTC))
    assert relabelled(marking, GREEN) == replace(marking, tlp=GREEN)
    with pytest.raises(Refused, match="TLP:AMBER"):
        relabelled(Marking(tlp=AMBER, iep=Iep(tlp="amber")), GREEN)
