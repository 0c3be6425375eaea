"""The board with 1,000, 10,000 and 100,000 incidents: its page, filters and search, as HTML through the real
application with a signed-in coordinator (who must be named in restricted incidents to see them).

`python -m benchmarks.board [--short] [--postgresql]`. The floor is the same board with 1,000 incidents; the sizes are
asked in turn. Rows are inserted in bulk: statuses, ages, severities, states, sectors, owners and open tasks in
a spread as a desk has after some years (one in seven open, one in twenty restricted).
"""

from __future__ import annotations

import random
import secrets
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select, text

from benchmarks import load, printed, reports
from benchmarks.installation import Installation, installation, postgres
from coordinator import clock
from coordinator.accounts import service as accounts
from coordinator.accounts import sessions
from coordinator.app import create_app
from coordinator.incidents.models import Incident, IncidentMember, ItemVersion
from coordinator.incidents.words import searchable
from coordinator.partners.models import Organisation
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.timeline.keys import new_key, seal
from coordinator.timeline.models import Entry
from coordinator.web import access
from workers.demo import world as fiction

SIZES, ROUNDS, EACH = (1_000, 10_000, 100_000), 3, 6
SPREAD = {"reported": 3, "triage": 2, "active": 5, "monitoring": 3, "resolved": 2, "closed": 78, "rejected": 4,
          "duplicate": 3}  # fmt: skip
OPEN = ("reported", "triage", "active", "monitoring", "resolved")
#: What is asked, by kind. `{rare}` is in one title in a thousand, at least in one.
ASKED = {
    "page": ("/board", "/board", "/board?status=any"),
    "filter": ("/board?status=active", "/board?severity=3", "/board?state=LV", "/board?sector=health&severity=2",
               "/board?owner=me", "/board?owner=none&status=reported", "/board?status=any&state=SE"),
    "search": ("/board?q=gateway", "/board?q=encrypted&status=any", "/board?q={rare}", "/board?q={rare}&status=any",
               "/board?q=nowhere-at-all", "/board?q=nowhere-at-all&status=any"),
}  # fmt: skip
RARE = "zeppelin"


