"""What STIX recommends: remarked on and taken, or refused where that system is held to it."""

from __future__ import annotations

import json

import pytest

from coordinator.errors import Invalid
from coordinator.incidents import intake, remarks
from coordinator.incidents.envelope import Remark
from coordinator.interchange import stix
from coordinator.partners import queries, service
from coordinator.vocabulary.stix_checks import says
from tests.coordinator.interchange.test_stix import NOW, an_id, incident, indicator, sdo
from tests.factories import PARTNER, token_for

URL = {"external_references": [{"source_name": "canary", "url": "https://canary.example/"}]}
TYPE = "application/stix+json;version=2.1"


def bundle(*objects):
    return {"type": "bundle", "id": an_id("bundle"), "objects": list(objects)}


def hold(store, words):
    with store.unit_of_work() as tx:
        service.hold_to_stix(tx, queries.endpoint_by_slug(tx, "fi-in"), words.split(), actor="user:1")


def raw(*objects):
    return json.dumps(bundle(*objects)).encode()


def test_a_report_that_meets_every_must_is_taken_and_remarked_on_without_a_word_of_it():
    received = stix.read(raw(incident(**URL, canary_rank="canary"), incident(**URL)), NOW)
    found = {(one.check, one.pointer) for one in received.remarks}
    assert {("302", "/objects/0/external_references"), ("401", "/objects/0"), ("203", "")} <= found
    assert "canary" not in repr(received.remarks)
    assert {one.object for one in received.remarks} == {an_id("incident"), an_id("bundle")}


def test_one_kind_of_remark_is_made_once_for_an_object():
    twice = URL["external_references"][0]
    received = stix.read(raw(incident(external_references=[twice, twice | {"source_name": "b"}])), NOW)
    assert [one.check for one in received.remarks] == ["302"]


def test_many_remarks_are_counted_and_the_first_are_kept():
    kept = remarks.kept([Remark("302", f"/objects/{number}", "") for number in range(70)])
    assert (kept["count"], len(kept["first"])) == (70, remarks.MOST_REMARKS)
    assert remarks.shown(kept)["first"][0] == {
        "check": "302", "pointer": "/objects/0", "object": "", "detail": says("302")}  # fmt: skip
    assert remarks.shown(remarks.kept([])) == {"count": 0, "first": []}


@pytest.mark.parametrize(
    ("asks", "given", "pointer"),
    [
        ("recommended", incident(**URL), "/objects/0/external_references"),
        ("recommended without-302", incident(**URL), None),
        ("recommended only-401", incident(**URL), None),
        ("properties", incident(**URL), None),
        ("properties", incident(rank=1), "/objects/0"),
        ("types", sdo("x-canary"), "/objects/0/type"),
        ("references", sdo("relationship", relationship_type="related-to", source_ref=an_id("tool"),
                           target_ref=an_id("tool", 2)), ""),
        ("interoperability", incident(), ""),
        ("", incident(rank=1, **URL), None),
    ],
)  # fmt: skip
def test_a_system_is_held_to_what_was_asked_of_it_and_to_no_more(asks, given, pointer):
    objects = [given] if given["type"] == "incident" else [given, indicator(name="x", description="y")]
    if pointer is None:
        assert stix.read(raw(*objects), NOW, asks).report
        return
    with pytest.raises(Invalid) as refusal:
        stix.read(raw(*objects), NOW, asks)
    faults = refusal.value.errors
    assert pointer in [fault.pointer for fault in faults]
    assert "canary" not in repr(faults)


def test_what_is_demanded_is_told_before_what_is_asked():
    with pytest.raises(Invalid) as refusal:
        stix.read(raw(incident(name=1, **URL)), NOW, "recommended")
    assert [fault.pointer for fault in refusal.value.errors] == ["/objects/0/name"]


def test_the_sender_and_the_officer_read_the_remarks(store, client, world, partner):
    said = partner.post(bundle(incident(**URL)), content_type=TYPE).get_json()
    assert said["remarks"] == 1
    status = client.get(said["status_url"].removeprefix("http://127.0.0.1:8080")).get_json()
    [one] = status["remarks"]["first"]
    assert (one["check"], one["object"], one["detail"]) == ("302", an_id("incident"), says("302"))
    ours = token_for(store, scopes=["read"])
    headers = {"Authorization": f"Bearer {ours}"}
    [case] = client.get("/api/v1/incidents", headers=headers).get_json()["items"]
    shown = client.get(f"/api/v1/incidents/{case['reference']}/reports", headers=headers).get_json()["items"]
    assert shown[0]["remarks"] == status["remarks"]
    again = partner.post(bundle(incident(**URL)), f"msg_{partner.count}", content_type=TYPE).get_json()
    assert again["remarks"] == 1


def test_a_system_that_is_held_to_it_is_refused_and_told_again_the_same(store, world, partner):
    hold(store, "recommended")
    refusal = partner.post(bundle(incident(**URL)), "msg_1", content_type=TYPE)
    assert refusal.status_code == 422
    assert [one["pointer"] for one in refusal.get_json()["errors"]] == ["/objects/0/external_references"]
    hold(store, "")
    assert partner.post(bundle(incident(**URL)), "msg_1", content_type=TYPE).status_code == 422
    assert partner.post(bundle(incident(**URL)), "msg_2", content_type=TYPE).status_code == 202


def test_what_a_worker_reads_later_is_held_to_the_same(store, world):
    hold(store, "recommended")
    with store.unit_of_work() as tx:
        endpoint = queries.intake_endpoint(tx, "fi-in")
        kept = intake.keep_raw(tx, via="webhook", media_type=stix.MEDIA_TYPE, raw=raw(incident(**URL)),
                               message_id="m", endpoint=endpoint, endpoint_key_id=endpoint.keys[0][0])  # fmt: skip
    with store.unit_of_work() as tx:
        assert intake.read_report(tx, kept.report_id).disposition == "invalid"


def test_an_administrator_holds_a_system_to_it_through_the_api(store, client, world):
    key = token_for(store, role="administrator", scopes=["admin", "read"])
    headers = {"Authorization": f"Bearer {key}"}
    path = "/api/v1/endpoints/fi-in/stix"
    assert client.put(path, json={"asks": ["recommended", "without-302"]}, headers=headers).status_code == 200
    [shown] = [one for one in client.get("/api/v1/endpoints", headers=headers).get_json()["items"]
               if one["id"] == "fi-in"]  # fmt: skip
    assert (shown["organisation"], shown["stix_asks"]) == (PARTNER, ["recommended", "without-302"])
    assert client.put(path, json={"asks": ["everything"]}, headers=headers).status_code == 422
    reader = token_for(store, scopes=["read"])
    assert client.put(path, json={"asks": []}, headers={"Authorization": f"Bearer {reader}"}).status_code == 403
