"""Whatever stands where in a bundle or an event: it is taken, never looser than it was marked, or refused in words."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.errors import Invalid, NotParseable
from coordinator.interchange import misp, stix
from coordinator.markings import Tlp, parse_tlp
from tests.coordinator.interchange.test_stix import CORE, IEP2, TIMES, TLP2, an_id, incident, indicator, marking, sdo

NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
GREEN = {"object_marking_refs": [Tlp.GREEN.stix_id]}
BUNDLE = {"type": "bundle", "id": an_id("bundle"), "objects": [
    incident(created_by_ref=an_id("identity"), lang="en", granular_markings=[
        {"marking_ref": Tlp.GREEN.stix_id, "selectors": ["name"]}], extensions={
        CORE: {"extension_type": "property-extension", "determination": "suspected", "criticality": 3}}),
    sdo("identity", name="n", identity_class="organization", **GREEN), indicator(),
    sdo("relationship", relationship_type="related-to", source_ref=an_id("incident"), target_ref=an_id("identity")),
    {"type": "file", "spec_version": "2.1", "id": "file--ff26c055-6336-5bc5-b98d-13d6226742dd",
     "hashes": {"MD5": "d" * 32}, **GREEN},
    marking(3, definition_type="statement", definition={"statement": "PAP:AMBER"}),
    marking(4, name="TLP:GREEN", extensions={TLP2: {"extension_type": "property-extension", "tlp_2_0": "green"}}),
]}  # fmt: skip
EVENT = {"Event": {
    "info": "Campaign", "date": "2026-11-20", "distribution": "4", "SharingGroup": {"uuid": "x"}, "timestamp": "1",
    "Orgc": {"name": "A"}, "Tag": [{"name": "tlp:green"}, {"name": "PAP:RED"}],
    "Attribute": [{"type": "ip-dst", "value": "192.0.2.1", "Tag": [{"name": "tlp:green"}]}],
    "Object": [{"Attribute": [{"type": "md5", "value": "d" * 32}]}], "EventReport": [{"content": "text"}],
}}  # fmt: skip
NAMES = (
    "object_marking_refs", "granular_markings", "revoked", "extensions", "external_references", "lang", "definition",
    "pattern", "objects", "spec_version", "created", "Tag", "Attribute", "response", "id", "type", "country", "cpe",
    "start_time", "selectors", "Event", "hashes",
)  # fmt: skip


def nested(depth: int) -> list:
    return [nested(depth - 1)] if depth else []


# Nothing among these is a label, so that none of them may make anything looser.
ODD = st.sampled_from([
    None, True, 0, -1, 2**63, 10**400, 1e308, "", "x" * 70_000, "\u0000", "\u202e", "💥", [], {}, [None], [{}],
    nested(60), "2026-99-99T99:99:99Z", "9999-12-31T23:59:59.999Z", "a--b", an_id("marking-definition", 99),
    an_id("marking-definition", 3), Tlp.GREEN.stix_id.upper(), Tlp.RED.stix_id, "bundle", "x-" + "a" * 300,
    ["name.[99999999999999999999]"], [{"marking_ref": an_id("incident"), "selectors": ["nope"]}], [{"selectors": 5}],
    [{"lang": "de", "selectors": ["name"]}], "(" * 1000, "[a:b = 1] AND " * 300 + "[a:b = 1]", "tlp:red", "tlp:",
    [{"id": "a", "type": "indicator", "pattern": 5}], {"statement": 5}, {"extension_type": 5}, [{"name": 5}],
    {IEP2: {"extension_type": "property-extension", "tlp": 5}}, ["a"] * 3000, {"": ""}, "PAP:",
])  # fmt: skip


def places(within, at=()):
    """The path to each value of a document."""
    yield at
    pairs = within.items() if isinstance(within, dict) else enumerate(within) if isinstance(within, list) else ()
    for name, value in pairs:
        yield from places(value, (*at, name))


@st.composite
def changed(draw, document):
    """The document with one to three values replaced, taken away, doubled or put in."""
    made = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        paths = [path for path in places(made) if path]
        if not paths:
            break
        *way, last = draw(st.sampled_from(paths))
        holder = made
        for name in way:
            holder = holder[name]
        how = draw(st.sampled_from(["replace", "replace", "add", "drop", "double"]))
        if how == "drop":
            del holder[last]
        elif how == "double" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        elif how == "add" and isinstance(holder, dict):
            holder[draw(st.sampled_from(NAMES))] = copy.deepcopy(draw(ODD))
        else:
            holder[last] = copy.deepcopy(draw(ODD))
    return made


def taken(read, raw: bytes):
    """The label it was taken under, or None where it was refused in words. Anything else is raised."""
    try:
        return parse_tlp(read(raw, NOW).report["tlp"])
    except (Invalid, NotParseable) as refusal:
        assert str(refusal.detail or refusal.title)
        return None


LOOSER = {label for label in Tlp if label < Tlp.GREEN}
LITTLE = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@LITTLE
@given(changed(BUNDLE))
def test_a_changed_bundle_is_taken_no_looser_or_refused(document):
    assert taken(stix.read, json.dumps(document).encode()) not in LOOSER


@LITTLE
@given(changed(EVENT))
def test_a_changed_event_is_taken_no_looser_or_refused(document):
    assert taken(misp.read, json.dumps(document).encode()) not in LOOSER


def test_both_are_taken_as_they_are():
    assert taken(stix.read, json.dumps(BUNDLE).encode()) == taken(misp.read, json.dumps(EVENT).encode()) == Tlp.GREEN


@pytest.mark.parametrize("read", [stix.read, misp.read])
@pytest.mark.parametrize("raw", [
    b"", b"\xff\xfe", b'{"type": "bundle", "type": "x"}', b'{"Event": NaN}', b"[" * 100_000, b'{"a": 1e400}',
    b'{"\\ud800": 1}', b"null", b"1" * 5000, b'{"Event": {"info": "\\udfff", "date": "2026-11-20"}}',
], ids=range(10))  # fmt: skip
def test_what_is_hardly_json_is_refused(read, raw):
    assert taken(read, raw) is None


def test_objects_that_refer_to_each_other_in_a_circle_are_read():
    one, two = marking(8, definition_type="statement", definition={"statement": "a"}), marking(
        9, definition_type="statement", definition={"statement": "b"})  # fmt: skip
    one["object_marking_refs"], two["object_marking_refs"] = [two["id"]], [one["id"]]
    circle = [incident(), sdo("report", published=TIMES["created"], name="r", object_refs=[an_id("report")]), one, two]
    assert taken(stix.read, json.dumps(BUNDLE | {"objects": circle}).encode()) is not None


@pytest.mark.parametrize(
    ("label", "least"),
    [
        (Tlp.AMBER.stix_id[:-1] + "0", Tlp.AMBER_STRICT),  # wrong by a digit, defined nowhere
        ("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", Tlp.CLEAR),  # TLP 1, WHITE
        ("marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", Tlp.AMBER),  # TLP 1, AMBER
        ("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", Tlp.RED),  # TLP 1, RED
        (an_id("marking-definition", 4), Tlp.AMBER_STRICT),  # referred to and not there
    ],
)
def test_a_label_by_another_id_is_never_looser(label, least):
    document = BUNDLE | {"objects": [incident(object_marking_refs=[label])]}
    assert taken(stix.read, json.dumps(document).encode()) >= least


def test_a_definition_that_calls_the_id_of_a_label_looser_does_not_make_it_so():
    looser = {"type": "marking-definition", "spec_version": "2.1", "id": Tlp.RED.stix_id, "created": TIMES["created"],
              "extensions": {TLP2: {"extension_type": "property-extension", "tlp_2_0": "clear"}}}  # fmt: skip
    document = BUNDLE | {"objects": [incident(object_marking_refs=[Tlp.RED.stix_id]), looser]}
    assert taken(stix.read, json.dumps(document).encode()) in (Tlp.RED, None)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"type": "bundle", "objects": []}, "application/stix+json"),
        ({"a": {"info": "x", "date": "2026-11-20"}, "b": {"info": "y"}}, "feed"),
        ({"Object": [{"Attribute": []}]}, "part of"),
        ({"name": "g", "GalaxyCluster": []}, "part of"),
        ({"type": "ip-dst", "value": "192.0.2.1"}, "part of"),
        ([EVENT, EVENT], "one event"),
        ({}, "what happened"),
        ({"response": "x"}, "what happened"),
    ],
)
def test_what_is_sent_for_an_event_is_told_what_to_send_instead(document, says):
    with pytest.raises(Invalid) as refusal:
        misp.read(json.dumps(document).encode(), NOW)
    assert says in refusal.value.errors[0].detail


@pytest.mark.parametrize("around", [lambda one: [one], lambda one: {"response": one}, lambda one: {"response": [one]}])
def test_one_event_is_taken_however_it_is_wrapped(around):
    assert taken(misp.read, json.dumps(around(EVENT)).encode()) == Tlp.GREEN
