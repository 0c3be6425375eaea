"""One alert of a playbook to two partners of whom one may have less: each gets what they may have, both at once."""

from __future__ import annotations

import json
from typing import Any

from pytest_httpserver import HTTPServer
from sqlalchemy import select

from coordinator.alerts.versions import NO_WAY
from coordinator.incidents.models import Incident
from coordinator.sharing.models import ReleaseVersion
from coordinator.store import Store
from coordinator.tasks.service import complete_task
from tests.alerting import agreement, put_contact, put_organisation, put_system, settings_of, webhook
from tests.factories import OTHER, PARTNER, World, person
from tests.flows.test_step_to_alert import run_all
from tests.playbooks.documents import action, document, end
from tests.receiving import Receiver
from tests.workers.drained import drain
from tests.workers.running import run_of
from tests.workers.test_shared_in_versions import note

CATEGORY = "incident-notification"
ALERT = {
    "kind": "alert", "message": "initial", "audience": {"organisations": [PARTNER, OTHER]}, "category": CATEGORY,
    "purpose": "incident-response", "ack": {"from": "each", "by": "system", "within": "PT1H", "on_expiry": "continue"},
}  # fmt: skip
FORM = {"kind": "task", "role": "coordinator", "fields": {"__go__": {"label": "Go?", "type": "text"}}}
DOCUMENT = {
    "f": action("Ask", work=FORM, out_args=["__go__"], on_completion="a"),
    "a": action("Tell", work=ALERT, on_completion="end"), "end": end(),
}  # fmt: skip


def partner(store: Store, server: HTTPServer, code: str, ceiling: str) -> Receiver:
    made = Receiver(server.url_for(f"/{code}"))
    server.expect_request(f"/{code}").respond_with_handler(made.take)
    with store.unit_of_work() as tx:
        put_organisation(tx, code)
        put_system(tx, made.url, code=code, slug=code.lower())
        put_contact(tx, webhook(code.lower()), code=f"{code}-duty", organisation=code, tlp_max=ceiling)
        agreement(tx, agreement_id=f"MOU-{code}", code=code)
    return made


def events(each: Receiver) -> list[dict[str, Any]]:
    return [json.loads(request.get_data()) for request in each.seen]


def test_each_is_told_at_once_what_they_may_have_and_both_answers_end_the_step(
    store: Store, world: World, client: Any, httpserver: HTTPServer
) -> None:
    officer = person(store, "coordinator")
    with settings_of(store, outbound_allow_private=True):
        more, less = partner(store, httpserver, PARTNER, "GREEN"), partner(store, httpserver, OTHER, "CLEAR")
        run = run_of(store, document(DOCUMENT, "f", variables={"__go__": {"type": "string", "value": ""}}), tlp="CLEAR")
        with store.unit_of_work() as tx:
            incident = tx.get_one(Incident, run.incident_id)
            incident.title = ""
            note(tx, incident, "An outage", kind="title", category=CATEGORY, tlp="CLEAR")
            note(tx, incident, "canary-gate: the mail gateway.", kind="summary", category=CATEGORY)
            complete_task(tx, run.tasks()[0].id, principal=officer, outcome="successful", result={"__go__": "yes"})
        run_all(store)
    assert [len(each.seen) for each in (more, less)] == [1, 1]
    said = [json.dumps(events(each)) for each in (more, less)]
    assert ["canary-gate" in each for each in said] == [True, False]
    assert ["GREEN" in each for each in said] == [True, False]
    with store.read() as tx:
        [left] = tx.execute(select(ReleaseVersion.left_out)).scalars()
        assert set(left) == {OTHER} and [NO_WAY] in left[OTHER].values()
    assert run.state == "waiting"
    for each in (more, less):
        path = events(each)[-1]["data"]["acknowledge_api"].split("127.0.0.1:8080", 1)[1]
        answered = client.post(path, json={"kind": "system", "by": "their-system", "answer": "acknowledged"})
        assert answered.status_code == 200
        assert run.state == "waiting"
    drain(store)
    assert run.state == "completed"
