"""One of our own people through the JSON door: file, read, triage, note, resolve, close, with the refusals."""

from __future__ import annotations

import pytest

from coordinator.incidents.models import Incident
from tests.factories import native, person, token_for


class Caller:
    """A client with a token."""

    def __init__(self, client, token):
        self.client, self.headers = client, {"Authorization": f"Bearer {token}"}

    def get(self, path, **headers):
        return self.client.get(f"/api/v1{path}", headers=self.headers | headers)

    def post(self, path, data, **headers):
        return self.client.post(f"/api/v1{path}", json=data, headers=self.headers | headers)

    def patch(self, path, data, **headers):
        return self.client.patch(f"/api/v1{path}", json=data, headers=self.headers | headers)


@pytest.fixture
def caller(store, world, client):
    return Caller(client, token_for(store, "coordinator"))


@pytest.fixture
def reference(store, world, client):
    """An incident one of our officers filed."""
    return Caller(client, token_for(store, "liaison-officer")).post("/reports", native()).get_json()["incident"]


def tag(answer):
    return {"If-Match": answer.headers["ETag"]}


def test_from_a_report_to_closed(caller, reference):
    path = f"/incidents/{reference}"
    seen = caller.get(path)
    assert seen.get_json()["reference"] == reference
    for wanted in ({"status": "triage"}, {"status": "active"}, {"status": "resolved", "outlook": "stable"}):
        seen = caller.post(f"{path}/status", wanted, **tag(seen))
        assert (seen.status_code, seen.get_json()["status"]) == (200, wanted["status"])
    refused = caller.post(f"{path}/status", {"status": "closed"}, **tag(seen))
    assert (refused.status_code, refused.get_json()["errors"][0]["pointer"]) == (422, "/note")
    closed = caller.post(f"{path}/status", {"status": "closed", "note": "Done."}, **tag(seen))
    assert closed.get_json()["status"] == "closed"
    kinds = [entry["kind"] for entry in caller.get(f"{path}/timeline").get_json()["items"]]
    assert kinds[:2] == ["report.received", "incident.opened"]
    assert {"incident.triage", "incident.active", "incident.resolved", "note.added", "incident.closed"} <= set(kinds)


def test_a_change_needs_the_version_last_seen(caller, reference):
    path = f"/incidents/{reference}"
    seen = caller.get(path)
    assert caller.patch(path, {"outlook": "stable"}).status_code == 428
    assert caller.patch(path, {"outlook": "stable"}, **{"If-Match": "*"}).status_code == 428
    assert caller.post(f"{path}/status", {"status": "triage"}).status_code == 428
    changed = caller.patch(path, {"outlook": "stable"}, **tag(seen))
    assert (changed.status_code, changed.get_json()["outlook"]) == (200, "stable")
    assert caller.patch(path, {"outlook": "worsening"}, **tag(seen)).status_code == 412
    assert caller.post(f"{path}/status", {"status": "triage"}, **tag(seen)).status_code == 412
    assert caller.patch(path, {"severity": 4, "reason": "Wards closed"}, **tag(changed)).get_json()["severity"] == 4


def test_an_unchanged_incident_is_not_sent_again(caller, reference):
    seen = caller.get(f"/incidents/{reference}")
    assert caller.get(f"/incidents/{reference}", **{"If-None-Match": seen.headers["ETag"]}).status_code == 304


def test_every_fault_of_a_change_is_named(caller, reference):
    seen = caller.get(f"/incidents/{reference}")
    answer = caller.patch(f"/incidents/{reference}", {"severity": 9, "colour": "red", "tlp": "PINK"}, **tag(seen))
    assert {fault["pointer"] for fault in answer.get_json()["errors"]} == {"/severity", "/colour", "/tlp"}


def test_the_same_idempotency_key_is_one_report(store, world, client):
    caller = Caller(client, token_for(store, "coordinator"))
    first = caller.post("/reports", native(), **{"Idempotency-Key": '"abc"'})
    again = caller.post("/reports", native(), **{"Idempotency-Key": "abc"})
    other = caller.post("/reports", native(title="Another"), **{"Idempotency-Key": '"abc"'})
    assert (first.status_code, again.get_json(), other.status_code) == (202, first.get_json(), 422)
    assert first.get_json()["incident"].startswith("INC-")


