"""Durable playbook steps per second, against no-op Celery tasks on the same broker and as many workers.

`python -m benchmarks.steps [--short] [--postgresql]`. Each step is a timer row, a message, and a transaction that moves
the run and writes its record. The floor keeps nothing and records nothing.
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
from coordinator.timeline.models import Pending
from playbooks.state import ENDED

ROUNDS, RUNS, STEPS, TASKS = 3, 20, 15, 2000


def main() -> None:
    chosen = printed.arguments(__doc__ or "")
    rounds, count, steps, tasks = (1, 2, 3, 20) if chosen.short else (chosen.rounds or ROUNDS, RUNS, STEPS, TASKS)
    printed.heading("steps", chosen)
    ours: list[float] = []
    floor: list[float] = []
    with postgres(chosen.postgresql) as url, installation(database_url=url) as place:
        place.start()
        with place.store.unit_of_work() as tx:
            version = documents.install(tx, documents.chain(steps))
        with celery_floor.workers(place.store.settings.redis_url) as celery:
            for number in range(rounds + 1):
                incidents = _incidents(place, count)
                pace = _ours(place, version, incidents, steps)
                bare = _floor(celery, place.store.settings.redis_url, tasks)
                if number:
                    ours.append(pace)
                    floor.append(bare)
                    printed.line(f"ours {pace:.0f} steps/s, floor {bare:.0f} tasks/s")
    printed.line(f"{count} runs of {steps} steps at once, {rounds} rounds: {printed.spread(ours)} steps/s")
    printed.three("steps", printed.median(ours), printed.median(floor), "a second")


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
