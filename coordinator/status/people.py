"""Names for those the record knows by their actor: `user:5`, `endpoint:fi-in`, `link:alr-…`, `system`, `cli:root`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.accounts.models import User


def names(tx: Session, actors: Iterable[str]) -> dict[str, str]:
    """A name for each actor; one query whatever the number."""
    wanted = set(actors)
    ids = {int(actor[5:]) for actor in wanted if actor.startswith("user:") and actor[5:].isdecimal()}
    users = {row.id: row.name for row in tx.execute(select(User.id, User.name).where(User.id.in_(ids)))} if ids else {}
    return {actor: _name(actor, users) for actor in wanted}


def of_entries(tx: Session, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each entry with `by`, the name of its actor, and `to`, whom it tells of: a person by name, a partner by code."""
    told = [str(entry["values"].get("recipient") or "") for entry in entries]
    named = names(tx, {entry["actor"] for entry in entries} | {code for code in told if code.startswith("user:")})
    return [
        entry | {"by": named[entry["actor"]], "to": named.get(code, code)}
        for entry, code in zip(entries, told, strict=True)
    ]


def _name(actor: str, users: dict[int, str]) -> str:
    kind, _, rest = actor.partition(":")
    if kind == "user":
        return users.get(int(rest), "somebody") if rest.isdecimal() else "somebody"
    if kind == "endpoint":
        return f"system {rest}"
    if kind == "link":
        return "the holder of the link"
    if kind == "cli":
        return f"{rest} at the command line"
    if kind == "run":
        return "a playbook"
    return "the system"
