"""Latency on an idle system, as installed: from the answered report to the receipt at the partner's receiver, and from
accepted triage to the first alert there.

`python -m benchmarks.latency [--short] [--postgresql]`. The floor, in turn with it: one Celery message whose worker
signs and posts a body of the same size to the same receiver, with no database anywhere. The alert is measured with a
playbook whose first step is the alert: in the shipped one, people work before it.
"""

from __future__ import annotations

import json
import secrets
import time

from benchmarks import celery_floor, documents, load, printed
from benchmarks.installation import Installation, installation, postgres, until
from workers.demo import world as fiction
from workers.demo.officers import Officers
from workers.demo.partner import Received, StandIn, send_report

ROUNDS, WARM = 30, 3


def main() -> None:
    chosen = printed.arguments(__doc__ or "")
    rounds, warm = (1, 0) if chosen.short else (chosen.rounds or ROUNDS, WARM)
    printed.heading("latency", chosen)
    receiver = StandIn(acknowledge=False)
    partners = [receiver.partner(fiction.REPORTER, "fi-csirt"), receiver.partner(fiction.AFFECTED, "lv-csirt")]
    found: dict[str, list[float]] = {"receipt": [], "alert": [], "floor": []}
    with postgres(chosen.postgresql) as url, installation(partners, database_url=url) as place:
        place.start()
        with place.store.unit_of_work() as tx:
            documents.install(tx, documents.alert_at_once())
        broker = place.store.settings.redis_url
        with celery_floor.workers(broker) as celery:
            for number in range(rounds + warm):
                receipt, alert = _one(place, receiver)
                floor = _floor(celery, receiver, partners[0])
                if number >= warm:
                    for name, value in (("receipt", receipt), ("alert", alert), ("floor", floor)):
                        found[name].append(value)
    receiver.stop()
    _say(found)


def _say(found: dict[str, list[float]]) -> None:
    floor = printed.median(found["floor"])
    for name, what in (("receipt", "answered report to receipt"), ("alert", "accepted triage to first alert")):
        p95 = load.quantile(sorted(found[name]), 0.95)
        printed.line(f"{what}: {len(found[name])} rounds, median {printed.spread(found[name])} s, p95 {p95:.3f} s")
    printed.three("latency, receipt (median)", printed.median(found["receipt"]), floor, "s", reach="0.3 s, p95 1 s")
    printed.three("latency, first alert (median)", printed.median(found["alert"]), floor, "s",
                  reach="0.3 s, p95 1 s")  # fmt: skip


def _one(place: Installation, receiver: StandIn) -> tuple[float, float]:
    """One incident: (seconds to the receipt, seconds to the first alert)."""
    officers = Officers(place.base_url, place.tokens, say=lambda _line: None)
    report = fiction.report() | {"external_id": secrets.token_hex(6), "title": f"Case {secrets.token_hex(6)}"}
    known = set(receiver.received)
    answer = send_report(place.base_url, place.partners[0], report)
    answered = time.monotonic()
    if answer.status_code != 202:
        raise RuntimeError(f"the report was answered {answer.status_code}")
    receipt = _arrival(receiver, known, ".receipt")
    reference = officers.find_incident()
    place.until_idle()
    _triage(officers, reference)
    place.until_idle()
    known = set(receiver.received)
    officers._move(reference, "coordinator", "active", reason="Two states are affected.")
    accepted = time.monotonic()
    alert = _arrival(receiver, known, ".initial")
    place.until_idle()
    return receipt.at - answered, alert.at - accepted


def _triage(officers: Officers, reference: str) -> None:
    """Everything before the acceptance, as the demo's officers do it."""
    officers._move(reference, "duty-officer", "triage", reason="Plausible.")
    owner = officers.get("coordinator", "/me")["id"]
    officers._change(reference, "coordinator", {"owner": owner})


def _floor(celery: object, receiver: StandIn, partner: fiction.Partner) -> float:
    body = json.dumps({"type": "floor", "data": {"text": "x" * 1500}})
    message, known = f"msg_{secrets.token_hex(8)}", set(receiver.received)
    sent = time.monotonic()
    celery.send_task(  # type: ignore[attr-defined]
        celery_floor.POST, args=(partner.url, partner.out_secret, message, int(time.time()), body),
        queue=celery_floor.QUEUE, ignore_result=True,
    )  # fmt: skip
    return _arrival(receiver, known, "floor").at - sent


def _arrival(receiver: StandIn, known: set[str], ending: str) -> Received:
    """The first message after `known` whose type ends so; its own clock says when it came."""
    found: list[Received] = []

    def came() -> bool:
        new = [each for name, each in list(receiver.received.items()) if name not in known]
        found.extend(each for each in new if each.type.endswith(ending))
        return bool(found)

    until(came)
    return min(found, key=lambda each: each.at)


if __name__ == "__main__":
    main()
