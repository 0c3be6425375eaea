"""The ledger after five years: its page, by partner and by incident, with 10,000 and with 1,000,000 releases, as HTML
through the real application with a signed-in coordinator. Processor time of the process that answers, so that a busy
machine does not count; on PostgreSQL its own time comes on top.

`python -m benchmarks.ledger [--short] [--postgresql]`. The floor is the same page with 10,000 releases. Rows are copied
in bulk from one that was really sent, spread over 200 partners, an incident for a hundred releases, and five years.
"""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from benchmarks import load, printed
from benchmarks.installation import Installation, installation, postgres
from coordinator import clock
from coordinator.accounts import service as accounts
from coordinator.accounts import sessions
from coordinator.app import create_app
from coordinator.db import Base
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking
from coordinator.partners.models import Organisation
from coordinator.store import Store
from coordinator.timeline.keys import new_key
from coordinator.web import access

SIZES, ROUNDS, PARTNERS, EACH_INCIDENT = (10_000, 1_000_000), 10, 200, 100
YEARS, HOLDS = timedelta(days=5 * 365), timedelta(hours=1)


def main() -> None:
    chosen = printed.arguments(__doc__ or "")
    sizes, rounds = ((200, 400), 1) if chosen.short else (SIZES, chosen.rounds or ROUNDS)
    printed.heading("ledger", chosen)
    taken: dict[tuple[int, str], list[float]] = {}
    with ExitStack() as stack:
        clients = {}
        for size in sizes:
            url = stack.enter_context(postgres(chosen.postgresql))
            place = stack.enter_context(installation(database_url=url))
            began = time.perf_counter()
            reference = fill(place.store, size)
            printed.line(f"{size} releases made in {time.perf_counter() - began:.1f} s")
            clients[size] = (_signed_in(place), reference)
        for number in range(rounds + 1):
            for size, (client, reference) in clients.items():
                for kind, path in asked(reference, size).items():
                    one = _ask(client, path)
                    if number:  # the first round warms
                        taken.setdefault((size, kind), []).append(one * 1000)
    least, most = sizes
    for kind in asked("", 0):
        ours, floor = (load.quantile(sorted(taken[size, kind]), 0.95) for size in (most, least))
        printed.three(f"ledger, {kind}, p95 at {most} (floor: at {least})", ours, floor, "ms", reach="1.5")


def asked(reference: str, size: int) -> dict[str, str]:
    """What is looked at: the newest lines, a page from the middle, one partner, one incident."""
    from coordinator.status.paging import to_cursor

    return {
        "newest": "/ledger", "from the middle": f"/ledger?cursor={to_cursor(size // 2 + 1)}",
        "one partner": "/ledger?partner=P-007", "one incident": f"/ledger?incident={reference}",
    }  # fmt: skip


