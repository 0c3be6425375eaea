"""The ledger after five years: its pages and files, by partner, incident, item and exercise, with 10,000 and with
1,000,000 releases, as HTML through the real application with a signed-in coordinator. Processor time of the process
that answers, so that a busy machine does not count; on PostgreSQL its own time comes on top.

`python -m benchmarks.ledger [--short] [--postgresql]`. The floor is the same page with 10,000 releases. Rows are made
by the database, spread over 200 partners, an incident for a hundred releases, and five years.
"""

from __future__ import annotations

import gc
import re
import resource
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, String, case, cast, insert, literal, select, text
from sqlalchemy.orm import Session

from benchmarks import load, printed
from benchmarks.installation import Installation, installation, postgres
from coordinator import clock
from coordinator.accounts import service as accounts
from coordinator.accounts import sessions
from coordinator.alerts.models import Alert, Delivery, DeliveryAttempt
from coordinator.app import create_app
from coordinator.db import Base
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking, Tlp
from coordinator.partners.models import Organisation
from coordinator.sharing.models import Release, ShareDecision
from coordinator.status.paging import to_cursor
from coordinator.store import Store
from coordinator.timeline.keys import new_key
from coordinator.web import access

SIZES, ROUNDS, PARTNERS, EACH_INCIDENT = (10_000, 1_000_000), 10, 200, 100
YEARS = timedelta(days=5 * 365)
GREEN = Marking(tlp=Tlp.GREEN)
#: An exercise of long ago with a few releases.
EXERCISE, DRILLED = "ex-1", 20


def main() -> None:
    chosen = printed.arguments(__doc__ or "")
    sizes, rounds = ((200, 400), 1) if chosen.short else ((SIZES[0], chosen.size or SIZES[1]), chosen.rounds or ROUNDS)
    printed.heading("ledger", chosen)
    taken: dict[tuple[int, str], list[float]] = {}
    with ExitStack() as stack:
        worlds = {}
        for size in sizes:
            url = stack.enter_context(postgres(chosen.postgresql))
            place = stack.enter_context(installation(database_url=url))
            began, busy = time.perf_counter(), time.process_time()
            worlds[size] = place, fill(place.store, size)
            printed.line(f"{size} releases made in {time.perf_counter() - began:.1f} s, "
                         f"{time.process_time() - busy:.1f} s of processor time here")  # fmt: skip
        readers = {size: (Reader(place, size), world) for size, (place, world) in worlds.items()}
        gc.collect()
        gc.freeze()  # as the web server does: what was loaded is not looked through again in the middle of a page
        for number in range(rounds + 1):
            for size, (reader, world) in readers.items():
                for kind, ask in asked(reader, world, size).items():
                    one = ask()
                    if number:  # the first round warms
                        taken.setdefault((size, kind), []).append(one * 1000)
        whole = {size: readers[size][0].everything() for size in sizes}
    least, most = sizes
    ours, floor = (whole[size][0] / size * 1000 for size in (most, least))
    printed.three(f"ledger, file of everything, a line of {most} (floor: of {least})", ours, floor, "ms", reach="1.5")
    printed.line(f"{most} lines in {whole[most][0]:.1f} s; the process grew by {whole[most][1]:.0f} MiB meanwhile, by "
                 f"{whole[least][1]:.0f} with {least}")  # fmt: skip
    for kind in dict.fromkeys(kind for _, kind in taken):
        ours, floor = (load.quantile(sorted(taken[size, kind]), 0.95) for size in (most, least))
        printed.three(f"ledger, {kind}, p95 at {most} (floor: at {least})", ours, floor, "ms", reach="1.5")
        printed.line(f"median {printed.median(taken[most, kind]):.3g} and {printed.median(taken[least, kind]):.3g} ms")


class World(NamedTuple):
    """What is asked for: an incident in the middle and something said in it."""

    reference: str
    item: str


