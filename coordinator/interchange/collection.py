"""What was released to one partner as a read-only collection of STIX objects, in the order in which it became there.

The list of objects is kept as rows of ids and times; what they say is made anew at each reading, under a permit of
then. What may no longer be given leaves the list, and comes back at its end when it may again.
Source: TAXII 2.1, 2 (identifiers), 3.4 (filters), 3.5 (pages) and 5 (collections).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, literal_column, or_, select, update
from sqlalchemy.orm import Session, aliased

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts import handing_out
from coordinator.alerts.models import Alert, CollectionObject
from coordinator.alerts.released import has_left
from coordinator.errors import NotFound
from coordinator.interchange import exits, stix_out
from coordinator.interchange.contents import CASE_KINDS, contents_of
from coordinator.interchange.stix_definitions import OURS
from coordinator.partners.models import Organisation
from coordinator.timeline.keys import Erased

#: Alerts that are looked at for the first time in one reading; the next reading goes on.
MOST_NEW = 500
_ROW = CollectionObject
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Collection:
    """`exercise` "" is what is real; the two are never in one collection."""

    id: str
    title: str
    organisation_id: int
    exercise: str = ""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """TAXII filters; empty ones do not narrow. `versions`: last, first, all, or versions themselves. `after`: a place
    as a page before gave it in `next`."""

    ids: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    versions: tuple[str, ...] = ("last",)
    spec_versions: tuple[str, ...] = ()
    added_after: datetime | None = None
    after: int = 0
    limit: int = 100


class Row(NamedTuple):
    """One object as the list knows it."""

    object_id: str
    type: str
    version: str
    added_at: datetime


@dataclass(frozen=True)
class Page:
    """`rows` in order; `objects` in the same order where they were asked for; `next` None on the last page."""

    rows: list[Row]
    objects: list[dict[str, Any]]
    next: int | None


def collections(tx: Session, *, reader: Principal) -> list[Collection]:
    """The collections of the reader's organisation: what is real, and each exercise it was told of something in."""
    if reader.organisation_id is None:
        return []
    code = tx.get_one(Organisation, reader.organisation_id).code
    drilled: ColumnElement[bool] = literal_column("alerts.exercise <> ''")  # as the index of these few says it
    query = select(Alert.exercise).where(
        Alert.organisation_id == reader.organisation_id, drilled, Alert.kind.in_(CASE_KINDS), has_left()
    )  # fmt: skip
    return [_collection(reader.organisation_id, code, name)
            for name in ["", *sorted(tx.execute(query.distinct()).scalars())]]  # fmt: skip


def one(tx: Session, collection_id: str, *, reader: Principal) -> Collection:
    """Raises NotFound, the same for none and another's."""
    for each in collections(tx, reader=reader):
        if each.id == collection_id:
            return each
    raise NotFound()


def read(tx: Session, collection: Collection, asked: Asked, *, reader: Principal, whole: bool = True) -> Page:
    """A page. `whole`: with the objects, each under a permit and on record; else what the list says of them."""
    _bring_up_to_date(tx, collection)
    while True:
        rows = list[CollectionObject](tx.execute(_query(collection, asked).limit(asked.limit + 1)).scalars())
        page = rows[: asked.limit]
        objects = _objects(tx, collection, page, reader=reader, whole=whole)
        if objects is not None:
            listed = [Row(row.object_id, row.type, row.version, row.added_at) for row in page]
            return Page(listed, objects, _place(page[-1]) if len(rows) > asked.limit else None)


def _collection(organisation_id: int, code: str, exercise: str) -> Collection:
    title = f"Released to {code}" + (f", exercise {exercise}" if exercise else "")
    return Collection(_id(code, exercise), title, organisation_id, exercise)


def _id(code: str, exercise: str) -> str:
    """The same at every reading, and in the form of UUID version 4, the one that TAXII 2.1 allows (2, identifier)."""
    return str(UUID(bytes=sha256(OURS.bytes + f"collection/{code}/{exercise}".encode()).digest()[:16], version=4))


# ---------------------------------------------------------------- the list


def _mine(collection: Collection) -> list[ColumnElement[bool]]:
    return [_ROW.organisation_id == collection.organisation_id, _ROW.exercise == collection.exercise]


def _query(collection: Collection, asked: Asked) -> Select[Any]:
    """Rows that fit, each version of an object once, in order. What came before a row is asked of the index row by
    row, so that a page costs as much in a long list as in a short one."""
    mine, before = _mine(collection), aliased(_ROW)
    again = (*_same_object(before), before.version == _ROW.version, before.added_at < _ROW.added_at)
    criteria = [*mine, ~exists().where(*again)]
    if asked.after:
        criteria.append(_ROW.added_at > _BEGIN + timedelta(microseconds=asked.after))
    if asked.ids:
        criteria.append(_ROW.object_id.in_(asked.ids))
    if asked.types:
        criteria.append(_ROW.type.in_(asked.types))
    if asked.spec_versions and "2.1" not in asked.spec_versions:
        criteria.append(_ROW.id < 0)
    if asked.added_after is not None:
        criteria.append(_ROW.added_at > asked.added_after)
    if "all" not in asked.versions:
        criteria.append(or_(*(_of_version(version) for version in asked.versions)))
    # The few rows of a named object are sorted: PostgreSQL would rather walk all in their order until it meets them.
    place = func.coalesce(_ROW.added_at, _ROW.added_at) if asked.ids else _ROW.added_at
    return select(_ROW).where(and_(*criteria)).order_by(place)


