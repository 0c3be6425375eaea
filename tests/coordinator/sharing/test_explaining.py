"""A decision explains itself: what gave each reason here, and who can change it. Of what fits nothing is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.sharing import explaining
from coordinator.sharing.composed import Inputs, judge
from coordinator.sharing.explaining import Asked
from coordinator.sharing.inputs import OWN, Agreement, Item, Recipient

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MOU = {
    "id": "MOU-FI", "effective_from": "2026-01-01T00:00:00Z", "tlp_ceiling": "GREEN", "recipients": ["FI"],
    "categories": ["incident-notification"], "purposes": ["incident-response"],
}  # fmt: skip


def inputs(*items: dict[str, Any], to: dict[str, Any] | None = None, **more: Any) -> Inputs:
    recipient = {"party": "FI", "type": "org", "channel": {"kind": "webhook", "encrypted": True}} | (to or {})
    agreement = Agreement.from_json(MOU | more.pop("mou", {}))
    asked: dict[str, Any] = {
        "purpose": "incident-response", "agreements": (agreement,), "versions": {agreement.id: 1},
        "requested_by": "user:1", "approvals": frozenset(), "approvals_end": (), "content_digest": "0" * 64,
    }  # fmt: skip
    parts = tuple(Item.from_json({"info_category": "incident-notification", "tlp": "GREEN"} | each) for each in items)
    return Inputs(items=parts, recipient=Recipient.from_json(recipient), **asked | more)


def why(of: Inputs, code: str) -> tuple[list[str], str]:
    said = judge(of, NOW)
    (found,) = (each for each in explaining.reasons(said.reasons, Asked.of(of, NOW)) if each["code"] == code)
    return found["because"], found["changed_by"]


@pytest.mark.parametrize(
    ("item", "to", "more", "because"),
    [
        ({"tlp": "AMBER+STRICT"}, {}, {}, ["Here: the label."]),
        ({"info_category": "attribution-assessment"}, {}, {}, ["Here: it is an attribution assessment."]),
        ({"originator": "LV"}, {}, {}, ["It came from LV."]),
        ({"tlp": "CLEAR"}, {"type": "public", "party": "PUBLIC"}, {}, ["Here: it is for the public."]),
        ({"tlp": "CLEAR"}, {}, {"fixed_text": True}, ["Here: it is a text cleared beforehand."]),
        ({"tlp": "RED", "originator": "LV"}, {}, {}, ["Here: the label.", "It came from LV."]),
    ],
)
def test_of_the_causes_for_a_second_person_only_those_that_apply_are_told(
    item: dict[str, Any], to: dict[str, Any], more: dict[str, Any], because: list[str]
) -> None:
    assert why(inputs(item, to=to, **more), "R-TWO-PERSON")[0] == because


POLICIES = [
    ({"iep": {"start_date": "2026-07-01T00:00:00Z"}}, {}, "R-IEP-DATES", ["It begins 1 Jul 2026, 00:00 UTC."]),
    ({"iep": {"end_date": "2026-06-01T12:00:00Z"}}, {}, "R-IEP-DATES", ["It ended 1 Jun 2026, 12:00 UTC."]),
    ({"iep": {"encrypt_in_transit": "must"}}, {}, "D-ENCRYPT", ["Here: the exchange policy."]),
    ({}, {"mou": {"encryption": "must"}}, "D-ENCRYPT", ["Here: the agreement."]),
]


@pytest.mark.parametrize(("item", "more", "code", "because"), POLICIES)
def test_of_a_policy_it_is_told_what_of_it_gave_the_reason(
    item: dict[str, Any], more: dict[str, Any], code: str, because: list[str]
) -> None:
    clear_text = {"channel": {"kind": "email", "encrypted": False}}
    assert why(inputs(item, to=clear_text, **more), code)[0][:1] == because


def test_only_the_part_that_gives_a_reason_is_told_of() -> None:
    of = inputs({}, {"originator": "LV", "tlp": "AMBER"}, {"originator": "SE", "tlp": "CLEAR"})
    assert why(of, "D-AMBER-ONWARD") == (["It came from LV."], explaining.CONSENT)


def test_what_is_our_own_is_for_us_to_change() -> None:
    because, by = why(inputs({"rel_to": ["LV", OWN]}), "D-REL-LIST")
    assert (because, by) == (["Released to: LV."], explaining.ORIGINATOR_IS_US)


def test_an_embargo_says_until_when() -> None:
    until = NOW + timedelta(hours=3)
    assert why(inputs({"embargo_until": until}), "D-EMBARGO")[0] == ["It ends 1 Jun 2026, 15:00 UTC."]


@pytest.mark.parametrize(
    ("items", "more", "code", "because"),
    [
        ([{}, {"info_category": "request"}], {}, "A-CATEGORY", ["Here: Request."]),
        ([{"tlp": "AMBER"}, {"tlp": "CLEAR"}], {}, "A-TLP-CEILING", ["Here: TLP:AMBER."]),
        ([{}], {"purpose": "attribution"}, "A-PURPOSE", ["Here: Attribution."]),
        ([{}], {"mou": {"expires_on": "2026-05-01T00:00:00Z"}}, "A-EXPIRED", []),
    ],
)
def test_of_an_agreement_it_is_told_what_does_not_fit_under_it(
    items: list[dict[str, Any]], more: dict[str, Any], code: str, because: list[str]
) -> None:
    of = inputs(*items, **more)
    said = judge(of, NOW)
    found = {each["code"]: each for each in explaining.problems(said.agreement_problems, Asked.of(of, NOW))}
    assert (found[code]["because"], found[code]["agreement"]) == (because, "MOU-FI")


@given(
    tlps=st.lists(st.sampled_from(["CLEAR", "GREEN", "AMBER+STRICT", "RED", None, "MAUVE"]), min_size=1, max_size=3),
    originator=st.sampled_from([OWN, "FI", "LV"]),
    category=st.sampled_from(["incident-notification", "request", "attribution-assessment"]),
    purpose=st.sampled_from(["incident-response", "attribution", ""]),
    flags=st.fixed_dictionaries({}, optional={
        "orcon": st.booleans(), "no_attribution": st.booleans(), "le_sensitive": st.booleans(),
        "rel_to": st.just(["LV"]), "not_rel_to": st.just(["FI"]), "personal_data": st.booleans(),
    }),
)  # fmt: skip
def test_what_a_decision_keeps_explains_it_as_it_did_when_it_was_made(
    tlps: list[str | None], originator: str, category: str, purpose: str, flags: dict[str, Any]
) -> None:
    of = inputs(*({"tlp": each, "originator": originator, "info_category": category} | flags for each in tlps),
                purpose=purpose)  # fmt: skip
    said, kept = judge(of, NOW), Asked.read(of.to_json(), NOW)
    assert kept is not None
    assert explaining.reasons(said.reasons, kept) == explaining.reasons(said.reasons, Asked.of(of, NOW))
    for each in explaining.reasons(said.reasons, kept):
        assert each["text"] != each["code"] and each["changed_by"]


def test_a_decision_of_a_form_that_is_read_no_more_is_explained_in_general() -> None:
    (said,) = explaining.reasons(["R-TWO-PERSON"], Asked.read({"items": [{"colour": "red"}]}, NOW))
    assert said["because"] == [] and said["changed_by"].startswith("The release authority")
    (unknown,) = explaining.reasons(["D-OF-TOMORROW"], None)
    assert unknown["text"] == "D-OF-TOMORROW"
