"""The fields of an incident that people change, each with its own rule. The incident is locked; nothing is recorded.

Each function gives {column: [old, new]} for what really changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.errors import Fault, Invalid, Refused
from coordinator.incidents import finding, rules, words
from coordinator.incidents.items import newest_version, write_item
from coordinator.incidents.models import TO_CLEAR, Incident, IncidentMember, ItemVersion
from coordinator.incidents.queries import title_of
from coordinator.incidents.schema import refuse_secrecy
from coordinator.markings import Marking, Tlp, parse_tlp

_PLAIN = ("outlook", "determination", "classification", "sectors", "states_affected", "suspected_malicious",
          "cross_border", "humanitarian_flags")  # fmt: skip

Changed = dict[str, Any]


def apply(tx: Session, incident: Incident, changes: dict[str, Any], *, principal: Principal) -> Changed:
    """Change what `changes` names (requests.ChangeSchema). Raises Invalid, Refused."""
    before: Changed = {}
    for name in _PLAIN:
        if name in changes:
            before |= set_column(incident, name, changes[name])
    if "severity" in changes:
        rules.check_severity(changes.get("severity_reason", ""))
        before |= set_column(incident, "severity", changes["severity"])
        before |= set_column(incident, "severity_reason", changes["severity_reason"])
        incident.severity_by = principal.actor
    if "owner" in changes:
        before |= set_column(incident, "owner_id", active_user(tx, changes["owner"], pointer="/owner"))
    before |= _change_instants(incident, changes)
    if "tlp" in changes:
        before |= _change_label(tx, incident, parse_tlp(changes["tlp"]))
    if "restricted_to" in changes:
        before |= _restrict_to(tx, incident, changes["restricted_to"], actor=principal.actor)
    if "title" in changes:
        before |= _change_title(tx, incident, changes["title"], principal=principal)
    return before


def marking_of_incident(incident: Incident) -> Marking:
    """The incident's marking under the label it bears now."""
    return replace(Marking.from_json(incident.marking), tlp=parse_tlp(incident.tlp))


def bind(tx: Session, incident: Incident, marking: Marking) -> Changed:
    """The incident bears this marking from now on; RED closes it off."""
    changed = set_column(incident, "tlp", marking.effective.value)
    incident.marking = marking.to_json()
    if marking.effective is Tlp.RED and not incident.restricted:
        changed |= close_off(tx, incident)
    return changed


def set_column(incident: Incident, name: str, value: Any) -> Changed:
    """Set one column; {name: [old, new]} where that is a change."""
    old = getattr(incident, name)
    if old == value:
        return {}
    setattr(incident, name, value)
    return {name: [_plain(old), _plain(value)]}


def _plain(value: Any) -> Any:
    return clock.rfc3339(value) if isinstance(value, datetime) else value


def active_user(tx: Session, user_id: int, *, pointer: str) -> int:
    user = tx.get(User, user_id)
    if user is None or user.state != "active":
        raise Invalid([Fault(pointer, "There is no active user with this id.")])
    return user_id


def _change_instants(incident: Incident, changes: dict[str, Any]) -> Changed:
    """Instants with their fidelity. `aware_at` starts clocks: it only ever moves to an earlier instant (I7, R13)."""
    before: dict[str, Any] = {}
    for name in rules.INSTANTS:
        if name not in changes:
            continue
        if name == "aware_at" and incident.aware_at is not None and changes[name] > incident.aware_at:
            raise Refused("aware_at starts clocks: it is only moved to an earlier instant.")
        before |= set_column(incident, name, changes[name])
        before |= set_column(incident, name.replace("_at", "_fidelity"), changes.get(f"{name}_fidelity", "second"))
    return before


def _change_label(tx: Session, incident: Incident, label: Tlp) -> Changed:
    rules.check_tlp_change(parse_tlp(incident.tlp), label, by_originator=incident.originator_id is None)
    if label < parse_tlp(incident.tlp):
        _check_others(tx, incident, label)
    changed = set_column(incident, "tlp", label.value)
    if changed:
        incident.marking = marking_of_incident(incident).to_json()
    if label is Tlp.RED and not incident.restricted:
        changed |= close_off(tx, incident)
    return changed


def _check_others(tx: Session, incident: Incident, label: Tlp) -> None:
    """What others said in it keeps its label, and the incident is never below that (R06)."""
    query = select(ItemVersion.tlp).where(
        ItemVersion.incident_id == incident.id, ItemVersion.originator_id.is_not(None)
    ).distinct()
    if any(parse_tlp(other) > label for other in tx.execute(query).scalars() if other):
        raise Refused("Something in it came from another originator under a stricter label: ask for consent.")


def close_off(tx: Session, incident: Incident) -> Changed:
    """Make the incident restricted: from now on title and text are in sealed items only, and its words in no index."""
    incident.restricted, incident.title, incident.search_text = True, "", ""
    tx.flush()
    finding.forget(tx)
    return {"restricted": [False, True]}


def _restrict_to(tx: Session, incident: Incident, user_ids: Iterable[int], *, actor: str) -> Changed:
    wanted = {active_user(tx, user, pointer="/restricted_to") for user in user_ids}
    query = select(IncidentMember.user_id).where(
        IncidentMember.incident_id == incident.id, IncidentMember.added_by != TO_CLEAR
    )
    have = set(tx.execute(query).scalars())
    changed = {} if incident.restricted else close_off(tx, incident)
    new = wanted - have
    # Whom the system let in to clear something stays let in, and is named by a person from now on if on the list.
    replaced = (have - wanted) | new
    if replaced:
        tx.execute(delete(IncidentMember).where(
            IncidentMember.incident_id == incident.id, IncidentMember.user_id.in_(replaced)))  # fmt: skip
    if new:
        tx.execute(insert(IncidentMember), [
            {"incident_id": incident.id, "user_id": user, "added_by": actor, "added_at": clock.now()}
            for user in sorted(new)
        ])  # fmt: skip
    return changed | ({"restricted_to": [sorted(have), sorted(wanted)]} if have != wanted else {})


def _change_title(tx: Session, incident: Incident, title: str, *, principal: Principal) -> Changed:
    """The next version of the title's item; ours to write, under the label of the incident."""
    refuse_secrecy({"title": title})
    old = title_of(tx, incident)
    if old == title:
        return {}
    query = select(ItemVersion.item).where(ItemVersion.incident_id == incident.id, ItemVersion.kind == "title")
    item = tx.execute(query.order_by(ItemVersion.id).limit(1)).scalar_one_or_none()
    marking = marking_of_incident(incident)
    if item is not None:
        last = Marking.from_json(newest_version(tx, item).marking)
        marking = replace(marking, tlp=max(marking.effective, last.effective))
    write_item(
        tx, kind="title", content=title, marking=marking, info_category="incident-notification",
        author=principal.actor, incident=incident, item=item,
    )  # fmt: skip
    if not incident.restricted:
        incident.search_text = words.with_title(incident.search_text, title)
        incident.title = title
    return {"title": ["", ""]}
