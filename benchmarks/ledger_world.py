"""A world of five years for the measurement of the ledger: releases that left, made by the database itself, spread
over incidents, years and partners; one partner holds a tenth of them, and finds them in its collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import BigInteger, ColumnElement, String, case, cast, insert, literal, select, text
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.agreements.models import Agreement
from coordinator.alerts import handing_out
from coordinator.alerts.models import Alert, CollectionObject, Delivery, DeliveryAttempt
from coordinator.db import Base
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.references import reference_of
from coordinator.interchange import stix_out
from coordinator.interchange.contents import contents_of
from coordinator.markings import Marking, Tlp
from coordinator.partners.models import Organisation
from coordinator.partners.queries import own_organisation
from coordinator.sharing.composed import content_digest
from coordinator.sharing.models import Release, ShareDecision
from coordinator.store import Store
from coordinator.timeline.keys import new_key

PARTNERS, EACH_INCIDENT = 200, 100
#: Every tenth release went to this partner.
HOLDER, HELD, AGREEMENT = "P-007", 10, "AG-1"
YEARS = timedelta(days=5 * 365)
GREEN = Marking(tlp=Tlp.GREEN)
WORDS, PURPOSE, CATEGORY = "Ransomware seen", "network-defence", "incident-notification"
#: One incident of so many is restricted.
RESTRICTED = 20
#: An exercise of long ago with a few releases.
EXERCISE, DRILLED = "ex-1", 20


class World(NamedTuple):
    """What is asked for: an incident in the middle, something said in it, and what the one partner was told in the
    middle of the years, with the moment at which its collection listed it (RFC 3339)."""

    reference: str
    item: str
    holder: int
    held: str
    listed_at: str


def fill(store: Store, size: int) -> World:
    """`size` releases that left, copied from one, over incidents and partners in turn; and a few of an exercise, made
    before all others."""
    incidents = max(2, size // EACH_INCIDENT)
    with store.unit_of_work() as tx:
        own = own_organisation(tx).code  # of the demo's world, which every installation to measure begins with
        tx.add(Agreement(key=AGREEMENT, version=1, terms=_terms(own), created_at=clock.now(), digest="0" * 64,
                         recorded_by="cli:benchmark"))  # fmt: skip
        tx.execute(insert(Organisation), [
            {"code": f"P-{number:03}", "name": f"Partner {number}", "kind": "national-csirt", "communities": [],
             "sectors": []} for number in range(PARTNERS)
        ])  # fmt: skip
        drill = _incident(tx, EXERCISE)
        first = _incident(tx, "")
        same = {column.name: getattr(first, column.key) for column in Incident.__table__.columns}
        began, each = clock.now() - YEARS, YEARS / incidents
        tx.execute(insert(Incident), [
            same | {"id": first.id + number, "created_at": began + each * number,
                    "restricted": number % RESTRICTED == 1 and number != incidents // 2}
            for number in range(1, incidents)
        ])  # fmt: skip
        middle = tx.get_one(Incident, first.id + incidents // 2)
        drilled, usual, asked_for = (_said(tx, row) for row in (drill, first, middle))
        _unchecked(tx)
        _left(tx, DRILLED, lambda _: (drill.id, drilled.id), exercise=EXERCISE, first=first.id, incidents=incidents)

        def whose(number: Any) -> tuple[Any, Any]:
            own = first.id + number % incidents
            return own, case((own == middle.id, asked_for.id), else_=usual.id)

        _left(tx, size, whose, exercise="", first=first.id, incidents=incidents, after=DRILLED)
    with store.unit_of_work() as tx:
        holder = tx.execute(select(Organisation.id).where(Organisation.code == HOLDER)).scalar_one()
        tx.execute(insert(CollectionObject), list(_listed(tx, holder)))
        tx.execute(text("UPDATE alerts SET listed = true WHERE organisation_id = :holder AND exercise = ''"),
                   {"holder": holder})  # fmt: skip
    _tidy(store)
    with store.read() as tx:
        held = select(Alert.public_id, CollectionObject.added_at).join(
            CollectionObject, CollectionObject.alert_id == Alert.id
        ).where(Alert.organisation_id == holder, Alert.id > size // 2).order_by(Alert.id).limit(1)  # fmt: skip
        public_id, at = tx.execute(held).one()
        return World(reference_of(middle), asked_for.item, holder, public_id, clock.rfc3339(at))


def _unchecked(tx: Session) -> None:
    """On PostgreSQL the keys of rows that are copies of one are not looked up one by one, in this transaction."""
    if tx.get_bind().dialect.name == "postgresql":
        tx.flush()
        tx.execute(text("SET LOCAL session_replication_role = replica"))


def _tidy(store: Store) -> None:
    """What a database does by itself in five years: statistics, and on PostgreSQL the visibility of pages."""
    if not store.settings.database_url.startswith("postgresql"):
        with store.unit_of_work() as tx:
            tx.execute(text("ANALYZE"))
        return
    with store.unit_of_work() as tx:  # rows brought their ids: the next ones come after
        for model in (Release, ShareDecision, Alert, Delivery, DeliveryAttempt):
            tx.execute(text(f"SELECT setval(pg_get_serial_sequence('{model.__tablename__}', 'id'), "
                            f"(SELECT max(id) FROM {model.__tablename__}))"))  # fmt: skip
    with psycopg.connect(store.settings.database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _listed(tx: Session, holder: int) -> Iterator[dict[str, Any]]:
    """What the partner's collection would list of each of them, by the very function that makes it."""
    mine = (Alert.organisation_id == holder, Alert.exercise == "")
    one = tx.execute(select(Alert).where(*mine).limit(1)).scalar_one()
    permit = handing_out.foreseen(tx, one)
    assert permit is not None, "the partner may not be given what it was told"
    said, at = contents_of(tx, one, permit), clock.now() - timedelta(days=1)
    query = select(Alert.id, Alert.public_id, Alert.created_at).where(*mine)
    for alert_id, public_id, left_at in tx.execute(query.order_by(Alert.id)):
        for each in stix_out.objects_of(replace(said, key=public_id, left_at=left_at, first_at=left_at)):
            at += timedelta(microseconds=1)
            yield {
                "organisation_id": holder, "alert_id": alert_id, "object_id": each["id"], "type": each["type"],
                "version": stix_out.version_of(each) or stix_out.stamp(left_at), "added_at": at, "exercise": "",
            }  # fmt: skip


