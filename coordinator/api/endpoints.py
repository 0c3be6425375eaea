"""Endpoints of partners and their keys: listed, rotated with overlap, revoked at once; what came in under a key."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, instant_argument, json_body, page_limit, whole_argument
from coordinator.api.described import PAGED, describes
from coordinator.changes import service as changes
from coordinator.changes.rules import Kind
from coordinator.errors import NotFound
from coordinator.incidents import received_under as received
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Flag, Text, Whole
from coordinator.partners import exercises as register
from coordinator.partners import queries, service
from coordinator.partners.models import Endpoint, EndpointKey, Organisation
from coordinator.partners.schema import ExerciseSchema, StixAsksSchema
from coordinator.partners.signing import generate_secret

routes = Blueprint("endpoints", __name__)


class EndpointKeySchema(Schema):
    id = shapes.number()
    state = fields.String(required=True, metadata={"enum": ["current", "previous", "over", "revoked"]})
    created_at = shapes.at()
    until = shapes.at(none=True)
    revoked_at = shapes.at(none=True)


class EndpointShownSchema(Schema):
    id = shapes.text()
    organisation = shapes.text()
    direction = shapes.text()
    state = shapes.text()
    stix_asks = fields.List(fields.String(), required=True)
    keys = fields.List(fields.Nested(EndpointKeySchema), required=True)


EndpointShownListSchema = shapes.many(EndpointShownSchema)


class NewSecretSchema(Schema):
    endpoint = shapes.text()
    secret = shapes.text(description="Shown this once.")
    overlap_days = shapes.number()
    change = shapes.number(none=True)


class ReceivedSchema(Schema):
    report = shapes.text()
    received_at = shapes.at()
    disposition = shapes.text()
    incident = shapes.text(none=True)
    in_doubt = fields.Boolean(required=True)


ReceivedListSchema = shapes.many(ReceivedSchema)


class DoubtedSchema(Schema):
    report = shapes.text()
    in_doubt = fields.Boolean(required=True)


class ExerciseShownSchema(Schema):
    code = shapes.text()
    title = shapes.text()
    starts_at = shapes.at()
    ends_at = shapes.at()
    state = fields.String(required=True, metadata={"enum": ["planned", "running", "over"]})
    organisations = fields.List(fields.String(), required=True)


ExerciseShownListSchema = shapes.many(ExerciseShownSchema)


class RotationSchema(Shape):
    """`POST /endpoints/{endpoint}/keys`: how long the secret before goes on."""

    overlap_days = Whole(1, 90)
    reason = Text(500, lines=True)


class KeyRevocationSchema(Shape):
    """`POST /keys/{id}/revoke`."""

    reason = Text(500, lines=True, required=True)


class DoubtSchema(Shape):
    """`POST /received/{report}/doubt`: whether it is in doubt who wrote it."""

    doubted = Flag()
    reason = Text(2000, lines=True, required=True)


class ExerciseBodySchema(ExerciseSchema):
    """`PUT /exercises/{code}`: the code stands in the address."""

    class Meta:
        exclude = ("code",)


_ASKS = StixAsksSchema()
_ROTATION, _REVOCATION, _DOUBT, _EXERCISE = RotationSchema(), KeyRevocationSchema(), DoubtSchema(), ExerciseSchema()


@routes.get("/endpoints")
@needs(Right.READ_PARTNERS)
@describes(answer=EndpointShownListSchema)
def listed() -> Response:
    """Every endpoint with its keys, never a secret."""
    with store().read() as tx:
        codes = {row.id: row.code for row in queries.organisations(tx)}
        items = [_described(tx, row, codes[row.organisation_id]) for row in queries.endpoints(tx)]
    return answer({"items": items, "next": None})


@routes.post("/endpoints/<endpoint>/keys")
@needs(Right.MANAGE_ENDPOINTS)
@describes(bare=True, body=RotationSchema, answer=NewSecretSchema, status=201)
def rotate(endpoint: str) -> Response:
    """Make a new secret, shown in this one answer; the one before goes on for a while. May wait for a second person."""
    wanted, secret = load(_ROTATION, json_body(optional=True)), generate_secret()
    days = wanted.get("overlap_days", service.OVERLAP.days)
    key = {"endpoint": endpoint, "secret": secret, "overlap_days": days}
    with store().unit_of_work() as tx:
        queries.endpoint_by_slug(tx, endpoint)
        asked = changes.ask(tx, Kind.KEY, key, actor=principal().actor, reason=wanted.get("reason", ""))
        waits = asked.change.id if asked.change is not None else None
        return answer({"endpoint": endpoint, "secret": secret, "overlap_days": days, "change": waits}, status=201)


@routes.put("/endpoints/<endpoint>/stix")
@needs(Right.MANAGE_ENDPOINTS)
@describes(body=StixAsksSchema, answer=EndpointShownSchema)
def hold_to_stix(endpoint: str) -> Response:
    """Hold a system to what STIX recommends, or no longer."""
    asks = load(_ASKS, json_body())["asks"]
    with store().unit_of_work() as tx:
        row = queries.endpoint_by_slug(tx, endpoint)
        service.hold_to_stix(tx, row, asks, actor=principal().actor)
        return answer(_described(tx, row, tx.get_one(Organisation, row.organisation_id).code))


@routes.post("/keys/<int:number>/revoke")
@needs(Right.REVOKE_KEY)
@describes(body=KeyRevocationSchema, answer=EndpointKeySchema)
def revoke(number: int) -> Response:
    """Stop a key now; nobody has to agree."""
    reason = load(_REVOCATION, json_body())["reason"]
    with store().unit_of_work() as tx:
        service.revoke_key(tx, _fits(number), actor=principal().actor, reason=reason)
        tx.flush()
        return answer(_key(tx.get_one(EndpointKey, number)))


@routes.get("/keys/<int:number>/reports")
@needs(Right.HANDLE_QUARANTINE)
@describes(answer=ReceivedListSchema, query=("since", *PAGED))
def reports(number: int) -> Response:
    """What this key verified since then (Monday of this week where nothing is said), oldest first, without content."""
    since, limit = instant_argument("since") or received.monday(clock.now()), page_limit()
    after = whole_argument("cursor", 0, least=0)
    with store().read() as tx:
        rows = received.received_under(
            tx, _fits(number), principal=principal(), since=since, after=after, limit=limit + 1
        )
    following = str(rows[limit - 1]["number"]) if len(rows) > limit else None
    items = [{name: value for name, value in row.items() if name != "number"} for row in rows[:limit]]
    return answer({"items": items, "next": following})


@routes.post("/received/<report>/doubt")
@needs(Right.HANDLE_QUARANTINE)
@describes(body=DoubtSchema, answer=DoubtedSchema)
def doubt(report: str) -> Response:
    """Say on record that it is in doubt who wrote a report, or that it no longer is."""
    wanted = load(_DOUBT, json_body())
    doubted = wanted.get("doubted", True)
    with store().unit_of_work() as tx:
        received.doubt(tx, report, principal=principal(), reason=wanted["reason"], doubted=doubted)
    return answer({"report": report, "in_doubt": doubted})


# ---------------------------------------------------------------- exercises


@routes.get("/exercises")
@needs(Right.READ_PARTNERS)
@describes(answer=ExerciseShownListSchema)
def exercises() -> Response:
    """The register of exercises, the newest first."""
    with store().read() as tx:
        return answer({"items": register.exercises(tx), "next": None})


@routes.put("/exercises/<code>")
@needs(Right.MANAGE_EXERCISES)
@describes(body=ExerciseBodySchema, answer=ExerciseShownSchema)
def put_exercise(code: str) -> Response:
    """Register an exercise, or change one that is not over."""
    body = json_body()
    wanted = load(_EXERCISE, {**body, "code": code} if isinstance(body, dict) else body)
    with store().unit_of_work() as tx:
        row = register.put_exercise(tx, wanted, actor=principal().actor)
        tx.flush()
        return answer(register.described(tx, row))


@routes.post("/exercises/<code>/end")
@needs(Right.MANAGE_EXERCISES)
@describes(answer=ExerciseShownSchema)
def end_exercise(code: str) -> Response:
    """End an exercise now."""
    with store().unit_of_work() as tx:
        row = register.end_exercise(tx, code, actor=principal().actor)
        tx.flush()
        return answer(register.described(tx, row))


def _described(tx: Session, row: Endpoint, code: str) -> dict[str, Any]:
    return {
        "id": row.slug, "organisation": code, "direction": row.direction, "url": row.url or None, "state": row.state,
        "exercise": row.exercise, "restricted": row.restricted, "last_ok_at": row.last_ok_at,
        "stix_asks": row.stix_asks.split(),
        "keys": [_key(key) for key in queries.keys_of(tx, row.id)],
    }  # fmt: skip


def _key(key: EndpointKey) -> dict[str, Any]:
    return {"id": key.id, "state": queries.state_of(key), "created_at": key.created_at, "until": key.not_after,
            "revoked_at": key.revoked_at}  # fmt: skip


def _fits(number: int) -> int:
    if not 0 < number <= 2**53 - 1:
        raise NotFound()
    return number
