"""A partner's receiving system for tests: verifies signatures, keeps every arrival, and can be made to misbehave."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from coordinator import clock
from coordinator.partners import signing
from workers.demo.world import Partner

LARGEST = 1_000_000


@dataclass(frozen=True)
class Arrival:
    """One delivery that verified. `digest` is over the bytes as they came, `at` a monotonic time in seconds."""

    path: str
    webhook_id: str
    digest: str
    type: str
    source: str
    data: dict[str, Any]
    raw: bytes = field(repr=False)
    at: float = 0.0

    @property
    def kind(self) -> str:
        return self.type.rpartition(".")[2]


class Receiver:
    """Listens on a free port. `acknowledge`: a person on duty answers as soon as an alert asks for it.

    `cut`: how many of a hundred messages are taken in and cut off without an answer when they first arrive.
    `before_answer` is called with each arrival after it was kept, and may take its time.
    """

    def __init__(self, *, acknowledge: bool = True, cut: int = 0, seed: int = 0) -> None:
        self.acknowledge = acknowledge
        self.reach: Callable[[str], str] = lambda address: address  # how a public address is reached from here
        self.arrivals: list[Arrival] = []
        self.refused = 0
        self.before_answer: Callable[[Arrival], None] = lambda arrival: None
        self._cut, self._random = cut, random.Random(seed)
        self._secrets: dict[str, str] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def partner(self, code: str, intake: str) -> Partner:
        """Be this partner, too, under a path and secrets of its own."""
        partner = Partner(code=code, intake=intake, url=f"http://127.0.0.1:{self.port}/{intake}")
        self._secrets[f"/{intake}"] = partner.out_secret
        return partner

    def kept(self, kind: str = "") -> list[Arrival]:
        """Arrivals so far, of one kind (receipt, initial, closure …) or all."""
        with self._lock:
            return [each for each in self.arrivals if not kind or each.kind == kind]

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, path: str, headers: Any, body: bytes) -> tuple[int, bool]:
        """Keep one delivery; the status to answer, and whether to answer at all."""
        secret = self._secrets.get(path)
        try:
            signing.verify([secret] if secret else [], headers, body, clock.now())
        except (signing.MalformedHeaders, signing.BadSignature):
            with self._lock:
                self.refused += 1
            return 401, True
        event = json.loads(body)
        arrival = Arrival(
            path, headers["webhook-id"], hashlib.sha256(body).hexdigest(), event["type"], event["source"],
            event.get("data", {}), body, time.monotonic(),
        )  # fmt: skip
        with self._lock:
            first = all(each.webhook_id != arrival.webhook_id for each in self.arrivals)
            self.arrivals.append(arrival)
            answered = not first or self._random.randrange(100) >= self._cut
        address = arrival.data.get("acknowledge_api")
        if self.acknowledge and address and arrival.kind in ("initial", "update", "correction"):
            threading.Thread(target=self._acknowledge, args=(address,), daemon=True).start()
        self.before_answer(arrival)
        return 200, answered

    def _acknowledge(self, address: str) -> None:
        """As a partner would: again and again until it is answered."""
        said = {"kind": "person", "by": "Duty desk", "answer": "acknowledged"}
        self._over.wait(0.05)
        while not self._over.is_set():
            try:
                if requests.post(self.reach(address), json=said, timeout=5).status_code in (200, 410):
                    return
            except requests.RequestException:
                pass
            self._over.wait(0.5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that was killed while it sent is nothing to print."""


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            if length > LARGEST:
                self.send_error(413)
                return
            body = self.rfile.read(length)
            if len(body) < length:  # the sender died in the middle of it
                self.close_connection = True
                return
            status, answered = receiver.take(self.path, self.headers, body)
            if not answered:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    return Handler
