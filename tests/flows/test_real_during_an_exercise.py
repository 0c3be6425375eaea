"""A real incident opens while an exercise runs, under a name that is none: shown, called real, and never behind it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update

from coordinator import clock
from coordinator.incidents.models import Incident, Report
from coordinator.runs.catalogue import ship_library
from coordinator.runs.models import Run
from coordinator.store import Store
from coordinator.timeline.models import Pending
from coordinator.timeline.verify import verify
from tests.alerting import put_system, settings_of
from tests.coordinator.web.conftest import Desk
from tests.factories import PartnerSystem, at_endpoint, inbound_endpoint, native, small_world
from tests.flows.test_a_partner_is_compromised import notices
from tests.workers.drained import drain
from workers import relay


def test_what_may_be_real_is_shown_and_filed_as_real_and_never_waits_behind_the_exercise(sqlite_store: Store) -> None:
    store, world = sqlite_store, small_world(sqlite_store)
    desk = Desk(store, world)
    with store.unit_of_work() as tx:
        ship_library(tx)
        put_system(tx, "https://csirt.fi.example/hook")
        _, secret = inbound_endpoint(tx, world.partner_id, "fi-ex", exercise="BALTIC-26")
    real = PartnerSystem(desk.app.test_client(), world)
    playing = at_endpoint(desk.app.test_client(), world, "fi-ex", secret)

    # The controller registers the exercise; from then on what names it is part of it.
    controller, day = desk.sit("exercise-controller"), clock.now().date()
    controller.get("/exercises/new")
    assert controller.post("/exercises/new", {
        "code": "BALTIC-26", "title": "Baltic exercise", "starts_at_date": f"{day - timedelta(days=1)}",
        "starts_at_time": "08:00", "ends_at_date": f"{day + timedelta(days=1)}", "ends_at_time": "18:00",
        "organisations": ["FI-CSIRT"],
    }).status_code == 303  # fmt: skip
    for number in range(30):
        said = playing.post(native(title=f"Inject {number}", exercise="BALTIC-26"), f"inject-{number}")
        assert said.get_json()["disposition"] == "accepted"

    # At 03:10 a report comes in under a name with two digits turned round.
    came = real.post(native(title="Hospitals are being encrypted", exercise="BALTIC-62"), "the-real-one").get_json()
    assert (came["disposition"], came["incident"]) == ("quarantined", None)
    with settings_of(store, smtp_url="smtp://127.0.0.1:9"):
        officer = desk.sit("duty-officer")
        first = relay.claim(store)
        assert [each.queue for each in first][:2] == ["alerts", "exercise"], "real first"
        assert len({each.lease for each in first}) == 1 and len(first) < 6, "and few of the rest at a time"
        with store.unit_of_work() as tx:
            tx.execute(update(Pending).values(lease_until=None))
        drain(store, most=2000)
        assert notices(store)["A report called an exercise may be real"] == 1

        shown = officer.text(f"/quarantine/{came['report']}")
        assert "This may be real." in shown and "BALTIC-62" in shown
        said = {"act": "real", "reason": "They say so by phone."}
        answer = officer.post(f"/quarantine/{came['report']}/decide", said)
        assert "/incidents/INC-" in answer.location
        page = officer.text(answer.location)
        assert "Hospitals are being encrypted" in page and "EXERCISE" not in page
        drain(store, most=2000)

    with store.read() as tx:
        [incident] = tx.execute(select(Incident).where(Incident.exercise == "")).scalars()
        report = tx.execute(select(Report).where(Report.public_id == came["report"])).scalar_one()
        assert incident.aware_at == report.received_at, "clocks count from when it came in"
        assert tx.execute(select(Run.state).where(Run.incident_id == incident.id)).scalars().all() == ["waiting"]
        assert tx.execute(select(Pending).where(Pending.kind == "delivery.due", Pending.exercise == "")).first(), (
            "its receipt is on the way")
        assert tx.execute(select(Incident.id).where(Incident.exercise == "BALTIC-26")).all()
        assert not verify(tx).broken
    board = officer.text("/board")
    assert "Hospitals are being encrypted" in board and "Inject 1" not in board

    # The exercise ends: what still comes under its name is no longer taken for granted.
    assert controller.post("/exercises/BALTIC-26/end").status_code == 303
    late = playing.post(native(title="Inject 31", exercise="BALTIC-26"), "inject-31").get_json()
    assert late["disposition"] == "quarantined"
