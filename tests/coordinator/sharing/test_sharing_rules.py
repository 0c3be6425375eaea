"""Every rule of the sharing decision, each with a case where it applies and a near one where it does not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from coordinator.sharing import fitting, rules, wording
from coordinator.sharing.composed import WHOLE_REASONS
from coordinator.sharing.rules import Decision, Result, decide

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SAME, BEFORE, AFTER = "2026-06-01T12:00:00Z", "2026-06-01T11:59:59.999999Z", "2026-06-01T12:00:00.000001Z"
IEP = {
    "tlp": "white",
    "start_date": "2026-01-01T00:00:00Z",
    "end_date": None,
    "encrypt_in_transit": "may",
    "permitted_actions": "externally-visible-direct-actions",
    "affected_party_notifications": "may",
    "attribution": "may",
}
ITEM = {"tlp": "AMBER", "info_category": "incident-notification"}
CHANNEL = {"kind": "portal", "encrypted": True}
RECIPIENT = {"party": "BB", "type": "org", "channel": CHANNEL}
AGREEMENT = {
    "id": "AG1",
    "effective_from": "2026-01-01T00:00:00Z",
    "recipients": ["BB"],
    "categories": ["incident-notification", "attribution-assessment"],
    "tlp_ceiling": "RED",
    "purposes": ["incident-response"],
}
CONSENT = {"to": "BB", "purpose": "*", "valid_until": AFTER}


def decision(**changes: Any) -> Decision:
    """Own AMBER to a partner under an agreement, with changes: r_ recipient, c_ channel, a_ agreement, else item."""
    item, recipient, channel, agreement = dict(ITEM), dict(RECIPIENT), dict(CHANNEL), dict(AGREEMENT)
    targets = {"r": recipient, "c": channel, "a": agreement}
    purpose = changes.pop("purpose", "incident-response")
    approvals = changes.pop("approvals", ["u2"])
    agreements = changes.pop("agreements", [agreement])
    for name, value in changes.items():
        start, _, rest = name.partition("_")
        target, key = (targets[start], rest) if start in targets else (item, name)
        target[key] = value
    recipient["channel"] = channel
    return decide(item, recipient, purpose, agreements, NOW, "u1", approvals)


def iep(**changes: Any) -> dict[str, Any]:
    return IEP | changes


def also(**changes: Any) -> list[dict[str, Any]]:
    """A second agreement, which fits, after the first."""
    return [AGREEMENT | changes, AGREEMENT | {"id": "AG2"}]


# code, changes with which it applies, changes with which it does not
RULES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("D-CLASSIFIED", {"secrecy": "NATO RESTRICTED"}, {"secrecy": "UNCLASSIFIED"}),
    ("D-CLASSIFIED", {"secrecy": "unclassified"}, {"secrecy": ""}),
    ("R-UNMARKED", {"tlp": None}, {"tlp": "AMBER+STRICT"}),
    ("R-UNMARKED", {"tlp": ""}, {"tlp": "PURPLE"}),
    ("D-TLP-UNKNOWN", {"tlp": "PURPLE"}, {"tlp": None}),
    ("D-TLP-UNKNOWN", {"tlp": "amber"}, {"tlp": "WHITE"}),
    ("R-IEP-DATES", {"iep": iep(start_date=AFTER)}, {"iep": iep(start_date=SAME)}),
    ("R-IEP-DATES", {"iep": iep(end_date=SAME)}, {"iep": iep(end_date=AFTER)}),
    ("D-EXERCISE-MIX", {"exercise": "EX1"}, {"exercise": "EX1", "c_exercise": "EX1"}),
    ("D-EXERCISE-MIX", {"c_exercise": "EX1"}, {"exercise": "", "c_exercise": None}),
    ("D-EXERCISE-MIX", {"exercise": "EX1", "c_exercise": "EX2"}, {}),
    ("D-EMBARGO", {"embargo_until": AFTER}, {"embargo_until": SAME}),
    ("D-EMBARGO", {"embargo_until": AFTER, "embargo_set": ["CC"]}, {"embargo_until": AFTER, "embargo_set": ["BB"]}),
    ("D-EMBARGO", {"embargo_until": AFTER, "r_party": "OWN"}, {"embargo_set": ["CC"], "r_party": "OWN"}),
    ("D-NO-PURPOSE", {"purpose": ""}, {"purpose": "unheard-of"}),
    ("D-NO-PURPOSE", {"purpose": None}, {}),
    ("D-NO-PURPOSE", {"purpose": " \t"}, {}),
    ("D-PUBLIC", {"r_type": "public", "tlp": "GREEN"}, {"r_type": "public", "tlp": "CLEAR"}),
    ("D-PUBLIC", {"r_type": "public", "tlp": "CLEAR", "iep": iep(tlp="green")}, {"r_type": "org", "tlp": "RED"}),
    ("D-RED-ORGANISATION", {"tlp": "RED"}, {"tlp": "RED", "r_type": "person", "r_person": "p1"}),
    ("D-RED-ORGANISATION", {"tlp": "RED", "r_party": "OWN"}, {"tlp": "AMBER+STRICT"}),
    ("D-RED-ORGANISATION", {"iep": iep(tlp="red")}, {"iep": iep(tlp="amber")}),
    (
        "D-RED-NOT-NAMED",
        {"tlp": "RED", "r_type": "person", "r_person": "p1", "named_recipients": ["p2"]},
        {"tlp": "RED", "r_type": "person", "r_person": "p1", "named_recipients": ["p2", "p1"]},
    ),
    ("D-RED-NOT-NAMED", {"tlp": "RED", "r_type": "person"}, {"tlp": "AMBER+STRICT", "r_type": "person"}),
    ("D-RED-NOT-NAMED", {"tlp": "RED", "r_type": "person", "r_party": "OWN"}, {"tlp": "RED", "r_type": "org"}),
    ("D-RED-CHANNEL", {"tlp": "RED", "c_kind": "webhook"}, {"tlp": "RED", "c_kind": "email"}),
    ("D-RED-CHANNEL", {"tlp": "RED", "c_kind": "mailing-list"}, {"tlp": "AMBER+STRICT", "c_kind": "webhook"}),
    ("D-ORCON", {"orcon": True, "originator": "CC", "tlp": "CLEAR"}, {"originator": "CC", "tlp": "CLEAR"}),
    ("D-ORCON", {"orcon": True, "originator": "CC"}, {"orcon": True, "originator": "CC", "r_party": "OWN"}),
    ("D-ORCON", {"orcon": True, "originator": "CC"}, {"orcon": True, "originator": "BB"}),
    ("D-ORCON", {"orcon": True, "originator": "CC"}, {"orcon": True, "originator": "CC", "consents": [CONSENT]}),
    ("D-ORCON", {"orcon": True, "originator": "CC"}, {"orcon": True}),
    (
        "D-GREEN-COMMUNITY",
        {"tlp": "GREEN", "originator": "CC"},
        {"tlp": "GREEN", "originator": "CC", "r_communities": ["cyber-defence"]},
    ),
    (
        "D-GREEN-COMMUNITY",
        {"tlp": "GREEN", "originator": "CC", "community": "health", "r_communities": ["cyber-defence"]},
        {"tlp": "GREEN", "originator": "CC", "community": "health", "r_communities": ["health"]},
    ),
    (
        "D-GREEN-COMMUNITY",
        {"tlp": "GREEN", "originator": "CC"},
        {"tlp": "GREEN", "originator": "CC", "r_client_of_own": True},
    ),
    ("D-GREEN-COMMUNITY", {"tlp": "GREEN", "originator": "CC"}, {"tlp": "GREEN"}),
    ("D-GREEN-COMMUNITY", {"tlp": "GREEN", "originator": "CC"}, {"tlp": "CLEAR", "originator": "CC"}),
    ("D-AMBER-ONWARD", {"originator": "CC"}, {"originator": "CC", "r_client_of_own": True}),
    (
        "D-AMBER-ONWARD",
        {"originator": "CC", "r_communities": ["cyber-defence"]},
        {"originator": "CC", "r_party": "OWN"},
    ),
    ("D-AMBER-ONWARD", {"originator": "CC"}, {"originator": "BB"}),
    (
        "D-AMBER-ONWARD",
        {"originator": "CC", "consents": [CONSENT | {"valid_until": SAME}]},
        {"originator": "CC", "consents": [CONSENT]},
    ),
    (
        "D-AMBER-ONWARD",
        {"originator": "CC", "consents": [CONSENT | {"purpose": "attribution"}]},
        {"originator": "CC", "consents": [CONSENT | {"purpose": "incident-response"}]},
    ),
    ("D-AMBER-ONWARD", {"originator": "CC", "consents": [CONSENT | {"to": "DD"}]}, {"originator": "OWN"}),
    ("D-STRICT-ONWARD", {"tlp": "AMBER+STRICT", "originator": "CC", "r_client_of_own": True}, {"originator": "CC"}),
    ("D-STRICT-ONWARD", {"tlp": None, "originator": "CC"}, {"tlp": None, "originator": "CC", "r_party": "OWN"}),
    ("D-RED-ONWARD", {"tlp": "RED", "originator": "CC"}, {"tlp": "RED", "originator": "CC", "consents": [CONSENT]}),
    ("D-RED-ONWARD", {"tlp": "PURPLE", "originator": "CC"}, {"tlp": "RED", "originator": "BB"}),
    ("D-NOT-RELEASABLE", {"not_rel_to": ["BB"], "rel_to": ["BB"]}, {"not_rel_to": ["CC"], "rel_to": ["BB"]}),
    ("D-REL-LIST", {"rel_to": ["CC"]}, {"rel_to": ["CC", "BB"]}),
    ("D-REL-LIST", {"rel_to": []}, {"rel_to": None}),
    ("D-REL-LIST", {"rel_to": []}, {"rel_to": [], "r_party": "OWN"}),
    ("D-REL-LIST", {"rel_to": [], "originator": "CC"}, {"rel_to": [], "originator": "BB"}),
    ("D-PERSONAL-DATA-BASIS", {"personal_data": True}, {"personal_data": True, "pd_basis": "public-task"}),
    ("D-PERSONAL-DATA-BASIS", {"personal_data": True, "pd_basis": ""}, {"personal_data": False}),
    (
        "D-AGREEMENT-PROHIBITS",
        {"agreements": also(categories_excluded=["incident-notification"])},
        {"agreements": also(categories_excluded=["victim-identity"])},
    ),
    (
        "D-AGREEMENT-PROHIBITS",
        {"agreements": also(purposes_prohibited=["incident-response"])},
        {"agreements": also(purposes_prohibited=["incident-response"], expires_on=SAME)},
    ),
    *[
        (
            "D-AGREEMENT-PROHIBITS",
            {"agreements": also(purposes_prohibited=["incident-response"], categories=[], tlp_ceiling="CLEAR")},
            {"agreements": also(purposes_prohibited=["incident-response"], **not_live)},
        )
        for not_live in (
            {"signed": False},
            {"effective_from": AFTER},
            {"terminated_on": SAME},
            {"suspended": True},
            {"recipients": ["CC"]},
        )
    ],
    ("D-AGREEMENT-PROHIBITS", {"a_categories_excluded": ["incident-notification"]}, {"tlp": "CLEAR"}),
    (
        "D-AGREEMENT-PROHIBITS",
        {"a_categories_excluded": ["incident-notification"], "tlp": "GREEN", "originator": "BB"},
        {"a_categories_excluded": ["incident-notification"], "tlp": "CLEAR"},
    ),
    ("D-NO-AGREEMENT", {"agreements": []}, {}),
    ("D-NO-AGREEMENT", {"agreements": [], "consents": [CONSENT]}, {"agreements": [], "tlp": "CLEAR"}),
    ("D-NO-AGREEMENT", {"agreements": []}, {"agreements": [], "originator": "BB"}),
    (
        "D-NO-AGREEMENT",
        {"agreements": [], "tlp": "GREEN"},
        {"agreements": [], "tlp": "GREEN", "r_communities": ["cyber-defence"]},
    ),
    ("D-NO-AGREEMENT", {"agreements": [], "r_communities": ["cyber-defence"]}, {"agreements": [], "r_party": "OWN"}),
    ("D-NO-AGREEMENT", {"agreements": [], "r_type": "person"}, {"agreements": [], "r_type": "public"}),
    (
        "D-ENCRYPT",
        {"tlp": "GREEN", "iep": iep(encrypt_in_transit="must"), "c_encrypted": False},
        {"tlp": "GREEN", "iep": iep(encrypt_in_transit="may"), "c_encrypted": False},
    ),
    (
        "D-ENCRYPT",
        {"iep": iep(encrypt_in_transit="must"), "c_encrypted": False, "c_kind": "voice"},
        {"iep": iep(encrypt_in_transit="must"), "c_encrypted": True},
    ),
    ("D-CHANNEL-CLEAR-TEXT", {"c_encrypted": False}, {"c_encrypted": False, "c_kind": "voice"}),
    ("D-CHANNEL-CLEAR-TEXT", {"c_encrypted": None}, {"c_encrypted": False, "tlp": "GREEN"}),
    ("D-CHANNEL-CLEAR-TEXT", {"c_encrypted": False, "r_party": "OWN"}, {}),
    ("R-LEGAL", {"le_sensitive": True}, {"le_sensitive": False}),
    ("R-LEGAL", {"le_sensitive": True, "r_party": "OWN"}, {"le_sensitive": None}),
    ("R-STALE-POC", {"r_poc_fresh": False}, {"r_poc_fresh": None}),
    ("R-STALE-POC", {"r_poc_fresh": False}, {"r_poc_fresh": False, "r_party": "OWN"}),
    ("R-STALE-POC", {"r_poc_fresh": False, "r_type": "person"}, {"r_poc_fresh": False, "r_type": "public"}),
    ("R-TWO-PERSON", {"tlp": "AMBER+STRICT", "approvals": []}, {"tlp": "AMBER", "approvals": []}),
    ("R-TWO-PERSON", {"tlp": "RED", "approvals": ["u1"]}, {"tlp": "RED", "approvals": ["u1", "u2"]}),
    ("R-TWO-PERSON", {"tlp": None, "approvals": []}, {"tlp": None, "approvals": [], "r_party": "OWN"}),
    (
        "R-TWO-PERSON",
        {"tlp": "CLEAR", "info_category": "attribution-assessment", "approvals": [], "r_type": "public"},
        {"tlp": "CLEAR", "approvals": [], "r_type": "public"},
    ),
    ("R-TWO-PERSON", {"tlp": "GREEN", "originator": "CC", "approvals": []}, {"tlp": "GREEN", "approvals": []}),
    ("R-TWO-PERSON", {"tlp": "GREEN", "originator": "CC", "approvals": []}, {"originator": "BB", "approvals": []}),
    (
        "R-TWO-PERSON",
        {"originator": "CC", "consents": [CONSENT], "approvals": []},
        {"tlp": "CLEAR", "originator": "CC", "consents": [CONSENT], "approvals": []},
    ),
]


@pytest.mark.parametrize(("code", "applies", "does_not"), RULES)
def test_a_rule_applies_where_it_should_and_only_there(code: str, applies: dict, does_not: dict) -> None:
    assert code in decision(**applies).reasons
    assert code not in decision(**does_not).reasons


def test_every_rule_is_in_the_table() -> None:
    assert {code for code, _ in rules.RULES} == {code for code, *_ in RULES}


AGREEMENT_PROBLEMS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("A-NOT-SIGNED", {"a_signed": False}, {"a_signed": False, "a_provisional": True}),
    ("A-NOT-SIGNED", {"a_signed": False, "a_provisional": None}, {"a_signed": None}),
    ("A-NOT-YET", {"a_effective_from": AFTER}, {"a_effective_from": SAME}),
    ("A-EXPIRED", {"a_expires_on": SAME}, {"a_expires_on": AFTER}),
    ("A-EXPIRED", {"a_expires_on": BEFORE}, {"a_expires_on": None}),
    ("A-EXPIRED", {"a_expires_on": "2026-06-01T14:00:00+02:00"}, {"a_expires_on": "2026-06-01T12:00:00-00:01"}),
    ("A-TERMINATED", {"a_terminated_on": SAME}, {"a_terminated_on": AFTER}),
    ("A-SUSPENDED", {"a_suspended": True}, {"a_suspended": False}),
    ("A-SUSPENDED", {"a_suspended": [{"from": SAME, "to": None}]}, {"a_suspended": [{"from": AFTER, "to": None}]}),
    ("A-SUSPENDED", {"a_suspended": [{"from": BEFORE, "to": AFTER}]}, {"a_suspended": [{"from": BEFORE, "to": SAME}]}),
    ("A-NOT-PARTY", {"a_recipients": ["CC"]}, {"a_recipients": ["CC", "BB"]}),
    ("A-CATEGORY", {"a_categories": ["request"]}, {}),
    ("A-CATEGORY-EXCLUDED", {"a_categories_excluded": ["incident-notification"]}, {"a_categories_excluded": None}),
    ("A-TLP-CEILING", {"a_tlp_ceiling": "GREEN"}, {"a_tlp_ceiling": "AMBER"}),
    ("A-TLP-CEILING", {"a_tlp_ceiling": "AMBER", "tlp": None}, {"a_tlp_ceiling": "AMBER+STRICT", "tlp": None}),
    ("A-TLP-CEILING", {"a_tlp_ceiling": "WHITE", "tlp": "GREEN"}, {"a_tlp_ceiling": "WHITE", "tlp": "CLEAR"}),
    ("A-PURPOSE", {"purpose": "attribution"}, {}),
    ("A-PURPOSE", {"purpose": ""}, {}),
    ("A-PURPOSE-PROHIBITED", {"a_purposes_prohibited": ["incident-response"]}, {"a_purposes_prohibited": ["x"]}),
    (
        "A-PERSONAL-DATA",
        {"personal_data": True, "pd_basis": "public-task"},
        {"personal_data": True, "pd_basis": "public-task", "a_personal_data": "minimised"},
    ),
]


@pytest.mark.parametrize(("code", "applies", "does_not"), AGREEMENT_PROBLEMS)
def test_an_agreement_has_a_problem_where_it_should_and_only_there(code: str, applies: dict, does_not: dict) -> None:
    refused, fine = decision(**applies), decision(**does_not)
    assert code in refused.agreement_problems["AG1"] and refused.agreement is None
    assert fine.agreement_problems == {} and fine.agreement == "AG1"


def test_every_agreement_problem_is_in_the_table() -> None:
    assert set(fitting.PROBLEMS) == {code for code, *_ in AGREEMENT_PROBLEMS}


def test_all_problems_of_an_agreement_are_listed_in_their_order() -> None:
    worst = AGREEMENT | {
        "signed": False, "effective_from": AFTER, "expires_on": SAME, "terminated_on": SAME, "suspended": True,
        "recipients": [], "categories": [], "categories_excluded": ["incident-notification"], "tlp_ceiling": "CLEAR",
        "purposes": [], "purposes_prohibited": ["incident-response"],
    }  # fmt: skip
    found = decision(agreements=[worst], personal_data=True).agreement_problems["AG1"]
    assert list(found) == list(fitting.PROBLEMS)


def test_the_first_fitting_agreement_by_id_is_chosen_and_later_ones_are_not_listed() -> None:
    agreements = [AGREEMENT | {"id": id_} for id_ in ("AG9", "AG10", "a1", "AG2")]
    agreements.append(AGREEMENT | {"id": "AG1", "suspended": True})
    found = decision(agreements=agreements)
    assert found.agreement == "AG10"
    assert found.agreement_problems == {"AG1": ("A-SUSPENDED",)}


def test_an_agreement_is_chosen_also_where_none_was_needed() -> None:
    assert decision(tlp="CLEAR").agreement == "AG1"


@pytest.mark.parametrize("where", [{"r_party": "OWN"}, {"r_type": "public", "tlp": "CLEAR"}])
def test_agreements_are_not_looked_at_for_our_own_people_and_for_the_public(where: dict) -> None:
    found = decision(a_suspended=True, **where)
    assert (found.agreement, found.agreement_problems) == (None, {})


OBLIGATIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("O-TLP-AMBER", {}, {"tlp": "GREEN"}),
    ("O-TLP-AMBER+STRICT", {"tlp": None}, {}),
    ("O-TLP-RED", {"tlp": "PURPLE"}, {}),
    ("O-TLP-AMBER", {"tlp": "GREEN", "iep": iep(tlp="amber")}, {"tlp": "GREEN", "iep": iep(tlp="green")}),
    ("O-TLP-CLEAR", {"tlp": "WHITE"}, {}),
    ("O-PAP-GREEN", {"pap": "GREEN"}, {}),
    ("O-PAP-CLEAR", {"pap": "WHITE"}, {"pap": ""}),
    ("O-NO-ATTRIBUTION", {"no_attribution": True}, {"iep": iep(attribution="must")}),
    ("O-NO-ATTRIBUTION", {"iep": iep(attribution="must-not")}, {"iep": iep(attribution="may")}),
    ("O-ATTRIBUTE", {"iep": iep(attribution="must")}, {"iep": iep(attribution="must-not")}),
    ("O-ENCRYPT", {}, {"tlp": "GREEN"}),
    ("O-ENCRYPT", {"tlp": "CLEAR", "iep": iep(encrypt_in_transit="must")}, {"tlp": "CLEAR", "iep": IEP}),
    ("O-NO-VICTIM-NOTIFICATION", {"iep": iep(affected_party_notifications="must-not")}, {"iep": IEP}),
    ("O-ACTIONS-none", {"iep": iep(permitted_actions="none")}, {"iep": IEP}),
    ("O-ACTIONS-contact-for-instruction", {"iep": iep(permitted_actions="contact-for-instruction")}, {"iep": IEP}),
    ("O-EXERCISE-BANNER", {"exercise": "EX1"}, {"c_exercise": "EX1"}),
    ("O-PURPOSE-incident-response", {}, {"purpose": "attribution"}),
    ("O-ONWARD-none", {}, {"agreements": []}),
    ("O-ONWARD-community", {"a_onward": "community"}, {}),
    ("O-RETAIN-P1Y", {"a_retention_max": "P1Y"}, {}),
    ("O-RETAIN-P1Y", {"a_retention_max": "P1Y"}, {"a_retention_max": "P1Y", "a_suspended": True}),
]


@pytest.mark.parametrize(("code", "applies", "does_not"), OBLIGATIONS)
def test_an_obligation_is_owed_where_it_should_be_and_only_there(code: str, applies: dict, does_not: dict) -> None:
    assert code in decision(**applies).obligations
    assert code not in decision(**does_not).obligations


def test_without_purpose_or_permitted_actions_nothing_is_owed_for_them() -> None:
    found = decision(purpose="", iep=IEP)
    assert not [code for code in found.obligations if code.startswith(("O-PURPOSE", "O-ACTIONS"))]


def test_deny_comes_before_refer_and_refer_before_permit_and_everything_is_listed() -> None:
    everything = decision(le_sensitive=True, secrecy="SECRET", tlp=None, approvals=[], c_exercise="EX1")
    assert everything.result is Result.DENY
    assert everything.reasons == ("D-CLASSIFIED", "D-EXERCISE-MIX", "R-LEGAL", "R-TWO-PERSON", "R-UNMARKED")
    assert decision(le_sensitive=True).result is Result.REFER
    assert decision().result is Result.PERMIT and decision().reasons == ()


def test_a_decision_is_written_in_the_form_others_read() -> None:
    agreements = also(tlp_ceiling="AMBER", suspended=True)
    found = decision(tlp="AMBER+STRICT", pap="AMBER", agreements=agreements, approvals=[])
    assert found.to_json() == {
        "result": "refer",
        "reasons": ["R-TWO-PERSON"],
        "obligations": [
            "O-ENCRYPT", "O-ONWARD-none", "O-PAP-AMBER", "O-PURPOSE-incident-response", "O-TLP-AMBER+STRICT",
        ],
        "effective_tlp": "AMBER+STRICT",
        "agreement": "AG2",
        "agreement_problems": {"AG1": ["A-SUSPENDED", "A-TLP-CEILING"]},
    }  # fmt: skip


def test_every_code_has_a_sentence() -> None:
    codes = {code for code, _ in rules.RULES} | set(fitting.PROBLEMS) | {code for code, *_ in OBLIGATIONS}
    assert set(wording.REASONS) == {code for code, _ in rules.RULES} | set(WHOLE_REASONS)
    assert set(wording.AGREEMENT_PROBLEMS) == set(fitting.PROBLEMS)
    for code in codes:
        assert wording.explain(code)[0].isupper() and wording.explain(code).endswith(".")


@pytest.mark.parametrize("code", ["", "D-NOTHING", "O-", "O-PAP-", "O-PAP-BLUE", "O-BANNER-x", "X-TLP-RED", "nonsense"])
def test_an_unknown_code_has_none(code: str) -> None:
    with pytest.raises(KeyError):
        wording.explain(code)
