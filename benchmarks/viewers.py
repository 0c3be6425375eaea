"""Open pages must not slow filing: latency of filing beside 1,000 open boards, against filing alone.

`python -m benchmarks.viewers [--short] [--postgresql]`. The pages are browsers' connections, each with a session of its
own, that ask every two seconds whether the board changed, as the page's script does. They do not fetch it again when it
did. Four partners file meanwhile, each one report after the other, with and without viewers in turn; relay and workers
are off.
"""

from __future__ import annotations

import multiprocessing
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import load, printed
from benchmarks.installation import Installation, installation, postgres
from coordinator import clock
from coordinator.accounts import rules, sessions
from coordinator.accounts import service as accounts
from coordinator.app import create_app
from coordinator.web import access
from coordinator.web.pulse import EVERY
from workers.demo import world as fiction

VIEWERS, ROUNDS, FILED, PARTNERS = 1000, 3, 150, 4
_READ = rules.Right.READ_INCIDENTS
_FORK = multiprocessing.get_context("fork")


def main() -> None:
    chosen = printed.arguments(__doc__ or "")
    viewers, rounds, filed = (20, 1, 8) if chosen.short else (VIEWERS, chosen.rounds or ROUNDS, FILED)
    printed.heading("viewers", chosen)
    alone: list[load.Outcome] = []
    beside: list[load.Outcome] = []
    polls: list[dict[str, float]] = []
    with postgres(chosen.postgresql) as url, installation(database_url=url) as place:
        place.start("broker", "web")
        asking = _poll_requests(place, viewers)
        load.run(place.port, place.signed_requests(filed), clients=PARTNERS)
        for _ in range(rounds):
            alone.append(load.run(place.port, place.signed_requests(filed), clients=PARTNERS))
            with _watching(place.port, asking) as seen:
                time.sleep(0.5 if chosen.short else 4.0)
                beside.append(load.run(place.port, place.signed_requests(filed), clients=PARTNERS))
            polls.append(seen)
            printed.line(f"p50 {alone[-1].p50:.1f} ms alone, {beside[-1].p50:.1f} ms beside {viewers} pages")
    for name in ("answers a second", "p95 ms", "failed"):
        printed.line(f"pages: {name} {printed.spread([one[name] for one in polls])}")
    for part in ("p50", "p95"):
        printed.three(f"filing beside {viewers} pages, {part} (floor: alone)", _median(beside, part),
                      _median(alone, part), "ms")  # fmt: skip


def _median(outcomes: list[load.Outcome], part: str) -> float:
    return printed.median([getattr(one, part) for one in outcomes])


def _poll_requests(place: Installation, count: int) -> list[bytes]:
    """What that many browsers send, each with a session of its own, of all roles in turn that see the board."""
    app = create_app(place.store)
    signed = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    people = [email for role, (email, _) in fiction.PEOPLE.items() if rules.may(rules.Role(role), _READ)]
    with place.store.unit_of_work() as tx:
        users = [user for email in people if (user := accounts.user_by_email(tx, email))]
        for user in users:
            user.enrolled_at = clock.now()
        tokens = [sessions.open_session(tx, users[number % len(users)], how="benchmark", second_factor=True)
                  for number in range(count)]  # fmt: skip
    name = app.config["SESSION_COOKIE_NAME"]
    return [
        load.http_request("GET", "/board/live", "127.0.0.1", {
            "Cookie": f"{name}={signed.dumps({access.TOKEN: token})}", "X-Live": "1", "If-None-Match": '"%s"',
        }) for token in tokens
    ]  # fmt: skip


@contextmanager
def _watching(port: int, asking: list[bytes]) -> Iterator[dict[str, Any]]:
    """So many pages open meanwhile, in a process of their own; afterwards the dict holds what they saw."""
    seen: dict[str, Any] = {}
    over, answers = _FORK.Event(), _FORK.SimpleQueue()
    process = _FORK.Process(target=_watch, args=(port, asking, over, answers), daemon=True)
    process.start()
    try:
        yield seen
    finally:
        over.set()
        seen |= answers.get()
        process.join()


def _watch(port: int, asking: list[bytes], over: Any, answers: Any) -> None:
    """One thread for all pages: each asks, waits for its answer, and asks again two seconds later."""
    eyes = selectors.DefaultSelector()
    pages = [_Page(port, one) for one in asking]
    began = time.monotonic()
    for number, page in enumerate(pages):
        page.next = began + EVERY * number / len(pages)
        eyes.register(page.socket, selectors.EVENT_READ, page)
    times: list[float] = []
    failed = 0
    while not over.is_set():
        now = time.monotonic()
        for page in pages:
            if not page.asked and page.next <= now:
                page.ask()
        for key, _ in eyes.select(0.02):
            taken = key.data.take()
            if taken is None:
                eyes.unregister(key.data.socket)
                key.data.open()
                eyes.register(key.data.socket, selectors.EVENT_READ, key.data)
                failed += 1
            elif taken:
                times.append(taken * 1000)
    seconds = time.monotonic() - began
    answers.put({
        "answers a second": len(times) / seconds, "p95 ms": load.quantile(sorted(times), 0.95), "failed": failed
    })  # fmt: skip


class _Page:
    """One open page: its connection, what it saw last, when it asks next."""

    def __init__(self, port: int, asking: bytes) -> None:
        self._port, self._asking, self._tag, self._data = port, asking, b"none", b""
        self.asked, self.next = 0.0, 0.0
        self.open()

    def open(self) -> None:
        self.asked, self._data = 0.0, b""
        self.next = time.monotonic() + EVERY
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)

    def ask(self) -> None:
        self.asked = time.monotonic()
        try:
            self.socket.sendall(self._asking.replace(b"%s", self._tag))
        except OSError:
            return  # seen when it is read

    def take(self) -> float | None:
        """Seconds to the answer, 0 while it is not whole, None when the connection broke."""
        try:
            got = self.socket.recv(65536)
        except OSError:
            got = b""
        if not got or not self.asked:
            return None
        self._data += got
        if b"\r\n\r\n" not in self._data:
            return 0.0
        head = self._data.partition(b"\r\n\r\n")[0].lower()
        if b"\r\netag: " in head:
            self._tag = head.partition(b'\r\netag: "')[2].partition(b'"')[0]
        taken, self._data = time.monotonic() - self.asked, b""
        self.next, self.asked = self.asked + EVERY, 0.0
        return taken


if __name__ == "__main__":
    main()
