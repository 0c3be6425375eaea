"""The board: incidents by filter, a page at a time, with what is due next. Plain data in the contract's field names.

Every read is bounded: a page costs the same with a thousand incidents and with a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, exists, func, select, union_all
from sqlalchemy.orm import Session, aliased

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.alerts.models import Alert
from coordinator.errors import Fault, Invalid
from coordinator.incidents.finding import Wanted, find_incidents, named_incidents
from coordinator.incidents.items import read_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.queries import visible
from coordinator.incidents.references import reference_of
from coordinator.incidents.rules import OPEN_STATUSES, Status
from coordinator.obligations import queries as duties
from coordinator.sharing.models import AWAITING_APPROVAL, Release
from coordinator.status.paging import bounded, from_cursor, to_cursor
from coordinator.tasks.models import Task
from coordinator.timeline.keys import Erased
from coordinator.timeline.models import Entry
from coordinator.vocabulary import ROLES

#: The statuses of the board when none is asked for, in the order of work.
OPEN = tuple(status.value for status in Status if status in OPEN_STATUSES)
#: Alerts that were sent, or are about to be, and have not been answered.
UNANSWERED = ("queued", "handed-over", "delivered")
#: Entries about looking, not about an incident: they change nothing on a page.
READINGS = ("incident.read", "attachment.read", "timeline.read")
#: Counts stop here: the page then says "200+".
MOST = 200
MOST_SEVERE = 5


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What the board is asked for. Empty means any; `statuses` empty means the open ones, `exercise` "" the real ones.

    `owner`: a user's id, or 0 for "nobody yet". `severity` is the least level, `severities` are the very ones.
    """

    statuses: tuple[str, ...] = ()
    severity: int | None = None
    severities: tuple[int, ...] = ()
    owner: int | None = None
    state: str = ""
    sector: str = ""
    q: str = ""
    updated_since: datetime | None = None
    exercise: str = ""
    every_status: bool = False

    def wanted(self) -> Wanted:
        """The same for finding."""
        levels = self.severities if self.severity is None else tuple(range(self.severity, MOST_SEVERE + 1))
        return Wanted(
            statuses=() if self.every_status else self.statuses or OPEN, severities=levels, owner=self.owner,
            state=self.state, sector=self.sector, q=self.q, updated_since=self.updated_since, exercise=self.exercise,
        )  # fmt: skip


def board(
    tx: Session, *, principal: Principal, filters: Filters | None = None, cursor: str = "", limit: int = 50
) -> dict[str, Any]:
    """{"items": [incident…], "next": cursor or None}, last changed first. Raises Invalid for a foreign cursor.

    An incident whose reference is searched for, ours or a partner's, stands first, whatever the other filters say.
    """
    filters, limit = filters or Filters(), bounded(limit)
    after = _position(cursor)
    rows = find_incidents(tx, filters.wanted(), principal=principal, before=after, limit=limit + 1)
    page = rows[:limit]
    following = page[-1] if len(rows) > limit else None
    named = named_incidents(tx, filters.q, principal=principal, exercise=filters.exercise)
    first = {row.id for row in named}
    return {
        "items": described(tx, [*(() if after else named), *(row for row in page if row.id not in first)]),
        "next": to_cursor(clock.rfc3339(following.updated_at), following.id) if following else None,
    }


def _position(cursor: str) -> tuple[datetime, int] | None:
    parts = from_cursor(cursor, str, int)
    if parts is None:
        return None
    try:
        return clock.parse(parts[0]), parts[1]
    except ValueError:
        raise Invalid([Fault("/cursor", "Use the cursor of the answer before, or leave it out.")]) from None


def described(tx: Session, rows: Sequence[Incident]) -> list[dict[str, Any]]:
    """Incidents as the contract names their fields, with what is open on each: one query a kind, however many."""
    ids = [row.id for row in rows]
    tasks, unanswered, waiting = _tasks(tx, ids), _unanswered(tx, ids), _waiting(tx, ids)
    clocks = duties.next_due(tx, ids)
    names = _names(tx, {row.owner_id for row in rows if row.owner_id})
    titles = titles_of(tx, rows)
    return [
        {
            "reference": reference_of(row), "id": row.id, "title": titles[row.id], "status": row.status,
            "severity": row.severity, "classification": row.classification, "tlp": row.tlp,
            "owner": row.owner_id, "owner_name": names.get(row.owner_id), "outlook": row.outlook or None,
            "created_at": row.created_at, "updated_at": row.updated_at, "restricted": row.restricted,
            "exercise": row.exercise or None, "states_affected": row.states_affected, "sectors": row.sectors,
            "humanitarian_flags": row.humanitarian_flags, "version": row.version,
            "open_tasks": tasks.get(row.id, (0, None))[0],
            "next_due": _sooner(tasks.get(row.id, (0, None))[1], clocks.get(row.id)),
            "unacknowledged": unanswered.get(row.id, 0), "clearances": waiting.get(row.id, 0),
        }
        for row in rows
    ]  # fmt: skip


def _sooner(*instants: datetime | None) -> datetime | None:
    return min((each for each in instants if each is not None), default=None)


def titles_of(tx: Session, rows: Iterable[Incident]) -> dict[int, str]:
    """Titles by incident id; those of restricted incidents are opened from their sealed item."""
    rows = list(rows)
    sealed = [row.id for row in rows if row.restricted]
    found = {row.id: row.title for row in rows}
    if sealed:
        query = select(ItemVersion).where(ItemVersion.incident_id.in_(sealed), ItemVersion.kind == "title")
        first: dict[int | None, str] = {}
        for version in tx.execute(query.order_by(ItemVersion.id)).scalars():
            # The title of the report that opened it, in its newest version; other reports bring titles of their own.
            if first.setdefault(version.incident_id, version.item) == version.item:
                found[version.incident_id or 0] = _read(tx, version)
    return found


