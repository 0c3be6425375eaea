"""A text made of parts: never looser than any part, and a decision that is true until the instant it names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.markings import Marking
from coordinator.sharing.composed import LIFE, Inputs, content_digest, handling, judge, valid_until
from coordinator.sharing.inputs import Agreement, Channel, Consent, Item, Recipient

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ORDER = {"permit": 0, "refer": 1, "deny": 2}

near = st.integers(-120, 120).map(lambda minutes: NOW + timedelta(minutes=minutes))
items = st.builds(
    lambda tlp, originator, category, embargo, consent: Item(
        info_category=category, tlp=tlp, originator=originator, embargo_until=embargo,
        consents=(Consent("FI", "*", consent),) if consent else (),
    ),
    st.sampled_from(["CLEAR", "GREEN", "AMBER", "AMBER+STRICT"]), st.sampled_from(["OWN", "FI", "LV"]),
    st.sampled_from(["incident-notification", "victim-identity"]), st.none() | near, st.none() | near,
)  # fmt: skip
agreements = st.builds(
    lambda start, end, over, number: Agreement(
        id=f"A{number}", effective_from=start, tlp_ceiling="AMBER+STRICT", expires_on=end, terminated_on=over,
        recipients=frozenset({"FI"}), categories=frozenset({"incident-notification"}),
        purposes=frozenset({"network-defence"}),
    ),
    near, st.none() | near, st.none() | near, st.integers(1, 3),
)  # fmt: skip


@st.composite
def inputs(draw: Any) -> Inputs:
    return Inputs(
        items=tuple(draw(st.lists(items, min_size=1, max_size=3))),
        recipient=Recipient(party="FI", type="org", channel=Channel(kind="webhook", encrypted=True)),
        purpose="network-defence",
        agreements=tuple(draw(st.lists(agreements, max_size=2, unique_by=lambda each: each.id))), versions={},
        requested_by="user:1", approvals=frozenset(draw(st.sampled_from([(), ("user:2",)]))), approvals_end=(),
        content_digest="0" * 64,
    )  # fmt: skip


@given(inputs())
def test_the_whole_is_as_strict_as_its_strictest_part(whole: Inputs) -> None:
    answer = judge(whole, NOW)
    parts = [judge(replace(whole, items=(item,)), NOW) for item in whole.items]
    assert ORDER[answer.result] == max(ORDER[part.result] for part in parts)
    assert set(answer.reasons) == {reason for part in parts for reason in part.reasons}
    assert set(answer.obligations) == {owed for part in parts for owed in part.obligations}


@settings(max_examples=300)
@given(inputs(), st.floats(0, 0.999))
def test_until_the_instant_it_names_the_decision_would_be_the_same(whole: Inputs, share: float) -> None:
    until = valid_until(whole, NOW)
    assert NOW < until <= NOW + LIFE
    later = NOW + (until - NOW) * share
    assert judge(whole, later) == judge(whole, NOW)


def test_an_approval_that_ends_sooner_ends_the_decision() -> None:
    end = NOW + timedelta(minutes=7)
    whole = Inputs(
        items=(Item(info_category="incident-notification", tlp="CLEAR"),), purpose="x", agreements=(), versions={},
        recipient=Recipient(party="FI", type="org", channel=Channel(kind="webhook")), requested_by="user:1",
        approvals=frozenset({"user:2"}), approvals_end=(end,), content_digest="0" * 64,
    )  # fmt: skip
    assert valid_until(whole, NOW) == end


SENSITIVE = {"info_category": "incident-notification", "le_sensitive": True}


@pytest.mark.parametrize(
    ("item", "more", "before", "after"),
    [
        ({"tlp": "CLEAR"}, {}, ["R-LEGAL"], []),
        ({"tlp": "GREEN"}, {}, ["D-NO-AGREEMENT", "R-LEGAL"], ["D-NO-AGREEMENT"]),
        ({"tlp": None}, {}, ["D-NO-AGREEMENT", "R-LEGAL", "R-TWO-PERSON", "R-UNMARKED"],
         ["D-NO-AGREEMENT", "R-TWO-PERSON", "R-UNMARKED"]),
        ({"tlp": "CLEAR"}, {"poc_fresh": False}, ["R-LEGAL", "R-STALE-POC"], ["R-STALE-POC"]),
        ({"tlp": "CLEAR"}, {"party": "OWN"}, ["R-LEGAL"], []),
        ({"tlp": "CLEAR"}, {"type": "public"}, ["R-LEGAL", "R-TWO-PERSON"], ["R-TWO-PERSON"]),
        ({"tlp": "CLEAR", "info_category": "attribution-assessment"}, {}, ["R-LEGAL", "R-TWO-PERSON"],
         ["R-TWO-PERSON"]),
        ({"tlp": "CLEAR", "le_sensitive": False}, {}, [], []),
    ],
)  # fmt: skip
def test_the_word_of_a_legal_adviser_answers_r_legal_and_nothing_else(
    item: dict[str, Any], more: dict[str, Any], before: list[str], after: list[str]
) -> None:
    channel = Channel(kind="webhook", encrypted=True)
    whole = Inputs(
        items=(Item(**(SENSITIVE | item)),), purpose="x", agreements=(), versions={}, requested_by="user:1",
        recipient=Recipient(**({"party": "FI", "type": "org", "channel": channel} | more)), approvals=frozenset(),
        approvals_end=(), content_digest="0" * 64,
    )  # fmt: skip
    said = replace(whole, legal_word=True)
    assert [list(judge(each, NOW).reasons) for each in (whole, said)] == [before, after]
    for each, reasons in ((whole, before), (said, after)):
        denied = any(code.startswith("D-") for code in reasons)
        assert judge(each, NOW).result == ("deny" if denied else "refer" if reasons else "permit")
    assert whole.digest() != said.digest()


@given(inputs())
def test_the_same_inputs_have_the_same_digest_and_any_change_another(whole: Inputs) -> None:
    assert whole.digest() == replace(whole).digest()
    assert whole.digest() != replace(whole, purpose="attribution").digest()
    assert whole.digest() != replace(whole, content_digest="1" * 64).digest()
    assert whole.digest() != replace(whole, approvals=frozenset({"user:3"})).digest()


TEXT: dict[str, Any] = {
    "kind": "initial", "title": "T", "body": "B", "marking": Marking(tlp="GREEN"), "purpose": "network-defence",
    "reply_by": None, "language": "en", "exercise": "", "items": ["itm-1@1"],
}  # fmt: skip


def test_every_word_counts_in_the_content_digest() -> None:
    changed = {
        "kind": "update", "title": "t", "body": "b", "marking": Marking(tlp="GREEN", orcon=True), "items": ["itm-1@2"],
        "reply_by": "2026-11-22T12:00:00Z", "language": "fr", "exercise": "EX-1", "purpose": "attribution",
    }  # fmt: skip
    digests = {content_digest(**TEXT), *(content_digest(**{**TEXT, name: value}) for name, value in changed.items())}
    assert len(digests) == 1 + len(changed) == 10
    assert content_digest(**{**TEXT, "items": ["b@1", "a@1"]}) == content_digest(**{**TEXT, "items": ["a@1", "b@1"]})


def test_caveats_travel_in_words() -> None:
    marking = Marking(
        tlp="AMBER", orcon=True, rel_to={"FI", "EE"}, no_attribution=True, embargo_until=NOW, le_sensitive=True,
        personal_data=True,
    )  # fmt: skip
    assert handling(marking) == [
        "ORIGINATOR CONTROLLED", "REL TO EE, FI", "NO ATTRIBUTION", "EMBARGO UNTIL 2026-11-22T12:00:00Z",
        "LAW ENFORCEMENT SENSITIVE", "PERSONAL DATA",
    ]  # fmt: skip
    assert handling(Marking(tlp="AMBER", rel_to=set())) == ["NOT RELEASABLE TO OTHERS"]
    assert handling(Marking()) == []
