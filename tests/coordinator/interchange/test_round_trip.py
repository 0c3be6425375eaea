"""Random bundles in, out in each form and in again: no part's label is lost, nothing comes back wider or changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.interchange import misp, misp_out, stix
from coordinator.interchange.stix_markings import marking_of
from coordinator.markings import Iep, Marking, Tlp, parse_tlp
from tests.coordinator.interchange.test_stix import an_id, incident, indicator, marking, sdo
from tests.stix import round_trip
from tests.stix.verdicts import NOW

#: TLP 1 as STIX 2.1 built it in, and what each is now.
OLD = {
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": Tlp.CLEAR,
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": Tlp.GREEN,
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": Tlp.AMBER,
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Tlp.RED,
}
LABELS = {label.stix_id: label for label in Tlp} | OLD
STATEMENTS = ("PAP:RED", "ORIGINATOR CONTROLLED", "NO ATTRIBUTION", "REL TO FI-CSIRT, LV-MFA", "REL TO FI-CSIRT",
              "NOT RELEASABLE TO OTHERS", "EMBARGO UNTIL 2027-01-01T00:00:00Z", "Copyright 2026, somebody")  # fmt: skip
DEFINED = [marking(20 + place, definition_type="statement", definition={"statement": words})
           for place, words in enumerate(STATEMENTS)]  # fmt: skip
REFERENCES = st.sampled_from([*LABELS, *(one["id"] for one in DEFINED), an_id("marking-definition", 99)])


def some_objects():
    """One of each kind of part there is: what says something, what only frames it, what can be looked for, what we
    know nothing of, and a definition that is marked itself."""
    return [
        incident(description="What was seen."), indicator(), sdo("identity", name="n", identity_class="organization"),
        sdo("relationship", relationship_type="related-to", source_ref=an_id("incident"), target_ref=an_id("identity")),
        {"type": "ipv4-addr", "spec_version": "2.1", "id": "ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd",
         "value": "192.0.2.8"},
        sdo("x-example-com-thing", name="t", x_example_com_depth={"of": [1, 2.5, None]}),
        marking(9, definition_type="statement", definition={"statement": "Ours"}),
    ]  # fmt: skip


@st.composite
def some_bundles(draw):
    """(bundle, every label that it bears anywhere)."""
    objects, borne = some_objects(), []
    for one in objects:
        whole = draw(st.lists(REFERENCES, max_size=2, unique=True))
        parts = [] if one["type"] == "marking-definition" else draw(st.lists(REFERENCES, max_size=1))
        if whole:
            one["object_marking_refs"] = whole
        if parts:
            one["granular_markings"] = [{"marking_ref": each, "selectors": ["type"]} for each in parts]
        borne += [LABELS[each] for each in (*whole, *parts) if each in LABELS]
    named = {each for one in objects for each in one.get("object_marking_refs", ())}
    named |= {part["marking_ref"] for one in objects for part in one.get("granular_markings", ())}
    kept = draw(st.permutations([*objects, *(one for one in DEFINED if one["id"] in named)]))
    return {"type": "bundle", "id": an_id("bundle"), "objects": kept}, borne


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(some_bundles())
def test_a_random_bundle_keeps_every_label_and_every_object_there_and_back(made):
    bundle, borne = made
    raw = json.dumps(bundle).encode()
    report = stix.read(raw, NOW).report
    label = parse_tlp(report["tlp"])
    assert label >= max(borne, default=Tlp.CLEAR)
    assert round_trip.of_stix(raw) == []
    contents = round_trip.contents_of(report)
    if label is not Tlp.RED:
        event = json.loads(misp_out.write(contents))["Event"]
        assert event["distribution"] in ("0", "4") or label <= Tlp.GREEN
        again = misp.read(json.dumps(event).encode(), NOW).report
        assert parse_tlp(again["tlp"]) >= label
        assert set(report.get("caveats", {})) & {"no_attribution"} <= set(again.get("caveats", {}))


UNTIL = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("said", "asked", "says"), [
    ([], {}, True), (["PAP:RED"], {}, True), (["PAP:RED"], {"pap": "AMBER"}, True), ([], {"pap": "AMBER"}, False),
    (["PAP:GREEN"], {"pap": "AMBER"}, False), (["ORIGINATOR CONTROLLED"], {"orcon": True}, True),
    ([], {"orcon": True}, False), (["REL TO FI-CSIRT"], {"rel_to": frozenset({"FI-CSIRT", "LV-MFA"})}, True),
    (["REL TO FI-CSIRT, LV-MFA"], {"rel_to": frozenset({"FI-CSIRT"})}, False), ([], {"rel_to": frozenset()}, False),
    (["NOT RELEASABLE TO OTHERS"], {"rel_to": frozenset({"FI-CSIRT"})}, True),
    (["EMBARGO UNTIL 2027-01-01T00:00:00Z"], {"embargo_until": UNTIL}, True), ([], {"embargo_until": UNTIL}, False),
    (["EMBARGO UNTIL 2026-12-31T23:59:59Z"], {"embargo_until": UNTIL}, False),
    ([], {"not_rel_to": frozenset({"LV-MFA"})}, False), ([], {"iep": Iep(tlp="amber")}, False),
])  # fmt: skip
def test_objects_that_are_bound_more_loosely_than_a_marking_do_not_say_it(said, asked, says):
    """So that they do not go out as they came where a person bound the case more strictly since."""
    defined = [one for one in DEFINED if one["definition"]["statement"] in said] + [
        marking(60 + place, definition_type="statement", definition={"statement": words})
        for place, words in enumerate(said) if words not in STATEMENTS
    ]  # fmt: skip
    case = incident(object_marking_refs=[Tlp.GREEN.stix_id, *(one["id"] for one in defined)])
    assert marking_of([case, *defined]).says(Marking(tlp="GREEN", **asked)) is says


@pytest.mark.parametrize("label", [label for label in Tlp if label > Tlp.GREEN])
def test_a_definition_that_is_marked_itself_counts(label):
    """Its words are information, and go along with what it marks."""
    said = marking(
        9, definition_type="statement", definition={"statement": "Ours"}, object_marking_refs=[label.stix_id]
    )
    case = incident(object_marking_refs=[Tlp.GREEN.stix_id, said["id"]])
    bundle = {"type": "bundle", "id": an_id("bundle"), "objects": [case, said]}
    assert stix.read(json.dumps(bundle).encode(), NOW).report["tlp"] == label.value
