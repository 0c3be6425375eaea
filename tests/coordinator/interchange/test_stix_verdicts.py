"""Verdicts of the standard's validator beside ours, on a few cases of our own; `python -m tests.stix FOLDER` asks for
all of somebody's collection. And there and back: what a bundle and an event keep."""

from __future__ import annotations

import json

import pytest
from stix2validator import ValidationOptions, validate_parsed_json
from stix2validator.v21.enums import CHECK_CODES

from coordinator.interchange import stix
from coordinator.markings import Tlp
from coordinator.vocabulary.stix_checks import CHECKS
from tests.stix import round_trip
from tests.stix.verdicts import NOW, table, verdict_of

TIMES = {"created": "2026-11-21T22:00:00.000Z", "modified": "2026-11-21T23:00:00.000Z"}
ORG = "identity--00000000-0000-4000-8000-000000000008"


def sdo(kind, **more):
    return {"type": kind, "spec_version": "2.1", "id": f"{kind}--00000000-0000-4000-8000-000000000009", **TIMES, **more}


def bundle(*objects, **more):
    return {"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000007", "objects": list(objects), **more}


def judged(given, **options):
    """The case with the validator's own verdict, everything switched on unless `options` say otherwise."""
    document = json.loads(given) if isinstance(given, str) else given
    options = {"strict": True} | options
    named = {name: ",".join(value) if isinstance(value, list) else value for name, value in options.items()}
    found = validate_parsed_json(document, ValidationOptions(version="2.1", silent=True, **named))
    errors = [str(error) for error in found.errors]
    return {"test": "ours", "input": given, "valid": not errors, "errors": errors, "options": options}


INDICATOR = {
    "name": "C2", "description": "x", "indicator_types": ["malicious-activity"], "pattern_type": "stix",
    "pattern": "[url:value = 'https://evil.example/']", "valid_from": "2026-11-21T22:00:00Z", "created_by_ref": ORG,
}  # fmt: skip
SAME = {
    "an incident": sdo("incident", name="Wiper", created_by_ref=ORG),
    "an incident as text": json.dumps(sdo("incident", name="Wiper", created_by_ref=ORG)),
    "an incident without a name": sdo("incident", created_by_ref=ORG),
    "an indicator": sdo("indicator", **INDICATOR),
    "an indicator without a pattern": sdo("indicator", **{name: value for name, value in INDICATOR.items()
                                                          if name != "pattern"}),
    "an address": {"type": "ipv4-addr", "spec_version": "2.1", "value": "192.0.2.7",
                   "id": "ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd"},
    "modified before it was made": sdo("identity", name="x", identity_class="organization",
                                       modified="2026-11-20T00:00:00.000Z"),
    "a property with a hyphen": sdo("incident", name="Wiper", created_by_ref=ORG, **{"x-y": 1}),
    "a property with a mark": sdo("incident", name="Wiper", created_by_ref=ORG, **{"x_example_com_y!": 1}),
    "a property of 251 characters": sdo("incident", name="Wiper", created_by_ref=ORG, **{"x" * 251: 1}),
    "a marked property on a bundle": bundle(sdo("incident", name="W", created_by_ref=ORG), **{"x_example_com_y!": 1}),
}  # fmt: skip
RECOMMENDED = {
    "401": sdo("incident", name="Wiper", created_by_ref=ORG, x_example_com_rank=3),
    "215": sdo("identity", name="x", identity_class="organization", sectors=["fishing"], created_by_ref=ORG),
    "302": sdo("incident", name="W", external_references=[{"source_name": "a", "url": "https://a.example/"}]),
    "103": bundle(sdo("incident", name="W"), id="bundle--00000000-0000-5000-8000-000000000007"),
    "202": sdo("relationship", relationship_type="mitigates", source_ref=ORG, target_ref=ORG, created_by_ref=ORG),
    "203": bundle(sdo("incident", name="W"), sdo("incident", name="W")),
    "303": sdo("indicator", **{name: value for name, value in INDICATOR.items() if name != "name"}),
    "121": sdo("indicator", **INDICATOR, kill_chain_phases=[{"kill_chain_name": "Ours", "phase_name": "one"}]),
    "241": {"type": "file", "spec_version": "2.1", "id": "file--ff26c055-6336-5bc5-b98d-13d6226742dd",
            "hashes": {"a_sum": "1234567890"}},
    "201": {**sdo("marking-definition", definition_type="ours", definition={"ours": "x"}), "modified": None},
}  # fmt: skip
del RECOMMENDED["201"]["modified"]
SWITCHED = {
    "only properties of the standard": ({"strict_properties": True}, sdo("incident", name="W", x_example_com_rank=3)),
    "only types of the standard": ({"strict_types": True}, sdo("x-example-com-thing", name="W")),
    "both ends of a relationship": ({"enforce_refs": True}, bundle(sdo("incident", name="W"), sdo(
        "relationship", relationship_type="related-to", source_ref=ORG, target_ref=ORG))),
    "one check left out": ({"disabled": ["extref-hashes"]}, RECOMMENDED["302"]),
    "one check alone": ({"enabled": ["extref-hashes"]}, RECOMMENDED["401"]),
    "names instead of extensions": ({"disabled": ["extensions-use"]}, sdo("incident", name="W", rank=3)),
    "names in patterns": ({"disabled": ["extensions-use"]}, sdo("indicator", **INDICATOR | {
        "pattern": "[foo:value = '1']"})),
    "told and not held to": ({"strict": False}, RECOMMENDED["302"]),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME.values(), ids=SAME)
