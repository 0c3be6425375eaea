"""The OpenAPI 3.1 document, made from the routes and the marshmallow schemas they use, and a page that shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask_swagger_ui
from flask import Blueprint, Response, current_app, jsonify, send_from_directory
from marshmallow import Schema
from werkzeug.exceptions import NotFound as NoSuchFile
from werkzeug.routing import Rule

from coordinator.api import (
    agreements,
    alerts,
    changes,
    desk_calls,
    endpoints,
    operations,
    playbooks,
    quarantine,
    released,
    shapes,
    waiting_changes,
    work,
)
from coordinator.api.access import open_to
from coordinator.incidents import requests
from coordinator.incidents.envelope import READERS
from coordinator.incidents.schema import ReportSchema
from coordinator.tasks import schema as task_schema

if TYPE_CHECKING:
    from apispec import APISpec

routes = Blueprint("openapi", __name__)

PREFIX = "/api/v1"
_FILES = Path(flask_swagger_ui.__file__).parent / "dist"
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_WEBHOOK = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What a route takes and gives beside what its address says. `query`: names of query arguments.

    `foreign`: media types it takes as well, whose shape is another standard's.
    """

    body: type[Schema] | None = None
    answer: type[Schema] | None = None
    status: int = 200
    query: tuple[str, ...] = ()
    if_match: bool = False
    media_types: tuple[str, ...] = ("application/json",)
    foreign: tuple[str, ...] = ()


_PAGED = ("limit", "cursor")
_REPORT = Operation(body=ReportSchema, answer=shapes.AcceptedSchema, status=202, foreign=tuple(READERS)[1:])

