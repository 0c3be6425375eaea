"""The ledger after five years: its pages and files, by partner, incident, item and exercise, and what the partner that
holds a tenth of it reads, with 10,000 and with 1,000,000 releases. Through the real application, signed in; processor
time of the process that answers and of the database server's, so that a busy machine does not count.

`python -m benchmarks.ledger [--short] [--postgresql] [--size N] [--rounds N]`. The floor is the same page with 10,000
releases; of the file of everything, reading the same rows and writing them as CSV and no more.
"""

from __future__ import annotations

import csv
import gc
import http.client
import io
import re
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from sqlalchemy import select

from benchmarks import load, printed
from benchmarks.installation import Installation, installation, postgres
from benchmarks.ledger_world import AGREEMENT, DRILLED, EXERCISE, HOLDER, World, fill
from coordinator import clock
from coordinator.accounts import service as accounts
from coordinator.accounts import sessions
from coordinator.accounts.models import User
from coordinator.alerts.models import Alert
from coordinator.app import create_app
from coordinator.incidents.models import Incident
from coordinator.sharing.models import Release, ShareDecision
from coordinator.status.paging import to_cursor
from coordinator.web import access

SIZES, ROUNDS = (10_000, 1_000_000), 40
TAXII = "/taxii2/released/collections/"


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
            world = fill(place.store, size)
            printed.line(f"{size} releases made in {time.perf_counter() - began:.1f} s, "
                         f"{time.process_time() - busy:.1f} s of processor time here")  # fmt: skip
            worlds[size] = place, world
        readers = {size: Reader(*each, size) for size, each in worlds.items()}
        gc.collect()
        gc.freeze()  # as the web server does: what was loaded is not looked through again in the middle of a page
        for number in range(1 if chosen.short else 0, rounds + 1):
            for size, reader in readers.items():
                for kind, ask in reader.asked().items():
                    one = ask()
                    if number:  # the first round warms
                        taken.setdefault((size, kind), []).append(one * 1000)
        _pages(taken, sizes)
        _everything(readers[sizes[1]], sizes[1], chosen.lines or sizes[1])


def _pages(taken: dict[tuple[int, str], list[float]], sizes: tuple[int, int]) -> None:
    least, most = sizes
    for kind in dict.fromkeys(kind for _, kind in taken):
        ours, floor = (load.quantile(sorted(taken[size, kind]), 0.95) for size in (most, least))
        printed.three(f"ledger, {kind}, p95 at {most} (floor: at {least})", ours, floor, "ms", reach="1.5")
        ours, floor = (printed.median(taken[size, kind]) for size in (most, least))
        printed.line(f"median {ours:.3g} and {floor:.3g} ms, {ours / floor:.2f}")


def _everything(reader: Reader, size: int, limit: int) -> None:
    """The file of every line, from the installed web server; the floor reads the same rows and writes them."""
    floor = reader.rows_alone()
    seconds, before, most, marks = reader.everything(limit)
    lines, busy = marks[-1]
    tenths = [(took - had) / (many - few) for (few, had), (many, took) in pairwise(marks)]
    printed.three(f"ledger, file of everything, {lines} lines, processor time a line (floor: rows read and written)",
                  busy / lines * 1000, floor / size * 1000, "ms")  # fmt: skip
    printed.line(f"in {seconds:.1f} s, {lines / seconds:.0f} lines/s; the web server's processes held {before:.0f} MiB "
                 f"before and at most {most:.0f} MiB meanwhile (PSS); the last tenth of the lines took "
                 f"{tenths[-1] / tenths[0]:.2f} times what the first did")  # fmt: skip


