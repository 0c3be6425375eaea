"""The release desk from its pages and through the API: nothing leaves before it is submitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coordinator.alerts.models import Alert
from coordinator.sharing.models import Release, ShareDecision
from tests.coordinator.web.conftest import Browser, Desk, visible_text
from tests.coordinator.web.test_telling import count, told_desk  # noqa: F401  a desk with a partner
from tests.factories import token_for

DRAFT = {"kind": "initial", "title": "Loader seen", "body": "We saw a loader.", "purpose": "incident-response",
         "info_category": "incident-notification", "tlp": "", "zone": "UTC"}  # fmt: skip


def drafted(officer: Browser, reference: str, **fields: Any) -> str:
    officer.get(f"/incidents/{reference}/releases/new")
    answer = officer.post(f"/incidents/{reference}/releases/new", DRAFT | fields)
    assert answer.status_code == 303, visible_text(answer.text)
    return answer.location


def test_a_draft_shows_everybody_and_goes_to_those_ticked(
    told_desk: Desk, file_report: Callable[..., str]  # noqa: F811
) -> None:
    reference, officer = file_report(told_desk.sit("liaison-officer"), tlp="GREEN"), told_desk.sit("coordinator")
    path = drafted(officer, reference)
    text = officer.text(path)
    assert "Nothing has been submitted" in text
    assert "Could receive it now 1 FI-CSIRT" in text and "Under Arrangement (version 1)" in text
    assert "Cannot be reached 1 LV-MFA" in text and "Who can change it: A coordinator" in text
    assert count(told_desk, ShareDecision) == count(told_desk, Alert) == 0
    nobody = officer.post(f"{path}/submit", {})
    assert (nobody.status_code, "Choose at least one recipient" in nobody.text) == (422, True)
    assert officer.post(f"{path}/submit", {"recipients": ["FI-CSIRT"]}).status_code == 303
    assert "Cleared, nothing has left yet" in officer.text(path)
    assert officer.post(f"{path}/submit", {"recipients": ["FI-CSIRT"]}).status_code == 409
    assert count(told_desk, Alert) == 1
    assert "Loader seen" in officer.text(f"/incidents/{reference}/releases")


def test_a_draft_needs_what_it_is_made_from_or_a_text_and_can_be_discarded(
    told_desk: Desk, file_report: Callable[..., str]  # noqa: F811
) -> None:
    reference, officer = file_report(told_desk.sit("liaison-officer"), tlp="GREEN"), told_desk.sit("coordinator")
    officer.get(f"/incidents/{reference}/releases/new")
    answer = officer.post(f"/incidents/{reference}/releases/new", DRAFT | {"title": "", "body": ""})
    assert answer.status_code == 422 and "choose what it is made from" in answer.text
    for day in ("soon", "2026-02-30", "9999-12-31"):
        answer = officer.post(f"/incidents/{reference}/releases/new", DRAFT | {"tlp": "GREEN", "pd_delete_by": day})
        assert answer.status_code == 422 and "Write the date like" in answer.text
    assert count(told_desk, Release) == 0
    path = drafted(officer, reference)
    assert officer.get(path).status_code == 200
    assert officer.post(f"{path}/withdraw").status_code == 303
    assert "discarded before anybody was asked" in officer.text(path)


def test_who_may_not_ask_for_a_release_reads_it_and_whoever_has_no_need_to_know_finds_nothing(
    told_desk: Desk, file_report: Callable[..., str]  # noqa: F811
) -> None:
    reference, officer = file_report(told_desk.sit("liaison-officer"), tlp="GREEN"), told_desk.sit("coordinator")
    path = drafted(officer, reference)
    analyst = told_desk.sit("analyst")
    assert "Submit for those ticked" not in analyst.text(path)
    assert analyst.get(f"/incidents/{reference}/releases/new").status_code == 403
    assert told_desk.sit("partner-user").get(path).status_code == 403
    other = file_report(told_desk.sit("liaison-officer"), tlp="GREEN", title="Another")
    assert officer.get(f"/incidents/{other}/releases/{path.rsplit('/', 1)[1]}").status_code == 404


def test_the_same_through_the_api(told_desk: Desk, file_report: Callable[..., str]) -> None:  # noqa: F811
    reference = file_report(told_desk.sit("liaison-officer"), tlp="GREEN")
    client, token = told_desk.app.test_client(), token_for(told_desk.store, "coordinator")
    said = {"headers": {"Authorization": f"Bearer {token}"}}
    path = f"/api/v1/incidents/{reference}/releases"
    wanted = {name: DRAFT[name] for name in ("kind", "title", "body", "purpose", "info_category")}
    made = client.post(path, json=wanted, **said)
    assert (made.status_code, made.json["state"], made.json["may_submit"]) == (201, "draft", True)
    one = f"{path}/{made.json['id']}"
    groups = client.get(f"{one}/recipients", **said).json
    assert [each["code"] for each in groups["permit"]] == ["FI-CSIRT"]
    assert client.post(f"{one}/submit", json={"recipients": ["LV-MFA"]}, **said).status_code == 422
    sent = client.post(f"{one}/submit", json={"recipients": ["FI-CSIRT"]}, **said)
    assert (sent.status_code, [each["recipient"] for each in sent.json["alerts"]]) == (200, ["FI-CSIRT"])
    assert client.post(f"{one}/submit", json={"recipients": ["FI-CSIRT"]}, **said).status_code == 409
    assert client.post(f"{one}/withdraw", json={"reason": "x"}, **said).status_code == 409
    assert [each["state"] for each in client.get(path, **said).json["items"]] == ["approved"]
    assert client.get(f"{path}/{10**18}", **said).status_code == 404
    bad = client.post(path, json=wanted | {"items": [0, "1"]}, **said)
    assert bad.status_code == 422 and {each["pointer"] for each in bad.json["errors"]} == {"/items/0", "/items/1"}
    assert client.post(path, json=wanted | {"items": [10**15]}, **said).status_code == 404


def test_a_version_for_some_of_them_is_made_on_the_desk_and_shows_what_is_left_out(
    told_desk: Desk, file_report: Callable[..., str]  # noqa: F811
) -> None:
    reference, officer = file_report(told_desk.sit("liaison-officer"), tlp="GREEN"), told_desk.sit("coordinator")
    path = drafted(officer, reference, facts=["noticed_at"], asks="Look at your logs.")
    assert "What we ask: Look at your logs." in officer.text(path)
    wrong = officer.post(f"{path}/versions", {"version_for": ["FI-CSIRT"], "include": ["title"]})
    assert (wrong.status_code, "Include something that says anything" in wrong.text) == (422, True)
    chosen = {"version_for": ["FI-CSIRT"], "include": ["title", "description", "originator"]}
    assert officer.post(f"{path}/versions", chosen).status_code == 303
    text = officer.text(path)
    assert "Version for FI-CSIRT" in text and "gets a version of its own" in text
    assert "is not told: When it was noticed – by choice What we ask – by choice" in text
    version = f"{path.rsplit('/', 1)[0]}/{int(path.rsplit('/', 1)[1]) + 1}"
    assert "This is all they are told" in officer.text(version)
    assert "Look at your logs" not in officer.text(version)
    assert officer.post(f"{version}/submit", {"recipients": ["FI-CSIRT"]}).status_code == 409
    assert officer.post(f"{path}/submit", {"recipients": ["FI-CSIRT"]}).status_code == 303
    assert "Cleared, nothing has left yet" in officer.text(version)
    again = drafted(officer, reference, facts=["noticed_at"])
    refused = officer.post(f"{again}/versions", {"version_for": ["FI-CSIRT"], "leave-out": "1"})
    assert refused.status_code == 409  # it may have everything


def test_a_version_through_the_api(told_desk: Desk, file_report: Callable[..., str]) -> None:  # noqa: F811
    reference = file_report(told_desk.sit("liaison-officer"), tlp="GREEN")
    client, token = told_desk.app.test_client(), token_for(told_desk.store, "coordinator")
    said = {"headers": {"Authorization": f"Bearer {token}"}}
    path = f"/api/v1/incidents/{reference}/releases"
    wanted = {name: DRAFT[name] for name in ("kind", "title", "body", "purpose", "info_category")}
    made = client.post(path, json=wanted | {"facts": ["noticed_at"]}, **said).json
    assert [each["name"] for each in made["pieces"]][:3] == ["title", "description", "noticed_at"]
    one = f"{path}/{made['id']}"
    version = client.post(f"{one}/versions", json={
        "audience": {"organisations": ["FI-CSIRT"]}, "include": ["title", "description", "originator"]}, **said)
    assert (version.status_code, version.json["version_of"], version.json["body"]) == (
        201, made["id"], "We saw a loader.")
    assert [each["recipients"] for each in client.get(one, **said).json["versions"]] == [version.json["recipients"]]
    assert client.post(f"{one}/leave-out", json={"recipients": ["FI-CSIRT"]}, **said).status_code == 422
    shared = {"audience": {"community": "nobody's"}, "include": ["description"]}
    assert client.post(f"{one}/versions", json=shared, **said).status_code == 422
