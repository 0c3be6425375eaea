"""What each source says of a fact, side by side, until a person chooses.

Sources are the reports on the incident and on those marked as duplicates of it. What somebody chooses is bound from
then on as its source bound it: the incident's label rises to it, and every text made from the incident counts it as a
part, so that what one partner told us never leaves under another one's label.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.errors import Fault, Invalid, Stale
from coordinator.incidents import changes
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.items import marking_of, read_item
from coordinator.incidents.models import ChosenFact, Incident, ItemVersion
from coordinator.incidents.queries import duplicates_of, visible
from coordinator.incidents.references import reference_of
from coordinator.incidents.rules import CHOOSABLE_INSTANTS, FACTS
from coordinator.markings import Marking, Tlp, combine, parse_tlp
from coordinator.partners.models import Organisation
from coordinator.timeline.keys import Erased


def stated(tx: Session, incident: Incident, *, principal: Principal) -> list[dict[str, Any]]:
    """Every fact that somebody stated, in the order of FACTS: {name, now, now_fidelity, conflict, chosen, said}.

    `said`: what each source says last, oldest first: {version, value, fidelity, originator, source, tlp, at, incident}.
    `conflict`: they differ. `chosen`: the version a person chose, else None. What this person may not know of is left
    out.
    """
    told = _told(tx, incident, principal=principal)
    chosen = {row.name: row for row in _chosen(tx, incident.id)}
    found = []
    for name in FACTS:
        said = _last_of_each([one for each in told if (one := _of(each, name)) is not None])
        if said:
            picked, instant = chosen.get(name), name in CHOOSABLE_INSTANTS
            found.append({
                "name": name, "now": _plain(getattr(incident, name)),
                "now_fidelity": getattr(incident, name.replace("_at", "_fidelity")) if instant else None,
                "conflict": len({_comparable(one) for one in said}) > 1, "said": said,
                "chosen": picked.item_version_id if picked else None,
                "chosen_by": picked.chosen_by if picked else None, "chosen_at": picked.chosen_at if picked else None,
            })  # fmt: skip
    return found


def choose(
    tx: Session, incident_id: int, *, name: str, version: int, reason: str, principal: Principal,
    if_version: int | None = None,
) -> Incident:  # fmt: skip
    """Take what one source says (`version`: the item version it stands in) as the incident's own.

    Raises Invalid (/name, /version, /reason), Stale.
    """
    incident = lock_incident(tx, incident_id)
    if if_version is not None and incident.version != if_version:
        raise Stale()
    if not reason.strip():
        raise Invalid([Fault("/reason", "Say why this one.")])
    facts = {fact["name"]: fact for fact in stated(tx, incident, principal=principal)}
    if name not in facts:
        raise Invalid([Fault("/name", "No source says anything of this: choose one of those shown.")])
    said = next((one for one in facts[name]["said"] if one["version"] == version), None)
    if said is None:
        raise Invalid([Fault("/version", "No source says this any more: look again at what they say.")])
    changed = changes.apply(tx, incident, _wanted(name, said, reason), principal=principal)
    changed |= _bind(tx, incident, tx.get_one(ItemVersion, version), closed_off=said["restricted"])
    tx.add(ChosenFact(
        incident_id=incident.id, name=name, item_version_id=version, chosen_at=clock.now(), chosen_by=principal.actor,
        exercise=incident.exercise,
    ))  # fmt: skip
    incident.updated_at, incident.version = clock.now(), incident.version + 1
    tx.flush()
    timeline.append(
        tx, "fact.chosen", f"A person chose between sources: {name.removesuffix('_at').replace('_', ' ')}.",
        actor=principal.actor, incident=incident, about=("item_version", version),
        values=changed | {"fact": name, "source": said["source"] or said["originator"], "reason": reason.strip()},
    )  # fmt: skip
    timeline.pending(tx, "incident.changed", incident.id, exercise=incident.exercise)
    return incident


def chosen_from_others(tx: Session, incident: Incident, names: Iterable[str] = FACTS) -> list[ItemVersion]:
    """The item versions of other originators in which facts stand that a person chose for this incident.

    They are parts of every text made from the incident: its own marking and originator do not speak for them.
    """
    wanted = {row.item_version_id for row in _chosen(tx, incident.id) if row.name in set(names)}
    query = select(ItemVersion).where(ItemVersion.id.in_(wanted)).order_by(ItemVersion.id)
    found = tx.execute(query).scalars() if wanted else ()
    return [row for row in found if row.source_id is not None or row.originator_id != incident.originator_id]


def _chosen(tx: Session, incident_id: int) -> list[ChosenFact]:
    newest = select(func.max(ChosenFact.id)).where(ChosenFact.incident_id == incident_id).group_by(ChosenFact.name)
    return list(tx.execute(select(ChosenFact).where(ChosenFact.id.in_(newest))).scalars())


def _bind(tx: Session, incident: Incident, version: ItemVersion, *, closed_off: bool) -> dict[str, Any]:
    """The incident is from now on at least as strict as the source, and as closed."""
    whole = combine([changes.marking_of_incident(incident), marking_of(version)])
    label = max(parse_tlp(incident.tlp), whole.effective)
    changed = changes.set_column(incident, "tlp", label.value)
    incident.marking = whole.to_json()
    if (closed_off or label is Tlp.RED) and not incident.restricted:
        changed |= changes.close_off(tx, incident)
    return changed


def _wanted(name: str, said: dict[str, Any], reason: str) -> dict[str, Any]:
    if name in CHOOSABLE_INSTANTS:
        return {name: clock.parse(said["value"]), f"{name}_fidelity": said["fidelity"]}
    return {name: said["value"]} | ({"severity_reason": reason} if name == "severity" else {})


# ---------------------------------------------------------------- reading


def _told(tx: Session, incident: Incident, *, principal: Principal) -> list[dict[str, Any]]:
    """What reports said, in their newest versions: {facts, version, originator, source, …}, oldest first."""
    around = select(Incident).where(Incident.id.in_(duplicates_of(tx, incident.id)), visible(principal))
    incidents = {row.id: row for row in (incident, *tx.execute(around).scalars())}
    query = (
        select(ItemVersion)
        .where(ItemVersion.incident_id.in_(incidents), ItemVersion.kind == "details")
        .order_by(ItemVersion.id)
    )
    newest = {version.item: version for version in tx.execute(query).scalars()}
    codes = _codes(tx, newest.values())
    told = []
    for version in newest.values():
        try:
            facts = read_item(tx, version)
        except Erased:
            continue
        where = incidents[version.incident_id or 0]
        told.append({
            "facts": facts if isinstance(facts, dict) else {}, "version": version.id, "tlp": _label(version),
            "originator": codes.get(version.originator_id or 0), "source": codes.get(version.source_id or 0),
            "at": version.created_at, "incident": reference_of(where), "restricted": where.restricted,
        })  # fmt: skip
    return told


def _last_of_each(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A source that says something new takes back what it said before."""
    return list({(one["originator"], one["source"], one["incident"]): one for one in said}.values())


