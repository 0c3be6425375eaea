"""Incidents by filters and words, last changed first, at the same cost however many there are.

Filters that are columns are short ranges of an index. Words and codes in lists are looked for among the newest first:
what many incidents say fills a page there. What few say, the index of words gives (FTS5 on SQLite, GIN on PostgreSQL).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Text,
    and_,
    cast,
    column,
    func,
    literal,
    or_,
    select,
    table,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from coordinator.accounts.principal import Principal
from coordinator.incidents.models import WORDS, ExternalReference, Incident, PartnerReference
from coordinator.incidents.queries import visible
from coordinator.incidents.references import parse_reference, reference_of
from coordinator.incidents.rules import Status
from coordinator.incidents.words import terms

#: So many of the newest, at most, are looked through before the index of words is asked.
WINDOW = 600
#: So many incidents are shown for one reference or partner's id.
MOST_NAMED = 20
_NEWEST = (Incident.updated_at.desc(), Incident.id.desc())

Position = tuple[datetime, int]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for; empty means any. `owner`: a user's id, or 0 for nobody. `exercise`: "" the real ones."""

    statuses: tuple[str, ...] = ()
    severities: tuple[int, ...] = ()
    owner: int | None = None
    state: str = ""
    sector: str = ""
    q: str = ""
    updated_since: datetime | None = None
    exercise: str = ""


