"""The ledger on both stores: what left and what did not, since when, for whom to see, and as a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, update

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Delivery, DeliveryAttempt
from coordinator.errors import NotFound, NotSignedIn
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking
from coordinator.status import ledger, ledger_file
from coordinator.status.ledger import Asked
from coordinator.store import Store
from coordinator.timeline import queries as record
from tests.alerting import (
    MailBox,
    agreement,
    due,
    mail_server,
    mailbox,
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
    with mail_server(box) as url, settings_of(store, smtp_url=url):
        with store.unit_of_work() as tx:
            for code in (PARTNER, OTHER):
                put_organisation(tx, code)
                put_contact(tx, mailbox(f"desk@{code.lower()}.example"), code=code, organisation=code)
        yield store


def opened(store: Store, **more: Any) -> tuple[int, str]:
    with store.unit_of_work() as tx:
        row = put_incident(tx, **more)
        return row.id, reference_of(row)


def told(store: Store, incident_id: int, *codes: str, items: Any = (), **more: Any) -> list[int]:
    """Tell these partners; the alerts' ids."""
    with store.unit_of_work() as tx:
        incident = tx.get_one(Incident, incident_id)
        said = {
            "kind": "initial", "title": "Ransomware seen", "body": "What we saw.", "purpose": "network-defence",
            "info_category": "incident-notification", "requested_by": "user:99", "incident": incident, "ack": "",
            "audience": {"organisations": list(codes)}, **more,
        }  # fmt: skip
        return [one.id for one in alerts.tell(tx, items=items, **said).permitted]


def sent(store: Store) -> None:
    for delivery_id in due(store, "delivery.due"):
        worker.deliver(store, delivery_id)


def reader(role: str = "coordinator") -> Principal:
    """Somebody of this role who is named in nothing."""
    return Principal(user_id=4711, name="Reader", role=role)


def lines(
    store: Store, role: str = "coordinator", *, limit: int = 50, cursor: str = "", **asked: str
) -> dict[str, Any]:
    with store.read() as tx:
        return ledger.lines(tx, principal=reader(role), asked=Asked(**asked), limit=limit, cursor=cursor)


def test_what_was_only_decided_is_no_line_and_what_was_handed_over_is_one(desk: Store) -> None:
    incident, reference = opened(desk)
    [alert] = told(desk, incident, PARTNER)
    assert lines(desk)["items"] == []
    sent(desk)
    [line] = lines(desk)["items"]
    assert (line["alert"], line["recipient"], line["incident"], line["sure"], line["channel"], line["tlp"]) == (
        alert, PARTNER, reference, "handed-over", "email", "GREEN")  # fmt: skip
    assert line["title"] == "Ransomware seen"
    with desk.read() as tx:
        assert line["since"] == tx.execute(select(DeliveryAttempt.at)).scalar_one()


def test_a_try_nobody_confirmed_counts_as_perhaps_and_a_withheld_one_not_at_all(desk: Store) -> None:
    incident, _ = opened(desk)
    tried, held = told(desk, incident, PARTNER, OTHER)
    with desk.unit_of_work() as tx:
        for alert, outcome in ((tried, "retry"), (held, "withheld")):
            delivery = tx.execute(select(Delivery).where(Delivery.alert_id == alert)).scalar_one()
            tx.add(DeliveryAttempt(
                delivery_id=delivery.id, number=1, decision_id=delivery.decision_id, at=clock.now(), outcome=outcome,
            ))  # fmt: skip
    assert [(line["alert"], line["sure"]) for line in lines(desk)["items"]] == [(tried, "perhaps")]


def test_an_answer_is_the_surest(desk: Store) -> None:
    incident, _ = opened(desk)
    [alert] = told(desk, incident, PARTNER, ack="person")
    sent(desk)
    officer = person(desk, "coordinator")
    with desk.unit_of_work() as tx:
        alerts.acknowledge_for(tx, alert, principal=officer, by="Duty desk", answer="acknowledged", note=None)
    [line] = lines(desk)["items"]
    assert line["sure"] == "answered" and line["acknowledged_at"] is not None


def test_it_is_asked_by_incident_by_partner_and_by_item(desk: Store) -> None:
    first, reference = opened(desk)
    second, _ = opened(desk)
    with desk.unit_of_work() as tx:
        version = write_item(
            tx, kind="note", content="A hash.", marking=Marking(tlp="GREEN"), originator_id=None,
            info_category="incident-notification", author="user:99", incident=tx.get_one(Incident, first),
        )  # fmt: skip
        item, items = version.item, [version]
        tx.flush()
        tx.expunge_all()
    [one] = told(desk, first, PARTNER, items=items)
    [two] = told(desk, second, OTHER)
    sent(desk)

    def found(**asked: str) -> list[int]:
        return [line["alert"] for line in lines(desk, **asked)["items"]]

    assert found() == [two, one]
    assert found(incident=reference) == found(partner=PARTNER) == found(item=item) == [one]
    for unknown in ({"incident": "INC-2026-009999"}, {"partner": "NOBODY"}, {"item": "itm-none"}):
        with pytest.raises(NotFound):
            found(**unknown)