OPERATIONS: dict[str, Operation] = {
    "intake.receive": _REPORT,
    "intake.file_report": _REPORT,
    "intake.receive_file": Operation(answer=shapes.FileSchema, media_types=("application/octet-stream",)),
    "intake.report_status": Operation(answer=shapes.ReportStatusSchema),
    "incidents.listed": Operation(
        answer=shapes.IncidentListSchema, query=("status", "severity", "updated_since", "q", "exercise", *_PAGED)
    ),
    "ledger.listed": Operation(
        answer=shapes.LedgerSchema, query=("incident", "partner", "item", "exercise", *_PAGED)
    ),
    "incidents.one": Operation(answer=shapes.IncidentSchema),
    "incidents.timeline": Operation(answer=shapes.EntryListSchema, query=("until", *_PAGED)),
    "incidents.tasks": Operation(answer=shapes.TaskListSchema, query=_PAGED),
    "incidents.alerts": Operation(answer=shapes.AlertListSchema, query=_PAGED),
    "incidents.decisions": Operation(answer=shapes.DecisionListSchema, query=_PAGED),
    "incidents.runs": Operation(answer=shapes.RunListSchema, query=_PAGED),
    "incidents.reports": Operation(answer=shapes.ReportListSchema, query=_PAGED),
    "incidents.items": Operation(answer=shapes.ThingListSchema, query=_PAGED),
    "incidents.facts": Operation(answer=shapes.FactListSchema, query=_PAGED),
    "incidents.links": Operation(answer=shapes.ThingListSchema, query=_PAGED),
    "incidents.attachments": Operation(answer=shapes.ThingListSchema, query=_PAGED),
    "incidents.download": Operation(media_types=("application/octet-stream",)),
    "changes.change": Operation(body=requests.ChangeSchema, answer=shapes.IncidentSchema, if_match=True),
    "changes.move": Operation(body=requests.StatusSchema, answer=shapes.IncidentSchema, if_match=True),
    "changes.note": Operation(body=requests.NoteSchema, answer=shapes.NoteAnswerSchema, status=201),
    "changes.link": Operation(body=requests.LinkSchema, answer=shapes.IncidentSchema, status=201),
    "changes.choose_fact": Operation(body=requests.ChoiceOfFactSchema, answer=shapes.IncidentSchema, if_match=True),
    "changes.tell": Operation(body=changes.AlertRequestSchema, answer=shapes.ReleaseSchema, status=201),
    "changes.preview": Operation(body=changes.AlertRequestSchema, answer=shapes.ReleaseSchema),
    "alerts.withdraw": Operation(body=alerts.WithdrawalSchema, answer=shapes.AlertSchema),
    "alerts.again": Operation(answer=shapes.AlertSchema),
    "alerts.bounced": Operation(body=alerts.BounceSchema, answer=shapes.AlertSchema),
    "desk-calls.ask": Operation(body=desk_calls.DeskCallSchema, answer=shapes.ReleaseSchema, status=201),
    "desk-calls.preview": Operation(body=desk_calls.DeskCallSchema, answer=shapes.ReleaseSchema),
    "desk-calls.listed": Operation(answer=shapes.ThingListSchema),
    "desk-calls.propose": Operation(body=desk_calls.StandingSchema, answer=shapes.StandingClearanceSchema, status=201),
    "desk-calls.confirm": Operation(answer=shapes.StandingClearanceSchema),
    "desk-calls.revoke": Operation(body=desk_calls.RevocationSchema, answer=shapes.StandingClearanceSchema),
    "released.listed": Operation(answer=shapes.ReleasedListSchema, query=("q", *_PAGED)),
    "released.one": Operation(answer=shapes.ReleasedSchema),
    "released.answered": Operation(body=released.PartnerAnswerSchema, answer=shapes.AnswerSchema),
    "work.me": Operation(answer=shapes.PersonSchema),
    "work.my_tasks": Operation(answer=shapes.TaskListSchema, query=_PAGED),
    "work.one_task": Operation(answer=shapes.TaskSchema),
    "work.complete": Operation(body=task_schema.CompleteSchema, answer=shapes.TaskSchema),
    "work.assign": Operation(body=task_schema.AssignSchema, answer=shapes.TaskSchema),
    "work.clearances": Operation(answer=shapes.ThingListSchema, query=_PAGED),
    "work.one_decision": Operation(answer=shapes.DecisionSchema),
    "work.approve": Operation(body=work.ApprovalSchema, answer=shapes.DecisionSchema),
    "work.refuse": Operation(body=work.RefusalSchema, answer=shapes.DecisionSchema),
    "waiting_changes.waiting": Operation(answer=shapes.WaitingChangeListSchema),
    "waiting_changes.one": Operation(answer=shapes.WaitingChangeSchema),
    "waiting_changes.accept": Operation(answer=shapes.WaitingChangeSchema),
    "waiting_changes.refuse": Operation(body=waiting_changes.ChangeRefusalSchema, answer=shapes.WaitingChangeSchema),
    "waiting_changes.withdraw": Operation(answer=shapes.WaitingChangeSchema),
    "quarantine.listed": Operation(answer=shapes.QuarantinedListSchema, query=_PAGED),
    "quarantine.one": Operation(answer=shapes.QuarantinedSchema),
    "quarantine.take": Operation(answer=shapes.QuarantinedSchema),
    "quarantine.release": Operation(body=quarantine.ReasonSchema, answer=shapes.QuarantinedSchema),
    "quarantine.this_is_real": Operation(body=quarantine.ReasonSchema, answer=shapes.QuarantinedSchema),
    "quarantine.attach": Operation(body=quarantine.AttachSchema, answer=shapes.QuarantinedSchema),
    "quarantine.refuse": Operation(body=quarantine.RefuseSchema, answer=shapes.QuarantinedSchema),
    "quarantine.floods": Operation(answer=shapes.FloodListSchema),
    "quarantine.flood": Operation(answer=shapes.QuarantinedListSchema, query=_PAGED),
    "quarantine.refuse_flood": Operation(body=quarantine.RefuseSchema, answer=shapes.FloodSchema),
    "agreements.listed": Operation(answer=shapes.ThingListSchema),
    "agreements.one": Operation(answer=shapes.AgreementShownSchema),
    "agreements.register": Operation(body=agreements.RegisterSchema, answer=shapes.AskedSchema, status=201),
    "agreements.consents": Operation(answer=shapes.ThingListSchema),
    "agreements.consent": Operation(body=agreements.ConsentAnswerSchema, answer=shapes.AskedSchema, status=201),
    "agreements.withdraw": Operation(body=agreements.ConsentWithdrawalSchema, answer=shapes.AskedSchema),
    "endpoints.listed": Operation(answer=shapes.EndpointShownListSchema),
    "endpoints.rotate": Operation(body=endpoints.RotationSchema, answer=shapes.NewSecretSchema, status=201),
    "endpoints.revoke": Operation(body=endpoints.KeyRevocationSchema, answer=shapes.EndpointKeySchema),
    "endpoints.reports": Operation(answer=shapes.ReceivedListSchema, query=("since", *_PAGED)),
    "endpoints.doubt": Operation(body=endpoints.DoubtSchema, answer=shapes.DoubtedSchema),
    "endpoints.exercises": Operation(answer=shapes.ExerciseShownListSchema),
    "endpoints.put_exercise": Operation(body=endpoints.ExerciseBodySchema, answer=shapes.ExerciseShownSchema),
    "endpoints.end_exercise": Operation(answer=shapes.ExerciseShownSchema),
    "playbooks.listed": Operation(answer=shapes.PlaybookListSchema),
    "playbooks.take": Operation(body=playbooks.DocumentSchema, answer=shapes.PlaybookTakenSchema, status=201),
    "playbooks.check_document": Operation(
        body=playbooks.DocumentSchema, answer=shapes.PlaybookFaultsSchema, query=("strict",)
    ),
    "playbooks.one": Operation(answer=shapes.PlaybookSchema),
    "playbooks.document": Operation(query=("signed",)),
    "playbooks.changes": Operation(answer=shapes.PlaybookChangesSchema),
    "playbooks.agree": Operation(answer=shapes.PlaybookSchema),
    "playbooks.withdraw": Operation(body=playbooks.WithdrawSchema, answer=shapes.PlaybookSchema),
    "playbooks.simulated": Operation(body=playbooks.ScriptSchema, answer=shapes.DryRunSchema),
    "operations.now": Operation(answer=shapes.OperationsSchema),
    "operations.retry": Operation(answer=shapes.RetriedSchema),
    "operations.stop": Operation(body=operations.StopSchema, answer=shapes.StoppedSchema),
    "work.acknowledge": Operation(body=work.AcknowledgementSchema, answer=shapes.AnswerSchema),
}


