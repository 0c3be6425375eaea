"""MISP events come in as reports: what they say, how strict they are, and what is refused of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from coordinator.errors import Invalid, SecrecyMarkingFound
from coordinator.incidents.items import marking_of_report
from coordinator.interchange import misp
from coordinator.markings import Iep

NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
UUID = "54884656-2da8-4625-bf07-43ef950d210b"


def tagged(*names):
    return [{"name": name} for name in names]


def event(*tags, **more):
    return {"uuid": UUID, "info": "Phishing of embassies", "date": "2026-11-21", "timestamp": "1795300000",
            "distribution": "1", "threat_level_id": "2", "analysis": "1", "Orgc": {"name": "CERT-X"},
            "Tag": tagged(*(tags or ("tlp:green",)))} | more  # fmt: skip


def read(document):
    return misp.read(json.dumps(document).encode(), NOW)


def refused(document):
    with pytest.raises(Invalid) as refusal:
        read(document)
    return refusal.value.errors


@pytest.mark.parametrize("wrap", [
    lambda one: one, lambda one: {"Event": one}, lambda one: {"response": [{"Event": one}]},
])  # fmt: skip
def test_an_event_is_a_report_under_its_uuid_however_it_is_wrapped(wrap):
    received = read(wrap(event()))
    report = received.report
    assert (received.format, report["title"], report["tlp"], report["external_id"]) == (
        "misp", "Phishing of embassies", "GREEN", UUID)  # fmt: skip
    assert (report["noticed_at"], report["noticed_at_fidelity"]) == (datetime(2026, 11, 21, tzinfo=UTC), "day")
    assert report["description"].splitlines() == [
        "MISP threat level: medium", "MISP analysis: ongoing", "Author, as stated: CERT-X"]  # fmt: skip


@pytest.mark.parametrize(("tags", "policy", "label", "orcon"), [
    (['iep2-policy:encrypt_in_transit="must"', 'iep2-policy:iep_version="2.0"', 'iep2-policy:end_date="null"'],
     {"encrypt_in_transit": "must"}, "GREEN", None),
    (['iep2-policy:tlp="amber"', 'iep2-policy:permitted_actions="none"', 'iep2-policy:permitted_actions='
      '"contact-for-instruction"'], {"tlp": "amber", "permitted_actions": "none"}, "AMBER", None),
    (['iep2-policy:tlp="strict"', 'iep2-policy:attribution="must-not"'], {"attribution": "must-not"}, "GREEN", True),
    (['iep2-reference:url="https://csirt.example/iep"'], None, "GREEN", True),
    (['iep:encrypt-at-rest="must"'], None, "GREEN", True), (['iep2-policy:tlp'], None, "GREEN", True),
    (['iep2-policy:iep_version="1.0"'], None, "GREEN", True),
])  # fmt: skip
def test_an_exchange_policy_is_read_from_its_tags(tags, policy, label, orcon):
    report = read(event("tlp:green", *tags)).report
    assert report["tlp"] == label
    assert report.get("caveats", {}).get("orcon") == orcon
    assert marking_of_report(report).iep == (Iep.from_json(policy) if policy else None)


@pytest.mark.parametrize(
    ("document", "label", "orcon"),
    [
        (event("tlp:white"), "CLEAR", False),
        (event("tlp:clear", distribution="3"), "CLEAR", False),
        (event("tlp:red", distribution="3"), "RED", False),  # the tag wins over a wide distribution
        (event("tlp:clear", distribution="0"), "AMBER+STRICT", False),  # a narrow one narrows
        (event("tlp:green", distribution="4", sharing_group_id="7"), "GREEN", True),
        (event("type:OSINT"), "AMBER+STRICT", False),  # unmarked
        (event("tlp:unclear"), "AMBER+STRICT", False),
        (event("tlp:green", Attribute=[{"type": "domain", "value": "x.example", "Tag": tagged("tlp:amber")}]), "AMBER",
         False),
        (event("tlp:green", Object=[{"Attribute": [{"type": "url", "value": "http://x.example", "Tag":
         tagged("tlp:red")}]}]), "RED", False),
    ],
)  # fmt: skip
def test_the_label_is_the_strictest_in_the_event_and_a_distribution_never_widens_it(document, label, orcon):
    report = read(document).report
    assert report["tlp"] == label
    assert report.get("caveats", {}).get("orcon", False) is orcon


def test_chatham_house_means_the_source_is_not_named():
    assert read(event("tlp:green", "tlp:ex:chr")).report["caveats"] == {"no_attribution": True}


def test_pap_incident_type_and_exercise_come_from_their_tags():
    report = read(event("tlp:green", "PAP:AMBER", 'rsit:fraud="phishing"', 'exercise:cyber-europe="2026"')).report
    assert (report["pap"], report["classification"], report["exercise"]) == ("AMBER", "fraud/phishing", "2026")


def test_what_can_be_looked_for_is_taken_once_and_prose_and_deleted_ones_are_not():
    attributes = [
        {"type": "ip-dst", "value": "192.0.2.9"}, {"type": "ip-dst", "value": "192.0.2.9"},
        {"type": "comment", "value": "seen at night"}, {"type": "domain", "value": "gone.example", "deleted": True},
        {"type": "filename|md5", "value": "a.exe|0123456789abcdef0123456789abcdef"}, {"type": 5, "value": "x"}, 7,
    ]  # fmt: skip
    assert read(event(Attribute=attributes)).report["observables"] == [
        {"type": "ip-dst", "value": "192.0.2.9"},
        {"type": "filename|md5", "value": "a.exe|0123456789abcdef0123456789abcdef"},
    ]


def test_an_event_that_its_client_left_to_the_server_to_date_is_of_the_day_on_which_it_comes():
    """As client libraries write a new one: neither a date nor a timestamp."""
    fresh = event()
    del fresh["date"], fresh["timestamp"]
    report = read(fresh).report
    assert (report["noticed_at"], report["noticed_at_fidelity"]) == (datetime(2026, 11, 22, tzinfo=UTC), "day")
    assert report["flags"] == ["noticed_at-taken-from-arrival"]


@pytest.mark.parametrize("tag", ['nato:classification="NATO SECRET"', 'x-classification:level="secret"'])
def test_a_tag_that_is_a_secrecy_marking_is_refused_without_echo(tag):
    with pytest.raises(SecrecyMarkingFound) as refusal:
        read(event("tlp:green", tag))
    assert "SECRET" not in str(refusal.value.errors)


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ([], ""),
        ({"Event": {"date": "2026-11-21"}}, "/Event/info"),
        ({"Event": event(info=5)}, "/Event/info"),
        ({"Event": event(info="")}, "/Event/info"),
        ({"Event": event(date="soon", timestamp="soon")}, "/Event/date"),
        ({"Event": event(date="2026-02-31")}, "/Event/date"),
        ({"response": [{"Event": event()}, {"Event": event()}]}, "/response"),
        ({"Event": event(*["x"] * 2001)}, "/Event/Tag"),
    ],
)
def test_what_is_no_event_is_refused_where_it_is_wrong(document, pointer):
    assert pointer in [fault.pointer for fault in refused(document)]


def test_an_event_through_the_signed_door_opens_an_incident_and_the_event_again_updates_it(partner):
    first = partner.post({"Event": event()}, content_type="application/vnd.misp+json")
    assert (first.status_code, first.get_json()["disposition"]) == (202, "accepted")
    again = partner.post({"Event": event(timestamp="1795390000")}, content_type="application/vnd.misp+json")
    assert (again.get_json()["disposition"], again.get_json()["incident"]) == ("update", first.get_json()["incident"])


def test_a_tag_that_only_speaks_of_secrets_is_a_tag():
    assert read(event("tlp:green", 'misp-galaxy:tool="Secret Stealer"')).report["tlp"] == "GREEN"
