"""A partner's sending system for tests: it signs, and repeats under the same webhook-id until it is answered."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import requests

from coordinator.partners import signing
from tests.harness.processes import PATIENCE
from workers.demo.world import Partner

AGAIN = {429, 500, 502, 503, 504}


@dataclass
class Sent:
    """A report that was answered. `tries` counts the requests that were made for it, `seconds` the last of them."""

    webhook_id: str
    raw: bytes = field(repr=False)
    status: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    tries: int = 0
    seconds: float = 0.0
    media_type: str = "application/json"


class Sender:
    """Posts for one partner; may be used from several threads. `patience` in seconds for one report."""

    def __init__(self, base_url: str, partner: Partner, *, patience: float = PATIENCE) -> None:
        self._url = f"{base_url}/api/v1/intake/{partner.intake}"
        self._secret = partner.in_secret
        self._patience = patience
        self._local = threading.local()
        self.server_errors = 0

    def post(self, body: dict[str, Any] | bytes, webhook_id: str, *, media_type: str = "application/json") -> Sent:
        """One report until it is answered with something other than "try again". Raises TimeoutError."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return self.post_again(Sent(webhook_id, raw, media_type=media_type))

    def post_again(self, sent: Sent) -> Sent:
        """The same bytes under the same webhook-id; a new signature, because that bears the time."""
        deadline = time.monotonic() + self._patience
        found = Sent(sent.webhook_id, sent.raw, tries=sent.tries, media_type=sent.media_type)
        while time.monotonic() < deadline:
            found.tries += 1
            answer = self._try(found)
            if answer is not None and answer.status_code not in AGAIN:
                found.status, found.seconds = answer.status_code, answer.elapsed.total_seconds()
                found.answer = answer.json()
                return found
            if answer is not None and answer.status_code == 500:
                self.server_errors += 1
            time.sleep(0.2)
        raise TimeoutError(f"{sent.webhook_id} was not answered in {self._patience:.0f} s")

    def _try(self, sent: Sent) -> requests.Response | None:
        headers = signing.signed_headers([self._secret], sent.webhook_id, int(time.time()), sent.raw)
        try:
            return self._session.post(
                self._url, data=sent.raw, headers={**headers, "Content-Type": sent.media_type}, timeout=30
            )
        except requests.RequestException:
            return None

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        session: requests.Session = self._local.session
        return session
