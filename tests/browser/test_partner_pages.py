"""The partner's own pages with something on them: usable by everyone, on a narrow screen too."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from coordinator import clock
from coordinator.alerts import recalls
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, Delivery, DeliveryAttempt
from coordinator.incidents.models import Incident
from tests.alerting import agreement, mailbox, put_contact, put_incident, put_organisation, settings_of
from tests.browser.conftest import Site
from tests.browser.test_everyone_can_use_it import findings
from tests.factories import PARTNER, person

AS_REAL = {"base_url": "https://us.example", "smtp_url": "smtp://127.0.0.1:9"}
LONG = "A very long word: " + "x" * 90


@pytest.fixture
def told(site: Site) -> list[str]:
    """Waiting for an answer with a time to keep it, in a long and in an Arabic word; withdrawn, recalled and not given
    now. The public ids in this order."""
    site.people["partner-user"] = person(site.store, "partner-user", "Aino", site.world.partner_id)
    officer = person(site.store, "coordinator", "Officer")
    with site.store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_contact(tx, mailbox())
        agreement(tx, retention_max="P1Y")
    numbers = []
    for tlp, title in (("AMBER", LONG), ("GREEN", "هجوم على شبكة الكهرباء"), ("GREEN", "Back"), ("GREEN", "Recalled"),
                       ("GREEN", "Raised")):  # fmt: skip
        with settings_of(site.store, **AS_REAL), site.store.unit_of_work() as tx:
            incident = put_incident(tx, tlp=tlp)
            told = alerts.tell(
                tx, incident=incident, kind="initial", title=title, body=f"{title}\n\nWe saw a loader. Do you?",
                purpose="network-defence", info_category="incident-notification", requested_by="user:99", ack="person",
                audience={"organisations": [PARTNER]}, reply_by=clock.now() + timedelta(hours=3),
            )  # fmt: skip
            alert = told.permitted[0]
            one = tx.execute(select(Delivery).where(Delivery.alert_id == alert.id)).scalar_one()
            tx.add(DeliveryAttempt(delivery_id=one.id, number=1, decision_id=one.decision_id, at=clock.now(),
                                   outcome="handed-over"))  # fmt: skip
            numbers.append((alert.id, incident.id))
    with settings_of(site.store, **AS_REAL), site.store.unit_of_work() as tx:
        alerts.withdraw(tx, numbers[2][0], principal=officer, reason="Wrong partner.")
        recalls.recall_alert(tx, numbers[3][0], principal=officer, reason="Wrong partner.")
        tx.get_one(Incident, numbers[4][1]).tlp = "AMBER"
        return [tx.get_one(Alert, number).public_id for number, _ in numbers]


def paths(told: list[str]) -> list[str]:
    return ["/released", "/released?show=waiting", "/released?q=nothing", *(f"/released/{each}" for each in told)]


def test_everyone_can_use_the_partners_pages(site: Site, told: list[str]) -> None:
    found: list[Any] = []
    with settings_of(site.store, **AS_REAL):
        page = site.sit("partner-user", viewport={"width": 320, "height": 640})
        for path in paths(told):
            page.goto(f"{site.url}{path}")
            page.evaluate("for (const fold of document.querySelectorAll('main details')) fold.open = true")
            for scheme, direction in (("light", "ltr"), ("dark", "rtl")):
                page.emulate_media(color_scheme=scheme)
                page.evaluate(f"document.documentElement.dir = '{direction}'")
                over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                found += [f"{path} {direction}: {over} too wide"] if over > 0 else []
                found += [f"{scheme} {direction} {each}" for each in findings(page)]
    assert found == []