def test_where_the_standard_demands_we_answer_as_its_validator(case):
    found = verdict_of(judged(case))
    assert found.agrees and found.taken == found.valid, table([found])


@pytest.mark.parametrize(("check", "case"), RECOMMENDED.items(), ids=RECOMMENDED)
def test_where_it_only_recommends_we_take_it_with_a_remark_and_refuse_it_where_that_is_asked(check, case):
    found = verdict_of(judged(case))
    assert (found.valid, found.held, found.taken) == (False, False, True)
    assert check in found.remarks
    assert found.fault == ""


@pytest.mark.parametrize(("options", "case"), SWITCHED.values(), ids=SWITCHED)
def test_asked_as_the_validator_was_we_answer_as_it_did(options, case):
    found = verdict_of(judged(case, **options))
    assert found.agrees, table([found])


def test_every_check_of_the_validator_has_a_sentence_of_ours():
    groups = {"1", "2", "210", "270"}
    assert {number for number in CHECKS if number.isdigit()} == set(CHECK_CODES) - groups


def test_objects_of_the_version_before_are_read_in_a_bundle_of_this_one():
    old = bundle({**sdo("indicator", labels=["malicious-activity"], pattern="[url:value = 'https://evil.example/']",
                        valid_from="2026-11-21T22:00:00Z")})  # fmt: skip
    del old["objects"][0]["spec_version"]
    assert verdict_of(judged(old)).agrees
    said = stix.read(json.dumps(old).encode(), NOW).report
    assert said["observables"] == [{"type": "url:value", "value": "https://evil.example/"}]


def test_what_was_judged_as_the_version_before_is_not_asked_and_that_is_said():
    lost = bundle({**sdo("identity", name="x", identity_class="organization")})
    found = verdict_of({"test": "old", "input": lost, "valid": False, "options": {},
                        "errors": ["bundle--1: 'spec_version' is a required property"]})  # fmt: skip
    assert found.agrees and found.note in "\n".join(table([found]))


def test_what_nothing_explains_stands_out():
    sound = sdo("incident", name="Wiper", created_by_ref=ORG)
    lost = {"test": "x", "input": sound, "errors": ["name: wrong"], "options": {"strict": True}}
    assert verdict_of(lost | {"valid": False}).fault
    assert verdict_of(lost | {"valid": False, "options": {}}).fault
    assert verdict_of(lost | {"valid": True, "input": {**sound, "name": 1}}).fault
    assert verdict_of(lost | {"valid": True}).fault == ""


def test_a_bundle_comes_back_with_every_object_as_it_was_and_every_marking():
    marked = {"object_marking_refs": [Tlp.AMBER.stix_id]}
    unknown = sdo("x-example-com-thing", depth={"of": [1, 2.5, None]}, **marked)
    statement = {"type": "marking-definition", "spec_version": "2.1", "created": TIMES["created"],
                 "id": "marking-definition--00000000-0000-4000-8000-000000000005", "definition_type": "statement",
                 "definition": {"statement": "PAP:AMBER"}}  # fmt: skip
    case = sdo("incident", name="Wiper", x_example_com_rank="ü", lang="de",
               object_marking_refs=[Tlp.AMBER.stix_id, statement["id"]],
               granular_markings=[{"marking_ref": Tlp.AMBER_STRICT.stix_id, "selectors": ["name"]}])  # fmt: skip
    assert round_trip.of_stix(json.dumps(bundle(case, unknown, statement)).encode()) == []
    assert round_trip.of_stix(b"{}") is None


@pytest.mark.parametrize(
    "tags", [["tlp:green"], ["tlp:amber+strict", "PAP:RED"], ["tlp:red"], ["tlp:clear", "tlp:ex:chr"]]
)
def test_an_event_comes_back_with_what_can_be_looked_for_and_its_markings(tags):
    found = [("ip-dst", "192.0.2.1"), ("size-in-bytes", "512"), ("whois-registrar", "Example"), ("mime-type", "a/b"),
             ("target-external", "a ministry"), ("email-header", "X: y"), ("port", "443")]  # fmt: skip
    event = {"info": "Campaign", "date": "2026-11-20", "Tag": [{"name": name} for name in tags],
             "Attribute": [{"type": kind, "value": value} for kind, value in found]}  # fmt: skip
    assert round_trip.of_misp(json.dumps({"Event": event}).encode()) == []
