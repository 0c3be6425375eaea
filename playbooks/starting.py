"""Whether a run may start, and what it takes along from the incident."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from playbooks.coordination import fact_name
from playbooks.document import Playbook
from playbooks.durations import read_instant, write_instant
from playbooks.variables import VariableRefused, fault_of_value, normalise

MAX_CALL_DEPTH = 8


class StartRefused(Exception):
    """A run may not start. `faults` are (JSON pointer, sentence)."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{pointer}: {sentence}" for pointer, sentence in faults))
        self.faults = faults


def start_faults(
    playbook: Playbook, now: datetime, callers: tuple[str, ...], enforce_validity: bool
) -> list[tuple[str, str]]:
    """Why this playbook may not start now: (JSON pointer, sentence)."""
    faults = []
    if playbook.id in callers:
        faults.append(("/id", "a playbook may not call itself, not even through others"))
    if len(callers) >= MAX_CALL_DEPTH:
        faults.append(("/id", f"playbooks call each other at most {MAX_CALL_DEPTH} deep"))
    if playbook.revoked:
        faults.append(("/revoked", "this playbook has been revoked"))
    elif enforce_validity:
        since, until = read_instant(playbook.valid_from), read_instant(playbook.valid_until)
        if since and now < since:
            faults.append(("/valid_from", "this playbook is not valid yet"))
        if until and now >= until:
            faults.append(("/valid_until", "this playbook is not valid any more"))
    return faults


def variable_faults(playbook: Playbook, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Why these first values cannot be taken: (JSON pointer, sentence)."""
    faults = []
    for name, value in given.items():
        declared = playbook.variables.get(name)
        if declared is None or not declared.external:
            faults.append((f"/variables/{name}", "the playbook declares no external variable of this name"))
            continue
        try:
            fault = fault_of_value(declared.type, normalise(value))
        except VariableRefused as refusal:
            fault = str(refusal)
        if fault:
            faults.append((f"/variables/{name}", fault))
    for name, declared in playbook.variables.items():
        if declared.external and declared.value is None and given.get(name) is None:
            faults.append((f"/variables/{name}", "the playbook needs a value for this variable to start"))
    return faults


def wanted_facts(playbook: Playbook, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Only the facts the document speaks of are kept."""
    known = {fact_name(name): value for name, value in facts.items()}
    return {name: _plain(known[name]) for name in sorted(playbook.facts) if name in known}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return write_instant(value)
    return list(value) if isinstance(value, tuple | set | frozenset) else value
