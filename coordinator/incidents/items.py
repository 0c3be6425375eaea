"""What is said, as item versions: content sealed; marking, originator and category in the open. Never changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from coordinator import clock
from coordinator.errors import NotFound, Refused, Stale
from coordinator.incidents import statements
from coordinator.incidents.models import ItemVersion
from coordinator.incidents.references import new_public_id
from coordinator.markings import Iep, Marking, parse_pap, parse_tlp
from coordinator.outside.canonical_json import canonical
from coordinator.timeline.keys import new_key, seal, unseal

Content = str | dict[str, Any]
#: Caveats of a report that a marking has by the same name.
_SAID = ("orcon", "no_attribution", "le_sensitive", "personal_data", "embargo_until")


@dataclass(frozen=True, kw_only=True)
class NewItem:
    """The first version of something said. `originator_id` None is our own; `source_id`: who claimed the originator."""

    kind: str
    content: Content
    marking: Marking
    info_category: str
    originator_id: int | None = None
    source_id: int | None = None


def write_item(
    tx: Session,
    *,
    kind: str,
    content: Content,
    marking: Marking,
    info_category: str,
    author: str,
    incident: Any = None,
    originator_id: int | None = None,
    source_id: int | None = None,
    item: str | None = None,
    report_id: int | None = None,
    exercise: str = "",
    data_key_id: int | None = None,
    by_originator: bool | None = None,
    originator_confirmed: bool = False,
) -> ItemVersion:
    """Write version 1 of a new item, or the next version of `item`.

    A next version keeps its originator and may only raise the label unless the originator asks (`by_originator`; what
    is our own is ours to lower, R06); `originator_confirmed` ends a claim. `incident`: id, exercise and data_key_id
    are read. Raises Refused, NotFound, Stale (somebody wrote the same version meanwhile).
    """
    version = 1
    if item is not None:
        last = newest_version(tx, item)
        originator_id, version = last.originator_id, last.version + 1
        source_id = None if originator_confirmed else last.source_id
        allowed = by_originator if by_originator is not None else last.originator_id is None
        if marking.effective < Marking.from_json(last.marking).effective and not allowed:
            raise Refused("Only the originator can lower this label: ask for consent, or leave it.")
    said = NewItem(
        kind=kind, content=content, marking=marking, info_category=info_category, originator_id=originator_id,
        source_id=source_id,
    )  # fmt: skip
    key = data_key_id or (incident.data_key_id if incident is not None else new_key(tx))
    values = _row(
        tx, said, author=author, incident_id=incident.id if incident is not None else None, report_id=report_id,
        exercise=incident.exercise if incident is not None else exercise, data_key_id=key, item=item,
    )  # fmt: skip
    row = ItemVersion(**values | {"version": version})
    tx.add(row)
    try:
        tx.flush()
    except IntegrityError as error:
        raise Stale("Somebody else changed this meanwhile: load it again.") from error
    return row


def write_items(
    tx: Session, said: Iterable[NewItem], *, author: str, incident: Any, report_id: int | None, data_key_id: int
) -> None:
    """Write several new items of one incident in one statement."""
    rows = [
        _row(tx, one, author=author, incident_id=incident.id, report_id=report_id, exercise=incident.exercise,
             data_key_id=data_key_id)
        for one in said
    ]  # fmt: skip
    statements.WRITE_ITEMS.each(tx, rows)


def read_item(tx: Session, version: ItemVersion) -> Content:
    """What an item version says. Raises Erased when its key was destroyed."""
    return json.loads(unseal(tx, version.data_key_id, version.sealed, about=f"item/{version.item}"))


def newest_version(tx: Session, item: str) -> ItemVersion:
    """Raises NotFound."""
    query = select(ItemVersion).where(ItemVersion.item == item).order_by(ItemVersion.version.desc()).limit(1)
    found = tx.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound()
    return found


def called_otherwise(tx: Session, versions: Iterable[ItemVersion]) -> bool:
    """Whether any of these is another kind of information by now."""
    later = aliased(ItemVersion)
    query = (
        select(ItemVersion.id)
        .join(later, (later.item == ItemVersion.item) & (later.id > ItemVersion.id))
        .where(ItemVersion.id.in_([each.id for each in versions]), later.info_category != ItemVersion.info_category)
    )
    return tx.execute(query.limit(1)).first() is not None


def marking_of(version: ItemVersion) -> Marking:
    return Marking.from_json(version.marking)


def with_basis(marking: Marking, basis: str, delete_by: datetime | None = None) -> Marking:
    """The marking of something that holds personal data, on this legal basis and to be deleted by then, the earlier day
    where one is said already; unchanged where neither is given."""
    basis = basis.strip()
    if not basis and delete_by is None:
        return marking
    days = [day for day in (marking.pd_delete_by, delete_by) if day is not None]
    said = basis or marking.pd_basis
    return replace(marking, personal_data=True, pd_basis=said, pd_delete_by=min(days, default=None))


def marking_of_report(report: dict[str, Any]) -> Marking:
    """The marking a native report states: label, PAP, exchange policy and caveats."""
    caveats, policy = report.get("caveats") or {}, report.get("iep")
    if not caveats and policy is None:
        return _labelled(report["tlp"], report.get("pap"))
    said: dict[str, Any]
    said = {name: caveats[name] for name in _SAID if name in caveats}
    said |= {name: frozenset(caveats[name]) for name in ("rel_to", "not_rel_to", "named_recipients") if name in caveats}
    said["iep"] = Iep(**policy) if policy is not None else None
    marking = Marking(tlp=parse_tlp(report["tlp"]), pap=parse_pap(report["pap"]) if "pap" in report else None, **said)
    return with_basis(marking, caveats.get("pd_basis", ""), caveats.get("pd_delete_by"))


@lru_cache(maxsize=64)
def _labelled(tlp: str, pap: str | None) -> Marking:
    """Most reports say a label and nothing else: a marking is read strictly, value by value, each of these once."""
    return Marking(tlp=parse_tlp(tlp), pap=parse_pap(pap) if pap is not None else None)


@lru_cache(maxsize=256)
def written(marking: Marking) -> dict[str, Any]:
    """`Marking.to_json`, for rows: not to be changed."""
    return marking.to_json()


def _row(
    tx: Session, said: NewItem, *, author: str, incident_id: int | None, report_id: int | None, exercise: str,
    data_key_id: int, item: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    return row_of(
        said, lambda plain, about: seal(tx, data_key_id, plain, about=about), author=author, incident_id=incident_id,
        report_id=report_id, exercise=exercise, data_key_id=data_key_id, item=item,
    )  # fmt: skip


def row_of(
    said: NewItem, sealed: Callable[[bytes, str], bytes], *, author: str, report_id: int | None, exercise: str,
    data_key_id: int, incident_id: int | None = None, item: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The row of an item's first version; `sealed(plain, about)` seals under its data key."""
    plain, item = canonical(said.content), item or new_public_id("itm")
    return {
        "item": item, "version": 1, "kind": said.kind, "incident_id": incident_id, "report_id": report_id,
        "tlp": said.marking.tlp.value if said.marking.tlp else None, "marking": written(said.marking),
        "originator_id": said.originator_id, "source_id": said.source_id, "info_category": said.info_category,
        "digest": hashlib.sha256(plain).hexdigest(), "data_key_id": data_key_id,
        "sealed": sealed(plain, f"item/{item}"), "author": author, "created_at": clock.now(), "exercise": exercise,
    }  # fmt: skip