def _read(tx: Session, version: ItemVersion) -> str:
    try:
        return str(read_item(tx, version))
    except Erased:
        return "(erased)"


def _tasks(tx: Session, ids: list[int]) -> dict[int, tuple[int, datetime | None]]:
    query = (
        select(Task.incident_id, func.count(), func.min(Task.due_at))
        .where(Task.incident_id.in_(ids), Task.state == "open")
        .group_by(Task.incident_id)
    )
    return {row[0]: (row[1], row[2]) for row in tx.execute(query) if row[0] is not None}


def _unanswered(tx: Session, ids: list[int]) -> dict[int, int]:
    query = (
        select(Alert.incident_id, func.count())
        .where(Alert.incident_id.in_(ids), Alert.ack != "", Alert.state.in_(UNANSWERED))
        .group_by(Alert.incident_id)
    )
    return {row[0]: row[1] for row in tx.execute(query) if row[0] is not None}


def _waiting(tx: Session, ids: list[int]) -> dict[int, int]:
    query = (
        select(Release.incident_id, func.count())
        .where(Release.incident_id.in_(ids), Release.state == AWAITING_APPROVAL)
        .group_by(Release.incident_id)
    )
    return {row[0]: row[1] for row in tx.execute(query) if row[0] is not None}


def _names(tx: Session, users: Iterable[int]) -> dict[int | None, str]:
    return {row.id: row.name for row in tx.execute(select(User.id, User.name).where(User.id.in_(list(users))))}


# ---------------------------------------------------------------- counts


def counts(tx: Session, *, principal: Principal, exercise: str = "") -> dict[str, int]:
    """How many there are of each open status, overdue tasks, unanswered alerts and waiting clearances.

    Each stops at MOST + 1.
    """
    now = clock.now()
    seen = [Incident.exercise == exercise, visible(principal)]
    asked = {
        status: select(Incident.id).where(Incident.status == status, *seen) for status in OPEN
    } | {
        "overdue": _with_incident(Task, seen).where(
            Task.state == "open", Task.role.in_(ROLES.codes), Task.due_at <= now
        ),
        "unacknowledged": _with_incident(Alert, seen).where(Alert.ack.in_(("person", "system")),
                                                            Alert.state.in_(UNANSWERED)),
        "clearances": _with_incident(Release, seen).where(Release.state == AWAITING_APPROVAL),
    }  # fmt: skip
    bounds = {name: select(func.count()).select_from(query.limit(MOST + 1).subquery()).scalar_subquery()
              for name, query in asked.items()}  # fmt: skip
    row = tx.execute(select(*(query.label(name) for name, query in bounds.items()))).one()
    return {name: int(row._mapping[name]) for name in asked}


def _with_incident(table: Any, seen: list[Any]) -> Select[Any]:
    """Rows whose incident one may know of. `exists`, not a join: the few rows asked for are to be walked, never all
    incidents."""
    return select(table.id).where(exists().where(Incident.id == table.incident_id, *seen))


def due_next(tx: Session, *, principal: Principal, exercise: str = "", limit: int = 8) -> list[dict[str, Any]]:
    """The tasks and duties that are due soonest on any incident this person may know of, late ones first.

    One short range of the (state, role, due_at) index for each role.
    """
    parts = [
        select(Task.id)
        .join(Incident, Incident.id == Task.incident_id)
        .where(Task.state == "open", Task.role == role, Task.due_at.is_not(None), Incident.exercise == exercise,
               visible(principal))
        .order_by(Task.due_at, Task.id)
        .limit(limit)
        .subquery()
        for role in ROLES.codes
    ]  # fmt: skip
    ids = union_all(*(select(part.c.id) for part in parts)).subquery()
    person = aliased(User)
    query = (
        select(Task, Incident, person.name)
        .join(Incident, Incident.id == Task.incident_id)
        .outerjoin(person, person.id == Task.assignee_id)
        .where(Task.id.in_(select(ids.c.id)))
        .order_by(Task.due_at, Task.id)
        .limit(limit)
    )
    tasks = [
        {"id": task.id, "title": task.title, "kind": task.kind, "role": task.role, "assignee_name": name,
         "due_at": task.due_at, "incident": reference_of(incident), "restricted": incident.restricted,
         "href": f"/tasks/{task.id}"}
        for task, incident, name in tx.execute(query)
    ]  # fmt: skip
    clocks = duties.due_next(tx, principal=principal, exercise=exercise, limit=limit)
    return sorted([*tasks, *clocks], key=lambda each: each["due_at"])[:limit]


def exercises(tx: Session, *, most: int = 20) -> list[str]:
    """The exercises there are incidents of, found by hopping along the index."""
    found: list[str] = []
    while len(found) < most:
        last = found[-1] if found else ""
        after = tx.execute(select(func.min(Incident.exercise)).where(Incident.exercise > last)).scalar()
        if after is None:
            break
        found.append(after)
    return found


def newest(tx: Session, *, principal: Principal | None = None, everything: bool = False) -> list[int]:
    """The last few entries of incidents one may know of: when they change, the board may have changed.

    Several, because ids are given out before commits: a late one then still shows. Without `principal` only incidents
    that are not restricted count.
    """
    # Said so that the entries are walked backwards by their ids until there are enough, and no index of incidents is.
    query = select(Entry.id).where(func.coalesce(Entry.incident_id, 0) != 0, Entry.kind.not_in(READINGS))
    if not everything:
        seen = visible(principal) if principal else Incident.restricted.is_(False)
        query = query.where(exists().where(Incident.id == Entry.incident_id, seen))
    return list(tx.execute(query.order_by(Entry.id.desc()).limit(30)).scalars())
