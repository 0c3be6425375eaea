"""What the machine keeps and tells about itself: files, rows, processes, what commands print. No word stands there that
is sealed; the table in docs/security.md says which are not.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyrage
from sqlalchemy import LargeBinary, String, cast, select
from sqlalchemy.types import TypeEngine

from coordinator.db import Base
from tests.canary.model import Word
from tests.harness.installation import ROOT
from tests.harness.processes import PATIENCE
from tests.unfolded import unfolded

WORD = re.compile("zqk[a-z]{11}")
#: Column → what stands there in the open, as the table of docs/security.md says; by how a word's `what` begins.
_PARTY, _NAME, _STEP = "code of partner", "name of", ("first step", "step of", "last step")
_DIRECTORY = (_PARTY, "name of partner", "function at", "person at", "mailbox of", "agreement", "scope of agreement",
              "evidence of a consent")  # fmt: skip
IN_THE_OPEN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((
        "agreements.terms", "organisations.code", "organisations.name", "consents.evidence", "contacts.function",
        "contacts.person_name", "channels.address"), _DIRECTORY),
    **dict.fromkeys(("users.email", "users.name"), (_NAME,)),
    **dict.fromkeys((
        "recalled.recipient", "release_versions.recipients", "release_versions.left_out", "share_decisions.recipient",
        "alerts.recipient"), (_PARTY,)),
    "holds.text": (_PARTY, "name of a playbook", *_STEP), "tasks.title": (_PARTY, "task of", *_STEP),
    "step_attempts.name": _STEP, "share_decisions.inputs": (_PARTY, _NAME),
    "playbook_versions.document": ("",), "playbook_versions.name": ("name of a playbook",),
    "acknowledgements.by": (_NAME, "by of a system"),
    # of an incident that is not restricted, see `may_stand`
    "incidents.title": ("title",), "incidents.search_text": ("title", "external id", "description"),
    "external_references.external_id": ("external id",), "reports.external_id": ("external id",),
    "attachments.name": ("name of a file", "name of an enclosed"),
    **dict.fromkeys(("incidents.marking", "item_versions.marking", "releases.marking"), ("named recipient",)),
    "exercises.title": ("title of an exercise",), "http_hosts.origin": ("origin of a service",),
    "standing_clearances.title": ("title of a",), "standing_clearances.body": ("standing text", "second standing text"),
    # what officers give as their reasons
    "incidents.severity_reason": ("why",), "approvals.reason": ("reason to refuse",),
    "recalls.reason": ("reason of a recall", "reason of a wrong-release", "reason to recall an item"),
    "release_files.reason": ("reason to release a file",), "consent_requests.decline_reason": ("reason to decline",),
    "proposed_changes.answer": ("reason to refuse the change",),
    "obligation_rules.signed_note": ("note on a clock rule",),
    "public_notices.withdraw_reason": ("reason to withdraw a notice",),
    "standing_clearances.revoke_reason": ("reason to revoke",), "consents.withdraw_reason": ("reason to withdraw",),
}


def may_stand(column: str, word: Word, *, restricted: bool) -> bool:
    """Whether that word may stand there in the open; `restricted`: the incident that it is of."""
    if restricted and column in ("incidents.title", "incidents.search_text"):
        return False
    return any(word.what.startswith(allowed) for allowed in IN_THE_OPEN.get(column, ()))


def rows(store: Any) -> Iterator[tuple[str, str]]:
    """(column, word) of all that stands in a column of the database in the open."""
    with store.read() as tx:
        for table in Base.metadata.sorted_tables:
            columns = [each for each in table.columns if _holds_text(each.type)]
            if not columns:
                continue
            for row in tx.execute(select(*[_as_text(each) for each in columns])):
                for column, value in zip(columns, row, strict=True):
                    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
                    found = WORD.findall(unfolded(text).lower())
                    yield from ((f"{table.name}.{column.name}", word) for word in found)


def _as_text(column: Any) -> Any:
    return column if isinstance(column.type, LargeBinary) else cast(column, String)


def _holds_text(kind: TypeEngine[Any]) -> bool:
    return type(kind).__name__ not in ("Integer", "BigInteger", "Boolean", "DateTime", "Float", "Date", "Instant")


def files(folders: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """(file, word) of all files below these folders."""
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            with suppress(OSError):  # a socket, or gone since
                if file.is_file():
                    found = set(WORD.findall(file.read_bytes().lower().decode("latin-1")))
                    yield from ((file, word) for word in found)


def processes(pids: Iterable[int]) -> str:
    """Arguments and environment of these processes, as everybody of this machine's user reads them."""
    found = []
    for pid in pids:
        for name in ("cmdline", "environ"):
            with suppress(OSError):
                found.append(Path(f"/proc/{pid}/{name}").read_bytes().decode("latin-1"))
    return "\n".join(found)


#: Commands that tell of the installation; what they print is read by whoever runs the machine.
_COMMANDS = ("doctor --settings", "record verify", "record checkpoint", "backup")


def commands(machine: Any) -> str:
    """What these print, whatever they end with. A backup lies in the data directory afterwards."""
    code = f"from coordinator.cli import main\nfor each in {_COMMANDS!r}:\n    print(each, main(each.split()))"
    env = dict(machine.env)
    if "COORDINATOR_OWNER_DATABASE_URL" in env:  # with PostgreSQL nobody's key is made for it
        env["COORDINATOR_BACKUP_KEY"] = str(pyrage.x25519.Identity.generate().to_public())
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, text=True, capture_output=True,
                          timeout=PATIENCE, stdin=subprocess.DEVNULL)  # fmt: skip
    assert "backup 0" in done.stdout, done.stdout + done.stderr
    return done.stdout + done.stderr
