"""The variables of a run for people: what each holds, what filled it, and what is written on it.

Who may know of the run's incident reads them, as they read its notes; a value is shown only where that is certain. Not
shown: what is called as a secret is, what is for named recipients only, what came from something that is gone, and in a
run of no incident what anybody filled in, unless one started the run or manages runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking, Tlp
from coordinator.partners.models import Organisation
from coordinator.runs import sources
from coordinator.runs.models import Run
from coordinator.runs.saved import has_begun, load_state
from coordinator.status import people
from coordinator.timeline.models import DataKey
from playbooks.document import Playbook
from playbooks.variables import INCIDENT, SECRET_NAME, Value, Variable

#: Why a value is not shown.
SECRET, NAMED, GONE, NO_INCIDENT = "secret", "named", "gone", "no-incident"
DOCUMENT, FORM, SERVICE = "document", "form", "service"
_BY = {"http-answer": SERVICE}


@dataclass(frozen=True)
class _Place:
    """Variables that are kept together. `at`: the name of the step that has them, "" for those of the whole run."""

    at: str
    declared: Mapping[str, Variable]
    values: Mapping[str, Value]
    sources: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class _Filled:
    """An item version that filled a variable."""

    kind: str
    by: str
    at: datetime
    there: bool
    named: frozenset[str]


def variables(
    tx: Session, run: Run, playbook: Playbook, *, incident: Incident | None, principal: Principal
) -> list[dict[str, Any]]:
    """[{name, step, type, constant, external, description, value, shown, why, label, marking, filled_by, since}].

    `step`: the step or branch that has it, "" for the whole run. `value` is None where `shown` is false; `why` says
    which rule stands against it. `filled_by`: [{what: document, form, service or incident, by, at}]. `since`: when the
    newest of them was said, None where that is not known. Need-to-know of the incident is asked by the caller.
    """
    if not has_begun(run):
        return []
    places = _places(tx, run, playbook)
    filled = _filled(tx, {each for place in places for names in place.sources.values() for each in names})
    reader = _Reader(tx, run, incident, principal)
    return [
        _described(tx, place, name, playbook, incident=incident, filled=filled, reader=reader)
        for place in places for name in sorted(place.values)
    ]  # fmt: skip


class _Reader:
    """Whose eyes it is for."""

    def __init__(self, tx: Session, run: Run, incident: Incident | None, principal: Principal) -> None:
        manages = may(Role(principal.role), Right.MANAGE_RUNS)
        self.may_read = incident is not None or manages or run.started_by == principal.actor
        email = tx.execute(select(User.email).where(User.id == principal.user_id)).scalar_one_or_none() or ""
        self.email = email.lower()
        self.of_incident = _named(incident.marking) if incident is not None else frozenset()

    def why_not(self, name: str, from_: Sequence[str], filled: Mapping[str, _Filled]) -> str:
        """Which rule stands against showing this value; "" for none."""
        if SECRET_NAME.search(name):
            return SECRET
        if any(each != INCIDENT and (each not in filled or not filled[each].there) for each in from_):
            return GONE
        if from_ and not self.may_read:
            return NO_INCIDENT
        lists = [filled[each].named for each in from_ if each in filled] + ([self.of_incident] if from_ else [])
        return NAMED if any(named and self.email not in named for named in lists) else ""


def _named(marking: Mapping[str, Any]) -> frozenset[str]:
    """Who may read it, where that is a list of persons: what is combined of several names nobody, so each is asked."""
    said = Marking.from_json(dict(marking))
    return frozenset(each.lower() for each in said.named_recipients) if said.effective is Tlp.RED else frozenset()


def _places(tx: Session, run: Run, playbook: Playbook) -> list[_Place]:
    state = load_state(tx, run)
    found = [_Place("", playbook.variables, state.variables, state.sources)]
    for token in state.tokens.values():
        step = playbook.steps.get(token.step)
        at = (step.name or step.id) if step is not None else token.step
        if token.scope:
            found.append(_Place(at, playbook.variables, token.scope, token.scope_sources))
        if token.local:
            found.append(_Place(at, step.variables if step is not None else {}, token.local, token.local_sources))
    return found


def _filled(tx: Session, names: Iterable[str]) -> dict[str, _Filled]:
    """What is known of the items among these sources."""
    ids = [int(each.partition(":")[2]) for each in names if each.startswith("item:") and each[5:].isdecimal()]
    originator = aliased(Organisation)
    query = (
        select(ItemVersion.id, ItemVersion.kind, ItemVersion.author, ItemVersion.created_at, ItemVersion.marking,
               originator.code,
               DataKey.wrapped.is_not(None).label("there"))
        .join(DataKey, DataKey.id == ItemVersion.data_key_id)
        .outerjoin(originator, originator.id == ItemVersion.originator_id)
        .where(ItemVersion.id.in_(ids))
    )  # fmt: skip
    rows = list(tx.execute(query)) if ids else []
    who = people.names(tx, {row.author for row in rows})
    return {
        f"item:{row.id}": _Filled(
            _BY.get(row.kind, FORM), row.code or who[row.author], row.created_at, row.there, _named(row.marking)
        )
        for row in rows
    }


def _described(
    tx: Session, place: _Place, name: str, playbook: Playbook, *, incident: Incident | None,
    filled: Mapping[str, _Filled], reader: _Reader,
) -> dict[str, Any]:  # fmt: skip
    from_ = list(place.sources.get(name, ()))
    marking = sources.marking_of_value(tx, from_, incident=incident, playbook=playbook)
    why, declared = reader.why_not(name, from_, filled), place.declared.get(name)
    items = [filled[each] for each in from_ if each in filled]
    by = [{"what": each.kind, "by": each.by, "at": each.at} for each in items]
    if INCIDENT in from_:
        by.append({"what": INCIDENT, "by": "", "at": None})
    if not from_:
        by.append({"what": DOCUMENT, "by": "", "at": None})
    return {
        "name": name, "step": place.at, "type": declared.type if declared else "string",
        "constant": bool(declared and declared.constant), "external": bool(declared and declared.external),
        "description": declared.description if declared else "", "value": None if why else place.values[name],
        "shown": not why, "why": why, "label": marking.effective.value, "marking": marking.to_json(), "filled_by": by,
        "since": max((each.at for each in items), default=None),
    }  # fmt: skip
