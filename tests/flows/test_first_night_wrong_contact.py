"""The alert went to the wrong contact, a mail bounces, a mailbox is unknown, a partner's system is gone.

Through the real pages, a real mail server that refuses one address, and a real receiver; the jobs run as the relay's
table says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import select
from werkzeug import Request, Response

from coordinator.alerts import service as alerts
from coordinator.incidents.references import reference_of
from coordinator.partners.models import Contact, Endpoint
from coordinator.store import Store
from coordinator.tasks.models import Task
from tests.alerting import (
    MailBox,
    alert_of,
    deliveries,
    mail_server,
    mailbox,
    phone,
    put_contact,
    put_incident,
    put_organisation,
    put_system,
    settings_of,
    webhook,
)
from tests.coordinator.web.conftest import Browser, Desk, visible_text
from tests.factories import PARTNER, small_world
from tests.workers.drained import drain

CASE = "Ransomware at a hospital"
UNKNOWN = "gone@fi.example"


@dataclass
class RefusingBox(MailBox):
    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address == UNKNOWN:
            return "550 5.1.1 No such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@dataclass
class Story:
    desk: Desk
    store: Store
    box: MailBox
    status: int = 202
    events: list[dict[str, Any]] = field(default_factory=list)
    reference: str = ""
    alert_id: int = 0

    def take(self, request: Request) -> Response:
        self.events.append(json.loads(request.get_data()))
        return Response(status=self.status)

    def tell(self) -> str:
        """An alert to FI that asks for a person; returns the path of its page."""
        owner = self.desk.who("coordinator")
        with self.store.unit_of_work() as tx:
            incident = put_incident(tx, owner_id=owner.user_id)
            told = alerts.tell(
                tx, incident=incident, kind="initial", title=CASE, body="What we saw.", purpose="network-defence",
                info_category="incident-notification", requested_by=owner.actor, ack="person",
                audience={"organisations": [PARTNER]},
            )  # fmt: skip
            self.reference, self.alert_id = reference_of(incident), told.permitted[0].id
        self.follows()
        return f"/incidents/{self.reference}/alerts/{self.alert_id}"

    def follows(self) -> None:
        drain(self.store, leave=())

    def ways(self) -> list[tuple[str, str]]:
        return [(each.kind, each.state) for each in deliveries(self.store, self.alert_id)]

    def tasks(self) -> list[str]:
        with self.store.read() as tx:
            return list(tx.execute(select(Task.title).where(Task.state == "open").order_by(Task.id)).scalars())

    def mails(self, to: str) -> list[Any]:
        found = [message_from_bytes(each.content, policy=policy.default) for each in self.box.letters]
        return [each for each in found if str(each["To"]) == to]

    def suspect(self) -> list[str]:
        with self.store.read() as tx:
            query = select(Contact.code).where(Contact.suspect_since.is_not(None)).order_by(Contact.code)
            return list(tx.execute(query).scalars())


@pytest.fixture
def story(sqlite_store: Store, httpserver: HTTPServer) -> Iterator[Story]:
    box = RefusingBox()
    with mail_server(box) as url, settings_of(sqlite_store, smtp_url=url, outbound_allow_private=True):
        made = Story(Desk(sqlite_store, small_world(sqlite_store)), sqlite_store, box)
        httpserver.expect_request("/hook").respond_with_handler(made.take)
        with sqlite_store.unit_of_work() as tx:
            put_organisation(tx, PARTNER, country="FI")
            put_system(tx, httpserver.url_for("/hook"))
            put_contact(tx, webhook(), code="fi-wrong", order=1)
            put_contact(tx, mailbox("right@fi.example"), mailbox(UNKNOWN), phone(), code="fi-right", order=2)
        yield made


def pressed(browser: Browser, page: str, path: str, **data: str) -> str:
    browser.get(page)
    answer = browser.post(path, data)
    assert answer.status_code == 303, visible_text(answer.text)
    return browser.text(page)


def test_an_alert_to_the_wrong_contact_finds_its_way_and_is_taken_back(story: Story) -> None:
    page = story.tell()
    assert story.ways() == [("webhook", "delivered")]

    reader, link = story.desk.visitor(), story.events[0]["data"]["acknowledge_url"].split("8080", 1)[1]
    reader.get(link)
    assert reader.post(link, {"answer": "not-for-me", "by": "A reader"}).status_code == 303
    story.follows()
    assert story.suspect() == ["fi-wrong"]
    assert story.tasks() == [f"Check the points of contact at {PARTNER}"]
    assert story.ways() == [("webhook", "delivered"), ("email", "handed-over")]
    (mail,) = story.mails("right@fi.example")
    message_id = deliveries(story.store, story.alert_id)[1].webhook_id
    assert str(mail["Message-ID"]).startswith(f"<{message_id}@")

    coordinator = story.desk.sit("coordinator")
    shown = coordinator.text(page)
    assert "Handed over" in shown and "It came back" in shown
    bounced = deliveries(story.store, story.alert_id)[1].id
    pressed(coordinator, page, f"{page}/deliveries/{bounced}/bounced")
    coordinator.get(page)
    assert coordinator.post(f"{page}/deliveries/{bounced}/bounced").status_code == 303  # pressed twice: noted once
    story.follows()
    # the next mailbox is refused by its server, so the ladder comes to the telephone
    assert story.ways()[1:] == [("email", "failed"), ("email", "failed"), ("voice", "handed-over")]
    assert story.suspect() == ["fi-wrong"]  # the other contact is still reached by telephone
    assert [title for title in story.tasks() if title.startswith("Call")] == [f"Call {PARTNER}: an alert"]
    shown = coordinator.text(page)
    assert "Came back" in shown and "refused" in shown

    assert "withdrawn" in pressed(coordinator, page, f"{page}/withdraw", reason="It was for somebody else.").casefold()
    story.follows()
    answer = reader.get(link)
    assert answer.status_code == 410 and "This alert was withdrawn." in visible_text(answer.text)
    assert CASE not in answer.text and "What we saw" not in answer.text
    assert not [title for title in story.tasks() if title.startswith("Call")]
    assert reader.post(link, {"answer": "acknowledged", "by": "A reader"}).status_code == 410


def test_a_system_that_answers_gone_is_not_used_again_and_a_coordinator_is_told(story: Story) -> None:
    story.status = 410
    story.tell()
    assert story.ways() == [("webhook", "failed"), ("email", "handed-over")]
    with story.store.read() as tx:
        assert tx.execute(select(Endpoint.state).where(Endpoint.slug == "fi-out")).scalar_one() == "disabled"
    (task,) = story.tasks()
    assert task.startswith("The endpoint fi-out answered that it is gone")
    subjects = [str(each["Subject"]) for each in story.mails("coordinator@ee.example")]
    assert any("A task waits for you" in subject for subject in subjects)

    before = len(story.events)
    story.tell()
    assert len(story.events) == before and story.ways() == [("email", "handed-over")]
    assert alert_of(story.store, story.alert_id).state == "handed-over"