def test_it_is_asked_by_the_agreement_it_went_under(desk: Store) -> None:
    with desk.unit_of_work() as tx:
        agreement(tx, agreement_id="MOU-FI", clause_refs={"personal_data": "9", "encryption_in_transit": "8"})
        agreement(tx, agreement_id="MOU-LV", code=OTHER)
    incident, _reference = opened(desk)
    fi, _lv = told(desk, incident, PARTNER, OTHER, marking=Marking(tlp="GREEN"))
    sent(desk)
    [line] = lines(desk, agreement="MOU-FI")["items"]
    assert (line["alert"], line["agreement"], line["clauses"]) == (fi, "MOU-FI", ["9", "8"])
    assert [each["recipient"] for each in as_file(desk, agreement="MOU-FI")] == [PARTNER]
    with pytest.raises(NotFound):
        lines(desk, agreement="MOU-XX")


def test_what_one_may_not_know_of_is_in_no_line_and_no_answer(desk: Store) -> None:
    incident, reference = opened(desk)
    told(desk, incident, PARTNER)
    sent(desk)
    with desk.unit_of_work() as tx:
        tx.execute(update(Incident).values(restricted=True))
    assert len(lines(desk, "duty-officer")["items"]) == 1
    assert lines(desk)["items"] == []
    with pytest.raises(NotFound):
        lines(desk, incident=reference)


def test_exercises_stand_apart(desk: Store) -> None:
    told(desk, opened(desk)[0], PARTNER)
    sent(desk)
    assert len(lines(desk)["items"]) == 1
    assert lines(desk, exercise="EX-1")["items"] == []


def test_its_pages_hold_every_line_once(desk: Store) -> None:
    for _ in range(3):
        told(desk, opened(desk)[0], PARTNER, OTHER)
    sent(desk)
    seen, cursor = [], ""
    for _page in range(10):
        shown = lines(desk, limit=4, cursor=cursor)
        seen += [line["alert"] for line in shown["items"]]
        cursor = shown["next"] or ""
        if not cursor:
            break
    assert len(seen) == 6 and seen == sorted(set(seen), reverse=True)


def as_file(store: Store, **asked: str) -> list[dict[str, Any]]:
    """The ledger as a file, by column."""
    with store.unit_of_work() as tx:
        ledger_file.begin(tx, principal=reader(), asked=Asked(**asked))
    batches = ledger_file.batches(store, principal=reader(), asked=Asked(**asked))
    return [dict(zip(ledger_file.COLUMNS, row, strict=True)) for batch in batches for row in batch]


def test_taking_it_out_as_a_file_is_on_record(desk: Store) -> None:
    incident, reference = opened(desk)
    told(desk, incident, PARTNER, title="Seen here")
    sent(desk)
    [cells] = as_file(desk, incident=reference)
    assert (cells["title"], cells["recipient"]) == ("Seen here", PARTNER)
    with desk.read() as tx:
        kinds = [entry["kind"] for entry in record.entries(tx, incident_id=incident, after=0, limit=50)]
    assert "ledger.exported" in kinds
    with pytest.raises(NotFound):
        as_file(desk, incident="INC-2026-009999")


def test_the_file_is_read_a_few_lines_at_a_time_and_holds_each_once(
    desk: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_file, "AT_ONCE", 2)
    for _ in range(3):
        told(desk, opened(desk)[0], PARTNER, OTHER)
    sent(desk)
    batches = ledger_file.batches(desk, principal=reader(), asked=Asked())
    first = next(batches)
    told(desk, opened(desk)[0], PARTNER)
    sent(desk)  # between two batches nothing of the file keeps the database: whoever writes does not wait
    rest = list(batches)
    ids = [row[ledger_file.COLUMNS.index("public_id")] for batch in (first, *rest) for row in batch]
    assert ([len(each) for each in (first, *rest)], len(set(ids))) == ([2, 2, 2], 6)


def test_the_file_breaks_off_when_the_account_is_stopped(desk: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_file, "AT_ONCE", 1)
    told(desk, opened(desk)[0], PARTNER, OTHER)
    sent(desk)
    officer = person(desk, "coordinator")
    batches = ledger_file.batches(desk, principal=officer, asked=Asked())
    assert len(next(batches)) == 1
    with desk.unit_of_work() as tx:
        tx.get_one(User, officer.user_id).state = "suspended"
    with pytest.raises(NotSignedIn):
        next(batches)