def find_incidents(
    tx: Session, wanted: Wanted, *, principal: Principal, before: Position | None = None, limit: int = 50
) -> list[Incident]:
    """Incidents this person may know of, last updated first. `before`: (updated_at, id) of the last one seen.

    Of restricted ones no words are found: their text is sealed.
    """
    ranges = _ranges(wanted, before)
    tests = [visible(principal), *_tests(wanted)]
    if len(tests) == 1 and not wanted.q:
        return _merged(tx, [each.where(*tests) for each in ranges], limit)
    if wanted.q and not terms(wanted.q):
        return []
    most = max(WINDOW // 5, min(WINDOW, 5 * WINDOW // len(ranges)))
    window = _newest_ids([each.limit(most) for each in ranges], most)
    query = select(Incident).join(window, window.c.id == Incident.id).where(*tests)
    found = list(tx.execute(query.order_by(*_NEWEST).limit(limit)).scalars())
    if len(found) >= limit or _count(tx, window) < most:  # a full page, or all there are
        return found
    return list(tx.execute(_by_index(tx, wanted, [*tests, *_columns(wanted, before)], limit)).scalars())


def named_incidents(tx: Session, asked: str, *, principal: Principal, exercise: str = "") -> list[Incident]:
    """Incidents whose reference this is: ours, the one made for a partner, or a partner's own. In whatever status."""
    asked = "".join(one for one in asked if one.isprintable()).strip()
    if not asked:
        return []
    ours = parse_reference(asked)
    theirs = (
        select(PartnerReference.incident_id).where(PartnerReference.reference == asked.upper()),
        select(ExternalReference.incident_id).where(ExternalReference.external_id == asked[:200]),
    )
    ids = [row for query in theirs for row in tx.execute(query.limit(MOST_NAMED)).scalars()]
    query = select(Incident).where(
        or_(Incident.id == (ours if ours and ours < 2**53 else 0), and_(Incident.id.in_(ids),
                                                                        Incident.exercise == exercise)),
        visible(principal),
    )  # fmt: skip
    found = tx.execute(query.order_by(*_NEWEST).limit(MOST_NAMED)).scalars()
    return [row for row in found if row.id != ours or reference_of(row) == asked.upper()]


# ---------------------------------------------------------------- ranges of an index


def _ranges(wanted: Wanted, before: Position | None) -> list[Select[int, datetime]]:
    """One query for each range of an index that together hold what the columns allow, newest first."""
    statuses = wanted.statuses or (tuple(Status) if wanted.severities or wanted.owner is not None else (None,))
    chosen = product(statuses, wanted.severities or (None,))
    bounds = _bounds(wanted, before)
    found: list[Select[int, datetime]] = []
    for status, level in chosen:
        query = select(Incident.id, Incident.updated_at).where(*bounds)
        query = query.where(Incident.status == status) if status else query
        query = query.where(Incident.severity == level) if level is not None else query
        found.append(query.order_by(*_NEWEST))
    return found


def _bounds(wanted: Wanted, before: Position | None) -> list[Any]:
    bounds: list[Any] = [Incident.exercise == wanted.exercise]
    if wanted.owner is not None:
        bounds.append(Incident.owner_id == wanted.owner if wanted.owner else Incident.owner_id.is_(None))
    if wanted.updated_since is not None:
        bounds.append(Incident.updated_at >= wanted.updated_since)
    if before is not None:
        bounds.append(tuple_(Incident.updated_at, Incident.id) < tuple_(literal(before[0]), literal(before[1])))
    return bounds


def _columns(wanted: Wanted, before: Position | None) -> list[Any]:
    several = ((Incident.status, wanted.statuses), (Incident.severity, wanted.severities))
    return [*_bounds(wanted, before), *(name.in_(values) for name, values in several if values)]


def _newest_ids(ranges: Sequence[Select[int, datetime]], limit: int) -> CTE:
    parts = [each.subquery() for each in ranges]
    every = union_all(*(select(part.c.id, part.c.updated_at) for part in parts)).subquery()
    return select(every.c.id).order_by(every.c.updated_at.desc(), every.c.id.desc()).limit(limit).cte("newest")


def _merged(tx: Session, ranges: Sequence[Select[int, datetime]], limit: int) -> list[Incident]:
    ids = _newest_ids([each.limit(limit) for each in ranges], limit)
    query = select(Incident).join(ids, ids.c.id == Incident.id).order_by(*_NEWEST)
    return list(tx.execute(query).scalars())


def _count(tx: Session, ids: CTE) -> int:
    return tx.execute(select(func.count()).select_from(ids)).scalar_one()


# ---------------------------------------------------------------- words, and codes in lists


def _tests(wanted: Wanted) -> list[ColumnElement[bool]]:
    """Words and codes, as a row itself tells them."""
    tests = [cast(codes, Text).contains(f'"{code}"', autoescape=True) for codes, code in _codes(wanted)]
    for word, begins in terms(wanted.q):
        tests.append(Incident.search_text.contains(f" {word}" if begins else f" {word} ", autoescape=True))
    return tests


def _codes(wanted: Wanted) -> list[tuple[Any, str]]:
    both = ((Incident.states_affected, wanted.state), (Incident.sectors, wanted.sector))
    return [(codes, code) for codes, code in both if code]


def _by_index(tx: Session, wanted: Wanted, where: Sequence[Any], limit: int) -> Select[Any]:
    """The same by the index of words: it gives the few first, and the other criteria are looked at on them."""
    if tx.get_bind().dialect.name == "sqlite":
        found = select(_WORDS.c.rowid.label("id")).where(text("incident_words MATCH :asked")).subquery()
        query = select(Incident).join(found, found.c.id == Incident.id).where(*where)
        # The plus keeps SQLite from walking all incidents in order for the sake of the order.
        order = (text("+incidents.updated_at DESC"), text("+incidents.id DESC"))
        return query.order_by(*order).limit(limit).params(asked=_match(wanted))
    chosen: list[Any] = [codes.op("@>")(cast([code], Incident.sectors.type)) for codes, code in _codes(wanted)]
    if wanted.q:
        chosen.append(WORDS.op("@@")(cast(_tsquery(wanted), TSQUERY)))
    ids = select(Incident.id).where(*chosen).cte("found").prefix_with("MATERIALIZED")
    query = select(Incident).join(ids, ids.c.id == Incident.id).where(*where)
    return query.order_by(*_NEWEST).limit(limit)


_WORDS = table("incident_words", column("rowid"))


def forget(tx: Session) -> None:
    """Write the index anew without what was taken out of it: FTS5 only notes what is gone, and its words stay legible
    in the file until parts of the index are merged. On PostgreSQL vacuuming does that."""
    if tx.get_bind().dialect.name == "sqlite":
        tx.execute(text("INSERT INTO incident_words (incident_words) VALUES ('optimize')"))


def _match(wanted: Wanted) -> str:
    """For FTS5. Words hold letters and digits only, codes what the vocabulary holds: nothing in them is an operator."""
    asked = [f'"{word}"{" *" if begins else ""}' for word, begins in terms(wanted.q)]
    codes = (("state", wanted.state), ("sector", wanted.sector))
    return " AND ".join([*(f'"{kind}:{code.lower()}"' for kind, code in codes if code), *asked])


def _tsquery(wanted: Wanted) -> str:
    """For PostgreSQL, in the same way."""
    return " & ".join(f"'{word}'{':*' if begins else ''}" for word, begins in terms(wanted.q))