class Reader:
    """A coordinator and a partner's person who signed in, at an application of this process."""

    def __init__(self, place: Installation, world: World, size: int) -> None:
        self.size, self._place, self._world = size, place, world
        people, tokens, self._coordinator = {}, {}, 0
        with place.store.unit_of_work() as tx:
            for role, whose in (("coordinator", None), ("analyst", None), ("partner-user", world.holder)):
                user = accounts.create_user(
                    tx, email=f"{role}@own.example", name="C", role=role, actor="cli:benchmark", organisation_id=whose
                )
                user.enrolled_at = clock.now()
                self._coordinator = user.id if role == "coordinator" else self._coordinator
                people[role] = sessions.open_session(tx, user, how="benchmark", second_factor=True)
                tokens[role] = accounts.create_token(
                    tx, user.id, name="benchmark", scopes=["read"], actor="cli:benchmark"
                )
        app = create_app(place.store)
        self._cookies: dict[str, str] = {}
        self._clients = {role: self._signed_in(app, role, token) for role, token in people.items()}
        self._bearer, self._tool = ({"Authorization": f"Bearer {tokens[each]}"} for each in ("partner-user", "analyst"))
        self._taxii = self._collection()

    def _signed_in(self, app: Any, role: str, token: str) -> Any:
        client = app.test_client()
        with client.session_transaction() as session:
            session[access.TOKEN] = token
        return client

    def _collection(self) -> dict[str, str]:
        """The path of the partner's collection and the id of a report in it."""
        answer = self._clients["partner-user"].get(TAXII, headers=self._bearer | {"Accept": "*/*"})
        one = TAXII + answer.get_json(force=True)["collections"][0]["id"]
        page = f"{one}/manifest/?limit=1&match[type]=report"
        answer = self._clients["partner-user"].get(page, headers=self._bearer | {"Accept": "*/*"})
        return {"whole": one, "object": answer.get_json(force=True)["objects"][0]["id"]}

    def asked(self) -> dict[str, Callable[[], float]]:
        """What is looked at: pages by each of the ways, the first lines as a file, and what the partner reads."""
        world = self._world
        middle, end = (f"cursor={to_cursor(number)}" for number in (self.size // 2 + 1, DRILLED + 50))
        case = "cursor=" + to_cursor(self._second(incident=world.reference))
        ways = {
            "newest": "", "from the middle": middle, "the oldest": end, "one partner": f"partner={HOLDER}",
            "one partner, from the middle": f"partner={HOLDER}&{middle}",
            "one incident": f"incident={world.reference}", "one incident, second": f"incident={world.reference}&{case}",
            "one item": f"item={world.item}", "one item, second": f"item={world.item}&{case}",
            "one agreement": f"agreement={AGREEMENT}",
            "one agreement, from the middle": f"agreement={AGREEMENT}&{middle}", "one exercise": f"exercise={EXERCISE}",
        }  # fmt: skip
        api, taxii = "/api/v1/released", self._taxii["whole"]
        theirs = {
            "partner's page": "/released", "partner's page, from the middle": f"/released?before={world.held}",
            "partner's page, what waits": "/released?show=waiting", "partner's page, one": f"/released/{world.held}",
        }  # fmt: skip
        tools = {
            "partner's API": api, "partner's API, from the middle": f"{api}?cursor={world.held}",
            "TAXII collections": TAXII, "TAXII objects, first": taxii + "/objects/?limit=20",
            "TAXII objects, added after the middle": f"{taxii}/objects/?limit=20&added_after={world.listed_at}",
            "TAXII manifest, first": taxii + "/manifest/?limit=20",
            "TAXII manifest, added after the middle": f"{taxii}/manifest/?limit=20&added_after={world.listed_at}",
            "TAXII manifest, reports": f"{taxii}/manifest/?limit=20&match[type]=report",
            "TAXII one object": f"{taxii}/objects/{self._taxii['object']}/",
        }  # fmt: skip
        return {
            **{kind: partial(self._page, "coordinator", f"/ledger?{way}") for kind, way in ways.items()},
            **{f"{kind}, API": partial(self._page, "analyst", f"/api/v1/ledger?{way}", **self._tool)
               for kind, way in ways.items()},
            "file of one incident": partial(self._file, incident=world.reference),
            "file of one item": partial(self._file, item=world.item),
            **{kind: partial(self._page, "partner-user", path) for kind, path in theirs.items()},
            **{kind: partial(self._page, "partner-user", path, **self._bearer) for kind, path in tools.items()},
        }

    def _second(self, **narrowed: str) -> int:
        """The last line of the first page."""
        answer = self._clients["analyst"].get(f"/api/v1/ledger?{urlencode(narrowed)}", headers=self._tool)
        return int(answer.get_json()["items"][-1]["alert"])

    def _page(self, role: str, path: str, **headers: str) -> float:
        """Seconds of processor time."""
        began = self._busy()
        answer = self._clients[role].get(path, headers=headers | ({"Accept": "*/*"} if headers else {}))
        taken = self._busy() - began
        assert answer.status_code == 200, answer.text[:200]
        assert 'class="empty"' not in answer.text or "waiting" in path, path
        return taken

    def _file(self, **narrowed: str) -> float:
        """Seconds of processor time for the file that the page with the same filter offers."""
        client, token = self._clients["coordinator"], self._form(f"/ledger?{urlencode(narrowed)}")
        began = self._busy()
        answer = client.post("/ledger/file", data=narrowed | {"csrf_token": token})
        taken = self._busy() - began
        assert answer.status_code == 200, answer.text[:200]
        assert answer.text.count("\n") > 1
        return taken

    def _form(self, path: str) -> str:
        """The token of the form of a file, signed in this minute."""
        with self._place.store.unit_of_work() as tx:
            again = sessions.open_session(tx, tx.get_one(User, self._coordinator), how="benchmark", second_factor=True)
        with self._clients["coordinator"].session_transaction() as session:
            session[access.TOKEN] = again
        token = re.search(r'name="csrf_token" value="([^"]+)"', self._clients["coordinator"].get(path).text)
        assert token is not None
        return token[1]

    def _busy(self) -> float:
        return time.process_time() + _server(self._place)

    def rows_alone(self) -> float:
        """Seconds of processor time: every line's rows read in one query and written as CSV, and no more."""
        out = io.StringIO()
        began = self._busy()
        query = (
            select(Alert, Release, ShareDecision, Incident)
            .join(Release, Release.id == Alert.release_id)
            .join(ShareDecision, ShareDecision.id == Alert.decision_id)
            .outerjoin(Incident, Incident.id == Alert.incident_id)
            .order_by(Alert.id.desc())
        )
        writer = csv.writer(out)
        with self._place.store.read() as tx:
            connection = tx.connection(execution_options={"yield_per": 200})
            for row in connection.execute(query):
                writer.writerow(row)
                out.seek(0)
                out.truncate()
        return self._busy() - began

    def everything(self, limit: int) -> tuple[float, float, float, list[tuple[int, float]]]:
        """(seconds, MiB of the web server before, the most it held, [(lines, seconds of processor time) so far at each
        tenth]) for the whole file, all but what is restricted, or so many lines of it."""
        token, place = self._form("/ledger"), self._place
        client = self._clients["coordinator"]
        cookie = "; ".join(f"{each.key}={each.value}" for each in client._cookies.values())
        place.start("broker", "web")
        body = urlencode({"csrf_token": token}).encode()
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded", "Referer": place.base_url}
        pid = place.pid("web")
        before, stop = _held(pid), threading.Event()
        most = before

        def watch() -> None:
            nonlocal most
            while not stop.wait(0.5):
                most = max(most, _held(pid))

        watching = threading.Thread(target=watch)
        watching.start()
        began, busy = time.perf_counter(), load.processor_time(pid) + _server(place)
        connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=600)
        connection.request("POST", "/ledger/file", body, headers)
        answer, lines, marks = connection.getresponse(), 0, [(0, 0.0)]
        assert answer.status == 200, answer.read(300)
        while lines < limit and (chunk := answer.read(1 << 16)):
            lines += chunk.count(b"\r\n")
            if lines - marks[-1][0] >= limit // 10:
                marks.append((lines, load.processor_time(pid) + _server(place) - busy))
        connection.close()
        seconds = time.perf_counter() - began
        stop.set()
        watching.join()
        place.stop()
        assert limit // 2 < lines <= self.size + 1, lines
        return seconds, before, most, marks


def _held(pid: int) -> float:
    """MiB of a process and its children, what they share counted once (PSS)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(own[1] if own else 0) / 1024 + sum(_held(int(child)) for child in children)


def _server(place: Installation) -> float:
    """Seconds of processor time of the PostgreSQL processes that answer; 0 with SQLite."""
    url = place.store.settings.database_url
    if not url.startswith("postgresql"):
        return 0.0
    folder = Path(parse_qs(urlsplit(url).query)["host"][0])
    main = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    total = 0.0
    for child in Path(f"/proc/{main}/task/{main}/children").read_text().split():
        try:
            if b"coordinator_" in Path(f"/proc/{child}/cmdline").read_bytes():
                total += int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) / 1e9
        except FileNotFoundError:
            continue
    return total


if __name__ == "__main__":
    main()
