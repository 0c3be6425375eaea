"""STIX 2.1 bundles come in as reports: what they say, how strict they are, and what is refused of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import Invalid, SecrecyMarkingFound
from coordinator.incidents.items import marking_of_report
from coordinator.interchange import stix
from coordinator.markings import MOST_ADDRESSES, Iep, Tlp, parse_tlp

NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
CORE = "extension-definition--ef765651-680c-498d-9894-99799f2fa126"
TLP2 = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
IEP2 = "extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a"
TIMES = {"created": "2026-11-21T22:00:00.000Z", "modified": "2026-11-21T23:00:00.000Z"}


def an_id(kind, number=1):
    return f"{kind}--00000000-0000-4000-8000-{number:012d}"


def sdo(kind, number=1, **more):
    return {"type": kind, "spec_version": "2.1", "id": an_id(kind, number), **TIMES, **more}


def incident(**more):
    return sdo("incident", **{"name": "Wiper at a ministry", "object_marking_refs": [Tlp.GREEN.stix_id]} | more)


def indicator(number=1, pattern="[ipv4-addr:value = '192.0.2.7']", **more):
    marked = {"object_marking_refs": [Tlp.GREEN.stix_id]}
    return sdo("indicator", number, pattern=pattern, pattern_type="stix", valid_from=TIMES["created"], **marked | more)


def marking(number, **more):
    return {"type": "marking-definition", "spec_version": "2.1", "id": an_id("marking-definition", number),
            "created": TIMES["created"], **more}  # fmt: skip


def read(*objects):
    bundle = {"type": "bundle", "id": an_id("bundle"), "objects": list(objects)}
    return stix.read(json.dumps(bundle).encode(), NOW)


def refused(*objects):
    with pytest.raises(Invalid) as refusal:
        read(*objects)
    return refusal.value.errors


def test_an_incident_is_a_report_under_its_own_id():
    received = read(incident(description="Servers do not boot."), indicator())
    report = received.report
    assert (received.format, received.kind) == ("stix", "")
    assert (report["title"], report["tlp"], report["external_id"]) == (
        "Wiper at a ministry", "GREEN", an_id("incident"))  # fmt: skip
    assert report["description"] == "Servers do not boot."
    assert report["noticed_at"] == datetime(2026, 11, 21, 22, tzinfo=UTC)
    assert report["observables"] == [{"type": "ipv4-addr:value", "value": "192.0.2.7"}]
    assert report["flags"] == ["noticed_at-taken-from-stix"]


def test_what_the_core_extension_says_stands_in_words():
    core = {CORE: {"extension_type": "property-extension", "determination": "suspected", "investigation_status": "open",
                   "criticality": 70}}  # fmt: skip
    event = sdo("event", status="occurred", start_time="2026-11-21T20:15:00.000Z", start_time_fidelity="minute",
                extensions={an_id("extension-definition"): {"extension_type": "new-sdo"}},
                object_marking_refs=[Tlp.GREEN.stix_id])  # fmt: skip
    author = sdo("identity", name="National CSIRT", identity_class="organization")
    report = read(incident(extensions=core, created_by_ref=author["id"]), event, author).report
    assert report["description"].splitlines() == [
        "STIX determination: suspected", "STIX investigation status: open", "STIX criticality, 0 to 100: 70",
        "Author, as stated: National CSIRT",
    ]  # fmt: skip
    assert (report["occurred_at"].hour, report["occurred_at_fidelity"]) == (20, "minute")


def test_the_countries_tied_to_the_incident_are_affected():
    places = [sdo("location", number, country=code) for number, code in ((1, "FI"), (2, "EE"))]
    tie = sdo("relationship", relationship_type="located-at", source_ref=an_id("incident"),
              target_ref=an_id("location", 1))  # fmt: skip
    assert read(incident(), *places, tie).report["states_affected"] == ["FI"]


def test_a_revoked_incident_is_a_recall():
    assert read(incident(revoked=True)).kind == "recall"


def test_the_newest_version_in_the_bundle_counts():
    older = incident(name="Older", modified="2026-11-21T22:30:00.000Z")
    assert read(incident(), older).report["title"] == "Wiper at a ministry"


def test_without_an_incident_the_report_counts_and_without_both_what_says_something():
    report = sdo("report", name="Campaign of the week", published="2026-11-20T00:00:00Z",
                 object_refs=[an_id("indicator")], object_marking_refs=[Tlp.CLEAR.stix_id])  # fmt: skip
    assert read(indicator(), report).report["title"] == "Campaign of the week"
    assert read(indicator(name="C2"), indicator(2)).report["title"] == "C2 (indicator and 1 more objects)"


def test_patterns_of_one_comparison_are_read_and_others_kept_whole():
    two = "[file:name = 'a.exe' AND file:size = 5]"
    observables = read(
        incident(), indicator(1, pattern=r"[file:name = 'it\'s.exe']"), indicator(2, pattern=two)
    ).report["observables"]
    assert observables == [
        {"type": "file:name", "value": "it's.exe"}, {"type": "pattern:stix", "value": two},
    ]  # fmt: skip


def test_a_long_title_stands_in_full_before_the_description():
    report = read(incident(name="word " * 60, description="Text.")).report
    assert len(report["title"]) <= 120
    assert report["description"] == ("word " * 60).strip() + "\n\nText."
    assert "title-shortened" in report["flags"]


@given(st.lists(st.sampled_from(list(Tlp)), min_size=1, max_size=5), st.booleans())
def test_the_whole_is_as_strict_as_its_strictest_part(labels, unmarked):
    parts = [indicator(number + 1, object_marking_refs=[label.stix_id]) for number, label in enumerate(labels[1:])]
    parts += [indicator(99, object_marking_refs=[])] if unmarked else []
    for part in parts:
        if not part["object_marking_refs"]:
            del part["object_marking_refs"]
    report = read(incident(object_marking_refs=[labels[0].stix_id]), *parts).report
    assert parse_tlp(report["tlp"]) == max([*labels, *([Tlp.AMBER_STRICT] if unmarked else [])])
    assert ("unmarked-parts" in report["flags"]) == unmarked


def test_a_granular_marking_raises_the_whole():
    granular = [{"marking_ref": Tlp.RED.stix_id, "selectors": ["description"]}]
    assert read(incident(description="x", granular_markings=granular)).report["tlp"] == "RED"


def test_labels_under_other_ids_are_read_by_their_words():
    wrong = marking(5, name="TLP:AMBER+STRICT",
                    extensions={TLP2: {"extension_type": "property-extension", "tlp_2_0": "amber+strict"}})  # fmt: skip
    assert read(incident(object_marking_refs=[wrong["id"]]), wrong).report["tlp"] == "AMBER+STRICT"


@pytest.mark.parametrize(
    ("given_marking", "flag"),
    [
        (None, "unknown-marking"),
        (marking(6, extensions={an_id("extension-definition", 9): {"extension_type": "property-extension", "xyz": 1}}),
         "unknown-marking"),
        (marking(6, extensions={IEP2: {"extension_type": "property-extension", "tlp": "red"}}), "policy-marking"),
    ],
)  # fmt: skip
def test_what_a_marking_asks_and_we_cannot_carry_binds_to_the_originators_consent(given_marking, flag):
    reference = an_id("marking-definition", 6)
    objects = [given_marking] if given_marking else []
    report = read(incident(object_marking_refs=[Tlp.CLEAR.stix_id, reference]), *objects).report
    assert report["caveats"]["orcon"] is True
    assert flag in report["flags"]
    assert parse_tlp(report["tlp"]) >= Tlp.AMBER_STRICT


POLICY = {
    "extension_type": "property-extension", "encrypt_in_transit": "must",
    "permitted_actions": "contact-for-instruction", "affected_party_notifications": "must-not", "tlp": "amber",
    "provider_attribution": "must", "unmodified_resale": "must-not", "iep_id": "0224bfdf-ea3a-49c3-96f6-66d908bb1845",
    "iep_version": 2.0, "description": "For partners.", "start_date": "2026-01-01T00:00:00Z",
    "end_date": "2027-01-01T00:00:00Z",
}  # fmt: skip


def under_policy(said, *more, **about):
    policy = marking(6, name="IEP", extensions={IEP2: said}, **about)
    return read(incident(object_marking_refs=[Tlp.GREEN.stix_id, policy["id"]]), policy, *more).report


def test_an_exchange_policy_is_read_statement_by_statement():
    addresses = [{"source_name": "terms", "url": "https://csirt.example/iep"}]
    report = under_policy(POLICY, external_references=addresses)
    assert (report["tlp"], report.get("caveats")) == ("AMBER", None), "it asks for no consent by itself"
    assert marking_of_report(report).iep == Iep(
        tlp="amber", start_date="2026-01-01T00:00:00Z", end_date="2027-01-01T00:00:00Z", encrypt_in_transit="must",
        permitted_actions="contact-for-instruction", affected_party_notifications="must-not", attribution="must",
        unmodified_resale="must-not", external_reference="https://csirt.example/iep",
        id="0224bfdf-ea3a-49c3-96f6-66d908bb1845",
    )  # fmt: skip


@pytest.mark.parametrize("change", [
    {"tlp": "strict"}, {"tlp": None}, {"encrypt_in_transit": 5}, {"start_date": "soon"}, {"iep_version": 1.0},
    {"encrypt_at_rest": "must"}, {"permitted_actions": "any"}, {"unmodified_resale": None}, {"iep_id": "x"},
])  # fmt: skip
def test_where_a_policy_is_not_whole_or_not_readable_the_originator_is_asked(change):
    said = {name: value for name, value in (POLICY | change).items() if value is not None}
    report = under_policy(said)
    assert report["caveats"]["orcon"] is True
    assert marking_of_report(report).iep.attribution == "must", "what can be read of it holds"


def test_of_two_policies_the_strictest_of_each_statement_holds():
    other = marking(7, extensions={IEP2: POLICY | {"permitted_actions": "none", "provider_attribution": "must-not",
                                                   "start_date": "2027-06-01T00:00:00Z"}})  # fmt: skip
    report = under_policy(POLICY, other, indicator(object_marking_refs=[other["id"]]))
    policy = marking_of_report(report).iep
    assert (policy.permitted_actions, policy.attribution, policy.start_date > policy.end_date) == (
        "none", "must-not", True)  # fmt: skip


def test_of_very_many_addresses_some_are_kept_and_the_originator_is_asked():
    many = [marking(100 + one, extensions={IEP2: POLICY}, external_references=[
        {"source_name": "terms", "url": f"https://csirt{one}.example/{'a' * 400}"}]) for one in range(60)]  # fmt: skip
    report = read(incident(object_marking_refs=[each["id"] for each in many]), *many).report
    assert (report["caveats"]["orcon"], len(marking_of_report(report).iep.addresses)) == (True, MOST_ADDRESSES)


@pytest.mark.parametrize(("words", "orcon"), [
    ("IEP 2.0: ENCRYPT IN TRANSIT MUST; UNTIL 2027-01-01T00:00:00Z", None),
    ("IEP 2.0: ENCRYPT IN TRANSIT MUST; UNTIL doomsday", True), ("IEP 2.0: ENCRYPT IN TRANSIT MUST; PLEASE", True),
])  # fmt: skip
def test_a_part_of_a_policy_that_we_wrote_as_words_is_read_again(words, orcon):
    said = marking(8, definition_type="statement", definition={"statement": words})
    report = read(incident(object_marking_refs=[Tlp.GREEN.stix_id, said["id"]]), said).report
    assert report.get("caveats", {}).get("orcon") == orcon
    assert marking_of_report(report).iep.encrypt_in_transit == "must"


def test_a_statement_that_is_a_secrecy_marking_is_refused_without_echo():
    secret = marking(7, definition_type="statement", definition={"statement": "NATO SECRET"})
    with pytest.raises(SecrecyMarkingFound) as refusal:
        read(incident(object_marking_refs=[Tlp.GREEN.stix_id, secret["id"]]), secret)
    assert "NATO" not in str(refusal.value.errors)


@pytest.mark.parametrize(
    ("objects", "pointer"),
    [
        ([incident(name=5)], "/objects/0/name"),
        ([{**incident(), "created": "yesterday"}], "/objects/0/created"),
        ([incident(), indicator(pattern="not a pattern, s3cr3t")], "/objects/1"),
        ([incident(), indicator(pattern="[" + "(" * 2000 + "file:name = 'x'" + ")" * 2000 + "]")], "/objects/1"),
        ([incident(), indicator(pattern="x" * 5001)], "/objects/1/pattern"),
        ([incident(), {**indicator(), "type": "a" * 40 + "--"}], "/objects/1/type"),
        ([incident(), 5], "/objects/1"),
        ([incident(), {"type": "indicator"}], "/objects/1/id"),
        ([incident(), {**incident(), "id": an_id("incident", 2)}], "/objects"),
        ([sdo("identity", name="somebody")], "/objects"),
        ([], "/objects"),
    ],
)
def test_what_is_not_stix_is_refused_where_it_is_wrong_and_not_repeated(objects, pointer):
    errors = refused(*objects)
    assert pointer in [fault.pointer for fault in errors]
    assert "s3cr3t" not in str(errors)


def test_a_bundle_of_too_many_objects_is_refused_before_it_is_looked_at():
    assert refused(*([5] * 1001))[0].pointer == "/objects"


def test_what_our_own_rules_refuse_is_told_at_the_object_it_came_from():
    errors = refused(indicator(), incident(name="Line\u0000break"))
    assert errors[0].pointer == "/objects/1/name"


def test_a_bundle_through_the_signed_door_opens_an_incident_and_a_newer_version_updates_it(partner):
    def post(**more):
        bundle = {"type": "bundle", "id": an_id("bundle"), "objects": [incident(**more), indicator()]}
        return partner.post(bundle, content_type="application/stix+json;version=2.1")

    first = post()
    assert (first.status_code, first.get_json()["disposition"]) == (202, "accepted")
    again = post(modified="2026-11-22T01:00:00.000Z", description="It spreads.")
    assert again.get_json() | {"report": 0, "status_url": 0} == {
        "disposition": "update", "incident": first.get_json()["incident"], "report": 0, "status_url": 0, "remarks": 1}
