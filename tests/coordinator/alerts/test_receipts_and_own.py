"""Texts without case content: receipts, closures, and what our own people are told."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, Delivery
from coordinator.alerts.released import answer_page
from coordinator.alerts.rungs import ack_token
from coordinator.errors import NotFound
from coordinator.incidents.holds import open_holds
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident, IncidentMember, Report
from coordinator.incidents.queries import get_visible
from coordinator.incidents.references import reference_of
from coordinator.incidents.service import change_incident
from coordinator.markings import Marking
from coordinator.partners.models import Contact
from coordinator.sharing.models import Release, ShareDecision
from coordinator.store import Store
from tests.alerting import (
    MailBox,
    agreement,
    due,
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
from tests.factories import OTHER, PARTNER, World, person
from tests.receiving import run_due

CANARY = "Ransomware at a hospital"


@pytest.fixture
def box() -> MailBox:
    return MailBox()


@pytest.fixture
def desk(store: Store, world: World, box: MailBox) -> Iterator[Store]:
    with mail_server(box) as url, settings_of(store, smtp_url=url):
        with store.unit_of_work() as tx:
            put_organisation(tx, PARTNER)
            put_system(tx, "https://csirt.fi.example/hook")
        yield store


def report(tx: Session, world: World, incident: Incident, *, public_id: str = "rep-1", **more: object) -> int:
    fields = {"organisation_id": world.partner_id, "endpoint_id": world.endpoint_id, "incident_id": incident.id, **more}
    row = Report(
        public_id=public_id, received_at=clock.now(), via="webhook", message_id=public_id, raw_digest="0" * 64,
        raw_size=1, format="native", media_type="application/json", data_key_id=incident.data_key_id,
        status_hash=public_id.ljust(64, "0"), tlp="AMBER", disposition="accepted", **fields,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    return row.id


# ---------------------------------------------------------------- receipt


def test_a_receipt_goes_to_the_reporters_system_and_holds_no_case_content(desk: Store, world: World) -> None:
    with desk.unit_of_work() as tx:
        incident = put_incident(tx, tlp="RED", restricted=True)
        told = alerts.send_receipt(tx, report(tx, world, incident))
        [alert] = told.permitted
        assert (alert.recipient, alert.kind, alert.state, alert.ack) == (PARTNER, "receipt", "queued", "")
        assert told.release.marking == {"tlp": "CLEAR"} and told.release.requested_by == "system"
        assert told.release.facts["report"] == "rep-1" and told.release.facts["states_affected"] == []
        [delivery] = tx.execute(select(Delivery)).scalars()
        assert (delivery.kind, delivery.contact_id, delivery.channel_id) == ("webhook", None, None)
        page = answer_page(tx, ack_token(tx, delivery))
        assert CANARY not in repr(page) and "INC-" not in repr(page)
        assert open_holds(tx, incident.id) == []


def test_the_receipt_for_another_coordinators_alert_replies_to_the_reference_it_sent(desk: Store, world: World) -> None:
    with desk.unit_of_work() as tx:
        row = report(tx, world, put_incident(tx), external_id="REF-THEIRS")
        tx.get_one(Report, row).format = "alert"
        assert alerts.send_receipt(tx, row).release.facts["report"] == "REF-THEIRS"


def test_a_reporter_without_a_system_gets_its_receipt_by_mail_but_is_not_called(
    desk: Store, world: World, box: MailBox
) -> None:
    with desk.unit_of_work() as tx:
        put_organisation(tx, OTHER)
        put_contact(tx, phone(), mailbox("lv@lv.example"), code="lv", organisation=OTHER)
        row = report(tx, world, put_incident(tx), organisation_id=world.other_id)
        assert alerts.send_receipt(tx, row).permitted
    run_due(desk)
    [letter] = box.letters
    assert letter.rcpt_tos == ["lv@lv.example"]
    assert b"TLP:CLEAR" in letter.content and CANARY.encode() not in letter.content


@pytest.mark.parametrize("changed", [
    {"endpoint_id": None}, {"organisation_id": None}, {"incident_id": None},
])  # fmt: skip
def test_without_somebody_outside_who_sent_it_there_is_no_receipt(
    desk: Store, world: World, changed: dict[str, object]
) -> None:
    with desk.unit_of_work() as tx:
        assert alerts.send_receipt(tx, report(tx, world, put_incident(tx), **changed)) is None


# ---------------------------------------------------------------- closure


def test_everyone_told_is_told_of_the_closure_each_in_its_thread(desk: Store, world: World) -> None:
    with desk.unit_of_work() as tx:
        put_contact(tx, webhook())
        put_organisation(tx, OTHER)
        put_contact(tx, mailbox("lv@lv.example"), code="lv", organisation=OTHER)
        put_organisation(tx, "SE-CSIRT")
        put_contact(tx, mailbox("se@se.example"), code="se", organisation="SE-CSIRT")
        incident = put_incident(tx)
        alerts.send_receipt(tx, report(tx, world, incident))
        first = alerts.tell(
            tx, incident=incident, kind="initial", title="T", body="B", purpose="network-defence",
            info_category="incident-notification", requested_by="user:99", audience={"organisations": [OTHER]},
            marking=Marking(tlp="GREEN"), ack="",
        )  # fmt: skip
        closed = alerts.send_closure(tx, incident.id)
    assert sorted(alert.recipient for alert in closed.permitted) == [PARTNER, OTHER]
    threads = {alert.recipient: alert.in_reply_to_id for alert in closed.permitted}
    assert threads == {PARTNER: None, OTHER: first.permitted[0].id}
    assert closed.release.in_reply_to_id == first.release.id
    assert closed.release.marking == {"tlp": "CLEAR"}


def test_who_was_told_and_cannot_be_reached_any_more_is_named(desk: Store, world: World) -> None:
    with desk.unit_of_work() as tx:
        put_organisation(tx, OTHER)
        put_contact(tx, mailbox("lv@lv.example"), code="lv", organisation=OTHER)
        incident = put_incident(tx)
        alerts.tell(
            tx, incident=incident, kind="initial", title="T", body="B", purpose="network-defence",
            info_category="incident-notification", requested_by="user:99", audience={"organisations": [OTHER]},
        )  # fmt: skip
        tx.execute(update(Contact).values(active=False))
        tx.expire_all()
        assert [each.code for each in alerts.send_closure(tx, incident.id).unreachable] == [OTHER]


def test_a_closure_of_what_nobody_was_told_tells_nobody(desk: Store) -> None:
    with desk.unit_of_work() as tx:
        assert alerts.send_closure(tx, put_incident(tx).id) is None


# ---------------------------------------------------------------- our own people


def test_everybody_of_a_role_is_told_by_mail_without_case_content(desk: Store, box: MailBox) -> None:
    people = [person(desk, "duty-officer", name) for name in ("Duty One", "Duty Two")]
    with desk.unit_of_work() as tx:
        incident = put_incident(tx, tlp="AMBER")
        told = alerts.tell_own(tx, key="new-incident", role="duty-officer", incident=incident)
        assert {alert.recipient for alert in told} == {each.actor for each in people}
        reference = reference_of(incident)
        results = tx.execute(select(ShareDecision.result, ShareDecision.effective_tlp)).all()
        assert {tuple(each) for each in results} == {("permit", "CLEAR")}
    run_due(desk)
    assert len(box.letters) == 2
    for letter in box.letters:
        text = message_from_bytes(letter.content, policy=policy.default).get_content()
        assert CANARY not in text and reference in text and f"/incidents/{reference}" in text


def test_of_a_restricted_incident_not_even_the_reference_is_mailed(desk: Store, box: MailBox) -> None:
    person(desk, "duty-officer")
    with desk.unit_of_work() as tx:
        alerts.tell_own(tx, key="life-at-risk", role="duty-officer", incident=put_incident(tx, restricted=True))
    run_due(desk)
    letter = box.letters[0].content
    assert b"INC-" not in letter and b"Life" not in letter and b"danger" not in letter
    assert b"Urgent: sign in now" in letter


def test_a_role_that_nobody_has_gives_way_to_the_duty_role(desk: Store) -> None:
    duty = person(desk, "duty-officer")
    with desk.unit_of_work() as tx:
        told = alerts.tell_own(tx, key="task", role="legal-adviser", incident=put_incident(tx))
        assert [alert.recipient for alert in told] == [duty.actor]


def test_without_a_mail_server_or_anybody_nothing_is_raised(desk: Store) -> None:
    with desk.unit_of_work() as tx:
        assert list(alerts.tell_own(tx, key="task", role="coordinator")) == []
    person(desk, "coordinator")
    with settings_of(desk, smtp_url=""), desk.unit_of_work() as tx:
        assert list(alerts.tell_own(tx, key="task", role="coordinator")) == []


def test_a_notice_that_cannot_be_delivered_ends_without_a_task_or_a_hold(desk: Store) -> None:
    duty = person(desk, "duty-officer")
    with desk.unit_of_work() as tx:
        [alert] = alerts.tell_own(tx, key="task", user_id=duty.user_id, incident=put_incident(tx))
        alert_id, incident_id = alert.id, alert.incident_id
    with mail_server(MailBox(answer="550 No")) as url, settings_of(desk, smtp_url=url):
        run_due(desk)
    with desk.read() as tx:
        assert tx.get_one(Alert, alert_id).state == "failed"
        assert open_holds(tx, incident_id) == []


def test_nobody_is_let_into_a_red_incident_by_being_asked_to_clear(desk: Store, world: World) -> None:
    person(desk, "release-authority")
    with desk.unit_of_work() as tx:
        put_contact(tx, phone(), tlp_max="RED", person={"name": "Aino", "email": "aino@fi.example"})
        agreement(tx, ceiling="RED")
        told = alerts.tell(
            tx, incident=put_incident(tx, tlp="RED", restricted=True), kind="initial", title="T", body="B",
            purpose="network-defence", info_category="incident-notification", requested_by="user:99",
            audience={"organisations": [PARTNER]},
            marking=Marking(tlp="RED", named_recipients={"aino@fi.example"}),
        )  # fmt: skip
        assert len(alerts.tell_approvers(tx, told.referred[0].id)) == 1
        assert tx.execute(select(IncidentMember)).first() is None


def test_whom_the_system_let_in_to_clear_does_not_see_what_is_said_as_red_until_a_person_names_them(
    desk: Store, world: World
) -> None:
    clears, lead = person(desk, "release-authority"), person(desk, "duty-officer")
    with desk.unit_of_work() as tx:
        put_organisation(tx, OTHER)
        put_system(tx, "https://lv-out.example/hook", code=OTHER, slug="lv-out")
        put_contact(tx, webhook("lv-out"), code="lv-out", organisation=OTHER)
        incident = put_incident(tx, originator_id=world.partner_id, source_id=world.partner_id, restricted=True)
        told = alerts.tell(
            tx, incident=incident, kind="initial", title="T", body="B", purpose="network-defence",
            info_category="incident-notification", requested_by="user:99", audience={"organisations": [OTHER]},
        )  # fmt: skip
        alerts.tell_approvers(tx, told.referred[0].id)
        reference = reference_of(incident)
        assert get_visible(tx, reference, principal=clears).id == incident.id
        write_item(
            tx, kind="note", content="x", marking=Marking(tlp="RED"), author=lead.actor, incident=incident,
            info_category="incident-notification",
        )  # fmt: skip
        with pytest.raises(NotFound):
            get_visible(tx, reference, principal=clears)
        change_incident(tx, incident.id, {"restricted_to": [clears.user_id]}, principal=lead)
        assert get_visible(tx, reference, principal=clears).id == incident.id


def test_those_who_may_clear_it_are_told_once_and_never_the_one_who_asked(desk: Store, world: World) -> None:
    asked, other = (person(desk, "release-authority", name) for name in ("Rita", "Robert"))
    person(desk, "coordinator")
    with desk.unit_of_work() as tx:
        for code, slug in ((OTHER, "lv-out"), ("SE-CSIRT", "se-out")):
            put_organisation(tx, code)
            put_system(tx, f"https://{slug}.example/hook", code=code, slug=slug)
            put_contact(tx, webhook(slug), code=slug, organisation=code)
        incident = put_incident(tx, originator_id=world.partner_id, source_id=world.partner_id, restricted=True)
        told = alerts.tell(
            tx, incident=incident, kind="initial", title="T", body="B", purpose="network-defence",
            info_category="incident-notification", requested_by=asked.actor,
            audience={"organisations": [OTHER, "SE-CSIRT"]},
        )  # fmt: skip
        assert len(told.referred) == 2
        incident_id = incident.id
    notices = []
    for decision_id in due(desk, "decision.referred"):
        with desk.unit_of_work() as tx:
            notices += [alert.recipient for alert in alerts.tell_approvers(tx, decision_id)]
    assert notices == [other.actor]
    with desk.read() as tx:
        members = select(IncidentMember.user_id).where(IncidentMember.incident_id == incident_id)
        assert tx.execute(members).scalars().all() == [other.user_id]
        kinds = select(Release.kind).where(Release.incident_id == incident_id).order_by(Release.id)
        assert tx.execute(kinds).scalars().all() == ["initial", "notice"]