def fill(store: Store, size: int) -> str:
    """`size` releases that left, copied from one; the reference of an incident in the middle."""
    with store.unit_of_work() as tx:
        tx.add(Organisation(code="OWN-1", name="Own", kind="ministry", is_own=True, communities=[], sectors=[]))
        tx.execute(insert(Organisation), [
            {"code": f"P-{number:03}", "name": f"Partner {number}", "kind": "national-csirt", "communities": [],
             "sectors": []} for number in range(PARTNERS)
        ])  # fmt: skip
        now = clock.now()
        incident = Incident(
            title="Ransomware", status="closed", tlp="GREEN", marking=Marking(tlp="GREEN").to_json(), sectors=[],
            states_affected=[], humanitarian_flags=[], data_key_id=new_key(tx), created_at=now, updated_at=now,
        )  # fmt: skip
        tx.add(incident)
        tx.flush()
        said = write_item(tx, kind="alert-title", content="Ransomware seen", marking=Marking(tlp="GREEN"),
                          info_category="incident-notification", author="user:1", incident=incident)  # fmt: skip
        ids = {"incident": incident.id, "item": said.id, "first": 2}
    with store.unit_of_work() as tx:
        _copies(tx, size, ids)
    with store.unit_of_work() as tx:
        tx.execute(text("ANALYZE"))
        middle = tx.execute(select(Incident).where(Incident.id == 1 + size // EACH_INCIDENT // 2)).scalar_one()
        return reference_of(middle)


def _copies(tx: Session, size: int, ids: dict[str, int]) -> None:
    """Every table in one statement: numbers from 1 to `size` beside constants."""
    incidents = max(2, size // EACH_INCIDENT)
    now, span = clock.now(), YEARS / size
    incident = tx.get_one(Incident, ids["incident"])
    same = {column.name: getattr(incident, column.key) for column in Incident.__table__.columns}
    tx.execute(insert(Incident), [
        same | {"id": number, "created_at": now - YEARS + span * number * EACH_INCIDENT}
        for number in range(2, incidents + 1)
    ])  # fmt: skip
    label, digest = Marking(tlp="GREEN").to_json(), "0" * 64
    for first in range(0, size, 20_000):
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in
                                                 ("releases", "share_decisions", "alerts", "deliveries",
                                                  "delivery_attempts")}  # fmt: skip
        for place in range(first, min(first + 20_000, size)):
            number, at = place + 1, now - YEARS + span * place
            case, partner = 1 + place % incidents, place % PARTNERS
            whose = {"incident_id": case, "exercise": "", "content_digest": digest}
            code, organisation = f"P-{partner:03}", partner + 2
            rows["releases"].append(whose | {
                "id": number, "kind": "initial", "purpose": "network-defence", "info_category": "incident-notification",
                "title_version_id": ids["item"], "body_version_id": ids["item"], "marking": label, "ladder": [],
                "facts": {}, "state": "released", "requested_by": "user:1", "created_at": at, "language": "en",
                "ack": "",
            })  # fmt: skip
            rows["share_decisions"].append(whose | {
                "id": number, "release_id": number, "recipient": code, "channel_kind": "webhook", "result": "permit",
                "reasons": [], "obligations": ["O-TLP-GREEN", "O-RETAIN-P1Y"], "effective_tlp": "GREEN",
                "agreement_problems": {}, "purpose": "network-defence", "inputs": {}, "inputs_digest": digest,
                "policy_version": "1", "evaluated_at": at, "valid_until": at + HOLDS, "requested_by": "user:1",
            })  # fmt: skip
            rows["alerts"].append(whose | {
                "id": number, "release_id": number, "kind": "initial", "recipient": code, "state": "delivered",
                "organisation_id": organisation, "decision_id": number, "decision_result": "permit",
                "public_id": f"alr-{number}", "partner_reference": "", "ack": "", "rung": 0, "ladder_step": 0,
                "created_at": at,
            })  # fmt: skip
            rows["deliveries"].append({
                "id": number, "alert_id": number, "rung": 0, "kind": "webhook", "webhook_id": f"msg_{number}",
                "state": "delivered", "decision_id": number, "attempts": 1, "fence": 1, "ack_hash": f"{number:064}",
                "ack_expires_at": at, "created_at": at, "exercise": "",
            })  # fmt: skip
            rows["delivery_attempts"].append({
                "id": number, "delivery_id": number, "number": 1, "decision_id": number, "at": at,
                "outcome": "delivered", "detail": "", "exercise": "",
            })  # fmt: skip
        for name, values in rows.items():
            tx.execute(insert(Base.metadata.tables[name]), values)


def _signed_in(place: Installation) -> Any:
    with place.store.unit_of_work() as tx:
        user = accounts.create_user(tx, email="c@own.example", name="C", role="coordinator", actor="cli:benchmark")
        user.enrolled_at = clock.now()
        token = sessions.open_session(tx, user, how="benchmark", second_factor=True)
    app = create_app(place.store)
    app.secret_key = secrets.token_hex()
    client = app.test_client()
    with client.session_transaction() as session:
        session[access.TOKEN] = token
    return client


def _ask(client: Any, path: str) -> float:
    began = time.process_time()
    answer = client.get(path)
    assert answer.status_code == 200, answer.text[:200]
    assert 'class="empty"' not in answer.text, path
    return time.process_time() - began


if __name__ == "__main__":
    main()