def _of(told: dict[str, Any], name: str) -> dict[str, Any] | None:
    facts = told["facts"]
    if facts.get(name) in (None, "", []):
        return None
    fidelity = facts.get(f"{name}_fidelity", "second") if name in CHOOSABLE_INSTANTS else None
    said = {key: value for key, value in told.items() if key != "facts"}
    return said | {"value": facts[name], "fidelity": fidelity}


def _comparable(said: dict[str, Any]) -> str:
    """Two sources say the same where this is the same; an order of codes is no difference."""
    value = sorted(said["value"]) if isinstance(said["value"], list) else said["value"]
    if said["fidelity"]:
        value = clock.rfc3339(clock.parse(said["value"]))
    return f"{value} {said['fidelity']}"


def _codes(tx: Session, versions: Iterable[ItemVersion]) -> dict[int, str]:
    wanted = {each for row in versions for each in (row.originator_id, row.source_id) if each}
    rows = tx.execute(select(Organisation.id, Organisation.code).where(Organisation.id.in_(wanted)))
    return {row.id: row.code for row in rows}


def _label(version: ItemVersion) -> str:
    return Marking.from_json(version.marking).effective.value


def _plain(value: Any) -> Any:
    return clock.rfc3339(value) if hasattr(value, "tzinfo") else value
