"""Exchange policies (FIRST IEP 2.0) that are combined, and what of one a recipient may know."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.markings import IEP_ACTIONS, Iep, Marking, combine_policies

IEPS = st.fixed_dictionaries({}, optional={
    "tlp": st.sampled_from(["white", "green", "amber", "red"]),
    "start_date": st.sampled_from(["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]),
    "end_date": st.sampled_from(["2026-01-15T00:00:00Z", "2027-02-01T00:00:00Z"]),
    "encrypt_in_transit": st.sampled_from(["must", "may"]),
    "permitted_actions": st.sampled_from(IEP_ACTIONS),
    "affected_party_notifications": st.sampled_from(["must-not", "may"]),
    "attribution": st.sampled_from(["must-not", "must", "may"]),
    "unmodified_resale": st.sampled_from(["must-not", "may"]),
    "external_reference": st.sampled_from(["https://a.example/iep", "https://b.example/iep"]),
    "id": st.sampled_from(["1" * 36, "2" * 36]),
}).map(Iep.from_json)  # fmt: skip


@given(st.lists(IEPS, min_size=1, max_size=3))
def test_a_combined_policy_is_as_strict_as_each_and_has_every_address_of_theirs(policies: list[Iep]) -> None:
    whole = combine_policies(policies)
    assert whole is not None and whole == combine_policies(policies[::-1]) == combine_policies([whole, *policies])
    limits = {"encrypt_in_transit": "must", "affected_party_notifications": "must-not", "attribution": "must-not",
              "unmodified_resale": "must-not"}  # fmt: skip
    for each in policies:
        assert whole.rank >= each.rank
        assert all(getattr(whole, name) == limit for name, limit in limits.items() if getattr(each, name) == limit)
        if each.permitted_actions:
            assert IEP_ACTIONS.index(whole.permitted_actions or "") <= IEP_ACTIONS.index(each.permitted_actions)
        assert not each.start_date or (whole.start_date and whole.start_date >= each.start_date)
        assert not each.end_date or (whole.end_date and whole.end_date <= each.end_date)
        assert set((each.external_reference or "").split()) <= set((whole.external_reference or "").split())


@pytest.mark.parametrize("more", [{"no_attribution": True}, {"iep": {"attribution": "must-not"}}])
def test_where_the_source_is_withheld_its_policy_leads_nowhere(more: dict[str, Any]) -> None:
    policy = {"tlp": "amber", "external_reference": "https://csirt.example/iep", "id": "1" * 36}
    open_, withheld = (Marking.from_json({"tlp": "AMBER", **each, "iep": policy | each.get("iep", {})})
                       for each in ({}, more))  # fmt: skip
    assert open_.policy_told == open_.iep
    assert withheld.policy_told is not None and withheld.policy_told.tlp == "amber"
    assert (withheld.policy_told.external_reference, withheld.policy_told.id) == (None, None)
