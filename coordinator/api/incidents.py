"""Reading incidents: the list, one, and everything that belongs to one. Need-to-know is asked before anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from coordinator import vocabulary
from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import (
    answer,
    etag,
    instant_argument,
    page_limit,
    text_argument,
    whole_argument,
    words_argument,
)
from coordinator.api.described import PAGED, describes
from coordinator.errors import Fault, Invalid
from coordinator.incidents import attachments, queries, sources
from coordinator.incidents.models import Incident
from coordinator.incidents.rules import Status
from coordinator.outside import filenames
from coordinator.status import board, incident_page, outgoing, run_view
from coordinator.status.paging import from_cursor, to_cursor
from coordinator.tasks.queries import incident_tasks
from coordinator.timeline import queries as record

routes = Blueprint("incidents", __name__)


IncidentListSchema = shapes.many(shapes.IncidentSchema)


class EntrySchema(Schema):
    seq = shapes.number()
    at = shapes.at()
    actor = shapes.text()
    kind = shapes.text()
    text = shapes.text()
    hash = shapes.text()


EntryListSchema = shapes.many(EntrySchema)

AlertListSchema = shapes.many(shapes.AlertSchema)

DecisionListSchema = shapes.many(shapes.DecisionSchema)


class RunSchema(Schema):
    id = shapes.number()
    playbook = shapes.text()
    version = shapes.text()
    state = shapes.text()
    steps = fields.List(fields.Dict(), required=True)


RunListSchema = shapes.many(RunSchema)


class ReportSchema(Schema):
    id = shapes.text()
    received_at = shapes.at()
    via = shapes.text()
    disposition = shapes.text()
    remarks = fields.Nested(shapes.RemarksSchema, required=True)


ReportListSchema = shapes.many(ReportSchema)


class FactShownSchema(Schema):
    """What each source says of one fact, and whether they differ."""

    name = shapes.text()
    conflict = fields.Boolean(required=True)
    said = fields.List(fields.Dict(), required=True)
    chosen = shapes.number(none=True)


FactListSchema = shapes.many(FactShownSchema)


class ItemShownSchema(Schema):
    """What was said, in its newest version."""

    id = shapes.number()
    item = shapes.text()
    version = shapes.number()
    kind = shapes.text()
    tlp = shapes.text()
    originator = shapes.text(none=True)
    at = shapes.at()
    by = shapes.text()


class LinkShownSchema(Schema):
    kind = shapes.text()
    reference = shapes.text()
    status = shapes.text()
    title = shapes.text()


class FileShownSchema(Schema):
    id = shapes.number()
    name = shapes.text()
    media_type = shapes.text(description="As the sender said it; `seems` is what the bytes look like.")
    sha256 = shapes.text()
    size = shapes.number()
    state = shapes.text()
    scanned = fields.Boolean(required=True)
    document = fields.Dict(
        required=True, allow_none=True,
        metadata={"description": "Of a CSAF or IODEF document: format, version, ids and label, read out of it."},
    )  # fmt: skip


ItemListSchema, LinkListSchema = shapes.many(ItemShownSchema), shapes.many(LinkShownSchema)
FileListSchema = shapes.many(FileShownSchema)

#: Lists of one incident that are not paged end here; the record is paged.
MOST = 1000


@routes.get("/incidents")
@needs(Right.READ_INCIDENTS)
@describes(answer=IncidentListSchema, query=("status", "severity", "updated_since", "q", "exercise", *PAGED))
def listed() -> Response:
    """Incidents this person may know of, last changed first."""
    statuses = _statuses()
    filters = board.Filters(
        statuses=tuple(statuses), every_status=not statuses, severities=tuple(_severities()),
        state=_code("state", vocabulary.COUNTRIES), sector=_code("sector", vocabulary.SECTORS),
        updated_since=instant_argument("updated_since"), q=text_argument("q"), exercise=text_argument("exercise"),
    )  # fmt: skip
    cursor, limit = request.args.get("cursor", ""), page_limit()
    with store().read() as tx:
        return answer(board.board(tx, principal=principal(), filters=filters, cursor=cursor, limit=limit))


@routes.get("/incidents/<reference>")
@needs(Right.READ_INCIDENTS)
@describes(answer=shapes.IncidentSchema, tagged=True)
def one(reference: str) -> Response:
    """One incident in full, with its ETag. That it was opened goes on record."""
    with store().read() as tx:
        incident = queries.get_visible(tx, reference, principal=principal())
        if request.if_none_match.contains_weak(etag(incident.version)):
            return answer_unchanged(incident)
        data = queries.described_in_full(tx, incident)
        noted = queries.was_read(tx, incident, principal=principal())
    if not noted:
        with store().unit_of_work() as tx:
            queries.note_read(tx, incident, principal=principal())
    return answer(data, version=incident.version)


def answer_unchanged(incident: Incident) -> Response:
    response = Response(status=304)
    response.set_etag(etag(incident.version))
    return response


@routes.get("/incidents/<reference>/timeline")
@needs(Right.READ_INCIDENTS)
@describes(answer=EntryListSchema, query=("until", *PAGED))
def timeline(reference: str) -> Response:
    """The record of the incident, oldest first; ?until= as it stood then."""
    limit, after = page_limit(), from_cursor(request.args.get("cursor", ""), int)
    with store().read() as tx:
        incident = queries.get_visible(tx, reference, principal=principal())
        rows = record.entries(
            tx, incident_id=incident.id, after=after[0] if after else 0, limit=limit + 1,
            until=instant_argument("until"),
        )  # fmt: skip
        more = to_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None
        return answer({"items": rows[:limit], "next": more})


def _list(name: str, shape: type[Schema], read: Callable[[Session, Incident], list[dict[str, Any]]]) -> None:
    """A list of things of one incident, under its name."""

    @needs(Right.READ_INCIDENTS)
    @describes(answer=shape, query=PAGED)
    def view(reference: str) -> Response:
        with store().read() as tx:
            incident = queries.get_visible(tx, reference, principal=principal())
            rows = read(tx, incident)
        start, limit = whole_argument("cursor", 0, least=0, most=MOST), page_limit()
        more = str(start + limit) if len(rows) > start + limit else None
        return answer({"items": rows[start : start + limit], "next": more})

    view.__doc__ = f"The {name} of the incident."
    routes.add_url_rule(f"/incidents/<reference>/{name}", endpoint=name, view_func=view, methods=["GET"])


_list("tasks", shapes.TaskListSchema, lambda tx, incident: incident_tasks(tx, incident.id, principal=principal()))
_list("alerts", AlertListSchema, lambda tx, incident: outgoing.alerts(tx, incident.id, limit=MOST))
_list("decisions", DecisionListSchema,
      lambda tx, incident: outgoing.decisions(tx, incident.id, principal=principal(), limit=MOST))  # fmt: skip
_list("runs", RunListSchema, lambda tx, incident: run_view.runs(tx, incident.id, limit=MOST))
_list("reports", ReportListSchema, lambda tx, incident: incident_page.reports(tx, incident.id, limit=MOST))
_list("items", ItemListSchema, lambda tx, incident: incident_page.items(tx, incident.id, limit=MOST))
_list("facts", FactListSchema, lambda tx, incident: sources.stated(tx, incident, principal=principal()))
_list("links", LinkListSchema, lambda tx, incident: incident_page.links(tx, incident, principal=principal()))
_list("attachments", FileListSchema, lambda tx, incident: attachments.attachments_of(tx, incident.id))


@routes.get("/attachments/<int:number>")
@needs(Right.READ_INCIDENTS)
@describes(media_types=("application/octet-stream",))
def download(number: int) -> Response:
    """A file, to be saved and never shown; that it was taken goes on record."""
    with store().unit_of_work() as tx:
        found, parts = attachments.open_file(tx, min(number, 2**53), principal=principal())
        body = b"".join(parts)
    response = Response(body, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = filenames.attachment(found.name)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _statuses() -> list[str]:
    asked = words_argument("status")
    if unknown := [status for status in asked if status not in list(Status)]:
        raise Invalid([Fault("/status", f"Choose from: {', '.join(Status)}.") for _ in unknown[:1]])
    return asked


def _severities() -> list[int]:
    asked = words_argument("severity")
    if any(level not in ("0", "1", "2", "3", "4", "5") for level in asked):
        raise Invalid([Fault("/severity", "Send a whole number from 0 to 5.")])
    return [int(level) for level in asked]


def _code(name: str, known: vocabulary.Vocabulary[str]) -> str:
    asked = text_argument(name)
    if asked and asked not in known:
        raise Invalid([Fault(f"/{name}", "Send one code of the list in the documentation, or leave it out.")])
    return asked
