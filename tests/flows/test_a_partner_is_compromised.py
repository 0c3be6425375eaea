"""A partner's system is taken over and sends a thousand signed reports: kept, answered, one task, a key stopped now."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import func, select, update

from coordinator import clock
from coordinator.alerts.models import Alert
from coordinator.incidents.models import Incident, Report
from coordinator.partners.models import EndpointKey
from coordinator.runs.catalogue import ship_library
from coordinator.runs.models import Run
from coordinator.sharing.inputs_from_world import text_of
from coordinator.sharing.models import Release
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.timeline.verify import verify
from tests.alerting import put_system, settings_of
from tests.coordinator.web.conftest import Desk
from tests.factories import PartnerSystem, add_secret, at_endpoint, native, small_world, token_for
from tests.workers.drained import drain

LIMIT, SENT = 5, 1000


def notices(store: Store) -> Counter[str]:
    """What our own people were told, by title."""
    with store.read() as tx:
        query = select(Release).join(Alert, Alert.release_id == Release.id).where(Alert.user_id.is_not(None))
        return Counter(text_of(tx, release)[0] for release in tx.execute(query).scalars())


def test_a_thousand_reports_are_kept_as_one_flood_and_the_key_is_stopped(sqlite_store: Store) -> None:
    store, world = sqlite_store, small_world(sqlite_store)
    desk = Desk(store, world)
    officer = desk.sit("duty-officer")
    partner = PartnerSystem(desk.app.test_client(), world)
    with store.unit_of_work() as tx:
        ship_library(tx)
        put_system(tx, "https://csirt.fi.example/hook")
    with settings_of(store, flood_limit=LIMIT):
        assert partner.post(native(title="Before their keys were changed")).status_code == 202
    with store.unit_of_work() as tx:
        before = tx.execute(select(EndpointKey.id).where(EndpointKey.endpoint_id == world.endpoint_id)).scalar_one()
        tx.execute(update(EndpointKey).where(EndpointKey.id == before).values(not_after=clock.now() + timedelta(1)))
        taken_over = at_endpoint(desk.app.test_client(), world, world.endpoint, add_secret(tx, world.endpoint_id))

    # Ten minutes of it: every one is answered 202 and kept.
    with settings_of(store, flood_limit=LIMIT, smtp_url="smtp://127.0.0.1:9"):
        def send(number: int) -> tuple[int, str]:
            system = at_endpoint(desk.app.test_client(), world, world.endpoint, taken_over.world.secret)
            answer = system.post(native(title=f"Breach number {number}"), f"evil-{number}")
            return answer.status_code, answer.get_json()["disposition"]

        with ThreadPoolExecutor(16) as pool:
            said = Counter(pool.map(send, range(SENT)))
        assert said == {(202, "accepted"): LIMIT - 1, (202, "quarantined"): SENT - LIMIT + 1}
        drain(store)

    # One task, one notice; no runs beyond the limit, and outside nobody but the sender, by its receipts.
    assert notices(store)["Many reports at once"] == 1
    assert not {"A report is in quarantine", "Quarantine is overdue"} & set(notices(store))
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(Report)).scalar_one() == SENT + 1
        assert tx.execute(select(func.count()).select_from(Incident)).scalar_one() == LIMIT
        assert tx.execute(select(func.count()).select_from(Run)).scalar_one() == LIMIT
        [task] = tx.execute(select(Task).where(Task.incident_id.is_(None))).scalars()
        outside = select(Alert.kind, Alert.recipient).where(Alert.user_id.is_(None)).distinct()
        assert [tuple(row) for row in tx.execute(outside)] == [("receipt", "FI-CSIRT")]

    # The duty officer opens it, and stops the key at once, alone, with a reason.
    assert "Open the flood" in officer.text(f"/tasks/{task.id}")
    assert f"{SENT - LIMIT + 1} reports wait" in officer.text("/quarantine")
    with store.read() as tx:
        key = tx.execute(select(func.max(EndpointKey.id)).where(
            EndpointKey.endpoint_id == world.endpoint_id)).scalar_one()  # fmt: skip
    officer.get(f"/keys/{key}/revoke")
    listed = officer.post(f"/keys/{key}/revoke", {"reason": "Their server was taken over, they say by phone."})
    assert taken_over.post(native(), "evil-again").status_code == 401
    with settings_of(store, flood_limit=LIMIT):  # taken, for that key is not in wrong hands; it waits with the others
        assert partner.post(native(title="Under the key before"), "good").get_json()["disposition"] == "quarantined"

    # Everything received under it since Monday: on the page, as a table, by the API; each can be doubted.
    first = re.findall(r'value="(rep-\w+)"', officer.get(listed.location).text)
    assert len(first) == 50
    coordinator = desk.sit("coordinator")
    assert "Download the list" in coordinator.text(listed.location)
    table = coordinator.post(f"{listed.location}/file")
    assert (table.mimetype, len(table.text.splitlines())) == ("text/csv", SENT + 1)
    api = desk.app.test_client()
    headers = {"Authorization": f"Bearer {token_for(store, 'duty-officer')}"}
    found, cursor = [], ""
    while cursor is not None:
        page = api.get(f"/api/v1/keys/{key}/reports?limit=200&cursor={cursor}", headers=headers).get_json()
        found, cursor = found + page["items"], page["next"]
    assert len({one["report"] for one in found}) == SENT
    said = api.post(f"/api/v1/received/{found[0]['report']}/doubt", json={"reason": "Not theirs."}, headers=headers)
    assert said.get_json()["in_doubt"] is True
    assert "Sender in doubt" in officer.text(f"/incidents/{found[0]['incident']}")
    assert officer.post(f"/keys/{key}/doubt", {"all": "on", "reason": "All of it."}).status_code == 303

    # One is real after all; the rest is refused in one step, and with that the task is done.
    flood = officer.get("/quarantine/floods/1")
    genuine = re.search(r"/quarantine/(rep-\w+)", flood.text)
    assert genuine is not None
    assert "/incidents/INC-" in officer.post(f"/quarantine/{genuine[1]}/decide", {"act": "release"}).location
    assert officer.post("/quarantine/floods/1/refuse", {"reason": "Sent by whoever took it over."}).status_code == 303
    with settings_of(store, flood_limit=LIMIT):
        drain(store)
    with store.read() as tx:
        assert tx.get_one(Task, task.id).state == "cancelled"
        counted = select(Report.disposition, func.count()).group_by(Report.disposition)
        assert {row[0]: row[1] for row in tx.execute(counted)} == {"accepted": LIMIT + 1, "rejected": SENT - LIMIT + 1}
        verdict = verify(tx)
    assert not verdict.broken
