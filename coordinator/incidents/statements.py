"""The statements of the intake path, written once.

Building an ORM statement costs ten times as much as executing it; a constant one over the plain tables is compiled once
and then only bound. Reports come in bursts, so this path pays for itself; elsewhere the ORM is good enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from sqlalchemy import Insert, Table, Update, bindparam, func, insert, literal_column, or_, select, union_all, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from coordinator.db import Base
from coordinator.incidents.models import (
    ExternalReference,
    Incident,
    ItemVersion,
    PartnerReference,
    Report,
    ReportBody,
)
from coordinator.partners.models import Endpoint, Organisation
from coordinator.prepared import Prepared, column_of, one_of
from coordinator.timeline.models import DataKey


def _table(model: type[Base]) -> Table:
    return cast(Table, model.__table__)


_reports, _bodies, _incidents, _items = _table(Report), _table(ReportBody), _table(Incident), _table(ItemVersion)
_external, _partners = _table(ExternalReference), _table(PartnerReference)
_keys, _endpoints, _organisations = _table(DataKey), _table(Endpoint), _table(Organisation)


def _bodies_of_kept() -> tuple[Insert, Insert]:
    names = ("report_id", "sealed", "erase_after")
    one = select(*(bindparam(name, type_=_bodies.c[name].type) for name in names))
    many = select(*(column_of(name, _bodies.c[name].type) for name in names)).subquery("kept")
    return (
        insert(_bodies).from_select(names, one.where(_reports.c.id == bindparam("report_id"))).inline(),
        insert(_bodies).from_select(names, select(many).join(_reports, _reports.c.id == many.c.report_id)).inline(),
    )


#: Reports by the ids reserved for them; one whose message id is there already is left out.
KEEP_REPORTS = Prepared(
    lambda dialect: (sqlite if dialect == "sqlite" else postgresql).insert(_reports).on_conflict_do_nothing().inline()
)
#: Bodies of those reports that were kept just now.
KEEP_BODIES = Prepared(*_bodies_of_kept())
OPEN_INCIDENTS = Prepared(insert(_incidents).inline())
WRITE_ITEMS = Prepared(insert(_items).inline())
NAME_EXTERNALLY = Prepared(insert(_external).inline())
NAME_FOR_PARTNER = Prepared(insert(_partners).inline())

#: The report, its body, key and sender, with the report's row locked. Takes `report_id`.
LOAD_REPORT = (
    select(
        _reports.c.id, _reports.c.public_id, _reports.c.received_at, _reports.c.via, _reports.c.organisation_id,
        _reports.c.endpoint_id, _reports.c.user_id, _reports.c.raw_digest, _reports.c.media_type,
        _reports.c.data_key_id, _reports.c.exercise, _reports.c.disposition, _bodies.c.sealed, _keys.c.wrapped,
        _endpoints.c.slug.label("endpoint"), _endpoints.c.restricted, _endpoints.c.source, _endpoints.c.stix_asks,
        _organisations.c.active, _organisations.c.is_own, _organisations.c.code.label("organisation"),
    )
    .select_from(
        _reports.outerjoin(_bodies, _bodies.c.report_id == _reports.c.id)
        .outerjoin(_keys, _keys.c.id == _reports.c.data_key_id)
        .outerjoin(_endpoints, _endpoints.c.id == _reports.c.endpoint_id)
        .outerjoin(_organisations, _organisations.c.id == _reports.c.organisation_id)
    )
    .where(_reports.c.id == bindparam("report_id"))
    .with_for_update(of=_reports)
)  # fmt: skip

#: The dispositions of a report that found its place, so that the same bytes again are a repeat of it.
FILED = ("accepted", "update", "quarantined")

#: (first report with the same bytes, incident with this external id, incident with this reference of the partner's,
#: whether the sender is our own organisation, the source the endpoint's envelopes bear). Takes organisation_id,
#: endpoint_id, raw_digest, exercise, report_id, external_id, in_reply_to; None finds nothing.
LOOK_AROUND = select(
    select(func.min(_reports.c.id))
    .where(
        _reports.c.organisation_id == bindparam("organisation_id"), _reports.c.raw_digest == bindparam("raw_digest"),
        _reports.c.exercise == bindparam("exercise"), _reports.c.id != bindparam("report_id"),
        _reports.c.disposition.in_(FILED),
    )
    .scalar_subquery(),
    select(func.min(_external.c.incident_id))
    .where(
        _external.c.organisation_id == bindparam("organisation_id"),
        _external.c.external_id == bindparam("external_id"), _external.c.exercise == bindparam("exercise"),
    )
    .scalar_subquery(),
    select(func.min(_partners.c.incident_id))
    .where(
        _partners.c.organisation_id == bindparam("organisation_id"), _partners.c.exercise == bindparam("exercise"),
        _partners.c.reference == bindparam("in_reply_to"),
    )
    .scalar_subquery(),
    select(_organisations.c.is_own).where(_organisations.c.id == bindparam("organisation_id")).scalar_subquery(),
    select(_endpoints.c.source).where(_endpoints.c.id == bindparam("endpoint_id")).scalar_subquery(),
)  # fmt: skip

#: What is known of these senders by name, as filing.names_of has it. Takes organisation_ids, digests, external_ids.
KNOWN_NAMES = Prepared(lambda dialect: union_all(
    select(literal_column("'bytes'"), _reports.c.organisation_id, _reports.c.exercise, _reports.c.raw_digest).where(
        one_of(dialect, _reports.c.organisation_id, "organisation_ids"),
        one_of(dialect, _reports.c.raw_digest, "digests"),
        or_(*(_reports.c.disposition == literal_column(f"'{name}'") for name in FILED)),
    ),
    select(
        literal_column("'external'"), _external.c.organisation_id, _external.c.exercise, _external.c.external_id
    ).where(
        one_of(dialect, _external.c.organisation_id, "organisation_ids"),
        one_of(dialect, _external.c.external_id, "external_ids"),
    ),
))  # fmt: skip

#: The disposition, with the report's row locked. Takes `report_id`.
LOCK_REPORT = select(_reports.c.disposition).where(_reports.c.id == bindparam("report_id")).with_for_update()

_SETTLED = ("disposition", "reason", "format", "tlp", "external_id", "flags", "remarks", "incident_id")


def _settling() -> tuple[Update, Update]:
    unread = update(_reports).where(_reports.c.disposition == literal_column("'received'"))
    new = select(
        column_of("report_id", _reports.c.id.type),
        *(column_of(f"new_{name}", _reports.c[name].type) for name in _SETTLED),
    ).subquery("new")
    return (
        unread.where(_reports.c.id == bindparam("report_id"))
        .values({name: bindparam(f"new_{name}") for name in _SETTLED}),
        unread.where(_reports.c.id == new.c.report_id).values({name: new.c[f"new_{name}"] for name in _SETTLED}),
    )  # fmt: skip


#: Takes report_id and the columns that reading a report settles. Touches none that somebody has read meanwhile.
SETTLE_REPORTS = Prepared(*_settling())


def kept_of(tx: Session, ids: Iterable[int]) -> set[int]:
    """Which of these reports are there: of those that were to be kept, one whose message id is known already is not."""
    return set(tx.execute(select(_reports.c.id).where(_reports.c.id.in_(list(ids)))).scalars())
