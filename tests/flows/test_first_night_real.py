"""03:10 again, on a real installation: its own web, workers and broker, a mail server, the neighbour's robot.

The clock is the clock. Only the ladder of the call is written down in seconds, where the night has minutes.
"""

from __future__ import annotations

import json
import re
import threading
from email.message import Message
from html import unescape
from pathlib import Path

import pytest
import requests
from sqlalchemy import select, update

from coordinator import clock
from coordinator.accounts import service as accounts
from coordinator.accounts.models import UserSession
from coordinator.alerts.models import Acknowledgement, Alert, Delivery
from coordinator.partners import service as partners
from coordinator.sharing.models import Release, ShareDecision
from coordinator.tasks.models import Task
from coordinator.timeline.models import Pending
from tests.alerting import mailbox, phone, put_contact, put_organisation, webhook
from tests.coordinator.web.conftest import REPORT, visible_text
from tests.factories import PARTNER, person, small_world
from tests.harness.installation import Installation, installation
from tests.harness.mail import MailServer
from tests.harness.processes import wait_for
from tests.harness.receiver import Arrival, Receiver

CASE, PLACE, CALL = "Two hospitals in Turku", "Salo", "Please call our duty desk"
SECONDS = [{"after": "PT1S", "to": "next-channel"}, {"after": "PT2S", "to": "next-channel"}]


class Officer:
    """Somebody in front of the pages, signed in, with a second factor just given."""

    def __init__(self, machine: Installation, role: str) -> None:
        self.url, self.http, self.hidden = machine.base_url, requests.Session(), dict[str, str]()
        self.http.trust_env = False
        user = person(machine.store, role).user_id
        with machine.store.unit_of_work() as tx:
            path = f"/sign-in/{accounts.create_link(tx, user, actor='cli:test')}"
        self.look(path)
        self.send(path)
        with machine.store.unit_of_work() as tx:
            tx.execute(update(UserSession).where(UserSession.user_id == user).values(second_factor_at=clock.now()))

    def look(self, path: str) -> str:
        answer = self.http.get(self.url + path, timeout=60)
        assert answer.status_code == 200, answer.text
        found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', answer.text)
        self.hidden = {name: unescape(value) for name, value in reversed(found)}
        return answer.text

    def send(self, path: str, **said: object) -> str:
        """Post with the hidden fields of the page looked at last; where it leads to."""
        answer = self.http.post(self.url + path, data=self.hidden | said, timeout=60, allow_redirects=False)
        assert answer.status_code == 303, visible_text(answer.text)
        return answer.headers["location"].removeprefix(self.url)


class Night:
    def __init__(self, machine: Installation, mail: MailServer, neighbour: Receiver) -> None:
        self.machine, self.mail, self.neighbour = machine, mail, neighbour
        neighbour.before_answer = self.robot
        small_world(machine.store)
        system = neighbour.partner(PARTNER, "fi-in")
        with machine.store.unit_of_work() as tx:
            put_organisation(tx, PARTNER, name="National CSIRT", country="FI")
            partners.put_endpoint(tx, {
                "id": "fi-out", "organisation": PARTNER, "direction": "out", "url": system.url,
                "secret": system.out_secret,
            }, actor="cli:test")  # fmt: skip
            put_contact(tx, webhook(), mailbox(), phone())
        roles = ("liaison-officer", "coordinator", "release-authority", "duty-officer")
        self.liaison, self.coordinator, self.authority, self.duty = (Officer(machine, role) for role in roles)

    def robot(self, arrival: Arrival) -> None:
        """The neighbour's system takes it in and says so by itself, once our door answers."""

        def answer() -> None:
            said = {"kind": "system", "by": "fi-robot", "answer": "acknowledged"}
            wait_for(lambda: requests.post(arrival.data["acknowledge_api"], json=said, timeout=30).ok, what="an answer")

        threading.Thread(target=answer, daemon=True).start()

    def letters(self, to: str) -> list[Message]:
        return [each for each in list(self.mail.letters) if each["to"] == to]

    def arrived(self, title: str) -> list[Arrival]:
        return [each for each in self.neighbour.kept() if each.data.get("title") == title]

    def alert(self, title: str) -> Alert:
        """The one alert with this text, as it stands."""
        [arrival] = self.arrived(title)
        with self.machine.store.read() as tx:
            return tx.execute(select(Alert).where(Alert.public_id == arrival.data["alert"])).scalar_one()


def said_in(letter: Message) -> str:
    return f"{letter['subject']} {letter.get_payload(decode=True)!r}"


@pytest.mark.slow
def test_the_night_on_a_real_installation(tmp_path: Path) -> None:
    with (
        MailServer() as mail, Receiver(acknowledge=False) as neighbour,
        installation(tmp_path / "var", mail=mail.url) as machine,
    ):  # fmt: skip
        _story(Night(machine, mail, neighbour))
        assert machine.run("record", "verify").startswith("ok ")


