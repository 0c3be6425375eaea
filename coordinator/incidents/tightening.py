"""Raising a label and adding caveats: to one thing that was said, or to the whole incident. Anyone of the desk may;
what is looser than before is not taken (R06). What left already is looked at again (`incident.changed` follows).

That something holds personal data is a caveat like the others; on which legal basis is recorded with it or afterwards
(R20): until then nothing of it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.incidents import changes, deleting, labels
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.items import marking_of, newest_version, read_item, with_basis, write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import IEP_TLP, Iep, Marking, Tlp, combine, parse_pap, parse_tlp
from coordinator.outside.canonical_json import canonical
from coordinator.partners.models import Organisation
from coordinator.timeline.keys import seal

#: Codes of parties, and what is said or not said.
LISTS, FLAGS = ("not_rel_to", "rel_to"), ("orcon", "no_attribution", "le_sensitive", "personal_data")
LONGEST_REASON = 2000
ATTRIBUTION = "attribution-assessment"
_TEXTS = ("alert-title", "alert-body", "alert-field")


def tighten(
    tx: Session, incident_id: int, wanted: Mapping[str, Any], *, principal: Principal, item: str = "", reason: str
) -> Incident:
    """`wanted`: tlp, pap, iep, not_rel_to[], rel_to[], orcon, no_attribution, le_sensitive, personal_data, pd_basis
    (the legal basis: there is personal data in it), pd_delete_by (an earlier day than before), embargo_until,
    embargo_set[], named_recipients[]; what is left out
    stays. `asked_by`: the code of the originator who wants it so; left out, we do, and may take the label back (R06).
    `item`: the key of one thing said; "" is the whole incident. `info_category`: what kind of information it is.

    Raises Invalid (/reason; /embargo_set, /named_recipients, /info_category where they bind nothing; "" where nothing
    is stricter), Refused (a lower label; an attribution called otherwise), NotFound (no such item here).
    """
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise Invalid([Fault("/reason", f"Say why, in at most {LONGEST_REASON} characters.")])
    incident = lock_incident(tx, incident_id)
    version = _item(tx, incident, item) if item else None
    before = marking_of(version) if version is not None else changes.marking_of_incident(incident)
    label = parse_tlp(wanted["tlp"]) if wanted.get("tlp") else before.effective
    if label < before.effective:
        raise Refused("Here a label is raised only: its originator alone can lower it.")
    # Where policy and label differ the stricter one counts.
    label = max(label, IEP_TLP.get((wanted.get("iep") or {}).get("tlp", ""), label))
    _check_bind(wanted, label)
    giver = _who_asks(tx, incident, item, wanted.get("asked_by") or "")
    after = with_basis(combine([before, _marking(wanted, label, before)]), wanted.get("pd_basis") or "",
                       wanted.get("pd_delete_by"))  # fmt: skip
    category = _category(version, wanted.get("info_category") or "")
    if after == before and not category:
        raise Invalid([Fault("", "Nothing of this is stricter than it is now.")])
    if giver is not None and (wanted.get("tlp") or label > before.effective):
        labels.note_raise(
            tx, incident, item, giver, label, at=clock.now(), by=principal.actor,
            sealed=seal(tx, incident.data_key_id, canonical({"reason": reason.strip()}), about=labels.ABOUT),
        )  # fmt: skip
    if version is not None:
        _rewrite(tx, incident, version, after, category or version.info_category, author=principal.actor)
    else:
        changes.bind(tx, incident, after)
    incident.updated_at, incident.version = clock.now(), incident.version + 1
    tx.flush()
    timeline.append(
        tx, "marking.tightened", "A label was raised or a caveat added.", actor=principal.actor, incident=incident,
        values={"item": item, "before": before.to_json(), "after": after.to_json(), "reason": reason.strip(),
                "asked_by": wanted.get("asked_by") or "", **({"info_category": category} if category else {})},
        about=("incident", incident.id),
    )  # fmt: skip
    timeline.pending(tx, "incident.changed", incident.id, exercise=incident.exercise)
    deleting.watch(tx, incident, after)
    return incident


def _who_asks(tx: Session, incident: Incident, item: str, code: str) -> int | None:
    """The originator who wants it stricter; None where we do. Raises Invalid (/asked_by)."""
    if not code:
        return None
    query = select(Organisation.id).where(Organisation.code == code, Organisation.is_own.is_(False))
    found = tx.execute(query).scalar_one_or_none()
    if found is None or found not in labels.of_item(tx, incident, item).standing.said:
        raise Invalid([Fault("/asked_by", "Choose its originator, or nobody: then it is we who want it stricter.")])
    return found


def _check_bind(wanted: Mapping[str, Any], label: Tlp) -> None:
    faults = []
    if wanted.get("embargo_set") and not wanted.get("embargo_until"):
        faults.append(Fault("/embargo_set", "Say until when the embargo lasts, too."))
    start, end = ((wanted.get("iep") or {}).get(name) for name in ("start_date", "end_date"))
    if start and end and end <= start:
        faults.append(Fault("/iep/end_date", "Choose an end after the start."))
    if wanted.get("named_recipients") and label is not Tlp.RED:
        faults.append(Fault("/named_recipients", "Names bind what is RED only: choose that label too, or name nobody."))
    if faults:
        raise Invalid(faults)


def _category(version: ItemVersion | None, wanted: str) -> str:
    """The kind of information it is from now on, "" where that stays. Raises Invalid (/info_category), Refused."""
    if not wanted or (version is not None and wanted == version.info_category):
        return ""
    if version is None:
        raise Invalid([Fault("/info_category", "Choose what was said, too: an incident has no kind of information.")])
    if version.info_category == ATTRIBUTION:
        raise Refused("It was called an attribution and stays one: two persons look at it before it leaves.")
    return wanted


def _marking(wanted: Mapping[str, Any], label: Tlp, before: Marking) -> Marking:
    """What is asked for, as a marking. Names of persons that are not asked about stay as they are."""
    said: dict[str, Any] = {name: True for name in FLAGS if wanted.get(name)}
    said |= {name: frozenset(wanted[name]) for name in LISTS if wanted.get(name)}
    pap = parse_pap(wanted["pap"]) if wanted.get("pap") else None
    said["named_recipients"] = frozenset(wanted.get("named_recipients") or before.named_recipients)
    until = wanted.get("embargo_until")
    said["embargo_set"] = frozenset(wanted.get("embargo_set") or ()) if until else frozenset()
    policy = Iep(**wanted["iep"]) if wanted.get("iep") else None
    return Marking(tlp=label, pap=pap, embargo_until=until, iep=policy, **said)


def _item(tx: Session, incident: Incident, item: str) -> ItemVersion:
    version = newest_version(tx, item)
    if version.incident_id != incident.id or version.kind in _TEXTS:
        raise NotFound()
    return version


def _rewrite(
    tx: Session, incident: Incident, version: ItemVersion, marking: Marking, category: str, *, author: str
) -> None:
    """The same words as a further version, bound more strictly; the incident is never looser than what it holds."""
    write_item(
        tx, kind=version.kind, content=read_item(tx, version), marking=marking, info_category=category,
        author=author, incident=incident, item=version.item, report_id=version.report_id,
    )  # fmt: skip
    if marking.effective > parse_tlp(incident.tlp):
        changes.bind(tx, incident, combine([changes.marking_of_incident(incident), marking]))
