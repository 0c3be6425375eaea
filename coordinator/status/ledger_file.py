"""The ledger as a file: every line of what is asked for, read and given a batch at a time, each in a transaction of its
own. However long it is, no more than a batch is held, and no snapshot of the database is kept open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.errors import NotSignedIn
from coordinator.incidents.queries import get_visible
from coordinator.status import ledger
from coordinator.status.ledger import Asked
from coordinator.status.paging import MOST as AT_ONCE
from coordinator.store import Store

COLUMNS = (
    "since", "sure", "recipient", "incident", "kind", "title", "tlp", "purpose", "info_category", "originator",
    "agreement", "agreement_version", "clauses", "obligations", "keep_until", "channel", "taken_as", "acknowledged_at",
    "withdrawn_at", "recalled_at", "recall_state", "recall_answered_at", "recall_note", "public_id", "reference",
    "exercise", "files", "files_sha256", "files_taken_at", "recall_answered_by", "destroy_by",
)  # fmt: skip
NOT_TAKEN = "not-taken"


def begin(tx: Session, *, principal: Principal, asked: Asked) -> None:
    """Put on record that the ledger is taken out as a file. Raises NotFound as `ledger.lines`."""
    ledger.lines(tx, principal=principal, asked=asked, limit=1)
    incident = get_visible(tx, asked.incident, principal=principal) if asked.incident else None
    timeline.append(
        tx, "ledger.exported", "The ledger was taken out as a file.", actor=principal.actor, incident=incident,
        values={"partner": asked.partner, "item": asked.item, "agreement": asked.agreement}, exercise=asked.exercise,
    )  # fmt: skip


def batches(store: Store, *, principal: Principal, asked: Asked) -> Iterator[list[list[Any]]]:
    """Rows in the order of COLUMNS, some at a time: what the public was told, then the lines, newest first. What
    leaves while it is read is not among them. Raises NotSignedIn in the middle where the account was stopped meanwhile:
    the file breaks off then, and whoever takes it sees that."""
    before = None
    while True:
        with store.read() as tx:
            _check_account(tx, principal)
            told = ledger.published(tx, principal=principal, asked=asked, before=before, limit=AT_ONCE)
        if not told:
            break
        before = told[-1]["notice"]
        yield [as_row(line) for line in told]
    cursor: str | None = ""
    while cursor is not None:
        with store.read() as tx:
            _check_account(tx, principal)
            page = ledger.lines(tx, principal=principal, asked=asked, cursor=cursor, limit=AT_ONCE, alone=True)
        cursor = page["next"]
        yield [as_row(line) for line in page["items"]]


def as_row(line: dict[str, Any]) -> list[Any]:
    """A line as the cells of a table, in the order of COLUMNS. The three of its files name them in the same order."""
    back, files = line["recall"] or {}, line["files"]
    flat = line | {
        "recalled_at": back.get("at"), "recall_state": back.get("state"), "recall_note": back.get("note"),
        "recall_answered_at": back.get("answered_at"), "recall_answered_by": back.get("by"),
        "files": [each["name"] for each in files],
        "files_sha256": [each["sha256"] for each in files],
        "files_taken_at": [clock.rfc3339(each["taken_at"]) if each["taken_at"] else NOT_TAKEN for each in files],
    }  # fmt: skip
    return [flat[name] for name in COLUMNS]


def _check_account(tx: Session, principal: Principal) -> None:
    user = tx.get(User, principal.user_id)
    if user is not None and user.state != "active":
        raise NotSignedIn()