def test_lists_are_paged_to_their_end(caller, world):
    for number in range(5):
        caller.post("/reports", native(title=f"Report {number}"))
    found, cursor = [], ""
    while cursor is not None:
        page = caller.get(f"/incidents?limit=2&cursor={cursor}").get_json()
        found += [one["title"] for one in page["items"]]
        cursor = page["next"]
    assert found == [f"Report {number}" for number in (4, 3, 2, 1, 0)]
    reference = caller.get("/incidents").get_json()["items"][0]["reference"]
    page = caller.get(f"/incidents/{reference}/timeline?limit=1").get_json()
    rest = caller.get(f"/incidents/{reference}/timeline?limit=100&cursor={page['next']}").get_json()
    assert [one["seq"] for one in page["items"] + rest["items"]] == [1, 2]


@pytest.mark.parametrize("query, found", [
    ("status=reported", 2), ("status=closed", 0), ("status=reported,closed", 2), ("severity=3", 1), ("severity=0", 0),
    ("q=hospital", 1), ("q=HOSPITAL+ransomware", 1), ("q=%25", 0), ("q=_", 0),
    ("updated_since=2026-01-01T00:00:00Z", 2), ("updated_since=2199-01-01T00:00:00%2B01:00", 0), ("exercise=EX-1", 0),
])  # fmt: skip
def test_incidents_are_found_by_what_is_asked(caller, world, query, found):
    caller.post("/reports", native(severity=3))
    caller.post("/reports", native(title="Phishing of a ministry"))
    assert len(caller.get(f"/incidents?{query}").get_json()["items"]) == found


@pytest.mark.parametrize("query", [
    "limit=0", "limit=x", "limit=201", "limit=99999999999999999999", "cursor=xx", "cursor=%00", "cursor=WyJ4IiwxXQ",
    "status=open", "severity=6", "severity=x", "updated_since=yesterday", "q=%00", f"q={'x' * 300}", "limit=%F0%9F",
])  # fmt: skip
def test_a_wrong_query_is_told_with_its_name(caller, world, query):
    answer = caller.get(f"/incidents?{query}")
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "/" + query.partition("=")[0]


@pytest.mark.parametrize("reference", [
    "INC-2026-999999", "INC-1999-000001", "x", "INC-2026-" + "9" * 30, "%00", "INC-2026-000001%00", "..",
])  # fmt: skip
def test_what_is_not_there_is_not_found(caller, reference):
    for part in ("", "/timeline", "/tasks", "/alerts", "/decisions", "/runs", "/reports"):
        assert caller.get(f"/incidents/{reference}{part}").status_code == 404


def test_all_lists_of_an_incident_answer(caller, reference):
    for part in ("timeline", "tasks", "alerts", "decisions", "runs", "reports", "items", "links", "attachments"):
        answer = caller.get(f"/incidents/{reference}/{part}")
        assert answer.status_code == 200
        assert answer.get_json().keys() == {"items", "next"}


def test_a_restricted_incident_is_not_there_for_others(store, world, client, caller):
    duty = Caller(client, token_for(store, "duty-officer"))
    reference = duty.post("/reports", native(tlp="RED", title="CANARY")).get_json()["incident"]
    assert duty.get(f"/incidents/{reference}").get_json()["title"] == "CANARY"
    path = f"/incidents/{reference}"
    tries = [caller.get(path), caller.get(f"{path}/timeline"), caller.post(f"{path}/notes", {"text": "x"}),
             caller.patch(path, {"outlook": "stable"}, **{"If-Match": '"v1"'}),
             caller.post(f"{path}/status", {"status": "triage"}, **{"If-Match": '"v1"'})]  # fmt: skip
    assert {one.status_code for one in tries} == {404}
    assert caller.get("/incidents").get_json()["items"] == []
    assert caller.get("/incidents?q=canary").get_json()["items"] == []


def test_asking_twice_by_two_people_rejects_what_is_flagged(store, world, client):
    callers = [Caller(client, token_for(store, "coordinator", name=name)) for name in ("Ann One", "Bob Two")]
    filed = callers[0].post("/reports", native(humanitarian_flags=["hospital-or-medical"]))
    path = f"/incidents/{filed.get_json()['incident']}"
    wanted = {"status": "rejected", "reason": "A drill that was not marked"}
    first = callers[0].post(f"{path}/status", wanted, **tag(callers[0].get(path)))
    assert (first.status_code, first.get_json()["blocked_by"][0]["kind"]) == (409, "second-look")
    second = callers[1].post(f"{path}/status", wanted, **tag(callers[1].get(path)))
    assert second.get_json()["status"] == "rejected"


