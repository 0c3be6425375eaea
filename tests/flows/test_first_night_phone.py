"""03:10, hospitals of a neighbour are encrypted and patients are diverted: from the telephone to the neighbour's desk.

Through the real pages and the real door for answers, with a real mail server and a real receiver; the jobs run as the
relay's table says, and the clock is moved where the night would pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
import time_machine
from pytest_httpserver import HTTPServer
from sqlalchemy import select
from werkzeug import Request, Response

from coordinator.alerts.models import Alert, Delivery
from coordinator.sharing.models import ShareDecision
from coordinator.store import Store
from coordinator.tasks.models import Task
from tests.alerting import (
    MailBox,
    alert_of,
    mail_server,
    mailbox,
    phone,
    put_contact,
    put_organisation,
    put_system,
    settings_of,
    webhook,
)
from tests.asked import asked
from tests.coordinator.web.conftest import REPORT, Browser, Desk, visible_text
from tests.factories import PARTNER, small_world
from tests.workers.drained import drain

NIGHT = datetime(2026, 11, 22, 1, 10, tzinfo=UTC)  # 03:10 in Tallinn
CASE = "Two hospitals in Turku"


class Night:
    """The desk, the neighbour's system and mailbox, and what arrived there."""

    def __init__(self, store: Store, box: MailBox) -> None:
        self.desk, self.store, self.box = Desk(store, small_world(store)), store, box
        self.events = list[dict[str, Any]]()

    def take(self, request: Request) -> Response:
        """The neighbour's system takes it in and acknowledges by itself."""
        self.events.append(json.loads(request.get_data()))
        path = self.events[-1]["data"]["acknowledge_api"].split("127.0.0.1:8080", 1)[1]
        robot = {"kind": "system", "by": "fi-robot", "answer": "acknowledged"}
        assert self.desk.visitor().client.post(path, json=robot).status_code == 200
        return Response(status=202)

    def follows(self) -> None:
        drain(self.store, leave=())

    def letters(self, to: str) -> list[tuple[str, str]]:
        found = [message_from_bytes(each.content, policy=policy.default) for each in self.box.letters]
        return [(str(each["Subject"]), each.get_content()) for each in found if str(each["To"]) == to]

    def alert(self, kind: str) -> Alert:
        with self.store.read() as tx:
            return tx.execute(select(Alert).where(Alert.kind == kind)).scalar_one()


@pytest.fixture
def night(sqlite_store: Store, httpserver: HTTPServer) -> Iterator[Night]:
    box = MailBox()
    with mail_server(box) as url, settings_of(sqlite_store, smtp_url=url, outbound_allow_private=True):
        made = Night(sqlite_store, box)
        httpserver.expect_request("/hook").respond_with_handler(made.take)
        with sqlite_store.unit_of_work() as tx:
            put_organisation(tx, PARTNER, name="National CSIRT", country="FI")
            put_system(tx, httpserver.url_for("/hook"))
            put_contact(tx, webhook(), mailbox(), phone())
        yield made


def cleared_beforehand(night: Night) -> None:
    """In daylight: one person proposes the text, another clears it."""
    first, second = night.desk.sit("coordinator"), night.desk.sit("release-authority")
    page = "/clearances/standing"
    first.get(page)
    text = {"title": "Please call our duty desk", "body": "Call us at once on the number you have.", "language": "en"}
    assert first.post(page, text | {"days": "180"}).status_code == 303
    assert "Clear this text" not in first.text(page)
    assert "Clear this text" in second.text(page)
    second.get(page)
    assert second.post(f"{page}/1/confirm").status_code == 303
    night.follows()


def filed_by_phone(night: Night) -> str:
    officer = night.desk.sit("liaison-officer")
    officer.get("/report")
    answer = officer.post("/report", REPORT | {
        "title": CASE, "description": "Turku and Salo divert patients.", "tlp": "GREEN", "source": "told",
        "originator": PARTNER, "contact_name": "Aino", "contact_phone": "+358401234567", "told_how": "voice",
        "humanitarian_flags": ["life-at-risk"], "noticed_at_date": "2026-11-22", "noticed_at_time": "03:05",
    })  # fmt: skip
    assert answer.status_code == 303, visible_text(answer.text)
    found = re.search(r"INC-\d{4}-\d{6}", officer.text(answer.location))
    assert found is not None
    return found[0]


def asked_to_call(duty: Browser, reference: str) -> str:
    """Choose, look at the ladder, send: what the page said before anything left."""
    assert "Ask them to call us" in duty.text(f"/incidents/{reference}")
    assert "National CSIRT (FI-CSIRT)" in duty.text(f"/incidents/{reference}/call")
    before = duty.text(f"/incidents/{reference}/call?to={PARTNER}")
    assert duty.post(f"/incidents/{reference}/call").status_code == 303
    return before


