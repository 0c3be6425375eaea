"""Labels as plain data: how each thing in an incident is labelled and by whom, and what was recorded of lowering."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.accounts.principal import Principal
from coordinator.alerts.evidence import ABOUT_FILE
from coordinator.alerts.lowering import why_not
from coordinator.errors import NotFound
from coordinator.incidents.label_models import LabelWord, LabelWordItem
from coordinator.incidents.labels import ABOUT, labelled
from coordinator.incidents.models import Incident, ItemVersion, Report
from coordinator.incidents.queries import note_read, visible
from coordinator.incidents.references import reference_of
from coordinator.markings import Tlp
from coordinator.partners.models import Organisation
from coordinator.status import people
from coordinator.status.incident_page import read
from coordinator.timeline.keys import Erased, unseal
from coordinator.timeline.queries import ERASED

MOST = 200


def standing(tx: Session, incident: Incident) -> list[dict[str, Any]]:
    """What bears a label: {item ("" = the incident), kind, tlp, begins, said: {originator: label}, raised: by us}."""
    codes = _codes(tx)
    return [
        {"item": one.item, "kind": one.kind, "tlp": one.standing.now.value, "begins": _begins(tx, one.newest),
         "said": {codes[each]: label.value for each, label in sorted(one.standing.said.items())},
         "raised": one.standing.raised.value if one.standing.raised and one.standing.raised > Tlp.CLEAR else None}
        for one in labelled(tx, incident)
    ]  # fmt: skip


def words(tx: Session, incident: Incident, *, principal: Principal, word_id: int | None = None) -> list[dict[str, Any]]:
    """What was recorded of lowering labels here, newest first: {id, from, tlp, items, channel, said_at, said_by, words,
    report, evidence, reason, state, asked_by …, answered_by …, answer, why_not, own}."""
    query = select(LabelWord).where(LabelWord.incident_id == incident.id, LabelWord.state != "raised")
    if word_id is not None:
        query = query.where(LabelWord.id == word_id)
    rows = list(tx.execute(query.order_by(LabelWord.id.desc()).limit(MOST)).scalars())
    about: dict[int, list[str]] = {}
    for each in tx.execute(select(LabelWordItem).where(LabelWordItem.word_id.in_([row.id for row in rows]))).scalars():
        about.setdefault(each.word_id, []).append(each.item)
    codes, names = _codes(tx), people.names(tx, {who for row in rows for who in (row.asked_by, row.answered_by) if who})
    named = select(Report.id, Report.public_id).where(Report.id.in_([row.report_id for row in rows if row.report_id]))
    reports = {each.id: each.public_id for each in tx.execute(named)}
    return [
        {
            "id": row.id, "incident": reference_of(incident), "from": codes.get(row.from_id or 0), "tlp": row.tlp,
            "items": sorted(about.get(row.id, ())), "channel": row.channel, "said_at": row.said_at,
            "report": reports.get(row.report_id or 0), "state": row.state, **_said(tx, row),
            "evidence": {"name": row.file_name, "sha256": row.file_sha256} if row.file_sha256 else None,
            "asked_by": row.asked_by, "asked_by_name": names.get(row.asked_by, ""), "asked_at": row.asked_at,
            "answered_by_name": names.get(row.answered_by, ""), "answered_at": row.answered_at, "answer": row.answer,
            "why_not": why_not(row, principal), "own": row.asked_by == principal.actor,
        }
        for row in rows
    ]  # fmt: skip


def waiting(tx: Session, *, principal: Principal) -> list[dict[str, Any]]:
    """What waits for a second person in incidents this person may know of, oldest first: as `words`."""
    query = (
        select(LabelWord, Incident).join(Incident, Incident.id == LabelWord.incident_id)
        .where(LabelWord.state == "waiting", visible(principal)).order_by(LabelWord.id).limit(MOST)
    )  # fmt: skip
    return [word(tx, row.Incident, row.LabelWord.id, principal=principal) for row in tx.execute(query)]


def word(tx: Session, incident: Incident, word_id: int, *, principal: Principal) -> dict[str, Any]:
    """One of them. Raises NotFound."""
    found = words(tx, incident, principal=principal, word_id=word_id)
    if not found:
        raise NotFound()
    return found[0]


def evidence(tx: Session, incident: Incident, word_id: int, *, principal: Principal) -> tuple[str, bytes]:
    """(name, bytes) of the letter or mail; that somebody took it is on record. Raises NotFound, Erased."""
    row = tx.get(LabelWord, word_id)
    if row is None or row.incident_id != incident.id or row.file_sealed is None:
        raise NotFound()
    note_read(tx, incident, principal=principal, what="label evidence", of=row.id)
    return row.file_name, unseal(tx, row.data_key_id, row.file_sealed, about=ABOUT_FILE)


def _said(tx: Session, row: LabelWord) -> dict[str, str]:
    try:
        found = json.loads(unseal(tx, row.data_key_id, row.sealed, about=ABOUT))
    except Erased:
        return {"said_by": ERASED, "words": ERASED, "reason": ERASED}
    return {name: str(found.get(name, "")) for name in ("said_by", "words", "reason")}


def _begins(tx: Session, version: ItemVersion | None) -> str:
    """How it begins, where it is words: so that two notes are told apart."""
    content = read(tx, version) if version is not None else ""
    return content[:60] if isinstance(content, str) else ""


def _codes(tx: Session) -> dict[int, str]:
    return {row.id: row.code for row in tx.execute(select(Organisation.id, Organisation.code))}