def test_a_note_is_added_under_the_label_or_a_stricter_one(caller, reference):
    said = caller.post(f"/incidents/{reference}/notes", {"text": "Spoke to the ward", "tlp": "AMBER"})
    assert (said.status_code, said.get_json()["tlp"]) == (201, "AMBER")
    looser = caller.post(f"/incidents/{reference}/notes", {"text": "x", "tlp": "CLEAR"})
    assert (looser.status_code, looser.get_json()["errors"][0]["pointer"]) == (422, "/tlp")
    notes = [one for one in caller.get(f"/incidents/{reference}/items").get_json()["items"] if one["kind"] == "note"]
    assert [one["content"] for one in notes] == ["Spoke to the ward"]


def test_opening_an_incident_is_on_record(store, caller, reference):
    for _ in range(3):
        caller.get(f"/incidents/{reference}")
    kinds = [one["kind"] for one in caller.get(f"/incidents/{reference}/timeline").get_json()["items"]]
    assert kinds.count("incident.read") == 1


def test_a_partner_is_told_where_an_agreement_permits_and_not_where_none_is(store, caller, reference):
    answer = caller.post(f"/incidents/{reference}/alerts", {
        "kind": "initial", "audience": ["LV-MFA", "XX-NOBODY"], "purpose": "network-defence",
        "title": "Ransomware", "body": "Please look at your hospitals.",
    })  # fmt: skip
    assert answer.status_code == 201
    said = answer.get_json()
    assert {one["recipient"] for one in said["unreachable"]} == {"LV-MFA", "XX-NOBODY"}
    assert said["alerts"] == []


@pytest.mark.parametrize("body, pointer", [
    ({}, "/kind"), ({"audience": []}, "/audience"), ({"audience": "all"}, "/audience"),
    ({"audience": {"x": 1}}, "/audience"), ({"audience": {"organisations": [{}]}}, "/audience/0"),
    ({"purpose": "fun"}, "/purpose"), ({"kind": "receipt"}, "/kind"), ({"reply_by": "soon"}, "/reply_by"),
    ({"tlp": "PINK"}, "/tlp"),
])  # fmt: skip
def test_every_fault_of_an_alert_is_named(caller, reference, body, pointer):
    answer = caller.post(f"/incidents/{reference}/alerts", body)
    assert answer.status_code == 422
    assert pointer in {fault["pointer"] for fault in answer.get_json()["errors"]}


def test_owner_and_me(store, caller, reference):
    me = caller.get("/me").get_json()
    assert me["role"] == "coordinator"
    seen = caller.get(f"/incidents/{reference}")
    changed = caller.patch(f"/incidents/{reference}", {"owner": me["id"]}, **tag(seen))
    assert (changed.get_json()["owner"], changed.get_json()["owner_name"]) == (me["id"], me["name"])


def test_a_role_without_the_right_is_refused(store, world, client, reference):
    officer = Caller(client, token_for(store, "liaison-officer"))
    seen = officer.get(f"/incidents/{reference}")
    assert officer.patch(f"/incidents/{reference}", {"outlook": "stable"}, **tag(seen)).status_code == 403
    assert officer.post(f"/incidents/{reference}/status", {"status": "triage"}, **tag(seen)).status_code == 403


def test_a_file_is_only_downloaded_and_that_is_on_record(store, world, partner, caller):
    import hashlib

    body = b"<html><script>alert(1)</script>"
    digest = hashlib.sha256(body).hexdigest()
    partner.post(native(attachments=[
        {"name": 'a"b\n.html', "media_type": "text/html", "sha256": digest, "size": len(body)}]))  # fmt: skip
    assert partner.put(digest, body).status_code == 200
    reference = caller.get("/incidents").get_json()["items"][0]["reference"]
    file = caller.get(f"/incidents/{reference}/attachments").get_json()["items"][0]
    assert (file["state"], file["scanned"]) == ("stored", False)
    answer = caller.get(f"/attachments/{file['id']}")
    assert answer.data == body
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    kinds = [one["kind"] for one in caller.get(f"/incidents/{reference}/timeline").get_json()["items"]]
    assert "attachment.stored" in kinds and "attachment.read" in kinds


def test_the_database_holds_no_text_of_a_restricted_incident_in_the_open(store, world, client):
    duty = Caller(client, token_for(store, "duty-officer"))
    filed = duty.post("/reports", native(tlp="RED", title="CANARY-T", description="CANARY-D"))
    duty.post(f"/incidents/{filed.get_json()['incident']}/notes", {"text": "CANARY-N"})
    with store.read() as tx:
        for table in Incident.metadata.sorted_tables:
            for row in tx.execute(table.select()):
                assert "CANARY" not in repr(tuple(row)), table.name


def test_nobody_reads_another_partners_people(store, world, client):
    person(store, "partner-user", organisation_id=world.partner_id)
    token = token_for(store, "partner-user", ["read"])
    assert Caller(client, token).get("/incidents").status_code == 403