def test_a_night_call_reaches_the_neighbours_desk_before_the_facts_do(night: Night) -> None:
    with time_machine.travel(NIGHT - timedelta(days=3), tick=True):
        night.desk.who("liaison-officer")
        cleared_beforehand(night)

    with time_machine.travel(NIGHT, tick=True):
        duty_officer = night.desk.who("duty-officer")
        reference = filed_by_phone(night)
        night.follows()
        told = night.letters("duty.officer@ee.example")
        assert "[TLP:CLEAR] Life may be at risk: look now" in [subject.split(" (")[0] for subject, _ in told]
        assert all(CASE not in subject + body and "Turku" not in body for subject, body in told)
        with night.store.read() as tx:  # before any rule on release to others was looked at, and to nobody else
            assert {row.split(":")[0] for row in tx.execute(select(ShareDecision.recipient)).scalars()} == {"user"}

        duty = night.desk.sit("duty-officer")
        page = duty.text(f"/incidents/{reference}")
        assert "Originator FI-CSIRT claimed, not confirmed" in page and "by voice, entered by an officer" in page
        before = asked_to_call(duty, reference)
        assert "The rules permit it: your signature sends it now." in before
        rungs = re.findall(r"([\w-]+) – fi-duty Permitted (at once|after \d+ minutes)", before)
        assert rungs == [("Webhook", "at once"), ("E-mail", "after 10 minutes"), ("Voice", "after 20 minutes")], before
        night.follows()
        call = night.alert("call-our-desk")
        assert [event["data"]["title"] for event in night.events] == ["Please call our duty desk"]
        sent = json.dumps(night.events[0])
        assert CASE not in sent and "Turku" not in sent and reference not in sent
        assert night.events[0]["data"]["tlp"] == "CLEAR" and "states_affected" not in night.events[0]["data"]
        with night.store.read() as tx:
            decision = tx.get_one(ShareDecision, call.decision_id)
            assert (decision.result, decision.requested_by) == ("permit", duty_officer.actor)
        assert alert_of(night.store, call.id).state == "delivered"  # the robot's answer does not stop it

    with time_machine.travel(NIGHT + timedelta(minutes=11), tick=True):
        night.follows()
        ((subject, body),) = night.letters("duty@fi.example")
        assert "Please call our duty desk" in subject and CASE not in body
        assert alert_of(night.store, call.id).state == "delivered"

    with time_machine.travel(NIGHT + timedelta(minutes=21), tick=True):
        night.follows()
        with night.store.read() as tx:
            task = tx.execute(select(Task).where(Task.kind == "voice")).scalar_one()
        said = asked(night.store, task).instructions
        assert "+358000000" in said and "Call us at once on the number you have." in said
        duty = night.desk.sit("duty-officer")
        duty.get(f"/tasks/{task.id}")
        done = {"outcome": "successful", "f_spoke_with": "Aino", "f_answer": "acknowledged"}
        assert duty.post(f"/tasks/{task.id}/complete", done).status_code == 303
        night.follows()
        assert alert_of(night.store, call.id).state == "acknowledged"

    with time_machine.travel(NIGHT + timedelta(minutes=50), tick=True):
        night.follows()
        assert len(night.letters("duty@fi.example")) == 1  # nobody is asked any more
        facts_follow(night, reference, call)


def facts_follow(night: Night, reference: str, call: Alert) -> None:
    """The whole text needs the release authority, and follows in the same thread."""
    coordinator, authority = night.desk.sit("coordinator"), night.desk.sit("release-authority")
    written = {
        "kind": "initial", "audience": "organisations", "organisations": [PARTNER], "title": CASE,
        "sources": "incident", "body": "Turku and Salo divert patients.",
        "purpose": "incident-response", "ack": "person", "zone": "UTC",
        "info_category": "incident-notification",
    }  # fmt: skip
    path = f"/incidents/{reference}/alerts/new"
    coordinator.get(path)
    looked = coordinator.post(path, written | {"step": "look"})
    assert "The whole ladder" in visible_text(looked.text)
    once = re.search(r'name="once" value="([^"]+)"', looked.text)
    assert once is not None
    assert coordinator.post(path, written | {"step": "send", "once": once[1]}).status_code == 303
    night.follows()
    assert len(night.events) == 1
    number = re.search(r'href="/clearances/(\d+)"', authority.get("/clearances").text)
    assert number is not None
    authority.get(f"/clearances/{number[1]}")
    assert authority.post(f"/clearances/{number[1]}/approve", {"hours": "72"}).status_code == 303
    night.follows()
    assert [event["data"]["kind"] for event in night.events] == ["initial", "initial"]
    assert night.events[1]["data"]["in_reply_to"] == night.events[0]["data"]["alert"] == call.public_id
    assert night.events[1]["data"]["reference"] == night.events[0]["data"]["reference"]
    assert "Turku" in night.events[1]["data"]["body"]
    with night.store.read() as tx:
        kinds = tx.execute(select(Delivery.kind).order_by(Delivery.id)).scalars().all()
    assert [kind for kind in kinds if kind != "email"] == ["webhook", "voice", "webhook"]