def _story(night: Night) -> None:
    store, duty = night.machine.store, night.duty

    # In daylight: one person proposes the words, another clears them.
    night.coordinator.look("/clearances/standing")
    night.coordinator.send("/clearances/standing", title=CALL, body="Call us at once.", language="en", days="180")
    night.authority.look("/clearances/standing")
    night.authority.send("/clearances/standing/1/confirm")

    # At night somebody telephones. The form asks whose information it is; our duty person hears of it without the case.
    night.liaison.look("/report")
    sent = night.liaison.send("/report", **REPORT | {
        "title": CASE, "description": f"Turku and {PLACE} divert patients.", "tlp": "GREEN", "source": "told",
        "originator": PARTNER, "contact_name": "Aino", "told_how": "voice", "humanitarian_flags": ["life-at-risk"],
    })  # fmt: skip
    [reference] = set(re.findall(r"INC-\d{4}-\d{6}", night.liaison.look(sent)))
    to_duty = "duty.officer@ee.example"
    wait_for(lambda: [each for each in night.letters(to_duty) if "Life may be at risk" in each["subject"]],
             what="the duty person to be told")  # fmt: skip
    assert not [each for each in night.letters(to_duty) if CASE in said_in(each) or PLACE in said_in(each)]
    with store.read() as tx:
        told = {each.split(":")[0] for each in tx.execute(select(ShareDecision.recipient)).scalars()}
    assert told <= {"user"}, "nobody outside yet"

    # "Call our desk" goes out on one signature, and holds no word of the case.
    assert "your signature sends it now" in visible_text(duty.look(f"/incidents/{reference}/call?to={PARTNER}"))
    duty.send(f"/incidents/{reference}/call")
    wait_for(lambda: night.arrived(CALL), what="the call to arrive")
    [call] = night.arrived(CALL)
    assert not [word for word in (CASE, "Turku", PLACE, reference) if word.encode() in call.raw]

    # The robot there acknowledges: a ladder that asks for a person goes on, by mail and then by telephone.
    def robots() -> list[str]:
        with store.read() as tx:
            return list(tx.execute(select(Acknowledgement.kind)).scalars())

    wait_for(lambda: robots() == ["system"], what="the robot's answer")
    alert = night.alert(CALL)
    assert alert.acknowledged_at is None
    with store.unit_of_work() as tx:
        tx.execute(update(Release).where(Release.id == alert.release_id).values(ladder=SECONDS))
        tx.execute(update(Pending).where(Pending.kind == "alert.rung", Pending.object_id == alert.id).values(
            ready_at=clock.now()))  # fmt: skip
    wait_for(lambda: night.letters("duty@fi.example"), what="the mail")
    assert not [each for each in night.letters("duty@fi.example") if CASE in said_in(each) or PLACE in said_in(each)]

    def to_call() -> list[int]:
        with store.read() as tx:
            return list(tx.execute(select(Task.id).where(Task.kind == "voice")).scalars())

    [task] = wait_for(to_call, what="the task to telephone")
    assert night.alert(CALL).acknowledged_at is None and robots() == ["system"]
    assert "+358000000" in visible_text(duty.look(f"/tasks/{task}"))
    duty.send(f"/tasks/{task}/complete", outcome="successful", f_spoke_with="Aino", f_answer="acknowledged")
    wait_for(lambda: night.alert(CALL).state == "acknowledged", what="the answer by telephone to count")

    # The facts follow in the same thread, once another person has cleared them.
    facts = {
        "kind": "initial", "audience": "organisations", "organisations": [PARTNER], "title": CASE, "zone": "UTC",
        "sources": "incident", "body": f"Turku and {PLACE} divert patients.", "purpose": "incident-response",
        "ack": "person", "info_category": "incident-notification",
    }  # fmt: skip
    path = f"/incidents/{reference}/alerts/new"
    night.coordinator.look(path)
    looked = night.coordinator.http.post(
        night.machine.base_url + path, data=night.coordinator.hidden | facts | {"step": "look"}, timeout=60
    )
    once = re.search(r'name="once" value="([^"]+)"', looked.text)
    assert once is not None, visible_text(looked.text)
    night.coordinator.send(path, **facts, step="send", once=once[1])
    with store.read() as tx:
        waits = tx.execute(select(ShareDecision.id).where(ShareDecision.result == "refer")).scalars().all()
    assert len(waits) == 1 and night.arrived(CASE) == []
    night.authority.look(f"/clearances/{waits[0]}")
    night.authority.send(f"/clearances/{waits[0]}/approve", hours="72")
    wait_for(lambda: night.arrived(CASE), what="the facts to arrive")
    [came] = night.arrived(CASE)
    assert PLACE in came.data["body"] and came.data["in_reply_to"] == call.data["alert"]
    assert came.data["reference"] == call.data["reference"] and reference not in json.dumps(came.data)

    # Each way was taken once.
    with store.read() as tx:
        ways = tx.execute(select(Delivery.kind).where(Delivery.alert_id == alert.id).order_by(Delivery.id)).scalars()
        assert list(ways) == ["webhook", "email", "voice"]
    assert len(night.letters("duty@fi.example")) == 1
