"""Reports as partners send them: a few hundred bytes to a few kilobytes, each different, some with flags and states."""

from __future__ import annotations

import json
import random
import secrets
import time
from typing import Any

from benchmarks.load import http_request
from coordinator.partners import signing

SECTORS = ("health", "energy", "transport", "banking", "public-administration", "digital-infrastructure")
STATES = ("FI", "EE", "LV", "LT", "SE", "PL", "DE", "NO")
KINDS = (
    "malicious-code/infected-system", "availability/outage", "information-content-security/data-loss",
    "intrusions/privileged-account-compromise", "undetermined",
)  # fmt: skip
SENTENCES = (
    "File servers were encrypted during the night and services moved to paper.",
    "The same remote-access gateway is in use on both sides of the border.",
    "Logs show a connection from an address that was seen in two earlier incidents.",
    "The operator asks for the versions that others have seen.",
    "Public pages answer slowly; the internal network is not affected so far.",
)  # fmt: skip


def body(number: int, chance: random.Random, prefix: str = "R") -> dict[str, Any]:
    """One native report (contract of the intake)."""
    return {
        "title": f"{chance.choice(SENTENCES)[:60]} ({prefix}-{number})",
        "description": " ".join(chance.choices(SENTENCES, k=chance.randint(2, 12))),
        "external_id": f"{prefix}-{number}",
        "tlp": chance.choice(("GREEN", "GREEN", "CLEAR", "AMBER")),
        "noticed_at": "2026-11-22T01:10:00Z",
        "noticed_at_fidelity": "minute",
        "classification": chance.choice(KINDS),
        "severity": chance.randint(1, 4),
        "sectors": chance.sample(SECTORS, k=chance.randint(1, 2)),
        "states_affected": chance.sample(STATES, k=chance.randint(1, 3)),
        "suspected_malicious": chance.choice(("yes", "no", "unknown")),
        "cross_border": chance.choice(("yes", "no", "unknown")),
        "language": "en",
    }


def signed_requests(secret: str, slug: str, count: int) -> list[bytes]:
    """That many different reports as signed HTTP requests; good for five minutes, as the standard has it."""
    prefix, now, chance = secrets.token_hex(4), int(time.time()), random.Random(7)
    requests = []
    for number in range(count):
        raw = json.dumps(body(number, chance, prefix)).encode()
        headers = signing.signed_headers([secret], f"msg_{prefix}_{number}", now, raw)
        headers = {**headers, "Content-Type": "application/json"}
        requests.append(http_request("POST", f"/api/v1/intake/{slug}", "127.0.0.1", headers, raw))
    return requests
