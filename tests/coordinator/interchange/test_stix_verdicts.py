"""Verdicts of the standard's validator beside ours, on a few cases of our own; `python -m tests.stix FOLDER` asks for
all of somebody's collection. And there and back: what a bundle and an event keep."""

from __future__ import annotations

import json

import pytest
from stix2validator import ValidationOptions, validate_parsed_json

from coordinator.markings import Tlp
from tests.stix import round_trip
from tests.stix.verdicts import Verdict, table, unexplained, verdict_of

TIMES = {"created": "2026-11-21T22:00:00.000Z", "modified": "2026-11-21T23:00:00.000Z"}
ORG = "identity--00000000-0000-4000-8000-000000000008"


def sdo(kind, **more):
    return {"type": kind, "spec_version": "2.1", "id": f"{kind}--00000000-0000-4000-8000-000000000009", **TIMES, **more}


def bundle(*objects, **more):
    return {"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000007", "objects": list(objects), **more}


def judged(given, **options):
    """The case with the validator's own verdict, everything switched on."""
    document = json.loads(given) if isinstance(given, str) else given
    found = validate_parsed_json(document, ValidationOptions(version="2.1", strict=True, silent=True, **options))
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
DIFFERENT = {
    "11: custom": sdo("incident", name="Wiper", created_by_ref=ORG, x_example_com_rank=3),
    "2.14, 10": sdo("identity", name="x", identity_class="organization", sectors=["fishing"], created_by_ref=ORG),
    "2.5": sdo("incident", name="W", external_references=[{"source_name": "a", "url": "https://a.example/"}]),
    "2.9": bundle(sdo("incident", name="W"), id="bundle--00000000-0000-5000-8000-000000000007"),
    "5, Appendix B": sdo("relationship", relationship_type="mitigates", source_ref=ORG, target_ref=ORG,
                         created_by_ref=ORG),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME.values(), ids=SAME)
def test_where_the_standard_demands_we_answer_as_its_validator(case):
    found = verdict_of(judged(case))
    assert found.agrees, table([found])


@pytest.mark.parametrize(("clause", "case"), DIFFERENT.items(), ids=DIFFERENT)
def test_where_it_only_recommends_we_take_it_and_the_clause_is_named(clause, case):
    found = verdict_of(judged(case))
    assert (found.valid, found.taken) == (False, True)
    assert found.clause.startswith(clause)
    assert unexplained([found]) == []


def test_a_bundle_of_the_version_before_is_refused_and_that_is_said():
    old = bundle({**sdo("identity", name="x", identity_class="organization")}, spec_version="2.0")
    del old["objects"][0]["spec_version"]
    found = verdict_of({"test": "old", "input": old, "valid": True, "errors": [], "options": {}})
    assert (found.taken, found.clause[:6]) == (False, "3.2, 8")


def test_what_nothing_explains_stands_out():
    lost = verdict_of({"test": "x", "input": sdo("incident", name="Wiper"), "valid": False, "errors": ["name: wrong"],
                       "options": {"strict": True}})  # fmt: skip
    assert unexplained([lost, Verdict("y", "url", valid=True, taken=True)]) == [lost]
    assert "NOTHING THAT EXPLAINS IT" in "\n".join(table([lost]))


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