@routes.get("/openapi.json")
@open_to("the description of the API holds nothing of a case")
def document() -> Response:
    """This document."""
    return jsonify(describe())


def describe() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the application that answers."""
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin

    spec = APISpec(
        title="Coordinator", version=version("coordinator"), openapi_version="3.1.0",
        info={"description": "Coordination of cyber incidents between states, ministries and CSIRTs."},
        plugins=[MarshmallowPlugin(schema_name_resolver=_name)],
    )  # fmt: skip
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    for rule in current_app.url_map.iter_rules():
        name = rule.endpoint.removeprefix("api.")
        if rule.rule.startswith(PREFIX) and name in OPERATIONS:  # pages have endpoints of the same names
            _add(spec, rule, OPERATIONS[name])
    return spec.to_dict()


def _add(spec: APISpec, rule: Rule, operation: Operation) -> None:
    view: Any = current_app.view_functions[rule.endpoint]
    kind, what = view.access
    described: dict[str, Any] = {
        "operationId": rule.endpoint.removeprefix("api.").replace(".", "_"),
        "summary": (view.__doc__ or "").strip().partition("\n")[0],
        "parameters": _parameters(rule, operation, signed=kind == "signed"),
        "responses": _responses(operation),
        "security": [{"token": []}] if kind in ("needs", "signed-in") else [],
    }
    if kind == "needs":
        described["description"] = f"Needs the right `{what.value}`."
    if operation.body:
        content: dict[str, Any] = {media: {"schema": operation.body} for media in operation.media_types}
        content |= {media: {"schema": {"type": "object"}} for media in operation.foreign}
        described["requestBody"] = {"required": True, "content": content}
    elif "PUT" in (rule.methods or ()):
        binary = {"schema": {"type": "string", "format": "binary"}}
        described["requestBody"] = {"required": True, "content": dict.fromkeys(operation.media_types, binary)}
    path = re.sub(r"<(?:[a-z]+:)?([a-z0-9_]+)>", r"{\1}", rule.rule)
    method = next(one for one in ("GET", "POST", "PUT", "PATCH") if one in (rule.methods or ()))
    spec.path(path=path, operations={method.lower(): described})


def _parameters(rule: Rule, operation: Operation, *, signed: bool) -> list[dict[str, Any]]:
    numbers = re.findall(r"<int:([a-z0-9_]+)>", rule.rule)
    found = [
        {"name": name, "in": "path", "required": True,
         "schema": {"type": "integer", "minimum": 1} if name in numbers else {"type": "string"}}
        for name in sorted(rule.arguments)
    ]  # fmt: skip
    found += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in operation.query]
    if operation.if_match:
        found.append({"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"}})
    if signed:
        found += [{"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in _WEBHOOK]
    if rule.endpoint == "api.intake.file_report":
        found.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}})
    return found


def _responses(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "As asked."}
    if operation.answer:
        good["content"] = {"application/json": {"schema": operation.answer}}
    elif operation.media_types == ("application/octet-stream",):
        good["content"] = {"application/octet-stream": {}}
    problem = {"application/problem+json": {"schema": shapes.ProblemSchema}}
    return {str(operation.status): good, "default": {"description": "Refused (RFC 9457).", "content": problem}}


def _name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    name = kind.__name__.removesuffix("Schema")
    return f"Native{name}" if kind is ReportSchema else name


# ---------------------------------------------------------------- the page

docs = Blueprint("docs", __name__)

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Coordinator API</title>
<link rel="stylesheet" href="/api/docs/swagger-ui.css"><link rel="stylesheet" href="/api/docs/index.css">
</head><body><div id="swagger-ui"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script><script src="/api/docs/start.js"></script>
</body></html>
"""
_START = "SwaggerUIBundle({url: '/api/v1/openapi.json', dom_id: '#swagger-ui', validatorUrl: null});\n"


@docs.get("/api/docs")
@docs.get("/api/docs/")
@open_to("the description of the API holds nothing of a case")
def page() -> Response:
    """The API described for people."""
    response = Response(_PAGE, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _DOCS_POLICY
    return response


@docs.get("/api/docs/<name>")
@open_to("files of the page that describes the API")
def file(name: str) -> Response:
    """A file of that page."""
    if name == "start.js":
        return Response(_START, content_type="text/javascript; charset=utf-8")
    if not re.fullmatch(r"[a-z0-9-]+\.(?:css|js|png)", name):
        raise NoSuchFile()
    return send_from_directory(_FILES, name)
