"""A stand-in partner system: a real HTTP receiver that verifies signatures, keeps what it got and acknowledges.

It is what a partner would write against our contract: Standard Webhooks in both directions, CloudEvents bodies.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from coordinator import clock
from coordinator.partners import signing
from workers.demo.world import Partner

LARGEST = 1_000_000


@dataclass
class Received:
    """One alert as it arrived. `at` is a monotonic time in seconds; `times` counts arrivals with this webhook-id."""

    webhook_id: str
    type: str
    data: dict[str, Any]
    at: float
    times: int = 1


@dataclass
class StandIn:
    """Listens on `port` (0: a free one). `acknowledge`: answer as a person on duty as soon as something arrives."""

    acknowledge: bool = True
    port: int = 0
    received: dict[str, Received] = field(default_factory=dict)
    refused: int = 0

    def __post_init__(self) -> None:
        self._secrets: dict[str, str] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def partner(self, code: str, intake: str) -> Partner:
        """Be this partner, too: it gets a path and secrets of its own."""
        partner = Partner(code=code, intake=intake, url=f"http://127.0.0.1:{self.port}/{intake}")
        self._secrets[f"/{intake}"] = partner.out_secret
        return partner

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, headers: Any, body: bytes) -> int:
        """Verify and keep one delivery; returns the HTTP status to answer."""
        secret = self._secrets.get(path)
        try:
            signing.verify([secret] if secret else [], headers, body, clock.now())
        except (signing.MalformedHeaders, signing.BadSignature):
            self.refused += 1
            return 401
        event = json.loads(body)
        message = headers["webhook-id"]
        with self._lock:
            if message in self.received:
                self.received[message].times += 1
                return 200
            self.received[message] = Received(message, event["type"], event.get("data", {}), time.monotonic())
        address = event.get("data", {}).get("acknowledge_api")
        if self.acknowledge and address and not event["type"].endswith(".receipt"):
            threading.Thread(target=self._acknowledge, args=(address,), daemon=True).start()
        return 202

    @staticmethod
    def _acknowledge(address: str) -> None:
        said = {"kind": "person", "by": "Duty desk", "answer": "acknowledged"}
        requests.post(address, json=said, timeout=10)


def send_report(base_url: str, partner: Partner, body: dict[str, Any], *, message_id: str = "") -> requests.Response:
    """Post one signed native report to the coordinator; the answer is its 202 or a problem."""
    raw = json.dumps(body).encode()
    message = message_id or f"msg_{secrets.token_hex(12)}"
    headers = signing.signed_headers([partner.in_secret], message, int(time.time()), raw)
    return requests.post(
        f"{base_url}/api/v1/intake/{partner.intake}", data=raw, timeout=30,
        headers={**headers, "Content-Type": "application/json"},
    )  # fmt: skip


def _handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            if length > LARGEST:
                self.send_error(413)
                return
            status = stand_in.take(self.path, self.headers, self.rfile.read(length))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing: the demo prints the record instead."""

    return Handler