def _of_version(version: str) -> ColumnElement[bool]:
    if version not in ("last", "first"):
        return _ROW.version == version
    other = aliased(_ROW)
    beyond = other.version > _ROW.version if version == "last" else other.version < _ROW.version
    return ~exists().where(*_same_object(other), beyond)


def _same_object(other: Any) -> list[ColumnElement[bool]]:
    return [other.organisation_id == _ROW.organisation_id, other.exercise == _ROW.exercise,
            other.object_id == _ROW.object_id]  # fmt: skip


def _place(row: CollectionObject) -> int:
    """Where to go on: the microsecond at which it was added, which the reader knows. A row's number would tell how much
    is added for others in between."""
    return (row.added_at - _BEGIN) // timedelta(microseconds=1)


def _bring_up_to_date(tx: Session, collection: Collection) -> None:
    """List what left since, one reading at a time for each partner: places and times only ever grow."""
    tx.execute(select(Organisation.id).where(Organisation.id == collection.organisation_id).with_for_update())
    query = select(Alert).where(
        Alert.organisation_id == collection.organisation_id, Alert.exercise == collection.exercise,
        Alert.user_id.is_(None), Alert.kind.in_(CASE_KINDS), Alert.state.not_in(("withdrawn", "withheld")), has_left(),
        literal_column("NOT alerts.listed"),  # as the index of those says it
    )  # fmt: skip
    newest = query.order_by((Alert.id + 0).desc())  # a sum, so that no index of all is walked for its order
    for alert in tx.execute(newest.limit(MOST_NEW)).scalars().all()[::-1]:
        _list(tx, collection, alert)


def _list(tx: Session, collection: Collection, alert: Alert) -> None:
    foreseen = handing_out.foreseen(tx, alert)
    if foreseen is None:
        return
    try:
        contents = contents_of(tx, alert, foreseen)
    except Erased:
        return
    alert.listed = True
    last = tx.execute(select(func.max(_ROW.added_at)).where(*_mine(collection))).scalar_one_or_none()
    at = max(clock.now(), last + _TICK) if last is not None else clock.now()
    tx.add_all(
        CollectionObject(
            organisation_id=collection.organisation_id, alert_id=alert.id, object_id=one["id"], type=one["type"],
            version=_version(one, contents.left_at), added_at=at + number * _TICK, exercise=collection.exercise,
        )
        for number, one in enumerate(_once(stix_out.objects_of(contents), contents.left_at).values())
    )  # fmt: skip
    tx.flush()


#: No two objects of a collection were added at the same instant: who goes on after the last one seen misses none.
_TICK = timedelta(microseconds=1)


def _version(one: dict[str, Any], left_at: datetime) -> str:
    return stix_out.version_of(one) or stix_out.stamp(left_at)


def _once(objects: list[dict[str, Any]], left_at: datetime) -> dict[tuple[str, str], dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for each in objects:
        found.setdefault((each["id"], _version(each, left_at)), each)
    return found


# ---------------------------------------------------------------- what it says


def _objects(
    tx: Session, collection: Collection, page: list[CollectionObject], *, reader: Principal, whole: bool
) -> list[dict[str, Any]] | None:
    """The objects of these rows; None where the list had to be changed, and is to be looked at again."""
    made: dict[tuple[int, str, str], dict[str, Any]] = {}
    stands = True
    for alert_id in dict.fromkeys(row.alert_id for row in page):
        alert = tx.get_one(Alert, alert_id)
        if not whole:
            stands = (handing_out.foreseen(tx, alert) is not None or _unlist(tx, collection, alert)) and stands
            continue
        contents = exits.hand_out(tx, alert, reader=reader, form="stix", way="taxii")
        said = _once(stix_out.objects_of(contents), contents.left_at) if contents is not None else {}
        if said.keys() != _listed(tx, alert):
            stands = _unlist(tx, collection, alert)
            if contents is not None:
                _list(tx, collection, alert)
        made |= {(alert_id, *key): value for key, value in said.items()}
    if not stands:
        return None
    return [made[row.alert_id, row.object_id, row.version] for row in page] if whole else []


def _listed(tx: Session, alert: Alert) -> set[tuple[str, str]]:
    query = select(_ROW.object_id, _ROW.version).where(_ROW.alert_id == alert.id)
    return {(row.object_id, row.version) for row in tx.execute(query)}


def _unlist(tx: Session, collection: Collection, alert: Alert) -> bool:
    """Take it off the list; False, for it does not stand as it was read."""
    tx.execute(delete(CollectionObject).where(*_mine(collection), _ROW.alert_id == alert.id))
    tx.execute(update(Alert).where(Alert.id == alert.id).values(listed=False))
    return False
