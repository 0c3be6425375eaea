"""The outgoing forms over random contents: valid by the standards' own checks, never looser than what they carry."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stix2validator import ValidationOptions, validate_parsed_json

from coordinator.alerts.wording import KINDS
from coordinator.errors import Refused
from coordinator.incidents.items import marking_of_report
from coordinator.interchange import misp, misp_out, page_out, policies, stix, stix_out
from coordinator.interchange.contents import Contents, Party
from coordinator.markings import IEP_ACTIONS, Iep, Marking, Pap, Tlp, parse_tlp
from coordinator.sharing.composed import handling
from coordinator.sharing.unnamed import is_withheld

NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
US, THEM, THIRD = Party("EE-MFA", "Estonia"), Party("FI-CSIRT", "Finland"), Party("LV-MFA", "Latvia")
OBSERVABLES = (
    ("ip-dst", "192.0.2.1"), ("ipv6-addr", "2001:db8::1"), ("ipv4-addr:value", "198.51.100.7"), ("md5", "d" * 32),
    ("pattern:stix", "[file:size = 5]"), ("pattern:yara", "rule a {}"), ("url", "https://evil.example/x?a=1"),
    ("domain-name", "evil.example"), ("email-addr", "a@evil.example"), ("mac-addr", "00:11:22:33:44:55"),
    ("file:name", "a'b.exe"), ("ip-dst", "no address"), ("wallet", "anything"), ("file:hashes.SHA-256", "e" * 64),
)  # fmt: skip


def words(*, most):
    """As a text that was released: something to read, no control characters."""
    return st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=most).map("A ".__add__)


def some_policies():
    """Whole ones, and ones that state a part only. Their label is never the stricter one here."""
    must_not = st.sampled_from(["may", "must-not"])
    stated = {
        "start_date": st.just(NOW), "encrypt_in_transit": st.sampled_from(["must", "may"]), "attribution": must_not,
        "permitted_actions": st.sampled_from(IEP_ACTIONS), "affected_party_notifications": must_not,
        "unmodified_resale": must_not, "tlp": st.just("white"),
    }  # fmt: skip
    more = {
        "end_date": st.just(NOW + timedelta(days=9)), "id": st.just("0224bfdf-ea3a-49c3-96f6-66d908bb1845"),
        "external_reference": st.sampled_from(["https://lv.example/iep;v=2", "https://lv.example/a urn:fi:b"]),
    }  # fmt: skip
    whole = st.fixed_dictionaries(stated, optional=more)
    some = st.fixed_dictionaries({}, optional=stated | more)
    return (whole | some).map(lambda said: Iep(**said))


@st.composite
def some_contents(draw):
    tlp = draw(st.sampled_from(Tlp))
    marking = Marking(
        tlp=tlp, pap=draw(st.none() | st.sampled_from(Pap)), orcon=draw(st.booleans()),
        no_attribution=draw(st.booleans()), rel_to=draw(st.none() | st.just(frozenset({"FI-CSIRT"}))),
        embargo_until=draw(st.none() | st.just(NOW + timedelta(days=1))),
        iep=draw(st.none() | some_policies()),
    )  # fmt: skip
    named = not is_withheld(marking)
    return Contents(
        key="alr-" + "7" * 20, reference=draw(st.sampled_from(["", "REF-7K3M-Q9TD-W25C"])),
        kind=draw(st.sampled_from(sorted(KINDS))), title=draw(words(most=110)),
        body=draw(words(most=300)), language=draw(st.sampled_from(["en", "ar", "pt-BR"])),
        marking=marking, tlp=marking.effective, recipient=THEM, sender=US if named else None,
        originator=draw(st.sampled_from([US, THIRD])) if named else None, purpose="network defence",
        obligations=draw(st.sampled_from([(), ("O-ONWARD-none",), ("O-ONWARD-clients",), ("O-ONWARD-community",)])),
        binding=("Handle it well.",), handling=tuple(handling(marking)), left_at=NOW + timedelta(hours=1), first_at=NOW,
        noticed_at="2026-11-22T03:00:00Z", states_affected=draw(st.sampled_from([(), ("FI", "EE")])),
        observables=tuple(draw(st.lists(st.sampled_from(OBSERVABLES), max_size=5))),
        exercise=draw(st.sampled_from(["", "EX-1"])),
    )  # fmt: skip


def slowly(examples):
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@slowly(40)
@given(some_contents())
def test_a_bundle_keeps_every_must_of_the_standard(contents):
    bundle = json.loads(stix_out.write(contents))
    found = validate_parsed_json(bundle, ValidationOptions(version="2.1", silent=True))
    assert [str(error) for error in found.errors] == []


@slowly(40)
@given(some_contents())
def test_what_a_bundle_says_of_its_markings_is_read_again(contents):
    report = stix.read(stix_out.write(contents), NOW).report
    marking, caveats = contents.marking, report.get("caveats", {})
    assert parse_tlp(report["tlp"]) == contents.tlp
    assert report.get("pap") == (marking.pap.value if marking.pap else None)
    assert caveats.get("orcon", False) == marking.orcon
    assert _policy_in(report) == _told(marking)
    assert caveats.get("no_attribution", False) == marking.no_attribution
    assert caveats.get("rel_to") == (["FI-CSIRT"] if marking.rel_to else None)
    assert caveats.get("embargo_until") == marking.embargo_until


def _told(marking):
    """What a reader is to know of a policy. A part of one goes as words, which hold neither its label nor its id."""
    told = marking.policy_told
    if told is None or not policies.is_whole(told):
        left = replace(told or Iep(), tlp=None, id=None)
        return left if left != Iep() else None
    return replace(told, id=None)


def _policy_in(report):
    read = marking_of_report(report).iep
    return replace(read, id=None) if read is not None else None


@slowly(60)
@given(some_contents())
def test_a_misp_event_is_never_wider_than_its_label(contents):
    if contents.tlp is Tlp.RED:
        with pytest.raises(Refused):
            misp_out.write(contents)
        return
    event = json.loads(misp_out.write(contents))["Event"]
    widest = {Tlp.AMBER_STRICT: ("0", "4"), Tlp.AMBER: ("4",), Tlp.GREEN: ("1", "4"), Tlp.CLEAR: ("3", "1", "4")}
    assert event["distribution"] in widest[contents.tlp]
    assert (event["sharing_group_id"] == "0") == (event["distribution"] != "4")
    report = misp.read(json.dumps({"Event": event}).encode(), NOW).report
    assert parse_tlp(report["tlp"]) == contents.tlp
    assert report.get("pap") == (contents.marking.pap.value if contents.marking.pap else None)
    assert report.get("caveats", {}).get("no_attribution", False) == is_withheld(contents.marking)
    told = contents.marking.policy_told
    assert marking_of_report(report).iep == (told if told and set(told.to_json()) - {"id"} else None)
    assert report.get("caveats", {}).get("orcon", False) >= contents.marking.orcon


@slowly(60)
@given(some_contents())
def test_where_the_source_is_withheld_no_form_names_it(contents):
    if is_withheld(contents.marking):
        said = stix_out.write(contents) + (b"" if contents.tlp is Tlp.RED else misp_out.write(contents))
        said += stix_out.write(replace(contents, sender=None, originator=None))
        for party in (US, THIRD):
            assert party.name.encode() not in said and party.code.encode() not in said
        assert b"lv.example" not in said and b"0224bfdf" not in said


@slowly(20)
@given(some_contents())
def test_a_pdf_can_be_made_of_anything_and_bears_the_label_on_each_page(contents):
    body = page_out.write(replace(contents, body=contents.body + "\nline" * 120))
    assert len(re.findall(rb"/Type /Page\b", body)) >= 2
    assert body == page_out.write(replace(contents, body=contents.body + "\nline" * 120))


def test_ids_of_two_recipients_have_nothing_in_common():
    base = dict(
        kind="initial", title="T", body="B", language="en", marking=Marking(tlp="GREEN"), tlp=Tlp.GREEN, sender=US,
        originator=US, purpose="x", obligations=(), binding=(), handling=(), left_at=NOW, first_at=NOW,
        observables=OBSERVABLES,
    )  # fmt: skip
    one = Contents(key="alr-1", reference="REF-1", recipient=THEM, **base)
    other = Contents(key="alr-2", reference="REF-2", recipient=THIRD, **base)
    ours, theirs = (
        {each["id"] for each in stix_out.objects_of(contents) if "created_by_ref" in each} for contents in (one, other)
    )
    assert ours and not ours & theirs
    assert misp_out.event_of(one)["uuid"] != misp_out.event_of(other)["uuid"]