def asked(reader: Reader, world: World, size: int) -> dict[str, Callable[[], float]]:
    """What is looked at: pages by each of the ways, and the first lines as a file."""
    paths = {
        "newest": "/ledger", "from the middle": f"/ledger?cursor={to_cursor(size // 2 + 1)}",
        "one partner": "/ledger?partner=P-007", "one incident": f"/ledger?incident={world.reference}",
        "one item": f"/ledger?item={world.item}", "one exercise": f"/ledger?exercise={EXERCISE}",
    }  # fmt: skip
    return {
        **{kind: partial(reader.page, path) for kind, path in paths.items()},
        "file of one incident": partial(reader.file, incident=world.reference),
        "file of one item": partial(reader.file, item=world.item),
    }


def fill(store: Store, size: int) -> World:
    """`size` releases that left, copied from one, over incidents and partners in turn; and a few of an exercise, made
    before all others."""
    incidents = max(2, size // EACH_INCIDENT)
    with store.unit_of_work() as tx:
        tx.add(Organisation(code="OWN-1", name="Own", kind="ministry", is_own=True, communities=[], sectors=[]))
        tx.execute(insert(Organisation), [
            {"code": f"P-{number:03}", "name": f"Partner {number}", "kind": "national-csirt", "communities": [],
             "sectors": []} for number in range(PARTNERS)
        ])  # fmt: skip
        drill = _incident(tx, EXERCISE)
        first = _incident(tx, "")
        same = {column.name: getattr(first, column.key) for column in Incident.__table__.columns}
        began, each = clock.now() - YEARS, YEARS / incidents
        tx.execute(insert(Incident), [
            same | {"id": first.id + number, "created_at": began + each * number} for number in range(1, incidents)
        ])  # fmt: skip
        middle = tx.get_one(Incident, first.id + incidents // 2)
        drilled, usual, asked_for = (_said(tx, row) for row in (drill, first, middle))
        _left(tx, DRILLED, lambda _: (drill.id, drilled.id), exercise=EXERCISE, first=first.id, incidents=incidents)

        def whose(number: Any) -> tuple[Any, Any]:
            own = first.id + number % incidents
            return own, case((own == middle.id, asked_for.id), else_=usual.id)

        _left(tx, size, whose, exercise="", first=first.id, incidents=incidents, after=DRILLED)
    with store.unit_of_work() as tx:
        tx.execute(text("ANALYZE"))
        return World(reference_of(middle), asked_for.item)


def _incident(tx: Session, exercise: str) -> Incident:
    now = clock.now()
    row = Incident(
        title="Ransomware", status="closed", tlp="GREEN", marking=GREEN.to_json(), sectors=[],
        states_affected=[], humanitarian_flags=[], data_key_id=new_key(tx), created_at=now - YEARS, updated_at=now,
        exercise=exercise,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    return row


def _said(tx: Session, incident: Incident) -> ItemVersion:
    return write_item(tx, kind="alert-title", content="Ransomware seen", marking=GREEN, author="user:1",
                      info_category="incident-notification", incident=incident)  # fmt: skip


def _left(
    tx: Session, count: int, whose: Callable[[Any], tuple[Any, Any]], *, exercise: str, first: int, incidents: int,
    after: int = 0,
) -> None:  # fmt: skip
    """`count` releases with decision, alert, delivery and attempt, each table in one statement. `whose`: (incident,
    item version) of the row with a number; the rows of the incidents from `first` on say when."""
    numbers = select(literal(1).label("i")).cte("n", recursive=True)
    numbers = numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < count))
    partner, moment = Organisation.__table__.alias("partner"), Incident.__table__.alias("moment")
    source = numbers.join(partner, partner.c.id == 2 + numbers.c.i % PARTNERS).join(
        moment, moment.c.id == first + (numbers.c.i - 1) * incidents // count)  # fmt: skip
    number, at, digest = numbers.c.i + after, moment.c.created_at, "0" * 64
    case_id, version = whose(numbers.c.i)
    frame = {"id": number, "exercise": exercise}
    about = frame | {"incident_id": case_id, "content_digest": digest}
    for model, values in (
        (Release, about | {
            "kind": "initial", "purpose": "network-defence", "info_category": "incident-notification", "ladder": [],
            "title_version_id": version, "body_version_id": version, "marking": GREEN.to_json(),
            "facts": {}, "state": "released", "requested_by": "user:1", "created_at": at, "language": "en", "ack": "",
        }),
        (ShareDecision, about | {
            "release_id": number, "recipient": partner.c.code, "channel_kind": "webhook", "result": "permit",
            "reasons": [], "obligations": ["O-TLP-GREEN", "O-RETAIN-P1Y"], "effective_tlp": "GREEN",
            "agreement_problems": {}, "purpose": "network-defence", "inputs": {}, "inputs_digest": digest,
            "policy_version": "1", "evaluated_at": at, "valid_until": clock.now(), "requested_by": "user:1",
        }),
        (Alert, about | {
            "release_id": number, "kind": "initial", "recipient": partner.c.code, "state": "delivered",
            "organisation_id": partner.c.id, "decision_id": number, "decision_result": "permit", "ladder_step": 0,
            "public_id": literal("alr-") + cast(number, String), "partner_reference": "", "ack": "", "rung": 0,
            "created_at": at,
        }),
        (Delivery, frame | {
            "alert_id": number, "rung": 0, "kind": "webhook", "state": "delivered", "decision_id": number,
            "webhook_id": literal("msg_") + cast(number, String), "attempts": 1, "fence": 1, "created_at": at,
            "ack_hash": cast(number, String), "ack_expires_at": at,
        }),
        (DeliveryAttempt, frame | {
            "delivery_id": number, "number": 1, "decision_id": number, "at": at, "outcome": "delivered", "detail": "",
        }),
    ):  # fmt: skip
        columns = Base.metadata.tables[model.__tablename__].columns
        chosen = [
            (value if isinstance(value, ColumnElement) else literal(value, columns[name].type)).label(name)
            for name, value in values.items()
        ]
        tx.execute(insert(model).from_select(list(values), select(*chosen).select_from(source)))


class Reader:
    """A coordinator who signed in, at an application of this process."""

    def __init__(self, place: Installation, size: int) -> None:
        self.size = size
        with place.store.unit_of_work() as tx:
            user = accounts.create_user(
                tx, email="c@own.example", name="C", role="coordinator", actor="cli:benchmark"
            )  # fmt: skip
            user.enrolled_at = clock.now()
            token = sessions.open_session(tx, user, how="benchmark", second_factor=True)
        app = create_app(place.store)
        app.secret_key = secrets.token_hex()
        self._client = app.test_client()
        with self._client.session_transaction() as session:
            session[access.TOKEN] = token

    def page(self, path: str) -> float:
        """Seconds of processor time."""
        began = time.process_time()
        answer = self._client.get(path)
        taken = time.process_time() - began
        assert answer.status_code == 200, answer.text[:200]
        assert 'class="empty"' not in answer.text, path
        return taken

    def everything(self) -> tuple[float, float]:
        """(seconds of processor time for the file of every line, MiB by which the most memory ever held grew)."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self._client.get("/ledger").text)
        assert token is not None
        held, began, lines = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time(), 0
        answer = self._client.post("/ledger/file", data={"csrf_token": token[1]})
        assert answer.status_code == 200
        for chunk in answer.iter_encoded():
            lines += chunk.count(b"\r\n")
        taken = time.process_time() - began
        assert lines == self.size + 1, lines
        return taken, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held) / 1024

    def file(self, **narrowed: str) -> float:
        """Seconds of processor time for the file that the page with the same filter offers."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self._client.get(f"/ledger?{urlencode(narrowed)}").text)
        assert token is not None
        began = time.process_time()
        answer = self._client.post("/ledger/file", data=narrowed | {"csrf_token": token[1]})
        taken = time.process_time() - began
        assert answer.status_code == 200, answer.text[:200]
        assert answer.text.count("\n") > 1
        return taken


if __name__ == "__main__":
    main()