def main() -> None:
    chosen = printed.arguments(__doc__ or "")
    sizes, rounds, each = ((20, 40), 1, 1) if chosen.short else (SIZES, chosen.rounds or ROUNDS, EACH)
    printed.heading("board", chosen)
    taken: dict[tuple[int, str], list[float]] = {}
    with ExitStack() as stack:
        clients = {}
        for size in sizes:
            url = stack.enter_context(postgres(chosen.postgresql))
            place = stack.enter_context(installation(database_url=url))
            fill(place.store, size)
            clients[size] = _signed_in(place)
        for _ in range(rounds + 1):
            for size, client in clients.items():
                for kind, paths in ASKED.items():
                    times = [_ask(client, path.replace("{rare}", RARE)) for _ in range(each) for path in paths]
                    taken[size, kind] = [*taken.get((size, kind), []), *times]
    _say(sizes, {key: times[len(times) // (rounds + 1):] for key, times in taken.items()})


def _say(sizes: tuple[int, ...], taken: dict[tuple[int, str], list[float]]) -> None:
    least, most = sizes[0], sizes[-1]
    for kind in ASKED:
        for size in sizes:
            times = sorted(value * 1000 for value in taken[size, kind])
            printed.line(f"{kind}, {size} incidents: p50 {load.quantile(times, 0.5):.1f} ms, "
                         f"p95 {load.quantile(times, 0.95):.1f} ms")  # fmt: skip
        printed.three(f"board, {kind}, p95 at {most} (floor: at {least})", _p95(taken[most, kind]),
                      _p95(taken[least, kind]), "ms", reach="1.5")  # fmt: skip
    everything = {size: [one for kind in ASKED for one in taken[size, kind]] for size in sizes}
    printed.three(f"board, p95 at {most} (floor: at {least})", _p95(everything[most]), _p95(everything[least]), "ms",
                  reach="1.5")  # fmt: skip


def _p95(times: list[float]) -> float:
    return load.quantile(sorted(times), 0.95) * 1000


def _ask(client: Any, path: str) -> float:
    started = time.perf_counter()
    answer = client.get(path)
    taken = time.perf_counter() - started
    if answer.status_code != 200:
        raise RuntimeError(f"{path} was answered {answer.status_code}")
    return taken


def _signed_in(place: Installation) -> Any:
    return browser(place.store, create_app(place.store))


def browser(store: Store, app: Any) -> Any:
    """A client of the application, signed in as the coordinator."""
    with store.unit_of_work() as tx:
        user = accounts.user_by_email(tx, fiction.PEOPLE["coordinator"][0])
        if user is None:
            raise RuntimeError("the world has no coordinator")
        user.enrolled_at = clock.now()
        token = sessions.open_session(tx, user, how="benchmark", second_factor=True)
    client = app.test_client()
    with client.session_transaction() as session:
        session[access.TOKEN] = token
    return client


def fill(store: Store, size: int, *, batch: int = 2000) -> None:
    """Insert `size` incidents with their tasks, titles and first entries."""
    chance = random.Random(size)
    with store.unit_of_work() as tx:
        key = new_key(tx)
        users = list(tx.execute(text("SELECT id FROM users")).scalars())
        sender = tx.execute(select(Organisation.id).where(Organisation.code == fiction.REPORTER)).scalar_one()
    for first in range(1, size + 1, batch):
        numbers = range(first, min(size, first + batch - 1) + 1)
        with store.unit_of_work() as tx:
            rows = [_incident(number, size, chance, key, users, sender) for number in numbers]
            tx.execute(insert(Incident), rows)
            hidden = [row for row in rows if row["restricted"]]
            if hidden:
                tx.execute(insert(ItemVersion), [_title(tx, row, key) for row in hidden])
                tx.execute(insert(IncidentMember), [
                    {"incident_id": row["id"], "user_id": chance.choice(users), "added_by": "system",
                     "added_at": row["created_at"]} for row in hidden
                ])  # fmt: skip
            tasks = [_task(row, chance) for row in rows if row["status"] in OPEN for _ in range(chance.randint(0, 3))]
            if tasks:
                tx.execute(insert(Task), tasks)
            tx.execute(insert(Entry), [_entry(row, seq) for row in rows for seq in (1, 2)])
    with store.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def _incident(
    number: int, size: int, chance: random.Random, key: int, users: list[int], sender: int
) -> dict[str, Any]:
    said = reports.body(number, chance, "B")
    restricted = chance.random() < 0.05
    title = said["title"] + (f" {RARE}" if number % 1000 == 1 else "")
    created = clock.now() - timedelta(days=1800 * (1 - number / size), minutes=chance.randint(0, 1400))
    changed = created + timedelta(minutes=chance.randint(0, 60 * 24 * 30))
    return {
        "id": number, "title": "" if restricted else title,
        "search_text": "" if restricted else searchable(title, said["external_id"], said["description"]),
        "status": chance.choices(list(SPREAD), list(SPREAD.values()))[0], "tlp": "RED" if restricted else said["tlp"],
        "classification": said["classification"], "marking": {"tlp": said["tlp"]}, "severity": said["severity"],
        "owner_id": chance.choice([None, *users]), "sectors": said["sectors"], "source_id": sender,
        "states_affected": said["states_affected"], "humanitarian_flags": [], "restricted": restricted,
        "data_key_id": key, "created_at": created, "updated_at": min(changed, clock.now()), "exercise": "",
    }  # fmt: skip


def _title(tx: Any, row: dict[str, Any], key: int) -> dict[str, Any]:
    item = f"itm-{secrets.token_hex(10)}"
    return {
        "item": item, "version": 1, "kind": "title", "incident_id": row["id"], "tlp": "RED", "marking": {"tlp": "RED"},
        "info_category": "incident-notification", "digest": "0" * 64, "data_key_id": key,
        "sealed": seal(tx, key, b'"Something restricted"', about=f"item/{item}"), "author": "system",
        "created_at": row["created_at"], "exercise": "",
    }  # fmt: skip


def _task(row: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    return {
        "incident_id": row["id"], "title": "Look at it", "state": chance.choice(("open", "open", "done")),
        "role": chance.choice(("coordinator", "duty-officer", "liaison-officer", "analyst", "legal-adviser")),
        "fields": {}, "options": [], "checklist": [], "ladder": [], "created_by": "system",
        "created_at": row["created_at"], "due_at": row["updated_at"] + timedelta(hours=chance.randint(1, 500)),
        "exercise": "",
    }  # fmt: skip


def _entry(row: dict[str, Any], seq: int) -> dict[str, Any]:
    return {
        "chain": f"incident/{row['id']}", "seq": seq, "at": row["created_at"],
        "kind": ("report.received", "incident.opened")[seq - 1], "actor": "endpoint:fi-csirt",
        "incident_id": row["id"], "object_type": "incident", "object_id": row["id"], "commitment": "0" * 64,
        "prev": "0" * 64, "hash": "0" * 64, "exercise": "",
    }  # fmt: skip


if __name__ == "__main__":
    main()
