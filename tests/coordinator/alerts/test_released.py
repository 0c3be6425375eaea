"""The partner view on both stores: a partner sees what was released to it, and learns of nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.alerts import released
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Acknowledgement, Alert
from coordinator.errors import Gone, NotFound
from coordinator.markings import Marking
from coordinator.sharing.approvals import approve
from coordinator.store import Store
from coordinator.timeline.models import Entry
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
    settings_of,
)
from tests.factories import OTHER, PARTNER, World, person
from workers import deliver as worker


@pytest.fixture
def desk(store: Store, world: World) -> Iterator[Store]:
    box = MailBox()
    with mail_server(box) as url, settings_of(store, smtp_url=url, base_url="https://us.example"):
        with store.unit_of_work() as tx:
            for code in (PARTNER, OTHER):
                put_organisation(tx, code)
                put_contact(tx, mailbox(f"desk@{code.lower()}.example"), code=code, organisation=code)
            agreement(tx)
        yield store


@pytest.fixture
def aino(desk: Store, world: World) -> Principal:
    return person(desk, "partner-user", "Aino", organisation_id=world.partner_id)


@pytest.fixture
def liga(desk: Store, world: World) -> Principal:
    return person(desk, "partner-user", "Liga", organisation_id=world.other_id)


def told(
    store: Store, *codes: str, canary: str = "canary", tlp: str = "AMBER", send: bool = True, kind: str = "initial",
    **more: Any,
) -> int:
    with store.unit_of_work() as tx:
        found = alerts.tell(
            tx, incident=put_incident(tx, tlp=tlp), kind=kind, title=f"{canary} title", body=f"{canary} body",
            purpose="network-defence", info_category="incident-notification", requested_by="user:99", ack="person",
            audience={"organisations": list(codes)}, **more,
        )  # fmt: skip
        alert = found.permitted[0].id
    if send:
        for delivery_id in due(store, "delivery.due"):
            worker.deliver(store, delivery_id)
    return alert


def seen(store: Store, reader: Principal, **asked: Any) -> list[str | None]:
    with store.read() as tx:
        return [line["title"] for line in released.released(tx, reader=reader, **asked)["items"]]


def public_id(store: Store, alert: int) -> str:
    with store.read() as tx:
        return tx.get_one(Alert, alert).public_id


def read(store: Store, reader: Principal, alert: int) -> dict[str, Any]:
    with store.unit_of_work() as tx:
        return released.one_released(tx, public_id(store, alert), reader=reader)


def test_each_partner_sees_what_went_to_it_and_nothing_of_the_other(
    desk: Store, aino: Principal, liga: Principal
) -> None:
    first = told(desk, PARTNER, canary="birch")
    told(desk, OTHER, canary="aspen", tlp="GREEN")
    assert seen(desk, aino) == ["birch title"]
    assert seen(desk, liga) == ["aspen title"]
    assert seen(desk, liga, q="birch") == []
    assert read(desk, aino, first)["body"] == "birch body"
    for nobodys in (public_id(desk, first), "alr-none"):
        with pytest.raises(NotFound), desk.unit_of_work() as tx:
            released.one_released(tx, nobodys, reader=liga)
        with pytest.raises(NotFound), desk.unit_of_work() as tx:
            released.answer_released(tx, nobodys, reader=liga, answer="acknowledged")


def test_what_has_not_left_is_not_there(desk: Store, aino: Principal) -> None:
    told(desk, PARTNER, send=False)
    assert seen(desk, aino) == []


def test_somebody_without_an_organisation_sees_nothing(desk: Store) -> None:
    told(desk, PARTNER)
    assert seen(desk, person(desk, "partner-user", "Nobody")) == []


def test_reading_is_on_record_once(desk: Store, aino: Principal) -> None:
    alert = told(desk, PARTNER)
    read(desk, aino, alert)
    read(desk, aino, alert)
    with desk.read() as tx:
        query = select(func.count()).select_from(Entry).where(Entry.kind == "alert.read", Entry.actor == aino.actor)
        assert tx.execute(query).scalar_one() == 1


def test_an_answer_is_that_of_a_person_who_is_known(desk: Store, aino: Principal) -> None:
    alert = told(desk, PARTNER)
    with desk.unit_of_work() as tx:
        released.answer_released(tx, public_id(desk, alert), reader=aino, answer="acknowledged")
    with desk.read() as tx:
        row = tx.execute(select(Acknowledgement)).scalar_one()
        assert (row.kind, row.assurance, row.by) == ("person", "session", aino.name)
        assert tx.get_one(Alert, alert).state == "acknowledged"


def test_a_request_for_a_consent_waits_for_the_answer_and_not_for_its_receipt(desk: Store, aino: Principal) -> None:
    alert = told(desk, PARTNER, tlp="GREEN", kind="request")
    for answer, waits in (("acknowledged", True), ("question", True), ("refused", False)):
        with desk.unit_of_work() as tx:
            released.answer_released(tx, public_id(desk, alert), reader=aino, answer=answer, note="As agreed.")
        with desk.read() as tx:
            assert released.waiting(tx, reader=aino) == waits, answer
            (line,) = released.released(tx, reader=aino)["items"]
        assert (line["answered_at"] is None) == waits, answer


def test_a_withdrawn_one_says_only_that(desk: Store, aino: Principal) -> None:
    alert = told(desk, PARTNER)
    officer = person(desk, "coordinator")
    with desk.unit_of_work() as tx:
        alerts.withdraw(tx, alert, principal=officer, reason="Wrong partner")
    assert seen(desk, aino) == [None]
    shown = read(desk, aino, alert)
    assert (shown["state"], shown["title"], shown["body"]) == ("withdrawn", None, None)
    with pytest.raises(Gone), desk.unit_of_work() as tx:
        released.answer_released(tx, public_id(desk, alert), reader=aino, answer="acknowledged")


def test_what_was_only_announced_by_mail_is_shown_no_more_when_the_agreement_is_over(
    desk: Store, aino: Principal
) -> None:
    alert = told(desk, PARTNER)
    assert read(desk, aino, alert)["body"] == "canary body"
    with desk.unit_of_work() as tx:
        agreement(tx, expires_on=clock.now())
    shown = read(desk, aino, alert)
    assert (shown["title"], shown["body"], shown["answers"]) == (None, None, [])
    assert seen(desk, aino, q="canary") == []


def test_red_is_there_for_the_person_it_went_to_alone(desk: Store, world: World, aino: Principal) -> None:
    colleague = person(desk, "partner-user", "Eero", organisation_id=world.partner_id)
    with desk.unit_of_work() as tx:
        email = tx.get_one(User, aino.user_id).email
        agreement(tx, ceiling="RED")
        put_contact(
            tx, phone(), code=PARTNER, organisation=PARTNER, tlp_max="RED", person={"name": "Aino", "email": email}
        )
        asked = alerts.tell(
            tx, incident=put_incident(tx, tlp="RED"), kind="initial", title="red title", body="red body",
            purpose="network-defence", info_category="incident-notification", requested_by="user:99", ack="person",
            audience={"organisations": [PARTNER]}, marking=Marking(tlp="RED", named_recipients={email}),
        )  # fmt: skip
    second, officer = person(desk, "release-authority"), person(desk, "coordinator")
    with desk.unit_of_work() as tx:
        alert = alerts.raise_approved(tx, approve(tx, asked.referred[0].id, principal=second).id).id
    with desk.unit_of_work() as tx:
        alerts.acknowledge_for(tx, alert, principal=officer, by="Aino", answer="acknowledged", note=None)
    assert seen(desk, colleague) == []
    assert seen(desk, aino) == ["red title"]
    with pytest.raises(NotFound), desk.unit_of_work() as tx:
        released.one_released(tx, public_id(desk, alert), reader=colleague)


def test_its_pages_hold_each_once(desk: Store, aino: Principal) -> None:
    for number in range(5):
        told(desk, PARTNER, canary=f"c{number}")
    found, before = [], ""
    with desk.read() as tx:
        for _page in range(10):
            shown = released.released(tx, reader=aino, before=before, limit=2)
            found += [line["title"] for line in shown["items"]]
            before = shown["next"] or ""
            if not before:
                break
    assert found == [f"c{number} title" for number in (4, 3, 2, 1, 0)]
