"""A mistake in what a decision is made on is an error that says where, never a permit."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.errors import CoordinatorError
from coordinator.markings import Marking, Pap, Tlp
from coordinator.sharing.cases import evaluate_document, read_document
from coordinator.sharing.rules import (
    Agreement,
    Channel,
    Consent,
    Decision,
    Item,
    MalformedCase,
    Recipient,
    Result,
    decide,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CASE: dict[str, Any] = {
    "item": {
        "tlp": "AMBER",
        "info_category": "incident-notification",
        "consents": [{"to": "BB", "purpose": "*", "valid_until": "2026-07-01T00:00:00Z"}],
        "iep": {"tlp": "green", "start_date": "2026-01-01T00:00:00Z", "end_date": None},
    },
    "recipient": {"party": "BB", "type": "org", "channel": {"kind": "portal", "encrypted": True}},
    "purpose": "incident-response",
    "agreements": [
        {
            "id": "AG1",
            "effective_from": "2026-01-01T00:00:00Z",
            "recipients": ["BB"],
            "categories": ["incident-notification"],
            "tlp_ceiling": "AMBER",
            "purposes": ["incident-response"],
        }
    ],
    "approvals": [],
    "requested_by": "u1",
    "now": "2026-06-01T12:00:00Z",
}


def changed(pointer: str, value: Any) -> dict[str, Any]:
    """The case above with `value` at the JSON pointer; Ellipsis takes the field away."""
    case = copy.deepcopy(CASE)
    *path, last = [int(part) if part.isdigit() else part for part in pointer.split("/")[1:]]
    holder: Any = case
    for part in path:
        holder = holder[part]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return case


def decided(case: dict[str, Any]) -> Decision:
    return decide(
        case.get("item"), case.get("recipient"), case.get("purpose"), case.get("agreements"),  # type: ignore[arg-type]
        case.get("now"), case.get("requested_by"), case.get("approvals"),  # type: ignore[arg-type]
    )  # fmt: skip


def test_the_case_below_is_permitted_until_it_is_spoilt() -> None:
    assert decided(CASE).result is Result.PERMIT


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/item", None),
        ("/item", []),
        ("/item/info_category", ...),
        ("/item/info_category", ""),
        ("/item/info_category", None),
        ("/item/info_category", 5),
        ("/item/tlp", 2),
        ("/item/tlp", ["AMBER"]),
        ("/item/originator", {}),
        ("/item/pap", "AMBER+STRICT"),
        ("/item/pap", "pap:amber"),
        ("/item/secrecy", False),
        ("/item/exercise", True),
        ("/item/orcon", "true"),
        ("/item/orcon", 0),
        ("/item/rel_to", "BB"),
        ("/item/rel_to", {"BB": True}),
        ("/item/named_recipients", "p1"),
        ("/item/embargo_until", "2026-06-02"),
        ("/item/embargo_until", "2026-06-02T00:00:00"),
        ("/item/embargo_until", "tomorrow"),
        ("/item/embargo_until", 1780000000),
        ("/item/embargo_until", False),
        ("/item/personal_data", "no"),
        ("/item/pd_basis", True),
        ("/item/consents", {"to": "BB"}),
        ("/item/consents", "BB"),
        ("/item/consents/0", "BB"),
        ("/item/consents/0/to", None),
        ("/item/consents/0/purpose", ""),
        ("/item/consents/0/valid_until", None),
        ("/item/consents/0/valid_until", "2026-07-01T00:00:00"),
        ("/item/iep", "green"),
        ("/item/iep/tlp", "GREEN"),
        ("/item/iep/tlp", "amber+strict"),
        ("/item/iep/start_date", "2026-01-01"),
        ("/item/iep/encrypt_in_transit", True),
        ("/item/iep/permitted_actions", "all"),
        ("/recipient", None),
        ("/recipient/party", ...),
        ("/recipient/party", ""),
        ("/recipient/type", ...),
        ("/recipient/type", "organisation"),
        ("/recipient/channel", ...),
        ("/recipient/channel", "portal"),
        ("/recipient/channel/kind", ...),
        ("/recipient/channel/kind", "carrier-pigeon"),
        ("/recipient/channel/encrypted", "yes"),
        ("/recipient/channel/exercise", 1),
        ("/recipient/communities", "cyber-defence"),
        ("/recipient/client_of_own", "no"),
        ("/recipient/poc_fresh", 1),
        ("/recipient/person", ["p1"]),
        ("/purpose", ["incident-response"]),
        ("/agreements", {"AG1": {}}),
        ("/agreements", "AG1"),
        ("/agreements/0", None),
        ("/agreements/0/id", ...),
        ("/agreements/0/effective_from", ...),
        ("/agreements/0/effective_from", "2026-01-01"),
        ("/agreements/0/expires_on", "never"),
        ("/agreements/0/tlp_ceiling", None),
        ("/agreements/0/tlp_ceiling", "PURPLE"),
        ("/agreements/0/signed", "yes"),
        ("/agreements/0/suspended", "no"),
        ("/agreements/0/recipients", "BB"),
        ("/agreements/0/personal_data", "some"),
        ("/agreements/0/onward", "everyone"),
        ("/agreements/0/retention_max", "one year"),
        ("/approvals", "u2"),
        ("/approvals", {"by": "u2"}),
        ("/requested_by", None),
        ("/requested_by", ""),
        ("/now", None),
        ("/now", "2026-06-01T12:00:00"),
        ("/now", datetime(2026, 6, 1, 12)),
    ],
)
def test_a_spoilt_field_is_refused_with_a_pointer_to_it(pointer: str, value: object) -> None:
    with pytest.raises(MalformedCase) as refusal:
        decided(changed(pointer, value))
    assert refusal.value.pointer == pointer
    assert refusal.value.errors[0].detail


@pytest.mark.parametrize(
    ("pointer", "value", "where"),
    [
        ("/approvals", ["u2", {"by": "u2"}], "/approvals/1"),
        ("/approvals", [""], "/approvals/0"),
        ("/item/rel_to", ["BB", None], "/item/rel_to/1"),
        ("/item/not_rel_to", [["BB"]], "/item/not_rel_to/0"),
        ("/item/embargo_untill", "2026-06-02T00:00:00Z", "/item"),
        ("/item/caveats", {}, "/item"),
        ("/recipient/name", "x", "/recipient"),
        ("/recipient/channel/url", "x", "/recipient/channel"),
        ("/item/consents/0/withdrawn_at", "2026-05-01T00:00:00Z", "/item/consents/0"),
        ("/item/iep/tlp2", "red", "/item/iep"),
        ("/agreements/0/ceiling", "RED", "/agreements/0"),
        ("/agreements/0/agreement_id", "AG2", "/agreements/0/id"),
        ("/agreements/0/suspended", [{"to": None}], "/agreements/0/suspended/0/start"),
        ("/agreements", [CASE["agreements"][0], CASE["agreements"][0]], "/agreements"),
    ],
)
def test_a_fault_inside_a_list_or_an_unknown_field_is_refused_where_it_stands(
    pointer: str, value: object, where: str
) -> None:
    with pytest.raises(MalformedCase) as refusal:
        decided(changed(pointer, value))
    assert refusal.value.pointer == where


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_the_empty_string_are_read_as_absent(nothing: object) -> None:
    for pointer in (
        "/item/orcon", "/item/rel_to", "/item/originator", "/item/community", "/item/iep", "/item/exercise",
        "/item/embargo_until", "/recipient/poc_fresh", "/recipient/channel/exercise", "/agreements/0/signed",
        "/agreements/0/personal_data", "/approvals",
    ):  # fmt: skip
        assert decided(changed(pointer, nothing)) == decided(CASE)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["BB", "CLEAR", "*", "public"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["tlp", "party", "type", "channel", "kind", "info_category", "id", "x"]), inner),
    max_leaves=8,
)
FIELDS = ["/item", "/recipient", "/purpose", "/agreements", "/agreements/0", "/approvals", "/requested_by", "/now"]
FIELDS += [f"/item/{name}" for name in Item.READERS] + [f"/recipient/{name}" for name in Recipient.READERS]
FIELDS += [f"/recipient/channel/{name}" for name in Channel.READERS]
FIELDS += [f"/agreements/0/{name}" for name in Agreement.READERS]


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FIELDS), junk)
def test_junk_in_any_field_is_an_error_or_an_ordinary_decision(pointer: str, value: object) -> None:
    try:
        found = decided(changed(pointer, value))
    except MalformedCase as refusal:
        assert refusal.pointer.startswith(pointer) or pointer.startswith(refusal.pointer)
    else:
        assert isinstance(found, Decision)


def test_values_built_in_code_are_read_as_strictly() -> None:
    with pytest.raises(MalformedCase):
        Item(info_category="request", rel_to="BB")  # type: ignore[arg-type]
    with pytest.raises(MalformedCase):
        Consent(to="BB", purpose="*", valid_until=datetime(2026, 7, 1))
    with pytest.raises(MalformedCase):
        Recipient(party="BB", type="org", channel="portal")  # type: ignore[arg-type]


def test_an_item_takes_everything_from_a_marking() -> None:
    marking = Marking(
        tlp=Tlp.AMBER_STRICT, pap=Pap.RED, rel_to=["BB"], not_rel_to=["CC"], orcon=True, no_attribution=True,
        embargo_until=NOW, embargo_set=["BB"], named_recipients=["p1"], community="health", le_sensitive=True,
        personal_data=True, pd_basis="consent", secrecy="SECRET", iep={"tlp": "red"},
    )  # fmt: skip
    item = Item.from_marking(marking, info_category="request", originator="CC", exercise="EX1")
    assert item.to_json() == marking.to_json() | {"info_category": "request", "originator": "CC", "exercise": "EX1"}


def test_the_code_of_our_own_organisation_is_written_own_wherever_a_party_stands() -> None:
    item = Item(
        info_category="request", originator="EE",
        rel_to=["EE", "BB"], not_rel_to=["EE", "CC"], embargo_set=["EE", "DD"],
        consents=[{"to": "EE", "purpose": "*", "valid_until": NOW}, {"to": "BB", "purpose": "*", "valid_until": NOW}],
    )  # fmt: skip
    ours = item.seen_from("EE")
    assert (ours.originator, ours.rel_to, ours.not_rel_to, ours.embargo_set) == (
        "OWN", frozenset({"OWN", "BB"}), frozenset({"OWN", "CC"}), frozenset({"OWN", "DD"}),
    )  # fmt: skip
    assert [consent.to for consent in ours.consents] == ["OWN", "BB"]
    assert Item(info_category="request", originator="BB").seen_from("EE").rel_to is None
    recipient = Recipient.from_json(CASE["recipient"])
    assert recipient.seen_from("BB").party == "OWN" and recipient.seen_from("EE") == recipient


def test_an_agreement_is_read_under_the_names_of_the_register() -> None:
    register = {
        "agreement_id": "MOU-1",
        "reference": "MOU-2026-001",
        "parties": [{"party": "BB", "role": "both", "signed_on": "2026-01-10"}],
        "recipients": ["BB"],
        "signed": True,
        "info_categories_allowed": ["request"],
        "info_categories_excluded": ["victim-identity"],
        "tlp_ceiling": "AMBER",
        "permitted_purposes": ["incident-response"],
        "prohibited_uses": ["commercial"],
        "onward_sharing": "own-organisation",
        "retention_max": "P1Y",
        "effective_from": "2026-01-15T00:00:00Z",
        "suspended": [{"from": "2026-02-01T00:00:00Z", "to": "2026-03-01T00:00:00Z", "reason": "x", "by": "y"}],
    }
    agreement = Agreement.from_json(register)
    assert agreement.to_json() == {
        "id": "MOU-1",
        "effective_from": "2026-01-15T00:00:00Z",
        "tlp_ceiling": "AMBER",
        "suspended": [{"start": "2026-02-01T00:00:00Z", "end": "2026-03-01T00:00:00Z"}],
        "recipients": ["BB"],
        "categories": ["request"],
        "categories_excluded": ["victim-identity"],
        "purposes": ["incident-response"],
        "purposes_prohibited": ["commercial"],
        "onward": "own-organisation",
        "retention_max": "P1Y",
    }
    assert Agreement.from_json(agreement.to_json()) == agreement


@pytest.mark.parametrize("missing", ["recipients", "signed"])
def test_a_register_entry_whose_parties_were_not_worked_out_is_refused(missing: str) -> None:
    entry = {"agreement_id": "A", "parties": [], "tlp_ceiling": "AMBER", "effective_from": "2026-01-15T00:00:00Z",
             "recipients": ["BB"], "signed": False}  # fmt: skip
    del entry[missing]
    with pytest.raises(MalformedCase) as refusal:
        Agreement.from_json(entry)
    assert refusal.value.pointer == f"/{missing}"


def document(*cases: Any, **more: Any) -> dict[str, Any]:
    return {"cases": list(cases), **more}


def test_a_document_is_answered_case_by_case_in_order() -> None:
    answers = evaluate_document(document(CASE, changed("/item/tlp", "RED")), now=NOW)
    assert answers[0] == decided(CASE).to_json()
    assert [answer["result"] for answer in answers] == ["permit", "deny"]


def test_what_a_case_leaves_out_comes_from_the_document_and_then_from_the_caller() -> None:
    embargoed = changed("/item/embargo_until", "2026-06-01T12:00:00Z")
    del embargoed["now"], embargoed["requested_by"], embargoed["approvals"]
    early = datetime(2026, 5, 1, tzinfo=UTC)
    assert evaluate_document(document(embargoed), now=early)[0]["reasons"] == ["D-EMBARGO"]
    later = {"now": "2026-06-01T12:00:00Z"}
    assert evaluate_document(document(embargoed, defaults=later), now=early)[0]["reasons"] == []
    own = embargoed | {"now": "2026-05-02T00:00:00Z"}
    assert evaluate_document(document(own, defaults=later), now=early)[0]["reasons"] == ["D-EMBARGO"]


def test_the_requester_is_u1_and_cannot_be_the_approver() -> None:
    strict = changed("/item/tlp", "AMBER+STRICT")
    strict["agreements"][0]["tlp_ceiling"] = "RED"
    del strict["requested_by"]
    reasons = [
        evaluate_document(document(strict | {"approvals": by}), now=NOW)[0]["reasons"] for by in (["u1"], ["u2"])
    ]
    assert reasons == [["R-TWO-PERSON"], []]
    defaults = {"requested_by": "u2", "approvals": ["u1"]}
    del strict["approvals"]
    assert evaluate_document(document(strict, defaults=defaults), now=NOW)[0]["reasons"] == []


def test_remarks_of_the_author_are_passed_over() -> None:
    assert evaluate_document(document(CASE | {"name": "x", "expect": {}}, spec="y"), now=NOW)[0]["result"] == "permit"


@pytest.mark.parametrize(
    ("faulty", "pointer"),
    [
        ([], "/cases"),
        ({}, "/cases"),
        ({"cases": {}}, "/cases"),
        (document("x"), "/cases/0"),
        (document({}), "/cases/0/item"),
        (document(CASE, changed("/item/embargo_until", "soon")), "/cases/1/item/embargo_until"),
        (document(CASE, changed("/agreements", {})), "/cases/1/agreements"),
        (document(changed("/now", "today")), "/cases/0/now"),
        (document(CASE | {"aprovals": ["u2"]}), "/cases/0"),
        (document(CASE, []), "/cases/1"),
        (document(CASE, defaults=[]), "/defaults"),
        (document(CASE, defaults={"now": "today"}), "/defaults/now"),
        (document(CASE, defaults={"approvals": [1]}), "/defaults/approvals/0"),
        (document(CASE, defaults={"purpose": "x"}), "/defaults"),
    ],
)
def test_a_fault_in_a_document_is_named_by_its_pointer(faulty: object, pointer: str) -> None:
    with pytest.raises(MalformedCase) as refusal:
        evaluate_document(faulty, now=NOW)
    assert refusal.value.pointer == pointer


def test_a_document_is_read_from_json() -> None:
    assert read_document(json.dumps(document(CASE)).encode()) == document(CASE)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b'{"cases": [NaN]}', b'{"cases": [], "cases": []}', b"\xff", b"[" * 200_000, b'{"cases": [1e999]}'],
)
def test_what_is_not_plain_json_is_refused(raw: bytes) -> None:
    with pytest.raises(CoordinatorError):
        read_document(raw)
