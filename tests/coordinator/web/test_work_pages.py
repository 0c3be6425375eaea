"""Tasks, the directory, users and the record as pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select

from coordinator import clock
from coordinator.alerts.letters import letter_for
from coordinator.alerts.models import Alert, Delivery
from coordinator.tasks.models import Task
from coordinator.timeline import queries as record
from coordinator.timeline.verify import checkpoint
from tests.alerting import settings_of
from tests.coordinator.interchange.test_stix import an_id, incident
from tests.coordinator.web.conftest import Desk, visible_text
from tests.coordinator.web.test_incident_page import task_on
from tests.factories import PartnerSystem

FORM = {
    "__down__": {"label": "What is down?", "type": "text", "required": True},
    "__risk__": {"label": "Are patients at risk?", "type": "choice", "options": ["yes", "no"], "required": True},
}  # fmt: skip


def test_my_tasks_are_those_of_my_role_and_mine_soonest_first(desk: Desk, file_report: Callable[..., str]) -> None:
    reference, now = file_report(desk.sit("liaison-officer")), clock.now()
    task_on(desk, reference, title="Later", due_at=now + timedelta(hours=5))
    task_on(desk, reference, title="Overdue", due_at=now - timedelta(hours=1))
    task_on(desk, reference, title="Whenever")
    task_on(desk, reference, title="Theirs", role="liaison-officer")
    text = desk.sit("coordinator").text("/tasks")
    assert text.index("Overdue") < text.index("Later") < text.index("Whenever")
    assert "Theirs" not in text and "1 hour late" in text or "60 min late" in text


def test_my_tasks_are_paged_to_the_end(desk: Desk, file_report: Callable[..., str]) -> None:
    reference, now = file_report(desk.sit("liaison-officer")), clock.now()
    for number in range(40):
        task_on(
            desk, reference, title=f"Task {number}", due_at=now + timedelta(hours=number % 7) if number % 2 else None
        )
    coordinator, seen, path = desk.sit("coordinator"), [], "/tasks"
    while path:
        page = coordinator.get(path).text
        seen += re.findall(r'href="/tasks/(\d+)"><bdi>', page)
        following = re.search(r'<a href="(/tasks\?[^"]+)" rel="next">', page)
        path = following[1] if following else ""
    assert len(seen) == len(set(seen)) == 40


def test_a_task_asks_for_its_fields_and_keeps_what_was_written(desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(desk.sit("liaison-officer"))
    number = task_on(desk, reference, fields=FORM, checklist=["Duty doctor reached"])
    coordinator = desk.sit("coordinator")
    page = coordinator.get(f"/tasks/{number}").text
    assert "What is down?" in page and "Duty doctor reached" in page
    wrong = coordinator.post(f"/tasks/{number}/complete", {"f___down__": "Laboratory", "outcome": "successful"})
    assert wrong.status_code == 422 and 'href="#f___risk__"' in wrong.text and "Laboratory" in wrong.text
    done = coordinator.post(
        f"/tasks/{number}/complete", {"f___down__": "Laboratory", "f___risk__": "no", "outcome": "successful"}
    )
    assert done.status_code == 303
    assert "Laboratory" in coordinator.text(f"/incidents/{reference}")


def test_what_could_not_be_done_needs_a_note(desk: Desk, file_report: Callable[..., str]) -> None:
    number = task_on(desk, file_report(desk.sit("liaison-officer")), fields=FORM)
    coordinator = desk.sit("coordinator")
    coordinator.get(f"/tasks/{number}")
    assert coordinator.post(f"/tasks/{number}/complete", {"outcome": "failed"}).status_code == 422
    assert (
        coordinator.post(f"/tasks/{number}/complete", {"outcome": "failed", "f_note": "No answer"}).status_code == 303
    )
    with desk.store.read() as tx:
        assert tx.get_one(Task, number).outcome == "failed"


def test_a_decision_shows_its_options(desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(desk.sit("liaison-officer"))
    number = task_on(desk, reference, kind="decision", title="Ask for help?", options=["ask", "do not ask"])
    coordinator = desk.sit("coordinator")
    page = coordinator.get(f"/tasks/{number}").text
    name = re.search(r'<input type="radio" id="[^"]+" name="([^"]+)" value="do not ask"', page)
    assert name is not None
    assert coordinator.post(f"/tasks/{number}/complete", {name[1]: "do not ask"}).status_code == 303


def test_somebody_takes_a_task_and_others_see_who_has_it(desk: Desk, file_report: Callable[..., str]) -> None:
    number = task_on(desk, file_report(desk.sit("liaison-officer")))
    coordinator = desk.sit("coordinator")
    coordinator.get(f"/tasks/{number}")
    assert coordinator.post(f"/tasks/{number}/assign", {"assignee": "me"}).status_code == 303
    assert "Has it Coordinator" in desk.sit("duty-officer").text(f"/tasks/{number}")


def test_a_task_of_a_restricted_incident_is_not_there_for_others(desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(desk.sit("liaison-officer"), tlp="RED", caveats_named_recipients="x@y.example")
    number = task_on(desk, reference, title="Very quiet")
    coordinator = desk.sit("coordinator")
    assert coordinator.get(f"/tasks/{number}").status_code == 404
    assert "Very quiet" not in coordinator.text("/tasks")


def test_partners_are_added_changed_and_verified(desk: Desk) -> None:
    coordinator = desk.sit("coordinator")
    coordinator.get("/partners/new")
    wrong = coordinator.post("/partners/new", {"code": "se cert", "name": "", "country": "Atlantis"})
    assert wrong.status_code == 422 and {"code", "name", "kind"} <= set(re.findall(r'href="#(\w+)"', wrong.text))
    sent = {"code": "SE-CERT", "name": "CERT of Sweden", "kind": "national-csirt", "country": "Sweden",
            "communities": "cyber-defence nordic"}  # fmt: skip
    assert coordinator.post("/partners/new", sent).status_code == 303
    path = "/partners/SE-CERT/contacts/new"
    coordinator.get(path)
    contact = {"code": "se-duty", "function": "Duty desk", "kind": "technical", "languages": "sv, en", "hours": "24x7",
               "time_zone": "Europe/Stockholm", "order": "1", "tlp_max": "AMBER",
               "channels": "email duty@se.example\nvoice +46800000000"}  # fmt: skip
    assert coordinator.post(path, contact | {"channels": "pigeon coop"}).status_code == 422
    assert coordinator.post(path, contact).status_code == 303
    page = coordinator.text("/partners/SE-CERT")
    assert "E-mail: duty@se.example" in page and "Voice: +46800000000" in page and "Not verified lately" in page
    coordinator.get("/partners/SE-CERT")
    coordinator.post("/partners/SE-CERT/contacts/se-duty/verify")
    assert "1 verified" in coordinator.text("/partners")
    edit = "/partners/SE-CERT/contacts/se-duty/edit"
    assert "email duty@se.example\nvoice +46800000000" in coordinator.get(edit).text
    assert coordinator.post(edit, contact | {"channels": "email duty@se.example"}).status_code == 303
    assert "Voice" not in coordinator.text("/partners/SE-CERT")


def test_a_secret_is_shown_once_and_rotated_with_overlap(desk: Desk) -> None:
    administrator = desk.sit("administrator")
    path = "/partners/FI-CSIRT/endpoints/new"
    administrator.get(path)
    made = administrator.post(path, {"id": "fi-two", "direction": "in"})
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", made.text)
    assert secret is not None
    page = administrator.get("/partners/FI-CSIRT").text
    assert secret[0] not in page
    taken = administrator.post(path, {"id": "fi-two", "direction": "in"})
    assert taken.status_code == 422
    number = re.findall(r"/endpoints/(\d+)/rotate", page)[-1]
    rotated = administrator.post(f"/endpoints/{number}/rotate")
    assert "7 more days" in visible_text(rotated.text) and "whsec_" in rotated.text
    assert desk.sit("coordinator").get(path).status_code == 403


def test_a_system_is_held_to_more_of_stix_and_what_was_remarked_on_is_folded_on_the_page_of_the_case(
    desk: Desk,
) -> None:
    administrator = desk.sit("administrator")
    partner = PartnerSystem(desk.app.test_client(), desk.world)
    sent = {"type": "bundle", "id": an_id("bundle"), "objects": [incident(rank=3)]}
    assert partner.post(sent, content_type="application/stix+json").status_code == 202
    coordinator = desk.sit("coordinator")
    reference = re.search(r"INC-\d{4}-\d{6}", coordinator.text("/board"))
    assert reference is not None
    page = coordinator.text(f"/incidents/{reference[0]}")
    assert "STIX has 1 remark" in page and "401 Put custom content into" in page
    [path] = re.findall(r'action="(/endpoints/\d+/stix)"', administrator.get("/partners/FI-CSIRT").text)
    assert administrator.post(path, {"stix_asks": "recommended", "stix_without": "302, 103"}).status_code == 303
    assert "held to: recommended without-302 without-103" in administrator.text("/partners/FI-CSIRT")
    assert partner.post(sent, content_type="application/stix+json").status_code == 422
    assert administrator.post(path, {"stix_without": "everything"}).status_code == 422
    assert coordinator.post(path, {}).status_code == 403


def test_the_administrator_invites_and_suspends(desk: Desk) -> None:
    administrator = desk.sit("administrator")
    administrator.get("/users/new")
    wrong = administrator.post("/users/new", {"email": "nonsense", "name": "", "role": "king"})
    assert wrong.status_code == 422 and {"email", "name", "role"} <= set(re.findall(r'href="#(\w+)"', wrong.text))
    made = administrator.post("/users/new", {"email": "new@ee.example", "name": "New One", "role": "liaison-officer"})
    link = re.search(r"/sign-in/([\w-]+)", made.text)
    assert link is not None
    newcomer = desk.visitor()
    newcomer.get(link[0])
    assert newcomer.post(link[0]).status_code == 303 and newcomer.get("/board").status_code == 200
    page = administrator.get("/users").text
    number = re.search(r'id="stop-(\d+)"><summary>Suspend<span class="unseen"> New One', page)
    assert number is not None
    administrator.post(f"/users/{number[1]}/suspend", {"reason": "Left"})
    assert newcomer.get("/board").status_code == 302
    again = administrator.post("/users/new", {"email": "new@ee.example", "name": "Twin", "role": "liaison-officer"})
    assert again.status_code == 409


def test_the_link_goes_to_the_new_accounts_own_mail_and_the_administrator_does_not_see_it(desk: Desk) -> None:
    administrator = desk.sit("administrator")
    administrator.get("/users/new")
    with settings_of(desk.store, smtp_url="smtp://127.0.0.1:9"):
        made = administrator.post("/users/new", {"email": "new@ee.example", "name": "New", "role": "liaison-officer"})
        assert made.status_code == 303 and "/sign-in/" not in made.text
        page = administrator.get("/users")
        assert "/sign-in/" not in page.text and "its own mail address" in page.text
        with desk.store.read() as tx:
            delivery = tx.execute(select(Delivery)).scalar_one()
            letter, _ = letter_for(tx, tx.get_one(Alert, delivery.alert_id), delivery)
            again, _ = letter_for(tx, tx.get_one(Alert, delivery.alert_id), delivery)
    link = re.search(r"/sign-in/([\w-]+)", letter.body)
    assert link is not None and letter == again and link[1] not in letter.subject
    newcomer = desk.visitor()
    newcomer.get(link[0])
    assert newcomer.post(link[0]).status_code == 303 and newcomer.get("/board").status_code == 200
    assert desk.visitor().get(link[0]).status_code in (404, 410)


def test_without_a_mail_server_the_link_is_shown_and_that_is_on_record(desk: Desk) -> None:
    administrator = desk.sit("administrator")
    administrator.get("/users/new")
    made = administrator.post("/users/new", {"email": "new@ee.example", "name": "New", "role": "liaison-officer"})
    assert "/sign-in/" in made.text
    with desk.store.read() as tx:
        kinds = [each["kind"] for each in record.entries(tx, incident_id=None, limit=200)]
    assert kinds.count("link.shown") == 1


def test_the_record_is_proven_on_the_page(desk: Desk, file_report: Callable[..., str]) -> None:
    file_report(desk.sit("liaison-officer"))
    with desk.store.unit_of_work() as tx:
        checkpoint(tx)
    auditor = desk.sit("auditor")
    assert "Checkpoint 1" in auditor.text("/record")
    kept = auditor.get("/record/checkpoints/1")
    auditor.get("/record")
    import io

    held = visible_text(auditor.post("/record/verify", {"against": (io.BytesIO(kept.data), "c.json")}).text)
    assert "The record holds" in held and "Holds against checkpoint 1" in held
    auditor.get("/record")
    wrong = auditor.post("/record/verify", {"against": (io.BytesIO(b"nonsense"), "c.json")})
    assert wrong.status_code == 400 and "not a checkpoint" in visible_text(wrong.text)
