"""Durable playbook steps per second, against no-op Celery tasks on the same broker and as many workers.

`python -m benchmarks.steps [--short] [--postgresql]`. Runs are started by one message each, as they are from a page.
*Linked* steps follow from each other at once: each has its rows and its entry in the record, and a run is moved as far
as it goes in one transaction. *Waiting* steps each wait for a timer: a row, a message and a transaction each.
The floor keeps nothing and records nothing. At the end: one run of many steps beside one of a tenth of them, in this
process, to see that a step costs the same however long the run is.
"""

from __future__ import annotations

import time

from sqlalchemy import delete, func, select

from benchmarks import celery_floor, documents, printed, reports
from benchmarks.installation import Installation, installation, postgres, until
from coordinator.incidents import intake
from coordinator.incidents.models import Incident
from coordinator.partners.queries import intake_endpoint
from coordinator.runs import service as runs
from coordinator.runs.models import Run
from coordinator.runs.saved import fault_of
from coordinator.timeline.models import Pending
from playbooks.state import ENDED
from workers.steps import ARMS

ROUNDS, RUNS, STEPS, TASKS = 3, 40, 50, 2000
WAITING_STEPS, WAIT_MS = 10, 20
LONG = 1000


def main() -> None:
    chosen = printed.arguments(__doc__ or "")
    rounds, count, tasks = (1, 2, 20) if chosen.short else (chosen.rounds or ROUNDS, RUNS, TASKS)
    steps, waiting, long = (3, 2, 20) if chosen.short else (STEPS, WAITING_STEPS, LONG)
    printed.heading("steps", chosen)
    found: dict[str, list[float]] = {"linked": [], "waiting": [], "floor": []}
    with postgres(chosen.postgresql) as url, installation(database_url=url) as place:
        place.start()
        versions = _install(place, {
            "linked": documents.chain(steps), "waiting": documents.chain(waiting, waits_ms=WAIT_MS),
            "long": documents.chain(long), "tenth": documents.chain(long // 10),
        })  # fmt: skip
        with celery_floor.workers(place.store.settings.redis_url) as celery:
            for number in range(1 if chosen.short else 0, rounds + 1):  # the first warms
                paces = {
                    "linked": _ours(place, versions["linked"], _incidents(place, count), steps),
                    "waiting": _ours(place, versions["waiting"], _incidents(place, count), waiting),
                    "floor": _floor(celery, place.store.settings.redis_url, tasks),
                }
                if number:
                    for name, pace in paces.items():
                        found[name].append(pace)
                    printed.line(", ".join(f"{name} {pace:.0f}/s" for name, pace in paces.items()))
        lengths = {name: _each(place, versions[name], size) for name, size in (("long", long), ("tenth", long // 10))}
    printed.line(f"{count} runs of {steps} linked steps at once, {rounds} rounds: {printed.spread(found['linked'])}")
    printed.line(f"{count} runs of {waiting} waiting steps at once: {printed.spread(found['waiting'])}")
    middle = {name: printed.median(paces) for name, paces in found.items()}
    printed.three("steps, linked", middle["linked"], middle["floor"], "a second", reach="0.4")
    printed.three("steps, each waiting for its timer", middle["waiting"], middle["floor"], "a second")
    printed.three(f"a step in a run of {long}, beside one of {long // 10}", lengths["long"], lengths["tenth"],
                  "ms of processor time", reach="1, linear")  # fmt: skip


def _install(place: Installation, raws: dict[str, bytes]) -> dict[str, int]:
    with place.store.unit_of_work() as tx:
        return {name: documents.install(tx, raw) for name, raw in raws.items()}


def _each(place: Installation, version: int, steps: int) -> float:
    """Milliseconds of processor time a step, of a run moved from its start to its end in one transaction."""
    spent = []
    for incident_id in _incidents(place, 3):
        with place.store.unit_of_work() as tx:
            started = time.process_time()
            run = runs.start_run(
                tx, version, incident=tx.get_one(Incident, incident_id), started_by="cli:benchmark", arms=ARMS
            )
            spent.append((time.process_time() - started) * 1000 / steps)
            if run.state != "completed":
                raise RuntimeError(fault_of(tx, run))
    return printed.median(spent)


def _incidents(place: Installation, count: int) -> list[int]:
    """New incidents without anything that would follow from them."""
    requests = [one.partition(b"\r\n\r\n")[2] for one in reports.signed_requests("whsec_" + "A" * 32, "x", count)]
    with place.store.unit_of_work() as tx:
        endpoint = intake_endpoint(tx, place.partners[0].intake)
        for raw in requests:
            kept = intake.keep_raw(tx, via="webhook", media_type="application/json", raw=raw, endpoint=endpoint)
            intake.read_report(tx, kept.report_id)
        tx.execute(delete(Pending))
        return list(tx.execute(select(Incident.id).order_by(Incident.id.desc()).limit(count)).scalars())


def _ours(place: Installation, version: int, incidents: list[int], steps: int) -> float:
    with place.store.unit_of_work() as tx:
        for incident_id in incidents:
            runs.start_run(tx, version, incident=tx.get_one(Incident, incident_id), started_by="cli:benchmark")
    started = time.monotonic()

    def over() -> bool:
        with place.store.read() as tx:
            still = select(func.count()).select_from(Run).where(Run.state.not_in(ENDED))
            return tx.execute(still).scalar_one() == 0

    until(over, 240)
    return len(incidents) * steps / (time.monotonic() - started)


def _floor(celery: object, broker: str, tasks: int) -> float:
    started = time.monotonic()
    with celery.producer_pool.acquire(block=True) as producer:  # type: ignore[attr-defined]
        for number in range(tasks):
            celery.send_task(  # type: ignore[attr-defined]
                celery_floor.NOTHING, args=(number,), queue=celery_floor.QUEUE, producer=producer, ignore_result=True
            )
    until(lambda: celery_floor.waiting(broker) == 0, 120)
    return tasks / (time.monotonic() - started)


if __name__ == "__main__":
    main()
