"""The API held to its own description by schemathesis, as somebody in a role: whatever is sent, the answer is one that
`/api/v1/openapi.json` names, in the shape and type it names, never a server error, and never without who asks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from coordinator.accounts.rules import RIGHTS, Right, Role

ROOT = Path(__file__).resolve().parents[2]
#: Not asked: that everything the shapes allow is taken (a code may not be there, a rule may refuse), and that what was
#: deleted is gone (nothing is deleted).
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "unsupported_method", "ignored_auth",
)  # fmt: skip
#: A refusal is a refusal: which of two that are both right comes first is not held.
_SETTINGS = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 428, 429, 503]
"""
#: Who asks, the one with most to do first.
ROLES = (
    Role.COORDINATOR, Role.DUTY_OFFICER, Role.ADMINISTRATOR, Role.RELEASE_AUTHORITY, Role.AGREEMENT_MANAGER,
    Role.EXERCISE_CONTROLLER, Role.LEGAL_ADVISER, Role.PARTNER_USER, Role.AUDITOR,
)  # fmt: skip


def by_role(url: str) -> dict[Role, list[str]]:
    """Every operation of the document, by its id, with the first role that may do it, those of ROLES first."""
    document = requests.get(f"{url}/api/v1/openapi.json", timeout=60).json()
    found: dict[Role, list[str]] = {}
    for said in (said for item in document["paths"].values() for said in item.values()):
        needed = re.search("Needs the right `([a-z-]+)`", said.get("description", ""))
        role = next(one for one in (*ROLES, *Role) if needed is None or Right(needed[1]) in RIGHTS[one])
        found.setdefault(role, []).append(said["operationId"])
    return found


def ask(
    url: str, *, token: str, site: Mapping[str, Any], folder: Path, phases: str, examples: int, seed: int = 1,
    only: Sequence[str] = (), seconds: int = 0,
) -> tuple[int, str]:  # fmt: skip
    """Exit code of schemathesis (0: nothing found) and what it says. `site`: what tests/contract/hooks.py wants;
    `only`: ids of operations; `seconds`: go on that long."""
    folder.mkdir(parents=True, exist_ok=True)
    told, settings = folder / "site.json", folder / "schemathesis.toml"
    told.write_text(json.dumps(dict(site)), "utf-8")
    settings.write_text(_SETTINGS, "utf-8")
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run", f"{url}/api/v1/openapi.json",
        "--checks", ",".join(CHECKS), "--phases", phases, "-n", str(examples), "--seed", str(seed), "--no-shrink",
        "--continue-on-failure", "--no-color", "--generation-database", "none", "--suppress-health-check", "all",
        "--warnings", "off", "--max-redirects", "0", "--request-timeout", "60", "-H", f"Authorization: Bearer {token}",
        *(word for name in only for word in ("--include-operation-id", name)),
        *(("--max-time", str(seconds)) if seconds else ()),
    ]  # fmt: skip
    env = dict(os.environ) | {
        "SCHEMATHESIS_HOOKS": "tests.contract.hooks", "CONTRACT_SITE": str(told), "PYTHONPATH": str(ROOT),
        "NO_PROXY": "*",
    }  # fmt: skip
    done = subprocess.run(command, env=env, cwd=folder, text=True, capture_output=True, timeout=1800)
    return done.returncode, done.stdout + done.stderr