def _terms(own: str) -> dict[str, Any]:
    return {
        "agreement_id": AGREEMENT, "title": AGREEMENT, "kind": "cert-cert", "legal_status": "operational",
        "parties": [{"party": code, "role": "both", "signed_on": "2019-01-01"} for code in (own, HOLDER)],
        "info_categories_allowed": [CATEGORY], "tlp_ceiling": "AMBER", "permitted_purposes": [PURPOSE],
        "personal_data": "none", "onward_sharing": "own-organisation", "effective_from": "2019-01-02T00:00:00Z",
        "clause_refs": {"tlp_ceiling": "4"},
    }  # fmt: skip


def _digest(exercise: str) -> str:
    return content_digest(kind="initial", title=WORDS, body=WORDS, marking=GREEN, purpose=PURPOSE, reply_by=None,
                          language="en", exercise=exercise, items=[])  # fmt: skip


def _incident(tx: Session, exercise: str) -> Incident:
    now = clock.now()
    row = Incident(
        title="Ransomware", status="closed", tlp="GREEN", marking=GREEN.to_json(), sectors=[],
        states_affected=[], humanitarian_flags=[], data_key_id=new_key(tx), created_at=now - YEARS, updated_at=now,
        exercise=exercise,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    return row


def _said(tx: Session, incident: Incident) -> ItemVersion:
    return write_item(tx, kind="alert-title", content=WORDS, marking=GREEN, author="user:1",
                      info_category=CATEGORY, incident=incident)  # fmt: skip


def _left(
    tx: Session, count: int, whose: Callable[[Any], tuple[Any, Any]], *, exercise: str, first: int, incidents: int,
    after: int = 0,
) -> None:  # fmt: skip
    """`count` releases with decision, alert, delivery and attempt, each table in one statement. `whose`: (incident,
    item version) of the row with a number; the rows of the incidents from `first` on say when."""
    numbers = select(literal(1, BigInteger).label("i")).cte("n", recursive=True)
    numbers = numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < count))
    partner, moment = Organisation.__table__.alias("partner"), Incident.__table__.alias("moment")
    first_partner = tx.execute(select(Organisation.id).where(Organisation.code == "P-000")).scalar_one()
    turn = case(((numbers.c.i // 7) % HELD == 0, int(HOLDER[2:])), else_=numbers.c.i % PARTNERS)
    source = numbers.join(partner, partner.c.id == first_partner + turn).join(
        moment, moment.c.id == first + (numbers.c.i - 1) * incidents // count)  # fmt: skip
    number, at, digest = numbers.c.i + after, moment.c.created_at, _digest(exercise)
    case_id, version = whose(numbers.c.i)
    frame = {"id": number, "exercise": exercise}
    about = frame | {"incident_id": case_id, "content_digest": digest}
    for model, values in (
        (Release, about | {
            "kind": "initial", "purpose": PURPOSE, "info_category": CATEGORY, "ladder": [],
            "title_version_id": version, "body_version_id": version, "marking": GREEN.to_json(),
            "facts": {}, "state": "released", "requested_by": "user:1", "created_at": at, "language": "en", "ack": "",
        }),
        (ShareDecision, about | {
            "release_id": number, "recipient": partner.c.code, "channel_kind": "webhook", "result": "permit",
            "reasons": [], "obligations": ["O-TLP-GREEN", "O-RETAIN-P1Y"], "effective_tlp": "GREEN",
            "agreement_problems": {}, "purpose": PURPOSE, "inputs": {}, "inputs_digest": digest,
            "agreement": AGREEMENT, "agreement_version": 1,
            "policy_version": "1", "evaluated_at": at, "valid_until": clock.now(), "requested_by": "user:1",
        }),
        (Alert, about | {
            "release_id": number, "kind": "initial", "recipient": partner.c.code, "state": "delivered",
            "organisation_id": partner.c.id, "decision_id": number, "decision_result": "permit", "ladder_step": 0,
            "public_id": literal("alr-") + cast(number, String), "partner_reference": "", "ack": "", "rung": 0,
            "created_at": at,
        }),
        (Delivery, frame | {
            "alert_id": number, "rung": 0, "kind": "webhook", "state": "delivered", "decision_id": number,
            "webhook_id": literal("msg_") + cast(number, String), "attempts": 1, "fence": 1, "created_at": at,
            "ack_hash": cast(number, String), "ack_expires_at": at,
        }),
        (DeliveryAttempt, frame | {
            "delivery_id": number, "number": 1, "decision_id": number, "at": at, "outcome": "delivered", "detail": "",
        }),
    ):  # fmt: skip
        columns = Base.metadata.tables[model.__tablename__].columns
        chosen = [
            (value if isinstance(value, ColumnElement) else literal(value, columns[name].type)).label(name)
            for name, value in values.items()
        ]
        tx.execute(insert(model).from_select(list(values), select(*chosen).select_from(source)))
